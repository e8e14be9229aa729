"""Tools of an attacker, and of a carrier that behaves: a real node in a thread, and raw sockets to it.

The node is served by uvicorn on uvloop on a free loopback port. Everything here blocks with a time limit, so a test is
ordinary code that says what is sent and what must come back.
"""

import asyncio
import base64
import contextlib
import gc
import json
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import urlencode
from xml.etree import ElementTree

import uvloop
from twilio.request_validator import RequestValidator
from websockets.frames import Close, Frame, Opcode

from fastbridge.agent import Agent
from fastbridge.config import Settings, load_settings
from fastbridge.node.server import Server, create_server
from helpers import base64_text, media_json

AUTH_TOKEN = "canary-auth-token-7f3a9b"
API_KEY = "sk-canary-api-key-51c0ffee"
ACCOUNT_SID = "AC" + "ab" * 16
STREAM_SID = "MZ" + "cd" * 16
HOST = "voice.example.com"
PUBLIC_URL = f"https://{HOST}"
LIMIT_SECONDS = 8.0
"""How long anything that must happen may take."""


def new_call_sid() -> str:
    return "CA" + secrets.token_hex(16)


def eventually(condition: Callable[[], object], limit_seconds: float = LIMIT_SECONDS) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def sign(url: str, params: dict[str, str] | None = None) -> str:
    signature: str = RequestValidator(AUTH_TOKEN).compute_signature(url, params or {})
    return signature


SLOW_WEBHOOK = (
    f"POST /webhook/incoming_call HTTP/1.1\r\nHost: {HOST}\r\nX-Twilio-Signature: x\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nCallSid="
).encode()
"""A webhook whose body never comes."""


class Connection:
    """A TCP connection that sends what it is told and reads with a time limit."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(LIMIT_SECONDS)
        self._file = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def reset(self) -> None:
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_if_open(self, data: bytes) -> None:
        """For what the peer may well refuse to take."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.socket.sendall(data)

    def head(self) -> str:
        lines = []
        while (line := self._file.readline()) not in (b"\r\n", b""):
            lines.append(line)
        return b"".join(lines).decode()

    def answer(self) -> SimpleNamespace:
        """One HTTP response."""
        response = HTTPResponse(self.socket)
        response.begin()
        found = SimpleNamespace(status=response.status, headers=response.headers, body=response.read())
        response.close()
        return found

    def is_closed(self) -> bool:
        """Whether the peer closes, by FIN or RST, in time; what it still sends is dropped."""
        try:
            while self._file.read1(65_536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def frame(self) -> Frame | None:
        """The next frame of a server, None when the stream has ended."""
        try:
            first = self._file.read(2)
            if len(first) < 2:
                return None
            size, extended = first[1] & 0x7F, {126: 2, 127: 8}
            if size in extended:
                size = int.from_bytes(self._file.read(extended[size]), "big")
            key = self._file.read(4) if first[1] & 0x80 else b"\0\0\0\0"
            payload = bytes(byte ^ key[i & 3] for i, byte in enumerate(self._file.read(size)))
        except ConnectionError:
            return None
        return Frame(Opcode(first[0] & 0x0F), payload, bool(first[0] & 0x80), bool(first[0] & 0x40))

    def frames(self) -> Iterator[Frame]:
        while (frame := self.frame()) is not None:
            yield frame

    def until(self, opcode: Opcode) -> bytes | None:
        """The payload of the next frame of that kind; others are dropped. None when the stream ends without."""
        return next((bytes(frame.data) for frame in self.frames() if frame.opcode is opcode), None)

    def close_code(self) -> int | None:
        """Read until the peer closes: its close code, None where it just goes."""
        payload = self.until(Opcode.CLOSE)
        return None if payload is None else Close.parse(payload).code

    def messages(self) -> Iterator[dict[str, Any]]:
        return (json.loads(bytes(frame.data)) for frame in self.frames() if frame.opcode is Opcode.TEXT)


def wire(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bool = True) -> bytes:
    """One frame, legal or not. Bits and opcode are written as asked for."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 65_536 else 127
    length = b"" if size < 126 else size.to_bytes(2 if size < 65_536 else 8, "big")
    key = secrets.token_bytes(4) if mask else b""
    masked = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload)) if mask else payload
    return bytes([fin << 7 | reserved << 4 | opcode, mask << 7 | short]) + length + key + masked


def start_message(call_sid: str, **changes: Any) -> bytes:
    start = {
        "accountSid": ACCOUNT_SID,
        "streamSid": STREAM_SID,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {},
    }
    message = {"event": "start", "sequenceNumber": "1", "start": start | changes, "streamSid": STREAM_SID}
    return json.dumps(message, separators=(",", ":")).encode()


class Line(Connection):
    """A media stream to the node, from the handshake on."""

    chunk = 0

    def text(self, payload: bytes | dict[str, Any]) -> None:
        self.send(wire(1, payload if isinstance(payload, bytes) else json.dumps(payload).encode()))

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long. Only where all that came before was read."""
        return not select.select([self.socket], [], [], seconds)[0]

    def start(self, call_sid: str, **changes: Any) -> None:
        self.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.text(start_message(call_sid, **changes))

    def media(self, payload: bytes = b"\xff" * 160) -> None:
        self.chunk += 1
        self.text(media_json(self.chunk, base64_text(payload), STREAM_SID.encode()))


class Door:
    """What anybody can do to the node at this address: with the secrets above, what Twilio does."""

    address: tuple[str, int]

    # HTTP

    def dial(self, receive_buffer_bytes: int = 0) -> socket.socket:
        sock = socket.socket()
        if receive_buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.settimeout(LIMIT_SECONDS)
        sock.connect(self.address)
        return sock

    def connect(self) -> Connection:
        return Connection(self.dial())

    def request(self, data: bytes) -> SimpleNamespace:
        with self.connect() as connection:
            connection.send(data)
            return connection.answer()

    def webhook(
        self,
        call_sid: str,
        path: str = "/webhook/incoming_call",
        *,
        headers: str = "",
        signed: bool = True,
        **more: str,
    ) -> SimpleNamespace:
        params = {"CallSid": call_sid, "AccountSid": ACCOUNT_SID, "From": "+14155550123", "To": "+14155550199", **more}
        signature = f"X-Twilio-Signature: {sign(PUBLIC_URL + path, params)}\r\n" if signed else ""
        body = urlencode(params).encode()
        host = "" if headers.startswith("Host:") else f"Host: {HOST}\r\n"
        head = (
            f"POST {path} HTTP/1.1\r\n{host}{headers}{signature}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return self.request(head.encode() + body)

    def token(self, call_sid: str, **options: Any) -> str | None:
        """The stream token in the answer to a webhook; None where there is none."""
        answer = self.webhook(call_sid, **options)
        assert answer.status == 200
        stream = ElementTree.fromstring(answer.body).find(".//Stream")
        if stream is None:
            return None
        url = stream.attrib["url"]
        assert url.startswith(f"wss://{HOST}/media/")
        return url.rpartition("/")[2]

    # Media

    def knock(self, path: str, *signatures: str, headers: str = "", receive_buffer_bytes: int = 0) -> Line:
        """A handshake; its answer is not read yet."""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        signed = "".join(f"X-Twilio-Signature: {signature}\r\n" for signature in signatures)
        line = Line(self.dial(receive_buffer_bytes))
        line.send(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Twilio.TmeWs/1.0\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{signed}{headers}\r\n".encode()
        )
        return line

    def status(self, path: str, *signatures: str, headers: str = "") -> int:
        """How a handshake is answered; a line that is accepted is hung up."""
        with self.knock(path, *signatures, headers=headers) as line:
            return int(line.head().split()[1])

    def line(self, token: str, **options: Any) -> Line:
        """A media stream whose handshake is good."""
        path = f"/media/{token}"
        line = self.knock(path, sign(f"wss://{HOST}{path}"), **options)
        head = line.head()
        assert head.startswith("HTTP/1.1 101 "), head
        assert "sec-websocket-extensions" not in head.lower()
        return line

    def admitted(self, call_sid: str, **options: Any) -> Line:
        """A media stream before its `start`."""
        token = self.token(call_sid)
        assert token is not None
        return self.line(token, **options)

    def started_at_once(self, call_sid: str, **options: Any) -> Line:
        """A call that may be over already."""
        line = self.admitted(call_sid, **options)
        line.start(call_sid)
        return line


class RunningNode(Door):
    """The node, in a thread of its own. `node` is its composition root: look, and change only through `do`."""

    def __init__(self, model_url: str, *, send_buffer_bytes: int = 0, **settings: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        if send_buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        self.address = self._socket.getsockname()
        self.settings: Settings = load_settings(
            **{
                "public_url": PUBLIC_URL,
                "openai_api_key": API_KEY,
                "openai_base_url": model_url,
                "twilio_auth_token": AUTH_TOKEN,
                "twilio_account_sid": ACCOUNT_SID,
                "database_url": "none",
                "metrics_port": 0,
                **settings,
            }
        )
        self.server: Server = create_server(self.settings, Agent())
        self.node = self.server.config.app.state.node
        self._thread = threading.Thread(target=self._serve, name="node")
        self._loop: asyncio.AbstractEventLoop

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self.server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        self._thresholds = gc.get_threshold()
        self._thread.start()
        assert eventually(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(LIMIT_SECONDS * 2)
        gc.unfreeze()  # what a node does for good, a test run must undo
        gc.set_threshold(*self._thresholds)
        assert not self._thread.is_alive(), "the node does not stop"

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def do(self, function: Callable[[], Any]) -> Any:
        """Call it on the node's loop."""

        async def inside() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(LIMIT_SECONDS)

    @property
    def counters(self) -> dict[str, int]:
        return {reason: count for reason, count in self.node.directory.counters.items() if count}

    @property
    def live(self) -> int:
        return self.node.directory.live

    def call(self, call_sid: str) -> Any:
        return self.node.directory.get(call_sid)

    def started(self, call_sid: str, **options: Any) -> Line:
        """A call."""
        line = self.started_at_once(call_sid, **options)
        assert eventually(lambda: self.call(call_sid) is not None)
        return line
