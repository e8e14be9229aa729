from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    FRAME = 160
    LINEAR_BITS = 10                        # below 1024 ns a bucket is one nanosecond ...
    OCTAVE_BITS = 8                         # ... above it an octave has 256 buckets, each 0.4 % wide
    OCTAVES = 27                            # up to 137 s
    BUCKETS = (1 << LINEAR_BITS) + (OCTAVES << OCTAVE_BITS)
    TABLE = 1 << 17                         # bytes of the model's speech: no stretch of it comes twice
    RESPONSES = 16                          # that a call's ear may lag behind, a power of two
    MARKS = 256                             # pending in one player, a power of two
    MARK_NAME = 111
    FINDER = 4096


cdef struct Hist:
    uint64_t count
    double total
    int64_t low
    int64_t high
    uint64_t[BUCKETS] buckets


cdef struct Finder:
    Py_ssize_t size
    uint64_t skipped                        # bytes that belong to no frame
    uint8_t[FINDER] data


cdef struct Mark:
    int64_t at_ns
    int size
    char[MARK_NAME] name


cdef struct Playout:
    int64_t end_ns                          # when all that came will have been played
    uint32_t first, next                    # of the pending marks
    uint64_t marks_overflowed
    Mark[MARKS] marks


cdef struct Spoken:
    uint32_t sent                           # bytes
    uint8_t done                            # no more will be sent
    uint8_t cut                             # interrupted or cancelled: its rest may be missing


cdef struct Talk:
    uint32_t call
    int64_t begun                           # responses
    int64_t response                        # the one being heard
    uint32_t position                       # the byte of it expected next
    int64_t floor                           # after a clear: where it may resume from; -1 otherwise
    uint64_t faults, lost, altered, repeated, foreign, padding, silence, resumed
    Spoken[RESPONSES] spoken


cdef void hist_add(Hist *hist, int64_t value_ns) noexcept nogil
cdef void write_tag(uint8_t *frame, uint32_t call, uint32_t number) noexcept nogil
cdef bint read_tag(const uint8_t *frame, uint32_t *call, uint32_t *number) noexcept nogil
cdef Py_ssize_t finder_put(Finder *finder, const uint8_t *data, Py_ssize_t count) noexcept nogil
cdef bint finder_take(Finder *finder, uint8_t *frame, uint32_t *call, uint32_t *number) noexcept nogil
cdef int64_t playout_take(Playout *playout, int64_t now_ns, Py_ssize_t count) noexcept nogil
cdef bint playout_mark(Playout *playout, int64_t now_ns, const char *name, Py_ssize_t size) noexcept nogil
cdef Mark *playout_due(Playout *playout, int64_t now_ns) noexcept nogil
cdef void playout_clear(Playout *playout, int64_t now_ns) noexcept nogil
cdef void talk_init(Talk *talk, uint32_t call) noexcept nogil
cdef Spoken *talk_spoken(Talk *talk, int64_t response) noexcept nogil
cdef int64_t talk_begin(Talk *talk) noexcept nogil
cdef const uint8_t *talk_say(Talk *talk, Py_ssize_t count) noexcept nogil
cdef void talk_cleared(Talk *talk, Py_ssize_t buffered) noexcept nogil
cdef int talk_hear(Talk *talk, const uint8_t *data, Py_ssize_t count) noexcept nogil


cdef class Histogram:
    cdef Hist hist
