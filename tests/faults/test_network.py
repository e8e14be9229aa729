"""The network between: audio too fast, too late, uneven, and a service that does not read what it is sent."""

import pytest

from dialects import LIVE
from fastbridge.sim import faults
from fastbridge.sim.disruption import On
from plays import ANSWER, GREETING, LAST, SECOND, assert_answered, assert_never_left_alone, counted

PHASES = {
    "greeting": (faults.GREETING, "answer"),
    "before the answer": (faults.BEFORE_THE_ANSWER, "answer"),
    "assistant speaking": (faults.ASSISTANT_SPEAKING, "answer"),
    "barge-in": (faults.BARGE_IN, "barge_in"),
    "tool running": (faults.TOOL_RUNNING, "tool"),
}
SILENCED_MS = 200
"""From the interrupting voice's fifth loud frame; the word's soft beginning is allowed for below."""


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("ms", [500.0, 2000.0, 5000.0])
def test_a_stall_loses_nothing_and_changes_no_order(perform, dialect, ms, phase):
    """Audio comes hardly faster than it plays, so that the stall is felt; behind it everything is heard, once. A stream
    that never pauses is lost after a second, and begun anew."""
    at, scene = PHASES[phase]
    stage = perform(faults.stalled(at, ms), scene, speed=1.1)
    assert_answered(stage)
    if dialect == LIVE and ms > 1000:
        assert len(stage.wires) == 2
        return
    assert len(stage.wires) == 1, "a stall of seconds is no reason to give the session up"
    heard = stage.ear.answers
    expected = [GREETING, ANSWER, SECOND, LAST] if scene == "barge_in" else [GREETING, ANSWER, SECOND]
    assert heard == [line.transcript for line in expected]


@pytest.mark.parametrize("ms", [2000.0, 5000.0])
def test_a_stall_in_a_sentence_is_filled(perform, ms):
    stage = perform(faults.stalled(faults.ASSISTANT_SPEAKING, ms), "answer", speed=1.05)
    assert_answered(stage)
    assert max(wait.length_ms for wait in stage.ear.waits) <= 2000, "a filler after a second and a half"
    if ms == 5000.0:
        assert [name for name in stage.ear.words if name.startswith("local_")] != []


def test_a_cut_behind_a_filler_is_where_the_caller_interrupted(perform):
    """The filler that bridged a stall is no part of the item: the model remembers what was heard of it, and no less."""
    stage = perform(faults.stalled(faults.ASSISTANT_SPEAKING, 5000.0), "answer", speed=1.2)
    assert_answered(stage)
    stage = perform(faults.stalled(On("response.created", 2, after_ms=1000), 4000.0), "late_barge_in", speed=1.2)
    assert_answered(stage)
    item = next(item for item in stage.sessions[0].items.values() if item.audio_end_ms is not None)
    heard_ms = sum(sound.end_ms - sound.start_ms for sound in stage.ear.sounds if sound.item_id == item.id)
    assert abs((item.audio_end_ms or 0) - heard_ms) <= 200
    assert [name for name in stage.ear.words if name.startswith("local_")] != []


def test_a_service_that_stalls_for_good(perform):
    stage = perform(faults.stalled(faults.ASSISTANT_SPEAKING, 60_000.0), "answer", speed=1.1)
    assert_never_left_alone(stage)


@pytest.mark.parametrize("scene", ["answer", "barge_in", "tool", "idle"])
@pytest.mark.parametrize("ms", [100.0, 300.0])
def test_jitter_is_not_heard(perform, scene, ms):
    stage = perform(faults.jittery(ms), scene)
    assert_answered(stage)
    assert len(stage.wires) == 1
    assert counted(stage, "pacing.tx_schedule_resets") == 0


@pytest.mark.parametrize("scene", ["answer", "barge_in", "tool"])
def test_a_minute_in_a_second_plays_at_its_own_pace(perform, scene):
    stage = perform(faults.flood(), scene)
    assert_answered(stage)
    assert max(stage.carrier.depth_ms) <= 200, "the rest waits with us, where it can be taken back"


def test_after_a_minute_in_a_second_an_interruption_silences_at_once(perform):
    """Behind the clear nothing of the old answer comes, and none of what waited is heard."""
    stage = perform(faults.flood(), "barge_in")
    assert_answered(stage)
    (clear,) = stage.carrier.clears
    clear_ms = clear.arrived_ms - stage.carrier.start_ms
    answer = [sound for sound in stage.ear.sounds if sound.name == ANSWER.transcript]
    assert max(sound.end_ms for sound in answer) <= clear_ms + 20
    assert counted(stage, "pacing.flushed.barge_in") > 100
    said = stage.ear.interruptions_ms()[0]
    assert clear_ms - said <= SILENCED_MS + 100


@pytest.mark.parametrize(
    ("at", "scene"),
    [(faults.CALLER_SPEAKING, "answer"), (faults.ASSISTANT_SPEAKING, "answer"), (On("session.updated"), "answer")],
    ids=["caller speaking", "assistant speaking", "from the start"],
)
@pytest.mark.parametrize("ms", [1000.0, 4000.0])
def test_a_service_that_does_not_read_for_a_while(perform, at, scene, ms):
    """The caller's audio waits, none of it is lost, and the answer comes when it was read."""
    stage = perform(faults.upload_blocked(at, ms), scene)
    assert_answered(stage)
    assert "queue_full" not in stage.call.record()["accounting"]["by_reason"]


@pytest.mark.parametrize("at", [faults.CALLER_SPEAKING, faults.ASSISTANT_SPEAKING, faults.IDLE])
def test_a_service_that_reads_no_more(perform, at):
    """It still talks, but it is deaf: what waits is bounded, and the caller is not left alone with it."""
    stage = perform(faults.upload_blocked(at, 3_600_000.0), "idle" if at is faults.IDLE else "answer")
    assert_answered(stage)
    assert len(stage.wires) == 2
    assert counted(stage, "accounting.peak_waiting") <= 1000
