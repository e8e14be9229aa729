"""The watch on the upload: does the model hear the caller? Our ear says when he spoke; the model, too, or it is asked.

A service that reads no more can go on talking, and its socket takes audio for a while: nothing tells. So a voice that
came and went without a word of the model's brings a question that every session answers at once. No sign, and the
caller is owed an answer; none for longer, and the session is given up. Noise that the model does not take for speech
costs one question. A sign, and still no word of what was long enough for a sentence: the event that tells of it may be
lost, so the turn is taken for the model, a few times a call.
"""

from enum import StrEnum
from typing import Protocol

from fastbridge._caller import CallerLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.call.happenings import NothingHeard, SessionUseless, TurnUnheard, TurnUnnoticed
from fastbridge.model.port import Model, Tell

VOICE_FRAMES = 25
"""A voice of half a second is one that the model should have noticed."""
QUIET_SECONDS = 0.8
"""After the voice: the model needs 0.5 s to hear that it has ended, and less to hear that it began."""
SIGN_SECONDS = 0.7
"""Without a sign for this long the caller is told to wait."""
DEAF_SECONDS = 4.5
"""And for this long more, the model is deaf. What only stalls comes back sooner."""
SENTENCE_FRAMES = 60
"""So much voice is a sentence, and not a door, a horn or a cough."""
MAX_TAKEN = 3
"""Turns taken in a call without a word of the model's: where there are more, the line has a noise like a voice."""


class State(StrEnum):
    LISTENING = "listening"
    QUIET_DUE = "quiet_due"
    ASKED = "asked"
    OWED = "owed"


class Moment(Protocol):
    """What the watch asks of its call: see `facts`."""

    @property
    def model_tells_of_the_caller(self) -> bool: ...


class UploadWatch:
    """One call's. Listens to what the caller lane counts; `check` is called once a second."""

    def __init__(self, *, clock: Clock, facts: Moment, caller: CallerLane, session: Model, tell: Tell) -> None:
        self.state = State.LISTENING
        self._clock = clock
        self._facts = facts
        self._caller = caller
        self._session = session
        self._tell = tell
        self._noticed_frames = 0  # of the caller's voice, as far as the model has heard it
        self._taken = 0
        self._deadline = Deadline(clock, self._due)

    @property
    def said_unheard(self) -> bool:
        """The caller has said something of which the model has not told, so far."""
        return self._caller.voice_frames - self._noticed_frames >= VOICE_FRAMES

    def check(self) -> None:
        """Has the caller said something of which the model has not told?"""
        if self.state is not State.LISTENING:
            return
        if self._facts.model_tells_of_the_caller:
            self.noticed()
        elif self.said_unheard:
            self._wait(State.QUIET_DUE, self._quiet_in_seconds())
        elif self._quiet_in_seconds() < 0:
            self._noticed_frames = self._caller.voice_frames  # a click, a cough

    def noticed(self) -> None:
        """The model has heard the caller, or must hear him anew."""
        self._noticed_frames = self._caller.voice_frames
        self._deadline.clear()
        self.state = State.LISTENING

    def sign(self) -> None:
        """The model has read what we sent it, and tells of nobody in it."""
        owed = self.state is State.OWED
        if not owed and self.state is not State.ASKED:
            return
        said_frames = self._caller.voice_frames - self._noticed_frames
        self.noticed()
        if said_frames >= SENTENCE_FRAMES and self._taken < MAX_TAKEN:
            self._taken += 1
            self._tell(TurnUnnoticed("turns_untold"))
        elif owed:
            self._tell(NothingHeard())

    def close(self) -> None:
        self._deadline.clear()

    def _quiet_in_seconds(self) -> float:
        return QUIET_SECONDS - (self._clock.now_ns() - self._caller.last_voice_ns) / 1e9

    def _wait(self, state: State, seconds: float) -> None:
        self.state = state
        self._deadline.set(seconds)

    def _due(self) -> None:
        if self._facts.model_tells_of_the_caller:
            self.noticed()
        elif self.state is State.QUIET_DUE:
            left_seconds = self._quiet_in_seconds()
            if left_seconds > 0.001:
                self._wait(State.QUIET_DUE, left_seconds)
                return
            self._wait(State.ASKED, SIGN_SECONDS)
            self._session.ask_for_a_sign()
        elif self.state is State.ASKED:
            self._wait(State.OWED, DEAF_SECONDS)
            self._tell(TurnUnheard())
        else:
            self.noticed()
            self._tell(SessionUseless("the model does not hear the caller", "upload_deaf"))
