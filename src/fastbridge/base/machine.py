"""A state machine that is a table: where each event leads from each state, and how long a state may last."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from fastbridge.base.clock import Clock, Deadline
from fastbridge.errors import IllegalEvent

StateT = TypeVar("StateT")
EventT = TypeVar("EventT")


class Machine(Generic[StateT, EventT]):
    """To be inherited. transitions: {state: {event: state}}. deadlines_seconds: states that end by themselves, in
    `_expired`. IllegalEvent for what the table does not have."""

    transitions: ClassVar[Mapping[Any, Mapping[Any, Any]]]
    deadlines_seconds: ClassVar[Mapping[Any, float]] = {}

    def __init__(self, clock: Clock, state: StateT) -> None:
        self.state = state
        self._state_deadline = Deadline(clock, self._expired)

    def _to(self, event: EventT) -> None:
        row = self.transitions[self.state]
        if event not in row:
            raise IllegalEvent(f"{type(self).__name__}: {event} in state {self.state}")
        self.state = row[event]
        self._state_deadline.clear()
        if self.state in self.deadlines_seconds:
            self._state_deadline.set(self.deadlines_seconds[self.state])

    def _expired(self) -> None:
        """The state has outlived its deadline."""
