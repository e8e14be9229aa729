"""Whose turn it is to speak: nobody of ours begins a response in the middle of the caller's sentence.

While the caller has the floor, and until his turn has its answer, what the node itself would have the model say waits.
The model answers a turn on its own; only where it does not is the floor ours again. This file decides nothing else, and
what is said over the caller (a line that is given up) does not ask it.
"""

from collections.abc import Callable
from enum import StrEnum

from fastbridge.base.clock import Clock
from fastbridge.base.machine import Machine


class State(StrEnum):
    FREE = "free"
    CALLER = "caller"
    ANSWER_DUE = "answer_due"


class Event(StrEnum):
    SPEAKS = "speaks"
    STOPS = "stops"
    ANSWERED = "answered"
    EXPIRED = "expired"
    LINE_LOST = "line_lost"


_FREED = {Event.LINE_LOST: State.FREE, Event.EXPIRED: State.FREE}
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.FREE: {
        Event.SPEAKS: State.CALLER,
        Event.STOPS: State.FREE,
        Event.ANSWERED: State.FREE,
        Event.LINE_LOST: State.FREE,
    },
    State.CALLER: {
        Event.SPEAKS: State.CALLER,
        Event.STOPS: State.ANSWER_DUE,
        Event.ANSWERED: State.CALLER,  # an answer to what he said before he went on
        **_FREED,
    },
    State.ANSWER_DUE: {
        Event.SPEAKS: State.CALLER,
        Event.STOPS: State.ANSWER_DUE,
        Event.ANSWERED: State.FREE,
        **_FREED,
    },
}

DEADLINES_SECONDS = {State.CALLER: 60.0, State.ANSWER_DUE: 4.0}
"""Speech that lasts so long is none: its end was lost, or it is a noise. An answer is asked for long before that."""


class Floor(Machine[State, Event]):
    """freed(): what has waited may be said."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(self, clock: Clock, freed: Callable[[], object]) -> None:
        super().__init__(clock, State.FREE)
        self._freed = freed

    @property
    def is_ours(self) -> bool:
        return self.state is State.FREE

    def speaks(self) -> None:
        """The caller has begun to speak."""
        self._to(Event.SPEAKS)

    def stops(self) -> None:
        """The caller has stopped, and is owed an answer."""
        self._to(Event.STOPS)

    def settle(self) -> None:
        """Whatever he says, or has said, is to have no answer."""
        self._to(Event.STOPS)
        self._to(Event.ANSWERED)

    def answered(self) -> None:
        """A response to the caller's turn has begun, or is being asked for."""
        self._to(Event.ANSWERED)

    def line_lost(self) -> None:
        """Nobody hears the caller any more; the next session will say anew."""
        self._to(Event.LINE_LOST)

    def close(self) -> None:
        self._state_deadline.clear()

    def _expired(self) -> None:
        self._to(Event.EXPIRED)

    def _to(self, event: Event) -> None:
        before = self.state
        super()._to(event)
        if before is not State.FREE and self.state is State.FREE:
            self._freed()
