"""The writing end of a socket: straight to the kernel while nothing is queued, else through the transport, in order.

A transport may hold a write back until the end of the loop's turn. For a frame that must not leave too early or too close
to the last one that is a lie about time: with a slow callback in between, its time stamp and the wire differ by as much.
"""

import asyncio

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int MSG_DONTWAIT

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    int MSG_NOSIGNAL


cdef class Wire:
    """Owns all writing to one transport."""

    def __init__(self, transport):
        socket = transport.get_extra_info("socket")
        self.transport_write = transport.write
        self.is_closing = transport.is_closing
        self.buffered = transport.get_write_buffer_size
        self.loop = asyncio.get_running_loop()
        self.fd = -1
        if socket is not None and transport.get_extra_info("ssl_object") is None:
            self.fd = socket.fileno()

    def __call__(self, bytes data not None) -> None:
        self.put(data)

    def write(self, bytes data not None) -> None:
        self.put(data)

    def close(self) -> None:
        # The descriptor's number may belong to another connection from now on.
        self.closed = True
        self.fd = -1

    cdef int put(self, bytes data) except -1:
        cdef Py_ssize_t sent, size = PyBytes_GET_SIZE(data)
        if self.closed or self.is_closing():
            return 0
        if self.behind and not self.settling and self.buffered() == 0:
            self.behind = False
        if self.fd < 0 or self.behind:
            return self.hand_over(data)
        sent = send(self.fd, PyBytes_AS_STRING(data), size, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent == size:
            self.direct_writes += 1
            return 0
        if sent > 0:
            data = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, size - sent)
        # Full, or broken: the transport finds out which.
        return self.hand_over(data)

    cdef int hand_over(self, bytes data) except -1:
        self.queued_writes += 1
        self.transport_write(data)
        self.behind = True
        if not self.settling:
            self.settling = True
            self.loop.call_soon(self._settled)
        return 0

    def _settled(self) -> None:
        self.settling = False
