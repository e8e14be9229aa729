from libc.stdint cimport int64_t


cdef struct Window:
    int64_t number                          # of its kind, since the stream began
    int64_t now, before                     # what was found in it, and in the one before it


cdef class Jitter:
    cdef int64_t began_ns, frames
    cdef Window soonest, latest             # the least offset of an arrival; the most lateness
    cdef readonly int64_t late_ns

    cdef void arrived(self, int64_t now) noexcept
    cdef int64_t wanted(self) noexcept
