"""When a frame may leave. Times are CLOCK_MONOTONIC nanoseconds, always given by the caller.

FRAME = 20 ms. Frame n of a talk-spurt is due at t0 + n * 20 ms. It may leave up to `lead_ms` before it is due, never
less
than SPACING_NS after its predecessor on the same call.
"""

FRAME_NS: int
"""20_000_000."""
SPACING_NS: int
"""18_000_000: the law: no two frames of a call are closer than this on the wire."""
GUARD_NS: int
"""500_000: added to SPACING_NS when planning, since a write reaches the wire up to that much later than its time stamp.
"""
LATE_NS: int
"""2_000_000: a frame later than this after its due time counts as late (the loop ticks each millisecond)."""
RESET_NS: int
"""200_000_000: beyond this lateness the schedule is re-anchored at now."""

class Schedule:
    """The pacing state of one call: pure arithmetic.

    start(now): a talk-spurt begins: due_ns = max(now, due_ns). (Audio still playing at the carrier pushes the due time
    out.)
    earliest_ns: max(due_ns - lead, last sent + SPACING_NS + GUARD_NS); before any frame was sent, due_ns - lead.
    sent(now): one frame left at `now`. lateness = now - due_ns.
        lateness > RESET_NS: tx_schedule_resets += 1, due_ns = now + FRAME_NS
        LATE_NS < lateness <= RESET_NS: tx_late_frames += 1, due_ns += FRAME_NS
        else due_ns += FRAME_NS
      and play_end_ns = max(play_end_ns, now) + FRAME_NS; and, unless it is the first of its talk-spurt, the
      interval since the frame before goes into the histogram.
    starve(): a frame is wanted and there is none, mid-response. Until `feed`, nothing can be late.
    feed(now): audio again after starve(). If now > due_ns the carrier ran dry: underruns += 1, due_ns = now. Else
    nothing happened.
    cleared(now): the carrier's buffer was emptied: due_ns = now, play_end_ns = now (the spacing rule still holds).
    """

    def __init__(self, *, lead_ms: int = 160) -> None: ...
    def start(self, now_ns: int) -> None: ...
    def sent(self, now_ns: int) -> None: ...
    def starve(self) -> None: ...
    def feed(self, now_ns: int) -> None: ...
    def cleared(self, now_ns: int) -> None: ...
    def untaken(self, now_ns: int, frames: int) -> None:
        """So many frames that were sent the carrier has not got yet: it plays them from now on at the earliest."""
    @property
    def earliest_ns(self) -> int: ...
    @property
    def due_ns(self) -> int: ...
    @property
    def play_end_ns(self) -> int:
        """When the carrier will have played all that was sent, if it plays at once. 0 before the first frame."""
    @property
    def frames_sent(self) -> int: ...
    @property
    def tx_late_frames(self) -> int: ...
    @property
    def tx_schedule_resets(self) -> int: ...
    @property
    def underruns(self) -> int: ...
    def interval_ms(self, quantile: float) -> float:
        """Inter-frame interval within talk-spurts: the upper edge of the 0.25 ms bucket that holds the quantile
        (smallest bucket whose cumulative count >= quantile * total and > 0), 64.0 at most; 0.0 without any."""
    @property
    def interval_max_ms(self) -> float: ...
    @property
    def lateness_counts(self) -> tuple[int, ...]:
        """Frames sent, by how long after they were due: up to 1, 2, 5, 10, 20, 50, 100, 200 ms (inclusive), later."""
    @property
    def lateness_ns(self) -> int:
        """The sum of what they were late."""

class Paced:
    """What a Pacer drives: subclasses (AssistantLane) say in C what a tick does."""

class Pacer:
    """All calls' talk-spurts, on one clock. Lanes join when they have audio and leave when they run out."""

    def run(self, now_ns: int) -> int:
        """Send every frame that may leave by now, at most one per lane, asking each lane when it wanted to be asked.
        The earliest time a lane wants to be run again, or -1 if no lane is active.
        """
    @property
    def active(self) -> int: ...

def monotonic_ns() -> int:
    """CLOCK_MONOTONIC, in nanoseconds."""

def sleep_until_ns(deadline_ns: int) -> None:
    """Block the thread, without the GIL, until CLOCK_MONOTONIC reaches the deadline, or a signal comes. For the loop's
    tick.
    """
