"""A server that says what a test tells it to, byte by byte, on a loopback socket."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Play = bytes | Callable[["Request"], Awaitable[bytes | None]]
"""What is answered; None: nothing, and the connection stays open for as long as the peer wants."""


class Request:
    """One, as it came, and the connection it came on."""

    def __init__(self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        self.body = body.decode()
        self.reader, self.writer = reader, writer

    def accept(self) -> bytes:
        """The handshake's answer."""
        text = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        return f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()


def answer(status: int, body: str = "", **headers: str) -> bytes:
    fields = {
        "Content-Length": str(len(body.encode())),
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} -\r\n{head}\r\n{body}".encode()


class ScriptedServer:
    """`async with ScriptedServer({"/healthz": answer(200)}) as server`: by the path's beginning, the longest first."""

    def __init__(self, plays: dict[str, Play]) -> None:
        self.plays = plays
        self.requests: list[Request] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            request = Request(head, await reader.readexactly(size), reader, writer)
            self.requests.append(request)
            path = max((path for path in self.plays if request.target.startswith(path)), key=len)
            play = self.plays[path]
            said = play if isinstance(play, bytes) else await play(request)
            if said is None:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        writer.close()
