"""fastbridge.model.floor: the table row by row, its deadlines, and that it is freed once."""

import pytest

from fastbridge.errors import IllegalEvent
from fastbridge.model.floor import DEADLINES_SECONDS, TRANSITIONS, Event, Floor, State
from virtual import VirtualLoop

ROWS = {
    (State.FREE, Event.SPEAKS): State.CALLER,
    (State.FREE, Event.STOPS): State.FREE,
    (State.FREE, Event.ANSWERED): State.FREE,
    (State.FREE, Event.LINE_LOST): State.FREE,
    (State.CALLER, Event.SPEAKS): State.CALLER,
    (State.CALLER, Event.STOPS): State.ANSWER_DUE,
    (State.CALLER, Event.ANSWERED): State.CALLER,
    (State.CALLER, Event.EXPIRED): State.FREE,
    (State.CALLER, Event.LINE_LOST): State.FREE,
    (State.ANSWER_DUE, Event.SPEAKS): State.CALLER,
    (State.ANSWER_DUE, Event.STOPS): State.ANSWER_DUE,
    (State.ANSWER_DUE, Event.ANSWERED): State.FREE,
    (State.ANSWER_DUE, Event.EXPIRED): State.FREE,
    (State.ANSWER_DUE, Event.LINE_LOST): State.FREE,
}


class FloorRig:
    def __init__(self):
        self.loop = VirtualLoop()
        self.freed = 0
        self.floor = Floor(self.loop.clock, self._freed)

    def _freed(self):
        assert self.floor.is_ours
        self.freed += 1

    def at(self, state):
        for verb in {State.FREE: (), State.CALLER: ("speaks",), State.ANSWER_DUE: ("speaks", "stops")}[state]:
            self.do(verb)
        assert self.floor.state is state
        return self

    def do(self, verb):
        self.loop.do(getattr(self.floor, verb))


@pytest.fixture
def rig():
    rig = FloorRig()
    yield rig
    rig.floor.close()
    assert (rig.loop.pending_timers(), rig.loop.failures) == ([], [])
    rig.loop.close()


def test_the_table_has_these_rows_and_no_others():
    assert {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()} == ROWS


@pytest.mark.parametrize("state", State)
def test_what_is_not_ours_has_a_deadline(rig, state):
    rig.at(state)
    assert rig.floor.is_ours is (state is State.FREE)
    assert len(rig.loop.pending_timers()) == (state in DEADLINES_SECONDS) == (not rig.floor.is_ours)


@pytest.mark.parametrize("state", [State.CALLER, State.ANSWER_DUE])
def test_the_deadline_frees_it_once(rig, state):
    rig.at(state)
    rig.loop.advance(DEADLINES_SECONDS[state] - 0.1)
    assert (rig.floor.state, rig.freed) == (state, 0)
    rig.loop.advance(200)
    assert (rig.floor.state, rig.freed) == (State.FREE, 1)


@pytest.mark.parametrize(
    ("verbs", "freed"),
    [
        (("speaks", "stops", "answered"), 1),
        (("speaks", "answered", "stops"), 0),
        (("speaks", "stops", "speaks", "answered"), 0),
        (("speaks", "line_lost"), 1),
        (("answered", "stops", "line_lost"), 0),
        (("speaks", "stops", "answered", "speaks", "stops", "answered"), 2),
    ],
)
def test_who_waits_is_told_each_time_it_becomes_ours(rig, verbs, freed):
    for verb in verbs:
        rig.do(verb)
    assert rig.freed == freed


def test_what_has_no_row_is_a_bug_of_ours(rig):
    with pytest.raises(IllegalEvent, match="Floor: expired in state free"):
        rig.floor._expired()
