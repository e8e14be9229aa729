"""Twin of fastbridge._mulaw: the G.711 formula sample by sample, the ring as one bytearray that only ever grows."""

import base64
import math
import re
import struct

SILENCE = 0xFF
BIAS = 33
CLIP = 8191 - BIAS
STRICT_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def decode_sample(code: int) -> int:
    """One mu-law code to its 16-bit sample."""
    code ^= 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((2 * mantissa + BIAS) << exponent) - BIAS) * 4
    return -magnitude if code & 0x80 else magnitude


def encode_sample(sample: int) -> int:
    """One 16-bit sample to its mu-law code. G.711 is defined on 14 bits: the top 14 of the 16."""
    biased = min(abs(sample >> 2), CLIP) + BIAS
    exponent = biased.bit_length() - 6
    mantissa = (biased >> (exponent + 1)) & 15
    sign = 0x80 if sample < 0 else 0
    return (sign | exponent << 4 | mantissa) ^ 0xFF


def decode(ulaw: bytes) -> bytes:
    return struct.pack(f"={len(ulaw)}h", *(decode_sample(code) for code in ulaw))


def encode(pcm: bytes) -> bytes:
    if len(pcm) % 2:
        raise ValueError("16-bit PCM has an even number of bytes")
    return bytes(encode_sample(sample) for (sample,) in struct.iter_unpack("=h", pcm))


def rms(ulaw: bytes) -> float:
    if len(ulaw) == 0:
        return 0.0
    return math.sqrt(sum(decode_sample(code) ** 2 for code in ulaw) / len(ulaw))


def b64encode(data: bytes) -> bytes:
    return base64.b64encode(data)


def b64decode(text: bytes) -> bytes | None:
    return base64.b64decode(text) if STRICT_BASE64.fullmatch(text) else None


def _power_of_two(count: int) -> int:
    capacity = 1
    while capacity < count:
        capacity *= 2
    return capacity


class Ring:
    """Everything ever written stays in one bytearray, so a position is an index."""

    def __init__(
        self, *, initial_bytes: int = 16_384, cap_bytes: int = 4_800_000, hard_cap_bytes: int = 24_000_000
    ) -> None:
        self._everything = bytearray()
        self._cap_bytes = cap_bytes
        self._hard_cap_bytes = hard_cap_bytes
        self.start = 0
        self.capacity_bytes = _power_of_two(initial_bytes)
        self.peak_bytes = 0

    @property
    def end(self) -> int:
        return len(self._everything)

    @property
    def full(self) -> bool:
        return self.end - self.start >= self._cap_bytes

    def write(self, data: bytes) -> bool:
        held = self.end - self.start + len(data)
        if held > self._hard_cap_bytes:
            return False
        self._everything += data
        self.peak_bytes = max(self.peak_bytes, held)
        self.capacity_bytes = max(self.capacity_bytes, _power_of_two(held))
        return True

    def write_base64(self, text: bytes) -> int:
        data = b64decode(text)
        if data is None:
            return -1
        return len(data) if self.write(data) else -2

    def read(self, position: int, count: int) -> bytes:
        if count < 0 or not self.start <= position <= position + count <= self.end:
            raise ValueError("not within what the ring holds")
        return bytes(self._everything[position : position + count])

    def release(self, position: int) -> None:
        if not self.start <= position <= self.end:
            raise ValueError("not within what the ring holds")
        self.start = position
