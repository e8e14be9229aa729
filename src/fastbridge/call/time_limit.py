"""How long a call may last: its end is announced, and it ends with a goodbye, which is said to its end."""

from typing import Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.call.happenings import CutShort, EndCall, LastWord, LeaveAsked
from fastbridge.config import Settings
from fastbridge.model.instructions import GOODBYE, TIME_LIMIT
from fastbridge.model.port import Model, Tell, Wish
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

NOTICE_SECONDS = 30.0
"""A call that has lasted as long as it may is announced so long before its end."""
GOODBYE_SECONDS = 10.0
"""What a call that is being left, or apologised for, may last longer than any other."""


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def attentive(self) -> bool: ...
    @property
    def leaving(self) -> bool: ...
    @property
    def model_hears(self) -> bool: ...


class TimeLimit:
    """One call's."""

    def __init__(
        self,
        language: str,
        *,
        clock: Clock,
        facts: Moment,
        settings: Settings,
        session: Model,
        log: CallLog,
        tell: Tell,
    ) -> None:
        self._language = language
        self._facts = facts
        self._seconds = settings.max_call_seconds
        self._session = session
        self._log = log
        self._tell = tell
        self._overtime = False
        self._notice = Deadline(clock, self._announce)
        self._end = Deadline(clock, self._ends)

    def begin(self) -> None:
        """The stream has started."""
        self._end.set(self._seconds)
        if self._seconds > NOTICE_SECONDS:
            self._notice.set(self._seconds - NOTICE_SECONDS)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._language = agent.language

    def close(self) -> None:
        self._notice.clear()
        self._end.clear()

    def _announce(self) -> None:
        if self._facts.attentive:
            events.time_running_out(self._log)
            self._session.responses.create("time_limit", Wish(first_in(self._language, TIME_LIMIT)))

    def _ends(self) -> None:
        if self._overtime or not (self._facts.leaving or self._facts.attentive):
            self._tell(EndCall(EndReason.MAX_DURATION))
            return
        self._overtime = True
        self._end.set(GOODBYE_SECONDS)
        if not self._facts.leaving:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Whoever speaks: what the caller has said last is taken, and answered by that."""
        responses = self._session.responses
        if self._facts.model_hears:
            self._session.take_turn()
        if responses.running:
            self._tell(CutShort("max_duration"))
        self._tell(LastWord())
        responses.cancel()
        responses.create("goodbye", Wish(first_in(self._language, GOODBYE)), firm=True)
        self._tell(LeaveAsked(EndReason.MAX_DURATION, True))
