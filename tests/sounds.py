"""Sounds for the tests that listen: what a model may say, hum or play, and the same in a format that was not agreed on.

Samples are at 8 kHz, of -1.0 to 1.0.
"""

from importlib import resources

import numpy as np

from fastbridge.sim.audio import RATE_HZ, Samples, clips, from_ulaw, resample, speech
from fastbridge.sim.scenario import babble

PCM_RATES_HZ = (24_000, 16_000, 8000)


def recordings() -> dict[str, bytes]:
    """Every recording in the package, by its name: speech in six languages, in mu-law."""
    prompts = resources.files("fastbridge") / "prompts"
    folders = [folder for folder in prompts.iterdir() if folder.is_dir()]
    found = {f"{folder.name}/{file.name}": file.read_bytes() for folder in folders for file in folder.iterdir()}
    return {**found, **{name: speech(name) for name in clips()}, "babble": babble("We are open from nine to five.")}


def to_pcm(samples: Samples, rate_hz: int = 24_000, order: str = "<") -> bytes:
    """16-bit PCM of either byte order, clipped where it is too loud."""
    at_rate = np.rint(resample(samples, RATE_HZ, rate_hz) * 32768)
    return np.clip(at_rate, -32768, 32767).astype(f"{order}i2").tobytes()


def spoken(dbfs: float, name: str = "assistant_morning") -> Samples:
    """A shipped line at that level, pauses included."""
    samples = from_ulaw(speech(name))
    return samples * 10 ** (dbfs / 20) / np.sqrt((samples**2).mean())


def tone(hertz: float, amplitude: float = 0.4, seconds: float = 1.0, phase: float = 0.0) -> Samples:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ + phase)


def noise(rms: float, seconds: float = 1.0) -> Samples:
    return rms * np.random.default_rng(1).standard_normal(int(seconds * RATE_HZ))


def chords() -> Samples:
    """Hold music: a chord each half second, struck and dying away."""
    struck = []
    for step in (0, 5, 7, 3):
        notes = [note * harmonic * 2 ** (step / 12) for note in (220.0, 277.2, 329.6) for harmonic in (1, 2, 3)]
        struck.append(sum(tone(note, 0.08, 0.5) for note in notes) * np.exp(-np.arange(4000) / 2400))
    return np.concatenate(struck)


def keys() -> Samples:
    """DTMF: each key for 100 ms."""
    pairs = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)]
    return np.concatenate([tone(low, 0.3, 0.1) + tone(high, 0.3, 0.1) for low, high in pairs])


def breath() -> Samples:
    return np.convolve(noise(0.03), [0.25, 0.5, 0.25], "same") * np.hanning(RATE_HZ)


def wordless() -> dict[str, Samples]:
    """What is no speech, and yet nothing wrong; some of it as no telephone sounds."""
    sounds = {"chords": chords(), "keys": keys(), "breath": breath(), "silence": np.zeros(RATE_HZ)}
    for hertz in (50, 400, 440, 1000, 1004, 1333.3, 2000, 2666.7, 3400):
        for amplitude in (0.001, 0.4, 1.0, 6.0):
            for phase in (0.0, 0.7):
                sounds[f"tone {hertz} {amplitude} {phase}"] = tone(hertz, amplitude, phase=phase)
    for hertz in (100, 800, 1000, 2000):
        wave = tone(hertz, phase=1e-6)
        sounds |= {f"square {hertz}": np.sign(wave) * 0.6, f"half {hertz}": np.minimum(wave * 5, 0)}
        sounds |= {f"pulses {hertz}": -0.9 * (wave > 0.3), f"steps {hertz}": np.sign(wave) * 0.6 + wave}
    return sounds | {f"noise {rms}": noise(rms) for rms in (0.0001, 0.001, 0.01, 0.1, 0.3, 1.0)}
