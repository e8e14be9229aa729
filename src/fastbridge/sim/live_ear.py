"""What a GPT-Live session hears: the caller's audio, his turns in it, and their places on the session's clock.

Everything is kept as 8 kHz mu-law. Edges of speech are found on audio time; where that lies on the clock of the session
is known from when the audio came. Where none comes for a while the session hears silence, so that a turn ends.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .audio import SILENCE
from .audio_format import Decoder
from .vad import Edge, ServerVad
from .wire import MULAW_BYTES_PER_MS

STARVED_MS = 300.0
"""Audio that is later than this is taken for silence."""


class Heard(NamedTuple):
    """Speech began or ended at `at_ms` of the session's clock."""

    kind: str
    at_ms: float


class Ear:
    """`audio` is all that was appended, muted or not. `starved_ms`: silence that stood in for missing audio."""

    def __init__(self, audio_format: Mapping[str, Any], turn_silence_ms: int) -> None:
        self.audio = bytearray()
        self.starved_ms = 0.0
        self.muted = False
        self._decoder = Decoder(audio_format)
        self._vad = ServerVad(prefix_padding_ms=0, silence_duration_ms=turn_silence_ms)
        self._heard_bytes = 0

    @property
    def speaking(self) -> bool:
        """Whether the caller is."""
        return self._vad.speaking

    @property
    def heard_ms(self) -> float:
        """How much was heard, with the silence that stood in."""
        return self._heard_bytes / MULAW_BYTES_PER_MS

    def hear(self, audio: bytes, clock_ms: float, *, dropped: bool = False) -> list[Heard]:
        """Audio in the session's format; the edges of speech in it. dropped: nobody listens, as while muted."""
        ulaw = self._decoder.feed(audio)
        self.audio += ulaw
        return self._listen(SILENCE * len(ulaw) if self.muted or dropped else ulaw, clock_ms)

    def pass_time(self, clock_ms: float) -> list[Heard]:
        """The clock has come so far: silence where audio is missing."""
        missing_ms = clock_ms - STARVED_MS - self.heard_ms
        if missing_ms <= 0:
            return []
        self.starved_ms += missing_ms
        return self._listen(SILENCE * int(missing_ms * MULAW_BYTES_PER_MS), clock_ms - STARVED_MS)

    def _listen(self, ulaw: bytes, clock_ms: float) -> list[Heard]:
        self._heard_bytes += len(ulaw)
        ahead_ms = clock_ms - self.heard_ms
        return [_placed(edge, ahead_ms) for edge in self._vad.feed(ulaw)]


def _placed(edge: Edge, ahead_ms: float) -> Heard:
    return Heard(edge.kind, max(0.0, edge.at_ms + ahead_ms))
