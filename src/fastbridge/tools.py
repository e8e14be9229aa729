"""The tools of one call at work: each model call answered exactly once, however its function ends.

Functions run as tasks beside the audio. When every call of a response has its result and the response has ended, the
model is asked, once, to go on: a round. What goes wrong goes back to the model as text: it can say so, a stack trace
cannot. A model that calls tools for ever has bounds, of rounds in a turn of the caller's and of calls in a phone call;
then it is asked for words, and given up if it calls on.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from pydantic_core import to_jsonable_python

from fastbridge import events
from fastbridge.agent import Agent, CallContext, Tool
from fastbridge.clock import Clock
from fastbridge.history import ToolCall
from fastbridge.logging import clean
from fastbridge.schema import ArgumentError

MAX_RUNNING = 16
"""Tool calls of one phone call at once; one more is answered with an error."""
MAX_OUTPUT_CHARS = 32_000
"""Longer results are cut: the model pays for every character and a caller waits for it."""
MAX_ERROR_CHARS = 1000
MAX_ROUNDS = 10
"""Rounds in one turn of the caller's; then the model is asked for words."""
MAX_WORDS_ASKED = 2
"""How often in one turn; a model that calls on has nothing to say."""
MAX_CALLS_IN_ROUND = 128
"""Calls between two rounds; one more is not even answered: no model that means it comes that far."""


class ToolRunner:
    """answer(call, output): a result to the model. proceed(response_ids): ask the model to go on after these.
    overrun(): it was asked for words, and calls on. report(name, arguments, outcome, elapsed_ms): a call has ended;
    outcome is ok, error, timeout, unknown or refused.

    `agent` may be changed until the first call."""

    def __init__(
        self,
        *,
        agent: Agent,
        context: CallContext,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        answer: Callable[[ToolCall, str], object],
        proceed: Callable[[set[str]], object],
        overrun: Callable[[], object],
        report: Callable[[str, str, str, int], object],
    ) -> None:
        self.agent = agent
        self.context = context
        self._clock = clock
        self._spawn = spawn
        self._answer = answer
        self._proceed = proceed
        self._overrun = overrun
        self._report = report
        self._tasks: dict[ToolCall, asyncio.Task[None]] = {}
        self._asked = 0  # calls in this phone call
        self._in_round = 0
        self._rounds = 0  # in this turn of the caller's
        self._words_asked = 0  # in this turn
        self._closed = False
        self._open_responses: set[str] = set()  # with calls, not ended yet
        self._owed: set[str] = set()  # responses whose results were given since the model was last asked to go on
        self._calls: Counter[str] = Counter()  # by tool
        self._started: dict[ToolCall, Tool] = {}  # of those that run

    @property
    def running(self) -> int:
        return len(self._tasks)

    @property
    def busy(self) -> bool:
        """A function runs, or the model has not been asked to go on yet."""
        return bool(self._tasks or self._owed)

    @property
    def exhausted(self) -> bool:
        """The budget of the call, or of the turn, is spent: no function runs in it any more."""
        return self._asked >= self.agent.max_tool_calls or self._rounds >= MAX_ROUNDS

    @property
    def running_tools(self) -> list[Tool]:
        """Those at work, the first one first."""
        return list(self._started.values())

    def turn_begins(self) -> None:
        """The caller has said something: what is asked for now is for that."""
        self._rounds = self._words_asked = 0

    def start(self, call: ToolCall, response_id: str) -> None:
        """Run one call of the model's."""
        self._in_round += 1
        if self._closed or self._in_round > MAX_CALLS_IN_ROUND:
            return
        self._open_responses.add(response_id)
        tool = self.agent.find_tool(call.name)
        refusal = self._refusal(call.name, tool)
        self._asked += 1
        if refusal is not None or tool is None:
            self._report(call.name, call.arguments, "unknown" if tool is None else "refused", 0)
            self._finish(call, response_id, json.dumps({"error": refusal}, ensure_ascii=False))
            return
        self._calls[call.name] += 1
        self._started[call] = tool
        self._tasks[call] = self._spawn(self._run(call, tool, response_id))

    def _refusal(self, name: str, tool: Tool | None) -> str | None:
        """Why this call is not run, in words for the model."""
        if tool is None:
            return f"there is no tool named {clean(name)}"
        if len(self._tasks) >= MAX_RUNNING:
            return "too many tools are running"
        if self.exhausted:
            return "the tools are used up: answer the caller now, without them"
        if tool.max_calls is not None and self._calls[name] >= tool.max_calls:
            return f"{name} cannot be used again in this phone call"
        return None

    def response_done(self, response_id: str) -> None:
        """No more calls come from this response."""
        if response_id in self._open_responses:
            self._open_responses.discard(response_id)
            self._settle()

    def close(self) -> None:
        """The call is over: what still runs is cancelled and answers nobody."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._started.clear()
        self._owed.clear()

    async def _run(self, call: ToolCall, tool: Tool, response_id: str) -> None:
        started_ns = self._clock.now_ns()
        output, outcome = await self._output(tool, call.arguments)
        if self._closed:
            return
        self._report(tool.name, call.arguments, outcome, self._clock.elapsed_ms(started_ns))
        self._finish(call, response_id, output)

    async def _output(self, tool: Tool, arguments: str) -> tuple[str, str]:
        try:
            return _text(await tool.call(arguments, self.context))[:MAX_OUTPUT_CHARS], "ok"
        except TimeoutError:
            return json.dumps({"error": f"{tool.name} took too long"}), "timeout"
        except ArgumentError as error:
            text = f"wrong arguments: {clean(error, MAX_ERROR_CHARS)}"
            return json.dumps({"error": text}, ensure_ascii=False), "error"
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            if self._closed and isinstance(error, asyncio.CancelledError):
                raise
            # Whatever a user's function raises is its own affair, sys.exit() too: the call goes on.
            events.tool_failed(self.context.journal, tool.name, error)
            text = f"{type(error).__name__}: {clean(error, MAX_ERROR_CHARS)}"
            return json.dumps({"error": text}, ensure_ascii=False), "error"

    def _finish(self, call: ToolCall, response_id: str, output: str) -> None:
        self._tasks.pop(call, None)
        self._started.pop(call, None)
        self._owed.add(response_id)
        self._answer(call, output)
        self._settle()

    def _settle(self) -> None:
        if not self._owed or self._tasks or self._open_responses:
            return
        answered, self._owed = self._owed, set()
        self._in_round = 0
        self._rounds += 1
        if self._words_asked >= MAX_WORDS_ASKED:
            self._overrun()
            return
        self._words_asked += self.exhausted
        self._proceed(answered)


def _text(result: Any) -> str:
    """A function's result as the model reads it: text as it is, the rest as JSON."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> Any:
    """What JSON has no word for: dates, enums, dataclasses, models; anything else by its str()."""
    return to_jsonable_python(value, fallback=str)
