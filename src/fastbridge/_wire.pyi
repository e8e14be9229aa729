"""The writing end of a socket: straight to the kernel while nothing is queued, else through the transport, in order."""

import asyncio

class Wire:
    """Owns all writing to one transport: no byte may go to it another way, or the order would be lost.

    A write goes to send(2) at once, so that it is on the wire when `write` returns and its time can be trusted. What
    the kernel does not take goes to the transport, and so does all that follows until the transport has sent it. The
    bound and the back-pressure of what is queued are the transport's (`pause_writing`). A transport that encrypts gets
    everything. Make it on the running loop.
    """

    def __init__(self, transport: asyncio.Transport) -> None: ...
    def write(self, data: bytes) -> None:
        """Write, now or as soon as may be. On a closing transport nothing happens. Never raises for the peer."""
    def __call__(self, data: bytes) -> None:
        """The same as `write`."""
    def close(self) -> None:
        """The transport is gone, or about to be: nothing is written any more."""
    @property
    def direct_writes(self) -> int:
        """Writes that the kernel took whole."""
    @property
    def queued_writes(self) -> int:
        """Writes that went to the transport, wholly or in part."""
