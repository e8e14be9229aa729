from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbridge._framing cimport Slice
from fastbridge._mulaw cimport Ring
from fastbridge._pacing cimport Schedule

cdef enum:
    FRAME_BYTES = 160
    BYTES_PER_MS = 8


cdef class Segment:
    """The audio of one item in the ring: positions [start, end)."""
    cdef bytes item_id, response_id
    cdef int64_t start, end
    cdef int64_t heard                      # bytes, frozen by a clear; -1 while it can still grow


cdef class Reply:
    """One response in the ring: positions [start, end), end -1 while it is open."""
    cdef str response_id
    cdef int64_t start, end
    cdef bint begun                         # its first frame has left
    cdef bint marked                        # its end mark has left, and nothing of it is to be sent again


cdef class PendingMark:
    cdef bytes name
    cdef int64_t position
    cdef int64_t expected_ns                # when its audio has been played, if the carrier plays at once
    cdef str ends                           # the response it ends, or None


cdef class Playout:
    cdef Ring ring
    cdef Schedule schedule
    # state
    cdef int64_t sent                       # position after the last frame that left
    cdef int64_t heard                      # the furthest position known to be heard
    cdef int64_t marked_at                  # position at the last mark sent
    cdef int64_t delay_ns                   # how much later than our estimate the carrier plays, by the marks
    cdef int64_t[4] delays
    cdef int delay_count
    cdef bint held                          # the carrier has been cleared, what is unheard is kept
    cdef list segments, replies, pending
    cdef Reply current                      # the last that `leaving` found
    cdef uint32_t epoch
    # counters
    cdef uint64_t marks_sent, marks_played, stale_marks, frames_rewound
    cdef int64_t echoed_at, echoed_ns       # of the last mark that came back: position, and when

    cdef void warm(self, int64_t position) noexcept
    cdef Py_ssize_t unsent(self) noexcept
    cdef int64_t unheard_frames(self, int64_t now) noexcept
    cdef int64_t heard_at(self, int64_t now) noexcept
    cdef bint is_playing(self, int64_t now) noexcept
    cdef bint hearing(self, int64_t now, uint8_t *frame) noexcept
    cdef Reply open_reply(self)
    cdef Reply leaving(self)
    cdef int begin(self, str response_id, int64_t now) except -1
    cdef Reply end(self, str response_id)
    cdef int receive(self, Slice item_id, bytes response_id, int64_t start) except -1
    cdef bytes next_mark(self, str ends)
    cdef list echo(self, bytes name, int64_t now)
    cdef int64_t unechoed(self, int64_t now, int64_t silent_ns) noexcept
    cdef void note_delay(self, int64_t delay) noexcept
    cdef int reclaim(self, int64_t now) except -1
    cdef int hold(self, int64_t now) except -1
    cdef list resume(self)
    cdef int forget(self, int64_t now) except -1
    cdef list items(self, int64_t now)
