from libc.stdint cimport int16_t, int64_t, uint8_t

cdef enum:
    FRAME = 160                             # samples: 20 ms at 8 kHz

cdef enum Sign:
    SIGN_NONE
    SIGN_HUMAN
    SIGN_MACHINE
    SIGN_BEEP
    SIGN_FAX
    SIGN_COUNT


cdef class AnswerEar:
    cdef uint8_t[FRAME] pending             # bytes that are no whole frame yet
    cdef int pending_bytes
    cdef readonly int frames                # heard so far
    # the line
    cdef double peak                        # dBFS
    cdef double block_low                   # the lowest level of this block of frames
    cdef double[2] lows                     # and of the two before
    cdef double before                      # the last frame's
    # talk
    cdef bint was_active
    cdef int active_run, quiet              # frames
    cdef int span_begun                     # frame of the first word; 0 before it
    cdef int moved, steps                   # pairs of frames in it, one behind the other; and those of different levels
    cdef double moves                       # dB by which they differ, in all
    cdef int last_voice                     # the frame in which he was heard last
    cdef bint judged                        # human or machine was told
    # tones
    cdef int tone_run, tone_over            # frames of the tone, and since its end
    cdef int chain                          # tones that followed each other, this one included
    cdef int calling_tones                  # of a fax
    cdef bint rising, is_fax
    cdef double tone_cosine, tone_power     # means over the run
    cdef int64_t behind_power               # the loudest frame behind it
    cdef readonly int beep_frames
    cdef double beep_cosine

    cdef int judge(self, const uint8_t *ulaw, Py_ssize_t count, double level, double echo) noexcept nogil
    cdef int judge_frame(self, const uint8_t *ulaw, double level, double echo) noexcept nogil
    cdef bint is_active(self, double level, double echo) noexcept nogil
    cdef int follow_talk(self, bint active, double level) noexcept nogil
    cdef int judge_talk(self) noexcept nogil
    cdef int follow_tone(self, double cosine, int64_t power) noexcept nogil
    cdef bint is_answer_tone(self) noexcept nogil
    cdef int fax_told(self) noexcept nogil
    cdef void tone_begins(self, double cosine, int64_t power) noexcept nogil
    cdef int tone_ended(self) noexcept nogil
