"""G.711 mu-law, base64 and the audio ring. Leaves: nothing here knows of calls, sockets or clocks.

Source: ITU-T G.711 (mu-law, 14-bit linear scaled to 16 bits); RFC 4648 section 4 (base64, strict).
"""

SILENCE: int
"""The mu-law code of digital silence, 0xFF."""

def decode(ulaw: bytes) -> bytes:
    """Mu-law to 16-bit signed native-endian PCM. n bytes in, 2n bytes out."""

def encode(pcm: bytes) -> bytes:
    """16-bit signed native-endian PCM to mu-law. 2n bytes in, n out. ValueError when the length is odd."""

def rms(ulaw: bytes) -> float:
    """Root mean square of the decoded samples, 0.0 to 32124.0; 0.0 for no samples."""

def b64encode(data: bytes) -> bytes:
    """Standard base64 with padding, no line breaks."""

def b64decode(text: bytes) -> bytes | None:
    """Strict base64: length a multiple of 4, the standard alphabet, padding only at the end. None for anything else.

    Unused trailing bits may be non-zero, as `base64.b64decode(validate=True)` allows.
    """

class Ring:
    """A byte queue with absolute positions: a byte keeps its position from `write` until `release` passes it.

    Bound: `cap_bytes` is where `full` turns true and the writer must pause; `write` refuses (False, nothing
    stored) what would pass `hard_cap_bytes`. Storage grows by doubling and never holds more than needed for that.
    """

    def __init__(
        self, *, initial_bytes: int = 16_384, cap_bytes: int = 4_800_000, hard_cap_bytes: int = 24_000_000
    ) -> None: ...
    @property
    def start(self) -> int:
        """Position of the oldest byte kept."""
    @property
    def end(self) -> int:
        """Position after the newest byte."""
    @property
    def full(self) -> bool:
        """end - start >= cap_bytes."""
    @property
    def capacity_bytes(self) -> int:
        """Storage allocated now: a power of two."""
    @property
    def peak_bytes(self) -> int:
        """The most that was ever held at once."""
    def write(self, data: bytes) -> bool: ...
    def write_base64(self, text: bytes) -> int:
        """Decode strictly into the ring. Bytes stored; -1 malformed, -2 over the hard cap: then nothing is stored."""
    def read(self, position: int, count: int) -> bytes:
        """A copy of [position, position+count). ValueError unless it lies within [start, end]."""
    def release(self, position: int) -> None:
        """Forget everything before `position`. ValueError unless start <= position <= end."""
