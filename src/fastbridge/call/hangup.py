"""The ways out of a call, hung up or transferred: when all was heard, once, and not while the caller speaks.

One departure at a time: whoever asks first is served, be it a hang-up or a transfer. A caller who interrupts takes it
back, unless the errand is firm. Every state that is not final has a deadline: nobody is kept on a line for ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.fields import E164
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import EndCall, LeaveTakenBack
from fastbridge.carrier.port import CarrierControl
from fastbridge.config import Settings
from fastbridge.model.instructions import NOT_LEFT, NOT_TRANSFERRED
from fastbridge.model.port import WORDS_ONLY, Model, Tell
from fastbridge.model.response_states import LAST_WORDS
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

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
    @property
    def assistant_plays(self) -> bool: ...


class Stage(Protocol):
    """Whom it tells."""

    def departed(self, errand: Errand) -> None:
        """It is done: the call is over."""

    def stayed(self, errand: Errand, why: str) -> None:
        """It is not done (`refused`), or was taken back (`interrupted`)."""


class Departure(Machine[State, Event]):
    """spawn(coroutine): a task beside the audio."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self,
        stage: Stage,
        facts: Moment,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        super().__init__(clock, State.STAYING)
        self.errand: Errand | None = None
        self._stage = stage
        self._facts = facts
        self._clock = clock
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self._quiet_ns: int | None = None
        self._outcome: asyncio.Future[bool] | None = None
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
    def puts_through(self) -> bool:
        """Under way, to somebody else who takes the call."""
        return self.asked and self.errand is not None and self.errand.reason == EndReason.TRANSFERRED

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
        self._state_deadline.set(errand.wait_seconds)
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
        self._state_deadline.clear()
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


class Hangup(Departure):
    """The ways out of one call: hung up, or connected to somebody else. control: the carrier's API, None without
    credentials: then hanging up is ending the stream, behind which the carrier hangs up, and nobody can be transferred.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        clock: Clock,
        facts: Moment,
        context: CallContext,
        control: CarrierControl | None,
        session: Model,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        tell: Tell,
    ) -> None:
        super().__init__(self, facts, clock, spawn)
        self.transferred_to: str | None = None
        """By name, never by number; None where nobody has the call now."""
        self._agent = agent
        self._account_sid, self._call_sid = context.account_sid, context.call_sid
        self._control = control
        self._session = session
        self._log = log
        self._tell = tell

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._agent = agent

    def speech_started(self) -> None:
        if not self._facts.assistant_plays:
            self.interrupted()

    def hang_up(self, reason: str = EndReason.AGENT_HANGUP, firm: bool = False) -> None:
        """End the call when all was heard."""
        self.ask(Errand("hang_up", reason, self._hang_up, firm=firm))

    def leave_now(self, reason: str) -> None:
        """Whoever was to be connected to somebody is so now; of all others the call ends, as the stream does."""
        if self.puts_through:
            if self.state is State.ASKED:
                self._leave(Event.EXPIRED)
            return
        self._tell(EndCall(reason))

    def destination(self, wanted: str) -> str | None:
        """The number behind one of the agent's own destinations; None where nobody can be connected to it."""
        number = self._agent.destination(wanted)
        if number is None or self._control is None:
            why = "there is no such destination" if number is None else "there are no Twilio credentials"
            events.transfer_refused(self._log, why)
            return None
        return number

    def transfer(self, number: str) -> None:
        """Connect the caller to this `destination` when all was heard."""
        self.ask(self._transfer_errand("transfer", number, self._agent.destination_name(number)))

    async def transfer_now(self, number: str) -> bool:
        """Of the node itself, with a number of its operator's: connect the caller, without the model's help. True when
        it is done, and the call over."""
        if E164.fullmatch(number) is None or self._control is None:
            return False
        try:
            return await self.ask(self._transfer_errand("fallback", number, "fallback"))
        except asyncio.CancelledError:
            self.abandon()
            raise

    def end_reason(self, reason: str) -> str:
        """Why the call ends: whoever closes it while we leave, we left."""
        if self.reason is not None and self.errand is not None:
            self._say_departed(self.errand)
        reason = self.reason or reason
        if reason == EndReason.TRANSFERRED and self.errand is not None:
            self.transferred_to = self.errand.to
        return reason

    # --- the stage ---

    def departed(self, errand: Errand) -> None:
        self._say_departed(errand)
        self._tell(EndCall(errand.reason))

    def stayed(self, errand: Errand, why: str) -> None:
        events.hangup(self._log, errand.name, why, reason=errand.reason, to=errand.to)
        if errand.name == "fallback":
            return  # whoever asked knows what else to do
        if why == "interrupted":
            self._tell(LeaveTakenBack())
            self._session.responses.drop(*LAST_WORDS)
            self._session.note("system", NOT_LEFT)
        elif errand.name == "hang_up":
            self._tell(EndCall(errand.reason))  # the stream ends, and what the carrier does behind it hangs up
        elif errand.name == "transfer":
            self._session.note("system", NOT_TRANSFERRED, lasting=True)
            self._session.responses.create("transfer_failed", WORDS_ONLY)

    def _say_departed(self, errand: Errand) -> None:
        how = "by REST" if self._control is not None else "by the end of the stream"
        events.hangup(self._log, errand.name, how, reason=errand.reason, to=errand.to)

    def _transfer_errand(self, name: str, number: str, to: str) -> Errand:
        return Errand(name, EndReason.TRANSFERRED, lambda: self._connect(number), to=to)

    async def _hang_up(self) -> bool:
        if self._control is None:
            return True
        return await self._control.hang_up(self._account_sid, self._call_sid)

    async def _connect(self, number: str) -> bool:
        if self._control is None:
            return False
        return await self._control.connect(self._account_sid, self._call_sid, number)
