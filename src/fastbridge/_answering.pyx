"""Who has answered a call out: a person, a machine, a fax? Told by how long is spoken, the silence behind it, tones.

Law: a sign depends on the bytes and flags fed so far and on nothing else. Sums of samples are integers, the rest is IEEE
doubles in a fixed order without fused operations and without a libm, so that every machine, and the slow twin, comes to
the same signs. Nothing here allocates, raises or looks at a clock. The level, and that of the echo of what we play, are
the barge-in detector's.
"""

import math

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport fabs, sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fastbridge._mulaw cimport LINEAR

SIGNS = ("", "human", "machine", "beep", "fax")
globals()["SIGN_HUMAN"] = <int>SIGN_HUMAN
globals()["SIGN_MACHINE"] = <int>SIGN_MACHINE
globals()["SIGN_BEEP"] = <int>SIGN_BEEP
globals()["SIGN_FAX"] = <int>SIGN_FAX

# Talk.
cdef double OVER_FLOOR = 9.0                # dB
cdef double UNDER_PEAK = 24.0
cdef double OVER_ECHO = 6.0                 # the expected echo is a careful guess: most lines have much less
cdef double UNDER_VOICE = 14.0              # so whoever has been heard is heard on, if he is not much softer than he was
cdef double LEAST_LEVEL = -50.0             # dBFS
cdef double LOWEST_FLOOR = -70.0
cdef double HIGHEST_FLOOR = -45.0
cdef double FIRST_PEAK = -45.0
cdef double PEAK_FALLS = 0.02               # dB a frame
cdef int FLOOR_FRAMES = 25                  # of each of the blocks whose lowest level is the floor
cdef int VOICE_BEGINS = 3                   # frames
cdef int VOICE_BRIDGED = 10
cdef int LONG_TALK = 150                    # frames: nobody says so much before he has an answer
cdef int QUIET_AFTER_WORD = 28              # frames of silence in which somebody waits for an answer
cdef int QUIET_AFTER_SENTENCE = 38
cdef int WORD = 50                          # frames that are a word or two
cdef int LEAST_TALK = 6                     # less is a click
cdef double MOVES = 0.85                    # dB by which the level of speech changes from frame to frame, in the mean
cdef double STEP = 2.0                      # dB by which it often does: two tones do not, nor chords but when struck
cdef double STEPS = 0.15                    # how often
cdef int SHORT_TALK = 40                    # frames that are too few to tell by their steps

# Tones.
cdef double LEAST_POWER = 6800.0 * FRAME    # -52 dBFS
cdef double LEAST_PURITY = 0.8              # of a frame's power in its one frequency
cdef int BEEP_FRAMES = 6                    # whole ones: a beep of 150 ms has at least so many
cdef int BEEP_LONGEST = 150
cdef int BEHIND_FRAMES = 5                  # frames behind a tone in which it is quiet
cdef double BEHIND_QUIET = 0.05             # of the tone's power
cdef int CHAIN_FRAMES = 4                   # from one tone of a signal to the next, at most
cdef int ANSWER_TONE_FRAMES = 40            # a fax's, of 2100 Hz
cdef int CALLING_TONE_LEAST = 21            # a fax's, of 1100 Hz: half a second
cdef int CALLING_TONE_MOST = 29
cdef int CALLING_TONES = 2
cdef int CHAIN_LEAST = 3                    # frames of a tone that another one can follow
cdef int INTERCEPT_TONES = 3                # of the network's, rising
cdef int RECENT_TALK = 150                  # frames


cdef double cosine_of(double hertz):
    return math.cos(2 * math.pi * hertz / 8000)


cdef double LOWEST = cosine_of(385.0)
cdef double HIGHEST = cosine_of(2150.0)
cdef double RINGS_TO = cosine_of(505.0)     # below, a telephone rings
cdef double ANSWER_FROM = cosine_of(2070.0), ANSWER_TO = cosine_of(2130.0)
cdef double CALLING_FROM = cosine_of(1062.0), CALLING_TO = cosine_of(1138.0)
cdef double SLACK = 0.02                    # radians a sample: 25 Hz


cdef struct Sums:
    int64_t power, once, twice              # of x*x, x*(its neighbours), x*(their neighbours)


cdef Sums sums_of(const int16_t *x) noexcept nogil:
    cdef Sums sums
    cdef int64_t power = 0, once = 0, twice = 0
    cdef int i
    for i in range(2, FRAME - 2):
        power += <int32_t>x[i] * <int32_t>x[i]
        once += <int32_t>x[i] * (<int32_t>x[i - 1] + <int32_t>x[i + 1])
        twice += <int32_t>x[i] * (<int32_t>x[i - 2] + <int32_t>x[i + 2])
    sums.power, sums.once, sums.twice = power, once, twice
    return sums


cdef double purity(const int16_t *x, double cosine, double power) noexcept nogil:
    """How much of the frame's power is at this frequency (Goertzel)."""
    cdef double s, s1 = 0.0, s2 = 0.0, twice = 2.0 * cosine
    cdef int i
    for i in range(FRAME):
        s = x[i] + twice * s1 - s2
        s2 = s1
        s1 = s
    return 2.0 * (s1 * s1 + s2 * s2 - twice * s1 * s2) / (FRAME * power)


cdef double pure_cosine(const int16_t *x, Sums sums) noexcept nogil:
    """Of the one frequency that the frame has, by Pisarenko, whom white noise does not mislead; 2 where it has more, or
    none between 385 and 2150 Hz."""
    cdef double once = 0.5 * sums.once, twice = 0.5 * sums.twice, cosine
    if sums.power < LEAST_POWER:
        return 2.0
    cosine = (twice + sqrt(twice * twice + 8.0 * once * once)) / (4.0 * once) if sums.once != 0 else 0.0
    if cosine > LOWEST or cosine < HIGHEST:
        return 2.0
    if purity(x, cosine, <double>sums.power * FRAME / (FRAME - 4)) < LEAST_PURITY:
        return 2.0
    return cosine


cdef bint near(double a, double b) noexcept nogil:
    """Two frequencies, by their cosines."""
    return fabs(a - b) <= SLACK * sqrt(1.0 - b * b)


cdef class AnswerEar:
    """One call's."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        self.pending_bytes = self.frames = 0
        self.peak = FIRST_PEAK
        self.block_low = self.lows[0] = self.lows[1] = 0.0
        self.before = self.moves = 0.0
        self.was_active = False
        self.active_run = self.quiet = self.span_begun = self.moved = self.steps = 0
        self.last_voice = -RECENT_TALK
        self.judged = self.rising = self.is_fax = False
        self.tone_run = self.tone_over = self.chain = self.calling_tones = self.beep_frames = 0
        self.tone_cosine = self.beep_cosine = 2.0
        self.tone_power = 0.0
        self.behind_power = 0

    def feed(self, bytes frame not None, double level_dbfs, double echo_dbfs) -> int:
        return self.judge(<const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), level_dbfs, echo_dbfs)

    cdef int judge(self, const uint8_t *ulaw, Py_ssize_t count, double level, double echo) noexcept nogil:
        cdef int sign = SIGN_NONE, found, size
        while count > 0:
            if self.pending_bytes == 0 and count >= FRAME:
                found, size = self.judge_frame(ulaw, level, echo), FRAME
            else:
                size = <int>min(count, <Py_ssize_t>(FRAME - self.pending_bytes))
                memcpy(self.pending + self.pending_bytes, ulaw, size)
                self.pending_bytes += size
                found = SIGN_NONE
                if self.pending_bytes == FRAME:
                    self.pending_bytes = 0
                    found = self.judge_frame(self.pending, level, echo)
            sign = found if found != SIGN_NONE else sign
            ulaw += size
            count -= size
        return sign

    cdef int judge_frame(self, const uint8_t *ulaw, double level, double echo) noexcept nogil:
        cdef int16_t[FRAME] x
        cdef Sums sums
        cdef double cosine
        cdef int i, by_tone, by_talk
        for i in range(FRAME):
            x[i] = LINEAR[ulaw[i]]
        sums = sums_of(x)
        cosine = pure_cosine(x, sums)
        self.frames += 1
        by_talk = self.follow_talk(self.is_active(level, echo) and cosine > 1.0, level)
        by_tone = self.follow_tone(cosine, sums.power)
        return by_tone if by_tone != SIGN_NONE else by_talk

    cdef bint is_active(self, double level, double echo) noexcept nogil:
        """Whether there is more than the line's noise, and than our echo."""
        cdef double least, masked = echo + OVER_ECHO
        if self.frames % FLOOR_FRAMES == 1:
            self.lows[1], self.lows[0], self.block_low = self.lows[0], self.block_low, level
        self.block_low = min(self.block_low, level)
        least = min(min(self.block_low, HIGHEST_FLOOR), min(self.lows[0], self.lows[1]))
        if level > masked:
            self.peak = max(self.peak - PEAK_FALLS, level)
        if self.peak > FIRST_PEAK:
            masked = min(masked, self.peak - UNDER_VOICE)
        least = max(max(least, LOWEST_FLOOR) + OVER_FLOOR, self.peak - UNDER_PEAK)
        return level > max(max(masked, LEAST_LEVEL), least)

    cdef int follow_talk(self, bint active, double level) noexcept nogil:
        """How long he speaks, and is silent."""
        self.active_run = self.active_run + 1 if active else 0
        if active and self.was_active and self.span_begun > 0:
            self.moves += fabs(level - self.before)
            self.steps += fabs(level - self.before) >= STEP
            self.moved += 1
        self.was_active, self.before = active, level
        if self.active_run >= VOICE_BEGINS or (active and self.span_begun > 0 and self.quiet <= VOICE_BRIDGED):
            if self.span_begun == 0:
                self.span_begun = self.frames - VOICE_BEGINS + 1
            self.quiet = 0
            self.last_voice = self.frames
        elif self.span_begun > 0:
            self.quiet += 1
        return SIGN_NONE if self.judged or self.span_begun == 0 else self.judge_talk()

    cdef int judge_talk(self) noexcept nogil:
        cdef int talk = self.frames - self.span_begun + 1 - self.quiet
        cdef bint lively = self.moves >= MOVES * self.moved and self.moved > 0
        lively = lively and (self.moved < SHORT_TALK or self.steps >= STEPS * self.moved)
        if self.quiet == 0 and talk >= LONG_TALK and lively:
            self.judged = True
            return SIGN_MACHINE
        if self.quiet < (QUIET_AFTER_WORD if talk <= WORD else QUIET_AFTER_SENTENCE):
            return SIGN_NONE
        if talk >= LEAST_TALK and lively:
            self.judged = True
            return SIGN_HUMAN
        self.span_begun = self.quiet = self.moved = self.steps = 0  # it was a click, a tone or music
        self.moves = 0.0
        return SIGN_NONE

    cdef int follow_tone(self, double cosine, int64_t power) noexcept nogil:
        """How long a tone lasts, and what comes behind it. cosine: 2 where there is none."""
        if cosine <= 1.0:
            if self.tone_run > 0 and self.tone_over <= 1 and near(cosine, self.tone_cosine):
                self.tone_run += 1 + self.tone_over
                self.tone_over = 0
                self.tone_cosine += (cosine - self.tone_cosine) / self.tone_run
                self.tone_power += (power - self.tone_power) / self.tone_run
            else:
                self.tone_begins(cosine, power)
            return self.fax_told() if self.is_answer_tone() and self.tone_run == ANSWER_TONE_FRAMES else SIGN_NONE
        if self.tone_run == 0:
            return SIGN_NONE
        self.tone_over += 1
        if self.tone_over > 1:              # the first may have its end in it
            self.behind_power = max(self.behind_power, power)
        return self.tone_ended() if self.tone_over == BEHIND_FRAMES else SIGN_NONE

    cdef bint is_answer_tone(self) noexcept nogil:
        return ANSWER_TO <= self.tone_cosine <= ANSWER_FROM

    cdef int fax_told(self) noexcept nogil:
        """Once, and nothing behind it is a beep."""
        if self.is_fax:
            return SIGN_NONE
        self.is_fax = self.judged = True
        return SIGN_FAX

    cdef void tone_begins(self, double cosine, int64_t power) noexcept nogil:
        """Another one: of the same signal, or of none."""
        if self.tone_run >= CHAIN_LEAST and self.tone_over < CHAIN_FRAMES:
            self.chain += 1
            self.rising = self.rising and cosine < self.tone_cosine
        else:
            self.chain, self.rising = 1, True
        self.tone_run, self.tone_over = 1, 0
        self.tone_cosine, self.tone_power = cosine, power
        self.behind_power = 0

    cdef int tone_ended(self) noexcept nogil:
        """Was it a beep?"""
        cdef int run = self.tone_run
        cdef bint after_talk = self.frames - self.last_voice <= RECENT_TALK + run
        self.tone_run = 0
        if self.is_fax or run < BEEP_FRAMES or run > BEEP_LONGEST or self.behind_power > BEHIND_QUIET * self.tone_power:
            return SIGN_NONE
        if self.chain == INTERCEPT_TONES and self.rising and not self.judged:
            self.judged = True
            return SIGN_MACHINE             # the network's own announcement follows
        if self.chain > 1 or (self.tone_cosine > RINGS_TO and not after_talk):
            return SIGN_NONE
        if CALLING_TO <= self.tone_cosine <= CALLING_FROM and CALLING_TONE_LEAST <= run <= CALLING_TONE_MOST:
            if not after_talk:
                self.calling_tones += 1
                return self.fax_told() if self.calling_tones == CALLING_TONES else SIGN_NONE
        self.beep_cosine, self.beep_frames = self.tone_cosine, run
        return SIGN_BEEP

    @property
    def quiet_frames(self) -> int:
        return self.frames - max(self.last_voice, 0)

    @property
    def beep_hz(self) -> float:
        return math.acos(self.beep_cosine) * 4000 / math.pi if self.beep_frames else 0.0
