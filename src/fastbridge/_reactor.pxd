from fastbridge._websocket cimport FrameReader


cdef class Source:
    cdef Reactor reactor                    # None once it was given back
    cdef FrameReader reader
    cdef object transport
    cdef int fd
    cdef int read_bytes                     # at most, a run
    cdef bint paused

    cdef int read(self) except -1


cdef class Reactor:
    cdef int epoll
    cdef set sources
    cdef list released                      # in this run: the kernel's list of events may still name them
    cdef bint running

    cdef int read(self, Source source) except -1
