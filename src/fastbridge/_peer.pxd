from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbridge._framing cimport Slice

cdef enum:
    READ_BYTES = 1 << 20                    # one read; also the longest message
    QUEUE_BYTES = 1 << 22                   # that a bridge may leave unread before its connection is given up


cdef enum Opcode:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


cdef struct Peer:
    int fd                                  # -1: closed
    bint client                             # our frames are masked, theirs are not
    uint32_t mask_state
    uint8_t *kept                           # the beginning of a message whose end has not come yet
    Py_ssize_t kept_size, kept_capacity
    uint8_t *queued                         # what the kernel has not taken
    Py_ssize_t queued_size, queued_capacity, queued_peak


cdef struct Message:
    int opcode
    bint whole                              # FIN
    char *text
    Py_ssize_t size


cdef int64_t monotonic() noexcept nogil
cdef void sleep_until(int64_t deadline_ns) noexcept nogil
cdef void wait_until(int epoll, int64_t deadline_ns) noexcept nogil
cdef int watch(int epoll, int fd, uint64_t tag) noexcept nogil
cdef void peer_open(Peer *peer, int fd, bint client, uint32_t seed) noexcept nogil
cdef void peer_close(Peer *peer) noexcept nogil
cdef Py_ssize_t peer_read(Peer *peer, uint8_t *buffer, int64_t *arrived_ns) noexcept nogil
cdef bint peer_keep(Peer *peer, const uint8_t *rest, Py_ssize_t count) noexcept nogil
cdef bint peer_send(Peer *peer, int opcode, const char *payload, Py_ssize_t size) noexcept nogil
cdef bint peer_flush(Peer *peer) noexcept nogil
cdef Py_ssize_t cut_message(uint8_t *data, Py_ssize_t count, bint masked, Message *out) noexcept nogil
cdef bint json_value(const char *text, Py_ssize_t size, const char *key, Slice *out) noexcept nogil
cdef bint json_is(Slice value, const char *text) noexcept nogil
cdef int64_t json_integer(Slice value) noexcept nogil
