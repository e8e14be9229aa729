"""Make the calls, train the combiner, write src/fastbridge/_bargein_weights.txt: `python -m tools.bargein.train`.

Plain numpy, fixed seeds. Several large networks, the teachers, learn from the labels; the combiner, which is small,
learns from what they say together. That is worth two points over learning from the labels itself: where they are
unsure, so it may be, and spends its few units elsewhere. Then whole numbers. The features come from the compiled
detector itself, so what is trained is what runs.
"""

import argparse
import multiprocessing
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tools.bargein.dataset import IN_UNIT, INPUTS, Dataset, Floats, load_dataset

from fastbridge._bargein import HIDDEN

TEACHERS, TEACHER_UNITS = (11, 12, 13, 14), 128
"""Their seeds, and how large each is."""
SEED = 1
W_UNIT, OUT_UNIT = 512, 512
"""512ths of a weight; 2^23rds of a logit come out."""
VERDICT = 0.5
"""The logit from which a frame is taken for a voice."""
STEP_ROWS = 2048
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


class Network:
    """Inputs -> rectified -> one logit, and Adam."""

    def __init__(self, seed: int, units: int) -> None:
        rng = np.random.default_rng(seed)
        self.parts: list[Floats] = [
            (rng.standard_normal((INPUTS, units)) * np.sqrt(2 / INPUTS)).astype(np.float32),
            np.zeros(units, np.float32),
            (rng.standard_normal(units) * np.sqrt(1 / units)).astype(np.float32),
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


def train(data: Dataset, target: Floats, units: int, epochs: int, seed: int) -> Network:
    """target: how likely each row is a voice."""
    rng = np.random.default_rng(seed + 1)
    used = np.flatnonzero(data.weight > 0)
    net = Network(seed, units)
    total = epochs * (len(used) // STEP_ROWS)
    for _ in range(epochs):
        rng.shuffle(used)
        for at in range(0, len(used) - STEP_ROWS + 1, STEP_ROWS):
            rows = used[at : at + STEP_ROWS]
            rate = 1e-3 * (1 + np.cos(np.pi * net.steps / total))
            net.step(data.inputs(rows), target[rows], data.weight[rows], rate)
    return net


_shared: Dataset | None = None  # what the teachers' processes inherit


def taught_by(job: tuple[int, int]) -> Floats:
    """What the teacher of a seed, after so many epochs, says of each row: a logit, 0 where nobody looks."""
    seed, epochs = job
    data = _shared
    if data is None:
        raise RuntimeError("a teacher's process has inherited no data")
    net = train(data, data.voice, TEACHER_UNITS, epochs, seed)
    said = np.zeros(len(data), np.float32)
    used = np.flatnonzero(data.weight > 0)
    for at in range(0, len(used), 1 << 16):
        rows = used[at : at + (1 << 16)]
        said[rows] = net.logits(data.inputs(rows))
    return said


def teach(data: Dataset, epochs: int) -> Floats:
    """How likely each row is a voice, in the teachers' common opinion: the mean of their logits."""
    global _shared
    _shared = data
    jobs = [(seed, epochs) for seed in TEACHERS]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        opinions = pool.map(taught_by, jobs, chunksize=1)
    return (1 / (1 + np.exp(-np.mean(opinions, axis=0)))).astype(np.float32)


def write(net: Network, path: Path, verdict: float) -> None:
    """In whole numbers: the largest sum of a row stays far below 2^31."""
    w, b, out, out_b = net.parts
    rows: NDArray[np.int_] = np.rint(w.T * W_UNIT).astype(int)
    assert np.abs(rows).sum(axis=1).max() * 127 < 2**31
    lines = [f"{verdict:.2f} {round(float(out_b[0]) * IN_UNIT * W_UNIT * OUT_UNIT)}"]
    for row, bias, outward in zip(rows, b, out, strict=True):
        numbers = [round(float(bias) * IN_UNIT * W_UNIT), round(float(outward) * OUT_UNIT), *row]
        lines.append(" ".join(str(number) for number in numbers))
    path.write_text(HEADER + "\n".join(lines) + "\n", "ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/bargein"), help="where the made-up calls are kept")
    parser.add_argument("--calls", type=int, default=14_000)
    parser.add_argument("--instruments", type=int, default=500)
    parser.add_argument("--teacher-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--verdict", type=float, default=VERDICT)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = load_dataset(options.work, options.calls, options.instruments)
    print(f"{len(data)} frames of {options.calls} calls", flush=True)
    target = teach(data, options.teacher_epochs)
    print(f"{len(TEACHERS)} teachers have said what they think of them", flush=True)
    write(train(data, target, HIDDEN, options.epochs, SEED), options.out, options.verdict)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
