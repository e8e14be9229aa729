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
