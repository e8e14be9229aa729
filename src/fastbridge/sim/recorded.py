"""The sound of a recording: what was said and heard on a call's media stream in the times that were recorded.

Outside its stream a call is silent here. An MP3 has the right length and no sound: there is no encoder.
"""

import io
import wave
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastbridge.sim.audio import RATE_HZ, SILENCE, from_ulaw

BYTES_A_MS = RATE_HZ // 1000
_MP3_FRAME = b"\xff\xe3\x18\xc0".ljust(72, b"\0")
"""MPEG 2.5, layer III, 8 kbit/s, 8 kHz, mono: 576 samples of silence."""
_MP3_FRAME_SECONDS = 0.072


class Span(NamedTuple):
    """Recorded time on the loop's clock. silent: it was paused, and its length kept."""

    from_ms: float
    until_ms: float
    silent: bool = False


def cut(ulaw: bytes, start_ms: float, spans: Sequence[Span]) -> bytes:
    """ulaw: of a stream that began at start_ms."""
    return b"".join(_piece(ulaw, start_ms, span) for span in spans)


def _piece(ulaw: bytes, start_ms: float, span: Span) -> bytes:
    length = round(span.until_ms - span.from_ms) * BYTES_A_MS
    if span.silent:
        return SILENCE * length
    begin = round(span.from_ms - start_ms) * BYTES_A_MS
    before = SILENCE * min(length, max(0, -begin))
    sound = ulaw[max(0, begin) : max(0, begin + length)]
    return (before + sound).ljust(length, SILENCE)


def wav(channels: Sequence[bytes], *, mixed: bool) -> bytes:
    """A WAV file, 16 bit PCM at 8 kHz, of mu-law channels of one length; mixed: into one."""
    samples = [from_ulaw(channel) for channel in channels]
    columns = [np.sum(samples, axis=0)] if mixed else samples
    pcm = np.clip(np.stack(columns, axis=1) * 32768.0, -32768, 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(len(columns))
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(pcm.tobytes())
    return file.getvalue()


def mp3(seconds: float) -> bytes:
    return _MP3_FRAME * max(1, round(seconds / _MP3_FRAME_SECONDS))
