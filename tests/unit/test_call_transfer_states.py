"""call.transfer_states: every state ends, by itself if nothing else, and where it can end is said."""

import pytest

from fastbridge.call.transfer_states import (
    DEADLINES_SECONDS,
    OUTCOMES,
    TRANSITIONS,
    Event,
    State,
    outcome_of,
)

FINAL = {State.CONNECTED, State.RETURNED, State.GONE, State.LOST}


def test_each_state_has_its_row():
    assert set(TRANSITIONS) == set(State)
    assert {state for state, row in TRANSITIONS.items() if not row} == FINAL


def test_each_that_is_not_final_has_a_deadline_and_where_it_leads():
    assert set(DEADLINES_SECONDS) == set(State) - FINAL
    assert all(Event.EXPIRED in TRANSITIONS[state] for state in DEADLINES_SECONDS)


def test_by_deadlines_alone_each_comes_to_an_end():
    for state in State:
        steps = 0
        while TRANSITIONS[state]:
            state, steps = TRANSITIONS[state][Event.EXPIRED], steps + 1
            assert steps < len(State)
        assert state in FINAL


def test_each_is_reached():
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(State) - {State.PLACING}


def test_the_human_waits_no_longer_for_an_answer_than_twilio_does():
    assert DEADLINES_SECONDS[State.MOVING] + DEADLINES_SECONDS[State.LEAVING] < 15 - 2


@pytest.mark.parametrize("state", sorted(FINAL))
def test_every_way_to_an_end_has_an_outcome(state):
    for before, row in TRANSITIONS.items():
        for event, after in row.items():
            if after is state:
                assert outcome_of(state, before, event) in OUTCOMES


@pytest.mark.parametrize(
    ("before", "event", "outcome"),
    [
        (State.RINGING, Event.EXPIRED, "no_answer"),
        (State.FINDING, Event.EXPIRED, "failed"),
        (State.MOVING, Event.EXPIRED, "failed"),
        (State.ALONE, Event.EXPIRED, "failed"),
        (State.PLACING, Event.REFUSED, "failed"),
        (State.MOVING, Event.NOT_MOVED, "failed"),
        (State.RINGING, Event.WITHDRAWN, "withdrawn"),
        (State.BRIEFING, Event.DECLINED, "declined"),
    ],
)
def test_what_it_comes_to(before, event, outcome):
    assert outcome_of(State.RETURNED, before, event) == outcome
