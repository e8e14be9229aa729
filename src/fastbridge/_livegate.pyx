"""Utterances, read out of a stream of audio that never pauses; and its backlog, kept small by leaving out silence.

A model that streams without end sends silence in real time, too. What is loud begins an utterance, a long silence ends
it. Within one, a pause is sent for a while and then left out: not sending is silence, and what had piled up is played
meanwhile. While too much waits, pauses are left out sooner. Speech is never left out, and nothing is stretched or sent
twice. A leaf: it knows no call, no ring and no clock; time is the stream's own, 20 ms a frame.

What waits, waits in two places: with us, and with the carrier, who plays it. How long both together are to be, others say:
what silence goes before a sound makes it so, and what of a pause is left out. Silence need not be digital: how loud its
noise is shows in the quietest frame of late, and a sound that begins is louder than that by 6 dB.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memmove

from fastbridge._mulaw cimport mean_power
from fastbridge._playout cimport FRAME_BYTES

DROP = <int>VERDICT_DROP
PASS = <int>VERDICT_PASS
BEGIN = <int>VERDICT_BEGIN
RESUME = <int>VERDICT_RESUME
END = <int>VERDICT_END
REFUSE = <int>VERDICT_REFUSE

cdef enum:
    NOISE_WINDOW = 50                       # 1 s: so soon, and at most twice as late, its noise is known ...
    SOUND_WINDOW = 250                      # ... and in 5 s within an utterance, where a soft sound may last
    ONSET = 3                               # 60 ms: what is faint before a sound is part of it
    CLOSURE = 3                             # so much of a pause is part of the speech (a stop consonant) and always sent
    PAUSE = 10                              # 200 ms: of a longer pause the rest is left out
    UTTERANCE_END = 40                      # 800 ms of silence: it was said
    REFUSED_END = 15                        # 300 ms: what nobody wants any more has stopped, and what follows is new
    REFUSED_MOST = 75                       # 1.5 s: the model has not stopped, and means to go on
    BACKLOG = 6                             # 120 ms that wait with us: no silence is added to them
    FRAME_NS = 20_000_000
    MOST_DELAY = 6 * FRAME_NS               # not cut where no jitter wants more

# Mean squares of linear samples. Between the two, what was a sound goes on, and nothing begins.
cdef double ENTER_POWER = 26_970.0          # -46 dBFS
cdef double LEAVE_POWER = 6_775.0           # -52 dBFS
cdef double ENTER_NOISE = 3.981             # 6 dB above its noise, and
cdef double LEAVE_NOISE = 2.512             # 4 dB
cdef double LOUDEST_NOISE = 17_019.0        # -48 dBFS: what never is quieter is no silence, but a sound that goes on

PAUSE_FRAMES = <int>PAUSE
END_FRAMES = <int>UTTERANCE_END
REFUSED_END_FRAMES = <int>REFUSED_END
REFUSED_FRAMES = <int>REFUSED_MOST
BACKLOG_FRAMES = <int>BACKLOG
ONSET_FRAMES = <int>ONSET


cdef class LiveGate:
    """One stream's, frame by frame."""

    def judge(
        self,
        bytes frame not None,
        Py_ssize_t backlog_frames,
        bint refused=False,
        *,
        int64_t delay_ns=0,
        int64_t wanted_ns=60_000_000,
    ) -> int:
        if PyBytes_GET_SIZE(frame) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {PyBytes_GET_SIZE(frame)}")
        return <int>self.hear(<const uint8_t *>PyBytes_AS_STRING(frame), backlog_frames, refused, delay_ns, wanted_ns)

    def take_preroll(self) -> bytes:
        cdef Py_ssize_t size = self.kept * FRAME_BYTES
        self.kept = 0
        return PyBytes_FromStringAndSize(<const char *>self.preroll, size)

    def reset(self) -> None:
        self.close()
        self.kept = self.noise_frames = 0
        self.quietest = self.quietest_before = 0.0

    @property
    def quiet_frames(self) -> int:
        return self.quiet if self.is_open else 0

    cdef Verdict hear(
        self, const uint8_t *frame, Py_ssize_t backlog, bint refused, int64_t delay_ns, int64_t wanted_ns
    ) noexcept:
        cdef bint was_pausing = self.quiet > PAUSE
        cdef bint loud = self.is_loud(mean_power(frame, FRAME_BYTES), self.is_open and not was_pausing)
        self.frames_in += 1
        self.peak_backlog_frames = max(self.peak_backlog_frames, backlog)
        if self.is_open and refused:
            return self.hear_refused(frame, loud)
        if not loud:
            return self.hear_pause(frame, backlog >= BACKLOG or delay_ns >= max(MOST_DELAY, wanted_ns + FRAME_NS))
        self.quiet = 0
        if self.is_open and not was_pausing:
            self.kept = 0
            return VERDICT_PASS
        self.trim(min(BACKLOG - 1 - backlog, (wanted_ns - delay_ns + FRAME_NS - 1) // FRAME_NS))
        if self.is_open:
            self.resumes += 1
            return VERDICT_RESUME
        self.is_open = True
        self.utterances += 1
        return VERDICT_BEGIN

    cdef bint is_loud(self, double power, bint is_sounding) noexcept:
        """Beside the noise, which is told by what was quietest in this window and in the one before it."""
        cdef double noise
        if self.noise_frames >= (SOUND_WINDOW if self.is_open else NOISE_WINDOW):
            self.noise_frames = 0
            self.quietest_before = self.quietest
        if self.noise_frames == 0 or power < self.quietest:
            self.quietest = power
        self.noise_frames += 1
        noise = min(self.quietest, self.quietest_before, LOUDEST_NOISE)
        self.leave_power = max(LEAVE_POWER, LEAVE_NOISE * noise)
        return power >= (self.leave_power if is_sounding else max(ENTER_POWER, ENTER_NOISE * noise))

    cdef Verdict hear_pause(self, const uint8_t *frame, bint crowded) noexcept:
        if not self.is_open:
            return self.leave_out(frame)
        self.quiet += 1
        if self.quiet >= UTTERANCE_END:
            return self.end(frame)
        if self.quiet > PAUSE or (crowded and self.quiet > CLOSURE):
            return self.leave_out(frame)
        self.kept = 0
        return VERDICT_PASS

    cdef Verdict hear_refused(self, const uint8_t *frame, bint loud) noexcept:
        self.frames_refused += 1
        self.refused += 1
        self.quiet = 0 if loud else self.quiet + 1
        if self.quiet >= REFUSED_END or self.refused >= REFUSED_MOST:
            return self.end(frame)
        self.keep(frame)
        return VERDICT_REFUSE

    cdef Verdict end(self, const uint8_t *frame) noexcept:
        self.close()
        self.keep(frame)
        return VERDICT_END

    cdef Verdict leave_out(self, const uint8_t *frame) noexcept:
        self.frames_silent += 1
        self.keep(frame)
        return VERDICT_DROP

    cdef void keep(self, const uint8_t *frame) noexcept:
        """The last frames that were not sent, in order."""
        if self.kept == PREROLL_FRAMES:
            memmove(self.preroll, self.preroll + FRAME_BYTES, (PREROLL_FRAMES - 1) * FRAME_BYTES)
            self.kept -= 1
        memcpy(self.preroll + self.kept * FRAME_BYTES, frame, FRAME_BYTES)
        self.kept += 1

    cdef void trim(self, Py_ssize_t wanted) noexcept:
        """Of what was kept, the silence that is not wanted goes; what is faint right before the sound stays."""
        cdef Py_ssize_t silent = max(self.kept - ONSET, 0), gone
        while silent < self.kept and mean_power(self.preroll + silent * FRAME_BYTES, FRAME_BYTES) < self.leave_power:
            silent += 1
        gone = silent - min(max(wanted, 0), silent)
        self.kept -= gone
        memmove(self.preroll, self.preroll + gone * FRAME_BYTES, self.kept * FRAME_BYTES)

    cdef void close(self) noexcept:
        self.is_open = False
        self.refused = 0
