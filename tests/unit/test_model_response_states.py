"""fastbridge.model.response_states: every row of the table, and every row that is not there."""

import pytest

from controller import AT_REST
from fastbridge.errors import IllegalEvent
from fastbridge.model.response_states import DEADLINES_SECONDS, TRANSITIONS, Event, State

UNDER_WAY = [State.REQUESTED, State.ACTIVE, State.CANCELLING]

ROWS = {
    (State.REQUESTED, Event.CREATED): State.ACTIVE,
    (State.REQUESTED, Event.REFUSED): State.IDLE,
    (State.REQUESTED, Event.REJECTED): State.FAILED,
    (State.REQUESTED, Event.EXPIRED): State.FAILED,
    (State.ACTIVE, Event.CANCEL): State.CANCELLING,
    (State.ACTIVE, Event.COMPLETED): State.DONE,
    (State.ACTIVE, Event.WAS_CANCELLED): State.CANCELLED,
    (State.ACTIVE, Event.WAS_FAILED): State.FAILED,
    (State.ACTIVE, Event.EXPIRED): State.CANCELLING,
    (State.CANCELLING, Event.COMPLETED): State.DONE,
    (State.CANCELLING, Event.WAS_CANCELLED): State.CANCELLED,
    (State.CANCELLING, Event.WAS_FAILED): State.FAILED,
    (State.CANCELLING, Event.EXPIRED): State.FAILED,
    **{(state, Event.LINK_LOST): State.FAILED for state in UNDER_WAY},
    **{(state, Event.CREATE): State.REQUESTED for state in AT_REST},
    **{(state, Event.CREATED): State.ACTIVE for state in AT_REST},
}


@pytest.fixture
def rig(controller):
    return controller


class TestTable:
    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event", Event)
    def test_every_row_and_every_missing_row(self, rig, state, event):
        rig.at(state)
        if (state, event) in ROWS:
            rig._to(event)
            assert rig.state is ROWS[state, event]
        else:
            with pytest.raises(IllegalEvent, match=f"{event} in state {state}"):
                rig._to(event)
            assert rig.state is state

    def test_the_table_has_these_rows_and_no_others(self):
        assert {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()} == ROWS
        assert set(TRANSITIONS) == set(State)

    @pytest.mark.parametrize("state", State)
    def test_what_is_not_at_rest_has_a_deadline_and_a_way_out_of_it(self, rig, state):
        rig.at(state)
        assert rig.resting is (state in AT_REST)
        assert (state in DEADLINES_SECONDS) is (state in UNDER_WAY) is (Event.EXPIRED in TRANSITIONS[state])
        assert len(rig.loop.pending_timers()) == (state in UNDER_WAY)
