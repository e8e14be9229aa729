"""The input audio buffer: what the caller said so far, and which part of it no turn has taken yet.

Positions are milliseconds of audio since the session began, as in the events of the service. Everything is kept as
8 kHz mu-law, whatever the session's format. The buffer finds the edges of speech; what they lead to is the session's.
"""

from collections.abc import Mapping
from typing import Any

from .audio_format import Decoder
from .session_object import SessionObject
from .vad import Edge
from .wire import MULAW_BYTES_PER_MS, Json


class InputBuffer:
    """`audio` is all that was ever appended; `start_ms` is where the part begins that is not committed.

    hears: the format that it is taken for, in place of the session's."""

    def __init__(self, session: SessionObject, hears: Mapping[str, Any] | None = None) -> None:
        self.audio = bytearray()
        self.start_ms = 0
        self._hears = hears
        self._format: Json = dict(hears or session.input["format"])
        self._detection: Json = dict(session.turn_detection)
        self._decoder = Decoder(self._format)
        self._vad = session.voice_activity(0)

    @property
    def end_ms(self) -> int:
        """The audio time now."""
        return len(self.audio) // MULAW_BYTES_PER_MS

    @property
    def pending_ms(self) -> float:
        """How much is not committed."""
        return len(self.audio) / MULAW_BYTES_PER_MS - self.start_ms

    def configure(self, session: SessionObject) -> None:
        """Follow the session's settings; what did not change goes on undisturbed."""
        wanted = self._hears or session.input["format"]
        if self._format != wanted:
            self._format = dict(wanted)
            self._decoder = Decoder(self._format)
        if self._detection != session.turn_detection:
            self._detection = dict(session.turn_detection)
            self._vad = session.voice_activity(self.end_ms)

    def append(self, audio: bytes) -> list[Edge]:
        """Add audio in the session's format; the edges of speech in it."""
        ulaw = self._decoder.feed(audio)
        self.audio += ulaw
        return self._vad.feed(ulaw) if self._vad is not None else []

    def begin(self, at_ms: int) -> None:
        """A turn begins here: what came before belongs to none."""
        self.start_ms = max(self.start_ms, at_ms)

    def take(self, end_ms: int) -> bytes:
        """Commit up to `end_ms`: that audio."""
        taken = bytes(self.audio[self.start_ms * MULAW_BYTES_PER_MS : end_ms * MULAW_BYTES_PER_MS])
        self.start_ms = end_ms
        return taken

    def cut(self) -> bytes:
        """Commit everything by hand, in the middle of speech or not."""
        if self._vad is not None:
            self._vad.reset()
        return self.take(self.end_ms)
