"""What a call may cost: the model is told when most of it is spent, and a call that has spent it ends with a goodbye.

The service tells what a response has cost when it is done. So one under way is reckoned by what there is to be read
again, which is all that was said, and by the audio that has come of it; and the goodbye is paid for in advance: it
begins so early that with it the call has cost what it may, not more. What is left may be spent with a cheaper model.
"""

import math
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.base.machine import Machine
from fastbridge.base.spending import Spending
from fastbridge.call.happenings import CheaperModelWanted, CutShort, LastWord, LeaveAsked
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
TOKENS_A_FRAME = 0.4
"""20 ms of the assistant's audio. Source: OpenAI, "Managing costs": one token for 50 ms."""
WORDS_A_TOKEN = 0.25
"""Tokens of text that come with one of audio: what is said is written down, too."""
GOODBYE_TOKENS = 100
GOODBYE_SECONDS = 5.0
"""The same."""


class State(StrEnum):
    WITHIN = "within"
    NEAR = "near"
    SPENT = "spent"


class Event(StrEnum):
    NEAR = "near"
    SPEND = "spend"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.WITHIN: {Event.NEAR: State.NEAR, Event.SPEND: State.SPENT},
    State.NEAR: {Event.SPEND: State.SPENT},
    State.SPENT: {},
}


class Cap(NamedTuple):
    """whose: `call`, `business` or `day`. spent, most: dollars, or tokens. goodbye: what that would add."""

    whose: str
    spent: float
    most: float
    goodbye: float
    unit: str


class Playing(Protocol):
    """The assistant's lane."""

    @property
    def frames_enqueued(self) -> int: ...


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def attentive(self) -> bool: ...


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
        self._seconds = seconds
        self._spending = spending
        self._log = log
        self._tell = tell
        self._booked_usd = 0.0
        self._asked = Usage()  # as it was when the last response was done
        self._last = Usage()  # of the last response
        self._grown_by = 0  # what the caller, and others, had added to the conversation before it
        self._frames = 0

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._language = agent.language

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        """What it has cost is known."""
        usage, before = self._session.usage, self._asked
        if usage.total_tokens > before.total_tokens:
            last, self._last = self._last, usage.less(before)
            if last.input_tokens:
                self._grown_by = max(self._last.input_tokens - last.input_tokens - last.output_tokens, 0)
            self._asked = Usage(**vars(usage))
        self._frames = self._assistant.frames_enqueued
        self.look()

    def look(self) -> None:
        """To be called once a second, and when something was paid for."""
        self._book()
        if self.state is State.SPENT:
            self._bound_the_goodbye()
            return
        caps = list(self._caps())
        over = [cap for cap in caps if cap.spent + cap.goodbye >= cap.most]
        if over:
            self._end(over[0])
        elif self.state is State.WITHIN and self._facts.attentive:
            near = [cap for cap in caps if cap.spent + cap.goodbye >= NEAR * cap.most]
            if near:
                self._to(Event.NEAR)
                events.budget_near(self._log, **_told(near[0]))
                self._session.note("system", BUDGET_NEAR)
                if self._settings.budget_model:
                    self._tell(CheaperModelWanted(self._settings.budget_model))

    def model_changed(self, model: str) -> None:
        self.ledger.change(model, self._session.usage, self._seconds())
        events.budget_model(self._log, model)

    def line_up(self) -> None:
        """Another session was told what was said, and not what is not said."""
        if self.state is State.NEAR:
            self._session.note("system", BUDGET_NEAR)

    def close(self) -> None:
        """The call is over: it has cost what the service has told."""
        self._book()
        if self._spending is not None:
            self._spending.ended(self._business_id, self._booked_usd)

    def _book(self) -> None:
        usd = self.ledger.usd(self._session.usage, self._seconds()) or 0.0
        if self._spending is not None and usd > self._booked_usd:
            self._spending.spend(self._business_id, usd - self._booked_usd)
            self._booked_usd = usd

    def _end(self, cap: Cap) -> None:
        self._to(Event.SPEND)
        self.capped_by = cap.whose
        events.budget_spent(self._log, **_told(cap))
        self._tell(CutShort("budget"))
        self._tell(LastWord())
        self._session.responses.cancel()
        if self._session.ready:
            self._session.responses.create("goodbye", Wish(first_in(self._language, GOODBYE)), firm=True)
        self._tell(LeaveAsked(EndReason.BUDGET, True))

    def _bound_the_goodbye(self) -> None:
        """A model that says anything else at this point is not paid for it."""
        if self._running().audio_out > 2 * GOODBYE_TOKENS:
            self._session.responses.cancel()

    def _caps(self) -> Iterator[Cap]:
        """Those that are set."""
        settings, running = self._settings, self._running()
        goodbye = self._conversation(running)
        _speak(goodbye, GOODBYE_TOKENS)
        if settings.call_budget_tokens:
            spent = self._session.usage.total_tokens + running.total_tokens
            yield Cap("call", spent, settings.call_budget_tokens, goodbye.total_tokens, "tokens")
        running_usd = self.ledger.more_usd(running)
        goodbye_usd = self.ledger.more_usd(goodbye, GOODBYE_SECONDS)
        if settings.call_budget_usd:
            spent_usd = (self.ledger.usd(self._session.usage, self._seconds()) or 0.0) + running_usd
            yield Cap("call", spent_usd, settings.call_budget_usd, goodbye_usd, "usd")
        if self._spending is None:
            return
        if settings.business_budget_usd and self._business_id:
            spent_usd = self._spending.of(self._business_id) + running_usd
            yield Cap("business", spent_usd, settings.business_budget_usd, goodbye_usd, "usd")
        if settings.day_budget_usd:
            yield Cap("day", self._spending.total() + running_usd, settings.day_budget_usd, goodbye_usd, "usd")

    def _running(self) -> Usage:
        """What the response under way will be found to have cost so far."""
        if not self._session.responses.generating:
            return Usage()
        reckoned = self._conversation(Usage())
        _speak(reckoned, round(max(self._assistant.frames_enqueued - self._frames, 0) * TOKENS_A_FRAME))
        return reckoned

    def _conversation(self, running: Usage) -> Usage:
        """What a response would read that was asked for now: what the last one read and said, what the caller adds from
        one to the next, and what the one under way has said."""
        last, read = self._last, Usage()
        if last.input_tokens:
            read.text_in = last.text_in + last.text_out + running.text_out
            read.audio_in = last.audio_in + last.audio_out + running.audio_out + self._grown_by
            read.text_cached, read.audio_cached = last.text_cached, last.audio_cached
            read.input_tokens = last.input_tokens + last.output_tokens + running.output_tokens + self._grown_by
        read.total_tokens = read.input_tokens
        return read


def _speak(usage: Usage, tokens: int) -> None:
    """So much audio of the assistant's, besides."""
    usage.audio_out, usage.text_out = tokens, round(tokens * WORDS_A_TOKEN)
    usage.output_tokens = usage.audio_out + usage.text_out
    usage.total_tokens += usage.output_tokens


def _told(cap: Cap) -> dict[str, str]:
    digits = _digits(cap.most) if cap.unit == "usd" else 0
    return {"whose": cap.whose, "spent": f"{cap.spent:.{digits}f}", "most": f"{cap.most:.{digits}f}", "unit": cap.unit}


def _digits(usd: float) -> int:
    """Cents, and of less than a dollar so many that a hundredth of it is seen."""
    return min(max(2, 2 - math.floor(math.log10(usd))), 8)
