from libc.stdint cimport int64_t, uint8_t, uint64_t

from fastbridge._playout cimport FRAME_BYTES

cdef enum:
    PREROLL_FRAMES = 5                      # 100 ms: what comes before a sound, and a buffer against jitter behind it

cdef enum Verdict:
    VERDICT_DROP = 0                        # silence that nobody needs
    VERDICT_PASS = 1
    VERDICT_BEGIN = 2                       # the first sound of an utterance: pre-roll, then this
    VERDICT_RESUME = 3                      # the first sound behind a pause of which not all was sent: likewise
    VERDICT_END = 4                         # the utterance is over
    VERDICT_REFUSE = 5                      # of an utterance that nobody wants


cdef class LiveGate:
    # state
    cdef readonly bint is_open              # an utterance is under way
    cdef int quiet                          # frames since the last sound; beyond a pause's, nothing is sent
    cdef int refused                        # frames of this utterance that nobody wanted
    cdef Py_ssize_t kept                    # frames of pre-roll
    cdef int noise_frames                   # of this window
    cdef double quietest, quietest_before   # power, in this window and in the one before it
    cdef double leave_power                 # what is quieter is silence
    cdef uint8_t[PREROLL_FRAMES * FRAME_BYTES] preroll
    # counters
    cdef readonly uint64_t frames_in, frames_silent, frames_refused, utterances, resumes
    cdef readonly Py_ssize_t peak_backlog_frames

    cdef Verdict hear(
        self, const uint8_t *frame, Py_ssize_t backlog, bint refused, int64_t delay_ns, int64_t wanted_ns
    ) noexcept
    cdef bint is_loud(self, double power, bint is_sounding) noexcept
    cdef Verdict hear_pause(self, const uint8_t *frame, bint crowded) noexcept
    cdef Verdict hear_refused(self, const uint8_t *frame, bint loud) noexcept
    cdef Verdict end(self, const uint8_t *frame) noexcept
    cdef Verdict leave_out(self, const uint8_t *frame) noexcept
    cdef void keep(self, const uint8_t *frame) noexcept
    cdef void trim(self, Py_ssize_t wanted) noexcept
    cdef void close(self) noexcept
