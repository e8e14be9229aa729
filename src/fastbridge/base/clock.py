"""Time, injected: everything above the transports asks this and nothing else.

`now_ns` is CLOCK_MONOTONIC in nanoseconds. Timers run on the loop; on a loop of virtual time, with a clock of virtual
time, a ten-minute call passes in milliseconds.
"""

import asyncio
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, Protocol

from fastbridge._pacing import monotonic_ns


class Beat(Protocol):
    """What is called once a second, until it is cancelled."""

    def cancel(self) -> None: ...


class Clock:
    """The running loop's timers and a monotonic clock that agree."""

    def __init__(self, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self.now_ns = now_ns

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)

    def every_second(self, callback: Callable[[], object]) -> Beat:
        return Repeat(self, callback)

    def elapsed_ms(self, since_ns: int) -> int:
        return (self.now_ns() - since_ns) // 1_000_000


class CallClock(Clock):
    """A call's: it knows when the call began, and its timers raise nothing. guard(callback): the callback, which books
    what it raises."""

    def __init__(self, clock: Clock, guard: Callable[[Callable[..., object]], Callable[..., None]]) -> None:
        super().__init__(clock.now_ns)
        self.began_ns = clock.now_ns()
        self._clock = clock
        self._guard = guard

    def now_ms(self) -> int:
        """Milliseconds since the call began."""
        return self.elapsed_ms(self.began_ns)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return self._clock.call_later(seconds, self._guard(callback))

    def every_second(self, callback: Callable[[], object]) -> Beat:
        return self._clock.every_second(self._guard(callback))


class Deadline:
    """One timer that can be set, moved and cleared, and fires once. It does not keep the owner of a method alive, which
    would be a circle: owners keep their deadlines."""

    def __init__(self, clock: Clock, on_expiry: Callable[[], object]) -> None:
        self._clock = clock
        self._owner: weakref.ref[Any] | None = None
        self._on_expiry: Callable[..., object] = on_expiry
        if isinstance(on_expiry, MethodType):
            self._owner, self._on_expiry = weakref.ref(on_expiry.__self__), on_expiry.__func__
        self._handle: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """It is set, and has neither fired nor been cleared."""
        return self._handle is not None

    def set(self, seconds: float) -> None:
        self.clear()
        self._handle = self._clock.call_later(seconds, self._expire)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _expire(self) -> None:
        self._handle = None
        if self._owner is None:
            self._on_expiry()
            return
        owner = self._owner()
        if owner is not None:
            self._on_expiry(owner)


class Standstill:
    """For how long a number has not changed, as far as one has looked."""

    def __init__(self, clock: Clock, number: Callable[[], object]) -> None:
        self._clock = clock
        self._number = number
        self.begin()

    def begin(self) -> None:
        self._last = self._number()
        self._since_ns = self._clock.now_ns()

    def look(self) -> float:
        """Seconds."""
        if self._number() != self._last:
            self.begin()
        return (self._clock.now_ns() - self._since_ns) / 1e9


class Repeat:
    """A Beat by the loop's timers."""

    def __init__(self, clock: Clock, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback
        self._deadline = Deadline(clock, self._strike)
        self._deadline.set(1.0)

    def cancel(self) -> None:
        self._deadline.clear()
        self._callback = None

    def _strike(self) -> None:
        self._deadline.set(1.0)
        if self._callback is not None:
            self._callback()
