"""Two tables: how soon PCM is noticed, and what of mu-law is taken for PCM. `python -m tools.pcm.evaluate`."""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import resources
from itertools import islice
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from tools.bargein.signals import FULL_SCALE, gain, to_ulaw
from tools.pcm import corpus
from tools.pcm.corpus import RATE_HZ, Sound

from fastbridge._pcm import PcmWatch

BLOCK_BYTES = 1024
BYTES_A_SECOND = 8000
"""As the caller hears it, whatever it was meant for."""
PCM_RATES_HZ = (24_000, 16_000, 8000)
LEVELS_DBFS = (-50, -40, -30, -20, -10, -3)
"""Of the active speech. At -10 the peaks are cut off, at -3 most of it."""
ULAW_LEVELS_DBFS = (-60, -50, -40, -30, -20, -10, -3, 6, 20, 40)
MAX_SILENCE_S = 1.5
LATE_S = 2.0
SEED = 1

Floats = NDArray[np.float32]
Times = dict[tuple[int, int], list[tuple[float, str]]]
"""(rate, level): seconds from the beginning of speech to the verdict, infinite without one, and of which sound."""
Alarms = dict[str, list[tuple[int, int, str]]]
"""kind: bytes, verdicts, which sound."""


def active_rms(samples: Floats) -> float:
    """Over the 10 ms that are within 30 dB of the loudest."""
    frames = samples[: samples.size // 240 * 240].reshape(-1, 240)
    levels = np.sqrt((frames**2).mean(axis=1) + 1e-9)
    return float(np.sqrt((levels[levels > levels.max() * gain(-30)] ** 2).mean()))


def onset(samples: Floats) -> int:
    """Where speech begins: the first 10 ms within 20 dB of its level."""
    frames = samples[: samples.size // 240 * 240].reshape(-1, 240)
    return int(np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > active_rms(samples) * gain(-20))[0]) * 240


def told_after(audio: bytes) -> int | None:
    watch = PcmWatch()
    for start in range(0, len(audio), BLOCK_BYTES):
        if watch.feed(audio[start : start + BLOCK_BYTES]):
            return start + BLOCK_BYTES
    return None


def as_pcm(samples: Floats, rate_hz: int) -> bytes:
    at_rate = signal.resample_poly(samples, rate_hz // 8000, RATE_HZ // 8000)
    return np.clip(np.rint(at_rate), -32768, 32767).astype("<i2").tobytes()


def measure_pcm(sound: Sound, times: Times) -> None:
    """Speech that the caller would hear for at least two seconds."""
    rng = np.random.default_rng(crc32(sound.name.encode()))
    at = onset(sound.samples)
    for level in LEVELS_DBFS:
        samples = sound.samples * FULL_SCALE * gain(level) / active_rms(sound.samples)
        silence = rng.standard_normal(int(rng.uniform(0, MAX_SILENCE_S) * RATE_HZ)) * rng.choice([0, 0.7])
        samples = np.concatenate([silence, samples + 0.5 * rng.standard_normal(samples.size)])
        for rate_hz in PCM_RATES_HZ:
            begins = (silence.size + at) * rate_hz // RATE_HZ * 2
            audio = as_pcm(samples, rate_hz)
            if len(audio) - begins < LATE_S * BYTES_A_SECOND:
                continue
            told = told_after(audio)
            seconds = np.inf if told is None else max(0, told - begins) / BYTES_A_SECOND
            times[rate_hz, level].append((float(seconds), sound.name))


def measure_ulaw(sound: Sound, alarms: Alarms) -> None:
    at_8k = signal.resample_poly(sound.samples, 1, 3)
    for level in ULAW_LEVELS_DBFS:
        samples = at_8k * FULL_SCALE * gain(level) / active_rms(sound.samples)
        ways = [samples, -samples[1:]]
        if level >= -10:
            ways += [samples + 3000, samples - 3000]
        for way in ways:
            audio = to_ulaw(way).tobytes()
            alarms[sound.kind].append((len(audio), told_after(audio) is not None, f"{sound.name} {level}"))


def recordings() -> Iterator[tuple[str, bytes]]:
    """The package's own, byte for byte."""
    for folder in (resources.files("fastbridge") / "prompts").iterdir():
        if folder.is_dir():
            yield from ((f"{folder.name}/{file.name}", file.read_bytes()) for file in folder.iterdir())


def measure(sounds: Iterable[Sound]) -> tuple[Times, Alarms]:
    times: Times = defaultdict(list)
    alarms: Alarms = defaultdict(list)
    for sound in sounds:
        measure_ulaw(sound, alarms)
        if sound.kind in ("speech", "prompt"):
            measure_pcm(sound, times)
    return times, alarms


def in_batches(sounds: Iterator[Sound], size: int = 20) -> Iterator[list[Sound]]:
    while batch := list(islice(sounds, size)):
        yield batch


def show_times(times: Times) -> None:
    print("| PCM at | level | utterances | p50 | p99 | max | later than 2 s |\n|---|---|---|---|---|---|---|")
    for (rate_hz, level), found in sorted(times.items(), reverse=True):
        seconds = np.array([each for each, _ in found])
        p50, p99 = np.quantile(seconds, [0.5, 0.99], method="lower")
        late = [name for each, name in found if each > LATE_S]
        print(f"| {rate_hz // 1000} kHz | {level} dBFS | {len(found)} | {p50:.2f} | {p99:.2f} | {seconds.max():.2f} | "
              f"{len(late)} {', '.join(late[:3])} |")  # fmt: skip


def show_alarms(alarms: Alarms) -> None:
    print("\n| mu-law | hours | taken for PCM |\n|---|---|---|")
    for kind, found in sorted(alarms.items()):
        hours = sum(size for size, _, _ in found) / BYTES_A_SECOND / 3600
        wrong = [name for _, told, name in found if told]
        print(f"| {kind} | {hours:.2f} | {len(wrong)} {', '.join(wrong[:3])} |")
    hours = sum(size for found in alarms.values() for size, _, _ in found) / BYTES_A_SECOND / 3600
    count = sum(told for found in alarms.values() for _, told, _ in found)
    print(f"| all | {hours:.1f} | {count}: {count / hours:.4f} an hour |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, help="only so many of the telephone prompts, chosen by chance")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    times: Times = defaultdict(list)
    alarms: Alarms = defaultdict(list)
    sounds = corpus.load(np.random.default_rng(SEED), options.prompts)
    with ProcessPoolExecutor(options.jobs) as pool:
        for some_times, some_alarms in pool.map(measure, in_batches(sounds)):
            for key, found in some_times.items():
                times[key] += found
            for kind, heard in some_alarms.items():
                alarms[kind] += heard
    alarms["own recordings"] = [(len(audio), told_after(audio) is not None, name) for name, audio in recordings()]
    show_times(times)
    show_alarms(alarms)


if __name__ == "__main__":
    main()
