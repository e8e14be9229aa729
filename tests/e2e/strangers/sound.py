"""What goes over the line: a voice, noise, and answers whose every frame says which answer it is part of.

All of it is G.711 mu-law at 8 kHz, in frames of 160 bytes, 20 ms. An answer is made of numbered frames: the ear at the
other end knows which answer it hears, from which frame on, and how long nothing was to be heard.
"""

import math
import struct
from functools import cache
from importlib.resources import files
from random import Random
from typing import NamedTuple

FRAME = 160
FRAME_MS = 20
QUIET = b"\xff" * FRAME
LOUD_SAMPLE = 500
LOUD_SAMPLES = 30
MAGIC = 0x0A5A


def encode(sample: float) -> int:
    """One linear sample as mu-law, by the book (G.711, section 3.1.2)."""
    value = max(-32635, min(32635, round(sample)))
    sign, magnitude = (0x80, -value) if value < 0 else (0, value)
    magnitude += 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def decode(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


_LOUD = bytes(1 if abs(decode(code)) > LOUD_SAMPLE else 0 for code in range(256))


def is_loud(frame: bytes) -> bool:
    return frame.translate(_LOUD).count(1) >= LOUD_SAMPLES


@cache
def voice() -> list[bytes]:
    """Two seconds of something like speech: twelve harmonics of a gliding pitch, two formants, four syllables a
    second. Played over and over it has no break."""
    samples, phase = bytearray(), 0.0
    for n in range(16_000):
        seconds = n / 8000
        pitch = 135 + 25 * math.sin(math.pi * seconds)
        phase += 2 * math.pi * pitch / 8000
        total = sum(_formant(k * pitch) * math.sin(k * phase) for k in range(1, 13))
        samples.append(encode(5000 * total * (0.35 + 0.65 * abs(math.sin(4 * math.pi * seconds)))))
    return frames(bytes(samples))


def _formant(hertz: float) -> float:
    return math.exp(-(((hertz - 550) / 350) ** 2)) + 0.5 * math.exp(-(((hertz - 1500) / 500) ** 2)) + 0.1


@cache
def noise() -> list[bytes]:
    random = Random(1)
    return frames(bytes(encode(random.gauss(0, 4000)) for _ in range(16_000)))


def frames(audio: bytes) -> list[bytes]:
    return [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]


def answer(number: int, ms: int) -> bytes:
    """An answer's audio: a tone of its own, and in each frame the answer's number and the frame's."""
    step = 2 * math.pi * (350 + 37 * (number % 40)) / 8000
    body = bytes(encode(7000 * math.sin(step * n)) for n in range(FRAME))[6:]
    return b"".join(struct.pack(">HHH", MAGIC, number, index) + body for index in range(ms // FRAME_MS))


class Heard(NamedTuple):
    """One frame that reached the ear. kind: `answer`, `recording`, `unknown`, or empty for silence."""

    kind: str
    what: int | str = ""
    index: int = 0


SILENCE = Heard("")


def recognise(frame: bytes) -> Heard:
    if len(frame) == FRAME and frame[:2] == b"\x0a\x5a":
        _, number, index = struct.unpack(">HHH", frame[:6])
        return Heard("answer", number, index)
    if not is_loud(frame):
        return SILENCE
    name = next((name for name, audio in _recordings().items() if frame in audio), None)
    return Heard("recording", name) if name else Heard("unknown")


@cache
def _recordings() -> dict[str, bytes]:
    """The node's own recordings, such as `he/apology`. Those are what a caller of ours would recognise, too."""
    languages = [folder for folder in files("fastbridge").joinpath("prompts").iterdir() if folder.is_dir()]
    found = [(folder.name, file) for folder in languages for file in folder.iterdir()]
    return {f"{name}/{file.name.removesuffix('.ulaw')}": file.read_bytes() for name, file in found}
