from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cdef enum:
    FRAME = 160                             # samples: 20 ms at 8 kHz
    MEAN_SAMPLES = 64                       # of the high-pass's moving mean
    LINE_SAMPLES = 240                      # of the spectrum's window
    HALF_SAMPLES = 180                      # kept at 4 kHz: a window and the longest lag
    VOICING_SAMPLES = 120                   # of the autocorrelation at 4 kHz
    MIN_LAG = 10                            # at 4 kHz: 400 Hz
    MAX_LAG = 58                            # 69 Hz
    ORDER = 10                              # of the linear predictor
    TAPS = 20                               # of the echo predictor: 380 ms
    HELD_FRAMES = 10                        # how late the floor learns of a level
    FLOOR_FRAMES = 100                      # and for how long it remembers it
    LEVEL_BINS = 192                        # of half a dB, from -95 dBFS
    FRAME_FEATURES = 13                     # of each frame in the combiner's window
    WINDOW_FRAMES = 7
    CONTEXT_FEATURES = 9                    # of what went before
    INPUTS = 104                            # 7 * 13 + 9, and 4 to round it up
    HIDDEN = 40

cdef enum Why:
    WHY_QUIET
    WHY_FLOOR
    WHY_ECHO
    WHY_TONE
    WHY_UNVOICED
    WHY_NOISE
    WHY_VOICE
    WHY_COUNT


cdef struct Percentile:
    uint8_t[FLOOR_FRAMES] ring              # bins
    uint8_t[LEVEL_BINS] counts
    int next, filled, top                   # top: the highest bin that is not empty
    double upper20, upper2                  # dBFS: what one in so many is above


cdef struct Spectrum:
    double gain4, gain10                    # dB that a linear predictor of that order explains
    double[ORDER + 1] reflection            # from 1


cdef struct Aside:                          # a frame of which the floor has not learnt yet
    double level, voicing, tilt, gain10


cdef class Detector:
    # settings
    cdef readonly int frames
    cdef readonly bint echo
    cdef readonly double min_level_dbfs, sensitivity_db
    cdef int64_t verdict, keep              # the combiner's output that begins a voice, and that lets it go on
    # the line
    cdef uint8_t[FRAME] pending             # bytes that are no whole frame yet
    cdef int pending_bytes
    cdef int16_t[MEAN_SAMPLES] unfiltered
    cdef int32_t mean_sum
    cdef int16_t[LINE_SAMPLES] line         # filtered and halved, newest last
    cdef int16_t[HALF_SAMPLES] half_line    # the same at 4 kHz
    # the floor
    cdef Percentile levels
    cdef Aside[HELD_FRAMES] aside
    cdef Aside past                         # slow means of what the floor has learnt
    cdef int aside_next, aside_filled
    cdef int hold_turn, hold_talk           # frames for which it does not learn: the caller's turn, his interruption
    # the echo
    cdef double[TAPS] played                # power, newest first
    cdef double[TAPS] taps, kept_taps, older_taps
    cdef int taps_age, played_left          # frames for which `played` is not all nothing
    cdef double over_echo                   # dB: how far above the prediction the line mostly stays
    cdef double weight, sum_x, sum_y, sum_xx, sum_yy, sum_xy
    # the combiner
    cdef int16_t[INPUTS] inputs
    cdef int64_t logit
    # the verdict
    cdef double level, floor, echo_level, voicing
    cdef readonly int why_code
    cdef int loud_run, bridged, voices
    cdef bint fired
    cdef readonly int loud_frames
    cdef readonly bint speaking
    cdef int voice_frames
    cdef int64_t quiet_frames               # since the last of a voice; -1 before there was one

    cdef bint judge(
        self, const uint8_t *ulaw, Py_ssize_t count, const uint8_t *playing, Py_ssize_t playing_count
    ) noexcept nogil
    cdef bint judge_frame(self, const uint8_t *ulaw, const uint8_t *playing, Py_ssize_t playing_count) noexcept nogil
    cdef void take_line(self, const int16_t *raw) noexcept nogil
    cdef void take_played(self, const uint8_t *playing, int count) noexcept nogil
    cdef double predicted_echo(self, double power) noexcept nogil
    cdef void hold(self) noexcept nogil
    cdef double likeness(self) noexcept nogil
    cdef void learn_past(self, const Spectrum *spectrum, bint playing) noexcept nogil
    cdef void fill_inputs(self, const Spectrum *spectrum, int lag, double rise, int highest) noexcept nogil
    cdef int64_t combined(self) noexcept nogil
    cdef int reason(self, const Spectrum *spectrum) noexcept nogil
    cdef bint debounce(self, bint playing) noexcept nogil
    cdef void follow_voice(self) noexcept nogil
