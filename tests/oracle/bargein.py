"""Twin of fastbridge._bargein: the same integers and the same doubles in the same order, so the same verdicts."""

import math
from importlib.resources import files
from operator import mul

from oracle import mulaw

WHY = ("quiet", "floor", "echo", "tone", "unvoiced", "noise", "voice")
FRAME_FEATURES, CONTEXT_FEATURES, FRAMES = 13, 9, 7

SILENCE_DBFS, EMPTY_DBFS, FAINT_DBFS = -90.30899869919435, -95.0, -60.0
UNIT = 1 << 23
TAPS, HELD, KEPT = 20, 10, 8
HOLD_TURN, HOLD_TALK, VOICE_BEGINS, VOICE_ENDS = 25, 30, 3, 12
LINE, HALF, VOICING, MIN_LAG, MAX_LAG = 240, 180, 120, 10, 58

TAPER = [int(2047.5 * (1 - math.cos(2 * math.pi * (n + 0.5) / LINE)) + 0.5) for n in range(LINE)]
LINEAR = [mulaw.decode_sample(code) for code in range(256)]

_text = files("fastbridge").joinpath("_bargein_weights.txt").read_text("ascii")
_rows = [line.split() for line in _text.splitlines() if line and not line.startswith("#")]
VERDICT, OUT_BIAS = float(_rows[0][0]), int(_rows[0][1])
UNITS = [(int(row[0]), int(row[1]), [int(number) for number in row[2:]]) for row in _rows[1:]]


def decibels(power: float) -> float:
    mantissa, exponent = math.frexp(max(power, 1.0))
    t = (mantissa - 0.75) / (mantissa + 0.75)
    s = t * t
    t = t * (1.0 + s * (0.3333333333333333 + s * (0.2 + s * 0.14285714285714285)))
    return 3.010299956639812 * (exponent + (2.8853900817779268 * t - 0.4150374992788438)) + SILENCE_DBFS


def dot(a: list[int], b: list[int]) -> int:
    return sum(map(mul, a, b))


def peak(x: list[int]) -> int:
    return max(0, *x, *(-value for value in x))


def headroom(high: int) -> int:
    up = 0
    while up < 14 and (high << (up + 1)) < 32768:
        up += 1
    return up


def mean_square(x: list[int]) -> float:
    high = peak(x)
    if high == 0:
        return 0.0
    up = headroom(high)
    z = [(value << up) >> 4 for value in x]
    return math.ldexp(float(dot(z, z)), 10 - 2 * up) / len(x)


def power_around_mean(ulaw: bytes) -> float:
    samples = [LINEAR[code] for code in ulaw]
    if not samples:
        return 0.0
    mean = sum(samples) // len(samples)
    return mean_square([(sample - mean) >> 1 for sample in samples])


def scaled(value: float, unit: float) -> int:
    return min(max(math.floor(value * unit + 0.5), -127), 127)


class Spectrum:
    """Reflection coefficients and prediction gains of the tapered line."""

    def __init__(self, line: list[int]) -> None:
        self.reflection = [0.0] * 11
        self.gain4 = self.gain10 = 0.0
        high = peak(line)
        if high == 0:
            return
        up = headroom(high)
        z = [((value << up) * taper) >> 16 for value, taper in zip(line, TAPER, strict=True)]
        u = [float(dot(z[lag:], z)) for lag in range(11)]
        u[0] = u[0] * 1.0001 + 40.0
        v = list(u)
        first = u[0]
        for i in range(1, 11):
            c = u[i] / v[0]
            self.reflection[i] = c
            for j in range(11 - i):
                u[i + j], v[j] = u[i + j] - c * v[j], v[j] - c * u[i + j]
            if i == 4:
                self.gain4 = decibels(first) - decibels(v[0])
        self.gain10 = decibels(first) - decibels(v[0])


def voicing_of(line: list[int]) -> tuple[float, int]:
    up = headroom(peak(line))
    z = [(value << up) >> 4 for value in line]
    now = z[HALF - VOICING :]
    own = float(dot(now, now))
    if own == 0:
        return 0.0, 0
    score = {}
    for lag in range(MIN_LAG - 1, MAX_LAG + 2):
        then = z[HALF - VOICING - lag : HALF - lag]
        like = float(dot(now, then))
        score[lag] = like * abs(like) / (float(dot(then, then)) + 1.0)
    best, found = 0.0, 0
    for lag in range(MIN_LAG, MAX_LAG + 1):
        if score[lag] > best and score[lag] >= score[lag - 1] and score[lag] >= score[lag + 1]:
            best, found = score[lag], lag
    return math.sqrt(best / own), found


def upper(bins: list[int], part: int) -> float:
    """The level that one in `part` is above."""
    if not bins:
        return EMPTY_DBFS
    return sorted(bins, reverse=True)[len(bins) // part] * 0.5 + EMPTY_DBFS + 0.25


class Detector:
    def __init__(
        self, *, min_level_dbfs: float = -54.0, sensitivity_db: float = 0.0, frames: int = 5, echo: bool = True
    ) -> None:
        if frames < 1:
            raise ValueError("frames must be at least 1")
        if not (math.isfinite(min_level_dbfs) and abs(sensitivity_db) <= 40):
            raise ValueError("min_level_dbfs must be finite, sensitivity_db from -40 to 40")
        self.min_level_dbfs, self.sensitivity_db, self.frames, self.echo = min_level_dbfs, sensitivity_db, frames, echo
        self._verdict = math.floor((VERDICT - 0.3 * sensitivity_db) * UNIT)
        self._keep = self._verdict - 2 * UNIT
        self.reset()

    def reset(self) -> None:
        self._pending = b""
        self._raw = [0] * 64
        self._line, self._half = [0] * LINE, [0] * HALF
        self._bins: list[int] = []
        self._aside: list[tuple[float, float, float, float]] = []
        self._past = [0.0] * 4
        self._hold_turn = self._hold_talk = 0
        self._played = [0.0] * TAPS
        self._taps = [0.0025 if 2 <= k <= 13 else 0.0 for k in range(TAPS)]
        self._kept, self._older, self._age = list(self._taps), list(self._taps), 0
        self._over_echo = 0.0
        self._sums = [0.0] * 6
        self._window = [[0] * FRAME_FEATURES] * FRAMES
        self._context = [0] * CONTEXT_FEATURES
        self._logit = 0
        self.level_dbfs = self.echo_dbfs = SILENCE_DBFS
        self.floor_dbfs, self._voicing = EMPTY_DBFS, 0.0
        self.why_code = self.loud_frames = self._voices = self._loud_run = self._bridged = self._voice_frames = 0
        self._fired = self.speaking = False
        self.quiet_ms: int | None = None

    def feed(self, frame: bytes, playing: bytes | None) -> bool:
        edge = False
        self._pending += frame
        while len(self._pending) >= 160:
            whole, self._pending = self._pending[:160], self._pending[160:]
            edge |= self._judge(whole, playing)
        return edge

    def expect_voice(self) -> None:
        if self._hold_talk == 0:
            self._taps, self._kept = list(self._older), list(self._older)
        self._hold_talk = HOLD_TALK

    @property
    def voice_ms(self) -> int:
        return 20 * self._voice_frames

    @property
    def why(self) -> str:
        return WHY[self.why_code]

    @property
    def threshold_dbfs(self) -> float:
        offset = self.sensitivity_db
        return max(self.min_level_dbfs, self.floor_dbfs - 3.0 - offset, self.echo_dbfs - 6.0 - offset)

    @property
    def confidence(self) -> float:
        return (self._logit - self._verdict) / UNIT

    @property
    def features(self) -> tuple[int, ...]:
        return (*self._window[-1], *self._context)

    def _judge(self, frame: bytes, playing: bytes | None) -> bool:
        self._take(frame)
        heard = playing is not None and self.echo
        self._played = [power_around_mean(playing[:160]) if heard and playing else 0.0, *self._played[:-1]]
        first, second = mean_square(self._line[-160:-80]), mean_square(self._line[-80:])
        self.level_dbfs = min(decibels((first + second) * 0.5), decibels(power_around_mean(frame)))
        spectrum, self._voicing, lag = Spectrum([0] * LINE), 0.0, 0
        if self.level_dbfs >= FAINT_DBFS:
            spectrum = Spectrum(self._line)
            self._voicing, lag = voicing_of(self._half)
        self.echo_dbfs = decibels(self._predict((first + second) * 0.5))
        self.floor_dbfs = upper(self._bins, 20)
        self._fill(spectrum, lag, decibels(second) - decibels(first))
        self.why_code = self._reason(spectrum)
        self._learn(spectrum, playing is not None)
        self._follow()
        return self._debounce(playing is not None)

    def _take(self, frame: bytes) -> None:
        raw = self._raw + [LINEAR[code] for code in frame]
        out = [(raw[32 + i] - (sum(raw[i + 1 : i + 65]) >> 6)) >> 1 for i in range(160)]
        self._raw = raw[160:]
        self._line = self._line[160:] + out
        self._half = self._half[80:] + [(out[i] + out[i + 1]) >> 1 for i in range(0, 160, 2)]

    def _predict(self, power: float) -> float:
        echo = 0.0
        for tap, played in zip(self._taps, self._played, strict=True):
            echo += tap * played
        error = power - echo
        if error > 0 and self._hold_talk > 0:
            return echo
        norm = 1e6
        for tap, played in zip(self._taps, self._played, strict=True):
            if error > 0 or tap > 0:
                norm += played * played
        step = (0.15 if error < 3.0 * echo else 0.02) * error / norm
        self._taps = [min(max(t + step * p, 0.0), 1.0) for t, p in zip(self._taps, self._played, strict=True)]
        self._age += 1
        if self._age == KEPT:
            self._age = 0
            self._older, self._kept = self._kept, list(self._taps)
        return echo

    def _likeness(self) -> float:
        x, y = self.level_dbfs, self.echo_dbfs
        if y < -75.0:
            self._sums = [0.0] * 6
            return 0.0
        self._sums = [s * 0.92 + new for s, new in zip(self._sums, (1.0, x, y, x * x, y * y, x * y), strict=True)]
        weight, sum_x, sum_y, sum_xx, sum_yy, sum_xy = self._sums
        spread = (sum_xx * weight - sum_x * sum_x) * (sum_yy * weight - sum_y * sum_y)
        return (sum_xy * weight - sum_x * sum_y) / math.sqrt(spread) if spread > 1.0 else 0.0

    def _fill(self, spectrum: Spectrum, lag: int, rise: float) -> None:
        level, above = self.level_dbfs, self.level_dbfs - self.echo_dbfs
        high = float(peak(self._line[-160:]))
        now = [
            scaled(level + 50.0, 3.0),
            scaled(level - self.floor_dbfs, 4.0),
            scaled(above, 4.0),
            scaled(self._voicing - 0.5, 254.0),
            scaled(lag - 34.0, 4.0),
            scaled(spectrum.gain4 - 10.0, 5.0),
            scaled(spectrum.gain10 - spectrum.gain4, 10.0),
            scaled(decibels(4.0 * high * high) - level - 10.0, 8.0),
            *(scaled(spectrum.reflection[i], 127.0) for i in range(1, 5)),
            scaled(rise, 8.0),
        ]
        self._window = [*self._window[1:], now]
        past_level, past_voicing, past_tilt, past_gain10 = self._past
        self._context = [
            scaled(level - upper(self._bins, 2), 4.0),
            scaled(past_voicing - 0.5, 254.0),
            scaled(past_tilt, 127.0),
            scaled(past_gain10 - 10.0, 5.0),
            scaled(past_level + 50.0, 3.0),
            scaled(above - self._over_echo, 4.0),
            scaled(self._over_echo, 4.0),
            scaled(self.echo_dbfs + 50.0, 3.0),
            scaled(self._likeness(), 127.0),
        ]
        if self.echo_dbfs > -65.0:
            if above > self._over_echo:
                self._over_echo += min(above - self._over_echo, 0.3 if above < 10.0 else 0.05)
            else:
                self._over_echo -= min(self._over_echo - above, 0.03)

    def _combine(self) -> int:
        inputs = [feature for frame in self._window for feature in frame] + self._context
        return OUT_BIAS + sum(max(dot(weights, inputs) + bias, 0) * out for bias, out, weights in UNITS)

    def _reason(self, spectrum: Spectrum) -> int:
        self._logit = self._verdict - 10 * UNIT
        if self.level_dbfs <= self.min_level_dbfs:
            return WHY.index("quiet")
        if self.level_dbfs <= self.floor_dbfs - 3.0 - self.sensitivity_db:
            return WHY.index("floor")
        if self.level_dbfs <= self.echo_dbfs - 6.0 - self.sensitivity_db:
            return WHY.index("echo")
        self._logit = self._combine()
        if spectrum.gain10 > 30.0:
            return WHY.index("tone")
        if self._logit >= self._verdict:
            return WHY.index("voice")
        if spectrum.gain10 > 24.0:
            return WHY.index("tone")
        return WHY.index("unvoiced" if self._voicing < 0.5 else "noise")

    def _learn(self, spectrum: Spectrum, playing: bool) -> None:
        self._hold_talk = max(self._hold_talk - 1, 0)
        voiced = self._voicing >= 0.6 and self.level_dbfs > self.floor_dbfs + 3.0 and spectrum.gain4 < 24.0
        self._hold_turn = HOLD_TURN if voiced and not playing else max(self._hold_turn - 1, 0)
        if len(self._aside) == HELD:
            level, *_ = waiting = self._aside.pop(0)
            if self._hold_talk == 0 and (playing or self._hold_turn == 0):
                self._bins = [*self._bins[-99:], min(max(math.floor((level - EMPTY_DBFS) * 2.0), 0), 191)]
                self._past = [past + 0.03 * (new - past) for past, new in zip(self._past, waiting, strict=True)]
        self._aside.append((self.level_dbfs, self._voicing, spectrum.reflection[1], spectrum.gain10))

    def _debounce(self, playing: bool) -> bool:
        if not playing or self.why_code <= WHY.index("echo"):
            self.loud_frames = self._voices = 0
            self._fired = False
            return False
        self.loud_frames += 1
        self._voices = self._voices + 1 if self.why == "voice" else 0
        needed = min(3 if self.level_dbfs < self.echo_dbfs + 8.0 else 2, self.frames)
        if self._fired or self.loud_frames < self.frames or self._voices < needed:
            return False
        self._fired = True
        self.expect_voice()
        return True

    def _follow(self) -> None:
        self._loud_run = self._loud_run + 1 if self.why_code > WHY.index("echo") else 0
        if self.quiet_ms is not None:
            self.quiet_ms += 20
        if not self.speaking:
            self._voice_frames = self._bridged = 0
            if self._loud_run >= VOICE_BEGINS and self.why == "voice":
                self.speaking = True
                self.quiet_ms = 0
                self._voice_frames = min(self._loud_run, FRAMES)
            return
        self._bridged += 1
        if self._loud_run > 0 and self._logit >= self._keep:
            self._voice_frames += self._bridged
            self._bridged = self.quiet_ms = 0
        elif self._bridged >= VOICE_ENDS:
            self.speaking = False
            self._voice_frames = 0
