"""Is the caller talking over the assistant? A gate over an adaptive floor and the expected echo, and a small combiner.

Law: a frame's verdict depends on the bytes fed so far and on nothing else. Sums of samples are integers, the rest is
IEEE doubles in a fixed order without fused operations, so every machine, and the slow twin, comes to the same verdicts.
Nothing here allocates, raises or looks at a clock; no byte can make a value infinite.
"""

import math
from importlib.resources import files

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport fabs, floor, frexp, ldexp, sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memmove, memset

from fastbridge._mulaw cimport LINEAR

cdef extern from *:
    int leading_zeros "__builtin_clz"(unsigned int) noexcept nogil

WHY = ("quiet", "floor", "echo", "tone", "unvoiced", "noise", "voice")


cdef double SILENCE_DBFS = -90.30899869919435   # a mean power of 1
cdef double EMPTY_DBFS = -95.0
cdef double FAINT_DBFS = -60.0               # below this no pitch and no spectrum is looked for: nobody speaks so softly
cdef double FLOOR_MARGIN = -3.0              # dB: the gate lets pass what may be a voice, the combiner decides
cdef double ECHO_MARGIN = -6.0
cdef double TONE_GAIN = 30.0                # dB that ten coefficients explain: no throat is so regular
cdef double TONE_LIKELY = 24.0              # few are
cdef int64_t NEVER = 10                      # logits below a voice: what the gate keeps from the combiner
cdef int HOLD_TURN = 25                     # frames after a voiced one in the caller's own turn
cdef int HOLD_TALK = 30                     # after an edge
cdef int KEPT_FRAMES = 8                    # an edge forgets what the echo predictor learnt in the last 8 to 16 frames
cdef int VOICES = 2                         # frames in a row that must be a voice at an edge: one is chance
cdef int VOICES_BY_ECHO = 3
cdef double ECHO_NEAR = 8.0                 # dB over the expected echo: here it might be that
cdef int VOICE_BEGINS = 3                   # frames
cdef int VOICE_ENDS = 12
cdef int64_t UNIT = 1 << 23                 # of the combiner's output

cdef int16_t[LINE_SAMPLES] TAPER            # Hann, in 4096ths
cdef int16_t[HIDDEN][INPUTS] WEIGHTS
cdef int32_t[HIDDEN] BIAS
cdef int32_t[HIDDEN] OUT
cdef int64_t OUT_BIAS = 0
cdef double VERDICT = 0                     # logits


globals()["FRAME_FEATURES"] = FRAME_FEATURES
globals()["CONTEXT_FEATURES"] = CONTEXT_FEATURES
globals()["HIDDEN"] = HIDDEN


cdef load_tables():
    """The taper, and the combiner's weights from the file that training wrote."""
    global OUT_BIAS, VERDICT
    cdef int row, column
    for row in range(LINE_SAMPLES):
        TAPER[row] = int(2047.5 * (1 - math.cos(2 * math.pi * (row + 0.5) / LINE_SAMPLES)) + 0.5)
    text = files("fastbridge").joinpath("_bargein_weights.txt").read_text("ascii")
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    if len(rows) != HIDDEN + 1 or {len(each) for each in rows[1:]} != {2 + 7 * FRAME_FEATURES + CONTEXT_FEATURES}:
        raise ImportError("_bargein_weights.txt is not of this version of fastbridge: install it anew")
    VERDICT, OUT_BIAS = float(rows[0][0]), int(rows[0][1])
    for row in range(HIDDEN):
        BIAS[row], OUT[row] = int(rows[row + 1][0]), int(rows[row + 1][1])
        for column in range(WINDOW_FRAMES * FRAME_FEATURES + CONTEXT_FEATURES):
            WEIGHTS[row][column] = int(rows[row + 1][2 + column])


load_tables()

# --- arithmetic ---

cdef double decibels(double power) noexcept nogil:
    """Of a mean power, in dBFS, never below SILENCE_DBFS; by a series, so that no libm has a say."""
    cdef int exponent
    cdef double mantissa, t, s
    mantissa = frexp(max(power, 1.0), &exponent)
    t = (mantissa - 0.75) / (mantissa + 0.75)
    s = t * t
    t = t * (1.0 + s * (0.3333333333333333 + s * (0.2 + s * 0.14285714285714285)))
    return 3.010299956639812 * (exponent + (2.8853900817779268 * t - 0.4150374992788438)) + SILENCE_DBFS


cdef int32_t dot(const int16_t *a, const int16_t *b, int count) noexcept nogil:
    cdef int32_t total = 0
    cdef int i
    for i in range(count):
        total += <int32_t>a[i] * <int32_t>b[i]
    return total


cdef void four_dots(const int16_t *a, const int16_t *b, int count, double *out) noexcept nogil:
    """Of `a` with b, b-1, b-2 and b-3: together they load `a` once."""
    cdef int32_t w = 0, x = 0, y = 0, z = 0
    cdef int i
    for i in range(count):
        w += <int32_t>a[i] * <int32_t>b[i]
        x += <int32_t>a[i] * <int32_t>b[i - 1]
        y += <int32_t>a[i] * <int32_t>b[i - 2]
        z += <int32_t>a[i] * <int32_t>b[i - 3]
    out[0] = w
    out[1] = x
    out[2] = y
    out[3] = z


cdef int peak(const int16_t *x, int count) noexcept nogil:
    cdef int16_t high = 0, low = 0
    cdef int i
    for i in range(count):
        high = x[i] if x[i] > high else high
        low = x[i] if x[i] < low else low
    return max(<int>high, -<int>low)


cdef int headroom(int high) noexcept nogil:
    """By how many bits samples up to `high`, at least 1, can be shifted up within 16 bits."""
    return leading_zeros(<unsigned int>high) - 17


cdef double mean_square(const int16_t *x, int count, int high) noexcept nogil:
    """Of a halved line whose peak is `high`, as a power of the whole one. Samples are cut to 11 bits and sign, so that the
    sum fits."""
    cdef int16_t[FRAME] z
    cdef int i, up
    cdef int16_t scale
    if high == 0:
        return 0.0
    up = headroom(high)
    scale = <int16_t>(1 << up)
    for i in range(count):
        z[i] = <int16_t>(<int16_t>(x[i] * scale) >> 4)
    return ldexp(<double>dot(z, z, count), 10 - 2 * up) / count


cdef void decode(const uint8_t *ulaw, int count, int16_t *out) noexcept nogil:
    cdef int i
    for i in range(count):
        out[i] = LINEAR[ulaw[i]]


cdef double power_around_mean(const int16_t *samples, int count) noexcept nogil:
    """A constant is not heard, and comes back from nowhere. At most FRAME samples."""
    cdef int16_t[FRAME] x
    cdef int32_t total = 0, mean
    cdef int i
    if count <= 0:
        return 0.0
    for i in range(count):
        total += samples[i]
    mean = <int32_t>floor(<double>total / count)
    for i in range(count):
        x[i] = <int16_t>((samples[i] - mean) >> 1)
    return mean_square(x, count, peak(x, count))


cdef void analyse(const int16_t *x, Spectrum *out) noexcept nogil:
    """Schur's recursion on the autocorrelation of the tapered line: reflection coefficients and prediction gains."""
    cdef int16_t[LINE_SAMPLES + 16] padded
    cdef int16_t *z = padded + 16
    cdef double[12] u
    cdef double[12] v
    cdef double first, c, t
    cdef int i, j, high = peak(x, LINE_SAMPLES)
    cdef int16_t scale
    if high == 0:
        return
    scale = <int16_t>(1 << headroom(high))
    memset(padded, 0, 16 * sizeof(int16_t))
    for i in range(LINE_SAMPLES):
        z[i] = <int16_t>((<int32_t><int16_t>(x[i] * scale) * <int32_t>TAPER[i]) >> 16)
    four_dots(z, z, LINE_SAMPLES, u)
    four_dots(z, z - 4, LINE_SAMPLES, u + 4)
    four_dots(z, z - 8, LINE_SAMPLES, u + 8)
    u[0] = u[0] * 1.0001 + 40.0             # G.711's own noise: no predictor is perfect
    memcpy(v, u, sizeof(u))
    first = u[0]
    for i in range(1, ORDER + 1):
        c = u[i] / v[0]
        out.reflection[i] = c
        for j in range(ORDER + 1 - i):
            t = u[i + j] - c * v[j]
            v[j] = v[j] - c * u[i + j]
            u[i + j] = t
        if i == 4:
            out.gain4 = decibels(first) - decibels(v[0])
    out.gain10 = decibels(first) - decibels(v[0])


cdef double voicing_of(const int16_t *line, int *found) noexcept nogil:
    """The highest peak of the normalised autocorrelation between 69 and 400 Hz, 0 to 1, and its lag, 0 for none."""
    cdef int16_t[HALF_SAMPLES] z
    cdef int16_t *now = z + HALF_SAMPLES - VOICING_SAMPLES
    cdef double[MAX_LAG + 6] score
    cdef double[MAX_LAG + 6] energy
    cdef int i, lag, high = peak(line, HALF_SAMPLES)
    cdef int16_t scale
    cdef int32_t running
    cdef double best = 0, own
    found[0] = 0
    if high == 0:
        return 0.0
    scale = <int16_t>(1 << headroom(high))
    for i in range(HALF_SAMPLES):
        z[i] = <int16_t>(<int16_t>(line[i] * scale) >> 4)
    own = <double>dot(now, now, VOICING_SAMPLES)
    if own == 0:
        return 0.0
    running = dot(now - MIN_LAG + 1, now - MIN_LAG + 1, VOICING_SAMPLES)
    for lag in range(MIN_LAG - 1, MAX_LAG + 2):
        energy[lag] = <double>running + 1.0
        running += <int32_t>now[-lag - 1] * <int32_t>now[-lag - 1]
        running -= <int32_t>now[VOICING_SAMPLES - lag - 1] * <int32_t>now[VOICING_SAMPLES - lag - 1]
    for lag in range(MIN_LAG - 1, MAX_LAG - 1, 4):
        four_dots(now, now - lag, VOICING_SAMPLES, score + lag)
    for lag in range(MAX_LAG - 1, MAX_LAG + 2):
        score[lag] = <double>dot(now, now - lag, VOICING_SAMPLES)
    for lag in range(MIN_LAG - 1, MAX_LAG + 2):
        score[lag] = score[lag] * fabs(score[lag]) / energy[lag]
    for lag in range(MIN_LAG, MAX_LAG + 1):
        if score[lag] > best and score[lag] >= score[lag - 1] and score[lag] >= score[lag + 1]:
            best = score[lag]
            found[0] = lag
    return sqrt(best / own)


cdef void remember(Percentile *p, double level) noexcept nogil:
    cdef int bin = min(max(<int>floor((level - EMPTY_DBFS) * 2.0), 0), <int>LEVEL_BINS - 1)
    if p.filled == FLOOR_FRAMES:
        p.counts[p.ring[p.next]] -= 1
    else:
        p.filled += 1
    p.ring[p.next] = <uint8_t>bin
    p.counts[bin] += 1
    p.next = p.next + 1 if p.next + 1 < FLOOR_FRAMES else 0
    p.top = max(p.top, bin)
    while p.counts[p.top] == 0:
        p.top -= 1
    find_uppers(p)


cdef void find_uppers(Percentile *p) noexcept nogil:
    """The levels that one in twenty and one in two are above."""
    cdef int bin = p.top, above = 0
    while above + p.counts[bin] <= p.filled // 20:
        above += p.counts[bin]
        bin -= 1
    p.upper20 = bin * 0.5 + EMPTY_DBFS + 0.25
    while above + p.counts[bin] <= p.filled // 2:
        above += p.counts[bin]
        bin -= 1
    p.upper2 = bin * 0.5 + EMPTY_DBFS + 0.25


cdef int16_t scaled(double value, double unit) noexcept nogil:
    """A feature: at most seven bits and sign."""
    return <int16_t>min(max(<int>floor(value * unit + 0.5), -127), 127)


cdef class Detector:
    """An edge is a run of `frames` frames in a row that pass the gate while the assistant plays, the last two of which
    (three where they might be echo) the combiner takes for a voice."""

    def __init__(
        self, *, double min_level_dbfs=-54.0, double sensitivity_db=0.0, int frames=5, bint echo=True
    ):
        if frames < 1:
            raise ValueError("frames must be at least 1")
        if not (math.isfinite(min_level_dbfs) and abs(sensitivity_db) <= 40):
            raise ValueError("min_level_dbfs must be finite, sensitivity_db from -40 to 40")
        self.frames = frames
        self.echo = echo
        self.min_level_dbfs = min_level_dbfs
        self.sensitivity_db = sensitivity_db
        self.verdict = <int64_t>floor((VERDICT - 0.3 * sensitivity_db) * UNIT)
        self.keep = self.verdict - 2 * UNIT
        self.reset()

    def reset(self) -> None:
        cdef int k
        self.pending_bytes = 0
        memset(self.unfiltered, 0, sizeof(self.unfiltered))
        self.mean_sum = 0
        memset(self.line, 0, sizeof(self.line))
        memset(self.half_line, 0, sizeof(self.half_line))
        memset(&self.levels, 0, sizeof(self.levels))
        self.levels.upper20 = self.levels.upper2 = EMPTY_DBFS
        memset(self.aside, 0, sizeof(self.aside))
        memset(&self.past, 0, sizeof(self.past))
        self.aside_next = self.aside_filled = self.hold_turn = self.hold_talk = 0
        for k in range(TAPS):
            self.played[k] = 0.0
            self.taps[k] = 0.0025 if 2 <= k <= 13 else 0.0  # 15 dB of loss, until the line has shown its own
        memcpy(self.kept_taps, self.taps, sizeof(self.taps))
        memcpy(self.older_taps, self.taps, sizeof(self.taps))
        self.taps_age = self.played_left = 0
        self.over_echo = self.weight = self.sum_x = self.sum_y = self.sum_xx = self.sum_yy = self.sum_xy = 0.0
        memset(self.inputs, 0, sizeof(self.inputs))
        self.logit = 0
        self.level = self.echo_level = SILENCE_DBFS
        self.floor = EMPTY_DBFS
        self.voicing = 0.0
        self.why_code = WHY_QUIET
        self.loud_frames = self.voices = self.loud_run = self.bridged = self.voice_frames = 0
        self.quiet_frames = -1
        self.fired = self.speaking = False

    cdef bint judge(
        self, const uint8_t *ulaw, Py_ssize_t count, const uint8_t *playing, Py_ssize_t playing_count
    ) noexcept nogil:
        cdef bint edge = False
        cdef Py_ssize_t take
        while count > 0:
            if self.pending_bytes == 0 and count >= FRAME:  # as it mostly is: judged where it lies
                edge |= self.judge_frame(ulaw, playing, playing_count)
                ulaw += FRAME
                count -= FRAME
                continue
            take = min(count, <Py_ssize_t>(FRAME - self.pending_bytes))
            memcpy(self.pending + self.pending_bytes, ulaw, take)
            self.pending_bytes += <int>take
            ulaw += take
            count -= take
            if self.pending_bytes == FRAME:
                self.pending_bytes = 0
                edge |= self.judge_frame(self.pending, playing, playing_count)
        return edge

    cdef bint judge_frame(self, const uint8_t *ulaw, const uint8_t *playing, Py_ssize_t playing_count) noexcept nogil:
        cdef Spectrum spectrum
        cdef int16_t[MEAN_SAMPLES + FRAME] raw
        cdef const int16_t *new = self.line + LINE_SAMPLES - FRAME
        cdef int lag = 0, high_first, high_second
        cdef double first, second
        memcpy(raw, self.unfiltered, sizeof(self.unfiltered))
        decode(ulaw, FRAME, raw + MEAN_SAMPLES)
        self.take_line(raw)
        self.take_played(playing, <int>min(playing_count, <Py_ssize_t>FRAME))
        high_first = peak(new, FRAME // 2)
        high_second = peak(new + FRAME // 2, FRAME // 2)
        first = mean_square(new, FRAME // 2, high_first)
        second = mean_square(new + FRAME // 2, FRAME // 2, high_second)
        # The lower of two: the filter lets 4 ms of the frame before ring on, which is no part of this one.
        self.level = min(
            decibels((first + second) * 0.5), decibels(power_around_mean(raw + MEAN_SAMPLES, FRAME))
        )
        memset(&spectrum, 0, sizeof(Spectrum))
        self.voicing = 0.0
        if self.level >= FAINT_DBFS:
            analyse(self.line, &spectrum)
            self.voicing = voicing_of(self.half_line, &lag)
        self.echo_level = decibels(self.predicted_echo((first + second) * 0.5))
        self.floor = self.levels.upper20
        self.fill_inputs(&spectrum, lag, decibels(second) - decibels(first), max(high_first, high_second))
        self.why_code = self.reason(&spectrum)
        self.learn_past(&spectrum, playing is not NULL)
        self.follow_voice()
        return self.debounce(playing is not NULL)

    cdef void take_line(self, const int16_t *raw) noexcept nogil:
        """The new frame, less the moving mean around each sample (4 ms late), halved so that it fits in 16 bits."""
        cdef int32_t[FRAME] sums
        cdef int16_t *out = self.line + LINE_SAMPLES - FRAME
        cdef int16_t *half = self.half_line + HALF_SAMPLES - FRAME // 2
        cdef int32_t total = self.mean_sum
        cdef int i
        memmove(self.line, self.line + FRAME, (LINE_SAMPLES - FRAME) * sizeof(int16_t))
        memmove(self.half_line, self.half_line + FRAME // 2, (HALF_SAMPLES - FRAME // 2) * sizeof(int16_t))
        for i in range(FRAME):
            total += raw[MEAN_SAMPLES + i] - raw[i]
            sums[i] = total
        for i in range(FRAME):
            out[i] = <int16_t>((<int32_t>raw[MEAN_SAMPLES // 2 + i] - (sums[i] >> 6)) >> 1)
        for i in range(FRAME // 2):
            half[i] = <int16_t>((<int32_t>out[2 * i] + <int32_t>out[2 * i + 1]) >> 1)
        memcpy(self.unfiltered, raw + FRAME, sizeof(self.unfiltered))
        self.mean_sum = total

    cdef void take_played(self, const uint8_t *playing, int count) noexcept nogil:
        """After TAPS frames of nothing there is nothing to move, and `played` is not touched."""
        cdef int16_t[FRAME] samples
        cdef double power = 0.0
        if playing is not NULL and self.echo:
            decode(playing, count, samples)
            power = power_around_mean(samples, count)
        if power > 0.0:
            self.played_left = TAPS + 1
        if self.played_left > 0:
            self.played_left -= 1
            memmove(self.played + 1, self.played, (TAPS - 1) * sizeof(double))
            self.played[0] = power

    cdef double predicted_echo(self, double power) noexcept nogil:
        """The power expected of what was played; the predictor then learns from the power there was (NLMS).

        What is far above the prediction may well be the caller: he teaches it slowly, not at all once he is known to
        speak, and what he taught before that is forgotten."""
        cdef double echo = 0.0, norm = 1e6, step, error
        cdef int k
        if self.played_left > 0:
            for k in range(TAPS):
                echo += self.taps[k] * self.played[k]
        error = power - echo
        if error > 0 and self.hold_talk > 0:
            return echo
        if self.played_left > 0:                # nothing was played: nothing is learnt
            for k in range(TAPS):
                if error > 0 or self.taps[k] > 0:   # a tap at 0 takes no part of what is too much
                    norm += self.played[k] * self.played[k]
            step = (0.15 if error < 3.0 * echo else 0.02) * error / norm
            for k in range(TAPS):
                self.taps[k] = min(max(self.taps[k] + step * self.played[k], 0.0), 1.0)
        self.taps_age += 1
        if self.taps_age == KEPT_FRAMES:
            self.taps_age = 0
            memcpy(self.older_taps, self.kept_taps, sizeof(self.taps))
            memcpy(self.kept_taps, self.taps, sizeof(self.taps))
        return echo

    cdef void hold(self) noexcept nogil:
        """The caller is speaking: nothing of what he says is to be taken for the line's background or echo."""
        if self.hold_talk == 0:
            memcpy(self.taps, self.older_taps, sizeof(self.taps))
            memcpy(self.kept_taps, self.older_taps, sizeof(self.taps))
        self.hold_talk = HOLD_TALK

    cdef double likeness(self) noexcept nogil:
        """Correlation of the line's level with the expected echo's, over about the last 12 frames; 0 without an echo."""
        cdef double x = self.level, y = self.echo_level, spread
        if y < -75.0:
            self.weight = self.sum_x = self.sum_y = self.sum_xx = self.sum_yy = self.sum_xy = 0.0
            return 0.0
        self.weight = self.weight * 0.92 + 1.0
        self.sum_x = self.sum_x * 0.92 + x
        self.sum_y = self.sum_y * 0.92 + y
        self.sum_xx = self.sum_xx * 0.92 + x * x
        self.sum_yy = self.sum_yy * 0.92 + y * y
        self.sum_xy = self.sum_xy * 0.92 + x * y
        spread = (self.sum_xx * self.weight - self.sum_x * self.sum_x) * (
            self.sum_yy * self.weight - self.sum_y * self.sum_y
        )
        if spread <= 1.0:
            return 0.0
        return (self.sum_xy * self.weight - self.sum_x * self.sum_y) / sqrt(spread)

    cdef void fill_inputs(self, const Spectrum *spectrum, int lag, double rise, int highest) noexcept nogil:
        cdef int16_t *f = self.inputs + (WINDOW_FRAMES - 1) * FRAME_FEATURES
        cdef int i
        cdef double high = <double>highest
        cdef double above = self.level - self.echo_level
        memmove(self.inputs, self.inputs + FRAME_FEATURES, (WINDOW_FRAMES - 1) * FRAME_FEATURES * sizeof(int16_t))
        f[0] = scaled(self.level + 50.0, 3.0)
        f[1] = scaled(self.level - self.floor, 4.0)
        f[2] = scaled(above, 4.0)
        f[3] = scaled(self.voicing - 0.5, 254.0)
        f[4] = scaled(lag - 34.0, 4.0)
        f[5] = scaled(spectrum.gain4 - 10.0, 5.0)
        f[6] = scaled(spectrum.gain10 - spectrum.gain4, 10.0)
        f[7] = scaled(decibels(4.0 * high * high) - self.level - 10.0, 8.0)
        for i in range(1, 5):
            f[7 + i] = scaled(spectrum.reflection[i], 127.0)
        f[12] = scaled(rise, 8.0)
        f += FRAME_FEATURES
        f[0] = scaled(self.level - self.levels.upper2, 4.0)
        f[1] = scaled(self.past.voicing - 0.5, 254.0)
        f[2] = scaled(self.past.tilt, 127.0)
        f[3] = scaled(self.past.gain10 - 10.0, 5.0)
        f[4] = scaled(self.past.level + 50.0, 3.0)
        f[5] = scaled(above - self.over_echo, 4.0)
        f[6] = scaled(self.over_echo, 4.0)
        f[7] = scaled(self.echo_level + 50.0, 3.0)
        f[8] = scaled(self.likeness(), 127.0)
        if self.echo_level > -65.0:
            if above > self.over_echo:
                self.over_echo += min(above - self.over_echo, 0.3 if above < 10.0 else 0.05)
            else:
                self.over_echo -= min(self.over_echo - above, 0.03)

    cdef int64_t combined(self) noexcept nogil:
        """104 inputs, 40 rectified sums, one output: integers, in 2^23rds of a logit."""
        cdef int64_t total = OUT_BIAS
        cdef int row
        for row in range(HIDDEN):
            total += <int64_t>max(dot(WEIGHTS[row], self.inputs, INPUTS) + BIAS[row], 0) * OUT[row]
        return total

    cdef int reason(self, const Spectrum *spectrum) noexcept nogil:
        """The combiner is only asked about what passes the gate."""
        self.logit = self.verdict - NEVER * UNIT
        if self.level <= self.min_level_dbfs:
            return WHY_QUIET
        if self.level <= self.floor + FLOOR_MARGIN - self.sensitivity_db:
            return WHY_FLOOR
        if self.level <= self.echo_level + ECHO_MARGIN - self.sensitivity_db:
            return WHY_ECHO
        self.logit = self.combined()
        if spectrum.gain10 > TONE_GAIN:
            return WHY_TONE
        if self.logit >= self.verdict:
            return WHY_VOICE
        if spectrum.gain10 > TONE_LIKELY:
            return WHY_TONE
        return WHY_UNVOICED if self.voicing < 0.5 else WHY_NOISE

    cdef void learn_past(self, const Spectrum *spectrum, bint playing) noexcept nogil:
        """The floor learns of the frame HELD_FRAMES ago, but not of the caller's own turn, nor of his interruption.

        His turn is told by its pitch, and only while nothing plays; while the assistant plays all is learnt, but for
        a while after an edge: so a neighbour's voice or music cannot keep the floor low for long."""
        cdef Aside *waiting = &self.aside[self.aside_next]
        self.hold_talk = max(self.hold_talk - 1, 0)
        if self.voicing >= 0.6 and self.level > self.floor + 3.0 and spectrum.gain4 < 24.0 and not playing:
            self.hold_turn = HOLD_TURN
        else:
            self.hold_turn = max(self.hold_turn - 1, 0)
        if self.aside_filled < HELD_FRAMES:
            self.aside_filled += 1
        elif self.hold_talk == 0 and (playing or self.hold_turn == 0):
            remember(&self.levels, waiting.level)
            self.past.level += 0.03 * (waiting.level - self.past.level)
            self.past.voicing += 0.03 * (waiting.voicing - self.past.voicing)
            self.past.tilt += 0.03 * (waiting.tilt - self.past.tilt)
            self.past.gain10 += 0.03 * (waiting.gain10 - self.past.gain10)
        waiting.level = self.level
        waiting.voicing = self.voicing
        waiting.tilt = spectrum.reflection[1]
        waiting.gain10 = spectrum.gain10
        self.aside_next = self.aside_next + 1 if self.aside_next + 1 < HELD_FRAMES else 0

    cdef bint debounce(self, bint playing) noexcept nogil:
        cdef int voices = VOICES_BY_ECHO if self.level < self.echo_level + ECHO_NEAR else VOICES
        if not playing or self.why_code <= WHY_ECHO:
            self.loud_frames = self.voices = 0
            self.fired = False
            return False
        self.loud_frames += 1
        self.voices = self.voices + 1 if self.why_code == WHY_VOICE else 0
        if self.fired or self.loud_frames < self.frames or self.voices < min(voices, self.frames):
            return False
        self.fired = True
        self.hold()
        return True

    cdef void follow_voice(self) noexcept nogil:
        """Hysteresis: what begins a voice is more than what lets it go on."""
        self.loud_run = self.loud_run + 1 if self.why_code > WHY_ECHO else 0
        if self.quiet_frames >= 0:
            self.quiet_frames += 1
        if not self.speaking:
            self.voice_frames = 0
            self.bridged = 0
            if self.loud_run >= VOICE_BEGINS and self.why_code == WHY_VOICE:
                self.speaking = True
                self.quiet_frames = 0
                self.voice_frames = min(self.loud_run, <int>WINDOW_FRAMES)
            return
        self.bridged += 1
        if self.loud_run > 0 and self.logit >= self.keep:
            self.voice_frames += self.bridged
            self.bridged = 0
            self.quiet_frames = 0
        elif self.bridged >= VOICE_ENDS:
            self.speaking = False
            self.voice_frames = 0

    def feed(self, bytes frame not None, bytes playing) -> bool:
        cdef const uint8_t *heard = NULL
        cdef Py_ssize_t heard_bytes = 0
        if playing is not None:
            heard = <const uint8_t *>PyBytes_AS_STRING(playing)
            heard_bytes = PyBytes_GET_SIZE(playing)
        return self.judge(<const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), heard, heard_bytes)

    def expect_voice(self) -> None:
        self.hold()

    @property
    def voice_ms(self) -> int:
        return 20 * self.voice_frames

    @property
    def quiet_ms(self) -> int | None:
        return 20 * self.quiet_frames if self.quiet_frames >= 0 else None

    @property
    def why(self) -> str:
        return WHY[self.why_code]

    @property
    def level_dbfs(self) -> float:
        return self.level

    @property
    def floor_dbfs(self) -> float:
        return self.floor

    @property
    def echo_dbfs(self) -> float:
        return self.echo_level

    @property
    def threshold_dbfs(self) -> float:
        return max(
            self.min_level_dbfs, self.floor + FLOOR_MARGIN - self.sensitivity_db, self.echo_level + ECHO_MARGIN - self.sensitivity_db
        )

    @property
    def confidence(self) -> float:
        return <double>(self.logit - self.verdict) / UNIT

    @property
    def features(self) -> tuple[int, ...]:
        cdef int i, first = (WINDOW_FRAMES - 1) * FRAME_FEATURES
        return tuple([self.inputs[i] for i in range(first, first + FRAME_FEATURES + CONTEXT_FEATURES)])
