"""model.realtime.function_calls: a call is run when it is whole, once, and never when its response was refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.errors import IllegalEvent
from fastbridge.model.realtime import function_calls as module
from fastbridge.model.realtime.function_calls import CUT_OFF, TAKEN_BACK, Event, FunctionCall, FunctionCalls, State

ARGUMENTS = '{"day":"x"}'


def item(status=None, **changes):
    given = {"id": "item_1", "type": "function_call", "name": "hours", "call_id": "call_0", **changes}
    return given if status is None else {"arguments": ARGUMENTS, **given, "status": status}


def arguments_done(response_id="resp_1", **changes):
    return {"response_id": response_id, "item_id": "item_1", "call_id": "call_0", "arguments": ARGUMENTS, **changes}


def told(decided):
    return [(call.call_id, call.name, call.arguments, call.state, call.why) for call in decided]


RUN = [("call_0", "hours", ARGUMENTS, State.WHOLE, "")]


@pytest.fixture
def calls():
    return FunctionCalls()


class TestWhole:
    def test_when_its_item_is_complete(self, calls):
        calls.begun("resp_1", item())
        assert calls.arguments_done(arguments_done()) == []
        assert told(calls.item_done("resp_1", item("completed"))) == RUN

    @pytest.mark.parametrize("status", ["", None, "in_progress"])
    def test_or_has_no_status_of_its_own(self, calls, status):
        assert told(calls.item_done("resp_1", {**item("completed"), "status": status})) == RUN

    def test_or_when_its_response_is(self, calls):
        """Servers that say nothing of items."""
        calls.begun("resp_1", item())
        calls.arguments_done(arguments_done(item_id=None))
        assert told(calls.response_ended("resp_1", "completed", [])) == RUN

    def test_as_the_response_sums_it_up(self, calls):
        assert told(calls.response_ended("resp_1", "completed", [{"type": "message"}, None, item("completed")])) == RUN

    def test_as_it_comes_after_its_response(self, calls):
        calls.begun("resp_1", item())
        assert calls.response_ended("resp_1", "completed") == []
        assert told(calls.arguments_done(arguments_done())) == RUN

    def test_with_the_name_of_the_event(self, calls):
        calls.arguments_done(arguments_done(name="hours", item_id=None))
        assert told(calls.response_ended("resp_1", "completed")) == RUN

    @pytest.mark.parametrize(
        ("arguments", "expected"), [(None, ""), ("", ""), ({"day": "x"}, '{"day": "x"}'), ([], "[]")]
    )
    def test_whatever_its_arguments_are(self, calls, arguments, expected):
        (call,) = calls.item_done("resp_1", item("completed", arguments=arguments))
        assert call.arguments == expected


class TestBroken:
    def test_when_its_item_is_incomplete(self, calls):
        """As the service ends a response that was cancelled."""
        calls.begun("resp_1", item())
        assert calls.arguments_done(arguments_done(arguments="")) == []
        assert told(calls.item_done("resp_1", item("incomplete", arguments=""))) == [
            ("call_0", "hours", "", State.BROKEN, CUT_OFF)
        ]

    @pytest.mark.parametrize("status", ["incomplete", "cancelled", "failed", "lost"])
    @pytest.mark.parametrize("summed_up", [True, False])
    def test_when_its_response_is(self, calls, status, summed_up):
        calls.begun("resp_1", item())
        calls.arguments_done(arguments_done())
        (call,) = calls.response_ended("resp_1", status, [item()] if summed_up else None)
        assert call.why == CUT_OFF

    def test_when_its_response_was_refused_before_it_was_whole(self, calls):
        calls.begun("resp_1", item())
        calls.arguments_done(arguments_done())
        calls.refuse("resp_1")
        (call,) = calls.item_done("resp_1", item("completed"))
        assert (call.state, call.why) == (State.BROKEN, TAKEN_BACK)

    def test_not_when_it_was_refused_after_that(self, calls):
        assert told(calls.item_done("resp_1", item("completed"))) == RUN
        calls.refuse("resp_1")
        assert calls.response_ended("resp_1", "cancelled", [item("completed")]) == []

    def test_without_a_call_id_nobody_is_told(self, calls):
        assert calls.item_done("resp_1", item("incomplete", call_id=None)) == []


class TestOnce:
    EVENTS = ("begun", "arguments", "item", "ended")

    @pytest.mark.parametrize("order", list(itertools.permutations(EVENTS * 2, 6))[::97])
    def test_in_whatever_order_and_however_often(self, calls, order):
        verbs = {
            "begun": lambda: calls.begun("resp_1", item()) or [],
            "arguments": lambda: calls.arguments_done(arguments_done()),
            "item": lambda: calls.item_done("resp_1", item("completed")),
            "ended": lambda: calls.response_ended("resp_1", "completed", [item("completed")]),
        }
        decided = [call for event in order for call in verbs[event]()]
        assert told(decided) == (RUN if {"item", "ended"} & set(order) else [])

    def test_the_same_id_in_each_response_is_another_call(self, calls):
        for number in range(5):
            assert told(calls.item_done(f"resp_{number}", item("completed"))) == RUN

    def test_the_same_id_twice_in_one_response_too(self, calls):
        for number in range(3):
            calls.begun("resp_1", item(id=f"item_{number}"))
        for number in range(3):
            assert told(calls.item_done("resp_1", item("completed", id=f"item_{number}"))) == RUN

    def test_another_session_knows_nothing_of_it(self, calls):
        calls.refuse("resp_1")
        calls.begun("resp_1", item())
        calls.response_ended("resp_2", "completed")
        calls.forget()
        assert calls.response_ended("resp_1", "cancelled") == []
        calls.forget()
        assert told(calls.item_done("resp_1", item("completed"))) == RUN

    def test_what_is_kept_is_bounded(self, calls):
        for number in range(3 * module.MAX_OPEN):
            calls.begun(f"resp_{number}", item())
            calls.refuse(f"resp_{number}")
        assert len(calls._open) == module.MAX_OPEN
        assert len(calls._refused) == module.MAX_REMEMBERED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begun", "arguments", "item", "ended", "refuse"]),
            st.sampled_from(["resp_1", "resp_2"]),
            st.dictionaries(
                st.sampled_from(["id", "item_id", "call_id", "name", "arguments", "status", "type"]),
                st.none() | st.integers() | st.sampled_from(["function_call", "completed", "incomplete", "a", "b", ""]),
            ),
        ),
        max_size=12,
    )
)
def test_whatever_comes_nothing_raises_and_nothing_of_a_refused_response_is_run(events):
    calls, refused, seen = FunctionCalls(), set(), set()
    for kind, response_id, fields in events:
        if kind == "begun":
            decided = calls.begun(response_id, fields) or []
        elif kind == "arguments":
            decided = calls.arguments_done({**fields, "response_id": response_id})
        elif kind == "item":
            decided = calls.item_done(response_id, fields)
        elif kind == "ended":
            decided = calls.response_ended(response_id, str(fields.get("status")), [fields])
        else:
            decided = calls.refuse(response_id) or []
            refused.add(response_id)
        for call in decided:
            assert call.state is (State.BROKEN if call.why else State.WHOLE)
            assert call.state is State.BROKEN or call.response_id not in refused
            assert id(call) not in seen
            seen.add(id(call))


def test_what_has_no_row_is_a_bug_of_ours():
    call = FunctionCall("resp_1")
    call.to(Event.COMPLETE)
    with pytest.raises(IllegalEvent, match="function call: break_off in state whole"):
        call.to(Event.BREAK_OFF)


def test_of_what_is_past_so_much_is_remembered(calls):
    for number in range(module.MAX_REMEMBERED + 5):
        made = item("completed", id=f"item_{number}", call_id=f"call_{number}")
        assert len(calls.item_done(f"resp_{number}", made)) == 1
        calls.response_ended(f"resp_{number}", "completed")
        calls.refuse(f"resp_refused_{number}")
    assert {len(known) for known in (calls._decided, calls._ended, calls._refused)} == {module.MAX_REMEMBERED}
