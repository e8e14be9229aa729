"""Twilio's REST API on a loopback socket: calls out, calls changed, what becomes of them, and the account.

Real HTTP, Basic authentication, Twilio's answers and error codes. This file lets requests in and sends each where it
belongs: calls are in `twilio_calls`, who answers them in `callee`, what goes wrong in `twilio_faults`.

    callees = {"+14155550101": Callee([Speak("caller_accepts"), HangUp()]), "+14155550102": Callee(outcome="busy")}
    async with CarrierApi(account_sid, auth_token, callees=callees) as api:
        ...  # POST {api.url}/2010-04-01/Accounts/{account_sid}/Calls.json
"""

import asyncio
import base64
import functools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import httpx2

from fastbridge.sim.callee import Callee
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.report import CallReport
from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.twilio_call import API_VERSION, Call
from fastbridge.sim.twilio_callbacks import Callbacks, FateOf, all_sent
from fastbridge.sim.twilio_calls import Calls, Line, Update
from fastbridge.sim.twilio_faults import RESET, RESET_AFTER, Fault, Faults, Plan, RateLimit
from fastbridge.sim.twilio_http import HttpServer, Request, ResetError
from fastbridge.sim.twilio_numbers import Numbers
from fastbridge.sim.twilio_recordings import MEDIA, Recordings
from fastbridge.sim.twilio_reply import AUTHENTICATE, TOO_MANY_REQUESTS, RefusedError, Reply, failure, not_found
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twilio_switch import Switch

__all__ = ["API_VERSION", "RESET", "RESET_AFTER", "CarrierApi", "Fault", "Line", "Update"]

_ACCOUNT = rf"/{API_VERSION}/Accounts/(AC[0-9a-f]{{32}})"
Handler = Callable[..., Reply]


def _sid(prefix: str) -> str:
    return f"({prefix}[0-9a-f]{{32}})"


class CarrierApi:
    """`async with CarrierApi(user, secret) as api`: `api.url` is what FASTBRIDGE_TWILIO_API_URL should be.

    user, secret: the account's sid and auth token, or an API key's, and then auth_token is what callbacks are signed
    with; api_keys: more of them, by sid. numbers: the account's, as Twilio's answers show them (`sid`, `phone_number`,
    `voice_url` …); what is set of them is set there, and with any, calls come from those alone.

    callees: who answers at which number, also later, as `api.callees`; `callee` at all others. While there are none,
    what registered calls dial is noted, and nobody called. faults: one for each request to come, after which all goes
    well, or a function of a request's method and path; fault_shares: of what passes, how much meets which fault, by
    chance and `seed`; requests_per_second: more are answered 429. callback_fate: what befalls each status callback
    (`Mishaps`), callback_delay_seconds: how late a late one is. recording_ready_seconds: from the end of a recording
    until its file is there; recordings_elsewhere: the API redirects to it. now: for dates, seconds since the epoch.
    http: sends Twilio's own requests.

    `updates` is what was asked of calls, failed requests too; `errors` what Twilio would have refused, or have in its
    debugger; `dialled` whom calls
    were placed to; `callbacks` what befell which; `reports` those of the callees' calls that are over, by call sid.
    """

    def __init__(
        self,
        user: str,
        secret: str,
        *,
        faults: Plan = (),
        numbers: Sequence[dict[str, str]] = (),
        callees: Mapping[str, Callee] | None = None,
        callee: Callee | None = None,
        auth_token: str = "",
        api_keys: Mapping[str, str] | None = None,
        fault_shares: Mapping[Fault, float] | None = None,
        seed: int = 0,
        requests_per_second: int = 0,
        callback_fate: FateOf = all_sent,
        callback_delay_seconds: float = 2.0,
        recording_ready_seconds: float = 1.0,
        recordings_elsewhere: bool = False,
        now: Callable[[], float] = time.time,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self.errors: list[str] = []
        self.callees = dict(callees or {})
        self._credentials = {user: secret, **(api_keys or {})}
        self._account = user if user.startswith("AC") else ""
        self._faults = Faults(faults, fault_shares, seed)
        self._limit = RateLimit(requests_per_second, now)
        self._numbers = Numbers(numbers)
        self._http = SignedHttp(auth_token or secret, http)
        self._callbacks = Callbacks(self._http, self.errors.append, callback_fate, callback_delay_seconds)
        self._services = Services(now, self._http, self._callbacks, self.errors.append)
        self._calls = Calls(now, self._place, self._numbers.has)
        self._server = HttpServer(self.respond)
        self._recordings = Recordings(
            self._calls, self._services, recording_ready_seconds, self._address, elsewhere=recordings_elsewhere
        )
        self._switch = Switch(
            self._services,
            self.callees,
            callee or Callee(),
            self._calls,
            self._recordings,
            auth_token or secret,
            self._numbers.has,
        )
        self._dials = callees is not None
        self._routes = self._all_routes()

    def fail_next(self, *faults: Fault) -> None:
        """Of the requests to come, in place of what was planned."""
        self._faults.plan(faults)

    def register(self, line: Line) -> None:
        """A call that requests may change."""
        call = self._calls.register(line)
        if isinstance(line, SimulatedCaller):
            line.at_end = functools.partial(self._left, call)
            line.exchange = self._switch if self._dials or self.callees else None

    def record(self, call_sid: str, file: bytes, *, seconds: float = 10.0, callback: str = "") -> str:
        """The sid of a recording of a call that is over, which becomes this file, and is then told of at `callback`."""
        call = Call(self._account, "", "", self._services.now(), call_sid=call_sid)
        return self._recordings.place(call, file, seconds, callback)

    @property
    def exchange(self) -> Switch:
        """Where calls that obey TwiML meet."""
        return self._switch

    @property
    def url(self) -> str:
        """RuntimeError before it runs."""
        return self._server.url

    async def ended(self, call_sid: str) -> CallReport:
        """A call that was placed, when it is over and its callbacks were sent. KeyError for one that was not."""
        report = await self._switch.ended(call_sid)
        await self._callbacks.settle()
        return report

    async def all_ended(self) -> None:
        """Every call that was placed so far."""
        await self._switch.all_over()

    @property
    def connections(self) -> int:
        """Accepted so far; each may carry many requests."""
        return self._server.connections

    @property
    def numbers(self) -> list[dict[str, str]]:
        return self._numbers.numbers

    @property
    def updates(self) -> list[Update]:
        return self._calls.updates

    @property
    def dialled(self) -> list[str]:
        """The numbers of the calls that were placed, in their order."""
        return self._calls.dialled

    @property
    def reports(self) -> dict[str, CallReport]:
        return self._switch.reports()

    @property
    def callbacks(self) -> Callbacks:
        return self._callbacks

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()
        await self._services.close()
        await self._http.close()

    async def respond(self, request: Request) -> Reply:
        """What is answered, after its time. ResetError where nothing is."""
        fault = self._faults.next(request.method, request.path)
        if fault == RESET:
            raise ResetError
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        try:
            reply = self._answered(request, fault if isinstance(fault, int) else None)
        except RefusedError as refusal:
            if refusal.mistake:
                self.errors.append(str(refusal))
            reply = refusal.reply
        if fault == RESET_AFTER:
            raise ResetError
        return reply

    def _answered(self, request: Request, fault: int | None) -> Reply:
        """fault: a status in place of the right one."""
        if request.path.startswith(MEDIA):
            return self._recordings.stored(request, request.path.removeprefix(MEDIA))
        self._authenticate(request)
        handler, found = self._route(request)
        if self._account and found[0] != self._account:
            raise not_found(request.path)
        if handler == self._calls.update:
            self._calls.note(request, *found)
        if not self._limit.take():
            raise RefusedError(429, TOO_MANY_REQUESTS, "Too Many Requests", mistake=False)
        return failure(fault) if fault is not None else handler(request, *found)

    def _authenticate(self, request: Request) -> None:
        try:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            user, _, secret = base64.b64decode(given).decode().partition(":")
        except ValueError:
            scheme = user = secret = ""
        if scheme != "Basic" or self._credentials.get(user) != secret:
            raise RefusedError(401, AUTHENTICATE, "Authenticate")

    def _route(self, request: Request) -> tuple[Handler, tuple[str, ...]]:
        for method, pattern, handler in self._routes:
            if method == request.method and (found := pattern.fullmatch(request.path)) is not None:
                return handler, tuple(unquote(part or "") for part in found.groups())
        raise not_found(request.path)

    def _all_routes(self) -> list[tuple[str, re.Pattern[str], Handler]]:
        call, number = f"/Calls/{_sid('CA')}", f"/IncomingPhoneNumbers/{_sid('PN')}"
        recording, its = f"/Recordings/{_sid('RE')}", self._recordings
        conference, meetings = "/Conferences/([^/]+)", self._switch.conferences
        queue, queues = f"/Queues/{_sid('QU')}", self._switch.queues
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/Calls", self._calls.create),
            ("GET", "/Calls", self._calls.listed),
            ("GET", call, self._calls.fetch),
            ("POST", call, self._calls.update),
            ("GET", "", self._numbers.account),
            ("GET", "/IncomingPhoneNumbers", self._numbers.listed),
            ("POST", number, self._numbers.update),
            ("POST", f"{call}/Recordings", its.create),
            ("GET", f"{call}/Recordings", its.listed_of_call),
            ("POST", f"{call}/Recordings/(RE[0-9a-f]{{32}}|Twilio.CURRENT)", its.update),
            ("GET", f"{call}{recording}", its.fetch_of_call),
            ("GET", "/Recordings", its.listed),
            ("GET", recording, its.fetch),
            ("DELETE", recording, its.delete),
            ("GET", "/Conferences", meetings.listed),
            ("GET", conference, meetings.fetch),
            ("POST", conference, meetings.update),
            ("GET", f"{conference}/Participants", meetings.participants),
            ("POST", f"{conference}/Participants", meetings.create_participant),
            ("GET", f"{conference}/Participants/([^/]+)", meetings.fetch_participant),
            ("POST", f"{conference}/Participants/([^/]+)", meetings.update_participant),
            ("DELETE", f"{conference}/Participants/([^/]+)", meetings.kick),
            ("GET", "/Queues", queues.listed),
            ("POST", "/Queues", queues.create),
            ("GET", queue, queues.fetch),
            ("POST", queue, queues.update),
            ("DELETE", queue, queues.delete),
            ("GET", f"{queue}/Members", queues.members),
            ("GET", f"{queue}/Members/(CA[0-9a-f]{{32}}|Front)", queues.fetch_member),
            ("POST", f"{queue}/Members/(CA[0-9a-f]{{32}}|Front)", queues.dequeue),
        ]
        compiled = [(method, re.compile(rf"{_ACCOUNT}{path}\.json"), handler) for method, path, handler in routes]
        return [*compiled, ("GET", re.compile(rf"{_ACCOUNT}{recording}(\.wav|\.mp3)?"), its.media)]

    def _place(self, account_sid: str, fields: Mapping[str, str]) -> Call:
        return self._switch.place(account_sid, fields)

    def _left(self, call: Call) -> None:
        """A registered call is over."""
        self._calls.ended(call)
        self._recordings.ended(call)

    def _address(self) -> str:
        """In what callbacks name; the well-known one, where no socket is."""
        try:
            return self.url
        except RuntimeError:
            return "https://api.twilio.com"
