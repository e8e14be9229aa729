"""call.upload_watch: a model that does not hear the caller is found out, one that hears only noise is left alone."""

from typing import Any

import pytest

from fastbridge.call.dead_air import LIMIT_SECONDS
from fastbridge.call.upload_watch import MAX_TAKEN, SENTENCE_FRAMES, State
from helpers import LOUD, QUIET
from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SIGN = {"type": "session.updated", "session": {"audio": {}}}


@pytest.fixture
def rig():
    rig = Rig().up()
    yield rig
    rig.shut()


def say(rig: Rig, frames: int, frame: bytes = LOUD) -> None:
    for _ in range(frames):
        rig.caller_says(frame)


def questions(rig: Rig) -> list[dict[str, Any]]:
    return [event for event in rig.sent("session.update") if "event_id" in event]


class TestTheQuestion:
    def test_follows_a_voice_of_which_the_model_says_nothing(self, rig):
        say(rig, 50)
        assert questions(rig) == []
        say(rig, 60, QUIET)
        (question,) = questions(rig)
        assert question["session"] == {"type": "realtime"}

    def test_waits_for_the_voice_to_end(self, rig):
        say(rig, 250)
        assert questions(rig) == []

    def test_is_not_put_to_a_model_that_hears(self, rig):
        say(rig, 10)
        rig.model(SPEECH_STARTED)
        say(rig, 40)
        rig.model({"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"})
        say(rig, 60, QUIET)
        assert questions(rig) == []

    def test_is_not_put_for_a_click(self, rig):
        for _ in range(10):
            say(rig, 5)
            say(rig, 100, QUIET)
        assert questions(rig) == []

    def test_is_not_put_for_what_the_greeting_lock_kept_out(self, rig):
        rig.call.caller.lock()
        say(rig, 50)
        rig.call.caller.unlock()
        say(rig, 100, QUIET)
        assert questions(rig) == []


class TestTheSign:
    def test_in_time_is_all_that_happens(self, rig):
        say(rig, 50)
        say(rig, 60, QUIET)
        rig.model(SIGN)
        say(rig, 400, QUIET)
        assert len(questions(rig)) == 1
        assert rig.downlink == b""
        assert rig.call.record()["answers"] == {}
        assert rig.call.upload_watch.state is State.LISTENING

    def test_may_be_an_error(self, rig):
        say(rig, 50)
        say(rig, 60, QUIET)
        rig.model({"type": "error", "error": {"code": "x", "event_id": questions(rig)[0]["event_id"]}})
        say(rig, 400, QUIET)
        assert rig.call.record()["answers"] == {}

    def test_that_comes_late_ends_the_wait(self, rig):
        say(rig, 50)
        say(rig, 100, QUIET)
        assert rig.call.dead_air._cause == "answer"
        rig.model(SIGN)
        assert rig.call.dead_air._cause is None
        say(rig, 400, QUIET)
        assert rig.call.line.counters["losses"] == 0

    def test_that_does_not_come_costs_the_session_and_the_caller_is_asked_to_repeat(self, rig):
        say(rig, 50)
        say(rig, 130, QUIET)
        assert rig.downlink != b""
        assert rig.call.record()["answers"] == {"turns_unheard": 1}
        assert rig.call.line.counters["losses"] == 0
        say(rig, 200, QUIET)
        assert rig.call.line.counters["losses"] == 1
        rig.connect()
        rig.open_session(2)
        (create,) = rig.sent("response.create")
        assert "did not hear them" in create["response"]["instructions"]

    def test_that_is_speech_after_all_is_a_turn_like_any_other(self, rig):
        say(rig, 50)
        say(rig, 100, QUIET)
        rig.model(SPEECH_STARTED)
        say(rig, 10, QUIET)
        assert rig.call.upload_watch.state is State.LISTENING
        assert not rig.call.turns.owed


class TestASentenceOfWhichNothingIsTold:
    """The model signs, and says nothing of what our own ear has heard: the turn is taken for it."""

    def sentence(self, rig: Rig, *, late: bool = False) -> None:
        before = len(questions(rig))
        say(rig, SENTENCE_FRAMES)
        say(rig, 130 if late else 60, QUIET)
        assert len(questions(rig)) == before + 1
        rig.model(SIGN)

    @pytest.mark.parametrize("late", [False, True])
    def test_is_committed_and_answered(self, rig, late):
        self.sentence(rig, late=late)
        assert len(rig.sent("input_audio_buffer.commit")) == len(rig.sent("response.create")) == 1
        assert rig.call.turns.owed
        assert rig.call.record()["answers"]["turns_untold"] == 1
        rig.respond(SECOND)
        rig.advance(2)
        assert rig.downlink.endswith(SECOND)
        assert not rig.call.turns.owed

    def test_and_less_is_a_noise(self, rig):
        say(rig, SENTENCE_FRAMES - 10)
        say(rig, 60, QUIET)
        rig.model(SIGN)
        assert rig.sent("input_audio_buffer.commit") == []

    def test_is_not_taken_from_a_line_whose_noise_is_like_a_voice(self, rig):
        for number in range(MAX_TAKEN):
            self.sentence(rig)
            rig.respond(SECOND, number + 1)
            rig.advance(3)
        self.sentence(rig)
        assert len(rig.sent("input_audio_buffer.commit")) == MAX_TAKEN

    def test_only_the_answer_to_our_question_is_a_sign(self, rig):
        say(rig, SENTENCE_FRAMES)
        rig.call.upload_watch.sign()
        assert rig.sent("input_audio_buffer.commit") == []


def answered_then_lost(rig: Rig) -> None:
    """The model tells of the caller and answers; then the next session is up."""
    rig.model(SPEECH_STARTED)
    rig.model({"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"})
    rig.respond(SECOND)
    rig.advance(2)
    rig.lose_model()
    rig.advance(0.2)
    rig.connect()
    rig.open_session(2)


class TestALineLost:
    @pytest.mark.parametrize(("frames", "creates"), [(50, 1), (10, 0)])
    def test_before_the_model_told_of_the_caller_asks_him_to_repeat(self, rig, frames, creates):
        """What he said went to a session that is no more. A cough is not asked for again."""
        say(rig, frames)
        say(rig, 20, QUIET)
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        rig.advance(2.1)
        asked = [event["response"]["instructions"] for event in rig.sent("response.create")]
        assert len(asked) == creates
        assert all("did not hear them" in instructions for instructions in asked)

    def test_he_has_been_waiting_since_he_spoke(self, rig):
        say(rig, 50)
        say(rig, 39, QUIET)
        rig.lose_model()
        assert rig.downlink == b""
        rig.advance(LIMIT_SECONDS["idle"] - 39 * 0.02 + 0.4)
        assert rig.call.dead_air.fillers == {"idle": 1}

    def test_then_the_next_session_may_use_the_ids_of_the_last(self, rig):
        answered_then_lost(rig)
        before = len(rig.downlink)
        rig.model(SPEECH_STARTED)
        assert rig.call.turns.speaking
        rig.model({"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"})
        rig.respond(SECOND)
        rig.advance(2)
        assert len(rig.downlink) == before + len(SECOND)

    def test_after_the_model_told_of_him_is_another_story(self, rig):
        say(rig, 50)
        answered_then_lost(rig)
        rig.advance(3)
        assert rig.sent("response.create") == []
