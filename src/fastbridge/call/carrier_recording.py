"""The carrier's recording of a call: begun once, paused while it is private, and never two.

One thing is asked of the carrier at a time. A beginning that surely did not come about is tried again; one whose answer
was lost is looked up, which is what the carrier's side does before it begins any. Nothing is begun in private. Where it
is not known whether there is a recording, or whether it has paused, nothing is private. The call's end ends the
recording, by itself; a paused one stays so. Every state that waits has a deadline.
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.fields import BY_THE_CARRIER, RECORD_CARRIER
from fastbridge.base.clock import Clock
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import RecordingHushed
from fastbridge.carrier.port import CarrierRecorder, RecordingBegun, RecordingChange, Refused, TryLater, Uncertain
from fastbridge.config import Settings
from fastbridge.model.port import Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

MAX_BEGINNINGS = 5
MAX_RESUMPTIONS = 3
LEAST_WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 10.0
LOOK_UP_SECONDS = 1.0
"""Before a lost answer is looked up: what was asked for may be still on its way."""
NO_CREDENTIALS = "there are no Twilio credentials"


class State(StrEnum):
    OFF = "off"
    ASKED = "asked"
    WAITING = "waiting"
    RECORDING = "recording"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    DOUBTFUL = "doubtful"
    STOPPED = "stopped"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class Event(StrEnum):
    ASK = "ask"
    BEGUN = "begun"
    LATER = "later"
    REFUSED = "refused"
    LOST = "lost"
    PAUSE = "pause"
    RESUME = "resume"
    DONE = "done"
    NOT_DONE = "not_done"
    CLOSE = "close"


_ENDS = {Event.CLOSE: State.STOPPED, Event.REFUSED: State.FAILED}
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OFF: {Event.ASK: State.ASKED, Event.REFUSED: State.FAILED},
    State.ASKED: {
        Event.BEGUN: State.RECORDING,
        Event.LATER: State.WAITING,
        Event.REFUSED: State.FAILED,
        Event.LOST: State.UNCERTAIN,
        Event.CLOSE: State.UNCERTAIN,
    },
    State.WAITING: {
        Event.ASK: State.ASKED,
        Event.REFUSED: State.FAILED,
        Event.LOST: State.UNCERTAIN,
    },
    State.RECORDING: {Event.PAUSE: State.PAUSING, **_ENDS},
    State.PAUSING: {Event.DONE: State.PAUSED, Event.NOT_DONE: State.DOUBTFUL, **_ENDS},
    State.PAUSED: {Event.RESUME: State.RESUMING, Event.REFUSED: State.FAILED},
    State.RESUMING: {Event.DONE: State.RECORDING, Event.NOT_DONE: State.DOUBTFUL, **_ENDS},
    State.DOUBTFUL: {Event.PAUSE: State.PAUSING, Event.RESUME: State.RESUMING, **_ENDS},
    State.STOPPED: {},
    State.FAILED: {},
    State.UNCERTAIN: {},
}
DEADLINES_SECONDS = {State.ASKED: 15.0, State.PAUSING: 5.0, State.RESUMING: 5.0}
"""Longer than the carrier's side takes, retries included; a wait is set by what is waited for."""


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def transferred(self) -> bool: ...
    @property
    def private(self) -> bool: ...


class CarrierRecording(Machine[State, Event]):
    """One call's. recorder: None without credentials. spawn(coroutine): a task beside the audio."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self,
        *,
        clock: Clock,
        facts: Moment,
        context: CallContext,
        recorder: CarrierRecorder | None,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        tell: Tell,
    ) -> None:
        super().__init__(clock, State.OFF)
        self.recording_sid: str | None = None
        self._clock = clock
        self._facts = facts
        self._sids = context.account_sid, context.call_sid
        self._recorder = recorder
        self._log = log
        self._spawn = spawn
        self._tell = tell
        self._mode = ""
        self._goes_on = True
        self._task: asyncio.Task[None] | None = None
        self._wanted = self._hushed = self._asked_quiet = self._maybe = self._closed = False
        self._tries = self._resumptions = 0
        self._paused_ns = 0
        self._paused_since_ns = 0

    @property
    def document(self) -> dict[str, Any] | None:
        """For the record; None where nobody wanted one."""
        if self.state is State.OFF and not self._wanted:
            return None
        paused_seconds = round((self._paused_ns + self._pausing_ns()) / 1e9, 3)
        return {"sid": self.recording_sid, "state": str(self.state), "paused_seconds": paused_seconds}

    # --- what is wanted ---

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._mode, self._goes_on = agent.record, agent.record_transfers
        if agent.record == RECORD_CARRIER:
            self._want()

    def consented(self) -> None:
        if self._mode in BY_THE_CARRIER:
            self._want()

    def hush(self) -> None:
        """What comes is private. RecordingHushed follows, soon or when the carrier has answered."""
        self._hushed = self._asked_quiet = True
        self._proceed()

    def unhush(self) -> None:
        self._hushed = self._asked_quiet = False
        self._resumptions = 0
        self._proceed()

    def failed(self, recording_sid: str) -> None:
        """The carrier tells that this one failed, while the call goes on."""
        if self._closed or recording_sid != self.recording_sid or self.state is State.FAILED:
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._pausing_stops()
        self._to(Event.REFUSED)
        events.not_recorded(self._log, "the carrier reports that the recording failed")
        self._proceed()

    def close(self) -> None:
        """The call is over, or somebody else has it."""
        self._closed = True
        self._state_deadline.clear()
        self._pausing_stops()
        stops = self._facts.transferred and not self._goes_on
        if self._task is not None and not (stops and self.state is State.ASKED):  # else what it has begun is stopped
            self._task.cancel()
            self._task = None
        if self.state is State.WAITING:
            self._to(Event.LOST if self._maybe else Event.REFUSED)
        elif Event.CLOSE in self.transitions[self.state]:
            self._to(Event.CLOSE)
        if self.recording_sid is not None and stops:
            self._spawn(self._stop(self.recording_sid))

    # --- what is done ---

    def _want(self) -> None:
        self._wanted = True
        self._hushed = self._hushed or self._facts.private
        self._proceed()

    def _proceed(self) -> None:
        """The next step towards what is wanted, where none is being taken."""
        if self._closed:
            return
        if self._wanted and self.state is State.OFF and not self._hushed:
            self._begin()
        elif self._hushed and self._asked_quiet and self.state in (State.RECORDING, State.DOUBTFUL):
            self._change(Event.PAUSE, RecordingChange.PAUSE)
        elif not self._hushed and self.state in (State.PAUSED, State.DOUBTFUL):
            self._resume()
        if self._asked_quiet:
            self._answer()

    def _answer(self) -> None:
        """Whether it is quiet, if that is known now."""
        quiet = self.state in (State.OFF, State.PAUSED, State.STOPPED, State.FAILED)
        quiet = quiet or (self.state is State.WAITING and not self._maybe)
        doubtful = self.state is State.UNCERTAIN or (self.state is State.WAITING and self._maybe)
        if quiet or doubtful:
            self._say_quiet(quiet)

    def _say_quiet(self, quiet: bool) -> None:
        self._asked_quiet = False
        self._tell(RecordingHushed(quiet))

    def _begin(self) -> None:
        if self._recorder is None:
            self._to(Event.REFUSED)
            events.not_recorded(self._log, NO_CREDENTIALS)
            return
        self._tries += 1
        self._to(Event.ASK)
        self._task = self._spawn(self._ask(self._recorder))

    async def _ask(self, recorder: CarrierRecorder) -> None:
        answer = await recorder.begin(*self._sids)
        if asyncio.current_task() is self._task:
            self._task = None
            if not self._closed:
                self._begun(answer)
            elif isinstance(answer, RecordingBegun):
                await self._stop(answer.recording_sid)

    def _begun(self, answer: RecordingBegun | Refused | TryLater | Uncertain) -> None:
        if isinstance(answer, RecordingBegun):
            self.recording_sid = answer.recording_sid
            self._to(Event.BEGUN)
            events.recording_began(self._log, by="carrier", name=answer.recording_sid)
        elif isinstance(answer, Refused):
            self._to(Event.REFUSED)
            events.not_recorded(self._log, answer.reason)
        else:
            self._maybe = isinstance(answer, Uncertain)
            self._again(answer.reason, LOOK_UP_SECONDS if isinstance(answer, Uncertain) else answer.seconds)
        self._proceed()

    def _again(self, why: str, seconds: float) -> None:
        """Begin once more, which looks first what became of this one."""
        self._to(Event.LATER)
        if self._tries >= MAX_BEGINNINGS:
            self._to(Event.LOST if self._maybe else Event.REFUSED)
            events.not_recorded(self._log, why)
        else:
            self._state_deadline.set(min(max(seconds, LEAST_WAIT_SECONDS), MOST_WAIT_SECONDS))

    def _expired(self) -> None:
        """A wait is over, or an answer overdue."""
        if self.state is State.WAITING:
            if self._hushed:
                self._state_deadline.set(LOOK_UP_SECONDS)  # begun now it would hear what is private
            else:
                self._begin()
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.state is State.ASKED:
            self._begun(Uncertain("the carrier did not answer in time"))
        else:
            self._changed(done=False)

    def _resume(self) -> None:
        if self._resumptions < MAX_RESUMPTIONS:
            self._resumptions += 1
            self._change(Event.RESUME, RecordingChange.RESUME)

    def _change(self, event: Event, to: RecordingChange) -> None:
        assert self._recorder is not None  # it has begun one
        self._to(event)
        self._task = self._spawn(self._ask_change(self._recorder, to))

    async def _ask_change(self, recorder: CarrierRecorder, to: RecordingChange) -> None:
        done = await recorder.change(*self._sids, self.recording_sid or "", to)
        if asyncio.current_task() is self._task:
            self._task = None
            self._changed(done=done)

    def _changed(self, *, done: bool) -> None:
        pausing = self.state is State.PAUSING
        self._to(Event.DONE if done else Event.NOT_DONE)
        if done and pausing:
            self._paused_since_ns = self._clock.now_ns()
        elif done:
            self._pausing_stops()
        elif pausing and self._asked_quiet:
            self._say_quiet(False)
        elif not pausing and self._resumptions >= MAX_RESUMPTIONS:
            events.recording_left_paused(self._log)
        self._proceed()

    async def _stop(self, recording_sid: str) -> None:
        if self._recorder is not None and not await self._recorder.change(
            *self._sids, recording_sid, RecordingChange.STOP
        ):
            events.recording_not_stopped(self._log)

    # --- how long it was paused ---

    def _pausing_ns(self) -> int:
        return self._clock.now_ns() - self._paused_since_ns if self._paused_since_ns else 0

    def _pausing_stops(self) -> None:
        self._paused_ns += self._pausing_ns()
        self._paused_since_ns = 0
