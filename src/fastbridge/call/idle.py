"""The idle caller, who says nothing or cannot be understood: prompts first, then the end of the call.

True silence is when the caller is not heard, nothing is being said and no tool works. Against a noisy line, where the
caller is heard all the time and never understood, there is a second clock: from the first sound that became no words.
`Silence` decides; `Idle` has the model say what is said then.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import Turn
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import LastWord, LeaveAsked
from fastbridge.config import Settings
from fastbridge.model.instructions import GOODBYE_NOISE, GOODBYE_SILENCE, STILL_THERE
from fastbridge.model.port import Model, Tell, Wish
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats

LOOK_SECONDS = 1.0
"""How often the owner calls `look`."""
SPEECH_SECONDS = 60.0
"""Speech that does not end for so long is none: its end was lost, or it is a noise."""


class State(StrEnum):
    BUSY = "busy"
    QUIET = "quiet"
    PROMPTED = "prompted"
    OVER = "over"


class Event(StrEnum):
    STIR = "stir"
    HUSH = "hush"
    PROMPT = "prompt"
    GIVE_UP = "give_up"
    RESUME = "resume"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.BUSY: {Event.HUSH: State.QUIET, Event.GIVE_UP: State.OVER},
    State.QUIET: {Event.STIR: State.BUSY, Event.PROMPT: State.PROMPTED, Event.GIVE_UP: State.OVER},
    State.PROMPTED: {Event.STIR: State.BUSY, Event.HUSH: State.QUIET, Event.GIVE_UP: State.OVER},
    State.OVER: {Event.RESUME: State.BUSY},
}
"""QUIET lasts `seconds` at most; PROMPTED until the prompt is said, or two seconds; BUSY is bounded by the noise clock
and the call's longest time."""
PROMPTED_SECONDS = 2.0


class Room(Protocol):
    """What the watch asks of its call."""

    @property
    def attentive(self) -> bool:
        """The session is up and nobody is leaving: silence counts."""

    @property
    def quiet(self) -> bool: ...
    @property
    def handed_on(self) -> bool: ...


class Silence(Machine[State, Event]):
    """seconds: of true silence, before each of `prompts` prompts and before giving up; 0 for never. noise_seconds: from
    the first speech without words; 0 for never. prompt(number), give_up(), give_up_noise(): what to do."""

    transitions = TRANSITIONS

    def __init__(
        self,
        room: Room,
        clock: Clock,
        *,
        seconds: float,
        prompts: int,
        noise_seconds: float,
        prompt: Callable[[int], object],
        give_up: Callable[[], object],
        give_up_noise: Callable[[], object],
    ) -> None:
        super().__init__(clock, State.BUSY)
        self.prompts = 0
        """Since the caller was last heard."""
        self._room = room
        self._clock = clock
        self._seconds = seconds
        self._limit = prompts
        self._noise_seconds = noise_seconds
        self._prompt, self._give_up, self._give_up_noise = prompt, give_up, give_up_noise
        self._since_ns = 0
        self._speech_ns: int | None = None  # the caller speaks since
        self._noise_ns: int | None = None  # no words since
        self._check = Deadline(clock, self.look)

    @property
    def caller_speaking(self) -> bool:
        return self._speech_ns is not None and self._elapsed(self._speech_ns) < SPEECH_SECONDS

    def close(self) -> None:
        self._check.clear()

    def speech_started(self) -> None:
        now = self._clock.now_ns()
        self._speech_ns = now
        if self._noise_ns is None:
            self._noise_ns = now
        self.heard()

    def speech_stopped(self) -> None:
        self._speech_ns = None
        self.heard()

    def words(self, *_: object) -> None:
        """The caller was understood, or did something that no noise does."""
        self._noise_ns = None
        self.heard()

    def heard(self) -> None:
        """The caller was heard."""
        self.prompts = 0
        self._stir()

    def _stir(self) -> None:
        if self.state in (State.QUIET, State.PROMPTED):
            self._to(Event.STIR)

    def look(self) -> None:
        """To be called once a second: has anything changed? The end of a silence is met between two looks, too."""
        if self.state is State.OVER:
            return
        self._judge()
        left_seconds = self._seconds - self._elapsed(self._since_ns)
        if self.state is State.QUIET and self._seconds and left_seconds < LOOK_SECONDS:
            self._check.set(max(left_seconds, 0.0))

    def _judge(self) -> None:
        if not self._room.attentive:
            self._stir()
        elif self._noise_ns is not None and 0 < self._noise_seconds <= self._elapsed(self._noise_ns):
            self._to(Event.GIVE_UP)
            self._give_up_noise()
        elif self.caller_speaking or self._room.handed_on or not self._room.quiet:
            self._stir()
        elif self.state is State.BUSY or (
            self.state is State.PROMPTED and self._elapsed(self._since_ns) >= PROMPTED_SECONDS
        ):
            self._to(Event.HUSH)
        elif self.state is State.QUIET and self._seconds and self._elapsed(self._since_ns) >= self._seconds:
            self._next()

    def model_asks(self) -> None:
        """The model has found the silence long enough, and prompts by itself. In the place of one of ours, so that a
        caller who is gone is not asked for ever; where silence never ends a call, it is none of our business."""
        if self.state is State.QUIET and self._seconds:
            self._next(ours=False)

    def _next(self, *, ours: bool = True) -> None:
        if self.prompts < self._limit:
            self.prompts += 1
            self._to(Event.PROMPT)
            if ours:
                self._prompt(self.prompts)
        else:
            self._to(Event.GIVE_UP)
            self._give_up()

    def resume(self) -> None:
        """It was given up too early: the caller has spoken after all."""
        if self.state is State.OVER:
            self._to(Event.RESUME)
            self.prompts = 0
            self._noise_ns = None

    def _elapsed(self, since_ns: int) -> float:
        return (self._clock.now_ns() - since_ns) / 1e9

    def _to(self, event: Event) -> None:
        super()._to(event)
        self._since_ns = self._clock.now_ns()
        if self.state is State.OVER:
            self._check.clear()


class Idle(Silence):
    """The watch of one call, which has the model ask, and say goodbye."""

    def __init__(
        self,
        language: str,
        *,
        clock: Clock,
        facts: Room,
        settings: Settings,
        session: Model,
        stats: CallStats,
        log: CallLog,
        tell: Tell,
    ) -> None:
        super().__init__(
            facts,
            clock,
            seconds=settings.silence_seconds,
            prompts=settings.silence_prompts,
            noise_seconds=_noise_seconds(settings),
            prompt=self._ask,
            give_up=lambda: self._leave(EndReason.SILENCE, GOODBYE_SILENCE, firm=False),
            give_up_noise=lambda: self._leave(EndReason.LINE_NOISE, GOODBYE_NOISE, firm=True),
        )
        self._language = language
        self._prompts_wanted = settings.silence_prompts
        self._session = session
        self._stats = stats
        self._log = log
        self._tell = tell

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._language = agent.language
        self._noise_seconds = _noise_seconds(settings)

    def machine(self) -> None:
        """Nobody is there to be asked: the first silence is the last."""
        self._limit = 0

    def person(self) -> None:
        self._limit = self._prompts_wanted
        self.heard()

    def transcribed(self, turn: Turn) -> None:
        if turn.role == "caller" and (turn.text or turn.failed):
            self.words()

    def model_asks(self) -> None:
        self._stats.silences += 1
        events.model_asks(self._log)
        super().model_asks()

    def _ask(self, number: int) -> None:
        self._stats.silences += 1
        events.caller_silent(self._log, number)
        self._say("silence", STILL_THERE)

    def _leave(self, reason: EndReason, instructions: str, *, firm: bool) -> None:
        """firm: what is said now is said to the end, whatever is heard on the line; so it is not listened to."""
        events.giving_up(self._log, reason)
        if firm:
            self._tell(LastWord())
        self._say("silence_goodbye", instructions, firm=firm)
        self._tell(LeaveAsked(reason, firm))

    def _say(self, purpose: str, instructions: str, *, firm: bool = False) -> None:
        if self._session.ready:
            words = Wish(first_in(self._language, instructions))
            self._session.responses.create(purpose, words, firm=firm)


def _noise_seconds(settings: Settings) -> float:
    """Where nothing is written down, nobody can tell that nothing was understood."""
    return settings.noise_seconds if settings.transcription_model else 0.0
