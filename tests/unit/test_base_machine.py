"""base.machine: what the table has leads on, what it has not is an error, no state outlives its deadline."""

from enum import StrEnum

import pytest

from fastbridge.base.machine import Machine
from fastbridge.errors import IllegalEvent
from virtual import VirtualLoop


class State(StrEnum):
    SHUT = "shut"
    OPEN = "open"


class Event(StrEnum):
    PUSH = "push"
    PULL = "pull"


TRANSITIONS = {State.SHUT: {Event.PUSH: State.OPEN}, State.OPEN: {Event.PULL: State.SHUT, Event.PUSH: State.OPEN}}
DEADLINES_SECONDS = {State.OPEN: 2.0}
NONE: dict[State, float] = {}


class Door(Machine[State, Event]):
    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop.clock, State.SHUT)
        self._loop = loop
        self.expired_at: list[float] = []

    def tell(self, event: Event) -> None:
        self._loop.do(self._to, event)

    def _expired(self) -> None:
        self.expired_at.append(round(self._loop.time(), 3))


class Drawer(Door):
    deadlines_seconds = NONE


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_an_event_leads_where_the_table_says(loop):
    door = Door(loop)
    assert door.state is State.SHUT
    door.tell(Event.PUSH)
    assert door.state is State.OPEN
    door.tell(Event.PULL)
    assert door.state is State.SHUT


def test_what_the_table_has_not_is_an_error_and_changes_nothing(loop):
    door = Door(loop)
    with pytest.raises(IllegalEvent, match="Door: pull in state shut"):
        door.tell(Event.PULL)
    assert door.state is State.SHUT


def test_a_state_ends_at_its_deadline_which_begins_anew_with_each_event(loop):
    door = Door(loop)
    began = loop.time()
    door.tell(Event.PUSH)
    loop.advance(1.5)
    door.tell(Event.PUSH)
    loop.advance(1.9)
    assert door.expired_at == []
    loop.advance(0.2)
    assert door.expired_at == [round(began + 3.5, 3)]


def test_one_that_was_left_in_time_does_not(loop):
    door = Door(loop)
    door.tell(Event.PUSH)
    loop.advance(1)
    door.tell(Event.PULL)
    loop.advance(10)
    assert door.expired_at == []
    assert loop.pending_timers() == []


def test_nor_one_without_a_deadline(loop):
    drawer = Drawer(loop)
    drawer.tell(Event.PUSH)
    loop.advance(10)
    assert drawer.expired_at == []
