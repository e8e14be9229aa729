"""Is the caller talking over the assistant? fastbridge's detector in numpy, a tick's frames at once.

One frame alone would cost some hundred calls of numpy; a tick's worth of them costs hardly more than one. The verdicts
are those of `fastbridge._bargein`, which says why each number is what it is: same integers, same doubles, same order.
"""

import math
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from messages import LINEAR

Array = np.ndarray[Any, Any]

FRAME, MEAN, LINE, HALF, VOICING, MIN_LAG, MAX_LAG, TAPS = 160, 64, 240, 180, 120, 10, 58, 20
HELD_FRAMES, FLOOR_FRAMES, FEATURES, WINDOW = 10, 100, 13, 7
SILENCE_DBFS, EMPTY_DBFS, FAINT_DBFS = -90.30899869919435, -95.0, -60.0
UNIT = 1 << 23
NEVER = 10 * UNIT
HOLD_TURN, HOLD_TALK, KEPT_FRAMES, VOICE_BEGINS, VOICE_ENDS = 25, 30, 8, 3, 12
QUIET, FLOOR, ECHO, TONE, UNVOICED, NOISE, VOICE = range(7)

COUNTERS = (
    *("age", "bins_next", "bins_filled", "aside_next", "aside_filled", "hold_turn", "hold_talk"),
    *("loud", "voices", "fired", "loud_run", "bridged", "voice_frames", "speaking"),
)
STATE = np.dtype(
    [
        ("raw", "i4", MEAN),
        ("line", "i4", LINE),
        ("half", "i4", HALF),
        ("bins", "u1", FLOOR_FRAMES),
        ("upper20", "f8"),
        ("upper2", "f8"),
        ("aside", "f8", (HELD_FRAMES, 4)),  # level, voicing, tilt, gain of frames of which the floor has not learnt yet
        ("past", "f8", 4),
        ("played", "f8", TAPS),
        ("taps", "f8", TAPS),
        ("kept", "f8", TAPS),
        ("older", "f8", TAPS),
        ("over_echo", "f8"),
        ("sums", "f8", 6),
        ("window", "f8", WINDOW * FEATURES),
        ("level", "f8"),
        ("threshold", "f8"),
    ]
    + [(name, "i8") for name in COUNTERS]
)

TAPER = np.array([int(2047.5 * (1 - math.cos(2 * math.pi * (n + 0.5) / LINE)) + 0.5) for n in range(LINE)], "i4")

_text = files("fastbridge").joinpath("_bargein_weights.txt").read_text("ascii")
_rows = [line.split() for line in _text.splitlines() if line and not line.startswith("#")]
VERDICT, OUT_BIAS = float(_rows[0][0]), int(_rows[0][1])
BIAS = np.array([row[0] for row in _rows[1:]], "f8")
OUT = np.array([row[1] for row in _rows[1:]], "i8")
WEIGHTS = np.array([row[2:] for row in _rows[1:]], "f8").T.copy()
# What a feature is multiplied by, to be a whole number.
FRAME_UNITS = np.array([3.0, 4.0, 4.0, 254.0, 4.0, 5.0, 10.0, 8.0, 127.0, 127.0, 127.0, 127.0, 8.0])
CONTEXT_UNITS = np.array([4.0, 254.0, 127.0, 5.0, 3.0, 4.0, 4.0, 3.0, 127.0])
# Of the cumulated energy of what is compared at each lag.
ENDS = slice(HALF - MIN_LAG + 1, HALF - MAX_LAG - 2, -1)
BEGINS = slice(HALF - VOICING - MIN_LAG + 1, HALF - VOICING - MAX_LAG - 2, -1)


def decibels(power: Array) -> Array:
    mantissa, exponent = np.frexp(np.maximum(power, 1.0))
    t = (mantissa - 0.75) / (mantissa + 0.75)
    s = t * t
    t = t * (1.0 + s * (0.3333333333333333 + s * (0.2 + s * 0.14285714285714285)))
    return 3.010299956639812 * (exponent + (2.8853900817779268 * t - 0.4150374992788438)) + SILENCE_DBFS


def peak(x: Array) -> Array:
    return np.maximum(x.max(-1), -x.min(-1))


def headroom(high: Array) -> Array:
    """Bits by which samples up to `high` can be shifted up within 16 bits."""
    return 15 - np.frexp(np.maximum(high, 1))[1]


def lagged(x: Array, start: int, count: int, size: int) -> Array:
    """For each row of `x`, `count` pieces of `size`, the first at `start` and each next one earlier by one."""
    row, step = x.strides
    return np.ndarray((len(x), count, size), x.dtype, x, start * step, (row, -step, step))


def mean_square(x: Array, high: Array) -> Array:
    up = headroom(high)
    z = (x << up[..., None]) >> 4
    return np.ldexp(np.einsum("...i,...i->...", z, z).astype("f8"), 10 - 2 * up) / x.shape[-1]


def power_around_mean(samples: Array) -> Array:
    x = (samples - samples.sum(-1, keepdims=True) // samples.shape[-1]) >> 1
    return mean_square(x, peak(x))


def scaled(values: Array, units: Array) -> Array:
    return np.minimum(np.maximum(np.floor(values * units + 0.5), -127.0), 127.0)


def analyse(line: Array) -> tuple[Array, Array, Array]:
    """Reflection coefficients 1 to 4, and the gains of predictors of order 4 and 10, of each row."""
    high = peak(line)
    padded = np.zeros((len(line), 16 + LINE), "i4")
    z = padded[:, 16:]
    z[:] = ((line << headroom(high)[:, None]) * TAPER) >> 16
    u = np.einsum("ki,kji->jk", z, lagged(padded, 16, 11, LINE)).astype("f8")
    u[0] = u[0] * 1.0001 + 40.0
    v = u.copy()
    powers = [u[0].copy()]
    reflection = np.zeros((5, len(line)))
    for i in range(1, 11):
        c = u[i] / v[0]
        if i < 5:
            reflection[i] = c
        left = v[: 11 - i]
        right = u[i:]
        new = right - c * left
        left -= c * right
        right[:] = new
        if i in (4, 10):
            powers.append(v[0].copy())
    first, fourth, tenth = decibels(np.array(powers))
    heard = high > 0
    return reflection[1:] * heard, (first - fourth) * heard, (first - tenth) * heard


def voicing_of(half: Array) -> tuple[Array, Array]:
    """The highest peak of the normalised autocorrelation, and its lag."""
    z = (half << headroom(peak(half))[:, None]) >> 4
    now = z[:, HALF - VOICING :]
    earlier = lagged(z, HALF - VOICING - MIN_LAG + 1, MAX_LAG - MIN_LAG + 3, VOICING)
    score = np.einsum("ki,kji->kj", now, earlier).astype("f8")
    energy = np.zeros((len(z), HALF + 1))
    np.cumsum(z * z, axis=1, out=energy[:, 1:])
    score *= np.abs(score)
    score /= energy[:, ENDS] - energy[:, BEGINS] + 1.0
    own = energy[:, -1] - energy[:, HALF - VOICING]
    inner = score[:, 1:-1]
    peaks = np.where((inner >= score[:, :-2]) & (inner >= score[:, 2:]), inner, 0.0)
    at = peaks.argmax(1)
    best = peaks[np.arange(len(z)), at]
    found = best > 0
    return np.sqrt(np.maximum(best, 0.0) / np.maximum(own, 1.0)), np.where(found, at + MIN_LAG, 0)


class Detectors:
    """One detector a slot, all of one setting."""

    def __init__(self, slots: int, *, frames: int, min_level_dbfs: float, sensitivity_db: float, echo: bool) -> None:
        self.frames, self.echo = frames, echo
        self.min_level_dbfs, self.sensitivity_db = min_level_dbfs, sensitivity_db
        self.state = np.zeros(slots, STATE)
        self._rows = self.state.view("u1").reshape(slots, STATE.itemsize)
        self._verdict = math.floor((VERDICT - 0.3 * sensitivity_db) * UNIT)
        self._free = list(range(slots))[::-1]

    def acquire(self) -> int:
        """A slot as new."""
        slot = self._free.pop()
        new = self.state[slot : slot + 1]
        new[:] = np.zeros(1, STATE)
        new["upper20"] = new["upper2"] = EMPTY_DBFS
        new["level"] = SILENCE_DBFS
        for name in ("taps", "kept", "older"):
            new[name][0, 2:14] = 0.0025
        return slot

    def release(self, slot: int) -> None:
        self._free.append(slot)

    def expect_voice(self, slot: int) -> None:
        self._hold(self.state[slot : slot + 1])

    def judge(self, slots: Sequence[int], frames: Sequence[bytes], heard: Sequence[bytes | None]) -> Array:
        """Whether each slot's frame is an edge, given what its caller hears with it. No slot twice."""
        rows = self._rows[slots]
        s = rows.view(STATE)[:, 0]
        playing = np.array([frame is not None for frame in heard])
        edge = self._judge(s, np.frombuffer(b"".join(frames), "u1"), playing, heard)
        self._rows[slots] = rows
        return edge

    def _judge(self, s: Array, ulaw: Array, playing: Array, heard: Sequence[bytes | None]) -> Array:
        count = len(s)
        samples = LINEAR[ulaw].reshape(count, FRAME)
        new = self._take_line(s, samples)
        self._take_played(s, playing, heard)
        parts = new.reshape(count, 2, FRAME // 2)
        highs = peak(parts)
        squares = mean_square(parts, highs)
        power = (squares[:, 0] + squares[:, 1]) * 0.5
        highest = highs.max(1).astype("f8")
        echo = self._predicted_echo(s, power)
        whole, around, first, second, echo_level, top = decibels(
            np.array([power, power_around_mean(samples), squares[:, 0], squares[:, 1], echo, 4.0 * highest * highest])
        )
        level = np.minimum(whole, around)
        voicing, lag, gain4, gain10 = np.zeros((4, count))
        reflection = np.zeros((4, count))
        some = np.flatnonzero(level >= FAINT_DBFS)
        if len(some):
            reflection[:, some], gain4[some], gain10[some] = analyse(s["line"][some])
            voicing[some], lag[some] = voicing_of(s["half"][some])
        floor = s["upper20"].copy()
        s["level"] = level
        above = level - echo_level
        window = s["window"]
        window[:, :-FEATURES] = window[:, FEATURES:].copy()
        now = [level + 50.0, level - floor, above, voicing - 0.5, lag - 34.0, gain4 - 10.0, gain10 - gain4]
        now += [top - level - 10.0, *reflection, second - first]
        window[:, -FEATURES:] = scaled(np.array(now).T, FRAME_UNITS)
        context = self._context(s, level, above, echo_level)
        code, logit = self._reason(s, level, floor, echo_level, voicing, gain10, context)
        self._learn(s, playing, level, floor, voicing, reflection[0], gain4, gain10)
        self._follow(s, code, logit)
        return self._debounce(s, code, level, echo_level, playing)

    def _take_line(self, s: Array, samples: Array) -> Array:
        raw = np.concatenate([s["raw"], samples], axis=1)
        sums = np.cumsum(raw, axis=1, dtype="i4")
        means = (sums[:, MEAN:] - sums[:, :FRAME]) >> 6
        new = (raw[:, MEAN // 2 : MEAN // 2 + FRAME] - means) >> 1
        line, half = s["line"], s["half"]
        line[:, : LINE - FRAME] = line[:, FRAME:]
        line[:, LINE - FRAME :] = new
        half[:, : HALF - FRAME // 2] = half[:, FRAME // 2 :].copy()
        half[:, HALF - FRAME // 2 :] = (new[:, ::2] + new[:, 1::2]) >> 1
        s["raw"] = raw[:, FRAME:]
        return new

    def _take_played(self, s: Array, playing: Array, heard: Sequence[bytes | None]) -> None:
        played = s["played"]
        played[:, 1:] = played[:, :-1].copy()
        played[:, 0] = 0.0
        if self.echo and playing.any():
            frames = np.frombuffer(b"".join([frame for frame in heard if frame is not None]), "u1")
            played[playing, 0] = power_around_mean(LINEAR[frames].reshape(-1, FRAME))

    def _predicted_echo(self, s: Array, power: Array) -> Array:
        played, taps = s["played"], s["taps"]
        if not played.any():
            s["age"] += (power <= 0) | (s["hold_talk"] == 0)
            echo = np.zeros(len(s))
        else:
            echo = np.cumsum(taps * played, axis=1)[:, -1]
            error = power - echo
            over = error > 0
            learns = ~(over & (s["hold_talk"] > 0))
            norm = np.empty((len(s), TAPS + 1))
            norm[:, 0] = 1e6
            norm[:, 1:] = np.where(over[:, None] | (taps > 0), played * played, 0.0)
            step = np.where(error < 3.0 * echo, 0.15, 0.02) * error / np.cumsum(norm, axis=1)[:, -1]
            learnt = np.minimum(np.maximum(taps + step[:, None] * played, 0.0), 1.0)
            s["taps"] = np.where(learns[:, None], learnt, taps)
            s["age"] += learns
        whole = np.flatnonzero(s["age"] == KEPT_FRAMES)
        s["age"][whole] = 0
        s["older"][whole] = s["kept"][whole]
        s["kept"][whole] = s["taps"][whole]
        return echo

    def _context(self, s: Array, level: Array, above: Array, echo_level: Array) -> Array:
        over_echo = s["over_echo"].copy()
        past = s["past"]
        values = [level - s["upper2"], past[:, 1] - 0.5, past[:, 2], past[:, 3] - 10.0, past[:, 0] + 50.0]
        values += [above - over_echo, over_echo, echo_level + 50.0, self._likeness(s, level, echo_level)]
        up = np.minimum(above - over_echo, np.where(above < 10.0, 0.3, 0.05))
        down = np.minimum(over_echo - above, 0.03)
        moved = np.where(above > over_echo, over_echo + up, over_echo - down)
        s["over_echo"] = np.where(echo_level > -65.0, moved, over_echo)
        return scaled(np.array(values).T, CONTEXT_UNITS)

    def _likeness(self, s: Array, x: Array, y: Array) -> Array:
        """Correlation of level and expected echo over about the last 12 frames; 0 without an echo."""
        is_echo = y >= -75.0
        sums = s["sums"] * 0.92 + np.array([np.ones(len(s)), x, y, x * x, y * y, x * y]).T
        s["sums"] = sums = np.where(is_echo[:, None], sums, 0.0)
        weight, sum_x, sum_y, sum_xx, sum_yy, sum_xy = sums.T
        spread = (sum_xx * weight - sum_x * sum_x) * (sum_yy * weight - sum_y * sum_y)
        known = spread > 1.0
        return np.where(known, sum_xy * weight - sum_x * sum_y, 0.0) / np.sqrt(np.where(known, spread, 1.0))

    def _reason(
        self, s: Array, level: Array, floor: Array, echo_level: Array, voicing: Array, gain10: Array, context: Array
    ) -> tuple[Array, Array]:
        over_floor = floor - 3.0 - self.sensitivity_db
        over_echo = echo_level - 6.0 - self.sensitivity_db
        s["threshold"] = np.maximum(np.maximum(over_floor, over_echo), self.min_level_dbfs)
        code = np.where(level <= over_echo, ECHO, VOICE)
        code[level <= over_floor] = FLOOR
        code[level <= self.min_level_dbfs] = QUIET
        logit = np.full(len(s), self._verdict - NEVER)
        passed = np.flatnonzero(code == VOICE)
        if len(passed):
            inputs = np.concatenate([s["window"][passed], context[passed]], axis=1)
            sums = np.maximum(inputs @ WEIGHTS + BIAS, 0.0).astype("i8")
            logit[passed] = own = sums @ OUT + OUT_BIAS
            gain, voice = gain10[passed], own >= self._verdict
            kind = np.where(voicing[passed] < 0.5, UNVOICED, NOISE)
            kind[gain > 24.0] = TONE
            kind[voice] = VOICE
            kind[gain > 30.0] = TONE
            code[passed] = kind
        return code, logit

    def _learn(
        self,
        s: Array,
        playing: Array,
        level: Array,
        floor: Array,
        voicing: Array,
        tilt: Array,
        gain4: Array,
        gain10: Array,
    ) -> None:
        s["hold_talk"] = np.maximum(s["hold_talk"] - 1, 0)
        own_turn = (voicing >= 0.6) & (level > floor + 3.0) & (gain4 < 24.0) & ~playing
        s["hold_turn"] = np.where(own_turn, HOLD_TURN, np.maximum(s["hold_turn"] - 1, 0))
        each = np.arange(len(s))
        at = s["aside_next"]
        waiting = s["aside"][each, at]
        learns = (s["aside_filled"] == HELD_FRAMES) & (s["hold_talk"] == 0) & (playing | (s["hold_turn"] == 0))
        s["aside_filled"] = np.minimum(s["aside_filled"] + 1, HELD_FRAMES)
        which = np.flatnonzero(learns)
        if len(which):
            levels = np.floor((waiting[which, 0] - EMPTY_DBFS) * 2.0)
            bins = s["bins"]
            bins[which, s["bins_next"][which]] = np.minimum(np.maximum(levels, 0.0), 191.0)
            s["bins_next"][which] = (s["bins_next"][which] + 1) % FLOOR_FRAMES
            filled = np.minimum(s["bins_filled"][which] + 1, FLOOR_FRAMES)
            s["bins_filled"][which] = filled
            ordered = np.sort(bins[which], axis=1)  # those not yet filled are 0, the lowest there is
            rows = np.arange(len(which))
            s["upper20"][which] = ordered[rows, FLOOR_FRAMES - 1 - filled // 20] * 0.5 + EMPTY_DBFS + 0.25
            s["upper2"][which] = ordered[rows, FLOOR_FRAMES - 1 - filled // 2] * 0.5 + EMPTY_DBFS + 0.25
            s["past"][which] += 0.03 * (waiting[which] - s["past"][which])
        s["aside"][each, at] = np.array([level, voicing, tilt, gain10]).T
        s["aside_next"] = (at + 1) % HELD_FRAMES

    def _follow(self, s: Array, code: Array, logit: Array) -> None:
        s["loud_run"] = loud_run = np.where(code > ECHO, s["loud_run"] + 1, 0)
        spoke = s["speaking"] > 0
        begins = ~spoke & (loud_run >= VOICE_BEGINS) & (code == VOICE)
        bridged = s["bridged"] + 1
        goes_on = spoke & (loud_run > 0) & (logit >= self._verdict - 2 * UNIT)
        ends = spoke & ~goes_on & (bridged >= VOICE_ENDS)
        frames = np.where(goes_on, s["voice_frames"] + bridged, s["voice_frames"])
        s["voice_frames"] = np.where(begins, np.minimum(loud_run, WINDOW), np.where(spoke & ~ends, frames, 0))
        s["bridged"] = np.where(spoke & ~goes_on, bridged, 0)
        s["speaking"] = begins | (spoke & ~ends)

    def _debounce(self, s: Array, code: Array, level: Array, echo_level: Array, playing: Array) -> Array:
        loud = playing & (code > ECHO)
        s["loud"] = run = np.where(loud, s["loud"] + 1, 0)
        s["voices"] = voices = np.where(loud & (code == VOICE), s["voices"] + 1, 0)
        needed = np.minimum(np.where(level < echo_level + 8.0, 3, 2), self.frames)
        edge = loud & (s["fired"] == 0) & (run >= self.frames) & (voices >= needed)
        s["fired"] = loud & ((s["fired"] > 0) | edge)
        if edge.any():
            held = s[edge]
            self._hold(held)
            s[edge] = held
        return edge

    @staticmethod
    def _hold(s: Array) -> None:
        new = np.flatnonzero(s["hold_talk"] == 0)
        s["taps"][new] = s["older"][new]
        s["kept"][new] = s["older"][new]
        s["hold_talk"] = HOLD_TALK
