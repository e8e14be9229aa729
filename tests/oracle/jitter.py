"""Twin of fastbridge._jitter: all arrivals kept as a list, and the windows looked for in it."""

from itertools import takewhile

FRAME_NS = 20_000_000
SOONEST_WINDOW_NS, LATEST_WINDOW_NS = 5_000_000_000, 8_000_000_000
LEAST_NS, MARGIN_NS, MOST_NS = 60_000_000, 10_000_000, 140_000_000


class Jitter:
    def __init__(self) -> None:
        self._arrivals: list[tuple[int, int, int]] = []  # since the first, offset, lateness

    def note(self, now_ns: int) -> None:
        if not self._arrivals:
            self._began_ns = now_ns
        since_ns = now_ns - self._began_ns
        offset_ns = since_ns - len(self._arrivals) * FRAME_NS
        soonest_ns = min([offset_ns, *(each[1] for each in self._recent(since_ns, SOONEST_WINDOW_NS))])
        self._arrivals.append((since_ns, offset_ns, offset_ns - soonest_ns))

    def reset(self) -> None:
        self._arrivals.clear()

    @property
    def late_ns(self) -> int:
        return self._arrivals[-1][2] if self._arrivals else 0

    @property
    def wanted_ns(self) -> int:
        latest_ns = 0
        if self._arrivals:
            latest_ns = max(each[2] for each in self._recent(self._arrivals[-1][0], LATEST_WINDOW_NS))
        return min(max(latest_ns + MARGIN_NS, LEAST_NS), MOST_NS)

    def _recent(self, since_ns: int, window_ns: int) -> list[tuple[int, int, int]]:
        """Those of this window and of the one before it."""
        first_ns = (since_ns // window_ns - 1) * window_ns
        return list(takewhile(lambda each: each[0] >= first_ns, reversed(self._arrivals)))
