"""A state machine that is a table: where each event leads from each state, and how long a state may last."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from fastbridge.base.clock import Clock, Deadline
from fastbridge.errors import IllegalEvent

StateT = TypeVar("StateT")
EventT = TypeVar("EventT")


def step(machine: str, transitions: Mapping[Any, Mapping[Any, Any]], state: Any, event: Any) -> Any:
    """The state that the event leads to; IllegalEvent, with the machine's name, for what the table does not have."""
    row = transitions[state]
    if event not in row:
        raise IllegalEvent(f"{machine}: {event} in state {state}")
    return row[event]


class Machine(Generic[StateT, EventT]):
    """To be inherited. transitions: {state: {event: state}}. deadlines_seconds: states that end by themselves, in
    `_expired`. IllegalEvent for what the table does not have."""

    transitions: ClassVar[Mapping[Any, Mapping[Any, Any]]]
    deadlines_seconds: ClassVar[Mapping[Any, float]] = {}

    def __init__(self, clock: Clock, state: StateT) -> None:
        self.state = state
        self._state_deadline = Deadline(clock, self._expired)

    def _to(self, event: EventT) -> None:
        self.state = step(type(self).__name__, self.transitions, self.state, event)
        self._state_deadline.clear()
        if self.state in self.deadlines_seconds:
            self._state_deadline.set(self.deadlines_seconds[self.state])

    def _expired(self) -> None:
        """The state has outlived its deadline."""
