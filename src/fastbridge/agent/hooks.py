"""The agent's hooks during and after one call: in order, one at a time, beside the audio.

A hook that fails, hangs or floods costs its own events and nothing else: it is given up after a while, and what it
raises goes to the log. The queue holds MAX_WAITING events; one more drops the oldest, counted in `dropped`.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from fastbridge.agent import fields as agent_fields
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.tool import run
from fastbridge.base.clock import Clock
from fastbridge.config import Settings
from fastbridge.observe import events

MAX_WAITING = 64
HOOK_SECONDS = 10.0
END_SECONDS = 30.0
"""For `on_end`: nobody waits on the line any more."""

Then = Callable[[Any], object]


class Hooks:
    """spawn(coroutine): a task that may outlive the call, for `on_end`."""

    def __init__(
        self,
        agent: Agent,
        context: CallContext,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self.agent = agent
        self.dropped = 0
        self.peak_waiting = 0
        self.context = context
        self._clock = clock
        self._spawn = spawn
        self._waiting: deque[tuple[str, Any, Then | None]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """Who answers is known now."""
        self.agent, self.context = agent, context

    @property
    def running(self) -> bool:
        """A hook is at work, perhaps after the call's end."""
        return self._task is not None

    def emit(self, name: str, value: Any, then: Then | None = None) -> bool:
        """Run this hook with `value`, and `then` with what it returns while the call lives. False: there is none."""
        if name not in self.agent.hooks or self._closed:
            return False
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((name, value, then))
        self.peak_waiting = max(self.peak_waiting, len(self._waiting))
        if self._task is None:
            self._task = self._spawn(self._pump())
        return True

    def close(self, record: Callable[[], dict[str, Any]]) -> None:
        """The call is over: what waits still runs, and `on_end` last."""
        if not self._closed and "on_end" in self.agent.hooks:
            self.emit("on_end", record())
        self._closed = True

    async def _pump(self) -> None:
        while self._waiting:
            name, value, then = self._waiting.popleft()
            result = await self._run(name, value)
            if then is not None and not self._closed:
                self._hand_over(name, then, result)
        self._task = None
        if self._closed:
            self.context.journal.finish()

    def _hand_over(self, name: str, then: Then, result: Any) -> None:
        try:
            then(result)
        except Exception as error:  # a bug of ours: the next hook is none the worse for it
            events.call_failed(self.context.journal, error)

    async def _run(self, name: str, value: Any) -> Any:
        function = self.agent.hooks[name]
        try:
            async with asyncio.timeout(END_SECONDS if name == "on_end" else HOOK_SECONDS):
                return await call_hook(function, value, self.context)
        except TimeoutError:
            events.hook_slow(self.context.journal, name)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if is_cancelled():
                raise
            events.hook_failed(self.context.journal, name, error)
        return None


def is_cancelled() -> bool:
    """Whether this task is wanted to end; else a CancelledError in it is of something that the user's code awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def call_hook(function: Callable[..., Any], value: Any, context: CallContext) -> Any:
    """`function(value)`, and the context for a parameter that asks for it by its type or by the name `context`."""
    wanted = context_parameter(function) if value is not context else None
    if wanted is None:
        return await run(function, value)
    others = [name for name in inspect.signature(function).parameters if name != wanted]
    return await run(function, **{wanted: context}, **({others[0]: value} if others else {}))


def context_parameter(function: Callable[..., Any]) -> str | None:
    """The parameter that wants the call's context, if any."""
    return agent_fields.context_parameter(function, CallContext)
