"""Between the wire formats of a session and 8 kHz mu-law, which everything in the simulator works in.

`audio/pcmu` passes through. `audio/pcm` is 24 kHz signed 16-bit little-endian mono: three samples for one. A-law is
not simulated. No filtering: good enough for voice detection and for counting, not for listening.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastbridge import _mulaw

PCM_BYTES_PER_MULAW_BYTE = 6
"""Three 16-bit samples at 24 kHz for each one at 8 kHz."""


class Decoder:
    """Incoming audio to mu-law; a split sample waits for its rest."""

    def __init__(self, audio_format: Mapping[str, Any]) -> None:
        self._is_mulaw = audio_format["type"] == "audio/pcmu"
        self._rest = b""

    def feed(self, audio: bytes) -> bytes:
        """The mu-law bytes that this completes."""
        if self._is_mulaw:
            return audio
        audio = self._rest + audio
        whole = len(audio) - len(audio) % PCM_BYTES_PER_MULAW_BYTE
        self._rest = audio[whole:]
        samples = np.frombuffer(audio[:whole], dtype="<i2").reshape(-1, 3)
        return _mulaw.encode(samples.mean(axis=1).astype(np.int16).tobytes())


def encode(ulaw: bytes, audio_format: Mapping[str, Any]) -> bytes:
    """Mu-law to the wire format."""
    if audio_format["type"] == "audio/pcmu":
        return ulaw
    samples = np.frombuffer(_mulaw.decode(ulaw), dtype=np.int16)
    return np.repeat(samples, 3).astype("<i2").tobytes()
