"""Between the wire formats of a session and 8 kHz mu-law, which everything in the simulator works in.

`audio/pcmu` passes through. `audio/pcm` is signed 16-bit little-endian mono, 24 kHz unless its `rate` says 16: three or
two samples for one. A-law is not simulated. No filtering: good enough for voice detection and for counting, not for
listening.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbridge import _mulaw

MULAW_RATE_HZ = 8000
PCM_RATE_HZ = 24_000


class Decoder:
    """Incoming audio to mu-law; a split sample waits for its rest."""

    def __init__(self, audio_format: Mapping[str, Any]) -> None:
        self._is_mulaw = audio_format["type"] == "audio/pcmu"
        self._samples = _samples(audio_format)
        self._rest = b""

    def feed(self, audio: bytes) -> bytes:
        """The mu-law bytes that this completes."""
        if self._is_mulaw:
            return audio
        audio = self._rest + audio
        whole = len(audio) - len(audio) % (2 * self._samples)
        self._rest = audio[whole:]
        samples = np.frombuffer(audio[:whole], dtype="<i2").reshape(-1, self._samples)
        return _mulaw.encode(samples.mean(axis=1).astype(np.int16).tobytes())


def encode(ulaw: bytes, audio_format: Mapping[str, Any]) -> bytes:
    """Mu-law to the wire format."""
    if audio_format["type"] == "audio/pcmu":
        return ulaw
    samples = np.frombuffer(_mulaw.decode(ulaw), dtype=np.int16)
    return np.repeat(samples, _samples(audio_format)).astype("<i2").tobytes()


def _samples(audio_format: Mapping[str, Any]) -> int:
    """So many of the format's samples for each one at 8 kHz."""
    rate_hz: int = audio_format.get("rate", PCM_RATE_HZ)
    return rate_hz // MULAW_RATE_HZ
