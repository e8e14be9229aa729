"""Linear PCM sent where mu-law was agreed on: told by its bytes, whatever is said, how loud and how fast.

16-bit PCM read as mu-law is loud noise. Every other byte of it, the high one, moves in small steps and passes through
zero between 0x00 and 0xFF; the low ones are anything. In mu-law those two codes are the loudest sample and the softest:
no sound goes from one to the other again and again, and none has its even samples smooth and its odd ones rough. The
order of the two bytes, and where in them a stream begins, make no difference. A leaf: it knows no call and no clock.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, uint8_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    LOUD_CODES = 0x18                       # the codes below are samples under -12,000
    RUN_BYTES = 128
    MIN_LOUD = 64                           # of a block. Speech in mu-law has fewer, and is not looked at any further
    SMALL_STEP = 24                         # of a high byte, through zero: up to 6000 in the sample
    LARGE_STEP = 96                         # what a change of sign is in mu-law: 128, more or less
    MIN_CROSSINGS = 2                       # small ones. A deep voice at 24 kHz makes hardly more in a block
    CROSSING_RATIO = 4                      # small ones to large ones
    ROUGHNESS_RATIO = 3                     # the way of the low bytes to that of the high ones
    MIN_SIXTEENTHS = 10                     # of their range, in which low bytes are found
    RECENT_BLOCKS = 8
    MIN_BLOCKS = 2                          # so many of the recent ones are PCM: it is no accident


cdef struct Half:                           # every other byte of a block, as signed numbers
    int way                                 # from each to the next, summed up
    int small                               # changes of sign by a small step
    int large
    uint32_t found                          # sixteenths of their range, a bit each


cdef bint is_pcm(const uint8_t *block) noexcept nogil:
    """Whether this block of an item's audio is 16-bit PCM, in either order of the bytes."""
    cdef Half even, odd
    if count_loud(block) < MIN_LOUD:
        return False
    even, odd = half_of(block, 0), half_of(block, 1)
    return is_pcm_of(odd, even) or is_pcm_of(even, odd)


cdef int count_loud(const uint8_t *block) noexcept nogil:
    """In runs short enough for a sum within a byte, which the vector unit makes sixteen of at once."""
    cdef uint8_t few
    cdef int run, i, loud = 0
    for run in range(BLOCK_BYTES // RUN_BYTES):
        few = 0
        for i in range(RUN_BYTES):
            few += block[run * RUN_BYTES + i] < LOUD_CODES
        loud += few
    return loud


cdef Half half_of(const uint8_t *block, int parity) noexcept nogil:
    cdef Half half
    cdef int i, step, crosses, before = <int8_t>block[parity], byte
    half.way = half.small = half.large = 0
    half.found = 1u << (block[parity] >> 4)
    for i in range(parity + 2, BLOCK_BYTES, 2):
        byte = <int8_t>block[i]
        step = byte - before if byte > before else before - byte
        crosses = (byte ^ before) < 0
        half.way += step
        half.small += crosses & (step <= SMALL_STEP)
        half.large += crosses & (step >= LARGE_STEP)
        half.found |= 1u << (block[i] >> 4)
        before = byte
    return half


cdef bint is_pcm_of(Half high, Half low) noexcept nogil:
    return (
        high.small >= MIN_CROSSINGS
        and high.small >= CROSSING_RATIO * high.large
        and low.way >= ROUGHNESS_RATIO * high.way
        and bits_of(low.found) >= MIN_SIXTEENTHS
    )


cdef inline int bits_of(uint32_t word) noexcept nogil:
    cdef int count = 0
    while word:
        word &= word - 1
        count += 1
    return count


cdef class PcmWatch:
    """One item at a time, in pieces of any size: the verdict does not depend on where they are cut."""

    def begin(self) -> None:
        self.reset()

    def feed(self, bytes audio not None) -> bool:
        return self.hear(<const uint8_t *>PyBytes_AS_STRING(audio), PyBytes_GET_SIZE(audio))

    cdef void reset(self) noexcept:
        self.kept = 0
        self.recent = 0
        self.told = False

    cdef bint hear(self, const uint8_t *audio, Py_ssize_t size) noexcept:
        cdef Py_ssize_t count
        while size > 0 and not self.told:
            if self.kept == 0 and size >= BLOCK_BYTES:
                count = BLOCK_BYTES
                self.judge(audio)
            else:
                count = min(size, BLOCK_BYTES - self.kept)
                memcpy(self.block + self.kept, audio, count)
                self.kept += count
                if self.kept == BLOCK_BYTES:
                    self.kept = 0
                    self.judge(self.block)
            audio += count
            size -= count
            if self.told:
                return True
        return False

    cdef void judge(self, const uint8_t *block) noexcept:
        self.recent = ((self.recent << 1) | is_pcm(block)) & ((1 << RECENT_BLOCKS) - 1)
        self.told = bits_of(self.recent) >= MIN_BLOCKS
