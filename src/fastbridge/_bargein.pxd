from libc.stdint cimport uint8_t


cdef class Detector:
    cdef double threshold                    # mean power of a frame that counts as loud
    cdef int frames
    cdef double power                        # of the last frame
    cdef readonly int loud_frames, voice_ms

    cdef bint judge(
        self, const uint8_t *ulaw, Py_ssize_t count, const uint8_t *playing, Py_ssize_t playing_count
    ) noexcept nogil
