"""The rival in `bench/baseline`: what is compared must do the same work, so it hears and holds as fastbridge does."""

import importlib
import random
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fastbridge._bargein import Detector
from fastbridge.call import barge_in as ours
from fastbridge.sim.audio import speech, to_frames
from helpers import LOUD, QUIET

BASELINE = Path(__file__).parents[2] / "bench" / "baseline"
MS = 1_000_000

pytestmark = pytest.mark.skipif(not BASELINE.is_dir(), reason="the baseline runs from a checkout")


@pytest.fixture
def baseline(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its modules, by name."""
    monkeypatch.syspath_prepend(str(BASELINE))
    return SimpleNamespace(**{name: importlib.import_module(name) for name in ("detector", "interruption", "pacing")})


def line(seed: int) -> list[bytes]:
    """Speech, noise of changing level, tones and silence, for 400 frames."""
    rng = random.Random(seed)
    spoken = to_frames(speech(rng.choice(["caller_interrupts", "caller_accepts", "caller_appointment"])))
    other = to_frames(speech(rng.choice(["assistant_greeting", "assistant_times"])))
    frames: list[bytes] = []
    while len(frames) < 400:
        match rng.randrange(6):
            case 0:
                frames += spoken
            case 1:
                frames += other[: rng.randrange(60)]
            case 2:
                frames += [QUIET] * rng.randrange(40)
            case 3:
                frames += [LOUD] * rng.randrange(12)
            case 4:
                frames += [bytes(rng.choices(range(0x60, 0x70), k=160)) for _ in range(rng.randrange(50))]
            case _:
                frames += [rng.randbytes(160) for _ in range(rng.randrange(8))]
    return frames[:400]


@pytest.mark.parametrize(
    "setting",
    [
        {"frames": 5, "min_level_dbfs": -54.0, "sensitivity_db": 0.0, "echo": True},
        {"frames": 2, "min_level_dbfs": -60.0, "sensitivity_db": 6.0, "echo": False},
    ],
    ids=["as shipped", "other settings"],
)
def test_it_hears_what_fastbridge_hears(baseline: Any, setting: dict[str, Any]) -> None:
    rng = random.Random(5)
    many = baseline.detector.Detectors(9, **setting)
    many.acquire()
    slots = [many.acquire() for _ in range(6)]
    compiled = [Detector(**setting) for _ in slots]
    near, far = [line(number) for number in range(6)], [line(number + 50) for number in range(6)]
    edges = 0
    for at in range(400):
        who = [number for number in range(6) if rng.random() < 0.8] or [0]
        heard = [far[number][at] if (at // 70 + number) % 3 else None for number in who]
        if at % 90 == 50:
            compiled[who[0]].expect_voice()
            many.expect_voice(slots[who[0]])
        frames = [near[number][at] for number in who]
        found = many.judge([slots[number] for number in who], frames, heard)
        for number, frame, echo, edge in zip(who, frames, heard, found, strict=True):
            detector, state = compiled[number], many.state[slots[number]]
            assert bool(edge) == detector.feed(frame, echo)
            edges += bool(edge)
            seen = (state["level"], state["threshold"], 20 * state["voice_frames"], bool(state["speaking"]))
            assert seen == (detector.level_dbfs, detector.threshold_dbfs, detector.voice_ms, detector.speaking)
            assert tuple(state["window"][-13:]) == detector.features[:13]
    assert edges > 5


def test_a_slot_is_used_again_as_new(baseline: Any) -> None:
    setting = {"frames": 5, "min_level_dbfs": -54.0, "sensitivity_db": 0.0, "echo": True}
    used, new = (baseline.detector.Detectors(1, **setting) for _ in range(2))
    slot = used.acquire()
    for frame in line(1):
        used.judge([slot], [frame], [frame])
    used.release(slot)
    assert used.acquire() == new.acquire() == slot
    assert used.state.tobytes() == new.state.tobytes()


class Rig:
    """A playout on a clock of its own, and the carrier's side of it."""

    def __init__(self, pacing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1000 * MS
        monkeypatch.setattr(pacing, "monotonic_ns", lambda: self.now_ns)
        self.sent: list[bytes] = []
        self.played: list[str] = []
        self.pacer = pacing.Pacer(1_870_000, lambda: None)
        self.playout = pacing.Playout(
            pacer=self.pacer,
            stream_sid="MZ1",
            lead_ms=160,
            write=self.sent.append,
            on_played=self.played.append,
            on_begins=lambda: None,
            on_full=lambda full: None,
        )

    def run(self, ms: int) -> None:
        for _ in range(ms):
            self.now_ns += MS
            self.pacer.run(self.now_ns)

    def kinds(self) -> list[str]:
        return [message.split(b'"')[3].decode() for message in self.sent]

    def echo_marks(self) -> None:
        for message in self.sent:
            if b'"mark"' in message:
                self.playout.mark_came_back(message.split(b'"name":"')[1].split(b'"')[0].decode())


def audio_of(messages: list[bytes]) -> list[bytes]:
    return [message for message in messages if b'"media"' in message]


@pytest.mark.parametrize("frames", [10, 40], ids=["sent to its end", "still to be sent"])
def test_what_was_held_goes_on_with_the_frame_that_was_cut_off(
    baseline: Any, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    rig = Rig(baseline.pacing, monkeypatch)
    rig.playout.begin_response("r1")
    rig.playout.feed("r1", "item_1", random.Random(1).randbytes(160 * frames))
    rig.playout.end_response("r1")
    rig.run(190)
    before = len(audio_of(rig.sent))
    _, unheard = rig.playout.hold()
    assert unheard > 0
    assert rig.kinds()[-1] == "clear"
    assert not rig.playout.is_playing(rig.now_ns)
    rig.run(600)
    rig.echo_marks()  # the carrier gives back all of them, which says nothing
    assert rig.played == []
    assert len(audio_of(rig.sent)) == before
    assert rig.playout.resume() == unheard
    rig.run(20 * frames + 200)
    sent = audio_of(rig.sent)
    assert sent[before:] == sent[before - unheard : before] + sent[before + unheard :]
    assert len(sent) == frames + unheard
    rig.echo_marks()
    assert rig.played == ["r1"]


def test_what_was_held_and_is_committed_is_told_as_heard_up_to_the_hold(
    baseline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(baseline.pacing, monkeypatch)
    rig.playout.begin_response("r1")
    rig.playout.feed("r1", "item_1", bytes(160 * 100))
    rig.run(190)
    rig.playout.hold()
    rig.run(400)
    rig.playout.refuse()
    unsent, _ = rig.playout.clear()
    assert rig.kinds().count("clear") == 1
    [(item_id, heard_ms, received_ms)] = rig.playout.cut_off()
    assert (item_id, received_ms) == ("item_1", 2000)
    assert 150 <= heard_ms <= 190
    assert unsent == 100 - len(audio_of(rig.sent))
    before = len(audio_of(rig.sent))
    rig.playout.begin_response("r2")
    rig.playout.feed("r2", "item_2", bytes(160 * 3))
    rig.run(100)
    assert len(audio_of(rig.sent)) == before + 3


def test_the_frame_at_the_callers_ear_is_told(baseline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(baseline.pacing, monkeypatch)
    assert rig.playout.hearing(rig.now_ns) is None
    spoken = random.Random(2).randbytes(160 * 50)
    rig.playout.begin_response("r1")
    rig.playout.feed("r1", "item_1", spoken)
    rig.run(1)
    assert rig.playout.hearing(rig.now_ns) == spoken[:160]
    rig.run(209)
    heard = rig.playout.hearing(rig.now_ns)
    at = spoken.index(heard)
    assert (len(heard), at) == (160, 8 * 209)
    rig.playout.hold()
    assert rig.playout.hearing(rig.now_ns) is None


class Stage:
    """What an interruption needs of a call."""

    def __init__(self, interruption: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1000 * MS
        monkeypatch.setattr(interruption, "monotonic_ns", lambda: self.now_ns)
        self.done: list[str] = []
        self.timers: dict[str, Any] = {}
        self.detector = {"voice_frames": 0, "speaking": 0, "level": -80.0, "threshold": -50.0}
        self.detectors = SimpleNamespace(state=[self.detector], expect_voice=lambda slot: None)
        self.slot, self.locked, self.end_reason, self.response_id = 0, False, None, "r1"
        self.barge_ins: list[dict[str, Any]] = []
        self.playout = SimpleNamespace(
            is_playing=lambda now_ns: True,
            hold=lambda: self.did("hold") or (3, 4),
            resume=lambda: self.did("resume") or 4,
            refuse=lambda: self.did("refuse"),
            clear=lambda: self.did("clear"),
            cut_off=lambda: [("item_1", 120, 400)],
        )
        self.interruption = interruption.Interruption(self, confirm_ms=250)

    def did(self, what: str) -> None:
        self.done.append(what)

    def send(self, event: dict[str, Any]) -> None:
        self.did(event["type"])

    def now_ms(self) -> int:
        return self.now_ns // MS

    def later(self, name: str, seconds: float, callback: Any) -> None:
        self.timers[name] = callback

    def cancel_timer(self, name: str) -> None:
        self.timers.pop(name, None)

    def wait(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.now_ns += 20 * MS
            if "look" in self.timers:
                self.timers.pop("look")()


COMMITTED = ["hold", "refuse", "response.cancel", "clear", "conversation.item.truncate"]


@pytest.fixture
def stage(baseline: Any, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(baseline.interruption, monkeypatch)


def test_it_waits_as_long_as_fastbridge(baseline: Any) -> None:
    theirs = baseline.interruption
    assert (theirs.MODEL_ALONE_SECONDS, theirs.LOOK_SECONDS) == (ours.MODEL_ALONE_SECONDS, ours.LOOK_SECONDS)
    assert theirs.RECOVERY_NS == ours.RECOVERY_MS * MS
    assert ours.DEADLINES_SECONDS[ours.State.HELD] * 1000 * MS == theirs.DEADLINE_NS


def test_a_noise_is_held_for_half_a_second_and_then_forgotten(stage: Stage) -> None:
    stage.interruption.on_edge()
    stage.wait(480)
    assert stage.done == ["hold"]
    stage.wait(40)
    assert stage.done == ["hold", "resume"]
    assert stage.barge_ins[0]["outcome"] == "resumed"


def test_a_line_that_is_not_quiet_is_waited_for_two_seconds(stage: Stage) -> None:
    stage.interruption.on_edge()
    stage.detector["level"] = -30.0
    stage.wait(1980)
    assert stage.done == ["hold"]
    stage.wait(20)
    assert (stage.done, stage.barge_ins[0]["why"]) == (["hold", "resume"], "deadline")


@pytest.mark.parametrize(
    ("sign", "why"),
    [
        (lambda stage: stage.interruption.on_speech_started(), "speech_started"),
        (lambda stage: stage.interruption.commit_if_held("turn"), "turn"),
        (lambda stage: stage.detector.update(voice_frames=13), "voice"),
    ],
    ids=["the model hears it", "a turn is taken", "the voice lasts"],
)
def test_a_hold_is_committed_by(stage: Stage, sign: Any, why: str) -> None:
    stage.interruption.on_edge()
    sign(stage)
    stage.wait(40)
    assert stage.done == COMMITTED
    assert (stage.barge_ins[0]["outcome"], stage.barge_ins[0]["why"]) == ("committed", why)
    stage.interruption.on_edge()  # what he said has interrupted once
    assert stage.done == [*COMMITTED, "hold"]


def test_whom_only_the_model_hears_interrupts_after_a_while(stage: Stage) -> None:
    stage.interruption.on_speech_started()
    assert stage.done == []
    stage.timers.pop("model_alone")()
    assert stage.done == COMMITTED


def test_behind_the_greeting_lock_nothing_is_held(stage: Stage) -> None:
    stage.locked = True
    stage.interruption.on_edge()
    assert stage.done == []
