from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef class Tape:
    cdef uint8_t *left
    cdef uint8_t *right
    cdef Py_ssize_t capacity                # of a track, a power of two
    # state; positions count bytes of a track since the tape was begun
    cdef int64_t origin_ns
    cdef int64_t base                       # taken up to here
    cdef int64_t left_end, right_end        # behind the last frame of each
    cdef int64_t open_from                  # nothing that begins before is written
    cdef bint has_begun, is_concealed
    # counters
    cdef readonly uint64_t frames, dropped_frames, hidden_frames
    cdef Py_ssize_t peak

    cdef int64_t position(self, int64_t now) noexcept
    cdef void caller(self, const uint8_t *audio, Py_ssize_t size, int64_t missing, int64_t now) noexcept
    cdef void assistant(self, const uint8_t *audio, Py_ssize_t size, int64_t ends_ns) noexcept
    cdef void write(self, uint8_t *track, int64_t at, const uint8_t *audio, Py_ssize_t size) noexcept
    cdef void silence(self, uint8_t *track, int64_t start, int64_t end) noexcept
    cdef void unplay(self, int64_t count) noexcept
