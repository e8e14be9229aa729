"""Who answers, told from sound: how often, how soon, and how often wrongly.

    python bench/machines.py                # what was tuned on
    python bench/machines.py --held         # the part that was not
    python bench/machines.py --count 1000   # so many of each

Needs espeak-ng and numpy. See docs/answering-machines.md for what the sounds are, and are not.
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from fastbridge._answering import SIGNS, AnswerEar
from fastbridge._bargein import Detector
from machine_sounds import Maker, Sound

FRAME_SECONDS = 0.02


@dataclass
class Heard:
    """What was told of one sound. Times are seconds from the answer. signs: each with its time."""

    sound: Sound
    signs: list[tuple[str, float]]

    def first(self, *wanted: str) -> tuple[str, float]:
        return next((found for found in self.signs if found[0] in wanted), ("", -1.0))

    @property
    def verdict(self) -> str:
        """That which is told first; a beep says machine."""
        name = self.first("human", "machine", "beep", "fax")[0]
        return "machine" if name == "beep" else name

    @property
    def last(self) -> str:
        """That which holds at last: a beep takes back what was told before."""
        return "machine" if self.first("beep")[0] else self.verdict


def listen(sound: Sound) -> Heard:
    """As the caller's lane does."""
    detector, ear, signs = Detector(), AnswerEar(), []
    for number, (frame, playing) in enumerate(zip(sound.frames, sound.heard, strict=True)):
        detector.feed(frame, playing)
        sign = ear.feed(frame, detector.level_dbfs, detector.echo_dbfs)
        if sign:
            signs.append((SIGNS[sign], (number + 1) * FRAME_SECONDS))
    return Heard(sound, signs)


def share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({part / max(whole, 1):.2%})"


def percentile(values: list[float], which: float) -> str:
    return f"{np.percentile(values, which):.2f}" if values else "-"


def report(heard: list[Heard]) -> None:
    humans = [each for each in heard if each.sound.label == "human"]
    machines = [each for each in heard if each.sound.label == "machine" and each.sound.kind == "machine"]
    right = [each for each in humans if each.last == "human"]
    print(f"humans right            {share(len(right), len(humans))}")
    print(f"humans taken for machines {share(sum(each.last in ('machine', 'fax') for each in humans), len(humans))}")
    words = [each.first("human")[1] - each.sound.word for each in right if each.sound.kind == "word"]
    ends = [each.first("human")[1] - each.sound.speech_end for each in right]
    print(f"human verdict, from the beginning of the one word said: p50 {percentile(words, 50)} s, "
          f"p95 {percentile(words, 95)} s")  # fmt: skip
    print(f"human verdict, from the end of what was said: p50 {percentile(ends, 50)} s, p95 {percentile(ends, 95)} s")
    firstly = [each for each in machines if each.verdict == "machine"]
    print(f"machines right at first  {share(len(firstly), len(machines))}")
    print(f"machines right at last   {share(sum(each.last == 'machine' for each in machines), len(machines))}")
    times = [each.first("machine", "beep")[1] - each.sound.word for each in firstly]
    print(f"machine verdict, from the first word: p50 {percentile(times, 50)} s, p95 {percentile(times, 95)} s")
    found, delays, wrong = 0, [], 0
    for each in machines:
        told = [at for name, at in each.signs if name == "beep"]
        good = [at for at in told if each.sound.beep_end <= at <= each.sound.beep_end + 0.5]
        found += bool(good)
        wrong += len(told) - len(good)
        delays += [good[0] - each.sound.beep_end] if good else []
    print(f"beeps found              {share(found, len(machines))}, told p50 {percentile(delays, 50)} s, "
          f"p95 {percentile(delays, 95)} s, max {percentile(delays, 100)} s after their end")  # fmt: skip
    print(f"beeps told where none ended: {wrong} in machines' greetings, "
          f"{sum(name == 'beep' for each in humans for name, _ in each.signs)} in humans' words")  # fmt: skip
    for kind in ("fax", "sit", "ring-back", "music", "silence"):
        verdicts = Counter(each.last or "nothing" for each in heard if each.sound.kind == kind)
        print(f"{kind:10} {dict(verdicts)}")


def cost() -> float:
    """Microseconds a frame, of the ear alone."""
    sound = Maker("dev", 7).machine()
    best = 1e9
    for _ in range(20):
        ear = AnswerEar()
        began = time.perf_counter()
        for frame in sound.frames:
            ear.feed(frame, -30.0, -90.0)
        best = min(best, (time.perf_counter() - began) / len(sound.frames))
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--held", action="store_true", help="the part that was never tuned on")
    parser.add_argument("--count", type=int, default=300, help="words, sentences and machines, of each")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    part = "held" if asked.held else "dev"
    heard = [listen(sound) for sound in Maker(part, asked.seed).sounds(asked.count)]
    print(f"{part}, seed {asked.seed}: {len(heard)} sounds")
    report(heard)
    print(f"cost: {cost():.2f} us a frame")


if __name__ == "__main__":
    main()
