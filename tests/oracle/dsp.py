"""Twin of fastbridge._dsp."""

import math

from oracle import mulaw

CORNER_HZ = 100.0
THRESHOLD = 28000.0
RATIO = 4.0
_TANGENT = math.tan(math.pi * CORNER_HZ / 8000.0)
DECAY = (1.0 - _TANGENT) / (1.0 + _TANGENT)
GAIN = 1.0 / (1.0 + _TANGENT)
LOUDEST = 32124.0


def limit(sample: float) -> float:
    if abs(sample) <= THRESHOLD:
        return sample
    return math.copysign(min(THRESHOLD + (abs(sample) - THRESHOLD) / RATIO, LOUDEST), sample)


def nearest_code(sample: float) -> int:
    """By the decision values of G.711: a decision value belongs to the code farther from nought."""
    top14 = int(sample / 4)  # towards nought
    return mulaw.encode_sample(top14 * 4)


class HighpassLimiter:
    def __init__(self) -> None:
        self._begin()
        self.failures = 0

    def _begin(self) -> None:
        self._begun = False
        self.last_input = 0.0
        self.last_output = 0.0

    def process(self, ulaw: bytes) -> bytes:
        if len(ulaw) == 0:
            return b""
        if not (abs(self.last_input) <= 65536 and abs(self.last_output) <= 65536):  # nor when they are no numbers
            self.failures += 1
            self._begin()
            return ulaw
        if not self._begun:
            self._begun = True
            self.last_input = float(mulaw.decode_sample(ulaw[0]))
        return bytes(self._next(code) for code in ulaw)

    def _next(self, code: int) -> int:
        sample = float(mulaw.decode_sample(code))
        output = DECAY * self.last_output + GAIN * (sample - self.last_input)
        if abs(output) < 1e-6:
            output = 0.0
        self.last_input = sample
        self.last_output = output
        return nearest_code(limit(output))
