"""model.realtime.responses between two machines: whose a response is, what is rejected, refused for ever, and lost."""

import pytest

from controller import AT_REST, ours
from fastbridge.model.port import Wish
from fastbridge.model.realtime.responses import MAX_OVER, MAX_REFUSALS, RETRY_SECONDS
from fastbridge.model.response_states import State


@pytest.fixture
def rig(controller):
    return controller


class TestWhose:
    """A response is whose its metadata says, not whose turn it seems to be."""

    def test_the_models_own_between_our_create_and_its_refusal(self, rig):
        rig.shows_metadata()
        rig.create("greeting")
        assert rig.created("resp_own") == "turn"
        rig.refused("create_2")
        rig.finished("resp_own", "completed")
        assert rig.created("resp_ours", ours(3)) == "greeting"

    def test_ours_after_the_models_own_has_ended(self, rig):
        rig.shows_metadata()
        rig.create("tool_result")
        rig.created("resp_own")
        assert rig.created("resp_ours", ours(2)) == "tool_result"
        assert rig.lost == ["resp_own"]

    def test_ours_that_nobody_refused_nor_began_is_asked_for_again(self, rig):
        rig.shows_metadata()
        rig.create("tool_result")
        rig.created("resp_own")
        rig.finished("resp_own", "completed")
        assert rig.creates[-1] == "create_3"

    def test_one_that_comes_after_its_deadline_is_cancelled(self, rig):
        rig.create("greeting")
        rig.loop.advance(5.001)
        assert rig.created("resp_late", ours(1)) is None
        assert rig.sent[-1] == {"type": "response.cancel", "response_id": "resp_late"}
        assert rig.counters["late_created"] == 1

    def test_told_twice_is_told_once(self, rig):
        rig.created("resp_1")
        assert rig.created("resp_1") is None
        assert (rig.state, rig.lost, rig.counters["duplicate_created"]) == (State.ACTIVE, [], 1)

    def test_told_again_when_it_is_over_it_is_not_begun_again(self, rig):
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        assert rig.created("resp_1") is None
        assert (rig.state, rig.counters["duplicate_created"]) == (State.DONE, 1)

    def test_told_after_its_end_it_is_over(self, rig):
        rig.finished("resp_1", "completed")
        assert rig.created("resp_1") is None
        assert rig.resting

    def test_what_is_over_is_remembered_for_a_while(self, rig):
        for number in range(MAX_OVER + 1):
            rig.finished(f"resp_{number}", "completed")
        assert [rig.knows(f"resp_{number}") for number in range(3)] == [False, True, True]

    def test_a_service_that_shows_no_metadata_is_believed_by_order(self, rig):
        rig.create("greeting")
        assert rig.created("resp_1", None) == "greeting"

    @pytest.mark.parametrize("metadata", [{}, {"fastbridge": None}, {"other": "x"}, [], "create_1", 7])
    def test_strange_metadata_is_none(self, rig, metadata):
        assert rig.created("resp_1", metadata) == "turn"


class TestRejected:
    def test_ours_ends_at_once_and_is_told(self, rig):
        rig.create("greeting")
        assert rig.rejected("create_1", "server_error") is True
        assert (rig.state, rig.failed) == (State.FAILED, [("greeting", "server_error")])
        assert rig.counters["create_rejected"] == 1

    def test_the_next_gets_its_turn(self, rig):
        rig.create("a")
        rig.create("b")
        rig.rejected("create_1", "invalid_value")
        assert rig.creates == ["create_1", "create_2"]

    @pytest.mark.parametrize("event_id", ["create_2", "mine", "", None])
    def test_what_is_not_ours_changes_nothing(self, rig, event_id):
        rig.create("greeting")
        assert rig.rejected(event_id, "invalid_value") is False
        assert (rig.state, rig.failed) == (State.REQUESTED, [])

    @pytest.mark.parametrize("state", [*AT_REST, State.ACTIVE, State.CANCELLING])
    def test_without_a_request_there_is_nothing_to_reject(self, rig, state):
        rig.at(state)
        assert rig.rejected("create_1", "x") is False
        assert rig.state is state


class TestFuse:
    def test_a_create_refused_for_ever_is_given_up(self, rig):
        rig.create("greeting")
        for number in range(1, MAX_REFUSALS + 2):
            assert rig.failed == []
            rig.refused(f"create_{number}")
            rig.loop.advance(RETRY_SECONDS + 0.001)
        assert (rig.failed, rig.counters["creates_given_up"]) == ([("greeting", "create_refused")], 1)
        rig.loop.advance(60)
        assert (len(rig.creates), rig.busy) == (MAX_REFUSALS + 1, False)

    def test_a_response_in_between_begins_the_count_anew(self, rig):
        rig.create("greeting")
        for number in range(1, 3 * MAX_REFUSALS):
            rig.refused(f"create_{number}")
            if number % MAX_REFUSALS == 0:
                rig.created(f"resp_{number}")
                rig.finished(f"resp_{number}", "completed")
            rig.loop.advance(RETRY_SECONDS + 0.001)
        assert (rig.failed, rig.counters["safety_fuse"]) == ([], 0)

    @pytest.mark.parametrize("purpose", ["turn", "continuation", "repeat", "reprompt"])
    def test_what_answers_the_caller_is_answered_by_the_models_own(self, rig, purpose):
        rig.shows_metadata()
        rig.create(purpose)
        rig.created("resp_own")
        rig.refused("create_2")
        rig.finished("resp_own", "completed")
        assert (rig.busy, rig.creates) == (False, ["create_1", "create_2"])


class TestLinkLost:
    @pytest.mark.parametrize("state", AT_REST)
    def test_at_rest_nothing_was_under_way(self, rig, state):
        rig.at(state)
        assert rig.suspend() is None
        assert (rig.state, rig.lost) == (state, [])

    def test_what_had_begun_is_told(self, rig):
        rig.create("greeting", Wish("Hi", words_only=False))
        rig.created("resp_1")
        create = rig.suspend()
        assert (create.purpose, create.wish) == ("greeting", Wish("Hi", words_only=False))
        assert (rig.state, rig.lost, rig.busy) == (State.FAILED, ["resp_1"], False)

    def test_one_that_was_being_cancelled_is_not_wanted_back(self, rig):
        rig.created("resp_1")
        rig.cancel()
        assert rig.suspend() is None
        assert rig.lost == ["resp_1"]

    def test_what_was_requested_waits_in_front_and_is_asked_for_again(self, rig):
        rig.create("greeting")
        rig.create("tool_result")
        assert rig.suspend() is None
        rig.loop.advance(60)
        assert (rig.creates, rig.counters["safety_fuse"]) == (["create_1"], 0)
        rig.resume()
        assert rig.creates == ["create_1", "create_2"]
        assert rig.created("resp_1", ours(2)) == "greeting"

    def test_twice_is_once(self, rig):
        rig.create("greeting")
        rig.suspend()
        rig.suspend()
        rig.resume()
        assert (rig.creates, rig.busy) == (["create_1", "create_2"], True)

    def test_a_refusal_waiting_for_its_retry_waits_for_the_line(self, rig):
        rig.create("greeting")
        rig.refused("create_1")
        rig.suspend()
        rig.loop.advance(5)
        assert rig.creates == ["create_1"]
        rig.resume()
        assert rig.creates == ["create_1", "create_2"]

    def test_an_interruption_meanwhile_drops_what_answered_the_caller_and_keeps_the_rest(self, rig):
        rig.suspend()
        for purpose in ("continuation", "tool_result", "turn"):
            rig.create(purpose)
        assert rig.awaits("turn")
        assert rig.cancel() is False
        assert not rig.awaits("turn", "continuation")
        rig.resume()
        assert rig.created("resp_1", ours(1)) == "tool_result"

    def test_a_create_that_nothing_holds_back_is_our_own_fault_and_is_sent(self, rig):
        rig.create("greeting")
        rig.created("resp_1", ours(1))
        rig.controller._pump, pump = (lambda: None), rig.controller._pump
        rig.create("tool_result")
        rig.finished("resp_1", "completed")
        rig.controller._pump = pump
        rig.loop.advance(1.1)
        assert (rig.counters["safety_fuse"], rig.creates) == (1, ["create_1", "create_2"])
