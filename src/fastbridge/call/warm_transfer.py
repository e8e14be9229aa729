"""One warm transfer: a human is called and told of the caller; if he says yes the caller is led to him.

It outlives the call, which ends when the caller is led away, or hangs up: then the human is told so, and let go. No
word of the carrier's, no answer of its API is relied on alone: what is lost is found again by another, or given up at a
deadline. Two never talk to the caller at once: the human's yes is answered only when the caller has come, by the end
of his media stream.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.machine import Machine
from fastbridge.call.transfer_states import DEADLINES_SECONDS, TRANSITIONS, Event, State, outcome_of
from fastbridge.carrier.port import LEG_OVER, CarrierLegs, LegTerms

FIND_SECONDS = 2.0
TIMES_ABSENT = 2
"""So often a call that may have been placed is not in the carrier's list: it was not."""
LOOK_SECONDS = 10.0
JOIN_LOOK_SECONDS = 3.0
_LOOKS_SECONDS = {
    State.RINGING: LOOK_SECONDS,
    State.BRIEFING: LOOK_SECONDS,
    State.JOINING: JOIN_LOOK_SECONDS,
}
"""How often the human's call is looked at, whose end nobody may have told."""
OPEN = (State.MOVING, State.LEAVING)
"""The human has said yes, and waits."""
TOGETHER = (State.JOINING, State.CONNECTED)


class Stage(Protocol):
    """Whom it tells."""

    def returned(self, outcome: str) -> None:
        """The caller is the assistant's again."""

    def settled(self, outcome: str) -> None:
        """It is over, one way or the other: `transfer_states.OUTCOMES`."""


class WarmTransfer(Machine[State, Event]):
    """A LegListener. clock: one that outlives the call, as do the tasks of `spawn`."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self,
        stage: Stage,
        *,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        super().__init__(clock, State.PLACING)
        self.outcome = ""
        self.late = 0
        """What came when it meant nothing any more."""
        self.asking = 0
        """Requests that the carrier has not answered, also when it is over."""
        self._stage = stage
        self._spawn = spawn
        self._told = ""  # how it went, by who knows better than the event says
        self._taken_leave = False  # the caller's last words come with the answer to a webhook
        self._decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._look = Deadline(clock, self._look_due)

    def begin(self, legs: CarrierLegs, terms: LegTerms) -> bool:
        """Call the human. False where the carrier takes no more."""
        leg = legs.open(terms, self)
        if leg is None:
            return False
        self._leg = leg
        self._state_deadline.set(DEADLINES_SECONDS[State.PLACING])
        self._ask(self._place)
        return True

    @property
    def under_way(self) -> bool:
        return bool(TRANSITIONS[self.state])

    @property
    def moving(self) -> bool:
        """The caller is led away, or has been: his stream ends for that."""
        return self.state in (State.MOVING, State.ALONE, State.LEAVING, *TOGETHER)

    # --- the call's side ---

    def withdraw(self) -> None:
        """Nobody wants it any more. Not where the human has said yes: that is carried out."""
        self._take(Event.WITHDRAWN)

    def stream_over(self) -> None:
        """The call has ended."""
        self._take(Event.STREAM_OVER)

    # --- the carrier's side: a LegListener ---

    def answered(self) -> bool:
        self._take(Event.ANSWERED)
        return self.state is State.BRIEFING

    async def accepted(self) -> bool:
        self._take(Event.ACCEPTED)
        if self.state in OPEN:
            return await asyncio.shield(self._decided)
        return self.state in TOGETHER

    def declined(self, outcome: str) -> None:
        self._take(Event.DECLINED, outcome)

    def ended(self, outcome: str) -> None:
        self._take(Event.ENDED, outcome)

    def joined(self) -> bool:
        self._take(Event.JOINED)
        return self.state in TOGETHER

    def parted(self) -> bool:
        self._taken_leave = True
        self._take(Event.APART)
        return self.state is State.CONNECTED

    def caller_over(self) -> None:
        self._take(Event.CALLER_OVER)

    # --- inside ---

    def _take(self, event: Event, told: str = "") -> None:
        if event not in TRANSITIONS[self.state]:
            self.late += 1
            return
        before = self.state
        self._told = told
        self._look.clear()
        self._to(event)
        if self.state in _LOOKS_SECONDS:
            self._look.set(_LOOKS_SECONDS[self.state])
        if self.state is State.FINDING:
            self._ask(self._find)
        elif self.state is State.MOVING:
            self._ask(self._move)
        elif self.state is State.JOINING:
            self._decide(True)
        elif not self.under_way:
            self._ends(before, event)

    def _expired(self) -> None:
        self._take(Event.EXPIRED)

    def _ends(self, before: State, event: Event) -> None:
        self.outcome = self._told or outcome_of(self.state, before, event)
        if self.state is not State.CONNECTED:
            self._part(before, event)
        self._leg.close()
        if self.state is State.RETURNED:
            self._stage.returned(self.outcome)
        self._stage.settled(self.outcome)

    def _part(self, before: State, event: Event) -> None:
        """The human is let go, and whoever was led to nobody."""
        self._decide(False)
        if event is not Event.ENDED:
            self._leg.release()
        if self.state is State.LOST:
            self.outcome = "lost"
            if before is State.JOINING and not self._taken_leave:
                self._leg.excuse()

    def _decide(self, well: bool) -> None:
        if not self._decided.done():
            self._decided.set_result(well)

    # --- what is asked of the carrier ---

    def _ask(self, request: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.asking += 1
        self._spawn(self._asked(request))

    async def _asked(self, request: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await request()
        finally:
            self.asking -= 1

    async def _place(self) -> None:
        placed = await self._leg.place()
        self._take(Event.UNCERTAIN if placed is None else Event.PLACED if placed else Event.REFUSED)

    async def _find(self) -> None:
        """Its own webhooks tell of a call that was placed; the carrier's list, of one that was not."""
        absent = 0
        while self.state is State.FINDING and absent < TIMES_ABSENT:
            await asyncio.sleep(FIND_SECONDS)
            there = await self._leg.is_there()
            absent = absent + 1 if there is False else 0
        if absent and self.state is State.FINDING:
            self._take(Event.REFUSED)

    async def _move(self) -> None:
        if await self._leg.move() is False:
            self._take(Event.NOT_MOVED)

    def _look_due(self) -> None:
        begun = self.state
        self._ask(lambda: self._look_at(begun))

    async def _look_at(self, begun: State) -> None:
        seen = await self._leg.look()
        if self.state is not begun:
            return
        if seen in LEG_OVER:
            self.ended(LEG_OVER[seen])
            return
        self._look.set(_LOOKS_SECONDS[begun])
        if begun is State.JOINING and seen is not None:
            await self._look_at_caller()

    async def _look_at_caller(self) -> None:
        """He may have hung up before the human came."""
        seen = await self._leg.look_at_caller()
        if seen is not None:
            self._take(Event.CALLER_OVER if seen in LEG_OVER else Event.TOGETHER)
