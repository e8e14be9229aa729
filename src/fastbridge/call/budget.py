"""What a call may cost: the model is told when most of it is spent, and a call that has spent it ends with a goodbye.

The service tells what a response has cost when it is done; until then it is reckoned (`reckoning`). The goodbye is paid
for in advance: it begins so early that with it the call has cost what it may, not more. A model that says anything else
then is not paid for it: one that is billed by tokens is cancelled, and a session that is billed by the minute ends when
the goodbye's time is over. What is left may be spent with a cheaper model.
"""

import math
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.base.machine import Machine
from fastbridge.base.spending import Spending
from fastbridge.call.caps import GOODBYE_TOKENS, OVERDRAFT_USD, Cap, overdraft, told
from fastbridge.call.happenings import CheaperModelNow, CheaperModelWanted, CutShort, LastWord, LeaveAsked, LeaveNow
from fastbridge.call.reckoning import Enqueued, Reckoning, speak
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.instructions import BUDGET_NEAR, GOODBYE
from fastbridge.model.ledger import Ledger
from fastbridge.model.port import Model, Tell, Wish
from fastbridge.model.usage import Usage
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

NEAR = 0.8
"""Of what may be spent: the model is told."""
GOODBYE_SECONDS = 9.0
"""Of a session that is billed by the minute: 2.5 s until it begins, 5 s of speech, 1.1 s of silence until that is known
to be over, and what it takes the carrier to hang up."""
MIN_GOODBYE_SECONDS = 3.0
"""Where there is less, none is begun: it would be cut off before it is one."""
SPARE_TOKENS = 20
"""A goodbye may take a second more of audio."""
PATIENCE_MS = 8000
"""What was paid for and is not heard yet is heard to its end before the goodbye, unless there is more of it."""
LOOK_SECONDS = 1.0
GLANCE_SECONDS = 0.05
"""Audio may come many times faster than it is heard."""


class State(StrEnum):
    WITHIN = "within"
    NEAR = "near"
    MOVING = "moving"
    SPENT = "spent"


class Event(StrEnum):
    NEAR = "near"
    MOVE = "move"
    MOVED = "moved"
    SPEND = "spend"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.WITHIN: {Event.NEAR: State.NEAR, Event.SPEND: State.SPENT},
    State.NEAR: {Event.MOVE: State.MOVING, Event.SPEND: State.SPENT},
    State.MOVING: {Event.MOVED: State.NEAR},
    State.SPENT: {},
}


class Ahead(NamedTuple):
    """What will be spent that the service has not told of: the response under way, a goodbye, and what is read for the
    next answer."""

    running: Usage
    goodbye: Usage
    answer: Usage
    running_usd: float
    goodbye_usd: float
    answer_usd: float


class Playing(Enqueued, Protocol):
    """The assistant's lane."""

    @property
    def unheard_ms(self) -> float: ...


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def attentive(self) -> bool: ...
    @property
    def leaving(self) -> bool: ...
    @property
    def leave_asked(self) -> bool: ...


class Budget(Machine[State, Event]):
    """seconds(): how long its sessions have lasted, where they are billed by that. spending: what the calls of today
    have cost, to which this one adds; None where nobody wants to know."""

    transitions = TRANSITIONS

    def __init__(
        self,
        agent: Agent,
        context: CallContext,
        *,
        clock: Clock,
        facts: Moment,
        settings: Settings,
        session: Model,
        assistant: Playing,
        seconds: Callable[[], float],
        spending: Spending | None,
        log: CallLog,
        tell: Tell,
    ) -> None:
        super().__init__(clock, State.WITHIN)
        self.capped_by: str | None = None
        """What has ended the call."""
        self._language = agent.language
        self._business_id = context.business_id
        self._facts = facts
        self._settings = settings
        self.ledger = Ledger(settings.model, settings.prices)
        self._session = session
        self._assistant = assistant
        self._reckoning = Reckoning(agent, session, assistant)
        self._seconds = seconds
        self._spending = spending
        self._day = spending.day if spending is not None else 0
        self._log = log
        self._tell = tell
        self._booked_usd = 0.0
        self._recorded_usd = 0.0
        self._until_seconds = math.inf  # of its sessions: the goodbye's last
        self._allowed_tokens = 0  # of audio, of the last response, once all is spent
        self._glance_at = 0  # frames of the response under way: then it may be time
        self._due = Deadline(clock, self._glance)
        self._over = False
        calls, days = (settings.call_budget_usd, settings.call_budget_tokens), spending is not None
        if any(calls) or (days and (settings.business_budget_usd or settings.day_budget_usd)):
            log.reserve("BUDGET")

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._language = agent.language
        self._reckoning.use(agent)

    def response_created(self, response_id: str, purpose: str) -> None:
        """It reads all that was said: that is paid for, whatever comes of it."""
        self._reckoning.response_begun()
        self.look()

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        """What it has cost is known."""
        self._reckoning.response_done(response_id)
        self.look()

    def usage_told(self, response_id: str) -> None:
        """What one has cost that was over before."""
        self._reckoning.usage_told(response_id)
        self.look()

    def look(self) -> None:
        """To be called once a second, and when something was paid for."""
        if self._over or self.state is State.MOVING:
            return
        self._due.clear()
        self._book()
        if self.state is State.SPENT:
            self._bound_the_goodbye()
            return
        ahead = self._ahead()
        self._set_aside(ahead)
        caps = list(self._caps(ahead))
        over = max(caps, key=lambda cap: cap.sure / cap.most, default=None)
        if over is None:
            return
        if over.sure >= over.most and (self._session.ready or over.spent >= over.most):
            if not self._moves(over):
                self._end(over, caps)
            return
        if self.state is State.WITHIN and self._facts.attentive and over.sure >= NEAR * over.most:
            self._to(Event.NEAR)
            events.budget_near(self._log, **told(over))
            self._session.note("system", BUDGET_NEAR)
            if self._settings.budget_model:
                self._tell(CheaperModelWanted(self._settings.budget_model))
        self._look_again(caps)

    def _moves(self, cap: Cap) -> bool:
        """To the cheaper model, if its session waits for nothing but a pause: what is cut by that goes on, and so does
        who waits for a human; a call that has ended does not. Whether it has: then it was looked anew."""
        wanted = self._settings.budget_model if cap.unit == "usd" else ""
        if self.state is not State.NEAR or wanted in ("", self.ledger.model) or self._facts.leaving:
            return False
        self._to(Event.MOVE)
        self._tell(CheaperModelNow())
        self._to(Event.MOVED)
        if self.ledger.model != wanted:
            return False
        self.look()
        return True

    def model_changed(self, model: str) -> None:
        self.ledger.change(model, self._session.usage, self._seconds())
        events.budget_model(self._log, model)

    def line_up(self) -> None:
        """Another session was told what was said, and not what is not said."""
        if self.state in (State.NEAR, State.MOVING):
            self._session.note("system", BUDGET_NEAR)

    def close(self) -> None:
        """The call is over: it has cost what the service has told."""
        self._over = True
        self._due.clear()
        self._book()
        if self._spending is not None:
            self._spending.set_aside(self, self._business_id, 0.0)
        self.accounted()

    def accounted(self) -> None:
        """The service has told, of a call that is over, what it will be in the records."""
        if not self._over:
            return
        usd = self.ledger.usd(self._session.usage, self._seconds()) or 0.0
        if self._spending is not None and usd > self._recorded_usd:
            self._spending.ended(self._business_id, usd - self._recorded_usd, self._day)
            self._recorded_usd = usd
            self._book()

    # --- when to look ---

    @property
    def _usd_a_second(self) -> float:
        """Of a session that is billed by the minute."""
        return self.ledger.more_usd(Usage(), 3600.0) / 3600

    def _look_again(self, caps: list[Cap]) -> None:
        """Sooner than in a second, where it may be time before."""
        usd_a_second = self._usd_a_second
        if usd_a_second:
            seconds = min(((cap.most - cap.sure) / usd_a_second for cap in caps if cap.unit == "usd"), default=math.inf)
            if seconds < LOOK_SECONDS:
                self._due.set(max(seconds, GLANCE_SECONDS))
        elif self._session.responses.generating:
            second = round(LOOK_SECONDS * 50)
            frames = second
            for cap, ahead in zip(caps, self._caps(self._ahead(second)), strict=True):
                if ahead.sure > cap.sure:
                    frames = min(frames, int(second * (cap.most - cap.sure) / (ahead.sure - cap.sure)))
            self._glance_at = self._reckoning.frames + max(frames, 1)
            self._due.set(GLANCE_SECONDS)

    def _glance(self) -> None:
        if self._usd_a_second or self.state is State.SPENT or self._reckoning.frames >= self._glance_at:
            self.look()
        elif self._session.responses.generating:
            self._due.set(GLANCE_SECONDS)

    # --- the end ---

    def _end(self, cap: Cap, caps: list[Cap]) -> None:
        self._to(Event.SPEND)
        self.capped_by = cap.whose
        events.budget_spent(self._log, **told(cap))
        usd_a_second, responses = self._usd_a_second, self._session.responses
        leaving = self._facts.leave_asked  # with last words of its own, which are the goodbye
        if usd_a_second:
            left = [each.most + OVERDRAFT_USD - each.spent - each.aside for each in caps if each.unit == "usd"]
            seconds = min([GOODBYE_SECONDS, *(usd / usd_a_second for usd in left)])
            affordable = seconds >= MIN_GOODBYE_SECONDS
            self._until_seconds = self._seconds() + (seconds if affordable or leaving else 0.0)
        else:
            affordable = all(each.ended - each.most <= overdraft(each) for each in caps)
        self._allowed_tokens = GOODBYE_TOKENS + SPARE_TOKENS if affordable else 0
        if leaving:
            self._bound_the_goodbye()
            return
        going_on = affordable and responses.running
        if usd_a_second or going_on or self._assistant.unheard_ms > PATIENCE_MS:
            self._tell(CutShort("budget"))
        self._tell(LastWord())
        if affordable or usd_a_second or not responses.running:
            responses.cancel()
        if affordable and self._session.ready:
            responses.create("goodbye", Wish(first_in(self._language, GOODBYE)), firm=True)
        self._tell(LeaveAsked(EndReason.BUDGET, True))
        self._bound_the_goodbye()

    def _bound_the_goodbye(self) -> None:
        """A model that says anything else at this point is not paid for it, nor one that says nothing."""
        ahead = self._ahead()
        self._set_aside(ahead)
        if not self._facts.leaving:  # a transfer was on its way, and has failed
            self._tell(LeaveAsked(EndReason.BUDGET, True))
        seconds = self._until_seconds - self._seconds()
        if seconds <= 0:
            self._tell(LeaveNow(EndReason.BUDGET))
        elif seconds < LOOK_SECONDS:
            self._due.set(max(seconds, GLANCE_SECONDS))
        elif self._session.responses.running and not self._usd_a_second:
            spent = any(cap.spent >= cap.most for cap in self._caps(ahead))
            if spent and self._reckoning.running().audio_out >= self._allowed_tokens:
                self._session.responses.cancel()
            else:
                self._due.set(GLANCE_SECONDS)

    # --- the books ---

    def _book(self) -> None:
        if self._spending is None:
            return
        usd = self.ledger.usd(self._reckoning.total, self._seconds()) or 0.0
        if usd > self._booked_usd:
            self._spending.spend(self._business_id, usd - self._booked_usd)
            self._booked_usd = usd

    def _set_aside(self, ahead: Ahead) -> None:
        """The other calls of today can count on it."""
        if self._spending is not None:
            self._spending.set_aside(self, self._business_id, ahead.running_usd + ahead.goodbye_usd + ahead.answer_usd)

    def _ahead(self, frames: int = 0) -> Ahead:
        """frames: that are still to come of the response under way."""
        running = self._reckoning.running(frames)
        none = running.total_tokens or self.state is State.SPENT
        answer = Usage() if none else self._reckoning.conversation(running)
        goodbye = self._reckoning.conversation(running)
        speak(goodbye, GOODBYE_TOKENS)
        usd = self.ledger.more_usd
        return Ahead(running, goodbye, answer, usd(running), usd(goodbye, self._goodbye_seconds), usd(answer))

    def _caps(self, ahead: Ahead) -> Iterator[Cap]:
        """Those that are set."""
        settings, total = self._settings, self._reckoning.total
        running, goodbye, answer = (usage.total_tokens for usage in (ahead.running, ahead.goodbye, ahead.answer))
        if settings.call_budget_tokens:
            yield Cap("call", total.total_tokens + running, settings.call_budget_tokens, goodbye, "tokens", answer)
        if settings.call_budget_usd:
            spent_usd = (self.ledger.usd(total, self._seconds()) or 0.0) + ahead.running_usd
            yield Cap("call", spent_usd, settings.call_budget_usd, ahead.goodbye_usd, "usd", ahead.answer_usd)
        if self._spending is not None:
            yield from self._days(self._spending, ahead)

    @property
    def _goodbye_seconds(self) -> float:
        """What is left of it, once it has begun."""
        return max(min(GOODBYE_SECONDS, self._until_seconds - self._seconds()), 0.0)

    def _days(self, spending: Spending, ahead: Ahead) -> Iterator[Cap]:
        business_usd, day_usd = self._settings.business_budget_usd, self._settings.day_budget_usd
        more = (ahead.goodbye_usd, "usd", ahead.answer_usd)
        if business_usd and self._business_id:
            spent_usd = spending.of(self._business_id) + ahead.running_usd
            yield Cap("business", spent_usd, business_usd, *more, spending.aside(self._business_id, but=self))
        if day_usd:
            yield Cap("day", spending.total() + ahead.running_usd, day_usd, *more, spending.aside(but=self))
