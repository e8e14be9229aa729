"""The model's voice in GPT-Live: one unbroken stream of 8 kHz mu-law, in which it speaks or is quiet.

What is said is queued and comes out at the pace at which it is taken; between the words there is silence, or noise. Its
clock is the count of samples taken: nothing here knows the time. What was said is known word by word, as it is taken.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .audio import SILENCE, to_ulaw
from .response import words
from .scenario import SAMPLE_RATE_HZ, Say
from .wire import MULAW_BYTES_PER_MS, Json

NOISE_SAMPLES = 4 * SAMPLE_RATE_HZ


class Fragment(NamedTuple):
    """A word, and where it lies on the session's clock."""

    text: str
    start_ms: float
    end_ms: float


class Taken(NamedTuple):
    """A piece of the stream: what begins to be said in it, and what ended."""

    audio: bytes
    fragments: list[Fragment]
    ended: list["Utterance"]


@dataclass(slots=True)
class Utterance:
    """Something that is said: `start` and `end` are samples of the stream. `is_fixture`: audio of the client's. `cut`:
    where the model stopped, if before the end."""

    start: int
    audio: bytes
    words: list[str]
    is_fixture: bool = False
    item: Json = field(default_factory=dict)
    cut: int | None = None

    @property
    def end(self) -> int:
        return self.start + len(self.audio)

    def word_start(self, index: int) -> int:
        """Where the word begins; the words share the time evenly."""
        return self.start + len(self.audio) * index // max(1, len(self.words))

    def begun(self, low: int, high: int) -> list[Fragment]:
        """The words that begin from `low` up to `high`."""
        starts = [self.word_start(index) for index in range(len(self.words) + 1)]
        return [
            Fragment(word, starts[index] / MULAW_BYTES_PER_MS, starts[index + 1] / MULAW_BYTES_PER_MS)
            for index, word in enumerate(self.words)
            if low <= starts[index] < high
        ]


class Voice:
    """`position` is how many samples were taken, `said` all that was to be said. noise_dbfs: the level between the
    words, None for digital silence."""

    def __init__(self, noise_dbfs: float | None = None) -> None:
        self.position = 0
        self.said: list[Utterance] = []
        self._noise = SILENCE if noise_dbfs is None else noise(noise_dbfs)
        self._queue: deque[Utterance] = deque()

    @property
    def speaking(self) -> bool:
        """Whether something is being said, or about to be; a fixture is not the model's."""
        return any(not each.is_fixture for each in self._queue)

    @property
    def fixture_active(self) -> bool:
        """Whether audio of the client's is being played."""
        return any(each.is_fixture for each in self._queue)

    def say(self, say: Say, clock_ms: float) -> Utterance:
        """Say it now, or behind what is being said."""
        start = max(self._free(), int(clock_ms * MULAW_BYTES_PER_MS))
        return self._append(Utterance(start, say.sound(), words(say.transcript)))

    def play(self, audio: bytes) -> Utterance:
        """Play audio of the client's, and nothing that the model was saying."""
        self._cut()
        self._queue.clear()
        return self._append(Utterance(self._free(), audio, [], is_fixture=True))

    def hush(self) -> None:
        """Forget what the model is saying and would have said."""
        self._cut()
        self._queue = deque(each for each in self._queue if each.is_fixture)

    def take(self, count: int) -> Taken:
        """The next so many samples."""
        low, high = self.position, self.position + count
        out = bytearray(self._quiet(count))
        fragments: list[Fragment] = []
        ended: list[Utterance] = []
        for each in list(self._queue):
            first, last = max(each.start, low), min(each.end, high)
            out[first - low : max(first, last) - low] = each.audio[first - each.start : max(first, last) - each.start]
            fragments += self._told(each, first, last)
            if each.end > high:
                break
            ended.append(self._queue.popleft())
        self.position = high
        return Taken(bytes(out), fragments, ended)

    def _cut(self) -> None:
        for each in self._queue:
            if not each.is_fixture:
                each.cut = max(each.start, self.position)

    def _append(self, utterance: Utterance) -> Utterance:
        self._queue.append(utterance)
        self.said.append(utterance)
        return utterance

    def _free(self) -> int:
        return self._queue[-1].end if self._queue else self.position

    def _told(self, utterance: Utterance, first: int, last: int) -> list[Fragment]:
        begun = utterance.begun(first, last)
        for fragment in begun:
            if utterance.item:
                utterance.item["content"][0]["transcript"] += fragment.text
        return begun

    def _quiet(self, count: int) -> bytes:
        size = len(self._noise)
        at = self.position % size
        return (self._noise[at:] + self._noise * (count // size + 1))[:count]


@lru_cache(maxsize=8)
def noise(dbfs: float) -> bytes:
    """Some seconds of white noise of this level, as mu-law; the same each time."""
    level = 10 ** (dbfs / 20)
    return to_ulaw(np.random.default_rng(0).normal(0.0, level, NOISE_SAMPLES))
