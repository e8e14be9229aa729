"""When a WebSocket message really arrived: the kernel's time stamp of the packet that completed it.

A loop that is busy reads late, and a pacing law of 18 ms cannot be judged by a late clock. Linux stamps a packet the
moment it is there. Elsewhere, and on loops that do not read through Python's socket, the time of reading has to do.

Source: socket(7), SO_TIMESTAMPNS; Linux fills it in for TCP too, with the newest packet of what one read returned, and
begins to stamp a moment after the first socket asks for it: packets before that carry the time of reading.
"""

import socket
import struct
import sys
import time
from collections import deque

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("@ll")
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class TappedSocket(socket.socket):
    """A TCP socket that knows when what it read last had arrived, on the monotonic clock (`arrived_ns`)."""

    arrived_ns = 0
    _offset_ns = 0
    _stamped = False

    def tap(self) -> None:
        """Ask the kernel for time stamps. Without them `arrived_ns` is the time of reading."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._stamped = sys.platform == "linux"
        if self._stamped:
            self.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if not self._stamped:
            data = super().recv(bufsize, flags)
            self.arrived_ns = time.monotonic_ns()
            return data
        data, ancillary, _, _ = self.recvmsg(bufsize, 128, flags)
        self.arrived_ns = time.monotonic_ns()
        for level, kind, stamp in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(stamp) >= _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack_from(stamp)
                self.arrived_ns = seconds * 1_000_000_000 + nanoseconds - self._offset_ns
        return data


class TappedConnection(ClientConnection):
    """A client connection that notes, for every message `recv` will return, when it had arrived."""

    tapped: TappedSocket | None = None

    @property
    def arrivals_ns(self) -> deque[int]:
        """Monotonic times, one for each message not yet taken, in order."""
        return self._arrivals_ns

    def data_received(self, data: bytes) -> None:
        self._arrived_ns = time.monotonic_ns() if self.tapped is None else self.tapped.arrived_ns
        super().data_received(data)

    def process_event(self, event: object) -> None:
        super().process_event(event)  # type: ignore[arg-type]  # the library's own union of events
        if isinstance(event, Frame) and event.opcode in _DATA and event.fin:
            self._arrivals_ns.append(self._arrived_ns)

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._arrivals_ns: deque[int] = deque()
        self._arrived_ns = 0
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
