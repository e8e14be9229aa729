from libc.stdint cimport int64_t, uint64_t

cdef enum:
    LAG_BUCKETS = 12                        # to 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 ms, and all above


cdef class Beat:
    cdef object callback                    # None once it was cancelled
    cdef set slot


cdef class Ticker:
    cdef object loop, clock, sleep_until
    cdef object pace, flush, read           # what a tick does; read is None where the loop reads
    cdef int64_t tick_ns
    cdef list slots                         # of a second: sets of Beats
    cdef int64_t struck                     # the last slot whose beats were called
    cdef int64_t due_ns                     # the boundary before which this turn should be done; 0 where none ticks
    cdef Py_ssize_t users                   # live calls
    cdef bint scheduled
    cdef bint hurried                       # the next turn does not sleep
    cdef uint64_t[LAG_BUCKETS] buckets
    cdef int64_t sum_ns

    cdef int schedule(self) except -1
    cdef int strike(self, int64_t slot) except -1
    cdef int64_t boundary(self, int64_t now) noexcept
    cdef int attempt(self, step, argument=*) except -1
    cdef void count_lag(self, int64_t lag) noexcept
