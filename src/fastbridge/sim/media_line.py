"""One media stream over a real socket: Twilio's handshake, 20 ms of the caller every 20 ms by absolute deadlines, and
what the server plays into his ear. Twilio's rules are in `fastbridge.sim.carrier`, what is said in a Conversation.

Source: Twilio, "Media Streams"; error codes are those of Twilio's debugger.
"""

import asyncio
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.script import QUIET_FRAME, Conversation
from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.tap import TappedConnection, TappedSocket

CLOSE_SECONDS = 3.0
CONGESTED_BYTES = 65_536
"""Caller audio waiting in our socket: Twilio drops frames when the server reads this slowly."""
NORMAL_CLOSES = (1000, 1001)


class LineError(Exception):
    """The call cannot go on; the message is Twilio's error code and what happened."""


class MediaLine:
    """Open to `run` once. http: signs the handshake and knows the way. note(kind, text), fail(error): for the report.
    `ended_by` is caller, server (an order of the REST API included) or, before the end, nobody."""

    def __init__(
        self,
        carrier: CarrierStream,
        conversation: Conversation,
        http: SignedHttp,
        limit_ms: float,
        *,
        note: Callable[[str, str], object],
        fail: Callable[[str], object],
    ) -> None:
        self.ended_by = "nobody"
        self._carrier = carrier
        self._conversation = conversation
        self._http = http
        self._limit_ms = limit_ms
        self._note = note
        self._fail = fail
        self._stopped_by = ""

    def stop(self, by: str) -> None:
        """The call goes elsewhere, or ends: the stream does, with the next frame. by: caller or server."""
        self._stopped_by = by

    async def run(self, url: str, opened: Callable[[], object]) -> None:
        """Until either side ends it. opened(): the handshake is done. LineError where there is no stream."""
        connection = await self._open(url)
        carrier = self._carrier
        carrier.start_ms = _now_ms()
        opened()
        reader = asyncio.create_task(self._listen(connection))
        try:
            for message in carrier.start_messages():
                await connection.send(message)
            await self._talk(connection, reader)
        except ConnectionClosed:
            pass  # judged below, by the close code
        finally:
            await connection.close()
            await asyncio.wait([reader])
        self._judge_close(connection)
        reader.result()

    async def _open(self, url: str) -> TappedConnection:
        """Twilio's handshake: no subprotocol, no extension, no origin; the address signed as it stands in the TwiML."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or parts.query:
            raise LineError(f"31922 stream address {url!r} must be wss:// (or ws:// here), without a query")
        target = self._http.reach(url)
        try:
            tapped = await _dial(target)
            connection = await connect(
                target,
                sock=tapped,
                create_connection=TappedConnection,
                additional_headers=self._http.signature(url, {}),
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                max_size=None,
                max_queue=None,
            )
        except InvalidStatus as error:
            raise LineError(f"31920 handshake answered {error.response.status_code}") from error
        except (OSError, WebSocketException) as error:
            raise LineError(f"31901 no media connection: {error!r}") from error
        assert isinstance(connection, TappedConnection)
        connection.tapped = tapped
        self._note("connected", parts.hostname or "")
        return connection

    async def _listen(self, connection: TappedConnection) -> None:
        """What the server sends, until the connection ends."""
        try:
            async for message in connection:
                arrived_ms = connection.arrivals_ns.popleft() / 1e6
                self._carrier.receive(message, _now_ms(), arrived_ms)
                for echo in self._carrier.poll(_now_ms()):
                    await connection.send(echo)
        except ConnectionClosed:
            pass  # judged by the close code

    async def _talk(self, connection: TappedConnection, reader: asyncio.Task[None]) -> None:
        """20 ms of the caller every 20 ms, until somebody ends the call. A late tick is made up for, never skipped."""
        carrier = self._carrier
        while not reader.done():
            tick_ms = len(carrier.said) // FRAME_BYTES * FRAME_MS
            await asyncio.sleep((carrier.start_ms + tick_ms - _now_ms()) / 1000)
            for echo in carrier.poll(_now_ms()):
                await connection.send(echo)
            if self._stopped_by:
                await self._stop(connection, self._stopped_by)
                return
            action = self._conversation.tick(bytes(carrier.heard[-FRAME_BYTES:]) or QUIET_FRAME)
            if action.hang_up or tick_ms > self._limit_ms:
                if not action.hang_up:
                    self._fail(f"call still up after {tick_ms / 1000:g} s")
                await self._stop(connection, "caller")
                return
            if action.digit is not None:
                await connection.send(carrier.dtmf(action.digit))
            if connection.transport.get_write_buffer_size() > CONGESTED_BYTES:
                self._fail("31930 upstream congestion: the server reads too slowly")
                carrier.lose(action.frame)
            else:
                await connection.send(carrier.media(action.frame))
        self.ended_by = "server"

    async def _stop(self, connection: TappedConnection, by: str) -> None:
        self.ended_by = by
        await connection.send(self._carrier.stop())

    def _judge_close(self, connection: TappedConnection) -> None:
        if self.ended_by != "caller":
            self.ended_by = "server"
            self._note("closed", f"by the server with {connection.close_code} {connection.close_reason or ''}".strip())
            if connection.close_code not in NORMAL_CLOSES:
                self._fail(f"31921 server closed the stream with {connection.close_code}")


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000


async def _dial(url: str) -> TappedSocket:
    """A TCP connection to the host of `url`, tapped. OSError when nobody answers at any of its addresses."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    for index, (family, kind, protocol, _, address) in enumerate(found):
        tapped = TappedSocket(family, kind, protocol)
        tapped.setblocking(False)
        try:
            await loop.sock_connect(tapped, address)
        except OSError:
            tapped.close()
            if index + 1 == len(found):
                raise
            continue
        tapped.tap()
        tapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tapped
    raise OSError(f"{parts.hostname} has no address")
