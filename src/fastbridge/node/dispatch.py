"""Whose a new connection is, when several workers serve one port.

One request of it is read, as far as it takes: a webhook belongs to the worker that its CallSid names (by a hash, so
that all of a call's webhooks meet), a media stream to the one that made its token. Nothing is proven here: a lie gets
to a worker that knows nothing of that call. The connection goes there with what has been read of it, and ends with its
first response, since the next request on it might be another's.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qsl

import h11

from fastbridge.base.refusals import Reason
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.carrier.twilio.webhook import call_sid_of
from fastbridge.net.connections import Connections, peer_of
from fastbridge.net.handover import MAX_PAYLOAD_BYTES
from fastbridge.net.http_gate import MAX_HEAD_BYTES, HttpGate
from fastbridge.net.http_socket import HEAD_SECONDS, WebhookSocket

OWN_PATHS = frozenset({b"/healthz", b"/readyz", b"/metrics"})
"""What is asked of the node and not of a worker."""
WEBHOOKS = b"/webhook/"
TRANSFERS = b"/webhook/transfer_"
"""What is about a human who is called for a caller: the caller's call is in the query."""
CLOSE = ("connection", "close")
"""Every response's header."""


def worker_of_call(call_sid: str, workers: int) -> int:
    return zlib.crc32(call_sid.encode("utf-8", "replace")) % workers


def token_prefix(worker: int) -> str:
    """What the tokens of this worker begin with."""
    return f"{worker}-"


def worker_of_token(token: str, workers: int) -> int:
    number = token.partition("-")[0]
    known = number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < workers
    return int(number) if known else ANYONE


NODE = -1
"""The request is the node's own."""
ANYONE = -2
"""The request is any worker's."""


class Reader:
    """Reads one request as far as it takes to tell whose it is."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._gate = HttpGate()
        self._http = h11.Connection(h11.SERVER, 2 * MAX_HEAD_BYTES)
        self.is_stream = False
        self._media_type = ""
        self._body: bytearray | None = None

    def feed(self, data: bytes) -> int | None:
        """A worker's number, NODE or ANYONE; None: not told yet. What is no HTTP gets its answer from the node."""
        data = self._gate.feed(data)
        if self._gate.refusal is not None:
            return NODE
        if not data:  # to the library that would be the end of the stream
            return None
        self._http.receive_data(data)
        try:
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    verdict = self._of_head(event)
                    if verdict is not None:
                        return verdict
                elif isinstance(event, h11.Data) and self._body is not None:
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    return self._of_call(call_sid_of(bytes(self._body or b""), self._media_type))
                else:
                    return None
        except h11.RemoteProtocolError:
            return NODE

    def _of_head(self, request: h11.Request) -> int | None:
        path, _, query = bytes(request.target).partition(b"?")
        headers = {bytes(name): bytes(value) for name, value in request.headers}
        if path in OWN_PATHS and b"upgrade" not in headers:
            return NODE
        if path.startswith(MEDIA_PATH.encode()):
            self.is_stream = True
            token = path.decode("latin-1").removeprefix(MEDIA_PATH)
            return worker_of_token(token, self._workers)
        if not path.startswith(WEBHOOKS):
            return ANYONE
        if path.startswith(TRANSFERS):
            return self._of_call(dict(parse_qsl(query.decode("latin-1"))).get("call", ""))
        if request.method != b"POST":
            return self._of_call(call_sid_of(query))
        if b"expect" in headers:
            return ANYONE  # the worker says what it thinks of that
        self._media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        self._body = bytearray()
        return None

    def _of_call(self, call_sid: str) -> int:
        return worker_of_call(call_sid, self._workers) if call_sid else ANYONE


class Desk(Protocol):
    """What a Dispatcher needs of the switchboard."""

    @property
    def workers(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    def refuse(self, reason: Reason) -> None: ...
    def hand_over(self, worker: int, data: bytes, connection: Any, *, bound: bool = False) -> bool:
        """worker: its number, or ANYONE. bound: nobody else can do anything with it. False if nobody takes it."""


class Dispatcher(asyncio.Protocol):
    """uvicorn's `http=` class on the shared port. `app_state` has the switchboard as `desk`, and its
    `connections`."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._desk: Desk = app_state["desk"]
        self._connections: Connections = app_state["connections"]
        self._own: Callable[[], WebhookSocket] = lambda: WebhookSocket(config, server_state, app_state, _loop)
        self._reader = Reader(self._desk.workers)
        self._data = b""
        self._ip = ""
        self._transport: Any = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ip = peer_of(transport)
        if not self._connections.enter(self._transport, self._ip):
            self._transport.abort()
            return
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._refuse, "slow")

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._data += data
        self._connections.is_doing(self._transport, "unfinished")
        worker = self._reader.feed(data)
        if worker == NODE:
            self._keep()
        elif len(self._data) > MAX_PAYLOAD_BYTES:
            self._refuse("too_large")
        elif worker is not None:
            self._hand_over(worker)

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        self._connections.leave(self._transport)

    def _keep(self) -> None:
        self._done()
        protocol = self._own()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._data)

    def _hand_over(self, worker: int) -> None:
        self._transport.pause_reading()  # what comes from now on is read by its new owner
        connection = self._transport.get_extra_info("socket")
        taken = self._desk.hand_over(worker, self._data, connection, bound=self._reader.is_stream)
        if not (taken or self._desk.draining):  # the last worker has gone, and so do we
            self._connections.turned_away("connections", "no worker could take one", self._ip)
        self._transport.abort()  # our descriptor only: the connection lives on in the worker's

    def _refuse(self, reason: Reason) -> None:
        self._desk.refuse(reason)
        self._transport.abort()

    def _done(self) -> None:
        """It is no longer being read."""
        if self._deadline is not None:
            self._deadline.cancel()
