from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    BLOCK_BYTES = 1024                      # 128 ms of mu-law; of PCM at 24 kHz a sixth of that


cdef class PcmWatch:
    cdef Py_ssize_t kept                    # bytes of a block that is not whole yet
    cdef uint32_t recent                    # the last blocks, a bit each, the newest lowest: which were PCM
    cdef bint told
    cdef uint8_t[BLOCK_BYTES] block

    cdef void reset(self) noexcept
    cdef bint hear(self, const uint8_t *audio, Py_ssize_t size) noexcept
    cdef void judge(self, const uint8_t *block) noexcept
