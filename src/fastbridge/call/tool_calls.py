"""The tools of one call, as its conversation knows them: told in the log and the record, and answered in words.

`agent.tools` runs them; here is what their beginning and end mean for the call.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from fastbridge._assistant import AssistantLane
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.tool import Tool
from fastbridge.agent.tools import Late, ToolRunner
from fastbridge.base.clock import Clock
from fastbridge.base.conversation import ToolCall
from fastbridge.base.languages import first_in
from fastbridge.call.happenings import ToolLoop
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.instructions import GOODBYE, HOLD_THE_LINE, PUT_THROUGH
from fastbridge.model.port import WORDS_ONLY, Model, Tell, Wish
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def leave_asked(self) -> bool: ...
    @property
    def puts_through(self) -> bool: ...
    @property
    def holding(self) -> bool: ...


class ToolCalls:
    """late: see ToolRunner."""

    def __init__(
        self,
        agent: Agent,
        context: CallContext,
        *,
        clock: Clock,
        facts: Moment,
        assistant: AssistantLane,
        session: Model,
        stats: CallStats,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        late: Late,
        tell: Tell,
    ) -> None:
        self._facts = facts
        self._assistant = assistant
        self._session = session
        self._stats = stats
        self._log = log
        self._runner = ToolRunner(
            agent=agent,
            context=context,
            clock=clock,
            spawn=spawn,
            answer=session.tool_result,
            proceed=self._proceed,
            overrun=lambda: tell(ToolLoop()),
            report=self._ended,
            late=late,
        )

    @property
    def running(self) -> int:
        return self._runner.running

    @property
    def busy(self) -> bool:
        """A function runs, or the model has not been asked to go on yet."""
        return self._runner.busy

    @property
    def running_tools(self) -> list[Tool]:
        """Those at work, the first one first."""
        return self._runner.running_tools

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """Who answers is known now."""
        self._runner.agent, self._runner.context = agent, context

    def turn_begins(self) -> None:
        self._runner.turn_begins()

    def called(self, response_id: str, call: ToolCall, more: bool = False) -> None:
        events.tool_call(self._log, call.name, call.arguments)
        self._runner.start(call, response_id)
        responses = self._session.responses
        if not more and (not responses.generating or response_id != responses.response_id):
            self._runner.response_done(response_id)  # it has ended already: no event will say so

    def asked(self, response_id: str) -> None:
        """Nothing more is called with this response: what comes of it all is one round."""
        self._runner.response_done(response_id)

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        self._runner.response_done(response_id)

    def not_run(self, name: str, why: str) -> None:
        """A call that was broken off, or taken back with its response."""
        events.tool_not_run(self._log, name, why)
        self._list({"name": name, "outcome": "broken_off", "elapsed_ms": 0})

    def close(self) -> None:
        self._runner.close()

    def _ended(self, name: str, arguments: str, outcome: str, elapsed_ms: int, output: str) -> dict[str, Any]:
        if outcome == "abandoned":
            events.tool_abandoned(self._log, name, elapsed_ms)
        else:
            events.tool_result(self._log, name, outcome, elapsed_ms, output)
        entry: dict[str, Any] = {"name": name, "outcome": outcome, "elapsed_ms": elapsed_ms}
        self._list(entry)
        return entry

    def _list(self, entry: dict[str, Any]) -> None:
        self._stats.add("tools", self._stats.tool_calls, entry)

    def _proceed(self, response_ids: set[str]) -> None:
        """The tools of these responses have their answers: let the model go on, if there is anything left to say."""
        responses = self._session.responses
        if self._facts.holding:
            if not self._said_something(response_ids):
                responses.create("hold", Wish(first_in(self._runner.agent.language, HOLD_THE_LINE)))
        elif not self._facts.leave_asked:
            responses.create("tool_result", WORDS_ONLY if self._runner.exhausted else None)
        elif not self._said_something(response_ids):
            last = PUT_THROUGH if self._facts.puts_through else GOODBYE
            responses.create("goodbye", Wish(first_in(self._runner.agent.language, last)))

    def _said_something(self, response_ids: set[str]) -> bool:
        """Beside its function calls."""
        turns = self._session.turns.values()
        voiced = {response_id for _, response_id, _, received_ms in self._assistant.items() if received_ms}
        return bool(voiced & response_ids) or any(turn.text for turn in turns if turn.response_id in response_ids)
