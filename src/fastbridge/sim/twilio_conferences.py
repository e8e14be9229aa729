"""The Conferences of an account and their participants: entered by TwiML or dialled by the API.

Source: Twilio, "Conference resource", "Participant resource".
"""

from collections.abc import Callable, Mapping
from typing import Protocol
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_calls import DIALLING, check_dialling
from fastbridge.sim.twilio_conference import EVENTS, Conference, Participant
from fastbridge.sim.twilio_form import (
    BOOLEAN,
    CALLBACK,
    METHOD,
    TWIML_URL,
    check,
    is_true,
    matching,
    one_of,
    text,
    words_of,
)
from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_leg import Leg
from fastbridge.sim.twilio_page import filters, page
from fastbridge.sim.twilio_progress import EVENTS as CALL_EVENTS
from fastbridge.sim.twilio_reply import Reply, not_found
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twiml import Phone

_CALL_SID = matching("CA[0-9a-f]{32}")
CREATE = DIALLING | {
    "StatusCallbackEvent": words_of(*CALL_EVENTS),
    "Label": text(128),
    "Muted": BOOLEAN,
    "Beep": one_of("true", "false", "onEnter", "onExit"),
    "StartConferenceOnEnter": BOOLEAN,
    "EndConferenceOnExit": BOOLEAN,
    "EarlyMedia": BOOLEAN,
    "WaitUrl": TWIML_URL,
    "WaitMethod": METHOD,
    "Coaching": BOOLEAN,
    "CallSidToCoach": _CALL_SID,
    "ConferenceStatusCallback": CALLBACK,
    "ConferenceStatusCallbackMethod": METHOD,
    "ConferenceStatusCallbackEvent": words_of(*EVENTS),
    "AmdStatusCallback": CALLBACK,
    "AmdStatusCallbackMethod": METHOD,
}
UPDATE = {
    "Muted": BOOLEAN,
    "Hold": BOOLEAN,
    "HoldUrl": TWIML_URL,
    "HoldMethod": METHOD,
    "AnnounceUrl": TWIML_URL,
    "AnnounceMethod": METHOD,
    "WaitUrl": TWIML_URL,
    "WaitMethod": METHOD,
    "BeepOnExit": BOOLEAN,
    "EndConferenceOnExit": BOOLEAN,
    "Coaching": BOOLEAN,
    "CallSidToCoach": _CALL_SID,
}
UPDATE_CONFERENCE = {"Status": one_of("completed"), "AnnounceUrl": TWIML_URL, "AnnounceMethod": METHOD}


class Dial(Protocol):
    """start(call, fields): a call is on its way."""

    def __call__(self, call: Call, fields: Mapping[str, str]) -> Leg: ...


class Conferences:
    """start: dials a participant. own(number): calls may come from it."""

    def __init__(self, services: Services, start: Dial, own: Callable[[str], bool]) -> None:
        self._services = services
        self._start = start
        self._own = own
        self._conferences: dict[str, Conference] = {}

    async def join(self, phone: Phone, noun: ElementTree.Element) -> dict[str, str]:
        """<Dial><Conference>: there until it leaves."""
        conference = self._open(phone.account_sid, "".join(noun.itertext()).strip())
        conference.tell_to(
            noun.get("statusCallback", ""),
            noun.get("statusCallbackMethod", "POST"),
            noun.get("statusCallbackEvent", ""),
        )
        participant = conference.participants.get(phone.call_sid) or self._participant(phone.call_sid, noun.attrib)
        await conference.hold(participant)
        return {"DialCallStatus": "answered", "ConferenceSid": conference.sid}

    # Requests

    def listed(self, request: Request, account_sid: str) -> Reply:
        wanted = filters(request, {"FriendlyName", "Status"})
        found = [
            conference.view()
            for conference in reversed(self._conferences.values())
            if conference.account_sid == account_sid
            and wanted.get("FriendlyName", conference.name) == conference.name
            and wanted.get("Status", conference.state) == conference.state
        ]
        return page(request, "conferences", found)

    def fetch(self, request: Request, account_sid: str, name: str) -> Reply:
        return Reply(200, self._find(request, account_sid, name).view())

    def update(self, request: Request, account_sid: str, name: str) -> Reply:
        conference = self._find(request, account_sid, name)
        if "Status" in check(request.form, UPDATE_CONFERENCE):
            conference.end("conference-ended-via-api")
        return Reply(200, conference.view())

    def participants(self, request: Request, account_sid: str, name: str) -> Reply:
        conference = self._find(request, account_sid, name)
        wanted = filters(request, {"Muted", "Hold", "Coaching"})
        there = [conference.participant_view(each) for each in conference.participants.values()]
        shown = [each for each in there if all(str(each[key.lower()]).lower() == wanted[key] for key in wanted)]
        return page(request, "participants", shown)

    def create_participant(self, request: Request, account_sid: str, name: str) -> Reply:
        fields = check(request.form, CREATE)
        check_dialling(fields, self._own)
        conference = self._conferences.get(name) or self._open(account_sid, name)
        conference.tell_to(
            fields.get("ConferenceStatusCallback", ""),
            fields.get("ConferenceStatusCallbackMethod", "POST"),
            fields.get("ConferenceStatusCallbackEvent", "start end"),
        )
        call = Call(account_sid, fields["From"], fields["To"], self._services.now())
        participant = self._participant(call.sid, _as_attributes(fields))
        conference.participants[call.sid] = participant
        leg = self._start(call, _as_call(fields, conference.name))
        self._services.start(self._awaited(conference, participant, leg))
        return Reply(201, conference.participant_view(participant))

    def fetch_participant(self, request: Request, account_sid: str, name: str, who: str) -> Reply:
        conference, participant = self._participant_of(request, account_sid, name, who)
        return Reply(200, conference.participant_view(participant))

    def update_participant(self, request: Request, account_sid: str, name: str, who: str) -> Reply:
        conference, participant = self._participant_of(request, account_sid, name, who)
        conference.change(participant, check(request.form, UPDATE))
        return Reply(200, conference.participant_view(participant))

    def kick(self, request: Request, account_sid: str, name: str, who: str) -> Reply:
        _, participant = self._participant_of(request, account_sid, name, who)
        participant.leave("participant_updated_via_api")
        return Reply(204, {})

    async def _awaited(self, conference: Conference, participant: Participant, leg: Leg) -> None:
        """One that is dialled, until he is there or will not be. Kicked before, he is not rung any longer."""
        participant.state = "ringing"
        participant.gone.add_done_callback(lambda _: leg.hang_up() if not leg.picked_up.done() else None)
        answered = await leg.picked_up
        if not answered and conference.participants.get(participant.call_sid) is participant:
            conference.leave(participant, leg.call.status)

    def _open(self, account_sid: str, name: str) -> Conference:
        """The one of that name that goes on, or a new one."""
        for conference in self._conferences.values():
            if conference.name == name and conference.account_sid == account_sid and conference.state != "completed":
                return conference
        conference = Conference(account_sid, name, self._services)
        self._conferences[conference.sid] = conference
        return conference

    def _find(self, request: Request, account_sid: str, name: str) -> Conference:
        """By sid; by name, one that goes on."""
        for conference in self._conferences.values():
            named = conference.name == name and conference.state != "completed"
            if conference.account_sid == account_sid and (conference.sid == name or named):
                return conference
        raise not_found(request.path)

    def _participant_of(
        self, request: Request, account_sid: str, name: str, who: str
    ) -> tuple[Conference, Participant]:
        conference = self._find(request, account_sid, name)
        participant = conference.find(who)
        if participant is None:
            raise not_found(request.path)
        return conference, participant

    def _participant(self, call_sid: str, attributes: Mapping[str, str]) -> Participant:
        """attributes: of <Conference>."""
        return Participant(
            call_sid,
            label=attributes.get("participantLabel"),
            muted=is_true(attributes, "muted"),
            coaching="coach" in attributes,
            call_sid_to_coach=attributes.get("coach"),
            start_on_enter=is_true(attributes, "startConferenceOnEnter", "true"),
            end_on_exit=is_true(attributes, "endConferenceOnExit"),
            created=self._services.now(),
        )


def _as_attributes(fields: Mapping[str, str]) -> dict[str, str]:
    """A participant's parameters as TwiML has them."""
    names = {
        "Label": "participantLabel",
        "Muted": "muted",
        "StartConferenceOnEnter": "startConferenceOnEnter",
        "EndConferenceOnExit": "endConferenceOnExit",
        "CallSidToCoach": "coach",
    }
    return {names[name]: value for name, value in fields.items() if name in names}


def _as_call(fields: Mapping[str, str], name: str) -> dict[str, str]:
    """The call that becomes a participant when it is answered. Its machines are detected meanwhile, always."""
    attributes = "".join(f" {key}={quoteattr(value)}" for key, value in _as_attributes(fields).items())
    call = {key: value for key, value in fields.items() if key in DIALLING or key == "StatusCallbackEvent"}
    call["Twiml"] = f"<Response><Dial><Conference{attributes}>{escape(name)}</Conference></Dial></Response>"
    call["AsyncAmd"] = "true"
    if "AmdStatusCallback" in fields:
        call["AsyncAmdStatusCallback"] = fields["AmdStatusCallback"]
        call["AsyncAmdStatusCallbackMethod"] = fields.get("AmdStatusCallbackMethod", "POST")
    return call
