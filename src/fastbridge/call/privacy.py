"""Privacy: what the caller says and types is for the agent's code alone, from when it is asked for until it is over.

At once, before anything is asked of the carrier: the model gets silence for his voice, and no transcript, record or log
has what is said. Whoever asked is told that it is private when the carrier's recording is quiet, too, or that it is
not. When the last one has left, the model is told that it is over; what the caller says stays unheard for TAIL_SECONDS
more, since the line brings late what was said before. A deadline ends what nobody leaves.
"""

from collections.abc import Callable
from enum import StrEnum

from fastbridge._caller import CallerLane
from fastbridge.base.clock import Clock
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import PrivacyAsked, PrivacyOver
from fastbridge.model.instructions import PRIVATE, PRIVATE_OVER
from fastbridge.model.port import Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats

ASK_SECONDS = 6.0
"""For the carrier to pause its recording."""
TAIL_SECONDS = 0.5
"""The tone of the last key, and what the network still brings."""

Answer = Callable[[bool], object]


class State(StrEnum):
    OPEN = "open"
    ASKED = "asked"
    PRIVATE = "private"
    LEAVING = "leaving"
    OVER = "over"


class Event(StrEnum):
    ENTER = "enter"
    QUIET = "quiet"
    LEAVE = "leave"
    EXPIRED = "expired"
    CLOSE = "close"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OPEN: {Event.ENTER: State.ASKED, Event.CLOSE: State.OVER},
    State.ASKED: {Event.QUIET: State.PRIVATE, Event.LEAVE: State.LEAVING, Event.CLOSE: State.OVER},
    State.PRIVATE: {Event.LEAVE: State.LEAVING, Event.CLOSE: State.OVER},
    State.LEAVING: {Event.ENTER: State.ASKED, Event.EXPIRED: State.OPEN, Event.CLOSE: State.OVER},
    State.OVER: {},
}
DEADLINES_SECONDS = {State.ASKED: ASK_SECONDS, State.LEAVING: TAIL_SECONDS}


class Privacy(Machine[State, Event]):
    """One call's."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self, *, clock: Clock, caller: CallerLane, session: Model, stats: CallStats, log: CallLog, tell: Tell
    ) -> None:
        super().__init__(clock, State.OPEN)
        self._clock = clock
        self._caller = caller
        self._session = session
        self._stats = stats
        self._log = log
        self._tell = tell
        self._tickets: set[object] = set()
        self._answers: list[Answer] = []
        self._until_ns = 0
        self._began_ns = 0

    @property
    def on(self) -> bool:
        return self.state in (State.ASKED, State.PRIVATE, State.LEAVING)

    def enter(self, ticket: object, seconds: float, answer: Answer) -> None:
        """seconds: at most. answer(whether it is private): once, at the call's end at the latest."""
        if self.state is State.OVER:
            answer(True)
            return
        self._tickets.add(ticket)
        self._until_ns = max(self._until_ns, self._clock.now_ns() + round(seconds * 1e9))
        if self.state is State.PRIVATE:
            self._state_deadline.set((self._until_ns - self._clock.now_ns()) / 1e9)
            answer(True)
            return
        self._answers.append(answer)
        if self.state is State.OPEN:
            self._begin()
        if self.state is not State.ASKED:
            self._to(Event.ENTER)
            self._session.history.private = True
            self._session.note("system", PRIVATE)
            self._tell(PrivacyAsked())

    def leave(self, ticket: object) -> None:
        """Whoever holds this ticket wants it no more."""
        if ticket in self._tickets:
            self._tickets.discard(ticket)
            if not self._tickets:
                self._leave()

    def hushed(self, quiet: bool) -> None:
        """The carrier's recording has paused, or has not."""
        if self.state is not State.ASKED:
            return
        if not quiet:
            self._refuse("the carrier did not pause its recording")
            return
        self._to(Event.QUIET)
        self._state_deadline.set((self._until_ns - self._clock.now_ns()) / 1e9)
        self._settle(True)

    def line_up(self) -> None:
        """Another session does not know."""
        if self.on and self.state is not State.LEAVING:
            self._session.note("system", PRIVATE)

    def close(self) -> None:
        """The call is over: what was private stays so."""
        if self.on:
            self._count()
        self._to(Event.CLOSE)
        self._tickets.clear()
        self._settle(True)

    def _begin(self) -> None:
        self._began_ns = self._clock.now_ns()
        self._stats.private_stretches += 1
        self._log.private = True
        self._caller.conceal()
        events.private_began(self._log)

    def _expired(self) -> None:
        if self.state is State.ASKED:
            self._refuse("the carrier did not answer in time")
        elif self.state is State.PRIVATE:
            events.private_forgotten(self._log)
            self._tickets.clear()
            self._leave()
        else:
            self._end()

    def _refuse(self, why: str) -> None:
        events.not_private(self._log, why)
        self._tickets.clear()
        self._leave(well=False)

    def _leave(self, *, well: bool = True) -> None:
        self._until_ns = 0
        self._to(Event.LEAVE)
        self._session.history.private = False
        self._session.note("system", PRIVATE_OVER)
        self._settle(well)

    def _end(self) -> None:
        self._to(Event.EXPIRED)
        private_ms = self._count()
        self._log.private = False
        self._caller.reveal()
        self._tell(PrivacyOver())
        events.private_over(self._log, private_ms)

    def _count(self) -> int:
        private_ms = self._clock.elapsed_ms(self._began_ns)
        self._stats.private_ms += private_ms
        return private_ms

    def _settle(self, private: bool) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            answer(private)
