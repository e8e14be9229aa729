"""A gap in the caller's audio while he speaks: the model can end his turn only on silence that it is sent.

A model whose stream never pauses wants one that never does, whoever speaks.
"""

from fastbridge._caller import CallerLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.call.facts import MEDIA_GAP_SECONDS

GAP_SILENCE_FRAMES = 50
IN_TIME_FRAMES = round(MEDIA_GAP_SECONDS * 50)
"""As much as is missing: who hears in real time hears what is more so much later, for the rest of the call."""


class MediaGap:
    """One call's. always: as long as there is a session, not only while he speaks."""

    def __init__(self, *, clock: Clock, caller: CallerLane, always: bool = False) -> None:
        self._always = always
        self._clock = clock
        self._caller = caller
        self._look = Deadline(clock, self._check)

    def begin(self) -> None:
        """The caller speaks, by the model's account."""
        self._look.set(MEDIA_GAP_SECONDS)

    def line_up(self) -> None:
        """A session is there."""
        if self._always:
            self.begin()

    def end(self) -> None:
        if not self._always:
            self.close()

    def close(self) -> None:
        self._look.clear()

    def _check(self) -> None:
        if self._clock.now_ns() - self._caller.last_media_ns >= MEDIA_GAP_SECONDS * 1e9:
            self._caller.send_silence(IN_TIME_FRAMES if self._always else GAP_SILENCE_FRAMES)
        self.begin()
