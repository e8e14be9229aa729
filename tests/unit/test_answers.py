"""fastbridge.answers: every turn gets an answer, or the caller is told why not."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.model_line import State
from helpers import LOUD, QUIET, base64_text
from sounds import recordings, spoken, to_pcm
from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEAKS_ON = {"type": "input_audio_buffer.speech_started", "item_id": "item_v"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}
TRANSCRIBED = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "When are you open?"}


def speech_started(start_ms: int | None) -> dict[str, Any]:
    return SPEECH_STARTED if start_ms is None else {**SPEECH_STARTED, "audio_start_ms": start_ms}


def speech_stopped(end_ms: int | None = None, item_id: str = "item_u") -> dict[str, Any]:
    event: dict[str, Any] = {"type": "input_audio_buffer.speech_stopped", "item_id": item_id}
    return event if end_ms is None else {**event, "audio_end_ms": end_ms}


def failed(code: str | None = None) -> dict[str, Any]:
    return {"status_details": {"error": {"code": code}}}


@pytest.fixture
def rig():
    rig = Rig(silence_seconds=0).up()
    yield rig
    rig.shut()


def turn(rig: Rig) -> None:
    for event in (SPEECH_STARTED, speech_stopped(), COMMITTED):
        rig.model(event)


def creates(rig: Rig) -> list[dict[str, Any]]:
    return [event["response"] for event in rig.sent("response.create")]


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

    def test_short_pauses_are_no_end(self, rig):
        rig.model(SPEECH_STARTED)
        for _ in range(6):
            rig.caller_says(*[QUIET] * 40, *[LOUD] * 20)
        assert rig.sent("input_audio_buffer.commit") == []


class TestFailed:
    def test_is_tried_twice_again_within_3_s_then_given_up(self, rig):
        turn(rig)
        for number in (1, 2):
            rig.begin(f"resp_{number}")
            rig.done(f"resp_{number}", "failed", **failed("rate_limit_exceeded"))
            rig.advance((0.61, 1.41)[number - 1])
            assert len(creates(rig)) == number
        rig.begin("resp_3")
        rig.done("resp_3", "failed", **failed("server_error"))
        assert rig.call.line.state is State.DOWN
        rig.advance(10)
        assert rig.call.end_reason == "model_lost"
        assert rig.call.record()["answers"] == {"responses_retried": 2}

    def test_a_success_begins_the_count_anew(self, rig):
        for number in range(1, 8, 2):
            rig.begin(f"resp_{number}")
            rig.done(f"resp_{number}", "failed", **failed("server_error"))
            rig.advance(0.7)
            rig.respond(SECOND, number + 1)
            rig.advance(1.2)
        assert rig.call.line.up

    def test_out_of_money_is_not_tried_again(self, rig):
        turn(rig)
        rig.begin("resp_1")
        rig.done("resp_1", "failed", **failed("insufficient_quota"))
        assert (rig.call.line.state, creates(rig)) == (State.DOWN, [])
        assert rig.call.line._breaker.trips == 1

    def test_in_the_middle_it_goes_on_from_there(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1", "failed", **failed("server_error"))
        rig.advance(0.7)
        assert "Go on from exactly there" in creates(rig)[0]["instructions"]

    def test_the_purpose_is_kept(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.begin("resp_1")
        rig.done("resp_1", "failed", **failed("server_error"))
        rig.advance(0.7)
        assert "Hello!" in creates(rig)[1]["instructions"]
        rig.shut()

    def test_a_caller_who_speaks_meanwhile_is_answered_instead(self, rig):
        turn(rig)
        rig.begin("resp_1")
        rig.done("resp_1", "failed", **failed("server_error"))
        rig.model(SPEAKS_ON)
        rig.caller_says(*[LOUD] * 50)
        assert creates(rig) == []

    def test_a_create_rejected_is_tried_again(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.model({"type": "error", "error": {"code": None, "message": "Oops.", "event_id": "create_1"}})
        rig.advance(0.7)
        assert len(creates(rig)) == 2
        assert "Hello!" in creates(rig)[1]["instructions"]
        rig.shut()

    def test_a_create_refused_for_ever_costs_the_session(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        for number in range(1, 10):
            error = {"code": "conversation_already_has_active_response", "event_id": f"create_{number}"}
            rig.model({"type": "error", "error": error})
            rig.advance(0.26)
        assert rig.call.line.counters["losses"] == 1
        rig.connect()
        rig.open_session(2)
        assert "Hello!" in creates(rig)[-1]["instructions"]
        rig.shut()


class TestSilentAnswer:
    @pytest.mark.parametrize("status", ["completed", "incomplete"])
    def test_is_asked_for_once_more_after_3_s(self, rig, status):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.done("resp_1", status)
        rig.advance(2.9)
        assert creates(rig) == []
        rig.advance(0.2)
        assert "silent" in creates(rig)[0]["instructions"]
        rig.respond(SECOND, 2)
        rig.advance(20)
        assert (len(creates(rig)), rig.call.line.up) == (1, True)
        assert rig.call.record()["answers"] == {"responses_empty": 1}

    def test_twice_is_an_apology(self, rig):
        for number in (1, 2):
            rig.begin(f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.advance(3.1)
        assert rig.call.line.state is State.DOWN
        rig.advance(10)
        assert rig.call.apologised

    def test_with_a_tool_call_it_is_none(self, rig):
        rig.begin("resp_1")
        rig.tool_call("call_1", "unknown")
        rig.done("resp_1")
        rig.advance(0.1)
        rig.respond(SECOND, 2)
        rig.advance(10)
        assert rig.call.record()["answers"] == {}

    @pytest.mark.parametrize("status", ["cancelled"])
    def test_a_cancelled_one_owes_nothing(self, rig, status):
        rig.begin("resp_1")
        rig.done("resp_1", status)
        rig.advance(10)
        assert creates(rig) == []


class TestStuck:
    def test_is_cancelled_and_asked_for_again_then_costs_the_session(self, rig):
        turn(rig)
        rig.begin("resp_1")
        rig.advance(8.1)
        assert rig.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_1"}]
        rig.done("resp_1", "cancelled")
        assert len(creates(rig)) == 1
        rig.begin("resp_2")
        rig.advance(8.1)
        assert rig.call.line.counters["losses"] == 1
        assert rig.call.record()["answers"] == {"responses_stuck": 2}
        assert rig.call.record()["responses"]["stuck"] == 2
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert len(creates(rig)) == 2
        assert "did not hear them" in creates(rig)[1]["instructions"]

    def test_in_the_middle_it_goes_on_from_there(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(16.1)  # the audio was headway
        rig.done("resp_1", "cancelled")
        assert "Go on from exactly there" in creates(rig)[0]["instructions"]

    def test_that_answers_to_nothing_is_asked_for_again_all_the_same(self, rig):
        turn(rig)
        rig.begin("resp_1")
        rig.advance(11.2)
        assert len(creates(rig)) == 1


class TestTheModelsClock:
    """Of the caller's audio: where it runs slow, that audio is taken for what it is not."""

    def quiet_then_loud(self, rig: Rig, seconds: float = 3.0) -> None:
        rig.advance(seconds)
        rig.caller_says(*[LOUD] * 20)

    def test_where_nobody_had_spoken_is_noticed(self, rig):
        self.quiet_then_loud(rig)
        rig.model(speech_started(200))
        assert rig.call.record()["answers"] == {"format_mismatch": 1}
        assert rig.call.line.counters["losses"] == 1

    @pytest.mark.parametrize("start_ms", [None, 2700, 3100, 700])
    def test_where_somebody_spoke_or_unknown_is_fine(self, rig, start_ms):
        self.quiet_then_loud(rig)
        rig.model(speech_started(start_ms))
        assert rig.call.line.up

    @pytest.mark.parametrize("seconds", [1.0, 2.9])
    def test_soon_after_the_session_says_nothing(self, rig, seconds):
        self.quiet_then_loud(rig, seconds)
        rig.model(speech_started(0))
        assert rig.call.line.up

    def test_where_our_ear_heard_a_voice_is_fine_though_it_is_told_late(self, rig):
        rig.caller_says(*[LOUD] * 30)
        rig.advance(5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    def test_where_it_was_only_a_word_too(self, rig):
        rig.caller_says(*[LOUD] * 10)
        rig.advance(5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    def test_is_told_twice_and_means_the_same(self, rig):
        rig.caller_says(*[LOUD] * 30)
        rig.model(speech_started(0))
        rig.advance(2.5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    @pytest.mark.parametrize("ends", ["by its word", "by ours"])
    def test_in_the_second_turn_is_noticed_too(self, rig, ends):
        """The first came too soon to tell."""
        rig.caller_says(*[LOUD] * 30)
        rig.model(speech_started(0))
        rig.advance(0.5)
        if ends == "by its word":
            rig.model(speech_stopped())
        rig.advance(4)
        rig.caller_says(*[LOUD] * 20)
        rig.model({**speech_started(300), "item_id": "item_v"})
        assert rig.call.record()["answers"]["format_mismatch"] == 1

    def test_twice_is_the_end(self, rig):
        self.quiet_then_loud(rig)
        rig.model(speech_started(200))
        rig.advance(0.5)
        rig.connect()
        rig.open_session(2)
        self.quiet_then_loud(rig)
        rig.model({**speech_started(200), "item_id": "item_v"})
        assert rig.call.line.state is State.DOWN

    @pytest.mark.parametrize("seconds", [0, 1])
    def test_in_a_new_session_is_counted_from_its_beginning(self, rig, seconds):
        rig.advance(10)
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        self.quiet_then_loud(rig, seconds)
        rig.model(speech_started(0))
        assert rig.call.line.counters["losses"] == 1

    def test_what_was_locked_out_was_not_sent(self, rig):
        rig.call.caller.lock()
        rig.advance(10)
        rig.call.caller.unlock()
        self.quiet_then_loud(rig, 1)
        rig.model(speech_started(0))
        assert rig.call.line.up


class TestNoise:
    """The model's speech is PCM."""

    PCM = to_pcm(spoken(-20))[6000:]

    def answer(self, rig: Rig, number: int = 1) -> int:
        """A turn, and the beginning of its answer, in real time: how many ms were heard until the line was given up."""
        turn(rig)
        rig.model({**TRANSCRIBED, "item_id": "item_u"})
        response_id, item_id = f"resp_{number}", f"item_{number}"
        rig.begin(response_id, item_id)
        for start in range(0, 16_000, 160):
            if not rig.call.line.up:
                return start // 8
            rig.delta(self.PCM[start : start + 160], response_id, item_id)
            rig.advance(0.02)
        return 2000

    def test_is_cut_off_and_the_answer_asked_for_again(self, rig):
        assert self.answer(rig) < 500
        assert not rig.call.assistant.playing
        assert len(rig.downlink) < 4000
        assert rig.written("clear") != []
        assert rig.call.record()["answers"] == {"format_mismatch": 1}
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert [create.get("instructions") for create in creates(rig)] == [None], "from its beginning"

    def test_is_nothing_that_was_said(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        words = {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_1"}
        rig.model({**words, "delta": "We are open from nine"})
        rig.delta(self.PCM[:8000], "resp_1", "item_1")
        rig.transcript("We are open from nine to five.", "resp_1", "item_1")
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        told = [event["item"] for event in rig.sent("conversation.item.create")]
        assert told == []
        assert [each for each in rig.call.record()["turns"] if each["role"] == "assistant"] == []

    def test_is_never_heard_if_it_comes_fast(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.delta(self.PCM[:12_000], "resp_1", "item_1")
        rig.advance(0.5)
        assert rig.downlink == b""

    def test_twice_is_the_end(self, rig):
        self.answer(rig)
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        self.answer(rig, 2)
        assert rig.call.line.state is State.DOWN
        assert rig.call.ladder.ending

    def test_in_a_recording_of_ours_is_not_the_models(self, rig):
        lane = rig.call.assistant
        rig.do(lane.begin_response, "local_filler_1")
        rig.do(lane.feed_delta, b"local_filler_1", b"local_filler_1", base64_text(self.PCM[:8000]))
        assert lane.playing
        assert rig.call.line.up
        assert rig.call.record()["answers"] == {}

    def test_is_not_what_is_mulaw(self, rig):
        turn(rig)
        rig.respond(recordings()["en/apology.ulaw"])
        rig.advance(8)
        assert rig.call.line.up


def test_an_answer_to_a_call_that_has_ended_is_nothing(rig):
    turn(rig)
    rig.do(rig.call.close, "shutdown")
    rig.advance(10)
    assert creates(rig) == []
