"""Server voice activity detection on audio time: the level of 20 ms windows, nothing cleverer.

Time is the count of samples fed, never a wall clock, so that a minute of audio sent in a second gives the same
edges as a minute sent in real time, and chunk sizes change nothing. Semantics of the two times: Realtime API
reference, `input_audio_buffer.speech_started` (includes the prefix padding) and `speech_stopped` (includes the
silence that ended the turn).
"""

from typing import Literal, NamedTuple

from fastbridge import _mulaw

from .wire import MULAW_BYTES_PER_MS

WINDOW_MS = 20
WINDOW_BYTES = WINDOW_MS * MULAW_BYTES_PER_MS
VOICE_WINDOWS = 3
"""Consecutive loud windows that make speech: a click is shorter."""
FULL_SCALE = 32124.0
"""The loudest mu-law code; the 0 of dBFS here."""


class Edge(NamedTuple):
    """Speech began or ended at `at_ms` of audio time."""

    kind: Literal["started", "stopped"]
    at_ms: int


def threshold_rms(threshold: float) -> float:
    """The level that counts as voice: -55 dBFS at threshold 0, -40 at the default 0.5, -25 at 1."""
    return float(FULL_SCALE * 10 ** ((-55 + 30 * threshold) / 20))


class ServerVad:
    """Feed mu-law, get edges. `start_ms` is the audio time of the first byte fed."""

    def __init__(
        self, *, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500, start_ms: int = 0
    ) -> None:
        self._loud_rms = threshold_rms(threshold)
        self._prefix_padding_ms = prefix_padding_ms
        self._silence_duration_ms = silence_duration_ms
        self._rest = bytearray()
        self._now_ms = start_ms
        self._floor_ms = start_ms
        self._loud_windows = 0
        self._voice_end_ms = start_ms
        self.speaking = False

    def feed(self, ulaw: bytes) -> list[Edge]:
        """The edges that these bytes complete, in order."""
        self._rest += ulaw
        whole = len(self._rest) - len(self._rest) % WINDOW_BYTES
        windows = bytes(self._rest[:whole])
        del self._rest[:whole]
        edges = (self._window(windows[at : at + WINDOW_BYTES]) for at in range(0, whole, WINDOW_BYTES))
        return [edge for edge in edges if edge is not None]

    def reset(self) -> None:
        """The buffer was committed or cleared by hand: listen afresh, never again claiming what lies before."""
        self.speaking = False
        self._loud_windows = 0
        self._floor_ms = self._now_ms

    def _window(self, window: bytes) -> Edge | None:
        self._now_ms += WINDOW_MS
        if _mulaw.rms(window) >= self._loud_rms:
            self._voice_end_ms = self._now_ms
            self._loud_windows += 1
            return self._start() if not self.speaking and self._loud_windows >= VOICE_WINDOWS else None
        self._loud_windows = 0
        silent_ms = self._now_ms - self._voice_end_ms
        return self._stop() if self.speaking and silent_ms >= self._silence_duration_ms else None

    def _start(self) -> Edge:
        self.speaking = True
        voice_start_ms = self._now_ms - VOICE_WINDOWS * WINDOW_MS
        return Edge("started", max(self._floor_ms, voice_start_ms - self._prefix_padding_ms))

    def _stop(self) -> Edge:
        self.speaking = False
        self._floor_ms = self._voice_end_ms + self._silence_duration_ms
        return Edge("stopped", self._floor_ms)
