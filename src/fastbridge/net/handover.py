"""A line between two processes on which open connections change hands, each with what has been read from it.

A message is a letter, a payload, and a socket or none; it arrives whole or not at all (SOCK_SEQPACKET). What the other
end does not take at once waits, MAX_WAITING messages at most; overflow: the new message is refused.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

MAX_PAYLOAD_BYTES = 160 * 1024
"""More than a request's head and body may have together, and less than the kernel's smallest limit for a message."""
MAX_WAITING = 512

OnMessage = Callable[[str, bytes, "socket.socket | None"], None]


def line_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a new line, for `Line`. One of them goes to another process."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Line:
    """One end, on the running loop. It owns its socket.

    on_message(letter, payload, connection): the connection is then the receiver's. on_closed(): the other end is gone;
    called once, and not after `close`.
    """

    def __init__(self, end: socket.socket, on_message: OnMessage, on_closed: Callable[[], None]) -> None:
        self.peak_waiting = 0
        self._socket = end
        self._on_message = on_message
        self._on_closed = on_closed
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        end.setblocking(False)
        self._loop.add_reader(end, self._read)

    def send(self, letter: str, payload: bytes = b"", connection: "socket.socket | None" = None) -> bool:
        """False if it cannot be sent. The other end gets a descriptor of its own: `connection` stays the sender's."""
        if self._closed or len(payload) > MAX_PAYLOAD_BYTES or len(self._waiting) >= MAX_WAITING:
            return False
        message = letter.encode() + payload
        descriptor = connection.fileno() if connection is not None else -1
        if not self._waiting:
            sent = self._try(message, descriptor)
            if sent is not None:
                return sent
            self._loop.add_writer(self._socket, self._write)
        self._waiting.append((message, os.dup(descriptor) if descriptor >= 0 else -1))
        self.peak_waiting = max(self.peak_waiting, len(self._waiting))
        return True

    def close(self) -> None:
        """Harmless when it is closed. What waits is dropped, and its connections with it."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        for _, descriptor in self._waiting:
            _close(descriptor)
        self._waiting.clear()
        self._socket.close()

    def _try(self, message: bytes, descriptor: int) -> bool | None:
        """Whether it was sent; None if it must wait."""
        try:
            socket.send_fds(self._socket, [message], [descriptor] if descriptor >= 0 else [])
        except BlockingIOError:
            return None
        except OSError:  # the other end is gone, which the reader will find out, or there are no descriptors left
            return False
        return True

    def _write(self) -> None:
        while self._waiting:
            message, descriptor = self._waiting[0]
            if self._try(message, descriptor) is None:
                return
            self._waiting.popleft()
            _close(descriptor)
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(
                self._socket, 1 + MAX_PAYLOAD_BYTES, 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if not message:
            self.close()
            self._on_closed()
            return
        connection = socket.socket(fileno=descriptors[0]) if descriptors else None
        if connection is not None:
            connection.set_inheritable(False)  # not done by the kernel: recv_fds drops the flag that asks for it
        self._on_message(chr(message[0]), message[1:], connection)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
