"""One conference: who is in it, when it starts and ends, and what its callback is told.

Calls meet here, their sound does not: it is not mixed. All waiting is on the running loop's clock.

Source: Twilio, "Conference resource", "TwiML <Conference>".
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastbridge.sim.twilio_call import API_VERSION, rfc2822, sid
from fastbridge.sim.twilio_services import Services

EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
FULL_NAMES = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-unmute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
    "participant-modify": "modify",
}
"""Each `StatusCallbackEvent`, and the word it is asked for by."""


@dataclass(slots=True)
class Participant:
    """One call in a conference. `state` as Twilio has it; `gone` is done when it has to leave, with the reason."""

    call_sid: str
    label: str | None = None
    muted: bool = False
    hold: bool = False
    coaching: bool = False
    call_sid_to_coach: str | None = None
    start_on_enter: bool = True
    end_on_exit: bool = False
    state: str = "queued"
    created: float = 0.0
    gone: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def leave(self, reason: str) -> None:
        if not self.gone.done():
            self.gone.set_result(reason)

    def told(self) -> dict[str, str]:
        """Of an event that is about it."""
        shown = {"Muted": self.muted, "Hold": self.hold, "Coaching": self.coaching}
        shown |= {"StartConferenceOnEnter": self.start_on_enter, "EndConferenceOnExit": self.end_on_exit}
        told = {name: str(value).lower() for name, value in shown.items()}
        return {"CallSid": self.call_sid, **told, **({"ParticipantLabel": self.label} if self.label else {})}


class Conference:
    """`init` until somebody is there whose entering starts it, and another; then `in-progress`, at last `completed`."""

    def __init__(self, account_sid: str, name: str, services: Services) -> None:
        self.sid = sid("CF")
        self.account_sid = account_sid
        self.name = name
        self.state = "init"
        self.participants: dict[str, Participant] = {}
        self.created = self.updated = services.now()
        self.reason: str | None = None
        self.ended_by_call: str | None = None
        self._services = services
        self._url = ""
        self._method = "POST"
        self._events: frozenset[str] = frozenset()
        self._sequence = 0

    @property
    def path(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.account_sid}/Conferences/{self.sid}"

    def tell_to(self, url: str, method: str, events: str) -> None:
        """Who names a callback first has it. events: of EVENTS, with spaces between."""
        if url and not self._url:
            self._url, self._method, self._events = url, method, frozenset(events.split())

    def find(self, name: str) -> Participant | None:
        """By call sid or label."""
        by_label = (each for each in self.participants.values() if each.label == name)
        return self.participants.get(name) or next(by_label, None)

    async def hold(self, participant: Participant) -> str:
        """Keep it here until it leaves: why it did."""
        self._enter(participant)
        reason = "participant_hung_up"
        try:
            reason = await participant.gone
        finally:
            self.leave(participant, reason)
        return reason

    def _enter(self, participant: Participant) -> None:
        self.participants[participant.call_sid] = participant
        participant.state = "connected"
        self.tell("participant-join", participant)
        there = [each for each in self.participants.values() if each.connected]
        if self.state == "init" and len(there) > 1 and any(each.start_on_enter for each in there):
            self.state = "in-progress"
            self.tell("conference-start")

    def leave(self, participant: Participant, reason: str) -> None:
        """It has left, or will not come."""
        del self.participants[participant.call_sid]
        was_there, participant.state = participant.connected, "complete"
        self.tell("participant-leave", participant, ReasonParticipantLeft=reason)
        if was_there and participant.end_on_exit:
            self.end("participant-with-end-conference-on-exit-left", participant.call_sid)
        elif not self.participants:
            self.end("last-participant-left", participant.call_sid)
        if not self.participants:
            self.tell("conference-end", None, ReasonConferenceEnded=self.reason or "", **self._by_whom())

    def end(self, reason: str, call_sid: str | None = None) -> None:
        """Everybody leaves, and then it is told."""
        if self.state == "completed":
            return
        self.state, self.reason, self.ended_by_call = "completed", reason, call_sid
        for participant in self.participants.values():
            participant.leave("conference_ended")

    def _by_whom(self) -> dict[str, str]:
        return {"CallSidEndingConference": self.ended_by_call} if self.ended_by_call else {}

    def change(self, participant: Participant, fields: Mapping[str, str]) -> None:
        """Of the REST API: what it tells of is what really changed."""
        for name, attribute, events in _SWITCHES:
            wanted = fields.get(name, "").lower() == "true"
            if name in fields and getattr(participant, attribute) != wanted:
                setattr(participant, attribute, wanted)
                self.tell(events[0] if wanted else events[1], participant)
        if "CallSidToCoach" in fields:
            participant.call_sid_to_coach = fields["CallSidToCoach"]

    def tell(self, event: str, participant: Participant | None = None, **more: str) -> None:
        self.updated = self._services.now()
        if not self._url or FULL_NAMES[event] not in self._events:
            return
        self._sequence += 1
        told = {
            "ConferenceSid": self.sid,
            "FriendlyName": self.name,
            "AccountSid": self.account_sid,
            "StatusCallbackEvent": event,
            "SequenceNumber": str(self._sequence),
            "Timestamp": rfc2822(self.updated) or "",
            **(participant.told() if participant is not None else {}),
            **more,
        }
        self._services.callbacks.send(self.sid, self._url, self._method, told)

    def view(self) -> dict[str, object]:
        """The resource."""
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.name,
            "status": self.state,
            "region": "us1",
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "reason_conference_ended": self.reason,
            "call_sid_ending_conference": self.ended_by_call,
            "api_version": API_VERSION,
            "uri": f"{self.path}.json",
            "subresource_uris": {"participants": f"{self.path}/Participants.json"},
        }

    def participant_view(self, participant: Participant) -> dict[str, object]:
        return {
            "call_sid": participant.call_sid,
            "conference_sid": self.sid,
            "account_sid": self.account_sid,
            "label": participant.label,
            "muted": participant.muted,
            "hold": participant.hold,
            "coaching": participant.coaching,
            "call_sid_to_coach": participant.call_sid_to_coach,
            "start_conference_on_enter": participant.start_on_enter,
            "end_conference_on_exit": participant.end_on_exit,
            "status": participant.state,
            "queue_time": None,
            "date_created": rfc2822(participant.created),
            "date_updated": rfc2822(participant.created),
            "uri": f"{self.path}/Participants/{participant.call_sid}.json",
        }


_SWITCHES = (
    ("Muted", "muted", ("participant-mute", "participant-unmute")),
    ("Hold", "hold", ("participant-hold", "participant-unhold")),
    ("EndConferenceOnExit", "end_on_exit", ("participant-modify", "participant-modify")),
    ("Coaching", "coaching", ("participant-modify", "participant-modify")),
)
