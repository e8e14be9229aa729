"""Calls that this process has placed and nobody has answered: a node that drains is there for whoever does."""

from collections.abc import Callable

QUEUED_SECONDS = 30.0
"""What may pass, besides the ringing, until one that was placed is answered or told of."""


class Ringing:
    """By the carrier's ids. now_s(): any clock."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._until_s: dict[str, float] = {}

    def placed(self, call_sid: str, ring_seconds: float) -> None:
        """It rings for so long at most; of one that is told of no more nothing is awaited after that."""
        self._expire()
        self._until_s[call_sid] = self._now_s() + ring_seconds + QUEUED_SECONDS

    def over(self, call_sid: str) -> None:
        """It is answered, or has ended."""
        self._until_s.pop(call_sid, None)

    def __len__(self) -> int:
        self._expire()
        return len(self._until_s)

    def _expire(self) -> None:
        now_s = self._now_s()
        for call_sid in [sid for sid, until_s in self._until_s.items() if until_s <= now_s]:
            del self._until_s[call_sid]
