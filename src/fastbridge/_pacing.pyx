"""When a frame may leave. Times are CLOCK_MONOTONIC nanoseconds, always given by the caller.

A call's schedule is arithmetic on absolute due times, so that lateness never adds up; one pacer per process asks
every call with audio on each tick. Nothing here knows what a frame contains.
"""

from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec

from fastbridge._prefetch cimport LANE_BYTES, prefetch

cdef enum:
    FRAME = 20_000_000
    SPACING = 18_000_000
    GUARD = 500_000
    LATE = 2_000_000
    RESET = 200_000_000
    BUCKET = 250_000
    BUCKETS = 256
    MILLISECOND = 1_000_000
    SECOND = 1_000_000_000
    AHEAD = 4                               # lanes, of which the next are fetched

FRAME_NS = FRAME
SPACING_NS = SPACING
GUARD_NS = GUARD
LATE_NS = LATE
RESET_NS = RESET

cdef int64_t[LATENESS_BUCKETS - 1] LATENESS_BOUNDS
LATENESS_BOUNDS[:] = [
    1 * MILLISECOND, 2 * MILLISECOND, 5 * MILLISECOND, 10 * MILLISECOND, 20 * MILLISECOND, 50 * MILLISECOND,
    100 * MILLISECOND, 200 * MILLISECOND,
]


cdef int64_t clock_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * SECOND + now.tv_nsec


cdef int bucket_of(const int64_t *bounds, int count, int64_t value) noexcept nogil:
    """The first of `count` ascending bounds that value is not above; `count` where it is above all."""
    cdef int i = 0
    while i < count and value > bounds[i]:
        i += 1
    return i


def monotonic_ns() -> int:
    return clock_now()


cdef object _monotonic_ns = monotonic_ns


cdef int64_t read_clock(object clock) except? -1:
    """An injected clock; the usual one is read without a Python call."""
    return clock_now() if clock is _monotonic_ns else clock()


def sleep_until_ns(int64_t deadline_ns) -> None:
    cdef int64_t left
    cdef timespec pause
    with nogil:
        left = deadline_ns - clock_now()
        if left > 0:
            pause.tv_sec = left // SECOND
            pause.tv_nsec = left % SECOND
            nanosleep(&pause, NULL)         # a signal ends it early, which the caller's loop then handles


cdef class Schedule:
    """The pacing state of one call: pure arithmetic."""

    def __init__(self, *, int lead_ms=160):
        self.lead = <int64_t>lead_ms * MILLISECOND
        self.fresh = True

    cdef void begin(self, int64_t now) noexcept:
        self.due_ns = max(now, self.due_ns)
        if self.last_sent:                  # right behind a clear: the spacing is no lateness
            self.due_ns = max(self.due_ns, self.last_sent + SPACING + GUARD)
        self.fresh = True
        self.starving = False

    cdef int64_t earliest(self) noexcept:
        cdef int64_t by_lead = self.due_ns - self.lead
        if self.last_sent == 0:
            return by_lead
        return max(by_lead, self.last_sent + SPACING + GUARD)

    cdef void record_sent(self, int64_t now) noexcept:
        cdef int64_t lateness = now - self.due_ns
        if lateness > 0:
            self.record_lateness(lateness)
        if lateness > RESET:
            self.tx_schedule_resets += 1
            self.due_ns = now
        elif lateness > LATE:
            self.tx_late_frames += 1
        self.due_ns += FRAME
        self.play_end_ns = max(self.play_end_ns, now) + FRAME
        if not self.fresh:
            self.record_interval(now - self.last_sent)
        self.fresh = False
        self.last_sent = now
        self.frames_sent += 1

    cdef void record_lateness(self, int64_t lateness) noexcept:
        self.lateness_ns += lateness
        self.lateness[bucket_of(LATENESS_BOUNDS, LATENESS_BUCKETS - 1, lateness)] += 1

    cdef void record_starve(self) noexcept:
        self.starving = True

    cdef void record_feed(self, int64_t now) noexcept:
        if self.starving and now > self.due_ns:
            self.underruns += 1
            self.due_ns = now
        self.starving = False

    cdef void record_untaken(self, int64_t now, int64_t frames) noexcept:
        self.play_end_ns = max(self.play_end_ns, now + frames * FRAME)

    cdef void record_cleared(self, int64_t now) noexcept:
        self.due_ns = now
        self.play_end_ns = min(self.play_end_ns, now)  # what had ended before is not the later for it
        self.starving = False

    cdef void record_interval(self, int64_t interval) noexcept:
        cdef int64_t bucket = interval // BUCKET
        self.intervals[min(max(bucket, 0), BUCKETS - 1)] += 1
        self.interval_count += 1
        self.interval_max = max(self.interval_max, interval)

    def start(self, int64_t now_ns) -> None:
        self.begin(now_ns)

    def sent(self, int64_t now_ns) -> None:
        self.record_sent(now_ns)

    def starve(self) -> None:
        self.record_starve()

    def feed(self, int64_t now_ns) -> None:
        self.record_feed(now_ns)

    def untaken(self, int64_t now_ns, int64_t frames) -> None:
        self.record_untaken(now_ns, frames)

    def cleared(self, int64_t now_ns) -> None:
        self.record_cleared(now_ns)

    @property
    def earliest_ns(self) -> int:
        return self.earliest()

    def interval_ms(self, double quantile) -> float:
        cdef uint64_t seen = 0
        cdef int i
        if self.interval_count == 0:
            return 0.0
        for i in range(BUCKETS):
            seen += self.intervals[i]
            if seen > 0 and seen >= quantile * self.interval_count:
                return (i + 1) * BUCKET / 1e6
        return BUCKETS * BUCKET / 1e6

    @property
    def lateness_counts(self) -> tuple[int, ...]:
        cdef list counts = [self.lateness[i] for i in range(LATENESS_BUCKETS)]
        counts[0] += self.frames_sent - sum(counts)     # frames in time, which are most, are not counted one by one
        return tuple(counts)

    @property
    def interval_max_ms(self) -> float:
        return self.interval_max / 1e6


cdef class Paced:
    """What a Pacer drives: subclasses say what a tick does. `run` sends at most one frame and gives the time it
    wants to be run again, or -1 when it has nothing more to send."""

    def __cinit__(self, *args, **kwargs):
        self.slot = -1

    cdef int64_t run(self, int64_t now) except? -2:
        return -1

    cdef void warm(self, int step) noexcept:
        pass


cdef class Pacer:
    """All calls' talk-spurts, on one clock. Lanes join when they have audio and leave when they run out."""

    def __init__(self):
        self.lanes = []

    cdef int wake(self, Paced lane) except -1:
        if lane.slot < 0:
            lane.slot = len(self.lanes)
            lane.wanted = 0
            self.lanes.append(lane)
        return 0

    cdef int rest(self, Paced lane) except -1:
        cdef Paced last
        if lane.slot >= 0:
            last = self.lanes.pop()
            if last is not lane:            # the last lane takes the place that falls free
                self.lanes[lane.slot] = last
                last.slot = lane.slot
            lane.slot = -1
        return 0

    cdef void warm(self, int64_t now, int step) noexcept:
        cdef Py_ssize_t i, count = len(self.lanes)
        for i in range(count):
            if step == 0 and i + AHEAD < count:
                prefetch(<void *>self.lanes[i + AHEAD], LANE_BYTES)
            if (<Paced>self.lanes[i]).wanted <= now:
                (<Paced>self.lanes[i]).warm(step)

    def run(self, int64_t now_ns) -> int:
        cdef Py_ssize_t i = len(self.lanes)
        cdef int64_t soonest = -1
        cdef Paced lane
        cdef object failure = None
        self.warm(now_ns, 0)
        self.warm(now_ns, 1)
        while i > 0:                        # backwards, since a lane that rests is replaced by one already run
            i -= 1
            if i >= len(self.lanes):        # a lane's callback ended other lanes
                continue
            lane = self.lanes[i]
            if lane.wanted <= now_ns:
                try:
                    lane.wanted = lane.run(now_ns)
                except Exception as error:  # one call's trouble: it rests until it has something new to say
                    lane.wanted = -1
                    failure = error
            if lane.wanted < 0:
                self.rest(lane)
            elif soonest < 0 or lane.wanted < soonest:
                soonest = lane.wanted
        if failure is not None:             # whatever one raised, the others had their turn
            raise failure
        return soonest

    @property
    def active(self) -> int:
        return len(self.lanes)
