"""The caller's audio made easier to understand: rumble and offset taken out, peaks rounded off. Mu-law in, mu-law out.

A high-pass of first order at 8 kHz, `y[n] = DECAY * y[n-1] + GAIN * (x[n] - x[n-1])`, the bilinear form with its
corner (-3.01 dB) at CORNER_HZ; then the limiter; then the nearest mu-law code. The voice's band decides the corner: one
at 120 Hz would still take 0.64 dB at 300 Hz. At 100 Hz the filter is at -2.29 dB at 120 Hz, within 0.46 dB from 300 Hz
to 3.4 kHz, and a constant offset goes entirely.
"""

from typing import final

CORNER_HZ: float
"""100.0."""
DECAY: float
"""(1 - t) / (1 + t), with t = tan(pi * CORNER_HZ / 8000): the filter's pole."""
GAIN: float
"""1 / (1 + t): so that the gain at 4 kHz is 1."""
THRESHOLD: float
"""28000.0, of 32768."""
RATIO: float
"""4.0."""

def limit(sample: float) -> float:
    """The limiter's curve, for a linear sample. Odd, continuous, without memory:

    |sample| <= THRESHOLD: the sample itself; above: THRESHOLD + (|sample| - THRESHOLD) / RATIO, with the sample's sign,
    and never more than 32124, the largest sample of G.711. So full scale, 32124, comes out as 29031.
    """

@final
class HighpassLimiter:
    """The state of one call. Never raises on audio; every output depends on this call's earlier audio alone.

    The filter takes the sample before the first one to be equal to it, so that a line with an offset begins with
    silence and not with a click. Silence (0xFF) behind silence stays 0xFF, bit for bit; behind a sound it is 0xFF again
    within 20 ms. How the audio is cut into frames changes nothing.
    """

    last_input: float
    """The filter's state: the last linear sample that came in, and ..."""
    last_output: float
    """... what the high-pass made of it. Below a millionth it is flushed to 0, so that no silence ends in denormals."""

    def __init__(self) -> None: ...
    def process(self, ulaw: bytes) -> bytes:
        """As many codes out as in, any number. Failsafe: where the state is impossible (not a number, or beyond what
        any audio can bring about) the audio is returned unchanged, counted in `failures`, and the filter begins afresh.
        """
    @property
    def failures(self) -> int: ...
