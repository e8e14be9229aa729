"""Conferences of an account: a transfer where the caller meets a person, and all that can go wrong with it."""

import asyncio
from typing import Any

import pytest

from fastbridge.sim.callee import Callee
from twilio_rig import OURS, TALK, THEIRS, VirtualStage, stage, until

pytestmark = pytest.mark.usefixtures("virtual_loops")
HUMAN = "+14155550199"
JOIN = "<Response><Dial><Conference>room 1</Conference></Dial></Response>"
ROOM = "/Conferences/room%201"


def transfer(human: Callee, **form: Any) -> tuple[VirtualStage, str, str]:
    """A call that is in progress, and a person who is dialled into a conference: the sids of both."""
    made = VirtualStage({"/amd": ""}, callees={THEIRS: Callee(), HUMAN: human})
    caller = made.call()
    made.advance(2)
    url = made.office.url
    form = {
        "To": HUMAN,
        "From": OURS,
        "Label": "human",
        "ConferenceStatusCallback": f"{url}/conference",
        "ConferenceStatusCallbackEvent": "start end join leave hold",
        "StatusCallback": f"{url}/human",
        "StatusCallbackEvent": ["ringing", "answered", "completed"],
        **form,
    }
    status, body = made.ask("POST", f"{ROOM}/Participants.json", form)
    assert (status, body["status"], body["label"]) == (201, "queued", "human"), body
    return made, caller, str(body["call_sid"])


def join(made: VirtualStage, call_sid: str) -> None:
    assert made.ask("POST", f"/Calls/{call_sid}.json", {"Twiml": JOIN})[0] == 200
    made.advance(0.1)


def told(made: VirtualStage) -> list[str]:
    return [form["StatusCallbackEvent"] for form in made.office.told("/conference")]


def test_a_person_and_the_caller_meet() -> None:
    made, caller, human = transfer(Callee(rings_seconds=3), EndConferenceOnExit="true")
    with made:
        made.advance(1)
        assert made.ask("GET", f"{ROOM}/Participants/human.json")[1]["status"] == "ringing"
        made.advance(3)
        assert made.ask("GET", f"{ROOM}/Participants/{human}.json")[1]["status"] == "connected"
        assert made.ask("GET", f"{ROOM}.json")[1]["status"] == "init"
        join(made, caller)
        shown = made.ask("GET", f"{ROOM}.json")[1]
        assert (shown["status"], shown["friendly_name"]) == ("in-progress", "room 1")
        there = made.ask("GET", f"{ROOM}/Participants.json")[1]["participants"]
        assert {each["call_sid"] for each in there} == {caller, human}
        made.ask("POST", f"/Calls/{human}.json", {"Status": "completed"})
        made.advance(1)
        assert (made.status(human), made.status(caller)) == ("completed", "completed")
        leaves = ["participant-leave", "participant-leave", "conference-end"]
        assert told(made) == ["participant-join", "participant-join", "conference-start", *leaves]
        assert made.office.statuses_told("/human") == ["ringing", "in-progress", "completed"]
        assert made.ask("GET", f"{ROOM}.json")[0] == 404, "by its name only while it goes on"
        assert made.ask("GET", f"/Conferences/{shown['sid']}.json")[1]["status"] == "completed"


@pytest.mark.parametrize(
    ("human", "reason"),
    [
        (Callee(outcome="busy"), "busy"),
        (Callee(rings_seconds=100), "no-answer"),
        (Callee(outcome="failed", rings_seconds=0), "failed"),
    ],
)
def test_a_person_who_does_not_come(human: Callee, reason: str) -> None:
    made, caller, _ = transfer(human, Timeout="20")
    with made:
        made.advance(30)
        assert told(made) == ["participant-leave", "conference-end"]
        assert made.office.told("/conference")[0]["ReasonParticipantLeft"] == reason
        assert made.status(caller) == "in-progress"


def test_a_caller_who_hangs_up_as_the_person_comes() -> None:
    made, caller, human = transfer(Callee(rings_seconds=3))
    with made:
        made.advance(2.9)
        made.ask("POST", f"/Calls/{caller}.json", {"Status": "completed"})
        made.advance(1)
        assert made.ask("POST", f"/Calls/{caller}.json", {"Twiml": JOIN})[1]["code"] == 21220
        assert made.status(human) == "in-progress", "he waits alone, until he is called off"
        assert made.ask("DELETE", f"{ROOM}/Participants/human.json")[0] == 204
        made.advance(1)
        assert made.status(human) == "completed"
        assert told(made)[-2:] == ["participant-leave", "conference-end"]


def test_one_who_is_called_off_while_it_rings() -> None:
    made, _, human = transfer(Callee(rings_seconds=10))
    with made:
        made.advance(2)
        assert made.ask("DELETE", f"{ROOM}/Participants/{human}.json")[0] == 204
        made.advance(1)
        assert made.status(human) == "canceled"
        assert told(made) == ["participant-leave", "conference-end"]
        assert made.ask("DELETE", f"{ROOM}/Participants/{human}.json")[0] == 404


def test_hold_mute_and_the_end_of_all() -> None:
    made, caller, human = transfer(Callee())
    with made:
        made.advance(2)
        join(made, caller)
        path = f"{ROOM}/Participants/human.json"
        shown = made.ask("POST", path, {"Hold": "true", "HoldUrl": "https://ours.example/music", "Muted": "True"})[1]
        assert (shown["hold"], shown["muted"]) == (True, True)
        held = made.ask("GET", f"{ROOM}/Participants.json", Hold="true")[1]["participants"]
        assert [each["call_sid"] for each in held] == [human]
        assert made.ask("POST", path, {"Hold": "perhaps"})[0] == 400
        assert made.ask("POST", path, {"Held": "true"})[0] == 400
        assert made.ask("POST", f"{ROOM}.json", {"Status": "completed"})[1]["status"] == "completed"
        made.advance(1)
        assert (made.status(human), made.status(caller)) == ("completed", "completed")
        assert told(made)[3] == "participant-hold"


def test_machines_are_told_while_it_goes_on() -> None:
    form = {"MachineDetection": "Enable", "AmdStatusCallback": "https://ours.example/amd"}
    made, _, human = transfer(Callee(answered_by="machine_end_beep"), **form)
    with made:
        made.advance(6)
        (verdict,) = made.office.told("/amd")
        assert (verdict["AnsweredBy"], verdict["CallSid"]) == ("machine_start", human)
        assert told(made) == ["participant-join"]


def test_whoever_joins_by_twiml_says_how() -> None:
    noun = '<Conference participantLabel="c" muted="true" startConferenceOnEnter="false" endConferenceOnExit="true"'
    callback = ' statusCallback="https://ours.example/conference" statusCallbackEvent="join"'
    with VirtualStage(callees={}) as made:
        made.call(Twiml=f"<Response><Dial>{noun}{callback}>room 1</Conference></Dial></Response>")
        made.advance(2)
        shown = made.ask("GET", f"{ROOM}/Participants/c.json")[1]
        assert (shown["muted"], shown["start_conference_on_enter"], shown["end_conference_on_exit"]) == (
            True,
            False,
            True,
        )
        assert told(made) == ["participant-join"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": OURS}, 21201),
        ({"To": HUMAN}, 21213),
        ({"To": HUMAN, "From": OURS, "Twiml": TALK}, 20001),
        ({"To": HUMAN, "From": OURS, "ConferenceStatusCallbackEvent": "started"}, 20001),
        ({"To": HUMAN, "From": OURS, "StatusCallbackEvent": "picked-up"}, 20001),
    ],
)
def test_a_participant_that_twilio_would_not_dial(form: dict[str, str], code: int) -> None:
    with VirtualStage() as made:
        assert made.ask("POST", f"{ROOM}/Participants.json", form)[1]["code"] == code
        assert made.ask("GET", "/Conferences.json")[1]["conferences"] == []


def test_which_there_are() -> None:
    made, _, _ = transfer(Callee(outcome="busy"))
    with made:
        assert len(made.ask("GET", "/Conferences.json", FriendlyName="room 1", Status="init")[1]["conferences"]) == 1
        made.advance(5)
        assert made.ask("GET", "/Conferences.json", Status="init")[1]["conferences"] == []
        assert made.ask("GET", "/Conferences.json", FriendlyName="x")[1]["conferences"] == []
        assert len(made.ask("GET", "/Conferences.json")[1]["conferences"]) == 1


def test_the_sdk_does_all_of_it() -> None:
    async def run() -> None:
        async with stage(callees={}, callee=Callee(rings_seconds=0)) as (api, office, client):
            caller = await asyncio.to_thread(client.calls.create, to=THEIRS, from_=OURS, twiml=TALK)
            room = client.conferences("room 1")
            human = await asyncio.to_thread(
                room.participants.create,
                to=HUMAN,
                from_=OURS,
                label="human",
                end_conference_on_exit=True,
                conference_status_callback=f"{office.url}/conference",
                conference_status_callback_event=["start", "join", "leave", "end"],
            )
            await until(lambda: office.told("/conference"))
            await asyncio.to_thread(lambda: client.calls(caller.sid).update(twiml=JOIN))
            await until(lambda: len(office.told("/conference")) == 3)
            (shown,) = await asyncio.to_thread(lambda: client.conferences.list(friendly_name="room 1"))
            assert shown.status == "in-progress"
            there = await asyncio.to_thread(client.conferences(shown.sid).participants.list)
            assert {each.call_sid for each in there} == {caller.sid, human.call_sid}
            changed = await asyncio.to_thread(lambda: room.participants("human").update(hold=True))
            assert changed.hold is True
            assert await asyncio.to_thread(room.participants(human.call_sid).delete)
            await until(lambda: len(office.told("/conference")) == 6)
            assert api.errors == []

    asyncio.run(run())
