"""Twin of fastbridge._pacing: intervals in a list, lanes in a list."""

import math
import time
from itertools import pairwise

FRAME_NS = 20_000_000
SPACING_NS = 18_000_000
GUARD_NS = 500_000
LATE_NS = 2_000_000
RESET_NS = 200_000_000
BUCKET_NS = 250_000
BUCKETS = 256


def by_bucket(values: list[int], bounds: list[int]) -> tuple[int, ...]:
    """How many are at most the first bound, more than it and at most the second, and so on; the last: above all."""
    edges = [-1, *bounds, math.inf]
    return tuple(sum(low < value <= high for value in values) for low, high in pairwise(edges))


class Schedule:
    def __init__(self, *, lead_ms: int = 160) -> None:
        self._lead_ns = lead_ms * 1_000_000
        self._last_sent_ns: int | None = None
        self._first_of_spurt = True
        self._starved = False
        self._intervals_ns: list[int] = []
        self._lateness_ns: list[int] = []
        self.due_ns = 0
        self.play_end_ns = 0
        self.frames_sent = 0
        self.tx_late_frames = 0
        self.tx_schedule_resets = 0
        self.underruns = 0

    def start(self, now_ns: int) -> None:
        self.due_ns = max(now_ns, self.due_ns)
        if self._last_sent_ns is not None:
            self.due_ns = max(self.due_ns, self._last_sent_ns + SPACING_NS + GUARD_NS)
        self._first_of_spurt = True
        self._starved = False

    def sent(self, now_ns: int) -> None:
        lateness_ns = now_ns - self.due_ns
        self._lateness_ns.append(max(0, lateness_ns))
        if lateness_ns > RESET_NS:
            self.tx_schedule_resets += 1
            self.due_ns = now_ns + FRAME_NS
        else:
            self.tx_late_frames += lateness_ns > LATE_NS
            self.due_ns += FRAME_NS
        self.play_end_ns = max(self.play_end_ns, now_ns) + FRAME_NS
        if not self._first_of_spurt and self._last_sent_ns is not None:
            self._intervals_ns.append(now_ns - self._last_sent_ns)
        self._first_of_spurt = False
        self._last_sent_ns = now_ns
        self.frames_sent += 1

    def keep_distance(self, now_ns: int) -> None:
        """A mark left: it may reach the carrier together with its frame."""
        self._last_sent_ns = max(self._last_sent_ns or 0, now_ns)

    def starve(self) -> None:
        self._starved = True

    def feed(self, now_ns: int) -> None:
        if self._starved and now_ns > self.due_ns:
            self.underruns += 1
            self.due_ns = now_ns
        self._starved = False

    def untaken(self, now_ns: int, frames: int) -> None:
        self.play_end_ns = max(self.play_end_ns, now_ns + frames * FRAME_NS)

    def cleared(self, now_ns: int) -> None:
        self.due_ns = now_ns
        self.play_end_ns = min(self.play_end_ns, now_ns)
        self._starved = False

    @property
    def earliest_ns(self) -> int:
        by_lead = self.due_ns - self._lead_ns
        if self._last_sent_ns is None:
            return by_lead
        return max(by_lead, self._last_sent_ns + SPACING_NS + GUARD_NS)

    def interval_ms(self, quantile: float) -> float:
        if not self._intervals_ns:
            return 0.0
        rank = max(1, math.ceil(quantile * len(self._intervals_ns)))
        interval_ns = sorted(self._intervals_ns)[rank - 1]
        return (min(interval_ns // BUCKET_NS, BUCKETS - 1) + 1) * 0.25

    @property
    def lateness_counts(self) -> tuple[int, ...]:
        return by_bucket(self._lateness_ns, [bound * 1_000_000 for bound in (1, 2, 5, 10, 20, 50, 100, 200)])

    @property
    def lateness_ns(self) -> int:
        return sum(self._lateness_ns)

    @property
    def interval_max_ms(self) -> float:
        return max(self._intervals_ns, default=0) / 1e6


class Paced:
    def _tick(self, now_ns: int) -> int:
        """Send at most one frame; the time of the next, or -1 to leave the pacer."""
        raise NotImplementedError


class Pacer:
    def __init__(self) -> None:
        self._lanes: list[Paced] = []
        self._wanted: dict[Paced, int] = {}  # when each asked to be run again

    def _has(self, lane: Paced) -> bool:
        return lane in self._lanes

    def _join(self, lane: Paced) -> None:
        if not self._has(lane):
            self._lanes.append(lane)
            self._wanted[lane] = 0

    def _leave(self, lane: Paced) -> None:
        if self._has(lane):
            self._lanes.remove(lane)

    def run(self, now_ns: int) -> int:
        failure: Exception | None = None
        for lane in list(self._lanes):
            if self._wanted[lane] <= now_ns:
                try:
                    self._wanted[lane] = lane._tick(now_ns)
                except Exception as error:
                    self._wanted[lane], failure = -1, error
            if self._wanted[lane] < 0:
                self._leave(lane)
        if failure is not None:
            raise failure
        return min((self._wanted[lane] for lane in self._lanes), default=-1)

    @property
    def active(self) -> int:
        return len(self._lanes)


def monotonic_ns() -> int:
    return time.monotonic_ns()


def sleep_until_ns(deadline_ns: int) -> None:
    while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)
