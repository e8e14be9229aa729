"""What a call may cost: the model is told when most of it is spent, and a call that has spent it ends with a goodbye.

The service tells what a response has cost when it is done. So one under way is reckoned as dear as the last one was to
ask for, and by the audio that has come of it; and the goodbye is paid for in advance: it begins so early that with it
the call has cost what it may, not more.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.base.machine import Machine
from fastbridge.base.spending import Spending
from fastbridge.call.happenings import CutShort, LastWord, LeaveAsked
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.instructions import BUDGET_NEAR, GOODBYE
from fastbridge.model.port import Model, Tell, Wish
from fastbridge.model.usage import Usage, cost_usd, price_of
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
        self._price = price_of(settings.model, settings.prices)[0]
        self._session = session
        self._assistant = assistant
        self._seconds = seconds
        self._spending = spending
        self._log = log
        self._tell = tell
        self._booked_usd = 0.0
        self._asked = Usage()  # as it was when the last response was done
        self._last_input = Usage()
        self._frames = 0

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._language = agent.language

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        """What it has cost is known."""
        usage, before = self._session.usage, self._asked
        if usage.total_tokens > before.total_tokens:
            self._last_input = _less(usage, before)
            self._last_input.text_out = self._last_input.audio_out = self._last_input.output_tokens = 0
            self._last_input.total_tokens = self._last_input.input_tokens
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

    def close(self) -> None:
        """The call is over: it has cost what the service has told."""
        self._book()
        if self._spending is not None:
            self._spending.ended(self._business_id, self._booked_usd)

    def _book(self) -> None:
        usd = self._usd(self._session.usage, self._seconds())
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
        goodbye = Usage(**vars(self._last_input))
        _speak(goodbye, GOODBYE_TOKENS)
        if settings.call_budget_tokens:
            spent = self._session.usage.total_tokens + running.total_tokens
            yield Cap("call", spent, settings.call_budget_tokens, goodbye.total_tokens, "tokens")
        running_usd, goodbye_usd = self._usd(running), self._usd(goodbye, GOODBYE_SECONDS)
        if settings.call_budget_usd:
            spent_usd = self._usd(self._session.usage, self._seconds()) + running_usd
            yield Cap("call", spent_usd, settings.call_budget_usd, goodbye_usd, "usd")
        if self._spending is None:
            return
        if settings.business_budget_usd and self._business_id:
            spent_usd = self._spending.of(self._business_id) + running_usd
            yield Cap("business", spent_usd, settings.business_budget_usd, goodbye_usd, "usd")
        if settings.day_budget_usd:
            yield Cap("day", self._spending.total() + running_usd, settings.day_budget_usd, goodbye_usd, "usd")

    def _usd(self, usage: Usage, seconds: float = 0.0) -> float:
        return cost_usd(usage, self._price, seconds) or 0.0

    def _running(self) -> Usage:
        """What the response under way will be found to have cost so far."""
        if not self._session.responses.generating:
            return Usage()
        reckoned = Usage(**vars(self._last_input))
        _speak(reckoned, round(max(self._assistant.frames_enqueued - self._frames, 0) * TOKENS_A_FRAME))
        return reckoned


def _speak(usage: Usage, tokens: int) -> None:
    """So much audio of the assistant's, besides."""
    usage.audio_out, usage.text_out = tokens, round(tokens * WORDS_A_TOKEN)
    usage.output_tokens = usage.audio_out + usage.text_out
    usage.total_tokens += usage.output_tokens


def _less(usage: Usage, before: Usage) -> Usage:
    return Usage(**{name: count - getattr(before, name) for name, count in vars(usage).items()})


def _told(cap: Cap) -> dict[str, str]:
    digits = 2 if cap.unit == "usd" else 0
    return {"whose": cap.whose, "spent": f"{cap.spent:.{digits}f}", "most": f"{cap.most:.{digits}f}", "unit": cap.unit}
