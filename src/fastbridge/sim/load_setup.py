"""How a call of a load run comes about: webhook, TwiML, two WebSocket handshakes. Then the players take its sockets.

The protocol is that of the `websockets` library, without its connections; a socket's file descriptor is what is handed
on. Everything here happens before a call is measured, one call after the other, so that order tells whose session is
whose. Only loopback addresses are called.
"""

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx2
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request, Response
from websockets.protocol import Protocol as WebSocketProtocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from fastbridge.errors import ConfigError, FastbridgeError

CALL_SECONDS = 10.0
"""For a call to be up on both sides."""
NOBODY = -1
"""Of the callers: a session of a call that others brought about."""
PATHS = {"realtime": "/v1/realtime", "live": "/v1/live/sessions"}
"""Where each model is."""
LARGEST_HEAD = 65_536
POLL_SECONDS = 0.001


class SetupError(FastbridgeError):
    """A call did not come up; the message says at which step."""


class Stage(Protocol):
    """What `fastbridge._load.Players` does for a call that is coming up."""

    def adopt_caller(self, index: int, fd: int, *, stream_sid: bytes, started_ns: int, stop: bytes) -> None: ...
    def adopt_model(self, fd: int, caller: int = -1) -> None: ...
    @property
    def configured(self) -> int: ...


@dataclass(slots=True)
class Target:
    """Where the bridge is. url: its address for webhooks (http://...), or its media stream itself (ws://...)."""

    url: str
    auth_token: str = ""
    account_sid: str = "AC" + "0" * 32
    webhook: str = "/webhook/incoming_call"
    public_url: str = ""
    """What signatures are computed for, if not `url`."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "ws") or parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError(
                f"Load goes to this machine only: give http://127.0.0.1:PORT or ws://..., not {self.url}."
            )

    def signature(self, url: str, fields: dict[str, str]) -> dict[str, str]:
        """The header that proves it is Twilio who calls."""
        if not self.auth_token:
            return {}
        return {"X-Twilio-Signature": RequestValidator(self.auth_token).compute_signature(url, fields)}

    def signed_as(self, url: str) -> str:
        """The public form of one of our addresses."""
        parts = urlsplit(self.public_url or self.url)
        mine = urlsplit(url)
        secure = parts.scheme in ("https", "wss")
        scheme = {"http": "https", "ws": "wss"}.get(mine.scheme, mine.scheme) if secure else mine.scheme
        return mine._replace(scheme=scheme, netloc=parts.netloc).geturl()


@dataclass(slots=True)
class Door:
    """The address at which the model listens: every connection becomes a session of the players."""

    stage: Stage
    port: int = 0
    path: str = PATHS["realtime"]
    refused: list[str] = field(default_factory=list)
    accepted: int = 0
    caller: int = NOBODY
    """Whose session comes next."""
    _listening: socket.socket | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        try:
            self._listening = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        except OSError as error:
            raise ConfigError(f"The model cannot listen on port {self.port}: {error.strerror}.") from None
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self._spawn(self._listen(self._listening))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._listening is not None:
            self._listening.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, listening: socket.socket) -> None:
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
            self._spawn(self._admit(accepted, self.caller))

    async def _admit(self, accepted: socket.socket, caller: int) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                fd = await _answer(accepted, self.path)
        except (OSError, SetupError, TimeoutError) as error:
            accepted.close()
            self.refused.append(str(error))
            return
        self.accepted += 1
        self.stage.adopt_model(fd, caller)


async def _answer(accepted: socket.socket, path: str) -> int:
    """The server's side of the model's handshake; the descriptor of a connection that is open."""
    protocol = ServerProtocol(max_size=None)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event = await _first_event(accepted, protocol)
    if not isinstance(event, Request):
        raise SetupError(f"no handshake came to the model: {protocol.handshake_exc!r}")
    protocol.available_subprotocols = event.headers.get_all("Sec-WebSocket-Protocol")[:1]  # type: ignore[assignment]
    response = protocol.accept(event)
    if urlsplit(event.path).path != path:
        response = protocol.reject(404, f"there is only {path} here\n")
    protocol.send_response(response)
    await _send(accepted, protocol)
    if response.status_code != 101:
        raise SetupError(f"the model was asked for {event.path}")
    return _handed_over(accepted, protocol)


async def place_call(http: httpx2.AsyncClient, target: Target, stage: Stage, index: int) -> None:
    """Bring one call up on the caller's side, and give it to the players. SetupError if that fails."""
    call_sid, stream_sid = "CA" + secrets.token_hex(16), "MZ" + secrets.token_hex(16)
    url, parameters = target.url, dict[str, str]()
    if urlsplit(url).scheme == "http":
        url, parameters = await _ask_webhook(http, target, call_sid)
    connection, protocol = await _open_stream(target, url)
    start = {
        "accountSid": target.account_sid,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    protocol.send_text(_compact({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    protocol.send_text(_compact({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream_sid}))
    started_ns = time.monotonic_ns()
    await _send(connection, protocol)
    sids = {"accountSid": target.account_sid, "callSid": call_sid}
    stop = _compact({"event": "stop", "sequenceNumber": "\x04", "streamSid": stream_sid, "stop": sids})
    fd = _handed_over(connection, protocol)
    sid = stream_sid.encode()
    stage.adopt_caller(index, fd, stream_sid=sid, started_ns=started_ns, stop=stop.replace(b"\\u0004", b"\x04"))


async def configured(stage: Stage, count: int) -> bool:
    """Whether that many sessions are configured, now or within CALL_SECONDS."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CALL_SECONDS):
            while stage.configured < count:  # noqa: ASYNC110 - the players run without the loop
                await asyncio.sleep(POLL_SECONDS)
    return stage.configured >= count


async def _ask_webhook(http: httpx2.AsyncClient, target: Target, call_sid: str) -> tuple[str, dict[str, str]]:
    """The stream's address and parameters out of the TwiML."""
    url = target.url.rstrip("/") + target.webhook
    form = {
        "CallSid": call_sid,
        "AccountSid": target.account_sid,
        "From": "+15005550001",
        "To": "+15005550006",
        "Caller": "+15005550001",
        "Called": "+15005550006",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        "CallStatus": "ringing",
    }
    try:
        answer = await http.post(url, data=form, headers=target.signature(target.signed_as(url), form))
        found = ElementTree.fromstring(answer.text) if answer.status_code == 200 else None
    except (httpx2.HTTPError, ElementTree.ParseError) as error:
        raise SetupError(f"the webhook failed: {error!r}") from None
    stream = found.find("Connect/Stream") if found is not None else None
    if stream is None or not stream.get("url"):
        raise SetupError(f"the webhook answered {answer.status_code} without a stream: {answer.text[:80]!r}")
    parameters = {item.get("name", ""): item.get("value", "") for item in stream.findall("Parameter")}
    return stream.get("url", ""), parameters


async def _open_stream(target: Target, url: str) -> tuple[socket.socket, ClientProtocol]:
    """The media socket, open; `url` as the TwiML has it, reached on this machine."""
    parts, here = urlsplit(url), urlsplit(target.url)
    reached = parts._replace(scheme="ws", netloc=here.netloc).geturl()
    protocol = ClientProtocol(parse_uri(reached), max_size=None)
    request = protocol.connect()
    request.headers["User-Agent"] = "Twilio.TmeWs/1.0"
    for name, value in target.signature(url if parts.netloc != here.netloc else target.signed_as(url), {}).items():
        request.headers[name] = value
    protocol.send_request(request)
    connection = socket.socket(socket.AF_INET6 if ":" in (here.hostname or "") else socket.AF_INET)
    connection.setblocking(False)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (here.hostname, here.port or 80))
        await _send(connection, protocol)
        event = await _first_event(connection, protocol)
        if protocol.handshake_exc is not None or not isinstance(event, Response):
            raise SetupError(f"the media stream was refused: {protocol.handshake_exc}")
    except (OSError, InvalidHandshake, SetupError) as error:
        connection.close()
        raise error if isinstance(error, SetupError) else SetupError(f"no media stream: {error!r}") from None
    return connection, protocol


async def _send(connection: socket.socket, protocol: WebSocketProtocol) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, b"".join(protocol.data_to_send()))


async def _first_event(connection: socket.socket, protocol: WebSocketProtocol) -> object:
    """The other side's half of the handshake; None if there is none. Nothing may come with it."""
    for _ in range(LARGEST_HEAD):
        data = await asyncio.get_running_loop().sock_recv(connection, 4096)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        events = protocol.events_received()
        if len(events) > 1:
            raise SetupError("the other side spoke before it was its turn")
        if events:
            return events[0]
        if not data or protocol.handshake_exc is not None:
            return None
    return None


def _handed_over(connection: socket.socket, protocol: WebSocketProtocol) -> int:
    """The descriptor, for the players. Nothing that came may have been read before them."""
    if protocol.reader.buffer:
        connection.close()
        raise SetupError("the other side spoke before it was its turn")
    return connection.detach()


def _compact(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
