"""The tools of one call at work: each model call answered exactly once, however its function ends.

Functions run as tasks beside the audio. When every call of a response has its result and the response has ended, the
model is asked, once, to go on. What goes wrong goes back to the model as text: it can say so, a stack trace cannot.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastbridge.agent import Agent, CallContext
from fastbridge.clock import Clock
from fastbridge.log import clean

logger = logging.getLogger(__name__)

MAX_RUNNING = 16
"""Tool calls of one phone call at once; one more is answered with an error."""
MAX_OUTPUT_CHARS = 32_000
"""Longer results are cut: the model pays for every character and a caller waits for it."""
MAX_ERROR_CHARS = 1000


def _log_failure(name: str, error: BaseException) -> None:
    logger.error("[TOOL_RESULT] %s failed", name, exc_info=error)


class ToolRunner:
    """answer(call_id, output): a result to the model. proceed(): ask the model to go on.
    report(name, arguments, outcome, elapsed_ms): a call has ended; outcome is ok, error, timeout or unknown.
    failed(name, error): a function raised, for the log."""

    def __init__(
        self,
        *,
        agent: Agent,
        context: CallContext,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        answer: Callable[[str, str], object],
        proceed: Callable[[], object],
        report: Callable[[str, str, str, int], object],
        failed: Callable[[str, BaseException], object] = _log_failure,
    ) -> None:
        self._agent = agent
        self._context = context
        self._clock = clock
        self._spawn = spawn
        self._answer = answer
        self._proceed = proceed
        self._report = report
        self._failed = failed
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by call id
        self._seen: set[str] = set()  # call ids
        self._closed = False
        self._open_responses: set[str] = set()  # with calls, not ended yet
        self._owed = False  # results were given since the model was last asked to go on

    @property
    def running(self) -> int:
        return len(self._tasks)

    def start(self, call_id: str, name: str, arguments: str, response_id: str) -> None:
        """Run one call of the model's. A call id is not run twice."""
        if call_id in self._seen or self._closed:
            return
        self._seen.add(call_id)
        self._open_responses.add(response_id)
        if len(self._tasks) >= MAX_RUNNING:
            self._finish(call_id, json.dumps({"error": "too many tools are running"}))
            return
        self._tasks[call_id] = self._spawn(self._run(call_id, name, arguments))

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

    async def _run(self, call_id: str, name: str, arguments: str) -> None:
        started_ns = self._clock.now_ns()
        output, outcome = await self._output(name, arguments)
        if self._closed:
            return
        self._report(name, arguments, outcome, self._clock.elapsed_ms(started_ns))
        self._finish(call_id, output)

    async def _output(self, name: str, arguments: str) -> tuple[str, str]:
        tool = self._agent.find_tool(name)
        if tool is None:
            return json.dumps({"error": f"there is no tool named {name}"}), "unknown"
        try:
            given = json.loads(arguments or "{}")
            if not isinstance(given, dict):
                raise ValueError("arguments must be a JSON object")
            result = await tool.call(given, self._context)
            text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
            return text[:MAX_OUTPUT_CHARS], "ok"
        except TimeoutError:
            return json.dumps({"error": f"{name} took too long"}), "timeout"
        except (Exception, asyncio.CancelledError, SystemExit) as error:
            if self._closed and isinstance(error, asyncio.CancelledError):
                raise
            # Whatever a user's function raises is its own affair, sys.exit() too: the call goes on.
            self._failed(name, error)
            text = f"{type(error).__name__}: {clean(error, MAX_ERROR_CHARS)}"
            return json.dumps({"error": text}, ensure_ascii=False), "error"

    def _finish(self, call_id: str, output: str) -> None:
        self._tasks.pop(call_id, None)
        self._answer(call_id, output)
        self._owed = True
        self._settle()

    def _settle(self) -> None:
        if self._owed and not self._tasks and not self._open_responses:
            self._owed = False
            self._proceed()
