"""HTTP/1.1 on a loopback socket, as an API speaks it: many requests a connection, JSON or a file in return.

Knows nothing of Twilio: `answer` does, and tells by `ResetError` that a connection shall break.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qs

import h11

from fastbridge.sim.twilio_reply import Reply

READ_BYTES = 65_536
MAX_BODY_BYTES = 1_048_576


class ResetError(Exception):
    """This connection breaks off without an answer."""


class Request(NamedTuple):
    """One request, taken apart. `query` and `form`: every value of a name, in order."""

    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    headers: dict[str, str]
    """By their names in small letters, the last of each."""

    def fields(self) -> dict[str, str]:
        """The form, the last value of each name."""
        return {name: values[-1] for name, values in self.form.items()}


Answer = Callable[[Request], Awaitable[Reply]]


def request_of(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Request:
    """Never raises: what is no text is replaced, and matches nothing."""
    path, _, query = target.decode("ascii", "replace").partition("?")
    known = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return Request(
        method.decode("ascii", "replace"),
        path,
        parse_qs(query, keep_blank_values=True),
        parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True),
        known,
    )


class HttpServer:
    """`await start()`, then `url`; `close()` breaks what is open."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.connections = 0
        """Accepted so far."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for conversation in self._open:
            conversation.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def url(self) -> str:
        """RuntimeError before it runs."""
        if self._server is None:
            raise RuntimeError("the API is not running")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except ResetError:
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()  # and no more: Python 3.11's streams log a connection's task that was cancelled
        except (ConnectionError, h11.ProtocolError):
            pass  # the client has gone, or speaks something else
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other, until the client is done."""
        connection = h11.Connection(h11.SERVER)
        while (request := await _read(connection, reader)) is not None:
            reply = await self._answer(request)
            writer.write(_written(connection, request, reply))
            await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request; None where the client has closed instead."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise ConnectionResetError("the body is too long")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return request_of(head.method, head.target, list(head.headers), bytes(body))
        else:
            return None


def _written(connection: h11.Connection, request: Request, reply: Reply) -> bytes:
    content = reply.written()
    headers = [("Content-Length", str(len(content)))]
    headers += [("Content-Type", reply.content_type)] if content else []
    headers += [("Location", reply.location)] if reply.location else []
    head = h11.Response(status_code=reply.status, headers=headers)
    parts = [connection.send(head), connection.send(h11.Data(data=content)) if request.method != "HEAD" else b""]
    return b"".join(part for part in (*parts, connection.send(h11.EndOfMessage())) if part)
