"""What is left of calls and sockets that have ended: taken apart when nobody can want it any more.

They hold each other in circles, which the collector would have to find in a node that answers calls.
"""

import asyncio

from fastbridge.call.call import Call
from fastbridge.call.teardown import TEARDOWN_SECONDS, dismantle, take_apart


class Leftovers:
    """One process's."""

    def __init__(self) -> None:
        self._timers: dict[object, asyncio.TimerHandle] = {}

    def call(self, call: Call) -> None:
        """A call has ended: what its hooks still do is waited for, and what is still asked of the carrier."""
        self._timers[call] = asyncio.get_running_loop().call_later(TEARDOWN_SECONDS, self._dismantle, call)

    def parts(self, *parts: object, at_once: bool = False) -> None:
        """A socket has closed, and these were it. at_once: nobody can want them now."""
        if at_once:
            take_apart(*parts)
            return
        self._timers[parts] = asyncio.get_running_loop().call_later(TEARDOWN_SECONDS, self._take_apart, parts)

    def close(self) -> None:
        """They are left as they are."""
        for timer in self._timers.values():
            timer.cancel()

    def _dismantle(self, call: Call) -> None:
        del self._timers[call]
        if call.hooks.running or call.transfers.asking:
            self.call(call)
        else:
            dismantle(call)

    def _take_apart(self, parts: tuple[object, ...]) -> None:
        del self._timers[parts]
        take_apart(*parts)
