"""The caller's turns, read out of fragments of transcript that name no turn: they begin with words and end in a pause.

Fragments carry the session's clock. A turn is over when no more words come and our own ear hears no voice, or when the
assistant answers. Words may come after the answer began: the turn is told then, by our ear alone, and its words are
written down when they come, and nobody waits for anything. Nothing here sends.
"""

from collections import Counter
from enum import StrEnum
from typing import Protocol

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import Turn
from fastbridge.base.machine import Machine
from fastbridge.model import port
from fastbridge.model.history import History

PAUSE_SECONDS = 0.8
"""Without words, and VOICE_PAUSE_SECONDS of it without a voice: the turn is over."""
VOICE_PAUSE_SECONDS = 0.5
VOICE_OVER_SECONDS = 0.1
"""Without a voice, by an ear that goes on for 0.2 s: who begins to speak now does not speak over him."""
SAID_SECONDS = 0.3
"""Without a voice, by the same ear, when the session is lost: he has finished, and his words have had time to come."""
MIN_VOICE_FRAMES = 15
"""So much voice, of 20 ms each, is something that can be answered."""
LONGEST_PAUSE_SECONDS = 8.0
"""Without words, whatever our ear hears: a noise is no turn."""
NEAR_MS = 300
"""Of the session's clock: what begins so soon after a turn's last words is of the same turn."""
LATE_SECONDS = 1.0
"""Of ours: so long after its end a turn may still get words."""


class State(StrEnum):
    QUIET = "quiet"
    SPEAKING = "speaking"


class Event(StrEnum):
    WORDS = "words"
    OVER = "over"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.QUIET: {Event.WORDS: State.SPEAKING, Event.OVER: State.QUIET},
    State.SPEAKING: {Event.WORDS: State.SPEAKING, Event.OVER: State.QUIET},
}
"""SPEAKING lasts as long as words or a voice come: LONGEST_PAUSE_SECONDS behind the last words at most."""


class Ear(Protocol):
    """The caller's lane."""

    @property
    def last_voice_ns(self) -> int: ...
    @property
    def voice_frames(self) -> int: ...


class CallerTurns(Machine[State, Event]):
    """One call's. counters: where what is told too late is counted. writes: whether the words are kept."""

    transitions = TRANSITIONS

    def __init__(self, *, clock: Clock, ear: Ear, history: History, counters: Counter[str], tell: port.Tell) -> None:
        super().__init__(clock, State.QUIET)
        self.writes = True
        self._clock = clock
        self._ear = ear
        self._history = history
        self._counters = counters
        self._tell = tell
        self._turns = 0
        self._turn: Turn | None = None
        self._answered = False  # the turn under way has its answer: nobody is told but of its words
        self._told_frames = 0  # of the caller's voice, as far as it was told of
        self._words_ns = self._over_ns = 0
        self._end_ms = 0  # of the last words, by the session's clock
        self._pause = Deadline(clock, self._look)

    def heard(self, text: str, start_ms: int, end_ms: int, answer_ms: int | None) -> None:
        """A fragment. answer_ms: where the assistant has spoken last, if it has."""
        if start_ms == end_ms:  # no speech: an echo of what the model was told in text
            self._counters["other_fragments"] += 1
            return
        if self._is_late(start_ms):
            self._counters["late_fragments"] += 1
            self._write(text)
            return
        self._words_ns, self._end_ms = self._clock.now_ns(), end_ms
        if self.state is State.QUIET:
            self._begin(answered=answer_ms is not None and end_ms <= answer_ms and not self._has_spoken)
        self._write(text)
        self._pause.set(PAUSE_SECONDS)

    def _is_late(self, start_ms: int) -> bool:
        """Whether it belongs to the turn that is over: it lies before that one's last words, or soon behind them and
        has not taken long."""
        soon = self._clock.now_ns() - self._over_ns < LATE_SECONDS * 1e9 and start_ms <= self._end_ms + NEAR_MS
        return self.state is State.QUIET and self._turn is not None and (soon or start_ms < self._end_ms)

    def _begin(self, *, answered: bool) -> None:
        self._turns += 1
        item_id = f"caller_{self._turns}"
        self._answered = answered
        self._to(Event.WORDS)
        if answered:  # it stands before its answer
            self._history.follows(self._history.speaking_item, item_id)
        else:
            self._tell(port.SpeechStarted())
        self._turn = self._history.caller_turn(item_id)

    def _write(self, text: str) -> None:
        if self._turn is not None and self.writes:
            self._history.write(self._turn, text)

    @property
    def _has_spoken(self) -> bool:
        """By our ear, since what was told of last."""
        return self._ear.voice_frames - self._told_frames >= MIN_VOICE_FRAMES

    @property
    def voice_is_over(self) -> bool:
        """By our ear."""
        return self._voiceless_seconds >= VOICE_OVER_SECONDS

    @property
    def _voiceless_seconds(self) -> float:
        return (self._clock.now_ns() - self._ear.last_voice_ns) / 1e9

    @property
    def is_said(self) -> bool:
        """A turn is under way, and our ear hears nobody any more."""
        return self.state is State.SPEAKING and self._voiceless_seconds >= SAID_SECONDS

    @property
    def late_item(self) -> str:
        """The turn that is over and may still get words; empty for none."""
        turn, late_ns = self._turn, self._clock.now_ns() - self._over_ns
        return turn.item_id if turn is not None and turn.ended and late_ns < LATE_SECONDS * 1e9 else ""

    def settle(self) -> None:
        """What he has said so far is a turn: nothing more will be heard of it."""
        if self.state is State.SPEAKING:
            self._over()

    def lose(self, told_ns: int) -> None:
        """The session is lost, which was alive until then. What he has said, by our ear, is over; what he said just
        before that, or since, had no time to become words."""
        unanswered = self.state is State.SPEAKING and not self._answered
        if self._turn is not None and (unanswered or self._over_ns > told_ns):
            self._turn.cut = self._ear.last_voice_ns > told_ns - SAID_SECONDS * 1e9
        if self.is_said:
            self.settle()

    def answered(self) -> None:
        """The assistant begins to answer: what he has said so far is a turn, in words or, so far, without."""
        if self.state is State.SPEAKING:
            self._over()
        elif self._has_spoken:
            self._told_frames = self._ear.voice_frames
            for event in (port.SpeechStarted(), port.SpeechStopped(), port.TurnCommitted()):
                self._tell(event)

    def forget(self) -> None:
        """Another session counts by its own clock."""
        self.settle()
        self._turn = None

    def close(self) -> None:
        self._pause.clear()
        if self._turn is not None:
            self._turn.text = self._turn.text.strip()

    def _look(self) -> None:
        wordless_seconds = (self._clock.now_ns() - self._words_ns) / 1e9
        voiceless_seconds = self._voiceless_seconds
        if voiceless_seconds >= VOICE_PAUSE_SECONDS or wordless_seconds >= LONGEST_PAUSE_SECONDS:
            self._over()
        else:
            self._pause.set(max(VOICE_PAUSE_SECONDS - voiceless_seconds, 0.001))

    def _over(self) -> None:
        self._pause.clear()
        self._to(Event.OVER)
        self._over_ns = self._clock.now_ns()
        self._told_frames = self._ear.voice_frames
        if not self._answered:
            self._tell(port.SpeechStopped())
            self._tell(port.TurnCommitted())
        turn = self._turn
        if turn is not None and not turn.ended:
            turn.ended = True
            self._history.strip(turn)
            self._tell(port.Transcribed(turn))
