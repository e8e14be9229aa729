"""A loop of virtual time: asyncio's own, but for its waiting, which is replaced by moving `now_ns`. Nothing sleeps.

Time stands still while the user's code works on something real: in a thread of `run_in_executor`, or where a task that
was spawned here waits for the world (`hold`). A timeout of ours does not overtake it. After `patience_seconds` of real
time without a sign the clock goes on, and the timeouts decide: `ran_on` says how often.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastbridge._pacing import Pacer
from fastbridge.agent.threads import awaited
from fastbridge.base.clock import Clock
from fastbridge.testing.hold import sleepers, waits_outside

MS = 1_000_000
SECOND_NS = 1000 * MS
START_NS = 1000 * SECOND_NS
PATIENCE_SECONDS = 10.0


class _Selector(selectors.DefaultSelector):
    def __init__(self, choose: Callable[[float | None, Callable[[float], Any]], Any]) -> None:
        super().__init__()
        self._choose = choose

    def select(self, timeout: float | None = None) -> Any:
        return self._choose(timeout, super().select)


class VirtualLoop(asyncio.SelectorEventLoop):
    """While a lane has audio the pacer runs at every virtual millisecond, as the server's ticker does."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.now_ns = START_NS
        self.pacer = Pacer()
        self.threads_hold_time = True
        """As does real work of any other kind; False lets time run on whatever the user's code does."""
        self.failures: list[dict[str, Any]] = []
        """What the loop would have logged as an unhandled exception."""
        self.tasks: set[asyncio.Task[None]] = set()
        """Of `spawn`, those at work."""
        self.ran_on = 0
        self._patience_seconds = patience_seconds
        self._threads: set[asyncio.Future[Any]] = set()
        self._given_up: set[asyncio.Future[Any]] = set()
        self._held: set[asyncio.Future[Any]] = set()
        self._held_until = 0.0
        super().__init__(_Selector(self._select))
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda _, context: self.failures.append(context))
        self.clock = Clock(lambda: self.now_ns)

    def time(self) -> float:
        return self.now_ns / SECOND_NS

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function inside the running loop, as a transport would; time does not pass."""

        async def inside() -> Any:
            return function(*arguments)

        return self.run_until_complete(inside())

    def advance(self, seconds: float) -> None:
        self.run_until_complete(asyncio.sleep(seconds))

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that may be a user's; what it raises is in `failures`."""
        task = self.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def pending_timers(self) -> list[asyncio.TimerHandle]:
        return [handle for handle in self._timers() if not handle.cancelled()]

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        return future

    def _timers(self) -> list[asyncio.TimerHandle]:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return timers

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures.append({"exception": task.exception()})

    def _select(self, timeout: float | None, select: Callable[[float], Any]) -> Any:
        events = select(0)
        if events or timeout == 0:
            return events
        if held := self._outside():
            events = select(self._patience(held))
            if not events and time.monotonic() >= self._held_until:
                self._given_up |= held
                self.ran_on += 1
            return events
        assert timeout is not None or self.pacer.active, "the loop waits for what can never happen"
        self._jump(timeout)
        return []

    def _outside(self) -> set[Any]:
        """What real work time stands still for."""
        if not self.threads_hold_time:
            return set()
        held = set(self._threads) if len(self._threads) > len(awaited) else set()
        if self.tasks:
            sockets = len(self._selector.get_map()) > 1  # type: ignore[attr-defined]  # one wakes the loop itself
            held.update(waits_outside(self.tasks, sleepers(self._timers()), sockets=sockets))
        return held - self._given_up if self._given_up else held

    def _patience(self, held: set[Any]) -> float:
        """Seconds that are left to these; a new one gives all of them new time."""
        now = time.monotonic()
        if held != self._held:
            self._held, self._held_until = held, now + self._patience_seconds
        return max(0.0, self._held_until - now)

    def _jump(self, timeout: float | None) -> None:
        """To the next timer, or to the next millisecond if the pacer has work."""
        boundary = self.now_ns - self.now_ns % MS + MS
        target = boundary if timeout is None else self.now_ns + max(1, round(timeout * SECOND_NS))
        if self.pacer.active and boundary <= target:
            self.now_ns = boundary
            self.pacer.run(boundary)
        else:
            self.now_ns = target


class LeapingLoop(VirtualLoop):
    """Goes from one frame that is due to the next, not from millisecond to millisecond."""

    def _jump(self, timeout: float | None) -> None:
        wanted_ns = self.pacer.run(self.now_ns) if self.pacer.active else -1
        if self._ready:  # type: ignore[attr-defined]
            return
        timers = self._timers()
        timer_ns = round(timers[0].when() * SECOND_NS) if timers else -1
        targets = [target_ns for target_ns in (timer_ns, wanted_ns) if target_ns >= 0]
        self.now_ns = max(self.now_ns + 1, min(targets, default=self.now_ns + MS))
