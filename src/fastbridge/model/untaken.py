"""What was written to the model's socket and is not taken: a peer that reads no more, and says nothing of it."""

from fastbridge.base.clock import Clock

UNTAKEN_BYTES = 32_768
"""Written and not taken: about 2 s of audio."""
UNTAKEN_SECONDS = 3.0
"""So much, and not getting less for this long: nobody reads."""


class Untaken:
    """Of one call's line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bytes = self._since_ns = 0

    def too_long(self, untaken_bytes: int) -> bool:
        """To be asked once a second, with what waits now. True once in UNTAKEN_SECONDS."""
        now_ns, before = self._clock.now_ns(), self._bytes
        self._bytes = untaken_bytes
        if before < UNTAKEN_BYTES or untaken_bytes < max(before, UNTAKEN_BYTES):
            self._since_ns = now_ns
        elif now_ns - self._since_ns > UNTAKEN_SECONDS * 1e9:
            self._since_ns = now_ns
            return True
        return False
