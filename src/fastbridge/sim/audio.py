"""Sound files in and out of the telephone's format: 8 kHz mono G.711 mu-law, one byte a sample, 160 bytes a frame.

Reads any common WAV, writes a stereo recording of a call, and knows the spoken lines shipped in `clips/`. Everything
happens in memory, on whole recordings: nothing here runs while a call is up.

Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF/WAVE), WAVE_FORMAT_EXTENSIBLE
(Microsoft), ITU-T G.711.
"""

import math
import struct
import wave
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastbridge._mulaw import decode, encode, rms
from fastbridge.errors import ConfigError

RATE_HZ = 8000
FRAME_BYTES = 160
FRAME_MS = 20
SILENCE = b"\xff"

LEVEL_FLOOR_DBFS = -96.0
"""What `level_dbfs` gives for digital silence, so that meters need no infinity."""

_FULL_SCALE = 32768.0
_PCM, _FLOAT, _MULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
_FORMATS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _MULAW: (8,)}
_RATES_HZ = range(1000, 768_001)
_ZERO_CROSSINGS = 32
_KAISER_BETA = 9.0

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Wave:
    """The sample data of a WAV file and how to read it."""

    format: int
    channels: int
    rate_hz: int
    bits: int
    data: bytes


def read_wav(path: str | PathLike[str]) -> bytes:
    """A WAV file as 8 kHz mono mu-law.

    Takes 8, 16, 24 or 32-bit PCM, 32 or 64-bit float and mu-law, any rate from 1 to 768 kHz, any number of channels
    (they are averaged), plain or WAVE_FORMAT_EXTENSIBLE. A mu-law file at 8 kHz mono comes back byte for byte.
    ConfigError, in one sentence, for anything that is not such a file.
    """
    sound = _load(Path(path))
    if (sound.format, sound.channels, sound.rate_hz) == (_MULAW, 1, RATE_HZ):
        return sound.data
    mono = _samples(sound).reshape(-1, sound.channels).mean(axis=1)
    return to_ulaw(resample(mono, sound.rate_hz, RATE_HZ))


def read_channels(path: str | PathLike[str]) -> list[bytes]:
    """Each channel of a WAV file as 8 kHz mu-law: takes what `read_wav` takes, and refuses alike."""
    sound = _load(Path(path))
    columns = _samples(sound).reshape(-1, sound.channels).T
    return [to_ulaw(resample(np.ascontiguousarray(column), sound.rate_hz, RATE_HZ)) for column in columns]


def write_wav_stereo(path: str | PathLike[str], left_ulaw: bytes, right_ulaw: bytes) -> None:
    """Two mu-law channels as a 16-bit stereo WAV at 8 kHz, which every player opens. The shorter ends in silence."""
    length = max(len(left_ulaw), len(right_ulaw))
    channels = [np.frombuffer(decode(side.ljust(length, SILENCE)), np.int16) for side in (left_ulaw, right_ulaw)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())


def level_dbfs(ulaw: bytes) -> float:
    """RMS level relative to 32768 (full scale), in dB; never below LEVEL_FLOOR_DBFS."""
    return max(LEVEL_FLOOR_DBFS, 20 * math.log10(max(rms(ulaw), 0.1) / _FULL_SCALE))


def to_frames(ulaw: bytes) -> list[bytes]:
    """Cut into 160-byte frames, the last one filled up with silence."""
    return [ulaw[at : at + FRAME_BYTES].ljust(FRAME_BYTES, SILENCE) for at in range(0, len(ulaw), FRAME_BYTES)]


def to_ulaw(samples: Samples) -> bytes:
    """Samples of -1.0 to 1.0 (clipped beyond) as mu-law."""
    return encode(np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype(np.int16).tobytes())


def from_ulaw(ulaw: bytes) -> Samples:
    """Mu-law as samples of -1.0 to 1.0."""
    return np.frombuffer(decode(ulaw), np.int16) / _FULL_SCALE


def clips() -> tuple[str, ...]:
    """Names of the spoken lines shipped with the package, for `speech`."""
    folder = resources.files("fastbridge.sim") / "clips"
    return tuple(sorted(entry.name.removesuffix(".wav") for entry in folder.iterdir() if entry.name.endswith(".wav")))


def speech(name: str) -> bytes:
    """A shipped spoken line as mu-law. ValueError, naming those there are, for an unknown one."""
    if name not in clips():
        raise ValueError(f"There is no clip {name!r}; there are {', '.join(clips())}.")
    with resources.as_file(resources.files("fastbridge.sim") / "clips" / f"{name}.wav") as path:
        return read_wav(path)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Band-limited: a Kaiser-windowed sinc below the lower of the two Nyquist frequencies, one pass a phase."""
    if from_hz == to_hz or not samples.size:
        return samples
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    cutoff = min(1.0, to_hz / from_hz) * 0.94  # a little below Nyquist: the transition band lies before the fold
    reach = math.ceil(_ZERO_CROSSINGS / cutoff)
    padded = np.pad(samples, reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    length = -(-samples.size * up // down)
    out = np.empty(length)
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    for phase in range(min(up, length)):
        whole, part = divmod(phase * down, up)
        count = len(range(phase, length, up))
        out[phase::up] = np.dot(windows[whole::down][:count], _kernel(offsets - part / up, cutoff, reach))
    return out


def _kernel(offsets: Samples, cutoff: float, reach: int) -> Samples:
    inside = np.maximum(0.0, 1 - (offsets / (reach + 1)) ** 2)
    taps: Samples = np.sinc(cutoff * offsets) * np.i0(_KAISER_BETA * np.sqrt(inside))
    taps /= taps.sum()
    return taps


def _load(name: Path) -> _Wave:
    try:
        content = name.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read {name}: {error.strerror or error}.") from error
    try:
        return _parse(content)
    except ValueError as error:
        raise ConfigError(f"{name} cannot be used: {error}.") from None


def _parse(content: bytes) -> _Wave:
    """ValueError, worded to follow "cannot be used:", when this is no WAV file or one of an unknown format."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("it is not a WAV file (no RIFF/WAVE header)")
    chunks = _chunks(content)
    if len(chunks.get(b"fmt ", b"")) < 16:
        raise ValueError("its WAV header has no complete format chunk")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if code == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        code = struct.unpack_from("<H", chunks[b"fmt "], 24)[0]
    if bits not in _FORMATS.get(code, ()):
        raise ValueError(f"its samples are of WAV format {code} with {bits} bits, not PCM, float or mu-law")
    if channels == 0 or rate_hz not in _RATES_HZ:
        raise ValueError(f"it claims {channels} channels at {rate_hz} Hz")
    block = channels * bits // 8
    data = chunks.get(b"data", b"")
    data = data[: len(data) // block * block]
    if not data:
        raise ValueError("it holds no sound")
    return _Wave(code, channels, rate_hz, bits, data)


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """The RIFF chunks, the first of each name. A size beyond the end (a recorder that was cut off) means the rest."""
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        found.setdefault(name, content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def _samples(sound: _Wave) -> Samples:
    """All channels, interleaved, as -1.0 to 1.0."""
    if sound.format == _MULAW:
        return from_ulaw(sound.data)
    if sound.format == _FLOAT:
        floats: Samples = np.frombuffer(sound.data, f"<f{sound.bits // 8}").astype(np.float64)
        floats[~np.isfinite(floats)] = 0.0
        return floats
    if sound.bits == 8:  # the one width that is unsigned
        return (np.frombuffer(sound.data, np.uint8).astype(np.float64) - 128) / 128
    if sound.bits == 24:
        bytes3 = np.frombuffer(sound.data, np.uint8).reshape(-1, 3)
        return np.pad(bytes3, ((0, 0), (1, 0))).reshape(-1).view("<i4") / 2.0**31
    return np.frombuffer(sound.data, f"<i{sound.bits // 8}").astype(np.float64) / 2.0 ** (sound.bits - 1)
