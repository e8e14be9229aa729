"""The writing end of a socket: straight to the kernel while nothing is queued, else through the transport, in order.

A transport may hold a write back until the end of the loop's turn. For a frame that must not leave too early or too close
to the last one that is a lie about time: with a slow callback in between, its time stamp and the wire differ by as much.

What leaves for the model has no such rule, and many calls' frames come in one reading: those wait in the outbox until
all have been read, and leave one behind the other. Sent one by one between two readings, each would wake its receiver
anew, and kernel and lanes would push each other out of the caches.
"""

import asyncio

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from fastbridge._pacing cimport bucket_of, clock_now

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int MSG_DONTWAIT

cdef extern from *:
    """
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif
    """
    int MSG_NOSIGNAL
    int MSG_MORE

cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/ioctl.h>
    #include <linux/sockios.h>
    static int fb_unacknowledged(int fd) { int count = 0; return ioctl(fd, SIOCOUTQ, &count) < 0 ? 0 : count; }
    #else
    static int fb_unacknowledged(int fd) { (void)fd; return 0; }
    #endif
    """
    int fb_unacknowledged(int fd) nogil

cdef int64_t[LATENCY_BUCKETS - 1] LATENCY_BOUNDS
LATENCY_BOUNDS[:] = [10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000]


cdef class Latency:
    """How long frames took from here in to written, by bucket."""

    cdef void count(self, int64_t elapsed) noexcept:
        self.sum_ns += elapsed
        self.buckets[bucket_of(LATENCY_BOUNDS, LATENCY_BUCKETS - 1, elapsed)] += 1

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple([self.buckets[i] for i in range(LATENCY_BUCKETS)])


cdef class Outbox:
    """One frame a wire; the next one pushes it out."""

    def __init__(self):
        self.wires = []

    cdef int post(self, Wire wire, bytes data, Latency latency, int64_t since_ns) except -1:
        if wire.posted is not None:
            wire.leave()
        wire.posted = data
        wire.latency = latency
        wire.posted_ns = since_ns
        if not wire.listed:
            wire.listed = True
            self.wires.append(wire)
            self.peak = max(self.peak, <Py_ssize_t>len(self.wires))
        return 0

    def flush(self) -> None:
        cdef Wire wire
        cdef Py_ssize_t done = 0
        try:
            while done < len(self.wires):
                wire = self.wires[done]
                done += 1
                wire.listed = False
                if wire.posted is not None:
                    wire.leave()
        finally:
            del self.wires[:done]           # whatever one raised, the others leave with the next flush


cdef class Wire:
    """Owns all writing to one transport."""

    def __init__(self, transport):
        socket = transport.get_extra_info("socket")
        self.transport_write = transport.write
        self.is_closing = transport.is_closing
        self.buffered = transport.get_write_buffer_size
        self.loop = asyncio.get_running_loop()
        self.socket_fd = socket.fileno() if socket is not None else -1
        self.fd = self.socket_fd if transport.get_extra_info("ssl_object") is None else -1

    def __call__(self, bytes data not None) -> None:
        self.put(data)

    def write(self, bytes data not None) -> None:
        self.put(data)

    def close(self) -> None:
        # The descriptor's number may belong to another connection from now on.
        self.closed = True
        self.fd = self.socket_fd = -1

    def untaken_bytes(self) -> int:
        return self.untaken()

    cdef Py_ssize_t untaken(self) except -1:
        if self.closed or self.is_closing():
            return 0
        return self.buffered() + (fb_unacknowledged(self.socket_fd) if self.socket_fd >= 0 else 0)

    cdef int put(self, bytes data, bint more=False) except -1:
        """more: something else follows at once, which may travel in the same packet."""
        if self.posted is not None:
            self.leave()
        return self.send_now(data, more)

    cdef int leave(self) except -1:
        """What was posted goes."""
        cdef bytes data = self.posted
        cdef Latency latency = self.latency
        self.posted = self.latency = None
        self.send_now(data, False)
        if latency is not None:
            latency.count(clock_now() - self.posted_ns)
        return 0

    cdef int send_now(self, bytes data, bint more) except -1:
        cdef Py_ssize_t sent, size = PyBytes_GET_SIZE(data)
        if self.closed:
            return 0
        if self.behind and not self.settling and self.buffered() == 0:
            self.behind = False
        if self.fd < 0 or self.behind:
            return self.hand_over(data)
        sent = send(self.fd, PyBytes_AS_STRING(data), size, MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if more else 0))
        if sent == size:
            self.direct_writes += 1
            return 0
        if sent > 0:
            data = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + sent, size - sent)
        # Full, or broken: the transport finds out which.
        return self.hand_over(data)

    cdef int hand_over(self, bytes data) except -1:
        if self.is_closing():
            return 0
        self.queued_writes += 1
        self.transport_write(data)
        if self.fd < 0:                     # encrypted: all of it goes this way, and nothing can overtake it
            return 0
        self.behind = True
        if not self.settling:
            self.settling = True
            self.loop.call_soon(self._settled)
        return 0

    def _settled(self) -> None:
        self.settling = False
