from libc.stdint cimport int64_t, uint64_t

cdef enum:
    LATENCY_BUCKETS = 10                    # to 10, 20, 50, 100, 200, 500, 1000, 2000, 5000 us, and all above


cdef class Latency:
    cdef uint64_t[LATENCY_BUCKETS] buckets
    cdef readonly int64_t sum_ns

    cdef void count(self, int64_t elapsed) noexcept


cdef class Outbox:
    cdef list wires
    cdef readonly Py_ssize_t peak

    cdef int post(self, Wire wire, bytes data, Latency latency, int64_t since_ns) except -1


cdef class Wire:
    cdef object transport_write, is_closing, buffered
    cdef object loop
    cdef int fd                             # -1: the transport's alone
    cdef int socket_fd                      # the same where the transport encrypts, too
    cdef bint closed
    cdef bint behind                        # something was given to the transport and may not have left yet
    cdef bint settling                      # given in this turn of the loop: the transport has not tried yet
    cdef bytes posted                       # in an outbox, before anything that is written later
    cdef bint listed                        # in the outbox's list, whether or not something is still posted
    cdef Latency latency                    # whom to tell when it has left
    cdef int64_t posted_ns
    cdef readonly uint64_t direct_writes, queued_writes

    cdef int put(self, bytes data, bint more=*) except -1
    cdef Py_ssize_t untaken(self) except -1
    cdef int leave(self) except -1
    cdef int send_now(self, bytes data, bint more) except -1
    cdef int hand_over(self, bytes data) except -1
