"""Make the calls, train the combiner, write src/fastbridge/_bargein_weights.txt: `python -m tools.bargein.train`.

Plain numpy, one fixed seed: 22 features of the compiled detector, a window of 7 frames, 24 rectified units, one output,
then whole numbers. The features come from the compiled detector itself, so what is trained is what runs.
"""

import argparse
import hashlib
import pickle
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy
from numpy.typing import NDArray
from tools.bargein import calls, signals, sounds, speech
from tools.bargein.calls import Call, Material, instrument, make_call

from fastbridge._bargein import CONTEXT_FEATURES, FRAME_FEATURES, Detector

SEED = 1
WINDOW, HIDDEN = 7, 24
FEATURES = FRAME_FEATURES + CONTEXT_FEATURES
INPUTS = WINDOW * FRAME_FEATURES + CONTEXT_FEATURES
IN_UNIT, W_UNIT, OUT_UNIT = 32, 512, 512
"""A feature of 32 is 1.0; 512ths of a weight; 2^23rds of a logit come out."""
VERDICT = 3.35
"""The logit from which a run is taken for a voice."""
NEVER = 1 << 30
MUSIC = ("macroform-robot_dity.wav", "manolo_camp-morning_coffee.wav")
WEIGHTS = Path(__file__).parents[2] / "src" / "fastbridge" / "_bargein_weights.txt"
HEADER = """\
# The combiner of the barge-in detector: whole numbers, written by `python -m tools.bargein.train`. Do not edit.
#
# Trained on calls made up of: speech prompts of Debian's asterisk-core-sounds-{en,es,fr}-wav (Allison Smith, June Wallack;
# CC-BY-SA-3.0), voices of espeak-ng, music of asterisk-moh-opsound-wav (Paul Shuler, Manolo Camp; CC-BY-SA-3.0), and noises made by tools/bargein/sounds.py. As far as weights can be a work derived from recordings,
# these are available under CC-BY-SA-3.0 as well as under this project's own licence.
#
# First row: the logit that is a voice; output bias. Then one row a hidden unit: bias, output weight, 7 x 13 weights of
# the frames (oldest first), 9 of the context.
"""

Floats = NDArray[np.float32]


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


def load_material(folder: Path) -> Material:
    kept = folder / f"material_{digest_of(signals, speech)}.pkl"
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


def load_calls(folder: Path, count: int) -> Iterable[Call]:
    """In batches of 500, kept, since they take some minutes to make."""
    recipe = digest_of(calls, signals, sounds, speech)
    for start in range(0, count, 500):
        kept = folder / f"calls_{recipe}_{start:05d}.pkl"
        if not kept.is_file():
            material = load_material(folder)
            batch = [make_call(material, SEED, index) for index in range(start, start + 500)]
            keep(kept, batch)
        yield from pickle.loads(kept.read_bytes())


def load_instruments(folder: Path, count: int) -> Iterable[Call]:
    material = load_material(folder)
    for index in range(count):
        yield instrument(material, np.random.Generator(np.random.PCG64([SEED, 1_000_000 + index])))


def features_of(call: Call) -> NDArray[np.int8]:
    """What the compiled detector makes of each frame; told of each interruption as its own edge would.

    It has no edges of its own: those come from the weights there are, and the new ones must not."""
    detector = Detector(frames=NEVER)
    told = {onset + 4 for onset in call.onsets}
    rows = np.empty((len(call.playing), FEATURES), np.int8)
    for i, playing in enumerate(call.playing):
        detector.feed(call.caller[i].tobytes(), call.assistant[i].tobytes() if playing else None)
        rows[i] = detector.features
        if i in told:
            detector.expect_voice()
    return rows


def windows_of(rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """As the detector has them: seven frames, oldest first, zeros before the first, and the newest context."""
    padded = np.concatenate([np.zeros((WINDOW - 1, FRAME_FEATURES), np.int8), rows[:, :FRAME_FEATURES]])
    parts = [padded[shift : shift + len(rows)] for shift in range(WINDOW)]
    return np.concatenate([*parts, rows[:, FRAME_FEATURES:]], axis=1)


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
    if call.kind in HARDER:
        weight = weight * HARDER[call.kind]
    return is_voice.astype(np.float32), weight.astype(np.float32)


HARDER = {"not-cough": 1.2, "not-sneeze": 1.5, "not-beep": 3.0, "not-dtmf": 2.0, "not-knock": 1.5, "not-slam": 1.5,
          "not-steps": 1.5, "not-stationary": 1.5, "not-echo": 1.5, "not-echo-noise": 2.0, "over-vowel": 3.0,
          "over-instrument": 1.5}  # fmt: skip


class Combiner:
    """Inputs -> rectified -> one logit, and Adam."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.parts: list[Floats] = [
            (rng.standard_normal((INPUTS, HIDDEN)) * np.sqrt(2 / INPUTS)).astype(np.float32),
            np.zeros(HIDDEN, np.float32),
            (rng.standard_normal(HIDDEN) * np.sqrt(1 / HIDDEN)).astype(np.float32),
            np.zeros(1, np.float32),
        ]
        self.mean = [np.zeros_like(part) for part in self.parts]
        self.square = [np.zeros_like(part) for part in self.parts]
        self.steps = 0

    def logits(self, x: Floats) -> Floats:
        w, b, out, out_b = self.parts
        return np.maximum(x @ w + b, 0) @ out + out_b[0]

    def step(self, x: Floats, y: Floats, weight: Floats, rate: float) -> None:
        w, b, out, out_b = self.parts
        hidden = np.maximum(x @ w + b, 0)
        error = (1 / (1 + np.exp(-(hidden @ out + out_b[0]))) - y) * weight / len(y)
        back = np.outer(error, out) * (hidden > 0)
        slopes = [
            x.T @ back + 1e-5 * w,
            back.sum(0),
            hidden.T @ error + 1e-5 * out,
            np.array([error.sum()], np.float32),
        ]
        self.steps += 1
        for part, slope, mean, square in zip(self.parts, slopes, self.mean, self.square, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope * slope - square)
            part -= rate * (mean / (1 - 0.9**self.steps)) / (np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8)


def train(x: NDArray[np.int8], y: Floats, weight: Floats, epochs: int, seed: int = SEED, batch: int = 2048) -> Combiner:
    rng = np.random.default_rng(seed + 1)
    used = np.flatnonzero(weight > 0)
    net = Combiner(seed)
    total = epochs * (len(used) // batch)
    for _ in range(epochs):
        rng.shuffle(used)
        for at in range(0, len(used) - batch + 1, batch):
            rows = used[at : at + batch]
            rate = 1e-3 * (1 + np.cos(np.pi * net.steps / total))
            net.step(x[rows].astype(np.float32) / IN_UNIT, y[rows], weight[rows], rate)
    return net


def write(net: Combiner, path: Path, verdict: float) -> None:
    """In whole numbers: the largest sum of a row stays far below 2^31."""
    w, b, out, out_b = net.parts
    rows = np.rint(w.T * W_UNIT).astype(int)
    assert np.abs(rows).sum(axis=1).max() * 127 < 2**31
    lines = [f"{verdict:.2f} {round(float(out_b[0]) * IN_UNIT * W_UNIT * OUT_UNIT)}"]
    for row, bias, outward in zip(rows, b, out, strict=True):
        numbers = [round(float(bias) * IN_UNIT * W_UNIT), round(float(outward) * OUT_UNIT), *row]
        lines.append(" ".join(str(number) for number in numbers))
    path.write_text(HEADER + "\n".join(lines) + "\n", "ascii")


def gather(calls: Iterable[Call]) -> tuple[NDArray[np.int8], Floats, Floats]:
    parts: list[Sequence[np.ndarray]] = []
    for call in calls:
        parts.append((windows_of(features_of(call)), *labels_of(call)))
    x, y, weight = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return x, y, weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bargein"), help="where the made-up calls are kept")
    parser.add_argument("--calls", type=int, default=8000)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--verdict", type=float, default=VERDICT)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    made = chain(load_calls(options.work, options.calls), load_instruments(options.work, options.instruments))
    x, y, weight = gather(made)
    print(f"{len(y)} frames of {options.calls} calls, {int((y * (weight > 0)).sum())} of them voice", flush=True)
    write(train(x, y, weight, options.epochs), options.out, options.verdict)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
