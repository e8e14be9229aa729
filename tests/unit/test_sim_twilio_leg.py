"""A call out on virtual time: what becomes of it, and what is told."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from fastbridge.sim.callee import Callee
from twilio_rig import TALK, THEIRS, VirtualStage

pytestmark = pytest.mark.usefixtures("virtual_loops")

Stages = Callable[..., VirtualStage]


@pytest.fixture
def at() -> Generator[Stages]:
    """A stage where this callee answers at THEIRS."""
    made: list[VirtualStage] = []

    def make(callee: Callee, twiml: dict[str, str] | None = None, **options: Any) -> VirtualStage:
        made.append(VirtualStage(twiml, callees={THEIRS: callee}, **options))
        return made[-1]

    yield make
    for each in made:
        each.over()


def test_a_call_from_the_order_to_the_end(at: Stages) -> None:
    stage = at(Callee(dials_seconds=1, rings_seconds=4, hangs_up_after_seconds=61.5))
    sid = stage.call()
    assert stage.status(sid) == "queued"
    stage.advance(1.5)
    assert (stage.status(sid), stage.office.statuses_told()) == ("ringing", ["initiated", "ringing"])
    stage.advance(4)
    assert (stage.status(sid), stage.shown(sid)["duration"]) == ("in-progress", None)
    stage.advance(62)
    shown = stage.shown(sid)
    assert (shown["status"], shown["duration"], shown["direction"]) == ("completed", "62", "outbound-api")
    told = stage.office.told()
    assert [form["CallStatus"] for form in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for form in told] == ["0", "1", "2", "3"]
    assert (told[-1]["CallDuration"], told[-1]["Duration"], told[-1]["SipResponseCode"]) == ("62", "2", "200")
    assert all(form["CallbackSource"] == "call-progress-events" and form["Timestamp"] for form in told)
    assert stage.api.reports[sid].ended_by == "caller"
    assert stage.api.errors == []


@pytest.mark.parametrize(
    ("callee", "status", "code", "error"),
    [
        (Callee(outcome="busy"), "busy", "486", None),
        (Callee(outcome="busy", sip_code=600, error_code=13224), "busy", "600", "13224"),
        (Callee(outcome="no-answer", rings_seconds=20), "no-answer", "480", None),
        (Callee(rings_seconds=500), "no-answer", "487", None),
        (Callee(outcome="failed", rings_seconds=0, error_code=13224), "failed", "404", "13224"),
    ],
)
def test_nobody_answers(at: Stages, callee: Callee, status: str, code: str, error: str | None) -> None:
    stage = at(callee)
    sid = stage.call()
    stage.advance(70)
    assert stage.status(sid) == status
    last = stage.office.told()[-1]
    assert (last["CallStatus"], last["SipResponseCode"], last.get("ErrorCode")) == (status, code, error)
    assert (last["CallDuration"], "Duration" in last) == ("0", False)


def test_it_rings_for_as_long_as_was_said_and_a_little_longer(at: Stages) -> None:
    stage = at(Callee(rings_seconds=500))
    sid = stage.call(Timeout="10")
    stage.advance(14)
    assert stage.status(sid) == "ringing"
    stage.advance(2)
    assert stage.status(sid) == "no-answer"


def test_only_the_end_is_told_where_nothing_else_was_asked_for(at: Stages) -> None:
    stage = at(Callee(outcome="busy"))
    form = {"To": THEIRS, "From": "+14155550100", "Twiml": TALK, "StatusCallback": f"{stage.office.url}/status"}
    stage.ask("POST", "/Calls.json", form)
    stage.advance(10)
    assert [(form["CallStatus"], form["SequenceNumber"]) for form in stage.office.told()] == [("busy", "0")]


@pytest.mark.parametrize("order", ["canceled", "completed"])
def test_a_call_that_rings_is_canceled(at: Stages, order: str) -> None:
    stage = at(Callee(rings_seconds=10))
    sid = stage.call()
    stage.advance(5)
    assert stage.ask("POST", f"/Calls/{sid}.json", {"Status": order})[0] == 200
    stage.advance(1)
    assert stage.status(sid) == "canceled"
    assert stage.ask("POST", f"/Calls/{sid}.json", {"Status": order})[1]["code"] == 21220
    stage.advance(20)
    assert stage.office.statuses_told()[-1] == "canceled"


def test_one_that_is_in_progress_is_ended_but_not_canceled(at: Stages) -> None:
    stage = at(Callee())
    sid = stage.call()
    stage.advance(5)
    assert stage.ask("POST", f"/Calls/{sid}.json", {"Status": "canceled"})[1]["code"] == 21220
    stage.advance(5)
    assert stage.status(sid) == "in-progress"
    assert stage.ask("POST", f"/Calls/{sid}.json", {"Status": "completed"})[0] == 200
    stage.advance(1)
    assert (stage.status(sid), stage.api.reports[sid].ended_by) == ("completed", "server")


def test_the_url_is_asked_when_he_answers(at: Stages) -> None:
    stage = at(Callee(), {"/voice": TALK})
    sid = stage.call(Twiml=[], Url=f"{stage.office.url}/voice")
    stage.advance(5)
    (form,) = stage.office.told("/voice")
    assert (form["CallSid"], form["CallStatus"], form["Direction"]) == (sid, "in-progress", "outbound-api")
    assert "AnsweredBy" not in form


def test_by_get_it_is_signed_over_the_query(at: Stages) -> None:
    stage = at(Callee(), {"/voice": TALK})
    stage.call(Twiml=[], Url=f"{stage.office.url}/voice?a=b", Method="GET")
    stage.advance(5)
    assert stage.office.told("/voice")[0]["a"] == "b"


def test_the_fallback_is_asked_where_the_url_fails(at: Stages) -> None:
    stage = at(Callee(), {"/fallback": TALK})
    stage.office.statuses["/voice"] = 500
    stage.call(Twiml=[], Url=f"{stage.office.url}/voice", FallbackUrl=f"{stage.office.url}/fallback")
    stage.advance(5)
    assert stage.office.told("/fallback")[0]["ErrorCode"] == "11200"
    assert stage.api.errors == ["11200 /voice answered 500"]


def test_without_one_the_call_ends(at: Stages) -> None:
    stage = at(Callee(), {"/voice": "<Nonsense/>"})
    sid = stage.call(Twiml=[], Url=f"{stage.office.url}/voice")
    stage.advance(5)
    assert stage.status(sid) == "completed"
    assert stage.api.errors == ["12100 TwiML begins with <Nonsense>, not <Response>"]


# Answering machines


@pytest.mark.parametrize(
    ("callee", "detection", "answered_by", "seconds"),
    [
        (Callee(), "Enable", "human", 3),
        (Callee(answered_by="machine_end_beep"), "Enable", "machine_start", 3),
        (Callee(answered_by="machine_end_beep"), "DetectMessageEnd", "machine_end_beep", 8),
        (Callee(answered_by="fax", amd_seconds=1), "Enable", "fax", 1),
        (Callee(answered_by="machine_end_beep", message_seconds=50), "DetectMessageEnd", "unknown", 30),
    ],
)
def test_the_twiml_waits_for_the_verdict(
    at: Stages, callee: Callee, detection: str, answered_by: str, seconds: int
) -> None:
    stage = at(callee, {"/voice": TALK})
    sid = stage.call(Twiml=[], Url=f"{stage.office.url}/voice", MachineDetection=detection)
    stage.advance(1 + seconds - 0.1)
    assert (stage.status(sid), stage.office.told("/voice")) == ("in-progress", [])
    stage.advance(0.2)
    assert stage.office.told("/voice")[0]["AnsweredBy"] == stage.shown(sid)["answered_by"] == answered_by


def test_or_it_is_told_while_the_call_goes_on(at: Stages) -> None:
    stage = at(Callee(answered_by="machine_end_beep"), {"/voice": TALK})
    url = stage.office.url
    amd = {"MachineDetection": "DetectMessageEnd", "AsyncAmd": "true", "AsyncAmdStatusCallback": f"{url}/amd"}
    sid = stage.call(Twiml=[], Url=f"{url}/voice", **amd)
    stage.advance(2)
    assert (len(stage.office.told("/voice")), stage.office.told("/amd")) == (1, [])
    stage.advance(8)
    (form,) = stage.office.told("/amd")
    assert (form["CallSid"], form["AnsweredBy"], form["MachineDetectionDuration"]) == (sid, "machine_end_beep", "8000")
    stage.ask("POST", f"/Calls/{sid}.json", {"Status": "completed"})
    stage.advance(1)
    assert stage.office.told()[-1]["AnsweredBy"] == "machine_end_beep"


def test_a_verdict_comes_too_late_for_a_call_that_is_over(at: Stages) -> None:
    stage = at(Callee(hangs_up_after_seconds=1))
    stage.call(MachineDetection="Enable", AsyncAmd="true", AsyncAmdStatusCallback=f"{stage.office.url}/amd")
    stage.advance(20)
    assert stage.office.told("/amd") == []


@pytest.mark.parametrize(
    ("order", "paths", "ended_by"),
    [
        ({"Status": "completed"}, [], "nobody"),
        ({"Url": "https://ours.example/else"}, ["/else"], "nobody"),
        ({"Twiml": TALK}, [], "nobody"),
    ],
)
def test_an_order_does_not_wait_for_the_verdict(
    at: Stages, order: dict[str, str], paths: list[str], ended_by: str
) -> None:
    stage = at(Callee(), {"/voice": TALK, "/else": TALK})
    sid = stage.call(Twiml=[], Url=f"{stage.office.url}/voice", MachineDetection="Enable")
    stage.advance(2)
    assert stage.ask("POST", f"/Calls/{sid}.json", order)[0] == 200
    stage.advance(0.5)
    assert [path for path, _ in stage.office.posts if path != "/status"] == paths
    assert stage.status(sid) == ("completed" if "Status" in order else "in-progress")


def test_he_hangs_up_before_it_is_known(at: Stages) -> None:
    stage = at(Callee(hangs_up_after_seconds=1), {"/voice": TALK})
    sid = stage.call(Twiml=[], Url=f"{stage.office.url}/voice", MachineDetection="Enable")
    stage.advance(20)
    assert (stage.status(sid), stage.office.told("/voice")) == ("completed", [])


def test_keys_that_are_sent_take_the_place_of_detection(at: Stages) -> None:
    stage = at(Callee(), {"/voice": TALK})
    stage.call(Twiml=[], Url=f"{stage.office.url}/voice", MachineDetection="Enable", SendDigits="1")
    stage.advance(1.5)
    assert len(stage.office.told("/voice")) == 1


def test_a_call_has_its_time(at: Stages) -> None:
    stage = at(Callee())
    sid = stage.call(TimeLimit="30")
    stage.advance(32)
    assert stage.shown(sid)["duration"] == "30"


def test_callbacks_may_be_moved(at: Stages) -> None:
    stage = at(Callee())
    sid = stage.call()
    stage.advance(5)
    form = {"StatusCallback": f"{stage.office.url}/other", "Status": "completed"}
    assert stage.ask("POST", f"/Calls/{sid}.json", form)[0] == 200
    stage.advance(5)
    assert stage.office.statuses_told("/other") == ["completed"]


def test_nowhere_else_before_he_answers(at: Stages) -> None:
    stage = at(Callee(rings_seconds=10))
    sid = stage.call()
    stage.advance(5)
    assert stage.ask("POST", f"/Calls/{sid}.json", {"Twiml": TALK})[1]["code"] == 21220
    stage.advance(1)
    assert stage.status(sid) == "ringing"
