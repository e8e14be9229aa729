"""The sounds to measure with: 24 kHz, floats on the scale of 16-bit samples, at the level they came with."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from tools.bargein import sounds, speech
from tools.bargein.signals import Samples

RATE_HZ = 24_000
PROMPTS = Path("/usr/share/asterisk/sounds")
MUSIC = Path("/usr/share/asterisk/moh")
FLITE_VOICES = ("kal", "kal16", "awb", "rms", "slt")
SPEEDS = (80, 110, 140, 170, 220, 300, 400)
"""Words a minute."""
EVENTS = ("cough", "sneeze", "breath", "rustle", "vowel", "slam", "knock", "buzz",
          "dtmf", "beep", "ringtone", "whistle")  # fmt: skip
MIN_SECONDS = 0.3

Rng = np.random.Generator


@dataclass(frozen=True)
class Sound:
    """kind: speech (made), prompt (a person's), music, noise or event."""

    name: str
    kind: str
    samples: NDArray[np.float32]


def load(rng: Rng, prompts: int | None = None) -> Iterator[Sound]:
    """All of it, or that many of the prompts."""
    for sound in (*espeak(rng), *flite(), *spoken_prompts(rng, prompts), *music(rng), *noises(rng)):
        if sound.samples.size > MIN_SECONDS * RATE_HZ and np.abs(sound.samples).max() > 0:
            yield sound


def espeak(rng: Rng) -> Iterator[Sound]:
    for language in speech.LANGUAGES:
        for variant in rng.choice(speech.VARIANTS, 3, replace=False):
            text = " ".join((rng.choice(speech.SENTENCES), rng.choice(speech.WORDS.get(language[:2], speech.NUMBERS))))
            pitch, speed = int(rng.integers(5, 95)), int(rng.choice(SPEEDS))
            command = ["espeak-ng", "-v", language + variant, "-p", str(pitch), "-s", str(speed), "--stdout", text]
            wav = subprocess.run(command, capture_output=True).stdout
            if wav:
                yield Sound(f"espeak {language}{variant} {speed}", "speech", read(["sox", "-t", "wav", "-"], wav))


def flite() -> Iterator[Sound]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "said.wav")
        for voice in FLITE_VOICES:
            for number, text in enumerate(speech.SENTENCES):
                subprocess.run(["flite", "-voice", voice, "-t", text, "-o", path], check=True)
                yield Sound(f"flite {voice} {number}", "speech", read(["sox", path]))


def spoken_prompts(rng: Rng, count: int | None) -> Iterator[Sound]:
    paths = [path for path in sorted(PROMPTS.rglob("*.wav")) if not any(word in str(path) for word in speech.NO_SPEECH)]
    if not paths:
        raise SystemExit(f"{PROMPTS} is empty: see the packages named in tools/pcm/README.md")
    chosen = paths if count is None else [paths[index] for index in rng.choice(len(paths), count, replace=False)]
    for path in chosen:
        yield Sound(str(path.relative_to(PROMPTS)), "prompt", read(["sox", str(path)]))


def music(rng: Rng) -> Iterator[Sound]:
    for path in sorted(MUSIC.glob("*.wav")):
        yield Sound(path.stem, "music", read(["sox", str(path)]))
    for number in range(40):
        yield Sound(f"music {number}", "music", up(sounds.music(rng, 80_000)))


def noises(rng: Rng) -> Iterator[Sound]:
    for name, make in {**sounds.STATIONARY, **sounds.RESTLESS}.items():
        for number in range(10):
            yield Sound(f"{name} {number}", "noise", up(make(rng, 40_000)))
    for name in EVENTS:
        for number in range(30):
            once = getattr(sounds, name)(rng)
            yield Sound(f"{name} {number}", "event", up(np.tile(once, 24_000 // once.size + 1)))


def read(source: list[str], content: bytes = b"") -> NDArray[np.float32]:
    command = [*source, "-t", "s16", "-r", str(RATE_HZ), "-c", "1", "-D", "-"]
    raw = subprocess.run(command, input=content, capture_output=True).stdout
    return np.frombuffer(raw, "<i2").astype(np.float32)


def up(samples: Samples) -> NDArray[np.float32]:
    return signal.resample_poly(samples, 3, 1).astype(np.float32)
