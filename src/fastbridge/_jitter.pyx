"""How late a stream's audio comes, against the soonest of late; and how long it is to wait, so that there is no gap.

The stream is its own clock, 20 ms a frame. What came soonest in the last seconds had the network's least delay, and
anything else is so much later than that. Two clocks that differ by some parts in a million move nothing within such a
window. A leaf: it knows no ring, no pacer and no clock.
"""

from libc.stdint cimport INT64_MAX, int64_t

cdef int64_t FRAME = 20_000_000
cdef int64_t SOONEST_WINDOW = 5_000_000_000     # looked back at: 5 s to 10 s
cdef int64_t LATEST_WINDOW = 8_000_000_000
cdef int64_t LEAST = 60_000_000                 # for the carrier's network
cdef int64_t MOST = 140_000_000                 # rather a gap now and then than to wait longer
cdef int64_t MARGIN = 10_000_000                # for our own lateness

SOONEST_WINDOW_NS = SOONEST_WINDOW
LATEST_WINDOW_NS = LATEST_WINDOW
LEAST_NS = LEAST
MOST_NS = MOST


cdef void turn(Window *window, int64_t number, int64_t nothing) noexcept:
    """On to the window of this number."""
    if number != window.number:
        window.before = window.now if number == window.number + 1 else nothing
        window.now = nothing
        window.number = number


cdef class Jitter:
    """Of one stream, frame by frame."""

    def __cinit__(self):
        self.reset()

    def note(self, int64_t now_ns) -> None:
        self.arrived(now_ns)

    def reset(self) -> None:
        self.frames = self.late_ns = 0
        self.soonest.number = self.latest.number = 0
        self.soonest.now = self.soonest.before = INT64_MAX
        self.latest.now = self.latest.before = 0

    @property
    def wanted_ns(self) -> int:
        return self.wanted()

    cdef void arrived(self, int64_t now) noexcept:
        cdef int64_t since, offset
        if self.frames == 0:
            self.began_ns = now
        since = now - self.began_ns
        offset = since - self.frames * FRAME
        self.frames += 1
        turn(&self.soonest, since // SOONEST_WINDOW, INT64_MAX)
        turn(&self.latest, since // LATEST_WINDOW, 0)
        self.soonest.now = min(self.soonest.now, offset)
        self.late_ns = offset - min(self.soonest.now, self.soonest.before)
        self.latest.now = max(self.latest.now, self.late_ns)

    cdef int64_t wanted(self) noexcept:
        return min(max(max(self.latest.now, self.latest.before) + MARGIN, LEAST), MOST)
