"""How many requests begin in one turn of the loop: a few, whatever the number of connections they come on.

Hundreds of clients that each send one small request at once would be one long turn, which every caller hears. What is
more than a few waits for the next turn, first come, first served. The bound is the number of connections: each has one
request at a time.
"""

import asyncio
from collections import deque
from collections.abc import Callable

PER_TURN = 4
"""Requests, at a fraction of a millisecond each: callers' frames are due every 20 ms, and are sent in between."""


class RequestTurns:
    """Of one process."""

    def __init__(self) -> None:
        self.peak_waiting = 0
        self._left = PER_TURN
        self._waiting: deque[Callable[[], object]] = deque()
        self._next: asyncio.Handle | None = None

    def take(self, begin: Callable[[], object]) -> None:
        """Call `begin` now, or in one of the next turns."""
        if self._left and not self._waiting:
            self._left -= 1
            self._come_back()
            begin()
            return
        self._waiting.append(begin)
        self.peak_waiting = max(self.peak_waiting, len(self._waiting))
        self._come_back()

    def _come_back(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._next = None
        self._left = PER_TURN
        while self._waiting and self._left:
            self._left -= 1
            self._come_back()
            self._waiting.popleft()()
