from libc.stdint cimport int64_t, uint8_t, uint64_t

from fastbridge._framing cimport Slice
from fastbridge._loadlive cimport LiveModel
from fastbridge._loadmodel cimport Caller, Session
from fastbridge._measure cimport Hist


cdef struct Command:
    int kind
    int index
    int fd


cdef class Players(LiveModel):
    cdef int slots
    cdef int[2] pipe
    cdef int *slot_first                    # per slot: a caller; then on by slot_next
    cdef int *slot_next
    cdef bint eager
    cdef volatile bint stopping
    cdef int64_t slot_ns, barge_after_ns
    cdef int64_t turn_ns                    # the present slot's time
    cdef int64_t look_ns, looked_ns         # when we looked, and when before
    cdef bint unsure                        # the message in hand came in a read of several, and late
    cdef Hist *spacing
    cdef Hist *lead
    cdef Hist *late
    cdef Hist *send_late
    cdef Hist *first_created
    cdef Hist *first_start
    cdef Hist *barge

    cdef int command(self, int kind, int index, int fd) except -1
    cdef void run(self, int64_t deadline_ns) noexcept nogil
    cdef void slot(self, int64_t turn, int64_t now) noexcept nogil
    cdef void look(self) noexcept nogil
    cdef void obey(self) noexcept nogil
    cdef void read_peer(self, Caller *caller, Session *session) noexcept nogil
    cdef void lost_peer(self, Caller *caller, Session *session) noexcept nogil
    cdef void begin_call(self, int index, int fd) noexcept nogil
    cdef void end_call(self, Caller *caller) noexcept nogil
    cdef void caller_turn(self, Caller *caller, int64_t now) noexcept nogil
    cdef void send_frame(self, Caller *caller, int64_t now) noexcept nogil
    cdef const uint8_t *plan_frame(self, Caller *caller, int64_t now) noexcept nogil
    cdef void echo_marks(self, Caller *caller, int64_t now) noexcept nogil
    cdef void caller_text(self, Caller *caller, const char *text, Py_ssize_t size, int64_t at) noexcept nogil
    cdef void media(self, Caller *caller, Slice payload, int64_t at) noexcept nogil
    cdef void spaced(self, Caller *caller, Py_ssize_t size, bint first, int64_t at) noexcept nogil
    cdef void response_heard(self, Caller *caller, Session *session, int64_t at) noexcept nogil
    cdef void cleared(self, Caller *caller, int64_t at) noexcept nogil
