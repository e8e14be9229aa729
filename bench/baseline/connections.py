"""The two sockets of a call: connections of `websockets`, used without a task switch a message.

The library's own way costs a queue, a future and a task's wake-up for each message read, and an asynchronous context
for each one sent. Here a message is handed over as it is read (as the library's `process_event` gets it), and sent at
once (as its `broadcast` does). Framing, masking, control frames, limits and closing stay the library's.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, TEXT, Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN


class DirectConnection(Connection):
    """Mixin. on_message(text): every message, in order and synchronously. on_paused(paused): what we write is not
    taken, or is again. on_lost(code, reason): the connection is gone."""

    on_message: Callable[[str], object]
    on_paused: Callable[[bool], object] | None = None
    on_lost: Callable[[int, str], object] | None = None
    _fd = -1

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._buffered = transport.get_write_buffer_size
        self._is_closing = transport.is_closing
        self._parts: list[bytes] = []
        if transport.get_extra_info("ssl_object") is None:
            self._fd = transport.get_extra_info("socket").fileno()

    def process_event(self, event: Request | Response | Frame) -> None:
        if type(event) is Frame and event.opcode is TEXT and event.fin:
            self.on_message(str(event.data, "utf-8", "replace"))
        elif type(event) is Frame and event.opcode in DATA_OPCODES:
            self._fragment(event)
        else:
            super().process_event(event)

    def _fragment(self, frame: Frame) -> None:
        """Neither Twilio nor OpenAI sends such; a message in pieces is a message all the same."""
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self.on_message(whole.decode("utf-8", "replace"))

    def send_now(self, message: bytes) -> None:
        """One text message; nothing once the connection is closing."""
        if self.protocol.state is OPEN:
            self.protocol.send_text(message)
            self.send_data()

    def send_data(self) -> None:
        """To the kernel, where nothing waits before it. uvloop's transport would hold it back until all that is ready
        has been read, and the time it left would not be the time we take it for."""
        for data in self.protocol.data_to_send():
            if not data:
                with contextlib.suppress(Exception):  # uvloop raises where the peer has gone; the library does the same
                    self.transport.write_eof()
            elif self._fd < 0 or self._buffered() or self._is_closing():
                self.transport.write(data)
            else:
                try:
                    sent = os.write(self._fd, data)
                except OSError:  # full, or broken: the transport finds out which
                    sent = 0
                if sent < len(data):
                    self.transport.write(data[sent:])

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.on_paused is not None:
            self.on_paused(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_paused is not None:
            self.on_paused(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fd = -1  # the number may soon be another connection's
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost(self.close_code or 1006, self.close_reason or "")


class ModelConnection(DirectConnection, ClientConnection):
    """OpenAI's."""


class CarrierConnection(DirectConnection, ServerConnection):
    """Twilio's; and since webhooks come to the same port and `websockets` takes no body, their door, too: `on_post`
    gets (path, headers, body) and gives the whole HTTP response."""

    on_post: Callable[[str, dict[str, str], bytes], bytes]
    _post: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.started = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if self.request is not None or (self._post is None and not data.startswith(b"POST ")):
            super().data_received(data)
        else:
            self._post = (self._post or b"") + data
            self._answer(self._post)

    def _answer(self, post: bytes) -> None:
        """Once the request is complete; the library's deadline for handshakes ends one that never is."""
        head, separator, body = post.partition(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = headers.get("content-length", "0")
        if len(post) > 65_536 or not size.isdigit():
            self.transport.abort()
        elif separator and len(body) >= int(size):
            self.transport.write(self.on_post(request_line.split(" ")[1], headers, body[: int(size)]))
            self.transport.close()
