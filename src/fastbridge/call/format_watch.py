"""Audio taken for what it is not, in one direction or the other: noise in somebody's ear.

A model that takes mu-law for something else counts the caller's audio by a clock that runs slow; one that speaks
something else is told by its bytes (`_pcm`), or by how much of it comes. Once, another session is tried; twice, it is
the end.
"""

from collections import Counter

from fastbridge._assistant import AssistantLane
from fastbridge._caller import FORWARDED, CallerLane
from fastbridge.call.happenings import ModelHopeless, SessionUseless
from fastbridge.errors import ModelUnavailable
from fastbridge.model.port import LOCAL_ID, Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

QUIET_MIN_MS, QUIET_SHARE = 2000, 0.2
"""Nobody had spoken for so long of a session's audio: then speech that the model puts into the first fifth of it was
put there by a clock that runs slow."""


class FormatWatch:
    """One call's."""

    def __init__(
        self, *, assistant: AssistantLane, caller: CallerLane, session: Model, log: CallLog, tell: Tell
    ) -> None:
        self.noise_response = ""
        """A response whose audio was none."""
        self.counters: Counter[str] = Counter()
        self._assistant = assistant
        self._caller = caller
        self._session = session
        self._log = log
        self._tell = tell
        self._forwarded_before = 0  # frames sent in earlier sessions
        self._quiet_ms = 0  # of the audio sent in this one: up to there we heard nobody whom the model has not
        self._told_frames = 0  # of the caller's voice, by the model's last word of it

    def speech_started(self) -> None:
        """Does the model count the caller's audio as we do? By places in it, not by when we are told: the line may have
        stood still."""
        start_ms = self._session.speech_start_ms
        if start_ms is not None and self._quiet_ms > QUIET_MIN_MS and start_ms < self._quiet_ms * QUIET_SHARE:
            self._mismatch()

    def told(self, *_: object) -> None:
        """What our ear has heard of the caller up to here, the model has told of, or never will."""
        self._told_frames = self._caller.voice_frames

    def listen(self) -> None:
        """Once a second: has the caller said anything, by our own ear, since the model has told of him last?"""
        if self._caller.voice_frames == self._told_frames:
            self._quiet_ms = (self._caller.outcomes[FORWARDED] - self._forwarded_before) * 20

    def line_up(self) -> None:
        """Another session counts from its own beginning."""
        self._forwarded_before, self._quiet_ms = self._caller.outcomes[FORWARDED], 0
        self.told()

    def noise(self, item_id: str) -> None:
        """What the model speaks is not in the format agreed on: nothing of it is heard from here on, or was said. It is
        asked for again in another session."""
        if item_id.startswith(LOCAL_ID):  # a recording of the operator's own: not for the model to answer for
            return
        self._unsay()

    def too_fast(self) -> None:
        """The same, told by how much of it there is: mu-law has 8000 bytes a second. Its silence is noise, too: where
        nothing is being said, what was said before was none."""
        if self._session.responses.generating:
            self._unsay()
        else:
            self._mismatch()

    def _unsay(self) -> None:
        self.noise_response = self._session.responses.response_id or ""
        self._assistant.clear()
        self._session.unsay(self.noise_response)
        self._mismatch()

    def _mismatch(self) -> None:
        self.counters["format_mismatch"] += 1
        events.answer_watchdog(self._log, "format_mismatch", self.counters["format_mismatch"])
        if self.counters["format_mismatch"] > 1:
            error = ModelUnavailable("the audio formats do not agree", "format_mismatch")
            self._tell(ModelHopeless(error))
        else:
            self._tell(SessionUseless("the audio formats do not agree", "clock_mismatch"))
