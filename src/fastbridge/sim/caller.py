"""A telephone call without a telephone: Twilio and the caller, over real sockets, against a running node.

Posts the voice webhook with Twilio's form and signature, follows the TwiML, opens the media stream with Twilio's
headers, sends 20 ms of audio every 20 ms by absolute deadlines, plays what comes back, and ends the call with the
requests that Twilio makes then. What is said and when is a script (`fastbridge.sim.script`); what was measured is a
`CallReport`. This file holds the call together; its stream is in `media_line`, its TwiML in `twiml`, Twilio's rules in
`carrier`.

    script = [Speak("caller_appointment"), HangUp()]
    caller = SimulatedCaller("http://127.0.0.1:5050", script, auth_token="secret", account_sid="AC0123…")
    report = await caller.call()
    assert not report.errors and not report.gaps()

Source: Twilio, "Media Streams", "TwiML <Stream>", "Webhook security"; error codes are those of Twilio's debugger.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.media_line import LineError, MediaLine
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.script import PATIENCE_MS, Conversation, Step
from fastbridge.sim.signed_http import SignedHttp, new_client
from fastbridge.sim.twiml import Document, Exchange, Follower, StreamEnd, parsed


class SimulatedCaller:
    """One call, made once by `call()`.

    base_url: the node's public address, which Twilio's signatures are computed for. via: where the node really listens,
    if not there. auth_token: empty sends no signature. account_sid: where the node takes one account's calls alone, it
    must be that one; by default it is made up. direction: inbound, or outbound-api for the other webhook.
    query: appended to the webhook's address (`business_id=7`). limit_seconds: a call still up then has failed.
    digits: what the caller presses at each `<Gather>`. `exchange` is what `<Dial>` and `<Enqueue>` lead to: a
    CarrierApi's, where that has callees and the call is registered there.
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
        digits: Sequence[str] = (),
    ) -> None:
        self.call_sid = call_sid or "CA" + secrets.token_hex(16)
        self.account_sid = account_sid or "AC" + secrets.token_hex(16)
        self.from_number = from_number
        self.to_number = to_number
        self.direction = direction
        self.report = CallReport(self.call_sid)
        self.conversation = Conversation(script, patience_ms)
        self.carrier: CarrierStream | None = None
        self.exchange: Exchange | None = None
        self.at_end: Callable[[], object] = lambda: None
        """Called when the call is over, before what comes last."""
        self.status = "ringing"
        """As Twilio has it: ringing, in-progress or completed."""
        self._base_url = base_url.rstrip("/")
        self._auth_token = auth_token
        self._via = via
        self._query = f"?{query}" if query else ""
        self._limit_ms = limit_seconds * 1000
        self._digits = list(digits)
        self._line: MediaLine | None = None
        self._follower: Follower | None = None
        self._events: list[Event] = []
        self._begun_ms = 0.0
        self._http: SignedHttp

    async def call(self) -> CallReport:
        """The whole call. Never raises for what the node does: that is in `errors` of the report."""
        inbound = self.direction == "inbound"
        path = "/webhook/incoming_call" if inbound else "/webhook/outbound_call"
        url = f"{self._base_url}{path}{self._query}"
        async with new_client() as http:
            self._http = SignedHttp(self._auth_token, http, self._via)
            await self._talk(self._answered(url, {"CallStatus": "ringing" if inbound else "in-progress"}))
            await self._finish()
        return self._report()

    async def pick_up(self, http: SignedHttp, first: Callable[[], Coroutine[Any, Any, Document]]) -> CallReport:
        """A call that was made to him, from the moment he answers. first(): what he is connected with."""
        self._http = http
        self.status = "in-progress"
        await self._talk(first())
        return self._report()

    def update(self, form: dict[str, str]) -> bool:
        """Twilio's REST API changes this call: `Status=completed` ends it, `Twiml` or `Url` is what it goes on with.
        False unless it is in progress."""
        return self.status == "in-progress" and self._follower is not None and self._follower.order(form)

    def hang_up(self) -> None:
        """Whatever goes on."""
        if self._follower is not None:
            self._follower.hang_up()

    def events(self) -> list[Event]:
        """What has happened so far, in order, on the stream's clock (the webhook's, before there is a stream)."""
        clears = self.carrier.clears if self.carrier is not None else []
        absolute = [*self._events, *(Event(clear.arrived_ms, "clear") for clear in clears)]
        origin_ms = self.carrier.start_ms if self.carrier is not None else self._begun_ms
        events = [event._replace(at_ms=event.at_ms - origin_ms) for event in absolute]
        events += [Event(at_ms, kind, text) for at_ms, kind, text in self.conversation.events]
        return sorted(events, key=lambda event: event.at_ms)

    async def _talk(self, first: Coroutine[Any, Any, Document]) -> None:
        self._begun_ms = self._now_ms()
        follower = self._follower = Follower(self, self.exchange)
        try:
            await follower.follow(first)
        except LineError as failure:
            self._fail(str(failure))
        finally:
            self.status = "completed"
            self.report.ended_by = follower.ended_by
            self.at_end()

    async def _answered(self, url: str, fields: Mapping[str, str]) -> Document:
        document = await self.fetch(url, fields)
        self.status = "in-progress"
        return document

    async def _finish(self) -> None:
        """The status callback, which comes last."""
        seconds = str(round((self._now_ms() - self._begun_ms) / 1000))
        fields = {"CallStatus": "completed", "CallDuration": seconds, "SequenceNumber": "0"}
        url = f"{self._base_url}/webhook/call_status"
        try:
            response = await self._post(url, {**fields, "CallbackSource": "call-progress-events"})
        except LineError as failure:
            self._fail(str(failure))
            return
        if response.status_code >= 400:
            self._fail(f"11200 /webhook/call_status answered {response.status_code}")

    def _report(self) -> CallReport:
        self.report.errors += self.conversation.errors
        self.report.events = self.events()
        return self.report

    # The phone that TwiML is obeyed by.

    def press(self) -> str:
        return self._digits.pop(0) if self._digits else ""

    async def fetch(self, url: str, fields: Mapping[str, str], method: str = "POST") -> Document:
        began_ms = self._now_ms()
        response = await self._post(url, fields, method)
        path = urlsplit(url).path
        self.note("webhook", f"{path} {response.status_code} in {self._now_ms() - began_ms:.0f} ms")
        if response.status_code >= 400:
            raise LineError(f"11200 {path} answered {response.status_code}")
        if not response.headers.get("content-type", "").partition(";")[0].endswith("/xml"):
            raise LineError(f"12300 {path} answered {response.headers.get('content-type')!r}, not XML")
        return parsed(response.text, url)

    async def stream(self, url: str, parameters: dict[str, str]) -> StreamEnd:
        carrier = CarrierStream(
            call_sid=self.call_sid,
            account_sid=self.account_sid,
            stream_sid="MZ" + secrets.token_hex(16),
            parameters=parameters,
        )
        line = self._line = MediaLine(
            carrier, self.conversation, self._http, self._limit_ms, note=self.note, fail=self._fail
        )
        try:
            await line.run(url, lambda: self._opened(carrier))
        finally:
            self._line = None
            if carrier.started:
                self.report.take(carrier)
        return StreamEnd(line.ended_by, carrier.stream_sid)

    def stop_stream(self, by: str) -> bool:
        if self._line is not None:
            self._line.stop(by)
        return self._line is not None

    def _opened(self, carrier: CarrierStream) -> None:
        self.carrier = carrier

    async def _post(self, url: str, fields: Mapping[str, str], method: str = "POST") -> httpx2.Response:
        """Signed, as Twilio posts it."""
        form = {
            "CallSid": self.call_sid,
            "AccountSid": self.account_sid,
            "From": self.from_number,
            "To": self.to_number,
            "Caller": self.from_number,
            "Called": self.to_number,
            "Direction": self.direction,
            "ApiVersion": "2010-04-01",
            **fields,
        }
        try:
            return await self._http.request(method, url, form)
        except httpx2.HTTPError as error:
            raise LineError(f"11200 {urlsplit(url).path} failed: {error!r}") from error

    # Bookkeeping.

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    def note(self, kind: str, text: str = "") -> None:
        self._events.append(Event(self._now_ms(), kind, text))

    def _fail(self, error: str) -> None:
        if error not in self.report.errors:
            self.report.errors.append(error)
            self.note("error", error)
