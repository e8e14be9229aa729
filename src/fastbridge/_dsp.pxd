from libc.stdint cimport uint8_t

cdef double limited(double sample) noexcept nogil


cdef class HighpassLimiter:
    cdef public double last_input            # linear samples
    cdef public double last_output           # behind the high-pass, before the limiter
    cdef bint begun                          # a first sample has been seen
    cdef readonly long long failures

    cdef int filter(self, const uint8_t *ulaw, uint8_t *out, Py_ssize_t count) noexcept nogil
