"""Memory that will be needed soon, fetched while there is something else to do.

Hundreds of calls take turns, and each finds its state gone from the near caches. Waiting for it, line by line, costs more
than the work. It is known who is next, though.
"""

cdef extern from *:
    """
    static inline void fb_prefetch(const void *at, Py_ssize_t size) {
    #ifdef __GNUC__
        for (Py_ssize_t i = 0; i < size; i += 64) __builtin_prefetch((const char *)at + i, 1);
    #endif
    }
    """
    void prefetch "fb_prefetch"(const void *at, Py_ssize_t size) noexcept nogil

# Of what is fetched; these need not be exact, and of large objects it is the part that each frame meets.
cdef enum:
    DETECTOR_BYTES = 2880
    LANE_BYTES = 256
    LATENCY_BYTES = 128
    PLAYOUT_BYTES = 192
    READER_BYTES = 128
    REPLY_BYTES = 64
    RING_BYTES = 128
    SCHEDULE_BYTES = 128
    SID_BYTES = 128
    SINK_BYTES = 320
    SOURCE_BYTES = 64
    TEMPLATE_BYTES = 512
    WIRE_BYTES = 128
