import json
from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any

import pydantic
import pytest

from fastbridge.sim import faults, live_faults
from fastbridge.sim.audio import level_dbfs
from fastbridge.sim.channel import Channel
from fastbridge.sim.disruption import Elapsed, On
from fastbridge.sim.live_faults import ASSISTANT_SPEAKING, Fault
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.scenario import CallTool, Say, Scenario, babble
from live_client import AUDIO, PCMU, assert_valid
from live_events import TOOL

QUESTION = babble("When are you open?")
PAUSE = b"\xff" * 8 * 7000
ANSWER = Say("We open at nine in the morning and we close at six in the evening, on every day but Sunday.")
BASE = Scenario(greeting=Say("Hello."), turns=(ANSWER,))
WITH_TOOL = Scenario(greeting=Say("Hello."), turns=(CallTool("f"), Say("At nine.")))
UNUSUAL = ("rubbish", "recoverable errors")
"""What these send is not what the service would send: that is what they are for."""


class Talk:
    """A client that greets and asks, and takes whatever comes."""

    def __init__(self, scenario: Scenario) -> None:
        self.now_ms = 1000.0
        self.channel = Channel(LiveSession(scenario, self.now_ms), self.now_ms)
        self.frames: list[str] = []
        self.times_ms: list[float] = []

    @property
    def session(self) -> LiveSession:
        return self.channel.session

    def run(self, ms: float) -> None:
        end_ms = self.now_ms + ms
        while (due_ms := self.channel.next_due_ms()) is not None and due_ms <= end_ms:
            frames = self.channel.poll(due_ms)
            self.frames += frames
            self.times_ms += [due_ms] * len(frames)
        self.now_ms = end_ms

    def send(self, kind: str, **body: object) -> None:
        self.channel.receive(json.dumps({"type": kind, **body}), self.now_ms)

    def hear(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            self.send("session.input_audio.append", audio=b64encode(audio[at : at + 160]).decode())
            self.run(20)

    def whole(self) -> "Talk":
        backend = {"type": "responses", "responses": {"model": "gpt-5.5", "tools": [TOOL]}}
        session = {"model": "gpt-live-1", "audio": {"format": PCMU}, "store": True, "delegation": backend}
        self.send("session.start", session=session)
        self.run(500)
        if not self.events("session.started"):
            return self
        self.send("session.commentary.append", content="Greet.", delegation_id=None)
        self.hear(b"\xff" * 20_000)
        self.hear(QUESTION + PAUSE)
        self.send("session.close")
        self.run(10_000)
        return self

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in map(loads, self.frames) if isinstance(event, dict) and event.get("type") == kind]

    def said(self) -> str:
        return "".join(event["delta"] for event in self.events("session.output_transcript.delta"))

    def audio_ms(self) -> list[float]:
        """When deltas came."""
        return [at for at, frame in zip(self.times_ms, self.frames, strict=True) if AUDIO in frame]

    def audio(self) -> bytes:
        return b"".join(b64decode(event["delta"]) for event in self.events(AUDIO))


def loads(frame: str) -> object:
    try:
        return json.loads(frame)
    except ValueError:
        return None


def is_valid(frame: str) -> bool:
    try:
        assert_valid(frame)
    except (ValueError, KeyError, TypeError, AssertionError, pydantic.ValidationError):
        return False
    return True


def talked(fault: Fault, base: Scenario = BASE) -> Talk:
    return Talk(fault(base)(0)).whole()


def longest_ms(talk: Talk) -> float:
    return max(after - before for before, after in pairwise(talk.audio_ms()))


def test_without_a_fault_all_is_well() -> None:
    talk = Talk(BASE).whole()
    assert talk.said() == f"Hello.{ANSWER.transcript}"
    assert longest_ms(talk) == pytest.approx(100)
    assert len(talk.events("session.closed")) == 1
    assert talk.session.errors == talk.session.benign_errors == []


def test_every_fault_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len({str(fault) for fault in live_faults.CATALOGUE}) == len(live_faults.CATALOGUE)
    assert all(fault.about.endswith(".") for fault in live_faults.CATALOGUE)
    assert str(live_faults.gap(Elapsed(500))) == "gap of 3000 ms after 500 ms"
    assert str(live_faults.dead(On("error"))) == "dead on error"


@pytest.mark.parametrize("fault", live_faults.CATALOGUE, ids=str)
def test_every_fault_makes_a_difference(fault: Fault) -> None:
    assert fault(BASE)(0) != BASE


@pytest.mark.parametrize("fault", live_faults.CATALOGUE, ids=str)
@pytest.mark.parametrize("base", [BASE, WITH_TOOL], ids=["words", "tool"])
def test_what_the_service_sends_stays_the_service_s(fault: Fault, base: Scenario) -> None:
    """But for the faults that are about that, and then something is not."""
    talk = talked(fault, base)
    assert talk.session.errors == []
    invalid = [frame for frame in talk.frames if not is_valid(frame)]
    assert (invalid != []) == str(fault).startswith(UNUSUAL)


def test_a_gap_is_silence_that_is_made_up_for_by_nothing() -> None:
    talk = talked(live_faults.gap(ms=2000))
    assert longest_ms(talk) == pytest.approx(2100, abs=110)
    assert len(talk.audio()) == pytest.approx(len(talk.session.output) - 16_000, abs=800)
    assert talk.said() == f"Hello.{ANSWER.transcript}"


def test_a_dead_stream_leaves_the_rest_alive() -> None:
    talk = talked(live_faults.dead())
    assert max(talk.audio_ms()) < max(talk.times_ms) - 3000
    assert talk.said() == f"Hello.{ANSWER.transcript}"
    assert len(talk.events("session.closed")) == 1


def test_a_burst_makes_up_for_everything_at_once() -> None:
    talk = talked(live_faults.burst(ms=2000))
    assert longest_ms(talk) == pytest.approx(2000, abs=110)
    assert talk.audio() == bytes(talk.session.output)
    gaps = [after - before for before, after in pairwise(talk.audio_ms())]
    assert gaps.count(0.0) >= 18


def test_jitter_keeps_the_order() -> None:
    talk = talked(live_faults.jittery(150))
    assert talk.audio() == bytes(talk.session.output)
    assert len({round(after - before) for before, after in pairwise(talk.audio_ms())}) > 20


@pytest.mark.parametrize("ppm", [5000.0, -5000.0])
def test_a_clock_that_drifts(ppm: float) -> None:
    spoken_ms = len(talked(live_faults.drifts(ppm)).session.output) / 8
    assert spoken_ms - len(Talk(BASE).whole().session.output) / 8 == pytest.approx(11_000 * ppm / 1e6, abs=101)


def test_noise_is_between_the_words() -> None:
    talk = talked(live_faults.noisy(-55))
    assert b"\xff" * 80 not in talk.audio()
    assert level_dbfs(talk.audio()[:4000]) == pytest.approx(-55, abs=2)


def test_the_model_goes_on_though_the_caller_speaks() -> None:
    base = Scenario(
        greeting=Say("I will read all of our terms and conditions to you now, one by one."), turns=(Say(""),)
    )
    assert len(Talk(base).whole().said()) < len(talked(live_faults.does_not_stop(), base).said())


def test_the_model_speaks_over_the_caller() -> None:
    talk = Talk(live_faults.speaks_over(200)(BASE)(0))
    talk.send("session.start", session={"model": "gpt-live-1", "audio": {"format": PCMU}})
    talk.run(50)
    talk.hear(QUESTION)
    assert ANSWER.transcript.startswith(talk.said())
    assert talk.said()


def test_an_answer_may_be_late_or_never_asked_for_heard() -> None:
    late = talked(live_faults.late_answers(3000)).events("session.output_transcript.delta")
    plain = Talk(BASE).whole().events("session.output_transcript.delta")
    assert late[1]["start_ms"] - plain[1]["start_ms"] == pytest.approx(2700, abs=60)
    assert not talked(live_faults.never_speaks_first()).said().startswith("Hello.")


@pytest.mark.parametrize("reason", ["expired", "content", "connection_lost"])
def test_the_service_ends_the_session(reason: Any) -> None:
    talk = talked(live_faults.ended(reason, after_ms=4000))
    (closed,) = talk.events("session.closed")
    assert (closed["reason"], closed["usage"]) == (reason, {"seconds": 4})
    assert talk.channel.closed == (1000, "")


def test_a_close_may_be_lost_or_never_answered() -> None:
    lost, hangs = talked(live_faults.close_is_lost()), talked(live_faults.close_hangs())
    assert lost.events("session.closed") == hangs.events("session.closed") == []
    assert (lost.channel.closed, hangs.channel.closed) == ((1000, ""), None)


@pytest.mark.parametrize(
    ("fault", "error", "closed"),
    [
        (live_faults.closed_at_once(), None, (1008, "policy")),
        (live_faults.never_started(), "session_not_started", None),
        (live_faults.start_refused("credit_balance_exhausted"), "credit_balance_exhausted", None),
    ],
    ids=str,
)
def test_a_session_may_not_start(fault: Fault, error: str | None, closed: tuple[int, str] | None) -> None:
    talk = Talk(fault(BASE)(0))
    talk.send("session.start", session={"model": "gpt-live-1"})
    if error == "session_not_started":  # the client had no word of it, and this is a client that does not wait
        talk.send("session.input_audio.mute")
    talk.run(5000)
    assert talk.events("session.started") == []
    assert [event["error"]["code"] for event in talk.events("error")] == ([error] if error else [])
    assert talk.channel.closed == closed


def test_a_format_that_was_not_asked_for() -> None:
    (event,) = talked(live_faults.wrong_format()).events("session.started")
    assert event["session"]["audio"]["format"]["type"] == "audio/pcm"


def test_calls_come_twice_and_a_backend_may_be_silent() -> None:
    done = [
        event["event"]["item"]["call_id"]
        for event in talked(live_faults.calls_come_twice(), WITH_TOOL).events("response.event")
        if event["event"]["type"] == "response.output_item.done"
    ]
    assert len(done) == 2
    assert len(set(done)) == 1
    silent = talked(live_faults.backend_is_silent(), WITH_TOOL)
    assert silent.events("response.event") == []
    assert len(silent.events("session.delegation.created")) == 1


def test_what_is_appended_may_be_refused_and_that_is_nobody_s_mistake() -> None:
    talk = talked(live_faults.append_refused())
    assert [event["error"]["code"] for event in talk.events("error")] == ["server_error"]
    assert not talk.said().startswith("Hello.")
    assert talk.session.benign_errors == ["session.commentary.append: server_error: Refused by the script."]


def test_the_faults_of_the_network_are_the_same() -> None:
    talk = talked(faults.dropped(ASSISTANT_SPEAKING, 1011, "internal error"))
    assert talk.channel.closed == (1011, "internal error")
    assert len(talk.said()) < len(f"Hello.{ANSWER.transcript}")
    assert talked(faults.unanswered()).said() == "Hello."


def test_pcm_for_mu_law() -> None:
    spoken = talked(faults.speaks_pcm())
    assert len(spoken.audio()) == 6 * len(spoken.session.output)
    assert len(talked(faults.hears_pcm()).session.input_audio) < len(spoken.session.input_audio) / 5


def test_a_fault_of_some_attempts_is_over_then() -> None:
    fault = live_faults.never_started(times=2)
    assert [fault(BASE)(attempt) == BASE for attempt in range(3)] == [False, False, True]
    assert str(fault) == "never started x2"
