"""fastbridge.model.realtime.responses: the table row by row, every deadline, and the races between two machines."""

import pytest

from controller import AT_REST, ours
from fastbridge.model.port import Wish
from fastbridge.model.realtime.responses import MAX_WAITING, RETRY_SECONDS
from fastbridge.model.response_states import State

UNDER_WAY = [State.REQUESTED, State.ACTIVE, State.CANCELLING]


@pytest.fixture
def rig(controller):
    return controller


class TestCreate:
    def test_is_sent_at_once_when_at_rest(self, rig):
        rig.create("greeting", Wish("Hi", words_only=False))
        assert rig.sent == [
            {
                "type": "response.create",
                "event_id": "create_1",
                "response": {"instructions": "Hi", "metadata": {"fastbridge": "create_1"}},
            }
        ]
        assert (rig.state, rig.busy) == (State.REQUESTED, True)

    def test_without_a_response_object_has_only_our_mark(self, rig):
        rig.create("tool_result")
        assert rig.sent[0]["response"] == {"metadata": {"fastbridge": "create_1"}}

    @pytest.mark.parametrize("state", UNDER_WAY)
    def test_waits_for_the_one_under_way(self, rig, state):
        before = len(rig.at(state).creates)
        rig.create("tool_result")
        assert len(rig.creates) == before
        if state is State.REQUESTED:
            rig.created("resp_0")
        rig.finished("resp_0", "completed")
        assert len(rig.creates) == before + 1
        assert rig.created("resp_9") == "tool_result"

    def test_several_go_one_by_one_in_order(self, rig):
        for purpose in ("a", "b", "c"):
            rig.create(purpose)
        served = []
        for number in range(3):
            assert len(rig.creates) == number + 1
            served.append(rig.created(f"resp_{number}"))
            rig.finished(f"resp_{number}", "completed")
        assert served == ["a", "b", "c"]
        assert (rig.busy, rig.counters["creates"]) == (False, 3)

    def test_too_many_waiting_are_dropped_and_counted(self, rig):
        for _ in range(1 + MAX_WAITING + 2):
            rig.create("tool_result")
        assert rig.counters["create_overflow"] == 2

    def test_event_ids_differ(self, rig):
        rig.create("a")
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        rig.create("b")
        assert rig.creates == ["create_1", "create_2"]


class TestTheFloor:
    """What waits while the caller speaks, and what his answer takes in."""

    def test_nothing_is_asked_for_while_he_speaks(self, rig):
        rig.speech_started()
        rig.create("say")
        assert (rig.creates, rig.busy) == ([], True)
        rig.loop.do(rig.floor.stops)
        assert rig.creates == []
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        assert rig.creates == ["create_1"]
        assert rig.counters["safety_fuse"] == 0

    def test_the_last_word_is_said_all_the_same_and_nothing_after_it(self, rig):
        rig.speech_started()
        rig.create("say")
        rig.loop.do(lambda: rig.controller.create("goodbye", firm=True))
        rig.created("resp_1", ours(1))
        assert rig.purpose == "goodbye"
        rig.finished("resp_1", "completed")
        rig.loop.advance(200)
        assert rig.creates == ["create_1"]

    @pytest.mark.parametrize("told", [True, False])
    def test_a_response_takes_in_what_was_told_before_it(self, rig, told):
        rig.speech_started()
        for purpose in ("tool_result", "keys", "continuation", "say"):
            rig.create(purpose)
        rig.loop.do(rig.floor.stops)
        rig.created("resp_1")
        rig.controller.took_in(told=told)
        rig.finished("resp_1", "completed")
        served = []
        while rig.busy:
            served.append(rig.created(f"resp_{len(served) + 2}", ours(len(served) + 1)))
            rig.finished(f"resp_{len(served) + 1}", "completed")
        assert served == (["say"] if told else ["tool_result", "keys", "say"])

    @pytest.mark.parametrize("told", [True, False])
    def test_one_that_overtakes_our_request_takes_it_in(self, rig, told):
        rig.shows_metadata()
        rig.create("tool_result")
        rig.created("resp_1")
        rig.controller.took_in(told=told)
        rig.refused("create_2")
        rig.finished("resp_1", "completed")
        assert len(rig.creates) == (2 if told else 3)

    @pytest.mark.parametrize("waiting", ["turn", "tool_result", "keys"])
    def test_a_turn_is_not_asked_for_where_what_waits_will_answer_it(self, rig, waiting):
        rig.speech_started()
        rig.create(waiting)
        rig.loop.do(rig.floor.stops)
        rig.answer_turn()
        assert (rig.creates, rig.busy) == (["create_1"], True)
        rig.created("resp_1", ours(1))
        rig.finished("resp_1", "completed")
        assert (rig.purpose, rig.busy) == (waiting, False)

    def test_else_it_comes_before_all_that_waits(self, rig):
        rig.speech_started()
        rig.create("say")
        rig.loop.do(rig.floor.stops)
        rig.answer_turn()
        rig.created("resp_1", ours(1))
        assert (rig.purpose, rig.busy) == ("turn", True)

    def test_what_is_only_for_silence_is_not_said_to_one_who_speaks(self, rig):
        rig.create("silence")
        rig.create("filler")
        rig.speech_started()
        assert rig.created("resp_1", ours(1)) is None
        assert rig.kinds[-1] == "response.cancel"
        rig.finished("resp_1", "cancelled")
        assert not rig.busy

    def test_a_lost_line_frees_it(self, rig):
        rig.speech_started()
        rig.create("say")
        rig.suspend()
        assert rig.creates == []
        rig.resume()
        assert rig.creates == ["create_1"]


class TestCreated:
    def test_the_models_own_is_a_turn(self, rig):
        assert rig.created("resp_1") == "turn"
        assert (rig.state, rig.response_id, rig.purpose) == (State.ACTIVE, "resp_1", "turn")

    def test_a_turn_after_ours_is_a_turn(self, rig):
        rig.create("greeting")
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        assert rig.created("resp_2") == "turn"

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_over_one_that_never_ended_ends_that_one(self, rig, cancelled):
        rig.created("resp_1")
        if cancelled:
            rig.cancel()
        assert rig.created("resp_2") == "turn"
        assert (rig.state, rig.response_id) == (State.ACTIVE, "resp_2")
        assert (rig.counters["unannounced_end"], rig.lost) == (1, ["resp_1"])
        assert rig.finished("resp_1", "completed") is False

    def test_over_ours_that_never_ended_does_not_serve_our_purpose_again(self, rig):
        rig.create("greeting")
        rig.created("resp_1")
        assert rig.created("resp_2") == "turn"
        rig.refused("create_1")
        rig.finished("resp_2", "completed")
        assert rig.creates == ["create_1"]


class TestRefused:
    def test_while_requested_it_is_asked_again_after_a_moment(self, rig):
        rig.create("greeting", Wish("Hi", words_only=False))
        rig.refused("create_1")
        assert (rig.state, rig.busy) == (State.IDLE, True)
        rig.loop.advance(RETRY_SECONDS - 0.001)
        assert rig.creates == ["create_1"]
        rig.loop.advance(0.002)
        assert rig.creates == ["create_1", "create_2"]
        assert rig.sent[1]["response"] == {"instructions": "Hi", "metadata": {"fastbridge": "create_2"}}
        assert rig.counters["create_refused"] == 1
        assert rig.created("resp_1") == "greeting"

    def test_before_the_models_own_is_announced(self, rig):
        rig.create("greeting")
        rig.refused("create_1")
        assert rig.created("resp_own") == "turn"
        rig.loop.advance(5)
        assert rig.creates == ["create_1"]
        rig.finished("resp_own", "completed")
        assert rig.creates == ["create_1", "create_2"]
        assert rig.created("resp_ours") == "greeting"

    def test_after_the_models_own_was_announced(self, rig):
        rig.create("greeting")
        rig.created("resp_own")
        rig.refused("create_1")
        assert (rig.state, rig.purpose) == (State.ACTIVE, "turn")
        rig.loop.advance(1)
        assert rig.creates == ["create_1"]
        rig.finished("resp_own", "completed")
        assert rig.created("resp_ours") == "greeting"
        assert len(rig.creates) == 2

    def test_it_keeps_its_place_before_those_that_wait(self, rig):
        rig.create("first")
        rig.create("second")
        rig.created("resp_own")
        rig.refused("create_1")
        rig.finished("resp_own", "completed")
        assert rig.created("resp_1") == "first"

    def test_twice_is_once(self, rig):
        rig.create("greeting")
        rig.created("resp_own")
        rig.refused("create_1")
        rig.refused("create_1")
        rig.finished("resp_own", "completed")
        rig.created("resp_ours")
        rig.finished("resp_ours", "completed")
        assert (len(rig.creates), rig.busy) == (2, False)

    def test_without_an_event_id_it_is_ours_while_we_wait_for_an_answer(self, rig):
        rig.create("greeting")
        rig.refused(None)
        rig.loop.advance(1)
        assert len(rig.creates) == 2
        assert rig.created("resp_1") == "greeting"
        rig.finished("resp_1", "completed")
        assert not rig.busy

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_the_models_own_gets_its_answer_from_us(self, rig, cancelled):
        rig.created("resp_1")
        if cancelled:
            rig.cancel()
        rig.refused(None)
        rig.refused(None)
        assert rig.creates == []
        rig.finished("resp_1", "completed")
        assert rig.creates == ["create_1"]
        assert rig.created("resp_2") == "turn"
        rig.finished("resp_2", "completed")
        assert (rig.busy, rig.counters["create_refused"]) == (False, 2)

    @pytest.mark.parametrize("state", AT_REST)
    def test_the_models_own_is_asked_for_at_once_when_nothing_is_under_way(self, rig, state):
        rig.at(state)
        rig.refused(None)
        assert rig.creates == ["create_1"]

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event_id", ["create_0", "create_2", "mine", ""])
    def test_of_an_event_we_do_not_know_changes_nothing(self, rig, state, event_id):
        before = rig.at(state).creates
        rig.refused(event_id)
        rig.loop.advance(1)
        assert (rig.state, rig.creates) == (state, before)

    def test_of_one_that_has_ended_changes_nothing(self, rig):
        rig.create("greeting")
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        rig.refused("create_1")
        assert (rig.state, rig.busy) == (State.DONE, False)


class TestFinished:
    @pytest.mark.parametrize(
        ("status", "state"),
        [
            ("completed", State.DONE),
            ("cancelled", State.CANCELLED),
            ("failed", State.FAILED),
            ("incomplete", State.FAILED),
            ("what is this", State.FAILED),
        ],
    )
    @pytest.mark.parametrize("cancelled", [False, True])
    def test_ends_it_by_its_status(self, rig, status, state, cancelled):
        rig.created("resp_1")
        if cancelled:
            rig.cancel()
        assert rig.finished("resp_1", status) is True
        assert (rig.state, rig.resting) == (state, True)

    @pytest.mark.parametrize("state", State)
    def test_a_stray_one_changes_nothing(self, rig, state):
        rig.at(state)
        assert rig.finished("resp_unknown", "completed") is False
        assert (rig.state, rig.counters["stray_done"]) == (state, 1)

    def test_a_second_one_is_stray(self, rig):
        rig.create("a")
        rig.create("b")
        rig.created("resp_1")
        rig.finished("resp_1", "completed")
        assert rig.finished("resp_1", "completed") is False
        assert (rig.state, rig.counters["stray_done"]) == (State.REQUESTED, 1)


class TestCancel:
    def test_is_sent_once_by_its_id(self, rig):
        rig.created("resp_1")
        assert rig.cancel() is True
        assert rig.cancel() is False
        assert rig.sent == [{"type": "response.cancel", "response_id": "resp_1"}]
        assert (rig.state, rig.counters["cancels"]) == (State.CANCELLING, 1)

    @pytest.mark.parametrize("state", [*AT_REST, State.CANCELLING])
    def test_without_one_being_generated_is_nothing(self, rig, state):
        before = len(rig.at(state).sent)
        assert rig.cancel() is False
        assert (rig.state, len(rig.sent)) == (state, before)

    def test_each_response_can_be_cancelled(self, rig):
        for number in (1, 2):
            rig.created(f"resp_{number}")
            rig.cancel()
            rig.finished(f"resp_{number}", "cancelled")
        assert [event["response_id"] for event in rig.sent] == ["resp_1", "resp_2"]

    def test_of_one_that_was_only_requested_takes_effect_when_it_begins(self, rig):
        rig.create("greeting")
        assert rig.cancel() is True
        assert (rig.cancel(), rig.kinds) == (False, ["response.create"])
        assert rig.created("resp_1", ours(1)) is None
        assert rig.sent[1:] == [{"type": "response.cancel", "response_id": "resp_1"}]
        assert (rig.state, rig.counters["cancels"], rig.counters["late_created"]) == (State.CANCELLING, 1, 1)
        assert rig.finished("resp_1", "cancelled") is True
        assert (rig.state, rig.busy) == (State.CANCELLED, False)

    def test_of_a_request_spares_the_models_own_that_comes_first(self, rig):
        rig.shows_metadata()
        rig.create("tool_result")
        rig.cancel()
        assert rig.created("resp_own") == "turn"
        rig.refused("create_2")
        rig.finished("resp_own", "completed")
        assert (rig.busy, rig.failed) == (False, [])

    def test_of_a_request_that_is_refused_then_or_rejected_is_all_there_was(self, rig):
        for answer in (lambda: rig.refused("create_1"), lambda: rig.rejected("create_2", "server_error")):
            rig.create("greeting")
            rig.cancel()
            answer()
            rig.loop.advance(10)
        assert (rig.busy, rig.failed, len(rig.creates)) == (False, [], 2)

    def test_the_next_one_is_wanted_again(self, rig):
        rig.create("greeting")
        rig.cancel()
        rig.created("resp_1", ours(1))
        rig.create("tool_result")
        rig.finished("resp_1", "cancelled")
        assert rig.created("resp_2", ours(2)) == "tool_result"


class TestDeadlines:
    def test_a_request_without_an_answer_fails_and_the_next_gets_its_turn(self, rig):
        rig.create("first")
        rig.create("second")
        rig.loop.advance(4.999)
        assert rig.state is State.REQUESTED
        assert rig.creates == ["create_1"]
        rig.loop.advance(0.002)
        assert rig.creates == ["create_1", "create_2"]
        assert (rig.counters["creates_unanswered"], rig.counters["safety_fuse"]) == (1, 0)
        assert rig.created("resp_1") == "second"

    def test_a_request_without_an_answer_fails_and_rests(self, rig):
        rig.create("first")
        rig.loop.advance(60)
        assert (rig.state, rig.busy, rig.lost) == (State.FAILED, False, [])
        assert rig.failed == [("first", "unanswered")]
        assert rig.created("resp_late") == "turn"

    def test_active_without_progress_is_cancelled_then_given_up(self, rig):
        rig.created("resp_1")
        rig.loop.advance(8.001)
        assert rig.sent == [{"type": "response.cancel", "response_id": "resp_1"}]
        assert (rig.state, rig.lost, rig.stuck) == (State.CANCELLING, [], [("resp_1", "turn")])
        rig.loop.advance(3)
        assert (rig.state, rig.lost) == (State.FAILED, ["resp_1"])
        assert (rig.counters["stuck"], rig.counters["cancels_unanswered"], rig.counters["safety_fuse"]) == (1, 1, 0)
        rig.loop.advance(60)
        assert len(rig.sent) == 1

    def test_progress_arms_the_deadline_again(self, rig):
        rig.created("resp_1")
        for _ in range(10):
            rig.loop.advance(7)
            rig.headway += 1
        assert (rig.state, rig.counters["stuck"], rig.sent) == (State.ACTIVE, 0, [])
        rig.loop.advance(7.9)
        assert rig.state is State.ACTIVE
        rig.loop.advance(1.1)
        assert (rig.state, rig.counters["stuck"]) == (State.CANCELLING, 1)

    def test_progress_does_not_help_one_that_was_cancelled(self, rig):
        rig.created("resp_1")
        rig.cancel()
        rig.headway += 1
        rig.loop.advance(3.001)
        assert (rig.state, rig.counters["cancels_unanswered"], rig.lost) == (State.FAILED, 1, ["resp_1"])

    def test_after_giving_up_the_next_gets_its_turn(self, rig):
        rig.created("resp_1")
        rig.create("tool_result")
        rig.loop.advance(11.001)
        assert rig.kinds == ["response.cancel", "response.create"]
        assert rig.finished("resp_1", "cancelled") is False
        assert rig.created("resp_2") == "tool_result"

    def test_a_conversation_in_time_blows_no_fuse(self, rig):
        for number in range(5):
            rig.create("tool_result")
            rig.loop.advance(4.9)
            rig.created(f"resp_{number}")
            rig.loop.advance(7.9)
            rig.cancel()
            rig.loop.advance(2.9)
            rig.finished(f"resp_{number}", "cancelled")
            rig.loop.advance(100)
        assert rig.counters["safety_fuse"] == 0


class TestClose:
    @pytest.mark.parametrize("state", State)
    def test_nothing_is_sent_any_more(self, rig, state):
        rig.at(state)
        rig.create("tool_result")
        before = len(rig.sent)
        rig.close()
        rig.loop.advance(60)
        assert (len(rig.sent), rig.loop.pending_timers()) == (before, [])

    def test_a_retry_is_forgotten(self, rig):
        rig.create("greeting")
        rig.refused("create_1")
        rig.close()
        rig.loop.advance(60)
        assert rig.creates == ["create_1"]
