"""The writing end of a socket: straight to the kernel while nothing is queued, else through the transport, in order."""

import asyncio

class Latency:
    """How long frames took, in buckets up to 10, 20, 50, 100, 200, 500, 1000, 2000 and 5000 microseconds, and above."""

    @property
    def counts(self) -> tuple[int, ...]: ...
    @property
    def sum_ns(self) -> int: ...

class Outbox:
    """Frames that leave together when all sockets have been read. Bound: one a wire; a second one sends the first.

    Order on a wire is kept: whatever is written to it directly sends what was posted before.
    """

    def flush(self) -> None:
        """Send all of it."""
    @property
    def peak(self) -> int:
        """The most wires that had something posted at once."""

class Wire:
    """Owns all writing to one transport: no byte may go to it another way, or the order would be lost.

    A write goes to send(2) at once, so that it is on the wire when `write` returns and its time can be trusted. What
    the kernel does not take goes to the transport, and so does all that follows until the transport has sent it. The
    bound and the back-pressure of what is queued are the transport's (`pause_writing`). A transport that encrypts gets
    everything. Make it on the running loop.
    """

    def __init__(self, transport: asyncio.Transport) -> None: ...
    def write(self, data: bytes) -> None:
        """Write, now or as soon as may be; nothing after `close`. Never raises for the peer."""
    def __call__(self, data: bytes) -> None:
        """The same as `write`."""
    def close(self) -> None:
        """The transport is gone, or about to be: nothing is written any more. Whoever closes the transport calls this
        first: to ask a transport before each frame whether it is closing costs more than it says."""
    def untaken_bytes(self) -> int:
        """Written and not taken: in the transport, and, on Linux, in the kernel until the peer's acknowledges it."""
    @property
    def direct_writes(self) -> int:
        """Writes that the kernel took whole."""
    @property
    def queued_writes(self) -> int:
        """Writes that went to the transport, wholly or in part."""
