"""The tick of the loop: read all that is ready, send what came of it and what is due, sleep to the next boundary."""

from collections.abc import Callable
from typing import Protocol

class _Pacer(Protocol):
    def run(self, now_ns: int, /) -> object: ...

class _Outbox(Protocol):
    def flush(self) -> object: ...

class _Reactor(Protocol):
    def run(self) -> object: ...

class Beat:
    """A callback that a Ticker calls once a second. Made by Ticker.every_second."""

    def cancel(self) -> None:
        """No more."""

class Ticker:
    """While any call is live: once per `tick_ns` the reactor reads, the outbox is flushed, the pacer runs.

    What one of them raises goes to the loop's exception handler and stops no tick. Without a reactor the loop reads.
    """

    def __init__(
        self,
        pacer: _Pacer,
        outbox: _Outbox,
        reactor: _Reactor | None,
        tick_ns: int,
        *,
        clock: Callable[[], int] = ...,
        sleep_until: Callable[[int], object] = ...,
    ) -> None:
        """clock: monotonic, ns. sleep_until(ns): block the thread until then."""
    def acquire(self) -> None:
        """A call is live: tick. On the running loop."""
    def release(self) -> None: ...
    def hurry(self) -> None:
        """Something has come of which the loop takes one a turn, such as a connection: the next turn does not sleep,
        so that as many are taken as without calls. Between two of them the pacer runs, and the tick comes in time."""
    def every_second(self, callback: Callable[[], object]) -> Beat:
        """Call this once a second from now on, a second from now at the earliest, while any call is live. In place of a
        timer of the loop's own for each second of each call: to set those costs more than most of what they do."""
    @property
    def lag_counts(self) -> tuple[int, ...]:
        """Turns by how much longer than a tick they took, in the buckets of `metrics.LAG_SECONDS`."""
    @property
    def lag_ns(self) -> int:
        """Their sum."""
