from libc.stdint cimport uint64_t


cdef class Wire:
    cdef object transport_write, is_closing, buffered
    cdef object loop
    cdef int fd                             # -1: the transport's alone
    cdef bint closed
    cdef bint behind                        # something was given to the transport and may not have left yet
    cdef bint settling                      # given in this turn of the loop: the transport has not tried yet
    cdef readonly uint64_t direct_writes, queued_writes

    cdef int put(self, bytes data) except -1
    cdef int hand_over(self, bytes data) except -1
