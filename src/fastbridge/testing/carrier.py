"""Twilio on virtual time: the media stream's other end with a caller who goes by a script, and the REST API."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from xml.etree import ElementTree

import httpx2

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.carrier_api import CarrierApi, Line
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.script import QUIET_FRAME, Conversation, Step
from fastbridge.sim.twilio_http import ResetError, request_of
from fastbridge.testing.loop import MS, VirtualLoop
from fastbridge.testing.model import unframed
from fastbridge.testing.settings import ACCOUNT_SID

NORMAL_CLOSE = 1000
_STREAMS = count(1)


class VirtualCarrier:
    """One caller and the stream: a CarrierLink of the call. feed(message): what the node gets. `over` is done when the
    stream is closed, or the call was never answered."""

    def __init__(
        self, loop: VirtualLoop, report: CallReport, script: Sequence[Step], patience_ms: int, limit_seconds: float
    ) -> None:
        self.call_sid = report.call_sid
        self.led_away: Line | None = None
        """Who obeys the API once the stream has ended, where somebody does."""
        self.report = report
        self.conversation = Conversation(script, patience_ms)
        self.over: asyncio.Future[None] = loop.create_future()
        self.stream: CarrierStream | None = None
        self._loop = loop
        self._limit_ms = limit_seconds * 1000
        self._feed: Callable[[bytes], object]
        self._order: dict[str, str] | None = None  # of the REST API, to be carried out
        self._close: tuple[int, str] | None = None
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._began_ms = self._now_ms()
        self._events: list[Event] = []

    def start(self, parameters: Mapping[str, str], feed: Callable[[bytes], object]) -> None:
        """The stream is open, and the node has had its `start`."""
        self._feed = feed
        stream = self.stream = CarrierStream(
            call_sid=self.call_sid,
            account_sid=ACCOUNT_SID,
            stream_sid=self.report.stream_sid,
            parameters=dict(parameters),
            start_ms=self._now_ms(),
        )
        stream.start_messages()
        self._tick(stream)

    def note(self, kind: str, text: str = "") -> None:
        self._events.append(Event(self._now_ms(), kind, text))

    def update(self, form: dict[str, str]) -> bool:
        """The REST API changes this call, as `SimulatedCaller.update`."""
        if self.stream is None or self.over.done() or self._order is not None:
            return self.led_away is not None and self.led_away.update(form)
        self._order = form
        return True

    @property
    def order(self) -> dict[str, str]:
        """Of the REST API, which ended the stream; empty where something else did."""
        return self._order or {}

    # A CarrierLink of the call.

    def write(self, frame: bytes) -> None:
        stream = self.stream
        assert stream is not None, "written before the start"
        stream.receive(unframed(frame, masked=False), self._now_ms())
        self._loop.call_soon(self._echo, stream)

    def close(self, code: int, reason: str) -> None:
        if self._close is None:
            self._close = code, reason
            self.over.set_result(None)

    # 20 ms of the caller every 20 ms.

    def _tick(self, stream: CarrierStream) -> None:
        if self.over.done():
            return
        self._echo(stream)
        action = self.conversation.tick(bytes(stream.heard[-FRAME_BYTES:]) or QUIET_FRAME)
        at_ms = self._ticks * FRAME_MS
        if self._order is not None:
            self.report.ended_by = "server"
            self._send(stream.stop())
        elif action.hang_up or at_ms > self._limit_ms:
            if not action.hang_up:
                self._fail(f"call still up after {at_ms / 1000:g} s")
            self.report.ended_by = "caller"
            self._send(stream.stop())
        else:
            if action.digit is not None:
                self._send(stream.dtmf(action.digit))
            self._send(stream.media(action.frame))
            self._ticks += 1
            due_ms = stream.start_ms + self._ticks * FRAME_MS
            self._timer = self._loop.call_at(due_ms / 1000, self._tick, stream)

    def _echo(self, stream: CarrierStream) -> None:
        for echo in stream.poll(self._now_ms()):
            self._send(echo)

    def _send(self, message: str) -> None:
        if not self.over.done():
            self._feed(message.encode())

    # The end.

    def finish(self) -> None:
        """All of it into the report."""
        if self._timer is not None:
            self._timer.cancel()
        report, origin_ms = self.report, self._began_ms
        self._judge_close()
        if self._order is not None and self.led_away is None:
            self._obey(self._order)
        if self.stream is not None:
            origin_ms = self.stream.start_ms
            report.take(self.stream)
            self._events += [Event(clear.arrived_ms, "clear") for clear in self.stream.clears]
        report.errors += self.conversation.errors
        events = [event._replace(at_ms=event.at_ms - origin_ms) for event in self._events]
        events += [Event(at_ms, kind, text) for at_ms, kind, text in self.conversation.events]
        report.events = sorted(events, key=lambda event: event.at_ms)

    def _judge_close(self) -> None:
        if self.report.ended_by == "caller":
            return
        self.report.ended_by = "server"
        if self._close is not None:
            code, reason = self._close
            self.note("closed", f"by the server with {code} {reason}".strip())
            if code != NORMAL_CLOSE:
                self._fail(f"31921 server closed the stream with {code}")

    def _obey(self, order: dict[str, str]) -> None:
        self.note("rest", ", ".join(sorted(order)))
        for verb in ElementTree.fromstring(order["Twiml"]) if "Twiml" in order else ():
            self.note(verb.tag.lower(), "".join(verb.itertext()).strip())
        self.note("hang_up", "by the node's request" if "Status" in order else "by the node's TwiML")

    def _now_ms(self) -> float:
        return self._loop.now_ns / MS

    def _fail(self, error: str) -> None:
        self.report.errors.append(error)
        self.note("error", error)


def new_report(call_sid: str) -> CallReport:
    """Of a call of ours, whose stream has a name already."""
    number = next(_STREAMS)
    report = CallReport(call_sid or f"CA{number:032x}")
    report.stream_sid = f"MZ{number:032x}"
    return report


class ApiTransport(httpx2.AsyncBaseTransport):
    """The way of the node's own requests to `api`, without a socket."""

    def __init__(self, api: CarrierApi) -> None:
        self._api = api

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        asked = request_of(request.method.encode(), request.url.raw_path, request.headers.raw, body)
        try:
            reply = await self._api.respond(asked)
        except ResetError:
            raise httpx2.ReadError("the connection was reset", request=request) from None
        headers = {"Content-Type": reply.content_type, **({"Location": reply.location} if reply.location else {})}
        return httpx2.Response(reply.status, headers=headers, content=reply.written(), request=request)
