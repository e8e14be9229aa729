"""The tick of the loop. While calls are live all that is ready is read and decided, then the pacer sends what is due,
then the thread sleeps to the next boundary. Without calls nothing ticks.
"""

import asyncio
import sys
from collections.abc import Callable

from fastbridge._pacing import Pacer, monotonic_ns, sleep_until_ns
from fastbridge._wire import Outbox

if sys.platform == "linux":
    from fastbridge._reactor import Reactor


class Ticker:
    """While any call is live: once per `tick_ns` read all that is ready, send what came of it, then what is due.

    A callback that sleeps makes the loop look at its sockets once per tick instead of waking for each: waking costs
    more than the work. What else runs on the loop waits at most one tick. Without a reactor the loop reads.
    """

    def __init__(
        self, pacer: Pacer, outbox: Outbox, reactor: "Reactor | None", tick_ns: int, lag: Callable[[float], object]
    ) -> None:
        self._pacer = pacer
        self._outbox = outbox
        self._reactor = reactor
        self._tick_ns = tick_ns
        self._lag = lag
        self._due_ns = 0
        self._users = 0
        self._scheduled = False

    def acquire(self) -> None:
        """A call is live: tick."""
        self._users += 1
        self._schedule()

    def release(self) -> None:
        self._users -= 1

    def _schedule(self) -> None:
        if not self._scheduled:  # or a call that begins as the last one ends would make two chains of ticks
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._scheduled = False
        self._outbox.flush()  # of what the loop has read
        if not self._users:
            self._due_ns = 0
            return
        # First, since what one call's callback raises may not stop the audio of all.
        asyncio.get_running_loop().call_soon(self._pace_again)
        self._schedule()
        now = monotonic_ns()
        if self._due_ns:
            self._lag(max(0, now - self._due_ns) / 1e9)  # what the turn took beyond its tick
        if now < self._due_ns or not self._due_ns:  # a turn that overran has filled its sleep with work
            sleep_until_ns(now - now % self._tick_ns + self._tick_ns)
            now = monotonic_ns()
        self._due_ns = now - now % self._tick_ns + self._tick_ns
        if self._reactor is not None:
            self._reactor.run()
            self._outbox.flush()
        self._pacer.run(monotonic_ns())

    def _pace_again(self) -> None:
        """Before the next tick. Reading takes longer in one turn than in another: whom the pacer came to too early by
        that need not wait another tick, or no lead would grow."""
        self._pacer.run(monotonic_ns())
