"""Events that come late, twice, out of order, broken or from nowhere: none of them is heard, none ends the call."""

from dataclasses import replace

import pytest

from dialects import LIVE, kind_in
from fastbridge.sim import faults
from fastbridge.sim.disruption import EVERY, Change, Disruption, Drop, Lose, On, Postpone, Send
from fastbridge.sim.faults import AUDIO, TRANSCRIPT, Fault
from plays import ANSWER, GREETING, LAST, LINES, SECOND, assert_answered, counted

PHASES = {
    "greeting": (faults.GREETING, "answer"),
    "caller speaking": (faults.CALLER_SPEAKING, "answer"),
    "before the answer": (faults.BEFORE_THE_ANSWER, "answer"),
    "assistant speaking": (faults.ASSISTANT_SPEAKING, "answer"),
    "barge-in": (faults.BARGE_IN, "barge_in"),
    "tool running": (faults.TOOL_RUNNING, "tool"),
    "idle": (faults.IDLE, "idle"),
}
SCENES = ["answer", "barge_in", "tool", "idle"]
WORDS = {
    "answer": [GREETING, ANSWER, SECOND],
    "idle": [GREETING, ANSWER, SECOND],
    "tool": [GREETING, ANSWER, SECOND],
    "barge_in": [GREETING, ANSWER, SECOND, LAST],
}

in_each_phase = pytest.mark.parametrize("phase", PHASES)
in_each_scene = pytest.mark.parametrize("scene", SCENES)


def assert_nothing_happened(stage, scene, *, sessions=1):
    """Every line of the play was heard once, in its order, from one session."""
    assert_answered(stage)
    words = stage.ear.answers
    assert words == [line.transcript for line in WORDS[scene]]
    assert len(stage.wires) == sessions


@in_each_phase
@pytest.mark.parametrize("kind", [faults.rubbish, faults.recoverable_errors, faults.foreign_deltas])
def test_what_means_nothing_changes_nothing(perform, dialect, kind, phase):
    if kind is faults.foreign_deltas and dialect == LIVE:
        pytest.skip("all audio is of the one stream")
    at, scene = PHASES[phase]
    stage = perform(kind_in(dialect, kind)(at), scene)
    assert_nothing_happened(stage, scene)


def test_rubbish_is_counted(perform, dialect):
    stage = perform(kind_in(dialect, faults.rubbish)(faults.ASSISTANT_SPEAKING), "answer")
    events = stage.call.record()["model_events"]
    assert events["malformed_events"] >= 5
    assert events["other_events"] >= 1
    assert counted(stage, "pacing.malformed_deltas") + counted(stage, "pacing.refused_deltas") >= 1


def test_a_recoverable_error_is_logged_once(perform, dialect, caplog):
    stage = perform(kind_in(dialect, faults.recoverable_errors)(faults.ASSISTANT_SPEAKING), "answer")
    assert_answered(stage)
    assert sum("something_new" in record.getMessage() for record in caplog.records) == 1


@in_each_scene
@pytest.mark.parametrize("after_ms", [0.0, 40.0, 1500.0, 6000.0])
def test_audio_that_comes_twice_is_heard_once(perform, scene, after_ms):
    stage = perform(faults.late_deltas(after_ms), scene)
    assert_nothing_happened(stage, scene)
    assert counted(stage, "pacing.refused_deltas") > 0


@in_each_scene
def test_audio_of_nobody_is_refused_and_counted(perform, scene):
    stage = perform(faults.foreign_deltas(On("response.done", after_ms=200)), scene)
    assert_nothing_happened(stage, scene)
    assert counted(stage, "pacing.refused_deltas") == 1


@pytest.mark.parametrize("by_ms", [30.0, 400.0])
def test_audio_before_its_response_is_announced(perform, by_ms):
    """What comes before is dropped and counted; from the announcement on the answer is heard."""
    stage = perform(faults.deltas_before_created(2, by_ms), "barge_in")
    assert not stage.over
    words = stage.ear.answers
    assert words[0] == GREETING.transcript
    assert words[-1] in {line.transcript for line in LINES[1:]}


def test_a_cancelled_response_is_heard_no_more(perform):
    """The service has not noticed the cancellation, and all of the old answer still arrives."""
    stage = perform(faults.cancel_refused(), "barge_in", speed=2.5)
    assert_answered(stage)
    (clear,) = stage.carrier.clears
    answer = [sound for sound in stage.ear.sounds if sound.name == ANSWER.transcript]
    assert max(sound.end_ms for sound in answer) <= clear.arrived_ms - stage.carrier.start_ms + 20
    assert counted(stage, "pacing.refused_deltas") > 0


@pytest.mark.parametrize("speed", [1.2, 2.0, 50.0])
def test_a_cut_that_the_service_refuses(perform, speed):
    stage = perform(faults.truncate_refused(), "barge_in", speed=speed)
    assert_answered(stage)
    assert len(stage.wires) == 1


@pytest.mark.parametrize("speed", [1.0, 1.2, 2.0, 6.0, 50.0])
def test_a_cut_never_claims_more_than_there_was(perform, speed):
    """Whatever the race, the node asks for a cut that the service can make."""
    stage = perform(None, "barge_in", speed=speed)
    assert_answered(stage)
    refused = [error for error in stage.session.benign_errors if error.startswith("conversation.item.truncate")]
    assert refused == []
    (item,) = [item for item in stage.session.items.values() if item.audio_end_ms is not None]
    assert item.audio_end_ms <= len(item.audio) // 8


@pytest.mark.parametrize("cancel_ms", [0.0, 1.0, 300.0, 2000.0])
def test_a_cancellation_races_with_the_end(perform, cancel_ms):
    stage = perform(None, "barge_in", speed=1.4, scenario={"cancel_ms": cancel_ms})
    assert_nothing_happened(stage, "barge_in")


@in_each_scene
@pytest.mark.parametrize("ms", [1500.0, 8000.0])
def test_transcripts_out_of_order_stand_in_their_place(perform, scene, ms):
    """The first thing the caller said is understood last, and still stands first in the record."""
    transcripts = ("first", "second", "third")
    stage = perform(faults.late_transcripts(ms), scene, scenario={"caller_transcripts": transcripts})
    assert_nothing_happened(stage, scene)
    stage.run(10.0)
    turns = stage.call.record()["turns"]
    said = [turn["text"] for turn in turns if turn["role"] == "caller"]
    assert said == list(transcripts[: len(said)])
    assert len(said) >= 2
    assert [turn["role"] for turn in turns][:4] == ["assistant", "caller", "assistant", "caller"]


def test_a_transcript_that_comes_after_the_session_has_gone(perform):
    late = Disruption(On(f"{TRANSCRIPT}.completed"), Postpone(3000.0))
    drop = Disruption(faults.ASSISTANT_SPEAKING, Drop())

    def script(base, attempt):
        return replace(base, disruptions=(late, drop)) if attempt == 0 else base

    stage = perform(Fault("late transcript, then a drop", "", script), "answer")
    assert_answered(stage)


@pytest.mark.parametrize("nth", [1, 2])
def test_an_event_that_came_twice(perform, nth):
    """created and done again, much later: they are strays, and nothing is asked for because of them."""
    copies = [
        Disruption(
            On("response.done", nth, after_ms=ms), Send({"type": "response.done", "response": {"id": "resp_old"}})
        )
        for ms in (10.0, 2000.0)
    ]

    def script(base, attempt):
        return replace(base, disruptions=copies)

    stage = perform(Fault("done again", "", script), "answer")
    assert_nothing_happened(stage, "answer")
    assert counted(stage, "responses.stray_done") == 2


def test_speech_that_never_began_and_never_ended(perform):
    """speech_stopped without speech_started, and the other way round, out of the blue."""
    strays = [
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 10, "item_id": "item_x"},
        {"type": "input_audio_buffer.committed", "previous_item_id": None, "item_id": "item_x"},
    ]
    disruptions = [Disruption(faults.GREETING, Send(event)) for event in strays]

    def script(base, attempt):
        return replace(base, disruptions=disruptions)

    stage = perform(Fault("stray speech", "", script), "answer")
    assert_answered(stage)


def test_a_delta_is_heard_whatever_the_order_of_its_keys(perform):
    """Audio in a layout that the fast lane does not know is the same audio."""
    turned = Disruption(On(AUDIO, count=EVERY), Change(lambda event: dict(reversed(event.items()))))

    def script(base, attempt):
        return replace(base, disruptions=(turned,))

    stage = perform(Fault("keys in another order", "", script), "barge_in")
    assert_nothing_happened(stage, "barge_in")


@pytest.mark.parametrize("speed", [1.2, 4.0])
def test_a_cancellation_that_the_service_ignores(perform, speed):
    """The old answer is made to its end; nothing of it is heard, and the new turn is answered all the same."""
    ignored = Disruption(On("response.cancel", count=EVERY), Lose())

    def script(base, attempt):
        return replace(base, disruptions=(ignored,)) if attempt == 0 else base

    stage = perform(Fault("cancel ignored", "", script), "barge_in", speed=speed)
    assert_answered(stage)
    words = stage.ear.answers
    assert words[:2] == [GREETING.transcript, ANSWER.transcript]
    assert words.count(ANSWER.transcript) == 1
