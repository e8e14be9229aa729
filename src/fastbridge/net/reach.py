"""A public address, step by step: name, connection, TLS, answer. Whatever stops it says at which step, and why.

By hand rather than by an HTTP client, whose errors say less, and which speaks no WebSocket. Each step takes 5 s at
most. Certificates are judged as strangers judge them. What a server says is read here and never shown.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

STEP_SECONDS = 5.0
MAX_BODY_BYTES = 65_536
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PING, _PONG, _CLOSE = 0x9, 0xA, 0x8
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,30}")

_CERTIFICATE = {
    9: ("tls_not_yet", "is not valid yet", "Set this machine's clock by NTP; if it is right, get a new certificate."),
    10: ("tls_expired", "has expired", "Renew it, and reload the proxy."),
    18: (
        "tls_self_signed",
        "is signed by itself",
        "Twilio takes only certificates of a public authority, such as Let's Encrypt: give the proxy one.",
    ),
    62: ("tls_hostname", "is for another name", "Get one for the name in PUBLIC_URL, or put its name there."),
}
_CERTIFICATE[19] = _CERTIFICATE[18]
_CERTIFICATE[64] = _CERTIFICATE[62]
"""By OpenSSL's verification codes: lasting name, what it is, what to do."""


class Trouble(Exception):  # noqa: N818 - what is found, not what failed here
    """No answer, and why not. fault: its lasting name."""

    def __init__(self, fault: str, detail: str, todo: str) -> None:
        super().__init__(detail)
        self.fault, self.detail, self.todo = fault, detail, todo


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a server. headers: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def by(self) -> str:
        """Who says that he answered: `nginx`, `cloudflare`; nothing where he says nothing."""
        found = _PRODUCT.match(self.headers.get("server", ""))
        return found[0] if found is not None else ""


class Line:
    """One connection to an address's host, for one request. `async with Line(url) as line`; Trouble where none is."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        self._tls = parts.scheme in ("https", "wss")
        self._netloc = parts.netloc
        self._http = h11.Connection(h11.CLIENT)

    async def __aenter__(self) -> "Line":
        addresses = await self._resolve()
        self._reader, self._writer = await self._connect(addresses)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request, and its answer. target: path and query."""
        head = {"Host": self._netloc, **headers}
        if body or method == "POST":
            head["Content-Length"] = str(len(body))
        return await self._in_time(self._exchange(method, target, head, body))

    async def upgrade(self, target: str, headers: Mapping[str, str]) -> Answer:
        """A WebSocket's handshake, as Twilio begins one; 101 where it was taken."""
        key = base64.b64encode(os.urandom(16))
        asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        answer = await self.ask("GET", target, {**asked, "Sec-WebSocket-Key": key.decode(), **headers})
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest()).decode()
        if answer.status == 101 and answer.headers.get("sec-websocket-accept") != accept:
            return Answer(200, answer.headers, "")  # switched to something else
        return answer

    async def ping(self) -> None:
        """There and back through the open WebSocket; Trouble where nothing comes back."""
        payload = os.urandom(4)
        self._writer.write(_frame(_PING, payload))
        await self._in_time(self._pong(payload))

    async def hang_up(self) -> None:
        """Close the WebSocket, with its close frame."""
        self._writer.write(_frame(_CLOSE, b"\x03\xe8"))
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._reader.read(1024), 1.0)

    # --- the steps ---

    async def _resolve(self) -> list[str]:
        loop = asyncio.get_running_loop()
        todo = "Correct PUBLIC_URL, or make a DNS record for the name; a tunnel's name goes when its tunnel does."
        try:
            looking = loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            found = await asyncio.wait_for(looking, STEP_SECONDS)
        except (OSError, UnicodeError):
            raise Trouble("dns", f"{self.host} has no address in the DNS", todo) from None
        except TimeoutError:
            raise Trouble("dns", f"the DNS does not answer for {self.host}", todo) from None
        return list(dict.fromkeys(str(address[0]) for *_, address in found))[:4]

    async def _connect(self, addresses: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first address that takes us."""
        where = f"{self.host}, port {self.port}"
        try:
            return await self._first(addresses)
        except ssl.SSLError as error:
            raise self._tls_trouble(error) from None
        except ConnectionRefusedError:
            todo = "Start the proxy or the tunnel, or put its port into PUBLIC_URL."
            raise Trouble("refused", f"{where} refuses connections: nothing listens there", todo) from None
        except (ConnectionResetError, ConnectionAbortedError):
            if self._tls and await self._speaks_plain(addresses[0]):
                raise self._no_tls() from None
            todo = "See whether what listens there speaks TLS, and is the proxy at all."
            raise Trouble("closed", f"{where} takes connections and closes them", todo) from None
        except (OSError, TimeoutError):
            todo = (
                "Open the port in the firewall; if a machine cannot reach its own public address, run this on another."
            )
            raise Trouble("unreachable", f"{where} cannot be reached", todo) from None

    async def _first(self, addresses: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError = TimeoutError()
        for address in addresses:
            connecting = asyncio.open_connection(
                address,
                self.port,
                ssl=ssl.create_default_context() if self._tls else None,
                server_hostname=self.host if self._tls else None,
            )
            try:
                return await asyncio.wait_for(connecting, STEP_SECONDS / len(addresses))
            except ssl.SSLError:
                raise
            except OSError as error:  # TimeoutError is one
                failure = error
        raise failure

    async def _speaks_plain(self, address: str) -> bool:
        """Whether who closes connections at the first word of TLS answers HTTP without it, as the node itself does."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                reader, writer = await asyncio.open_connection(address, self.port)
                try:
                    writer.write(f"HEAD / HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
                    return (await reader.read(5)).startswith(b"HTTP")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    def _no_tls(self) -> Trouble:
        todo = "Put a proxy that speaks TLS there: the node itself speaks plain HTTP. Or correct PUBLIC_URL's port."
        return Trouble("no_tls", f"{self.host}, port {self.port} speaks no TLS", todo)

    def _tls_trouble(self, error: ssl.SSLError) -> Trouble:
        if isinstance(error, ssl.SSLCertVerificationError):
            unknown = (
                "tls_chain",
                "has an issuer that nobody knows",
                "Give the proxy the whole chain (fullchain.pem), of a public authority.",
            )
            fault, what, todo = _CERTIFICATE.get(error.verify_code, unknown)
            return Trouble(fault, f"the certificate of {self.host} {what}", todo)
        if error.reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return self._no_tls()
        return Trouble("tls", f"TLS with {self.host} fails", "See the proxy's log, and its TLS versions and ciphers.")

    async def _in_time(self, step: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return await asyncio.wait_for(step, STEP_SECONDS)
        except TimeoutError:
            detail = f"{self.host} takes the request, and gives no answer within {STEP_SECONDS:.0f} s"
            todo = "The proxy waits for something: see the address it passes on to, its timeouts and its buffering."
            raise Trouble("no_answer", detail, todo) from None
        except (OSError, EOFError, h11.RemoteProtocolError):
            todo = "See the proxy's log; and whether it is a proxy that listens there."
            raise Trouble("broken", f"{self.host} closes the connection in place of an answer", todo) from None

    async def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        request = h11.Request(method=method, target=target, headers=list(headers.items()))
        parts = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        for part in parts:
            self._writer.write(self._http.send(part) or b"")
        head: h11.Response | h11.InformationalResponse | None = None
        said = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65_536))
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    head = event
                    break
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                said += event.data[: MAX_BODY_BYTES - len(said)]
            else:
                break
        if head is None:
            raise EOFError
        found = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
        return Answer(head.status_code, found, said.decode("utf-8", "replace"))

    async def _pong(self, payload: bytes) -> Answer:
        data = bytearray(self._http.trailing_data[0])
        while True:
            while len(data) >= 2 and len(data) >= 2 + (data[1] & 0x7F):
                opcode, size = data[0] & 0x0F, data[1] & 0x7F  # a node that has no call says nothing longer
                if opcode == _PONG and data[2 : 2 + size] == payload:
                    return Answer(200, {}, "")
                if opcode == _CLOSE:
                    raise EOFError
                del data[: 2 + size]
            more = await self._reader.read(1024)
            if not more:
                raise EOFError
            data += more


def _frame(opcode: int, payload: bytes) -> bytes:
    """A client's control frame."""
    key = os.urandom(4)
    masked = bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + key + masked
