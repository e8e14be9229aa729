"""fastbridge.call.turns: every turn gets an answer, or the caller is told why not."""

import pytest

from helpers import LOUD, QUIET
from turns import COMMITTED, SECOND, SPEAKS_ON, SPEECH_STARTED, creates, speech_stopped, turn
from virtual import Rig


@pytest.fixture
def rig():
    rig = Rig(silence_seconds=0).up()
    yield rig
    rig.shut()


class TestATurn:
    def test_that_the_model_answers_needs_nobody(self, rig):
        turn(rig)
        rig.advance(1)
        rig.respond(SECOND)
        rig.advance(30)
        assert creates(rig) == []
        assert rig.call.record()["answers"] == {}

    def test_that_nobody_answers_is_asked_for(self, rig):
        turn(rig)
        rig.advance(2.4)
        assert creates(rig) == []
        rig.advance(0.2)
        assert len(creates(rig)) == 1
        rig.respond(SECOND)
        rig.advance(30)
        assert len(creates(rig)) == 1
        assert rig.call.record()["answers"] == {"turn_unanswered": 1}

    def test_that_nobody_answers_even_then_costs_the_session(self, rig):
        turn(rig)
        rig.advance(2.6 + 5.2)
        assert rig.call.line.counters["losses"] == 1
        rig.connect()
        rig.open_session(2)
        assert len(creates(rig)) == 2

    def test_of_a_caller_who_goes_on_is_not_over(self, rig):
        turn(rig)
        rig.advance(1)
        rig.model(SPEAKS_ON)
        rig.caller_says(*[LOUD] * 200)
        assert creates(rig) == []

    def test_speech_that_never_ends_for_the_model_ends_for_us(self, rig):
        rig.caller_says(*[LOUD] * 20)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 50)
        assert rig.sent("input_audio_buffer.commit") == []
        rig.advance(1.8)
        assert len(rig.sent("input_audio_buffer.commit")) == len(creates(rig)) == 1
        assert rig.call.record()["answers"] == {"speech_unstopped": 1}
        rig.respond(SECOND)
        rig.advance(10)
        assert len(rig.sent("input_audio_buffer.commit")) == len(creates(rig)) == 1

    @pytest.mark.parametrize(("frames", "taken_s"), [(40, 1.0), (15, 1.5)])
    def test_speech_that_was_told_late_and_never_ends_ends_sooner(self, rig, frames, taken_s):
        """He had stopped before the model told that he had begun. Not for a cough: the model hears something else."""
        rig.caller_says(*[LOUD] * frames)
        rig.advance(0.75)
        rig.model({"type": "session.updated", "session": {"audio": {}}})
        rig.advance(0.75)
        rig.model(SPEECH_STARTED)
        rig.advance(taken_s - 0.1)
        assert rig.sent("input_audio_buffer.commit") == []
        rig.advance(0.2)
        assert len(rig.sent("input_audio_buffer.commit")) == len(creates(rig)) == 1

    def test_short_pauses_are_no_end(self, rig):
        rig.model(SPEECH_STARTED)
        for _ in range(6):
            rig.caller_says(*[QUIET] * 40, *[LOUD] * 20)
        assert rig.sent("input_audio_buffer.commit") == []


class TestInterruption:
    def test_that_the_model_does_not_hear_is_answered_all_the_same(self, rig):
        """Our own ear has stopped the assistant; nobody else will go on."""
        rig.respond(SECOND * 5)
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 20)
        assert rig.call.stats.barge_ins[0].outcome == "committed"
        rig.advance(3)
        assert len(creates(rig)) == 1

    def test_that_goes_on_is_not_spoken_over(self, rig):
        """Only our ear hears it: neither an answer nor a filler comes into it; but noise is not waited for for ever."""
        rig.respond(SECOND * 9)
        rig.advance(0.5)
        began_ns = rig.loop.now_ns
        rig.caller_says(*[LOUD] * 220)
        assert creates(rig) == []
        assert rig.call.dead_air.fillers == {}
        rig.caller_says(*[QUIET] * 60)
        assert len(creates(rig)) == 1
        assert rig.loop.now_ns - began_ns < 6e9

    def test_that_never_ends_is_answered_over_the_noise(self, rig):
        rig.respond(SECOND * 9)
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 290)
        assert creates(rig) == []
        rig.caller_says(*[LOUD] * 50)
        assert len(creates(rig)) == 1

    def test_that_the_model_hears_is_the_models_to_answer(self, rig):
        rig.respond(SECOND * 5)
        rig.advance(0.5)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 20)
        rig.model(speech_stopped())
        rig.model(COMMITTED)
        rig.advance(0.5)
        rig.respond(SECOND, 2)
        rig.advance(10)
        assert creates(rig) == []
