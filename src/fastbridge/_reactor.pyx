"""The reading end of the sockets of live calls: all that is ready, once a tick, into one buffer.

A loop that reads for us makes an object of each message and a Python call of each reading; with hundreds of calls on a
tick that is more than the lanes' own work. So while a call lives its sockets are read here, and their transports are
told to read no more. They stay the owners: at the end of the stream, or on an error, a socket is given back, and the
transport finds out what there is to find out. Only plain sockets; one that is encrypted stays with its transport.
"""

import asyncio

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t

from fastbridge._prefetch cimport READER_BYTES, SINK_BYTES, SOURCE_BYTES, prefetch

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void *data, size_t size, int flags)
    int MSG_DONTWAIT

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void *ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef enum:
    READ_BYTES = 262_144                    # what is more waits in the kernel until the next tick
    MAX_EVENTS = 512
    AHEAD = 6                               # sockets: one for each step from a source to what its reader needs

# One for the process: what a reader keeps, it copies.
cdef uint8_t[READ_BYTES] buffer


cdef class Source:
    """One socket."""

    def pause(self) -> None:
        self.paused = True
        if self.reactor is not None:
            watch(self.reactor.epoll, self, EPOLL_CTL_MOD, 0)
        elif not self.transport.is_closing():   # it has let go by itself: the transport reads again
            self.transport.pause_reading()

    def resume(self) -> None:
        self.paused = False
        if self.reactor is not None:
            watch(self.reactor.epoll, self, EPOLL_CTL_MOD, EPOLLIN)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def release(self) -> None:
        cdef Reactor reactor = self.reactor
        if reactor is None:
            return
        self.reactor = None
        watch(reactor.epoll, self, EPOLL_CTL_DEL, 0)
        reactor.sources.discard(self)
        if reactor.running:
            reactor.released.append(self)
        if not self.paused and not self.transport.is_closing():
            self.transport.resume_reading()

    cdef int read(self) except -1:
        cdef ssize_t count = recv(self.fd, buffer, self.read_bytes, MSG_DONTWAIT)
        if count > 0:
            return self.reader.feed_raw(buffer, count)
        if count == 0 or (errno != EAGAIN and errno != EINTR):
            self.release()                  # the transport comes upon the same, and knows what to do
        return 0


cdef int watch(int epoll, Source source, int what, uint32_t events) noexcept:
    cdef epoll_event event
    event.events = events
    event.data.ptr = <void *>source
    return epoll_ctl(epoll, what, source.fd, &event)


cdef void warm(epoll_event *events, int count, int now) noexcept:
    """While one socket is read, fetch what the next ones' readers are going to need, pointer by pointer."""
    cdef int step
    if now + AHEAD < count:
        prefetch(events[now + AHEAD].data.ptr, SOURCE_BYTES)
    if 0 <= now + 5 < count:
        prefetch(<void *>(<Source>events[now + 5].data.ptr).reader, READER_BYTES)
    if 0 <= now + 4 < count:
        prefetch(<void *>(<Source>events[now + 4].data.ptr).reader.sink, SINK_BYTES)
    for step in range(3):
        if 0 <= now + 3 - step < count:
            (<Source>events[now + 3 - step].data.ptr).reader.sink.warm(step)


cdef class Reactor:
    def __cinit__(self):
        self.sources = set()
        self.released = []
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1 failed")

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)

    def adopt(self, transport, FrameReader reader not None, *, int read_bytes=READ_BYTES):
        cdef Source source
        socket = transport.get_extra_info("socket")
        if socket is None or transport.get_extra_info("ssl_object") is not None or transport.is_closing():
            return None
        source = Source()
        source.reactor = self
        source.reader = reader
        source.transport = transport
        source.fd = socket.fileno()
        source.read_bytes = min(max(read_bytes, 1), READ_BYTES)
        source.paused = not transport.is_reading()
        if watch(self.epoll, source, EPOLL_CTL_ADD, 0 if source.paused else EPOLLIN) < 0:
            source.reactor = None
            return None
        self.sources.add(source)
        if not source.paused:
            transport.pause_reading()
        return source

    def run(self) -> None:
        cdef epoll_event[MAX_EVENTS] events
        cdef Py_ssize_t left = len(self.sources)
        cdef int i, count = MAX_EVENTS
        self.running = True
        try:
            while count == MAX_EVENTS and left > 0:  # with more sources than that the rest is asked for again
                count = epoll_wait(self.epoll, events, MAX_EVENTS, 0)
                left -= count
                for i in range(-AHEAD, count):
                    warm(events, count, i)
                    if i >= 0:
                        self.read(<Source>events[i].data.ptr)
        finally:
            self.running = False
            self.released.clear()

    cdef int read(self, Source source) except -1:
        # An earlier one's callback has given it back; or it is paused, and the kernel tells that the peer is gone.
        if source.reactor is None or source.paused:
            return 0
        try:
            source.read()
        except Exception as error:          # as a transport does with what its protocol raises
            source.release()
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a socket's reader has failed", "exception": error, "transport": source.transport}
            )
            source.transport.abort()
        return 0

    def release_all(self) -> None:
        cdef Source source
        for source in tuple(self.sources):
            source.release()

    @property
    def size(self) -> int:
        return len(self.sources)
