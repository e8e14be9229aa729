"""The session ends in the middle of the call: in each phase the caller is soon spoken to again, and nothing is lost."""

import pytest

from fastbridge.sim import faults
from fastbridge.sim.disruption import Elapsed, On
from fastbridge.sim.faults import ALWAYS, AUDIO
from plays import GREETING, LINES, ask, assert_answered, assert_apologised, assert_never_left_alone, counted
from stage import created_items

BACK_MS = 2100
"""With what a stream waits against jitter."""
FILLER_MS = 1000
PHASES = {
    "greeting": (faults.GREETING, "answer"),
    "caller speaking": (faults.CALLER_SPEAKING, "answer"),
    "before the answer": (faults.BEFORE_THE_ANSWER, "answer"),
    "mid transcript": (faults.MID_TRANSCRIPT, "answer"),
    "assistant speaking": (faults.ASSISTANT_SPEAKING, "answer"),
    "barge-in": (faults.BARGE_IN, "barge_in"),
    "tool running": (faults.TOOL_RUNNING, "tool"),
    "idle": (faults.IDLE, "idle"),
}
ENDINGS = {
    "reset": lambda at: faults.dropped(at),
    "1011": lambda at: faults.dropped(at, 1011, "internal error"),
    "1001": lambda at: faults.dropped(at, 1001, "going away"),
    "expired": lambda at: faults.expired(at),
}


def dropped_ms(stage) -> float:
    """When the first session was lost, in ms of the call."""
    return stage.wires[0].over_ms


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_call_goes_on_in_a_new_session(perform, caplog, ending, phase):
    at, scene = PHASES[phase]
    stage = perform(ENDINGS[ending](at), scene)
    assert_answered(stage)
    assert len(stage.wires) == 2
    assert counted(stage, "model_line.losses") == counted(stage, "model_line.reconnects") == 1
    assert stage.attempts[1] - dropped_ms(stage) <= 150, "the first try comes at once"
    assert "reconnected" in caplog.text


@pytest.mark.parametrize("phase", PHASES)
def test_sound_is_back_within_two_seconds_of_the_silence(perform, phase):
    """Counted from the last thing heard before or after the drop: what waits in the ring is heard to its end."""
    at, scene = PHASES[phase]
    stage = perform(faults.dropped(at), scene)
    lost_ms = dropped_ms(stage)
    after = [wait for wait in stage.ear.waits if wait.end_ms > lost_ms]
    assert max((wait.end_ms - max(wait.start_ms, lost_ms) for wait in after), default=0) <= BACK_MS


@pytest.mark.parametrize("phase", PHASES)
def test_the_new_session_knows_what_was_said(perform, phase):
    """Caller and assistant in their order, the assistant's words as far as they were heard, results of tools once."""
    at, scene = PHASES[phase]
    stage = perform(faults.dropped(at), scene)
    first, second = stage.sessions[:2]
    replayed = created_items(second)
    roles = [item.get("role", item["type"]) for item in replayed]
    told = " ".join(part.get("text", "") for item in replayed for part in item.get("content", ()))
    if phase == "greeting":
        assert GREETING.transcript not in told or stage.ear.words.count(GREETING.transcript) == 1
    else:
        assert roles[:1] == ["assistant"]
        assert GREETING.transcript in told
    if phase in ("assistant speaking", "barge-in", "tool running"):
        assert first.scenario.caller_transcript(0) in told
    if phase == "tool running":
        calls = [item["call_id"] for item in replayed if item["type"] == "function_call"]
        outputs = [item["call_id"] for item in created_items(second) if item["type"] == "function_call_output"]
        if stage.live:  # which is told of them in words
            assert (told.count("The tool hours was called"), calls, outputs) == (1, [], [])
        else:
            assert calls == outputs != []
        assert stage.play.runs == 1, "a tool is not run again because the line broke"


def test_idle_loss_is_not_heard_at_all(perform):
    stage = perform(faults.dropped(faults.IDLE), "idle")
    assert_answered(stage)
    lost_ms = dropped_ms(stage)
    assert not [sound for sound in stage.ear.sounds if lost_ms <= sound.start_ms < lost_ms + 3000]


def test_a_barge_in_silences_whatever_the_line_does(perform):
    """The caller interrupts and the session ends at that very moment: the old answer is not taken up again."""
    stage = perform(faults.dropped(faults.BARGE_IN), "barge_in")
    assert_answered(stage)
    assert len(stage.carrier.clears) >= 1
    spoken = [sound for sound in stage.ear.sounds if sound.name == LINES[1].transcript]
    assert len(spoken) == 1, "the answer that was interrupted is heard once, up to there"


@pytest.mark.parametrize(
    "at", [On("session.updated", after_ms=100), On(AUDIO, 4), faults.CALLER_SPEAKING], ids=["ready", "audio", "caller"]
)
def test_a_service_that_drops_every_session_is_given_up(perform, at):
    stage = perform(faults.dropped(at, times=ALWAYS), "answer")
    assert_apologised(stage)
    assert len(stage.attempts) <= 8
    assert stage.closed[0][0] < 60_000


def test_a_second_drop_is_mended_like_the_first(perform):
    stage = perform(faults.dropped(faults.ASSISTANT_SPEAKING, times=1), "answer")
    assert_answered(stage)
    stage = perform(faults.dropped(faults.CALLER_SPEAKING, times=2), "answer")
    assert_answered(stage)
    assert counted(stage, "model_line.losses") == 2


@pytest.mark.parametrize("times", [1, 2])
def test_the_line_is_down_for_a_while(perform, times):
    """The session drops in mid-sentence and the first tries after it fail, too."""

    def script(base, attempt):
        dropping = faults.dropped(faults.ASSISTANT_SPEAKING).script(base, attempt)
        return faults.unreachable().script(base, 0) if 0 < attempt <= times else dropping

    stage = perform(faults.Fault("down for a while", "", script), "answer")
    assert_answered(stage)
    assert len(stage.attempts) == 2 + times


def test_the_line_stays_down(perform):
    def script(base, attempt):
        dropping = faults.dropped(faults.ASSISTANT_SPEAKING).script(base, attempt)
        return faults.unreachable().script(base, 0) if attempt else dropping

    stage = perform(faults.Fault("stays down", "", script), "answer")
    assert_apologised(stage)
    assert stage.closed[0][0] - dropped_ms(stage) < 25_000


def test_no_answer_to_a_new_key(perform):
    """The session drops, and the service does not want us any more: no patience mends that."""

    def script(base, attempt):
        dropping = faults.dropped(faults.ASSISTANT_SPEAKING).script(base, attempt)
        return faults.refused(401, "invalid_api_key").script(base, 0) if attempt else dropping

    stage = perform(faults.Fault("key withdrawn", "", script), "answer")
    assert_apologised(stage)
    assert len(stage.attempts) == 2


def test_a_session_is_renewed_before_it_expires(perform, caplog):
    """At a turn's boundary, in a gap that nobody hears, and nothing is said twice."""
    stage = perform(None, "idle", scenario={"max_session_ms": 330_000.0}, settings={"session_renew_seconds": 30.0})
    assert_answered(stage)
    stage.run(60.0)
    ask(stage)
    assert_answered(stage)
    assert counted(stage, "model_line.renewals") >= 1
    assert counted(stage, "model_line.losses") == 0
    closed = [wire.session for wire in stage.wires if wire.session.closed is not None]
    assert all(session.received["session.close"] for session in closed), "only those that we have asked to close"
    assert max((wait.length_ms for wait in stage.ear.waits), default=0) <= 1500
    assert "renewed" in caplog.text


def test_a_renewal_waits_for_the_sentence_to_end(perform):
    stage = perform(None, "answer", settings={"session_renew_seconds": 6.0})
    assert_answered(stage)
    assert counted(stage, "model_line.renewals") >= 1
    assert stage.ear.words[:2] == [LINES[0].transcript, LINES[1].transcript]
    assert_never_left_alone(stage)


def test_an_hour_is_over_with_no_renewal_in_time(perform):
    """The session object expires early: whatever was planned, the caller hears nothing of it."""
    stage = perform(faults.expired(Elapsed(9000.0)), "answer")
    assert_answered(stage)
