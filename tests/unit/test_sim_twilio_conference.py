"""One conference: who enters, who leaves, and what is told of it."""

import asyncio
from typing import Any

import pytest

import loops
from fastbridge.sim.twilio_conference import EVENTS, FULL_NAMES, Conference, Participant

pytestmark = pytest.mark.usefixtures("virtual_loops")


class Services:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.callbacks = self

    def now(self) -> float:
        return 0.0

    def send(self, about: str, url: str, method: str, told: dict[str, str]) -> None:
        self.sent.append(told)


class Room:
    """A conference on virtual time, and who is in it."""

    def __init__(self, events: str = " ".join(EVENTS)) -> None:
        self.loop = loops.virtual()
        self.services = Services()
        services: Any = self.services
        self.conference = Conference("AC1", "room", services)
        self.conference.tell_to("https://ours.example/conference", "POST", events)
        self.left: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def enter(self, call_sid: str, **how: Any) -> Participant:
        return self.loop.do(self._enter, call_sid, how)  # type: ignore[no-any-return]

    def _enter(self, call_sid: str, how: Any) -> Participant:
        participant = Participant(call_sid, **how)
        self._tasks[call_sid] = self.loop.create_task(self._hold(participant))
        return participant

    async def _hold(self, participant: Participant) -> None:
        self.left[participant.call_sid] = await self.conference.hold(participant)

    def hang_up(self, call_sid: str) -> None:
        self._tasks[call_sid].cancel()
        self.settle()

    def settle(self) -> None:
        self.loop.advance(0.1)

    @property
    def events(self) -> list[str]:
        self.settle()
        return [told["StatusCallbackEvent"] for told in self.services.sent]


def test_it_begins_with_the_second_and_ends_with_the_last() -> None:
    room = Room()
    room.enter("CA1")
    assert (room.events, room.conference.state) == (["participant-join"], "init")
    room.enter("CA2")
    assert room.events == ["participant-join", "participant-join", "conference-start"]
    assert room.conference.state == "in-progress"
    room.hang_up("CA1")
    assert room.conference.state == "in-progress"
    room.hang_up("CA2")
    assert room.events[3:] == ["participant-leave", "participant-leave", "conference-end"]
    last = room.services.sent[-1]
    assert (last["ReasonConferenceEnded"], last["CallSidEndingConference"]) == ("last-participant-left", "CA2")
    assert [told["SequenceNumber"] for told in room.services.sent] == [str(number) for number in range(1, 7)]


def test_somebody_must_be_there_whose_entering_starts_it() -> None:
    room = Room()
    room.enter("CA1", start_on_enter=False)
    room.enter("CA2", start_on_enter=False)
    assert (room.events[-1], room.conference.state) == ("participant-join", "init")
    room.enter("CA3")
    assert room.events[-1] == "conference-start"


def test_it_ends_for_all_when_one_leaves_who_ends_it() -> None:
    room = Room()
    room.enter("CA1", end_on_exit=True)
    room.enter("CA2")
    room.settle()
    room.hang_up("CA1")
    assert room.left == {"CA2": "conference_ended"}
    assert room.events[-1] == "conference-end"
    assert room.conference.reason == "participant-with-end-conference-on-exit-left"
    reasons = [told["ReasonParticipantLeft"] for told in room.services.sent if "ReasonParticipantLeft" in told]
    assert reasons == ["participant_hung_up", "conference_ended"]


def test_one_who_is_put_out() -> None:
    room = Room()
    participant = room.enter("CA1")
    room.enter("CA2")
    room.settle()
    room.loop.do(participant.leave, "participant_updated_via_api")
    room.settle()
    assert room.left == {"CA1": "participant_updated_via_api"}
    assert room.conference.find("CA1") is None


def test_by_the_api_it_ends_once() -> None:
    room = Room()
    room.enter("CA1")
    room.settle()
    room.loop.do(room.conference.end, "conference-ended-via-api")
    room.loop.do(room.conference.end, "again")
    assert (room.events.count("conference-end"), room.conference.reason) == (1, "conference-ended-via-api")
    assert room.conference.view()["status"] == "completed"
    assert "CallSidEndingConference" not in room.services.sent[-1]


@pytest.mark.parametrize(
    ("fields", "event", "name"),
    [
        ({"Muted": "true"}, "participant-mute", "Muted"),
        ({"Hold": "true"}, "participant-hold", "Hold"),
        ({"EndConferenceOnExit": "true"}, "participant-modify", "EndConferenceOnExit"),
        ({"Coaching": "true", "CallSidToCoach": "CA9"}, "participant-modify", "Coaching"),
    ],
)
def test_changes_are_told_once(fields: dict[str, str], event: str, name: str) -> None:
    room = Room()
    participant = room.enter("CA1", label="human")
    room.settle()
    room.conference.change(participant, fields)
    room.conference.change(participant, fields)
    assert room.events[1:] == [event]
    last = room.services.sent[-1]
    assert (last[name], last["CallSid"], last["ParticipantLabel"]) == ("true", "CA1", "human")
    assert participant.call_sid_to_coach == fields.get("CallSidToCoach")


def test_and_taken_back() -> None:
    room = Room()
    participant = room.enter("CA1")
    room.settle()
    for value in ("true", "false"):
        room.conference.change(participant, {"Hold": value, "Muted": value})
    changes = ["participant-mute", "participant-hold", "participant-unmute", "participant-unhold"]
    assert room.events[1:] == changes


def test_only_what_was_asked_for_is_told_to_whoever_asked_first() -> None:
    room = Room("start leave")
    room.conference.tell_to("https://other.example/", "POST", "join")
    room.enter("CA1")
    room.enter("CA2")
    assert room.events == ["conference-start"]
    assert set(FULL_NAMES.values()) <= set(EVENTS)


def test_by_its_call_or_its_label() -> None:
    room = Room()
    participant = room.enter("CA1", label="human")
    room.settle()
    assert room.conference.find("CA1") is room.conference.find("human") is participant
    assert room.conference.find("x") is None
    shown = room.conference.participant_view(participant)
    assert (shown["label"], shown["status"], shown["muted"]) == ("human", "connected", False)
