"""Calls that dial: to another callee, and what the one who dialled is told."""

import pytest

from fastbridge.sim.callee import Callee
from fastbridge.sim.caller import SimulatedCaller
from twilio_rig import ACCOUNT, OURS, TALK, THEIRS, VirtualStage

pytestmark = pytest.mark.usefixtures("virtual_loops")
HUMAN = "+14155550199"
DIAL = f'<Response><Dial action="https://ours.example/after" timeout="10">{HUMAN}</Dial></Response>'


def dialling(human: Callee, twiml: str = DIAL) -> VirtualStage:
    stage = VirtualStage({"/after": TALK}, callees={THEIRS: Callee(), HUMAN: human})
    stage.call(Twiml=twiml)
    stage.advance(1.5)
    return stage


def child(stage: VirtualStage) -> dict[str, object]:
    (call,) = stage.ask("GET", "/Calls.json", To=HUMAN)[1]["calls"]
    return dict(call)


def parent(stage: VirtualStage) -> dict[str, object]:
    (call,) = stage.ask("GET", "/Calls.json", To=THEIRS)[1]["calls"]
    return dict(call)


def test_another_call_for_the_one_who_is_dialled() -> None:
    with dialling(Callee(rings_seconds=2, hangs_up_after_seconds=5)) as stage:
        assert (child(stage)["status"], child(stage)["direction"]) == ("ringing", "outbound-dial")
        assert (child(stage)["from"], child(stage)["parent_call_sid"]) == (OURS, parent(stage)["sid"])
        stage.advance(3)
        assert child(stage)["status"] == "in-progress"
        assert stage.office.told("/after") == []
        stage.advance(5)
        (told,) = stage.office.told("/after")
        assert told["DialCallSid"] == child(stage)["sid"]
        assert (told["DialCallStatus"], told["DialCallDuration"]) == ("completed", "5")
        assert parent(stage)["status"] == "in-progress", "it goes on with what its action answered"


@pytest.mark.parametrize(
    ("human", "status"),
    [(Callee(outcome="busy"), "busy"), (Callee(rings_seconds=60), "no-answer"), (Callee(outcome="failed"), "failed")],
)
def test_one_who_does_not_answer(human: Callee, status: str) -> None:
    with dialling(human) as stage:
        stage.advance(20)
        assert [told["DialCallStatus"] for told in stage.office.told("/after")] == [status]


@pytest.mark.parametrize(("seconds", "status"), [(1.0, "canceled"), (5.0, "completed")])
def test_whoever_dialled_and_hangs_up_leaves_nobody_behind(seconds: float, status: str) -> None:
    with dialling(Callee(rings_seconds=3)) as stage:
        stage.advance(seconds)
        stage.ask("POST", f"/Calls/{parent(stage)['sid']}.json", {"Status": "completed"})
        stage.advance(0.5)
        assert (child(stage)["status"], parent(stage)["status"]) == (status, "completed")
        assert stage.office.told("/after") == []


def test_the_callbacks_of_a_number() -> None:
    number = (
        f'<Number statusCallback="https://ours.example/leg" statusCallbackEvent="ringing completed">{HUMAN}</Number>'
    )
    with dialling(Callee(hangs_up_after_seconds=1), f"<Response><Dial>{number}</Dial></Response>") as stage:
        stage.advance(10)
        assert stage.office.statuses_told("/leg") == ["ringing", "completed"]
        assert {told["ParentCallSid"] for told in stage.office.told("/leg")} == {parent(stage)["sid"]}


def test_who_is_not_named_answers_too() -> None:
    with VirtualStage(callee=Callee(outcome="busy")) as stage:
        sid = stage.call()
        stage.advance(5)
        assert stage.status(sid) == "busy"
        assert stage.api.reports == {}, "nobody answered"


def test_only_with_callees_is_a_registered_call_put_through() -> None:
    with VirtualStage() as real, VirtualStage(callees=None) as noted:
        for stage, dials in ((real, True), (noted, False)):
            caller = SimulatedCaller("https://ours.example", [], account_sid=ACCOUNT)
            stage.api.register(caller)
            assert (caller.exchange is not None) is dials


def test_all_that_were_placed_come_to_their_end() -> None:
    with dialling(Callee(rings_seconds=2, hangs_up_after_seconds=5)) as stage:
        waits = stage.loop.create_task(stage.api.all_ended())
        stage.advance(3)
        assert not waits.done()
        stage.ask("POST", f"/Calls/{parent(stage)['sid']}.json", {"Status": "completed"})
        stage.advance(1)
        assert waits.done()
