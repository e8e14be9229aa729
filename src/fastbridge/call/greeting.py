"""The greeting of one call, and the lock that keeps the caller out of it until it has been heard.

The lock is never for ever: it is released when the greeting has been played, when its response fails or is
interrupted, after 5 s without its first audio, and after 30 s whatever happens.
"""

from enum import StrEnum
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import CallClock, Deadline
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.port import Model, saying
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats

FIRST_AUDIO_SECONDS = 5.0
HARD_SECONDS = 30.0
CHECK_SECONDS = 0.25
HEARD_SECONDS = 1.5


class State(StrEnum):
    NONE = "none"
    WAITING = "waiting"
    REQUESTED = "requested"
    PLAYING = "playing"
    OVER = "over"


class Moment(Protocol):
    """What a greeting asks of its call: see `facts`."""

    @property
    def assistant_speaks(self) -> bool: ...


class Greeting:
    """text: what is said first, in these words; empty for no greeting and so no lock. heard_seconds: without a sound of
    it, that was all, whether the model says so or not."""

    def __init__(
        self,
        text: str,
        *,
        lock: bool,
        clock: CallClock,
        facts: Moment,
        assistant: AssistantLane,
        caller: CallerLane,
        session: Model,
        stats: CallStats,
        log: CallLog,
        heard_seconds: float = HEARD_SECONDS,
    ) -> None:
        self._heard_ns = int(heard_seconds * 1e9)
        self.state = State.WAITING if text else State.NONE
        self.locked = False
        self._text = text
        self._lock = lock and bool(text)
        self._clock = clock
        self._facts = facts
        self._assistant = assistant
        self._caller = caller
        self._session = session
        self._stats = stats
        self._log = log
        self._begun = False
        self._response_id: str | None = None
        self._first_audio = Deadline(clock, self._release)
        self._hard = Deadline(clock, self._release)
        self._check = Deadline(clock, self._check_played)

    @property
    def awaited(self) -> bool:
        """It is to be heard, and nothing has been heard of it."""
        return self.state in (State.WAITING, State.REQUESTED)

    def begin(self) -> None:
        """The stream has started: from here on the caller is locked out."""
        self._begun = True
        if self._lock:
            self.locked = True
            self._caller.lock()
            self._hard.set(HARD_SECONDS)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """Who answers is known now."""
        self.change(agent.greeting, lock=settings.greeting_lock if agent.greeting_lock is None else agent.greeting_lock)

    def change(self, text: str, *, lock: bool) -> None:
        """What is known of the caller makes it another one. Not any more once it has been asked for."""
        if self.state not in (State.NONE, State.WAITING):
            return
        self.state = State.WAITING if text else State.NONE
        self._text, self._lock = text, lock and bool(text)
        if not self._lock:
            self._unlock()
        elif self._begun and not self.locked:
            self.begin()

    def ready(self) -> None:
        """The session is ready: ask for the greeting."""
        if self.state is State.WAITING:
            self.state = State.REQUESTED
            self._first_audio.set(FIRST_AUDIO_SECONDS)
            self._session.responses.create("greeting", saying(self._text, "Greet the caller now. "))

    def response_created(self, response_id: str, purpose: str) -> None:
        if self.state is State.REQUESTED and purpose == "greeting":
            self._response_id = response_id

    def playing(self, response_id: str) -> None:
        """The first frame of a response has left."""
        if response_id == self._response_id and self.state is State.REQUESTED:
            self.state = State.PLAYING
            self._first_audio.clear()
            self._stats.greeting_ms = self._clock.now_ms()
            events.greeting(self._log, self._stats.greeting_ms)
            self._check.set(CHECK_SECONDS)

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        if response_id != self._response_id:
            return
        if status == "lost" and self.state is State.REQUESTED:  # none of it was heard: it will be asked for again
            self._response_id = None
            return
        silent = self.state is State.REQUESTED and not self._assistant.playing
        if status != "completed" or silent:  # nothing more of it will be heard
            self._release()

    def played(self, response_id: str) -> None:
        """The end mark of a response came back."""
        if response_id == self._response_id:
            self._release()

    def give_way(self) -> None:
        """It is not said, or not to its end."""
        if self.state is not State.NONE:
            self._release()

    def interrupted(self) -> None:
        if self.state is State.PLAYING:
            self._release()

    def close(self) -> None:
        for deadline in (self._first_audio, self._hard, self._check):
            deadline.clear()

    def _check_played(self) -> None:
        """The playout clock, for a carrier whose marks do not come back and a model that does not say where it ends."""
        silent_ns = self._clock.now_ns() - self._assistant.schedule.play_end_ns
        unfinished = self._session.responses.busy and silent_ns < self._heard_ns
        if self._facts.assistant_speaks or unfinished:
            self._check.set(CHECK_SECONDS)
        else:
            self._release()

    def _release(self) -> None:
        self.close()
        self.state = State.OVER
        self._unlock()

    def _unlock(self) -> None:
        self._hard.clear()
        if self.locked:
            self.locked = False
            self._caller.unlock()
