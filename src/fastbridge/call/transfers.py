"""A call's warm transfers, one at a time: what caller and model hear of them, and what is kept.

While the human is called the caller hears the hold tone, and the model hears nothing: it is told how it went, if the
caller comes back, and speaks first.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge.agent.definition import MAX_BRIEF_CHARS, Agent, CallContext
from fastbridge.agent.fields import E164
from fastbridge.base.clock import CallClock
from fastbridge.base.end_reasons import EndReason
from fastbridge.call.happenings import WaitChanged
from fastbridge.call.hold_tone import HoldTone
from fastbridge.call.transfer_states import RING_SECONDS
from fastbridge.call.warm_transfer import WarmTransfer
from fastbridge.carrier.port import CarrierLegs, LegTerms
from fastbridge.config import Settings
from fastbridge.model.instructions import not_taken
from fastbridge.model.port import LOCAL_ID, WORDS_ONLY, Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

MAX_TRANSFERS = 20
"""In one call; one more is refused."""
SILENCE_FRAMES = 50
"""What the model hears before it hears nothing: the end of a turn that was being spoken."""


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def assistant_speaks(self) -> bool: ...
    @property
    def leaving(self) -> bool: ...


class Transfers:
    """One call's. legs: None where nobody can be called. done(outcome): one is over, perhaps after the call."""

    def __init__(
        self,
        agent: Agent,
        *,
        clock: CallClock,
        facts: Moment,
        context: CallContext,
        settings: Settings,
        legs: CarrierLegs | None,
        assistant: AssistantLane,
        caller: CallerLane,
        session: Model,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        done: Callable[[str], object],
        tell: Tell,
    ) -> None:
        self.entries: list[dict[str, Any]] = []
        """For the record: of each, whom it was to, how it ended, and when."""
        self.transferred_to: str | None = None
        self._agent = agent
        self._clock = clock
        self._facts = facts
        self._context = context
        self._settings = settings
        self._legs = legs
        self._caller = caller
        self._session = session
        self._log = log
        self._spawn = spawn
        self._done = done
        self._tell = tell
        self._current: WarmTransfer | None = None
        self._waits = False
        self._tone = HoldTone(clock=clock, facts=facts, assistant=assistant, session=session, look=self._quieten)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """Who answers is known now."""
        self._agent, self._settings = agent, settings

    @property
    def holding(self) -> bool:
        """The caller waits for a human."""
        return self._waits

    @property
    def asking(self) -> bool:
        """The carrier is to answer yet, perhaps after the call."""
        return self._current is not None and self._current.asking > 0

    @property
    def leading(self) -> bool:
        """The caller is on his way to a human who has said yes."""
        return self._current is not None and self._current.moving

    @property
    def possible(self) -> bool:
        """Another can be begun."""
        busy = self._waits or self._facts.leaving
        return self._legs is not None and not busy and len(self.entries) < MAX_TRANSFERS

    def begin(self, number: str, brief: str) -> bool:
        """Call this number for the caller. False where that cannot be done now."""
        legs, terms = self._legs, self._terms(number, brief)
        if legs is None or terms is None or not self.possible:
            events.transfer_refused(self._log, "it cannot be done now")
            return False
        to = self._agent.destination_name(number)
        transfer = WarmTransfer(self, clock=self._clock, spawn=self._spawn)
        if not transfer.begin(legs, terms):
            events.transfer_refused(self._log, "there are too many")
            return False
        self._current = transfer
        self.entries.append({"to": to, "outcome": None, "at_ms": self._clock.now_ms(), "took_ms": None})
        events.transfer_begins(self._log, to)
        self._waits = True
        if not self._settings.live:  # there is silence all the time, and what is more would be heard late
            self._caller.send_silence(SILENCE_FRAMES)
        self._tone.begin()
        self._tell(WaitChanged(0.0))
        return True

    def withdraw(self, *_: object) -> None:
        """Something else is done with the call."""
        if self._current is not None:
            self._current.withdraw()

    def give_way(self, response_id: str) -> None:
        """The model begins to be heard."""
        self._tone.give_way(response_id)
        if not (self._waits or response_id.startswith(LOCAL_ID)):
            self._tone.stop()

    def interrupted(self) -> None:
        if not self._waits:
            self._tone.stop()

    def end_reason(self, reason: str) -> str:
        """Why the call ends: a caller who is led away has not hung up."""
        if self._current is None or not self._current.moving:
            return reason
        self.transferred_to = self.entries[-1]["to"]
        return EndReason.TRANSFERRED

    def close(self) -> None:
        self._tone.close()
        self._waits = False
        if self._current is not None:
            self._current.stream_over()

    # --- the stage of one ---

    def returned(self, outcome: str) -> None:
        """The caller is the assistant's again."""
        if not self._waits:
            return
        self._waits = False
        self._caller.unlock()
        if outcome == "withdrawn":
            self._tone.stop()
        else:
            self._tone.end_soon()
            self._session.note("system", not_taken(self.entries[-1]["to"], outcome), lasting=True)
            self._session.responses.create("transfer_failed", WORDS_ONLY)
        self._tell(WaitChanged(0.0))

    def settled(self, outcome: str) -> None:
        """One is over. It may be so after the call."""
        entry = self.entries[-1]
        entry["outcome"] = outcome
        if outcome != "connected":
            self.transferred_to = None
        entry["took_ms"] = self._clock.now_ms() - entry["at_ms"]
        events.transfer_ends(self._log, outcome, entry["to"], entry["took_ms"])
        self._done(outcome)

    def _quieten(self) -> None:
        """Nothing of the caller's goes to the model, whoever has let it through meanwhile."""
        if self._waits:
            self._caller.lock()

    def _terms(self, number: str, brief: str) -> LegTerms | None:
        """None where there is no number to call from."""
        context, settings = self._context, self._settings
        ours = context.to_number if context.direction == "inbound" else context.from_number
        ours = ours if E164.fullmatch(ours) else settings.twilio_phone_number or ""
        if E164.fullmatch(ours) is None:
            return None
        language = self._agent.language or settings.language
        brief = brief[:MAX_BRIEF_CHARS]
        return LegTerms(context.account_sid, context.call_sid, number, ours, brief, language, RING_SECONDS)
