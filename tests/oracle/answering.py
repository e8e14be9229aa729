"""Twin of fastbridge._answering: all that was heard is kept, and looked at anew for each frame."""

import math
from itertools import pairwise
from typing import NamedTuple

from oracle.mulaw import decode_sample

SIGNS = ("", "human", "machine", "beep", "fax")
SIGN_HUMAN, SIGN_MACHINE, SIGN_BEEP, SIGN_FAX = 1, 2, 3, 4

FRAME = 160
NO_TONE = 2.0


def cosine_of(hertz: float) -> float:
    return math.cos(2 * math.pi * hertz / 8000)


def between(low_hz: float, cosine: float, high_hz: float) -> bool:
    return cosine_of(high_hz) <= cosine <= cosine_of(low_hz)


def near(a: float, b: float) -> bool:
    return abs(a - b) <= 0.02 * math.sqrt(1.0 - b * b)


def inner_power(x: list[int]) -> int:
    return sum(each * each for each in x[2:-2])


def purity(x: list[int], cosine: float, power: float) -> float:
    before = last = 0.0
    for each in x:
        before, last = last, each + 2.0 * cosine * last - before
    return 2.0 * (last * last + before * before - 2.0 * cosine * last * before) / (FRAME * power)


def pure_cosine(x: list[int]) -> float:
    """Of the frame's one frequency; NO_TONE without one."""
    power = inner_power(x)
    once = 0.5 * sum(x[i] * (x[i - 1] + x[i + 1]) for i in range(2, FRAME - 2))
    twice = 0.5 * sum(x[i] * (x[i - 2] + x[i + 2]) for i in range(2, FRAME - 2))
    if power < 6800.0 * FRAME:
        return NO_TONE
    cosine = (twice + math.sqrt(twice * twice + 8.0 * once * once)) / (4.0 * once) if once else 0.0
    if not between(385.0, cosine, 2150.0):
        return NO_TONE
    return cosine if purity(x, cosine, float(power) * FRAME / (FRAME - 4)) >= 0.8 else NO_TONE


class Tone(NamedTuple):
    """A run of frames of one frequency. chain: its place in a signal of several tones, rising: and each the higher."""

    run: int
    over: int
    chain: int
    rising: bool
    cosine: float
    power: float
    behind: int

    def goes_on(self, cosine: float, power: int) -> "Tone":
        run = self.run + 1 + self.over
        mean = self.cosine + (cosine - self.cosine) / run
        return self._replace(run=run, over=0, cosine=mean, power=self.power + (power - self.power) / run)

    def fades(self, power: int) -> "Tone":
        over = self.over + 1
        return self._replace(over=over, behind=max(self.behind, power) if over > 1 else self.behind)


class Span(NamedTuple):
    """What is said without a long pause: each frame's level where anybody spoke, None where nobody did."""

    begun: int
    levels: list[float | None]

    @property
    def lively(self) -> bool:
        steps = [abs(b - a) for a, b in pairwise(self.levels) if a is not None and b is not None]
        total = 0.0
        for step in steps:
            total += step
        often = sum(step >= 2.0 for step in steps) >= 0.15 * len(steps)
        return bool(steps) and total >= 0.85 * len(steps) and (len(steps) < 40 or often)


class AnswerEar:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._pending = b""
        self._levels: list[float] = []
        self._active: list[bool] = []
        self._peak = -45.0
        self._span: Span | None = None
        self._quiet = 0
        self._last_voice = -150
        self._tone: Tone | None = None
        self._calling_tones = 0
        self._judged = self._is_fax = False
        self.beep_frames = 0
        self.beep_hz = 0.0

    @property
    def frames(self) -> int:
        return len(self._levels)

    @property
    def quiet_frames(self) -> int:
        return self.frames - max(self._last_voice, 0)

    def feed(self, frame: bytes, level_dbfs: float, echo_dbfs: float) -> int:
        sign = 0
        self._pending += frame
        while len(self._pending) >= FRAME:
            piece, self._pending = self._pending[:FRAME], self._pending[FRAME:]
            sign = self._judge([decode_sample(code) for code in piece], level_dbfs, echo_dbfs) or sign
        return sign

    def _judge(self, x: list[int], level: float, echo: float) -> int:
        cosine = pure_cosine(x)
        self._levels.append(level)
        self._active.append(self._is_active(level, echo) and cosine > 1.0)
        by_talk = self._follow_talk(level)
        return self._follow_tone(cosine, inner_power(x)) or by_talk

    # --- talk ---

    def _is_active(self, level: float, echo: float) -> bool:
        block = (self.frames - 1) // 25 * 25
        floor = max(-70.0, min(-45.0, *self._levels[max(block - 50, 0) :]))
        if level > echo + 6.0:
            self._peak = max(self._peak - 0.02, level)
        masked = echo + 6.0 if self._peak <= -45.0 else min(echo + 6.0, self._peak - 14.0)
        return level > max(floor + 9.0, self._peak - 24.0, masked, -50.0)

    def _follow_talk(self, level: float) -> int:
        active = self._active[-1]
        if self._span is not None:
            self._span.levels.append(level if active else None)
        if self._active[-3:] == [True] * 3 or (active and self._span is not None and self._quiet <= 10):
            if self._span is None:
                self._span = Span(self.frames - 2, [level])
            self._quiet = 0
            self._last_voice = self.frames
        elif self._span is not None:
            self._quiet += 1
        return self._judge_talk(self._span) if self._span is not None and not self._judged else 0

    def _judge_talk(self, span: Span) -> int:
        talk = self.frames - span.begun + 1 - self._quiet
        if self._quiet == 0 and talk >= 150 and span.lively:
            self._judged = True
            return SIGN_MACHINE
        if self._quiet < (28 if talk <= 50 else 38):
            return 0
        if talk >= 6 and span.lively:
            self._judged = True
            return SIGN_HUMAN
        self._span, self._quiet = None, 0
        return 0

    # --- tones ---

    def _follow_tone(self, cosine: float, power: int) -> int:
        tone = self._tone
        if cosine <= 1.0:
            if tone is not None and tone.over <= 1 and near(cosine, tone.cosine):
                self._tone = tone.goes_on(cosine, power)
            else:
                self._tone = self._another(tone, cosine, power)
            if self._tone.run == 40 and between(2070.0, self._tone.cosine, 2130.0):
                return self._fax()
            return 0
        if tone is None:
            return 0
        self._tone = tone.fades(power)
        if self._tone.over < 5:
            return 0
        ended, self._tone = self._tone, None
        return self._ended(ended)

    def _another(self, before: Tone | None, cosine: float, power: int) -> Tone:
        if before is not None and before.run >= 3 and before.over < 4:
            rising = before.rising and cosine < before.cosine
            return Tone(1, 0, before.chain + 1, rising, cosine, float(power), 0)
        return Tone(1, 0, 1, True, cosine, float(power), 0)

    def _ended(self, tone: Tone) -> int:
        after_talk = self.frames - self._last_voice <= 150 + tone.run
        if self._is_fax or not 6 <= tone.run <= 150 or tone.behind > 0.05 * tone.power:
            return 0
        if tone.chain == 3 and tone.rising and not self._judged:
            self._judged = True
            return SIGN_MACHINE
        if tone.chain > 1 or (tone.cosine > cosine_of(505.0) and not after_talk):
            return 0
        if between(1062.0, tone.cosine, 1138.0) and 21 <= tone.run <= 29 and not after_talk:
            self._calling_tones += 1
            return self._fax() if self._calling_tones == 2 else 0
        self.beep_frames = tone.run
        self.beep_hz = math.acos(tone.cosine) * 4000 / math.pi
        return SIGN_BEEP

    def _fax(self) -> int:
        told, self._is_fax, self._judged = self._is_fax, True, True
        return 0 if told else SIGN_FAX
