"""Levels, filters and G.711 for the training data: 8 kHz, floats on the scale of 16-bit samples."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RATE_HZ = 8000
FRAME = 160
FULL_SCALE = 32768.0

Samples = NDArray[np.float64]
_filters: dict[tuple[float | None, float | None, int], NDArray[np.float64]] = {}


def gain(db: float) -> float:
    return float(10 ** (db / 20))


def frame_rms(x: Samples) -> Samples:
    frames = x[: x.size // FRAME * FRAME].reshape(-1, FRAME)
    return np.sqrt((frames**2).mean(axis=1) + 1e-9)


def frame_levels(x: Samples) -> Samples:
    return 20 * np.log10(frame_rms(x))


def active_rms(x: Samples) -> float:
    """Over the frames within 30 dB of the loudest."""
    levels = frame_rms(x) if x.size >= FRAME else np.sqrt(np.array([(x**2).mean() + 1e-9]))
    return float(np.sqrt((levels[levels > levels.max() * gain(-30)] ** 2).mean()))


def to_active(x: Samples, dbfs: float) -> Samples:
    return x * (FULL_SCALE * gain(dbfs) / max(active_rms(x), 1e-6))


def to_rms(x: Samples, dbfs: float) -> Samples:
    return x * (FULL_SCALE * gain(dbfs) / max(float(np.sqrt((x**2).mean())), 1e-6))


def band_pass(x: Samples, low_hz: float | None, high_hz: float | None, order: int = 2) -> Samples:
    key = (low_hz, high_hz, order)
    if key not in _filters:
        kind = "bandpass" if low_hz and high_hz else "highpass" if low_hz else "lowpass"
        edges = [edge for edge in (low_hz, high_hz) if edge]
        sos = signal.butter(order, edges if len(edges) > 1 else edges[0], kind, fs=RATE_HZ, output="sos")
        if len(_filters) > 200:
            _filters.clear()
        _filters[key] = sos
    return signal.sosfilt(_filters[key], x)


def reverberant(rng: np.random.Generator, x: Samples, mix: float, seconds: float) -> Samples:
    n = int(seconds * RATE_HZ)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail *= mix / np.sqrt((tail**2).sum())
    tail[0] += 1
    return signal.fftconvolve(x, tail)[: x.size]


def place(x: Samples, sound: Samples, at: int) -> None:
    end = min(x.size, at + sound.size)
    if end > at:
        x[at:end] += sound[: end - at]


def _codes() -> NDArray[np.uint8]:
    x = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(x), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    return (~(np.where(x < 0, 0x80, 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF).astype(
        np.uint8
    )


_CODES = _codes()


def to_ulaw(x: Samples) -> NDArray[np.uint8]:
    if not np.isfinite(x).all():
        raise FloatingPointError("a sound has run away: some filter is not stable")
    return _CODES[np.clip(np.rint(x), -32768, 32767).astype(np.int32) + 32768]
