from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    LATENESS_BUCKETS = 9                    # to 1, 2, 5, 10, 20, 50, 100, 200 ms, and all above

cdef int64_t clock_now() noexcept nogil
cdef int bucket_of(const int64_t *bounds, int count, int64_t value) noexcept nogil
cdef int64_t read_clock(object clock) except? -1


cdef class Schedule:
    cdef int64_t lead                       # ns
    cdef readonly int64_t due_ns
    cdef readonly int64_t play_end_ns
    cdef int64_t last_sent                  # ns, 0 before the first frame
    cdef bint fresh                         # the next frame is the first of its talk-spurt
    cdef bint starving
    cdef readonly uint64_t frames_sent
    cdef readonly uint64_t tx_late_frames
    cdef readonly uint64_t tx_schedule_resets
    cdef readonly uint64_t underruns
    cdef uint32_t[256] intervals            # buckets of 0.25 ms; the last takes all above
    cdef uint64_t interval_count
    cdef int64_t interval_max               # ns
    cdef uint64_t[LATENESS_BUCKETS] lateness    # of frames that left after they were due
    cdef readonly int64_t lateness_ns       # the sum of it

    cdef void begin(self, int64_t now) noexcept
    cdef int64_t earliest(self) noexcept
    cdef void record_sent(self, int64_t now) noexcept
    cdef void record_lateness(self, int64_t lateness) noexcept
    cdef void record_starve(self) noexcept
    cdef void record_feed(self, int64_t now) noexcept
    cdef void record_untaken(self, int64_t now, int64_t frames) noexcept
    cdef void record_cleared(self, int64_t now) noexcept
    cdef void record_interval(self, int64_t interval) noexcept


cdef class Paced:
    cdef Py_ssize_t slot                    # index in its pacer's list, -1 when idle
    cdef int64_t wanted                     # when it wants to be run again
    cdef int64_t run(self, int64_t now) except? -2
    cdef void warm(self, int step) noexcept # it will be run soon: fetch what that will need; by steps 0, 1


cdef class Pacer:
    cdef list lanes
    cdef int wake(self, Paced lane) except -1
    cdef int rest(self, Paced lane) except -1
    cdef void warm(self, int64_t now, int step) noexcept
