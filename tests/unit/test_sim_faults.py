import json
from base64 import b64encode

import pytest

from fastbridge.sim import faults
from fastbridge.sim.channel import Channel
from fastbridge.sim.disruption import Hang, Refuse, Unreachable
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Say, Scenario, babble
from model_client import PCMU, assert_valid

SPEECH = babble("When are you open?")
PAUSE = b"\xff" * 8000
BASE = Scenario(greeting=Say("Hello."), turns=(Say("We open at nine."), Say("Goodbye.")))
UNUSUAL = ("rubbish", "recoverable errors", "foreign deltas", "strange status")
"""What these send is not what the service would send: that is what they are for."""


class Talk:
    """A client that greets, asks and asks again, and takes whatever comes."""

    def __init__(self, scenario: Scenario) -> None:
        self.now_ms = 1000.0
        self.channel = Channel(ModelSession(scenario, self.now_ms), self.now_ms)
        self.frames: list[str] = []

    def run(self, ms: float) -> None:
        end_ms = self.now_ms + ms
        while (due_ms := self.channel.next_due_ms()) is not None and due_ms <= end_ms:
            self.frames += self.channel.poll(due_ms)
        self.now_ms = end_ms

    def send(self, kind: str, **body: object) -> None:
        self.channel.receive(json.dumps({"type": kind, **body}), self.now_ms)

    def hear(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            self.send("input_audio_buffer.append", audio=b64encode(audio[at : at + 160]).decode())
            self.run(20)

    def whole(self) -> "Talk":
        side = {"format": PCMU}
        self.send("session.update", session={"type": "realtime", "audio": {"input": side, "output": side}})
        self.run(100)
        self.send("response.create")
        self.run(3000)
        for _ in range(2):
            self.hear(SPEECH + PAUSE)
            self.run(6000)
        return self

    @property
    def kinds(self) -> list[str]:
        return [str(event.get("type")) for event in self.events]

    @property
    def events(self) -> list[dict[str, object]]:
        return [event for frame in self.frames if isinstance(event := loads(frame), dict)]


def loads(frame: str) -> object:
    try:
        return json.loads(frame)
    except ValueError:
        return None


def statuses(talk: Talk) -> list[str]:
    return [run.status for run in talk.channel.session.responses]


def test_every_fault_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len({str(fault) for fault in faults.CATALOGUE}) == len(faults.CATALOGUE)
    assert all(fault.about.endswith(".") for fault in faults.CATALOGUE)


@pytest.mark.parametrize("fault", faults.CATALOGUE, ids=str)
def test_every_fault_makes_a_difference(fault: faults.Fault) -> None:
    assert fault(BASE)(0) != BASE
    assert fault()(0) != Scenario()


@pytest.mark.parametrize("fault", faults.CATALOGUE, ids=str)
def test_what_a_fault_sends_is_what_the_service_would_send(fault: faults.Fault) -> None:
    scenario = fault(BASE)(0)
    if scenario.on_connect is not None:
        assert isinstance(scenario.on_connect(0), Refuse | Hang | Unreachable)
        return
    talk = Talk(scenario).whole()
    assert talk.channel.session.errors in (
        [],
        ["input_audio_buffer.append before session.updated: the format was not agreed yet"],
    )
    for frame in talk.frames:
        if not fault.name.startswith(UNUSUAL):
            assert_valid(frame)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.fails(nth=1), ["failed", "completed", "completed"]),
        (faults.fails(nth=2), ["completed", "failed", "completed"]),
        (faults.fails(nth=2, times=faults.ALWAYS), ["completed", "failed", "failed"]),
        (faults.filtered(nth=3), ["completed", "completed", "incomplete"]),
        (faults.stuck(nth=3), ["completed", "completed", "in_progress"]),
        (faults.stuck(nth=3, says="We open"), ["completed", "completed", "in_progress"]),
        (faults.silent(nth=2), ["completed", "completed", "completed"]),
    ],
)
def test_responses_that_go_wrong(fault: faults.Fault, expected: list[str]) -> None:
    talk = Talk(fault(BASE)(0)).whole()
    assert statuses(talk) == expected


@pytest.mark.parametrize("nth", [1, 2])
def test_asked_again_the_model_says_what_it_would_have_said(nth: int) -> None:
    talk = Talk(faults.silent(nth, times=2)(BASE)(0))
    talk.whole()
    talk.hear(SPEECH + PAUSE)
    talk.run(6000)
    spoken = [item.part["transcript"] for item in talk.channel.session.items.values() if item.role == "assistant"]
    assert [text for text in spoken if text] == [["We open at nine.", "Goodbye."], ["Hello.", "We open at nine."]][
        nth - 1
    ]


@pytest.mark.parametrize("times", [1, 3])
def test_connecting_goes_wrong_so_many_times(times: int) -> None:
    script = faults.refused(429, "rate_limit_exceeded", times)(BASE)
    assert [script(attempt).on_connect is None for attempt in range(5)] == [attempt >= times for attempt in range(5)]


def test_a_session_expires_with_an_error_and_the_close() -> None:
    talk = Talk(faults.expired(faults.GREETING)(BASE)(0)).whole()
    assert talk.kinds[-1] == "error"
    assert talk.channel.closed == (1001, "Your session hit the maximum duration of 60 minutes.")


@pytest.mark.parametrize(
    "moment",
    [faults.GREETING, faults.CALLER_SPEAKING, faults.BEFORE_THE_ANSWER, faults.ASSISTANT_SPEAKING, faults.IDLE],
)
def test_the_phases_come_about_in_a_call_with_a_greeting_and_an_answer(moment: object) -> None:
    base = Scenario(greeting=BASE.greeting, turns=(Say("We open at nine, and close at five in the afternoon."),))
    talk = Talk(faults.dropped(moment)(base)(0)).whole()  # type: ignore[arg-type]
    assert talk.channel.closed == (1006, "")


def test_a_turn_that_never_ends_ends_by_a_commit() -> None:
    talk = Talk(faults.endless_speech()(BASE)(0)).whole()
    assert "input_audio_buffer.speech_started" in talk.kinds
    assert "input_audio_buffer.speech_stopped" not in talk.kinds
    talk.send("input_audio_buffer.commit")
    talk.run(100)
    assert talk.kinds[-3:].count("input_audio_buffer.committed") == 1
    talk.hear(SPEECH + PAUSE)
    assert "input_audio_buffer.speech_stopped" in talk.kinds, "the next is heard to its end"


def test_a_turn_of_which_nothing_is_told_ends_by_a_commit_too() -> None:
    talk = Talk(faults.untold_speech()(BASE)(0)).whole()
    assert "input_audio_buffer.speech_started" not in talk.kinds
    talk.send("input_audio_buffer.commit")
    talk.run(100)
    assert talk.kinds[-3:].count("input_audio_buffer.committed") == 1


def test_a_turn_that_is_not_answered() -> None:
    talk = Talk(faults.unanswered()(BASE)(0)).whole()
    assert talk.kinds.count("input_audio_buffer.committed") == 2
    assert statuses(talk) == ["completed", "completed"]


def test_the_format_is_another_one() -> None:
    talk = Talk(faults.wrong_format()(BASE)(0))
    talk.send("session.update", session={"type": "realtime", "audio": {"input": {"format": PCMU}}})
    talk.run(100)
    (event,) = [event for event in talk.events if event["type"] == "session.updated"]
    assert '"audio/pcm"' in json.dumps(event)
    assert "pcmu" not in json.dumps(event)
