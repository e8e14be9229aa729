"""The tools of one call at work: each model call answered exactly once, however its function ends.

Functions run as tasks beside the audio. When every call of a response has its result and the response has ended, the
model is asked, once, to go on: a round. What goes wrong goes back to the model as text: it can say so, a stack trace
cannot. A model that calls tools for ever has bounds, of rounds in a turn of the caller's and of calls in a phone call;
then it is asked for words, and given up if it calls on.
"""

import asyncio
import contextlib
import inspect
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.schema import ArgumentError
from fastbridge.agent.tool import Tool
from fastbridge.base.clock import Clock
from fastbridge.base.conversation import ToolCall
from fastbridge.observe import events
from fastbridge.observe.log_format import clean

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


Late = Callable[[Any, str, str, int, BaseException | None], object]


@dataclass
class Running:
    """A tool at work. entry: what `report` gave for it. left: a plain function works on, and nobody waits for it."""

    tool: Tool
    arguments: str
    started_ns: int
    abandoned: bool = False
    entry: Any = None
    left: Future[Any] | None = None

    def leave(self, future: Future[Any]) -> None:
        self.left = future


class ToolRunner:
    """answer(call, output): a result to the model. proceed(response_ids): ask the model to go on after these.
    overrun(): it was asked for words, and calls on. report(name, arguments, outcome, elapsed_ms, output): a call has
    ended; outcome is ok, error, timeout, unknown, refused, or abandoned: the phone call is over. What it returns stands
    for the call in late(entry, outcome, output, elapsed_ms, error): a function has ended, ok or error, that was
    abandoned or took too long; perhaps when all else of the phone call is gone.

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
        report: Callable[[str, str, str, int, str], object],
        late: Late = lambda *ended: None,
    ) -> None:
        self.agent = agent
        self.context = context
        self._clock = clock
        self._spawn = spawn
        self._answer = answer
        self._proceed = proceed
        self._overrun = overrun
        self._report = report
        self._late = late
        self._tasks: dict[ToolCall, asyncio.Task[None]] = {}
        self._asked = 0  # calls in this phone call
        self._in_round = 0
        self._rounds = 0  # in this turn of the caller's
        self._words_asked = 0  # in this turn
        self._closed = False
        self._open_responses: set[str] = set()  # with calls, not ended yet
        self._owed: set[str] = set()  # responses whose results were given since the model was last asked to go on
        self._calls: Counter[str] = Counter()  # by tool
        self._started: dict[ToolCall, Running] = {}

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
        return [running.tool for running in self._started.values()]

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
            output = json.dumps({"error": refusal}, ensure_ascii=False)
            self._report(call.name, call.arguments, "unknown" if tool is None else "refused", 0, output)
            self._finish(call, response_id, output)
            return
        self._calls[call.name] += 1
        running = self._started[call] = Running(tool, call.arguments, self._clock.now_ns())
        self._tasks[call] = self._spawn(self._run(call, running, response_id))

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
        """The call is over: what still runs is cancelled and answers nobody. (A plain function cannot be cancelled.)"""
        self._closed = True
        for running in self._started.values():
            elapsed_ms = self._clock.elapsed_ms(running.started_ns)
            running.abandoned = True
            running.entry = self._report(running.tool.name, running.arguments, "abandoned", elapsed_ms, "")
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._started.clear()
        self._owed.clear()

    async def _run(self, call: ToolCall, running: Running, response_id: str) -> None:
        clock, late = self._clock, self._late  # when they are wanted, the call may have been taken apart
        try:
            output, outcome = await self._output(running)
        except asyncio.CancelledError:
            _watch(running, late, clock)
            raise
        elapsed_ms = clock.elapsed_ms(running.started_ns)
        if running.abandoned:  # it would not be cancelled
            late(running.entry, outcome, output, elapsed_ms, None)
            return
        running.entry = self._report(running.tool.name, running.arguments, outcome, elapsed_ms, output)
        _watch(running, late, clock)
        self._finish(call, response_id, output)

    async def _output(self, running: Running) -> tuple[str, str]:
        tool, journal = running.tool, self.context.journal
        try:
            return _text(await tool.call(running.arguments, self.context, left=running.leave))[:MAX_OUTPUT_CHARS], "ok"
        except TimeoutError:
            return json.dumps({"error": f"{tool.name} took too long"}), "timeout"
        except ArgumentError as error:
            text = f"wrong arguments: {clean(error, MAX_ERROR_CHARS)}"
            return json.dumps({"error": text}, ensure_ascii=False), "error"
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            if running.abandoned and isinstance(error, asyncio.CancelledError):
                raise
            # Whatever a user's function raises is its own affair, sys.exit() too: the call goes on.
            events.tool_failed(journal, tool.name, error)
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


def _watch(running: Running, late: Late, clock: Clock) -> None:
    """Tell when a plain function ends for which nobody waits any more. Nothing waits here either: its thread tells."""
    loop = asyncio.get_running_loop()

    def tell(future: Future[Any]) -> None:
        elapsed_ms = clock.elapsed_ms(running.started_ns)
        try:
            result = future.result()
            if inspect.iscoroutine(result):
                result.close()  # what would have done it: nobody awaits that
            else:
                late(running.entry, "ok", _text(result)[:MAX_OUTPUT_CHARS], elapsed_ms, None)
        except BaseException as error:  # nobody else is there to be told of it
            late(running.entry, "error", f"{type(error).__name__}: {clean(error, MAX_ERROR_CHARS)}", elapsed_ms, error)

    def ended(future: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the node is gone
            if not future.cancelled():
                loop.call_soon_threadsafe(tell, future)

    if running.left is not None:
        running.left.add_done_callback(ended)


def _text(result: Any) -> str:
    """A function's result as the model reads it: text as it is, the rest as JSON."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> Any:
    """What JSON has no word for: dates, enums, dataclasses, models; anything else by its str()."""
    return to_jsonable_python(value, fallback=str)
