"""Responses that fail, stay silent, get stuck or never come: the caller hears an answer or an apology."""

import pytest

from fastbridge.sim import faults
from fastbridge.sim.faults import ALWAYS
from plays import ANSWER, GREETING, LINES, ask, assert_answered, assert_apologised, assert_never_left_alone, counted

APOLOGY_MS = 2000
# Which response of the session it is: the greeting, the answer, what follows a tool call, what follows an interruption.
PLACES = {"greeting": (1, "answer"), "answer": (2, "answer"), "tool": (3, "tool"), "barge_in": (3, "barge_in")}

at_each_place = pytest.mark.parametrize("place", PLACES)


@at_each_place
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("code", ["rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"])
def test_a_failed_response_is_asked_for_again(perform, code, times, place):
    nth, phase = PLACES[place]
    stage = perform(faults.fails(code, nth, times), phase)
    assert_answered(stage)
    assert [run.status for run in stage.sessions[0].responses].count("failed") == times
    assert counted(stage, "answers.responses_retried") == times


@at_each_place
@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error"])
def test_a_response_that_goes_on_failing_ends_in_an_apology(perform, caplog, code, place):
    nth, phase = PLACES[place]
    stage = perform(faults.fails(code, nth, ALWAYS), phase)
    assert_apologised(stage)
    assert 2 <= [run.status for run in stage.sessions[0].responses].count("failed") <= 3
    assert code in caplog.text


@at_each_place
def test_an_empty_account_is_not_asked_twice(perform, caplog, place):
    nth, phase = PLACES[place]
    stage = perform(faults.fails("insufficient_quota", nth, ALWAYS), phase)
    assert_apologised(stage)
    runs = [run for session in stage.sessions for run in session.responses]
    failed = [run for run in runs if run.status == "failed"]
    assert len(failed) == 1
    assert len(stage.attempts) == 1
    failed_ms = (failed[0].done_ms or 0) - stage.carrier.start_ms
    told = next(sound for sound in stage.ear.sounds if sound.name == "local_apology")
    assert told.start_ms - failed_ms <= APOLOGY_MS
    assert "insufficient_quota" in caplog.text


@at_each_place
@pytest.mark.parametrize(
    ("kind", "counter"), [(faults.silent, "responses_empty"), (faults.filtered, "responses_cut_short")]
)
def test_a_response_without_a_sound_is_asked_for_again_once(perform, kind, counter, place):
    nth, phase = PLACES[place]
    stage = perform(kind(nth), phase)
    assert_answered(stage)
    assert counted(stage, f"answers.{counter}") == 1


@at_each_place
@pytest.mark.parametrize("kind", [faults.silent, faults.filtered])
def test_a_model_that_stays_silent_ends_in_an_apology(perform, kind, place):
    nth, phase = PLACES[place]
    assert_apologised(perform(kind(nth, ALWAYS), phase))


@at_each_place
@pytest.mark.parametrize("says", ["", "We are open from"], ids=["nothing", "half"])
def test_a_response_that_never_ends(perform, caplog, says, place):
    """After eight seconds without a sign of life it is cancelled, by its id, and asked for again."""
    nth, phase = PLACES[place]
    stage = perform(faults.stuck(nth, says=says), phase)
    assert_answered(stage)
    cancels = [request for request in stage.sessions[0].requests if request["type"] == "response.cancel"]
    stuck = stage.sessions[0].responses[nth - 1]
    assert [cancel["response_id"] for cancel in cancels].count(stuck.id) == 1
    assert counted(stage, "answers.responses_stuck") == 1
    assert "[WATCHDOG]" in caplog.text


@at_each_place
def test_a_model_that_always_gets_stuck(perform, place):
    nth, phase = PLACES[place]
    stage = perform(faults.stuck(nth, ALWAYS), phase)
    assert_never_left_alone(stage)
    assert_apologised(stage)


@at_each_place
def test_a_response_whose_end_is_not_reported(perform, place):
    nth, phase = PLACES[place]
    stage = perform(faults.done_is_lost(nth), phase)
    stage.run(8.0)
    ask(stage)
    assert_answered(stage)


@pytest.mark.parametrize(("place", "nth"), [("greeting", 1), ("tool", 2)])
def test_a_create_that_is_not_answered(perform, place, nth):
    stage = perform(faults.never_created(nth), PLACES[place][1])
    assert_answered(stage)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("place", "nth"), [("greeting", 1), ("tool", 2)])
def test_a_create_that_meets_another_response(perform, place, nth, times):
    stage = perform(faults.already_active(nth, times), PLACES[place][1])
    assert_answered(stage)
    assert counted(stage, "responses.create_refused") == times


@pytest.mark.parametrize(("place", "nth"), [("greeting", 1), ("tool", 2)])
@pytest.mark.parametrize("ms", [1000.0, 4000.0, 6000.0, 9000.0])
def test_a_response_that_begins_late(perform, ms, place, nth):
    """Whoever gave it up must not hear of it: its audio is refused, and it is cancelled by its id."""
    stage = perform(faults.created_late(ms, nth), PLACES[place][1])
    assert_answered(stage)
    words = stage.ear.answers
    assert words.count(GREETING.transcript) <= 1
    assert words.count(ANSWER.transcript) <= 1


TURNS = {
    faults.endless_speech: "speech_unstopped",
    faults.untold_speech: "turns_untold",
    faults.unanswered: "turn_unanswered",
}


@pytest.mark.parametrize("kind", TURNS)
@pytest.mark.parametrize("phase", ["answer", "tool", "barge_in"])
@pytest.mark.parametrize("turn", [0, 1])
def test_a_turn_that_the_service_does_not_take(perform, caplog, kind, phase, turn):
    """To GPT-Live a turn that is not taken is one that has no answer: its words stop, whatever the service hears."""
    stage = perform(kind(turn), phase)
    assert_answered(stage)
    if stage.live:
        assert counted(stage, "answers.turn_unanswered") >= 1
    else:
        assert counted(stage, f"answers.{TURNS[kind]}") == 1
    assert "[WATCHDOG]" in caplog.text


@pytest.mark.parametrize("phase", ["answer", "tool", "barge_in", "idle"])
def test_turns_of_which_nothing_was_understood(perform, phase):
    stage = perform(faults.empty_transcripts(), phase)
    assert_answered(stage)
    assert [turn["role"] for turn in stage.call.record()["turns"]].count("caller") == 0


def test_every_answer_is_one_of_the_models_own(perform):
    """The names that these tests rely on."""
    stage = perform(None, "answer")
    assert set(stage.ear.words) <= {line.transcript for line in LINES}
