"""The breaker, one per process: whether a new call has any hope of a model.

An error that no retry can cure (a wrong key, an empty account) opens it: callers hear so at once instead of waiting for
a session that cannot be. After a while one call at a time is let through to try; the first that succeeds closes it.
"""

from collections.abc import Callable

OPEN_SECONDS = 15.0
"""Between two tries, while it is open."""


class Breaker:
    """now_ns: CLOCK_MONOTONIC, in nanoseconds."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._next_try_ns: int | None = None  # None: closed

    def trip(self) -> None:
        """The model refused for good."""
        self._next_try_ns = self._now_ns() + int(OPEN_SECONDS * 1e9)

    def reset(self) -> None:
        """A session is up: there is hope."""
        self._next_try_ns = None

    def refuses(self) -> bool:
        """Whether to turn a new call away. False while closed, and for one call in OPEN_SECONDS while open."""
        if self._next_try_ns is None:
            return False
        if self._now_ns() < self._next_try_ns:
            return True
        self._next_try_ns = self._now_ns() + int(OPEN_SECONDS * 1e9)
        return False
