"""How the assistant leaves a call: when everything it said was heard, once, and not while the caller speaks.

One departure at a time: whoever asks first is served, be it a hang-up or a transfer. A caller who interrupts takes it
back, unless the errand is firm. Every state that is not final has a deadline: nobody is kept on a line for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fastbridge.base.clock import Clock, Deadline
from fastbridge.errors import IllegalEvent

CHECK_SECONDS = 0.1
TAIL_SECONDS = 0.3
"""Quiet after the last word: the network still plays what our clock takes for heard."""
WAIT_SECONDS = 30.0
ACT_SECONDS = 8.0


class State(StrEnum):
    STAYING = "staying"
    ASKED = "asked"
    LEAVING = "leaving"
    GONE = "gone"


class Event(StrEnum):
    ASK = "ask"
    HEARD = "heard"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"
    REFUSED = "refused"
    DONE = "done"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.STAYING: {Event.ASK: State.ASKED},
    State.ASKED: {Event.HEARD: State.LEAVING, Event.EXPIRED: State.LEAVING, Event.INTERRUPTED: State.STAYING},
    State.LEAVING: {Event.DONE: State.GONE, Event.REFUSED: State.STAYING, Event.EXPIRED: State.STAYING},
    State.GONE: {},
}
DEADLINES_SECONDS = {State.ASKED: WAIT_SECONDS, State.LEAVING: ACT_SECONDS}


@dataclass(frozen=True)
class Errand:
    """One way to leave. act(): do it; True if it is done. reason: the call's end reason then. firm: the line is
    hopeless: nothing that is heard on it takes it back, or delays it. wait_seconds: for the last word to be heard.
    to: who has the call then, by name."""

    name: str
    reason: str
    act: Callable[[], Coroutine[Any, Any, bool]]
    firm: bool = False
    wait_seconds: float = WAIT_SECONDS
    to: str = ""


class Moment(Protocol):
    """What a departure asks of its call: see `facts`."""

    @property
    def quiet(self) -> bool: ...
    @property
    def caller_speaks(self) -> bool: ...


class Stage(Protocol):
    """Whom it tells."""

    def departed(self, errand: Errand) -> None:
        """It is done: the call is over."""

    def stayed(self, errand: Errand, why: str) -> None:
        """It is not done (`refused`), or was taken back (`interrupted`)."""


class Departure:
    """spawn(coroutine): a task beside the audio."""

    def __init__(
        self,
        stage: Stage,
        facts: Moment,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        self.state = State.STAYING
        self.errand: Errand | None = None
        self._stage = stage
        self._facts = facts
        self._clock = clock
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self._quiet_ns: int | None = None
        self._outcome: asyncio.Future[bool] | None = None
        self._deadline = Deadline(clock, self._expired)
        self._check = Deadline(clock, self._look)

    @property
    def asked(self) -> bool:
        """Under way: nothing new should be begun."""
        return self.state in (State.ASKED, State.LEAVING)

    @property
    def firm(self) -> bool:
        """Under way, and nothing takes it back."""
        return self.asked and self.errand is not None and self.errand.firm

    @property
    def reason(self) -> str | None:
        """The end reason of a call that ends while we leave it, whoever was faster."""
        return self.errand.reason if self.errand is not None and self.state is State.LEAVING else None

    def ask(self, errand: Errand) -> "asyncio.Future[bool]":
        """Leave, on this errand, when all was heard. The future: whether it came to that; False at once if another
        departure is under way."""
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.state is not State.STAYING:
            outcome.set_result(False)
            return outcome
        self.errand, self._outcome, self._quiet_ns = errand, outcome, None
        self._to(Event.ASK)
        self._deadline.set(errand.wait_seconds)
        self._look()
        return outcome

    def interrupted(self) -> None:
        """The caller has something to say."""
        if self.state is State.ASKED and self.errand is not None and not self.errand.firm:
            self._stay(Event.INTERRUPTED)

    def abandon(self) -> None:
        """Whoever asked does not want it any more."""
        if self.asked:
            self._cancel()
            self._stay(Event.REFUSED if self.state is State.LEAVING else Event.INTERRUPTED)

    def close(self) -> None:
        """The call is over, by us or by others: while we leave, the carrier may be faster than its own answer."""
        self._deadline.clear()
        self._check.clear()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._settle(self.state in (State.LEAVING, State.GONE))

    def _look(self) -> None:
        now = self._clock.now_ns()
        if not self._facts.quiet or (self._facts.caller_speaks and not self.firm):
            self._quiet_ns = None
        elif self._quiet_ns is None:
            self._quiet_ns = now
        elif now - self._quiet_ns >= TAIL_SECONDS * 1e9:
            self._leave(Event.HEARD)
            return
        self._check.set(CHECK_SECONDS)

    def _leave(self, event: Event) -> None:
        self._check.clear()
        self._to(event)
        self._task = self._spawn(self._act())

    async def _act(self) -> None:
        errand = self.errand
        assert errand is not None  # only an errand is left on
        done = await errand.act()
        if self.state is not State.LEAVING:
            return
        self._task = None
        if not done:
            self._stay(Event.REFUSED)
            return
        self._to(Event.DONE)
        self._settle(True)
        self._stage.departed(errand)

    def _expired(self) -> None:
        if self.state is State.ASKED:
            self._leave(Event.EXPIRED)
            return
        self._cancel()
        self._stay(Event.EXPIRED)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _stay(self, event: Event) -> None:
        errand, self.errand = self.errand, None
        self._check.clear()
        self._to(event)
        self._settle(False)
        if errand is not None:
            self._stage.stayed(errand, "interrupted" if event is Event.INTERRUPTED else "refused")

    def _settle(self, outcome: bool) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(outcome)

    def _to(self, event: Event) -> None:
        row = TRANSITIONS[self.state]
        if event not in row:
            raise IllegalEvent(f"departure: {event} in state {self.state}")
        self.state = row[event]
        self._deadline.clear()
        if self.state in DEADLINES_SECONDS:
            self._deadline.set(DEADLINES_SECONDS[self.state])
