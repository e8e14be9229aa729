"""The reading end of the sockets of live calls: all that is ready, once a tick. Linux only (epoll)."""

import asyncio

from fastbridge._websocket import FrameReader

class Source:
    """A socket that a Reactor reads in place of its transport. Made by Reactor.adopt."""

    def pause(self) -> None:
        """Read no more, for now: what comes waits in the kernel."""
    def resume(self) -> None: ...
    def release(self) -> None:
        """Give the socket back to its transport, which reads on, unless paused. Happens by itself at the end of the
        stream or on an error. Call it before the transport is closed."""

class Reactor:
    """Reads for many readers; each gets the bytes of its socket in order. Never closes a socket.

    What a reader raises goes to the loop's exception handler, and its transport is aborted; the others are read on.
    """

    def __init__(self) -> None:
        """Raises OSError if the process has no descriptor left."""
    def adopt(self, transport: asyncio.Transport, reader: FrameReader, *, read_bytes: int = ...) -> Source | None:
        """Read this transport's socket from now on, so many bytes a run at most. None if it must stay with its
        transport: it is encrypted, closing, or the kernel will not watch it."""
    def run(self) -> None:
        """Read all that is ready, at most 256 KiB a socket. On the running loop; never from a reader's callback."""
    def release_all(self) -> None:
        """Give all back: nobody is going to run it."""
    @property
    def size(self) -> int:
        """Sockets it reads."""
