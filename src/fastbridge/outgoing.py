"""The writing end of the model's socket: whose frames go first, and how much of them nobody has taken yet.

Bytes wait in the transport and, longer, in the kernel: a peer that reads no more is noticed in both.
"""

import array
import asyncio
import fcntl
import sys
import termios
from typing import Any

from fastbridge._wire import Wire


class WiredTransport:
    """A transport whose writing end is a Wire: for the library, so that its frames keep their place among ours."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.wire = Wire(transport)
        self.write = self.wire.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def untaken_bytes(self) -> int:
        """Written and not taken: in the transport, and, on Linux, in the kernel until the peer's acknowledges it."""
        if self._transport.is_closing():
            return 0
        return self._transport.get_write_buffer_size() + self._in_kernel()

    def _in_kernel(self) -> int:
        socket = self._transport.get_extra_info("socket")
        if socket is None or not sys.platform.startswith("linux"):
            return 0
        count = array.array("i", [0])
        try:
            fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, count)
        except OSError:  # nothing that counts, or closed meanwhile
            return 0
        return max(count[0], 0)
