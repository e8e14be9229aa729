"""The Calls of an account: placed, shown, listed and changed, with what Twilio refuses.

Calls that a test registered are here beside those that were placed. Source: Twilio, "Call resource".
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_form import (
    BOOLEAN,
    CALLBACK,
    METHOD,
    TWIML,
    TWIML_URL,
    check,
    matching,
    number,
    one_of,
    text,
    whole,
    words_of,
)
from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_page import filters, page, within
from fastbridge.sim.twilio_progress import EVENTS
from fastbridge.sim.twilio_reply import (
    FROM_NOT_OURS,
    INVALID_FROM,
    INVALID_SEND_DIGITS,
    INVALID_STATUS_EVENT,
    INVALID_TIMEOUT,
    INVALID_TO,
    INVALID_UPDATE,
    INVALID_URL,
    NO_FROM,
    NO_TO,
    NOT_FOUND,
    WRONG_STATE,
    RefusedError,
    Reply,
    bad,
    not_found,
)

RECORDING_EVENTS = ("in-progress", "completed", "absent")
DIALLING = {
    "To": number(INVALID_TO),
    "From": number(INVALID_FROM),
    "StatusCallback": CALLBACK,
    "StatusCallbackMethod": METHOD,
    "Timeout": whole(1, 600, INVALID_TIMEOUT),
    "TimeLimit": whole(1, 86_400),
    "Record": BOOLEAN,
    "RecordingChannels": one_of("mono", "dual"),
    "RecordingTrack": one_of("inbound", "outbound", "both"),
    "RecordingStatusCallback": CALLBACK,
    "RecordingStatusCallbackMethod": METHOD,
    "RecordingStatusCallbackEvent": words_of(*RECORDING_EVENTS),
    "Trim": one_of("trim-silence", "do-not-trim"),
    "CallerId": text(),
    "MachineDetection": one_of("Enable", "DetectMessageEnd"),
    "MachineDetectionTimeout": whole(3, 59),
    "MachineDetectionSpeechThreshold": whole(1000, 6000),
    "MachineDetectionSpeechEndThreshold": whole(500, 5000),
    "MachineDetectionSilenceTimeout": whole(2000, 10_000),
    "CallReason": text(50),
    "CallToken": text(4000),
    "Byoc": matching("BY[0-9a-f]{32}"),
}
"""What a call and a participant of a conference have in common."""
CREATE = DIALLING | {
    "Url": TWIML_URL,
    "Twiml": TWIML,
    "ApplicationSid": matching("AP[0-9a-f]{32}", INVALID_UPDATE),
    "Method": METHOD,
    "FallbackUrl": TWIML_URL,
    "FallbackMethod": METHOD,
    "StatusCallbackEvent": one_of(*EVENTS, code=INVALID_STATUS_EVENT, repeated=True),
    "SendDigits": matching("[0-9wW*#]{1,32}", INVALID_SEND_DIGITS),
    "AsyncAmd": BOOLEAN,
    "AsyncAmdStatusCallback": CALLBACK,
    "AsyncAmdStatusCallbackMethod": METHOD,
}
UPDATE = {
    "Status": one_of("completed", "canceled", code=INVALID_UPDATE),
    "StatusCallback": CALLBACK,
    "StatusCallbackMethod": METHOD,
    **{name: CREATE[name] for name in ("Url", "Twiml", "Method", "FallbackUrl", "FallbackMethod")},
}
FILTERS = {"To", "From", "Status", "ParentCallSid"} | {
    name + sign for name in ("StartTime", "EndTime") for sign in ("", ">", "<")
}


class Line(Protocol):
    """A call that can be changed."""

    @property
    def call_sid(self) -> str: ...
    def update(self, form: dict[str, str]) -> bool:
        """End it (`Status`) or give it other TwiML (`Twiml`, `Url`). False if it is not in a state for that."""


@runtime_checkable
class KnownLine(Line, Protocol):
    """A SimulatedCaller: a call that tells of itself."""

    account_sid: str
    from_number: str
    to_number: str
    direction: str


class Update(NamedTuple):
    """One authentic request."""

    account_sid: str
    call_sid: str
    form: dict[str, str]


class Place(Protocol):
    """place(account_sid, fields): a call is on its way."""

    def __call__(self, account_sid: str, fields: Mapping[str, str]) -> Call: ...


def check_dialling(fields: Mapping[str, str], own: Callable[[str], bool]) -> None:
    """own(number): calls may come from it."""
    if "To" not in fields:
        raise bad(NO_TO, "No 'To' number is specified")
    if "From" not in fields:
        raise bad(NO_FROM, "A 'From' phone number is required")
    if not own(fields["From"]):
        raise bad(FROM_NOT_OURS, f"The source phone number provided, {fields['From']}, is not yet verified")


class Calls:
    """now(): for the dates of registered calls. place: puts a new call on its way. own: as check_dialling takes it."""

    def __init__(self, now: Callable[[], float], place: Place, own: Callable[[str], bool]) -> None:
        self._now = now
        self._place = place
        self._own = own
        self._calls: dict[str, Call] = {}
        self._lines: dict[str, Line] = {}
        self._registered: set[str] = set()
        self.updates: list[Update] = []

    @property
    def dialled(self) -> list[str]:
        return [call.to_number for call in self._calls.values() if call.direction == "outbound-api"]

    def add(self, call: Call, line: Line) -> None:
        self._calls[call.sid] = call
        self._lines[call.sid] = line

    def register(self, line: Line) -> Call:
        """A call of the test's own."""
        known = line if isinstance(line, KnownLine) else None
        call = Call(
            known.account_sid if known else "",
            known.from_number if known else "",
            known.to_number if known else "",
            self._now(),
            direction=known.direction if known else "inbound",
            call_sid=line.call_sid,
        )
        for state in ("initiated", "ringing", "in-progress"):
            call.move(state, self._now())
        self.add(call, line)
        self._registered.add(call.sid)
        return call

    def ended(self, call: Call) -> None:
        """A registered call did, by itself."""
        if not call.over:
            call.move("completed", self._now())

    def find(self, account_sid: str, call_sid: str, path: str = "") -> Call:
        """RefusedError for one that is not there."""
        call = self._calls.get(call_sid)
        if call is None or (call.account_sid and call.account_sid != account_sid):
            raise not_found(path or f"/Calls/{call_sid}")
        return call

    def line(self, call_sid: str) -> Line:
        return self._lines[call_sid]

    # Requests

    def create(self, request: Request, account_sid: str) -> Reply:
        fields = check(request.form, CREATE)
        check_dialling(fields, self._own)
        if sum(name in fields for name in ("Url", "Twiml", "ApplicationSid")) != 1:
            raise bad(INVALID_URL, "Exactly one of Url, Twiml and ApplicationSid is needed")
        if "ApplicationSid" in fields:
            raise bad(INVALID_UPDATE, f"There is no application {fields['ApplicationSid']}")
        call = self._place(account_sid, fields)
        return Reply(201, call.view())

    def fetch(self, request: Request, account_sid: str, call_sid: str) -> Reply:
        return Reply(200, self.find(account_sid, call_sid, request.path).view())

    def listed(self, request: Request, account_sid: str) -> Reply:
        wanted = filters(request, FILTERS)
        found = [call for call in reversed(self._calls.values()) if call.account_sid == account_sid]
        return page(request, "calls", [call.view() for call in found if _is_wanted(call, wanted)])

    def note(self, request: Request, account_sid: str, call_sid: str) -> None:
        """An update was asked for, whatever comes of it."""
        self.updates.append(Update(account_sid, call_sid, request.fields()))

    def update(self, request: Request, account_sid: str, call_sid: str) -> Reply:
        form = request.fields()
        if set(form) - set(UPDATE):
            raise bad(INVALID_UPDATE, f"Invalid update: {sorted(form)}")
        check(request.form, UPDATE)
        if not form or sum(name in form for name in ("Status", "Twiml", "Url")) > 1:
            raise bad(INVALID_UPDATE, f"Invalid update: {sorted(form)}")
        call = self._calls.get(call_sid)
        if call is None or (call.account_sid and call.account_sid != account_sid):
            raise _not_there(call_sid)
        self._carry_out(call, form)
        shown = call.view()
        if "Status" in form:
            shown["status"] = "canceled" if call.answered is None else "completed"
        return Reply(200, shown | {"account_sid": account_sid})

    def _carry_out(self, call: Call, form: dict[str, str]) -> None:
        if form.get("Status") == "canceled" and call.state == "in-progress":
            raise RefusedError(400, WRONG_STATE, "Call is in-progress. Cannot cancel.", mistake=False)
        if not self.line(call.sid).update(form):
            if call.sid in self._registered:
                raise _not_there(call.sid)
            raise RefusedError(400, WRONG_STATE, "Call is not in-progress. Cannot redirect.", mistake=False)


def _not_there(call_sid: str) -> RefusedError:
    return RefusedError(404, NOT_FOUND, f"Call {call_sid} is not in progress", mistake=False)


def _is_wanted(call: Call, wanted: Mapping[str, str]) -> bool:
    shown = {"To": call.to_number, "From": call.from_number, "Status": call.status, "ParentCallSid": call.parent}
    if any(wanted.get(name, value) != value for name, value in shown.items()):
        return False
    return within(call.started, "StartTime", wanted) and within(call.ended, "EndTime", wanted)
