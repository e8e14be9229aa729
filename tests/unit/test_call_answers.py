"""fastbridge.call.answers: a response that does not answer is asked for again, or the caller is told why not."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.model.line import State
from helpers import LOUD
from turns import COMMITTED, SECOND, SPEAKS_ON, creates, turn
from virtual import Rig


def failed(code: str | None = None) -> dict[str, Any]:
    return {"status_details": {"error": {"code": code}}}


@pytest.fixture
def rig():
    rig = Rig(silence_seconds=0).up()
    yield rig
    rig.shut()


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
        assert rig.call.line._breaker.refuses()

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
    def test_is_asked_for_once_more_after_3_s(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.done("resp_1")
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

    def test_its_own_words_are_asked_for_again_where_it_has_any(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.begin("resp_1")
        rig.done("resp_1")
        rig.advance(3.1)
        assert ["Hello!" in create["instructions"] for create in creates(rig)] == [True, True]
        rig.shut()

    def test_one_that_was_heard_to_its_end_before_it_ended_is_none(self, rig):
        """A recording of ours came between its sound and its end."""
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND[:1600], "resp_1", "item_1")
        rig.advance(4)
        assert rig.call.dead_air.fillers["response"] == 1
        rig.done("resp_1")
        rig.advance(10)
        assert creates(rig) == []


def incomplete(reason: str) -> dict[str, Any]:
    return {"status_details": {"type": "incomplete", "reason": reason}}


ended_early = pytest.mark.parametrize(
    ("status", "reason"), [("incomplete", "max_output_tokens"), ("cancelled", "turn_detected")]
)


class TestCutShort:
    """Ended by the model or its server, and not because we wanted it."""

    @ended_early
    def test_in_the_middle_goes_on_from_there(self, rig, status, reason):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1", status, **incomplete(reason))
        rig.advance(0.7)
        assert "Go on from exactly there" in creates(rig)[0]["instructions"]

    @ended_early
    def test_before_its_first_sound_is_asked_for_again(self, rig, status, reason):
        turn(rig)
        rig.begin("resp_1")
        rig.done("resp_1", status, **incomplete(reason))
        rig.advance(0.7)
        assert "aloud" in creates(rig)[0]["instructions"]

    @pytest.mark.parametrize("spoke", [True, False])
    def test_by_the_content_filter_ends_in_a_question(self, rig, spoke):
        turn(rig)
        rig.begin("resp_1", "item_1")
        if spoke:
            rig.delta(SECOND, "resp_1", "item_1")
        rig.done("resp_1", "incomplete", **incomplete("content_filter"))
        rig.advance(0.7)
        assert "what else" in creates(rig)[0]["instructions"]

    @pytest.mark.parametrize("status", ["None", "paused", "failed"])
    def test_in_a_way_nobody_knows_is_a_failure(self, rig, status):
        turn(rig)
        rig.begin("resp_1")
        rig.done("resp_1", status)
        rig.advance(0.7)
        assert len(creates(rig)) == 1

    def test_again_and_again_without_a_sound_is_an_apology(self, rig):
        turn(rig)
        for number in range(1, 4):
            rig.begin(f"resp_{number}")
            rig.done(f"resp_{number}", "incomplete", **incomplete("max_output_tokens"))
            rig.advance(1.5)
        assert (rig.call.line.state, len(creates(rig))) == (State.DOWN, 2)

    def test_again_and_again_with_sound_is_an_answer_in_the_end(self, rig):
        turn(rig)
        for number in range(1, 4):
            rig.begin(f"resp_{number}", f"item_{number}")
            rig.delta(SECOND, f"resp_{number}", f"item_{number}")
            rig.done(f"resp_{number}", "incomplete", **incomplete("max_output_tokens"))
            rig.advance(1.5)
        rig.advance(10)
        assert (rig.call.line.up, len(creates(rig))) == (True, 2)

    def test_while_the_caller_speaks_is_his_turn(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.model(SPEAKS_ON)
        rig.done("resp_1", "cancelled", **incomplete("turn_detected"))
        rig.caller_says(*[LOUD] * 100)
        assert creates(rig) == []

    @pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed", "completed", "what is this"])
    def test_because_we_wanted_it_owes_nothing(self, rig, status):
        turn(rig)
        rig.begin("resp_1")
        rig.do(rig.call.session.responses.cancel)
        rig.done("resp_1", status)
        rig.advance(10)
        assert creates(rig) == []


class TestToolLoop:
    def test_of_a_model_that_only_calls_tools_ends_in_an_apology(self, rig):
        turn(rig)
        number = 0
        while rig.call.line.up and number < 100:
            number += 1
            rig.begin(f"resp_{number}")
            rig.tool_call("call_0", "unknown", response_id=f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.advance(0.05)
        assert len(creates(rig)) <= 12
        assert creates(rig)[-1]["tool_choice"] == "none"
        rig.advance(10)
        assert (rig.call.end_reason, rig.call.apologised) == ("model_lost", True)
        assert rig.call.record()["answers"]["tool_loops"] == 1


@pytest.mark.parametrize("known", [False, True])
def test_a_turn_for_which_an_answer_was_asked_in_vain_is_answered_once_in_the_next_session(rig, known):
    """Or asked to be repeated, once."""
    turn(rig)
    if known:
        rig.model(WRITTEN_DOWN)
    rig.advance(8)
    assert (rig.call.line.counters["losses"], len(creates(rig))) == (1, 1)
    rig.connect()
    rig.open_session(2)
    rig.begin_ours("resp_1", "item_1")
    rig.delta(SECOND, "resp_1", "item_1")
    rig.done("resp_1")
    rig.advance(5)
    asked = creates(rig)[1:]
    assert [("did not hear them" in each.get("instructions", "")) for each in asked] == [not known]


COMPLETED = "conversation.item.input_audio_transcription.completed"
WRITTEN_DOWN = {"type": COMPLETED, "item_id": COMMITTED["item_id"], "transcript": "Where is it?"}


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
        rig.advance(9.1)  # the audio was headway, found within a second
        rig.done("resp_1", "cancelled")
        assert "Go on from exactly there" in creates(rig)[0]["instructions"]

    def test_and_not_confirmed_to_be_cancelled_costs_the_session_at_once(self, rig):
        """Whoever asked there once more would wait as long for that."""
        turn(rig)
        rig.model(WRITTEN_DOWN)
        rig.begin("resp_1")
        rig.advance(11.2)
        assert (rig.call.line.counters["losses"], creates(rig)) == (1, [])
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert len(creates(rig)) == 1
        assert "repeat" not in creates(rig)[0].get("instructions", "")

    def test_in_the_middle_and_not_confirmed_it_goes_on_from_there_in_the_next(self, rig):
        turn(rig)
        rig.model(WRITTEN_DOWN)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(12.3)
        assert rig.call.line.counters["losses"] == 1
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert "Go on from exactly there" in creates(rig)[0]["instructions"]

    @pytest.mark.parametrize("spoke", [False, True])
    def test_is_asked_for_in_the_next_session_where_the_line_is_lost_while_it_is_cancelled(self, rig, spoke):
        """A service that stands still, and then breaks."""
        turn(rig)
        rig.model(WRITTEN_DOWN)
        rig.begin("resp_1", "item_1")
        if spoke:
            rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(9.5)
        assert len(rig.sent("response.cancel")) == 1
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        rig.advance(3)
        assert len(creates(rig)) == 1
        assert ("Go on from exactly there" in creates(rig)[0].get("instructions", "")) is spoke

    def test_whose_model_begins_another_unasked_costs_no_session(self, rig):
        turn(rig)
        rig.begin("resp_1")
        rig.advance(8.5)
        rig.begin("resp_2")
        rig.advance(4)
        assert rig.call.line.counters["losses"] == 0


def test_an_answer_to_a_call_that_has_ended_is_nothing(rig):
    turn(rig)
    rig.do(rig.call.close, "shutdown")
    rig.advance(10)
    assert creates(rig) == []
