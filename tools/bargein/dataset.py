"""The frames to train on: calls made and kept, their features from the compiled detector, labels and weights."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from tools.bargein import calls, signals, sounds, speech
from tools.bargein.calls import Call, Material, instrument, make_call

from fastbridge._bargein import CONTEXT_FEATURES, FRAME_FEATURES, Detector

SEED = 1
WINDOW = 7
INPUTS = WINDOW * FRAME_FEATURES + CONTEXT_FEATURES
IN_UNIT = 32
"""A feature of 32 is 1.0."""
BATCH = 500
"""Calls that are made, and kept, together."""
NEVER = 1 << 30
MUSIC = ("macroform-robot_dity.wav", "manolo_camp-morning_coffee.wav")
NO_VOICE = 20.0
"""How much more than a voice's frame one without counts. The detector says voice only where it is so sure: without this
the combiner would be at its best where nobody asks it."""
HARDER = {"not-cough": 1.2, "not-sneeze": 1.5, "not-beep": 3.0, "not-dtmf": 2.0, "not-knock": 1.5, "not-slam": 1.5,
          "not-steps": 1.5, "not-stationary": 1.5, "not-echo": 1.5, "not-echo-noise": 2.0, "over-vowel": 3.0,
          "over-instrument": 1.5}  # fmt: skip
"""Kinds of calls that count more than others."""

Floats = NDArray[np.float32]


@dataclass
class Dataset:
    """Frames of calls, one call after the other, each behind WINDOW - 1 rows of nothing. `voice` and `weight` have one
    entry a row; a row of weight 0 is never looked at."""

    frames: NDArray[np.int8]
    context: NDArray[np.int8]
    voice: Floats
    weight: Floats

    def __post_init__(self) -> None:
        rows = len(self.frames) - WINDOW + 1
        self._windows = as_strided(self.frames, (rows, WINDOW * FRAME_FEATURES), self.frames.strides, writeable=False)

    def __len__(self) -> int:
        return len(self.voice)

    def inputs(self, rows: NDArray[np.intp]) -> Floats:
        """As the combiner has them: seven frames, oldest first, and the newest context."""
        whole = np.concatenate([self._windows[rows - WINDOW + 1], self.context[rows]], axis=1)
        return whole.astype(np.float32) / IN_UNIT


def load_dataset(work: Path, count: int, instruments: int) -> Dataset:
    """Of so many calls, and so many more of test sets."""
    parts: list[tuple[NDArray[np.int8], Floats, Floats]] = []
    for call in chain(load_calls(work, count), load_instruments(work, instruments)):
        parts.append((features_of(call), *labels_of(call)))
    rows, voice, weight = (np.concatenate([padded(part[i]) for part in parts]) for i in range(3))
    return Dataset(
        np.ascontiguousarray(rows[:, :FRAME_FEATURES]), np.ascontiguousarray(rows[:, FRAME_FEATURES:]), voice, weight
    )


def padded(rows: NDArray[np.int8] | Floats) -> NDArray[np.int8] | Floats:
    return np.pad(rows, [(WINDOW - 1, 0)] + [(0, 0)] * (rows.ndim - 1))


# --- calls


def digest_of(*modules: ModuleType) -> str:
    """Of the sources that something comes from, so that nothing of an earlier recipe is ever taken for this one's."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__} {SEED}".encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]


def keep(path: Path, value: object) -> None:
    """Whole or not at all: a run may be stopped at any time, and goes on from what is kept."""
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(value))
    part.replace(path)


def load_material(work: Path) -> Material:
    kept = work / f"material_{digest_of(signals, speech)}.pkl"
    if kept.is_file():
        return pickle.loads(kept.read_bytes())
    rng = np.random.default_rng(SEED)
    prompts = [phrase for speaker in speech.PROMPTS for phrase in speech.load_prompts(speaker)]
    callers = prompts + speech.load_espeak(tuple(speech.LANGUAGES), 3, rng)
    assistants = prompts + speech.load_assistants(rng)
    music = [speech.read(["sox", f"/usr/share/asterisk/moh/{name}"]) for name in MUSIC]
    material = Material(callers, assistants, music)
    keep(kept, material)
    return material


def load_calls(work: Path, count: int) -> Iterator[Call]:
    """In batches, kept, since they take some minutes to make: as many at a time as there are processors."""
    recipe = digest_of(calls, signals, sounds, speech)
    batches = {start: work / f"calls_{recipe}_{start:05d}.pkl" for start in range(0, count, BATCH)}
    missing = [start for start, kept in batches.items() if not kept.is_file()]
    if missing:
        load_material(work)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(make_batch, *zip(*((work, start) for start in missing), strict=True)), 1):
                print(f"\r{done} of {len(missing)} batches of {BATCH} calls", end="", flush=True)
        print()
    for kept in batches.values():
        yield from pickle.loads(kept.read_bytes())


def make_batch(work: Path, start: int) -> None:
    material, recipe = load_material(work), digest_of(calls, signals, sounds, speech)
    batch = [make_call(material, SEED, index) for index in range(start, start + BATCH)]
    keep(work / f"calls_{recipe}_{start:05d}.pkl", batch)


def load_instruments(work: Path, count: int) -> Iterable[Call]:
    material = load_material(work)
    for index in range(count):
        yield instrument(material, np.random.Generator(np.random.PCG64([SEED, 1_000_000 + index])))


# --- features and labels


def features_of(call: Call) -> NDArray[np.int8]:
    """What the compiled detector makes of each frame; told of each interruption as its own edge would.

    It has no edges of its own: those come from the weights there are, and the new ones must not."""
    detector = Detector(frames=NEVER)
    told = {onset + 4 for onset in call.onsets}
    rows = np.empty((len(call.playing), FRAME_FEATURES + CONTEXT_FEATURES), np.int8)
    for i, playing in enumerate(call.playing):
        detector.feed(call.caller[i].tobytes(), call.assistant[i].tobytes() if playing else None)
        rows[i] = detector.features
        if i in told:
            detector.expect_voice()
    return rows


def labels_of(call: Call) -> tuple[Floats, Floats]:
    """(1 for voice, weight of the frame). Frames of which nobody could say are left out by weight 0."""
    n = len(call.playing)
    voice, playing = call.voice.astype(np.float32), call.playing > 0
    recent = np.convolve(voice, np.ones(5))[:n]
    lately = np.convolve(voice, np.ones(45))[:n]
    is_voice = recent >= 3
    weight = np.where(playing, 1.0, 0.15)
    weight[(lately > 0) & ~is_voice] = 0.0  # within a phrase, or shortly after it
    weight[is_voice & ~playing] = 0.3
    for onset in call.onsets:
        weight[max(0, onset - 3) : onset + (1 if call.sudden else 3)] = 0.0
        first = onset + (0 if call.sudden else 3)
        weight[first : onset + 25] *= 4.0
        if call.sudden:
            is_voice[onset : onset + 4] = True
            weight[onset : onset + 2] = 0.3
            weight[onset + 2 : onset + 4] = 2.0
    weight *= HARDER.get(call.kind, 1.0)
    weight[~is_voice] *= NO_VOICE
    return is_voice.astype(np.float32), weight.astype(np.float32)
