"""The caller's turns, and that each is answered: it ends in an answer heard, a question, or a goodbye.

The model answers a committed turn by itself; this file watches that it does, and asks where it does not: a turn that
nobody answers, speech whose end nobody noticed, an interruption that nobody but us heard. What becomes of the answer is
watched in `answers`.
"""

from collections import Counter
from typing import Protocol

from fastbridge._caller import CallerLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.call.happenings import SpeechIsOver, TurnTaken, WaitChanged
from fastbridge.call.upload_watch import VOICE_FRAMES
from fastbridge.model.port import Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

ANSWER_SECONDS = 2.5
"""A committed turn without any response for this long."""
OVERDUE_SECONDS = 0.7
"""What the caller has waited by then, of the patience he has."""
STALL_SECONDS = 8.0
"""What the model tells of a voice so long ago came late; a voice before that was another one's, or none."""
SLACK_SECONDS = 1.0
"""What the end of a turn may take longer than the model was told to wait."""
UNNOTICED_SECONDS = 6.0
UNNOTICED_LOOK_SECONDS = 0.3
"""Who interrupts, and is heard by our ear alone, is let finish for so long; noise does not speak for ever."""


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def line_up(self) -> bool: ...
    @property
    def handed_on(self) -> bool: ...
    @property
    def interrupts_unnoticed(self) -> bool: ...
    @property
    def said_unheard(self) -> bool: ...


class Turns:
    """One call's. `owed`: the caller has said something, and nothing is under way that answers. `speaking`: the caller
    is, by the model's account."""

    def __init__(
        self, *, clock: Clock, facts: Moment, caller: CallerLane, session: Model, log: CallLog, tell: Tell
    ) -> None:
        self.owed = False
        self.speaking = False
        self.uncommitted = False
        """We ended the caller's speech, and the model has not said that it took it."""
        self.owed_at_loss = False
        self.spoke_at_loss = False
        """What was so when the line was lost, until it is up again."""
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._facts = facts
        self._caller = caller
        self._session = session
        self._log = log
        self._tell = tell
        self._speech_ns = 0  # when the model told that it began
        self._interrupted_ns: int | None = None  # by a voice of which the model has not told since
        self._last_word = False
        self._told_frames = 0  # of the caller's voice, by the model's last word of it
        self._answer = Deadline(clock, self._unanswered)
        self._listen = Deadline(clock, self._listened)

    def close(self) -> None:
        self._answer.clear()
        self._listen.clear()

    def speech_started(self) -> None:
        """What was owed is not any more: the caller has gone on."""
        if self._last_word:
            return
        self.speaking, self.uncommitted, self._interrupted_ns = True, False, None
        self._session.responses.speech_started()
        self._speech_ns = self._clock.now_ns()
        self._settled()
        self._listen.set(self._turn_ends_in_seconds())

    def speech_stopped(self) -> None:
        """The caller waits."""
        if self._last_word:
            self._tell(WaitChanged(0.0))
            return
        late_seconds = self._told_late_seconds()
        self.speaking = False
        self._session.responses.speech_stopped()
        self._listen.clear()
        self._owe()
        self._told_frames = self._caller.voice_frames
        self._tell(WaitChanged(late_seconds))

    def _told_late_seconds(self) -> float:
        """By how much the model has told too late that the caller has stopped, where our ear heard that he did: since
        the model told that he began, or before that, where that came too late as well."""
        voice_ns = self._caller.last_voice_ns
        if voice_ns < self._speech_ns and not self._was_told_late(voice_ns):
            return 0.0
        waited_seconds = (self._clock.now_ns() - voice_ns) / 1e9
        return max(waited_seconds - self._session.turn_told_seconds, 0.0)

    def _was_told_late(self, voice_ns: int) -> bool:
        """Whether what the model tells of now is a voice that our ear has heard to its end, which was at this time."""
        heard_frames = self._caller.voice_frames - self._told_frames
        return heard_frames >= VOICE_FRAMES and self._clock.now_ns() - voice_ns <= STALL_SECONDS * 1e9

    def committed(self) -> None:
        self.uncommitted = False
        if not (self.speaking or self._last_word):
            self._owe()

    def last_word(self) -> None:
        """Goodbye is said, and nobody is listened to any more: only that is still owed."""
        self._caller.mute()
        self._last_word, self.speaking = True, False
        self._listen.clear()
        self._settled()

    def give_way(self) -> None:
        """What is being said, and was, is not answered."""
        if self.speaking:
            self.speaking = False
            self._told_frames = self._caller.voice_frames
            self._tell(SpeechIsOver())
            self._session.take_turn()
        self._interrupted_ns = None
        self._listen.clear()
        self._settled()

    def interrupted(self) -> None:
        """The assistant was cut off. Where nobody but our own ear heard why, nobody else will answer."""
        if not self.speaking:
            self._interrupted_ns = self._clock.now_ns()
            self._owe()
            self._tell(WaitChanged(0.0))

    @property
    def interrupted_unnoticed(self) -> bool:
        """The caller has interrupted, and the model has told nothing of it."""
        if self._interrupted_ns is None:
            return False
        return self._clock.now_ns() - self._interrupted_ns < UNNOTICED_SECONDS * 1e9

    def unheard(self) -> None:
        """The caller has spoken, and the model says nothing, of that or of anything."""
        self._watchdog("turns_unheard")
        self.owed = self.uncommitted = True
        self._tell(WaitChanged(OVERDUE_SECONDS))

    def heard_nothing(self) -> None:
        """It has listened, and there was no speech."""
        self.uncommitted = False
        self._settled()
        self._tell(WaitChanged(0.0))

    def owes(self) -> None:
        """An answer is to come, and somebody else sees to it."""
        self.owed = True
        self._answer.clear()

    def response_created(self, response_id: str, purpose: str) -> None:
        self._settled()

    def _owe(self) -> None:
        self.owed = True
        self._answer.set(ANSWER_SECONDS)

    def _settled(self) -> None:
        self.owed = False
        self._answer.clear()

    @property
    def _quiet_seconds(self) -> float:
        """The model hears speech where our own ear has heard none for this long: longer than it was told to wait."""
        return self._session.turn_end_seconds

    def _listened(self) -> None:
        """The model hears the caller speak. Do we?"""
        left_seconds = self._turn_ends_in_seconds()
        if left_seconds > 0.001:
            self._listen.set(left_seconds)
        else:
            self.take_turn("speech_unstopped")

    def _turn_ends_in_seconds(self) -> float:
        """By our ear alone: until the model should have told of the end of what it hears. What it began to tell of too
        late, when he had stopped, it has no need to wait for."""
        voice_ns = self._caller.last_voice_ns
        if voice_ns < self._speech_ns and not self._was_told_late(voice_ns):
            voice_ns = self._speech_ns  # a voice that our ear has not heard
        quiet_ns, slack_ns = int(self._quiet_seconds * 1e9), int(SLACK_SECONDS * 1e9)
        return (max(voice_ns + quiet_ns, self._speech_ns + slack_ns) - self._clock.now_ns()) / 1e9

    def take_turn(self, why: str) -> None:
        """The caller has spoken, by our ear, and the model does not say so: the turn is ended for it, and answered."""
        self._watchdog(why)
        self.speaking = False
        self._told_frames = self._caller.voice_frames
        self.uncommitted = True
        self._tell(SpeechIsOver())
        self._tell(TurnTaken())
        self._session.take_turn()
        self._session.responses.speech_stopped()
        self._session.responses.answer_turn()
        self._owe()
        self._tell(WaitChanged(OVERDUE_SECONDS))

    def _unanswered(self) -> None:
        if not self._session.responses.resting or self._facts.handed_on:
            self._answer.set(ANSWER_SECONDS)
        elif self._facts.interrupts_unnoticed:
            self._answer.set(UNNOTICED_LOOK_SECONDS)
        elif self._facts.line_up:
            self._watchdog("turn_unanswered")
            self._session.responses.answer_turn()

    # --- the line ---

    def line_lost(self, *_: object) -> None:
        """Nobody hears the caller any more, and nobody will answer what he has said."""
        unnoticed = self._facts.interrupts_unnoticed
        self.spoke_at_loss = self.speaking or unnoticed or self._facts.said_unheard
        self.speaking = False
        self._listen.clear()
        if self.spoke_at_loss or self._last_word:  # or nobody has begun, and a caller who is gone has given no sign
            self._tell(SpeechIsOver())
        self.owed_at_loss = self.owed and not unnoticed
        self._settled()

    @property
    def overdue_seconds(self) -> float:
        """How long a caller has waited already, who was speaking, or had just spoken, when the line was lost."""
        return (self._clock.now_ns() - self._caller.last_voice_ns) / 1e9 if self.spoke_at_loss else 0.0

    def line_up(self) -> None:
        """A session is there, and knows what was said. What he was saying then it hears, and tells of, only now."""
        self._told_frames = self._caller.voice_frames - (VOICE_FRAMES if self.spoke_at_loss else 0)
        if self.spoke_at_loss:  # and perhaps speaks on
            self._interrupted_ns = self._clock.now_ns()
        self.spoke_at_loss = self.owed_at_loss = False

    def _watchdog(self, what: str) -> None:
        self.counters[what] += 1
        events.answer_watchdog(self._log, what, self.counters[what])
