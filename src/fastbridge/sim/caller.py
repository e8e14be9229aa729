"""A telephone call without a telephone: Twilio and the caller, over real sockets, against a running node.

Posts the voice webhook with Twilio's form and signature, follows the TwiML, opens the media stream with Twilio's
headers, sends 20 ms of audio every 20 ms by absolute deadlines, plays what comes back, and ends the call with the
requests that Twilio makes then. What is said and when is a script (`fastbridge.sim.script`); what was measured is a
`CallReport`. This file holds the sockets and the clock; Twilio's rules are in `fastbridge.sim.carrier`.

    script = [Speak("caller_appointment"), HangUp()]
    caller = SimulatedCaller("http://127.0.0.1:5050", script, auth_token="secret", account_sid="AC0123…")
    report = await caller.call()
    assert not report.errors and not report.gaps()

Source: Twilio, "Media Streams", "TwiML <Stream>", "Webhook security"; error codes are those of Twilio's debugger.
"""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit
from xml.etree import ElementTree

import httpx2
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.script import PATIENCE_MS, QUIET_FRAME, Conversation, Step
from fastbridge.sim.tap import TappedConnection, TappedSocket

WEBHOOK_SECONDS = 15.0
CLOSE_SECONDS = 3.0
CONGESTED_BYTES = 65_536
"""Caller audio waiting in our socket: Twilio drops frames when the server reads this slowly."""
NORMAL_CLOSES = (1000, 1001)
MAX_VERBS = 20
"""Of TwiML followed in one call: a document that leads back to itself ends."""


class _CallError(Exception):
    """The call cannot go on; the message is Twilio's error code and what happened."""


class SimulatedCaller:
    """One call, made once by `call()`.

    base_url: the node's public address, which Twilio's signatures are computed for. via: where the node really listens,
    if not there. auth_token: empty sends no signature. account_sid: where the node takes one account's calls alone, it
    must be that one; by default it is made up. direction: inbound, or outbound-api for the other webhook.
    query: appended to the webhook's address (`business_id=7`). limit_seconds: a call still up then has failed.
    While it runs, `carrier`, `conversation` and `events()` can be looked at.
    """

    def __init__(
        self,
        base_url: str,
        script: Sequence[Step],
        *,
        auth_token: str = "",
        account_sid: str = "",
        call_sid: str = "",
        from_number: str = "+15005550001",
        to_number: str = "+15005550006",
        direction: str = "inbound",
        query: str = "",
        via: str = "",
        limit_seconds: float = 120.0,
        patience_ms: int = PATIENCE_MS,
    ) -> None:
        self.call_sid = call_sid or "CA" + secrets.token_hex(16)
        self.account_sid = account_sid or "AC" + secrets.token_hex(16)
        self.report = CallReport(self.call_sid)
        self.conversation = Conversation(script, patience_ms)
        self.carrier: CarrierStream | None = None
        self._base_url = base_url.rstrip("/")
        self._via = via.rstrip("/")
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._numbers = from_number, to_number
        self._direction = direction
        self._query = f"?{query}" if query else ""
        self._limit_ms = limit_seconds * 1000
        self._verbs = 0
        self._order: dict[str, str] | None = None  # of the REST API, to be carried out
        self._events: list[Event] = []
        self._begun_ms = 0.0
        self._http: httpx2.AsyncClient

    async def call(self) -> CallReport:
        """The whole call. Never raises for what the node does: that is in `errors` of the report."""
        self._begun_ms = self._now_ms()
        inbound = self._direction == "inbound"
        path = "/webhook/incoming_call" if inbound else "/webhook/outbound_call"
        headers = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
        async with httpx2.AsyncClient(timeout=WEBHOOK_SECONDS, trust_env=False, headers=headers) as self._http:
            try:
                status = "ringing" if inbound else "in-progress"
                await self._follow(await self._twiml(f"{self._base_url}{path}{self._query}", {"CallStatus": status}))
            except _CallError as failure:
                self._fail(str(failure))
            await self._finish()
        self.report.errors += self.conversation.errors
        self.report.events = self.events()
        return self.report

    def update(self, form: dict[str, str]) -> bool:
        """Twilio's REST API changes this call: `Status=completed` ends it, `Twiml` is what it goes on with. False
        unless its stream is up."""
        if self.carrier is None or self.carrier.stopped or self._order is not None:
            return False
        self._order = form
        return True

    def events(self) -> list[Event]:
        """What has happened so far, in order, on the stream's clock (the webhook's, before there is a stream)."""
        clears = self.carrier.clears if self.carrier is not None else []
        absolute = [*self._events, *(Event(clear.arrived_ms, "clear") for clear in clears)]
        origin_ms = self.carrier.start_ms if self.carrier is not None else self._begun_ms
        events = [event._replace(at_ms=event.at_ms - origin_ms) for event in absolute]
        events += [Event(at_ms, kind, text) for at_ms, kind, text in self.conversation.events]
        return sorted(events, key=lambda event: event.at_ms)

    # Webhooks.

    async def _post(self, url: str, fields: dict[str, str]) -> httpx2.Response:
        """A signed form, as Twilio posts it."""
        sender, receiver = self._numbers
        form = {
            "CallSid": self.call_sid,
            "AccountSid": self.account_sid,
            "From": sender,
            "To": receiver,
            "Caller": sender,
            "Called": receiver,
            "Direction": self._direction,
            "ApiVersion": "2010-04-01",
            **fields,
        }
        headers = {"X-Twilio-Signature": self._validator.compute_signature(url, form)} if self._validator else {}
        try:
            return await self._http.post(self._reach(url), data=form, headers=headers)
        except httpx2.HTTPError as error:
            raise _CallError(f"11200 {urlsplit(url).path} failed: {error!r}") from error

    async def _twiml(self, url: str, fields: dict[str, str]) -> ElementTree.Element:
        began_ms = self._now_ms()
        response = await self._post(url, fields)
        self._note("webhook", f"{urlsplit(url).path} {response.status_code} in {self._now_ms() - began_ms:.0f} ms")
        if response.status_code >= 400:
            raise _CallError(f"11200 {urlsplit(url).path} answered {response.status_code}")
        if not response.headers.get("content-type", "").partition(";")[0].endswith("/xml"):
            raise _CallError(f"12300 {urlsplit(url).path} answered {response.headers.get('content-type')!r}, not XML")
        try:
            document = ElementTree.fromstring(response.text)
        except ElementTree.ParseError as error:
            raise _CallError(f"12100 TwiML cannot be parsed: {error}") from None
        if document.tag != "Response":
            raise _CallError(f"12100 TwiML begins with <{document.tag}>, not <Response>")
        return document

    async def _follow(self, document: ElementTree.Element) -> None:
        """The verbs in their order, until one of them ends the call or hands over to another document."""
        for verb in document:
            self._verbs += 1
            if self._verbs > MAX_VERBS:
                raise _CallError(f"more than {MAX_VERBS} TwiML verbs in one call")
            if verb.tag == "Connect":
                if await self._connect_verb(verb):
                    return
            elif verb.tag in ("Hangup", "Reject"):
                break
            else:
                self._note(verb.tag.lower(), "".join(verb.itertext()).strip())
        if self.report.ended_by == "nobody":
            self.report.ended_by = "server"
        self._note("hang_up", "by the node's TwiML")

    async def _connect_verb(self, verb: ElementTree.Element) -> bool:
        """True when the call goes on elsewhere or has ended; False when the verb behind this one is next."""
        stream = verb.find("Stream")
        if stream is None or not stream.get("url"):
            raise _CallError("12100 <Connect> without <Stream url>")
        parameters = {item.get("name", ""): item.get("value", "") for item in stream.findall("Parameter")}
        await self._stream(stream.get("url", ""), parameters)
        if self._order is not None:
            await self._obey(self._order)
            return True
        hung_up = self.report.ended_by == "caller"
        action = verb.get("action")
        if action is None:
            return hung_up
        fields = {"CallStatus": "completed" if hung_up else "in-progress", "StreamSid": self.report.stream_sid}
        answer = await self._twiml(action, fields)
        if not hung_up:
            await self._follow(answer)
        return True

    async def _obey(self, order: dict[str, str]) -> None:
        """What the REST API has asked for, once the stream is down."""
        self._note("rest", ", ".join(sorted(order)))
        if "Twiml" in order:
            await self._follow(ElementTree.fromstring(order["Twiml"]))
        else:
            self._note("hang_up", "by the node's request")

    async def _finish(self) -> None:
        """The status callback, which comes last."""
        seconds = str(round((self._now_ms() - self._begun_ms) / 1000))
        fields = {"CallStatus": "completed", "CallDuration": seconds, "SequenceNumber": "0"}
        url = f"{self._base_url}/webhook/call_status"
        try:
            response = await self._post(url, {**fields, "CallbackSource": "call-progress-events"})
        except _CallError as failure:
            self._fail(str(failure))
            return
        if response.status_code >= 400:
            self._fail(f"11200 /webhook/call_status answered {response.status_code}")

    # The media stream.

    async def _stream(self, url: str, parameters: dict[str, str]) -> None:
        connection = await self._open(url)
        carrier = self.carrier = CarrierStream(
            call_sid=self.call_sid,
            account_sid=self.account_sid,
            stream_sid="MZ" + secrets.token_hex(16),
            parameters=parameters,
            start_ms=self._now_ms(),
        )
        reader = asyncio.create_task(self._listen(connection, carrier))
        try:
            for message in carrier.start_messages():
                await connection.send(message)
            await self._talk(connection, carrier, reader)
        except ConnectionClosed:
            pass  # judged below, by the close code
        finally:
            await connection.close()
            await asyncio.wait([reader])
            self.report.take(carrier)
        self._judge_close(connection)
        reader.result()

    async def _open(self, url: str) -> TappedConnection:
        """Twilio's handshake: no subprotocol, no extension, no origin; the address signed as it stands in the TwiML."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or parts.query:
            raise _CallError(f"31922 stream address {url!r} must be wss:// (or ws:// here), without a query")
        headers = {"X-Twilio-Signature": self._validator.compute_signature(url, {})} if self._validator else {}
        target = self._reach(url)
        try:
            tapped = await _dial(target)
            connection = await connect(
                target,
                sock=tapped,
                create_connection=TappedConnection,
                additional_headers=headers,
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                max_size=None,
                max_queue=None,
            )
        except InvalidStatus as error:
            raise _CallError(f"31920 handshake answered {error.response.status_code}") from error
        except (OSError, WebSocketException) as error:
            raise _CallError(f"31901 no media connection: {error!r}") from error
        assert isinstance(connection, TappedConnection)
        connection.tapped = tapped
        self._note("connected", parts.hostname or "")
        return connection

    async def _listen(self, connection: TappedConnection, carrier: CarrierStream) -> None:
        """What the server sends, until the connection ends."""
        try:
            async for message in connection:
                arrived_ms = connection.arrivals_ns.popleft() / 1e6
                carrier.receive(message, self._now_ms(), arrived_ms)
                for echo in carrier.poll(self._now_ms()):
                    await connection.send(echo)
        except ConnectionClosed:
            pass  # judged by the close code

    async def _talk(self, connection: TappedConnection, carrier: CarrierStream, reader: asyncio.Task[None]) -> None:
        """20 ms of the caller every 20 ms, until somebody ends the call. A late tick is made up for, never skipped."""
        while not reader.done():
            tick_ms = len(carrier.said) // FRAME_BYTES * FRAME_MS
            await asyncio.sleep((carrier.start_ms + tick_ms - self._now_ms()) / 1000)
            for echo in carrier.poll(self._now_ms()):
                await connection.send(echo)
            if self._order is not None:
                self.report.ended_by = "server"
                await connection.send(carrier.stop())
                return
            action = self.conversation.tick(bytes(carrier.heard[-FRAME_BYTES:]) or QUIET_FRAME)
            if action.hang_up or tick_ms > self._limit_ms:
                if not action.hang_up:
                    self._fail(f"call still up after {tick_ms / 1000:g} s")
                self.report.ended_by = "caller"
                await connection.send(carrier.stop())
                return
            if action.digit is not None:
                await connection.send(carrier.dtmf(action.digit))
            if connection.transport.get_write_buffer_size() > CONGESTED_BYTES:
                self._fail("31930 upstream congestion: the server reads too slowly")
                carrier.lose(action.frame)
            else:
                await connection.send(carrier.media(action.frame))
        self.report.ended_by = "server"

    def _judge_close(self, connection: TappedConnection) -> None:
        if self.report.ended_by != "caller":
            self.report.ended_by = "server"
            self._note("closed", f"by the server with {connection.close_code} {connection.close_reason or ''}".strip())
            if connection.close_code not in NORMAL_CLOSES:
                self._fail(f"31921 server closed the stream with {connection.close_code}")

    # Bookkeeping.

    def _reach(self, url: str) -> str:
        """The address as dialled: `via` in place of the public origin."""
        if not self._via:
            return url
        parts, via = urlsplit(url), urlsplit(self._via)
        secure = via.scheme == "https"
        scheme = ("wss" if secure else "ws") if parts.scheme.startswith("ws") else via.scheme
        return urlunsplit((scheme, via.netloc, parts.path, parts.query, ""))

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    def _note(self, kind: str, text: str = "") -> None:
        self._events.append(Event(self._now_ms(), kind, text))

    def _fail(self, error: str) -> None:
        if error not in self.report.errors:
            self.report.errors.append(error)
            self._note("error", error)


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
