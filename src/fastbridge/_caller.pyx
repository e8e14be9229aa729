"""The caller's lane: Twilio to the model. Bytes in, bytes out; a Python call only where judgement is needed.

It shares nothing with the assistant's lane but one question: is audio playing, and which? It never awaits, logs or closes
anything. Every frame ends in exactly one place of `settled`.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from fastbridge._answering cimport AnswerEar
from fastbridge._assistant cimport AssistantLane
from fastbridge._bargein cimport Detector
from fastbridge._dsp cimport HighpassLimiter
from fastbridge._framing cimport (
    KIND_MARK, KIND_MEDIA, PAYLOAD_CHARS, Kind, Slice, TwilioMessage, bytes_of, same, scan_twilio_message, slice_of
)
from fastbridge._mulaw cimport b64_decode_into, b64_encode_into
from fastbridge._pacing cimport read_clock
from fastbridge._playout cimport FRAME_BYTES
from fastbridge._prefetch cimport DETECTOR_BYTES, LANE_BYTES, LATENCY_BYTES, SID_BYTES, WIRE_BYTES, prefetch
from fastbridge._tape cimport Tape
from fastbridge._websocket cimport TextSink, text_frame_of
from fastbridge._wire cimport Latency, Outbox, Wire

from fastbridge._framing import append_message, live_append_message

OUTCOMES = (
    "forwarded",
    "greeting_lock",
    "echo_gate",
    "echo_decay",
    "audio_guard",
    "music_mode",
    "queue_full",
    "noise_gate",
    "session_not_ready",
    "other",
)
FORWARDED = <int>OUTCOME_FORWARDED
GREETING_LOCK = <int>OUTCOME_GREETING_LOCK
AUDIO_GUARD = <int>OUTCOME_AUDIO_GUARD
QUEUE_FULL = <int>OUTCOME_QUEUE_FULL
NOISE_GATE = <int>OUTCOME_NOISE_GATE
SESSION_NOT_READY = <int>OUTCOME_SESSION_NOT_READY
OTHER_REASON = <int>OUTCOME_OTHER

cdef enum:
    MAX_MEDIA_BYTES = 8000                  # 1 s in one message: far above what a carrier sends
    MAX_MEDIA_CHARS = 10_668
    MAX_GAP_FRAMES = 500                    # 10 s
    WAITED = -1                             # in place of its arrival: a frame that was not forwarded at once

cdef bytes SILENT_PAYLOAD = b"/" * 213 + b"w=="
cdef bytes APPEND_HEAD = append_message(b"")[:-2]
cdef bytes LIVE_APPEND_HEAD = live_append_message(b"")[:-2]
cdef uint8_t[MAX_MEDIA_BYTES + 8] media_scratch
cdef char[MAX_MEDIA_CHARS + 64] append_scratch, encoded_scratch


cdef class CallerLane(TextSink):
    """Twilio to the model: count, scan, gate, detect, append."""

    def __init__(
        self,
        *,
        clock,
        AssistantLane playing not None,
        Detector detector,
        on_message,
        on_edge,
        HighpassLimiter dsp=None,
        Outbox outbox=None,
        Py_ssize_t preroll_frames=1000,
        Py_ssize_t backlog_frames=100,
        bint live=False,
    ):
        self.clock = clock
        self.playing = playing
        self.detector = detector
        self.dsp = dsp
        self.outbox = outbox
        self.latency = Latency()
        self.on_message = on_message
        self.on_edge = on_edge
        self.preroll_frames = preroll_frames
        self.backlog_frames = backlog_frames
        self.is_live = live
        self.append_head = LIVE_APPEND_HEAD if live else APPEND_HEAD
        self.stream_sid = b""
        self.queue = deque()

    def ask_who(self, AnswerEar ear, on_sign=None) -> None:
        self.ear = ear
        self.on_sign = on_sign

    @property
    def sink(self):
        """For the FrameReader of the carrier's socket."""
        return self

    def start(self, bytes stream_sid not None) -> None:
        self.stream_sid = stream_sid

    def open(self, write) -> None:
        self.write = write
        self.wire = write if isinstance(write, Wire) else None
        self.is_open = True
        self.is_paused = False
        self.drain()

    def shut(self) -> None:
        self.is_open = False
        self.write = self.wire = None

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        if self.is_open:
            self.drain()

    def lock(self) -> None:
        if not self.is_locked:
            self.is_locked = True
            self.arrived_at_lock = self.arrived()

    def unlock(self) -> None:
        self.locked = self.locked_frames
        self.is_locked = False

    cdef uint64_t arrived(self) noexcept:
        """Own frames so far, whatever became of them."""
        return self.frames_in - self.settled[<int>OUTCOME_OTHER]

    @property
    def locked_frames(self) -> int:
        return self.locked + (self.arrived() - self.arrived_at_lock if self.is_locked else 0)

    def mute(self) -> None:
        self.is_muted = True

    def conceal(self) -> None:
        self.is_concealed = True

    def reveal(self) -> None:
        self.is_concealed = False

    def record(self, Tape tape) -> None:
        self.tape = tape

    cdef int on_text(self, const char *text, Py_ssize_t size) except -1:
        cdef TwilioMessage message
        cdef Kind kind = scan_twilio_message(text, size, &message)
        if kind == KIND_MEDIA:
            self.media(message.stream_sid, message.chunk, message.payload)
        elif kind == KIND_MARK and same(message.stream_sid, self.stream_sid):
            self.playing.echo(bytes_of(message.name))
        else:
            self.on_message(PyBytes_FromStringAndSize(text, size))
        return 0

    cdef void warm(self, int step) noexcept:
        if step == 0:
            prefetch(<void *>self.playing, LANE_BYTES)
            prefetch(<void *>self.stream_sid, SID_BYTES)
        elif step == 1:
            prefetch(<void *>self.detector, DETECTOR_BYTES)
            prefetch(<void *>self.wire, WIRE_BYTES)
            prefetch(<void *>self.latency, LATENCY_BYTES)
            self.playing.warm(0)
        else:
            self.playing.playout.warm(self.playing.playout.heard)

    def feed_message(self, bytes message not None) -> None:
        self.on_text(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))

    def feed_media(self, bytes stream_sid not None, int64_t chunk, int64_t timestamp_ms, bytes payload not None) -> None:
        self.media(slice_of(stream_sid), chunk, slice_of(payload))

    def reject_media(self) -> None:
        self.frames_in += 1
        self.settled[<int>OUTCOME_OTHER] += 1

    cdef int media(self, Slice stream_sid, int64_t chunk, Slice payload) except -1:
        cdef Py_ssize_t size = -1
        cdef uint8_t[FRAME_BYTES] heard
        cdef int64_t now, missing
        cdef bint playing, edge = False
        cdef int sign = 0
        self.frames_in += 1
        if payload.size <= MAX_MEDIA_CHARS:
            size = b64_decode_into(media_scratch, payload.text, payload.size)
        if size <= 0 or size > MAX_MEDIA_BYTES or self.is_closed or not same(stream_sid, self.stream_sid):
            self.settled[<int>OUTCOME_OTHER] += 1
            return 0
        now = read_clock(self.clock)
        self.last_media_ns = now
        missing = self.missing_before(chunk)
        if self.tape is not None:
            self.tape.caller(media_scratch, size, missing, now)
        if self.detector is not None:       # also behind the lock: it learns the line and its echo there
            playing = self.playing.hearing(now, heard)
            edge = self.detector.judge(media_scratch, size, heard if playing else NULL, FRAME_BYTES)
            if self.ear is not None:
                sign = self.ear.judge(media_scratch, size, self.detector.level, self.detector.echo_level)
            if self.detector.speaking and not (self.is_locked or self.is_muted or self.is_concealed):
                self.voice_frames += 1
                self.last_voice_ns = now
        if self.is_locked:
            self.settled[<int>OUTCOME_GREETING_LOCK] += 1
            self.fill()
            return self.tell_sign(sign)
        if self.is_muted:
            self.settled[<int>OUTCOME_NOISE_GATE] += 1
            self.fill()
            return self.tell_sign(sign)
        if self.is_concealed:               # the model's ear goes on, or it would wait for his turn's end for ever
            self.settled[<int>OUTCOME_AUDIO_GUARD] += 1
            self.be_silent(1)
            return self.tell_sign(sign)
        if self.dsp is not None and self.dsp.filter(media_scratch, media_scratch, size):
            b64_encode_into(encoded_scratch, media_scratch, size)
            payload.text = encoded_scratch
            payload.size = (size + 2) // 3 * 4
        self.deliver(payload, missing, now)
        if edge:
            self.on_edge()
        return self.tell_sign(sign)

    cdef int tell_sign(self, int sign) except -1:
        """Of who has answered, behind the frame that shows it."""
        if sign != 0 and self.on_sign is not None:
            self.on_sign(sign)
        return 0

    cdef int64_t missing_before(self, int64_t chunk) noexcept:
        """Frames lost between the last chunk and this one. 0 is an unknown chunk; one from the past changes nothing."""
        cdef int64_t missing = 0
        if chunk > self.last_chunk:
            if self.last_chunk > 0:
                missing = min(chunk - self.last_chunk - 1, <int64_t>MAX_GAP_FRAMES)
            self.last_chunk = chunk
        return missing

    cdef int deliver(self, Slice payload, int64_t missing, int64_t now) except -1:
        """A caller's frame to the model, and silence for those missing before it: now, or in its turn."""
        if self.is_open and not self.is_paused and self.queued == 0:
            return self.forward(payload, missing, now)
        missing = min(missing, MAX_GAP_FRAMES - self.waiting_silence)
        self.queue.append((bytes_of(payload), missing))
        self.queued += 1
        self.waiting_silence += missing
        # One out for one in: a backlog that was longer under another bound is not cut at a stroke.
        if self.queued > (self.backlog_frames if self.is_open else self.preroll_frames):
            self.waiting_silence -= self.queue.popleft()[1]
            self.queued -= 1
            self.settled[<int>OUTCOME_QUEUE_FULL if self.is_open else <int>OUTCOME_SESSION_NOT_READY] += 1
        self.peak_waiting = max(self.peak_waiting, self.queued)
        return 0

    cdef int forward(self, Slice payload, int64_t missing, int64_t arrived_ns) except -1:
        self.concealed_frames += missing
        while missing > 0:                  # the model's end-of-turn detection counts audio, not time: give it some
            missing -= 1
            self.append_audio(PyBytes_AS_STRING(SILENT_PAYLOAD), PAYLOAD_CHARS, WAITED)
        self.settled[<int>OUTCOME_FORWARDED] += 1
        return self.append_audio(payload.text, payload.size, arrived_ns)

    cdef int drain(self) except -1:
        cdef bytes payload
        cdef int64_t missing
        while self.queued > 0 and self.is_open and not self.is_paused:
            payload, missing = self.queue.popleft()
            self.queued -= 1
            self.waiting_silence -= missing
            self.forward(slice_of(payload), missing, WAITED)
        return 0

    cdef int append_audio(self, const char *payload, Py_ssize_t size, int64_t arrived_ns) except -1:
        cdef Py_ssize_t head = PyBytes_GET_SIZE(self.append_head)
        cdef bytes frame
        memcpy(append_scratch, PyBytes_AS_STRING(self.append_head), head)
        memcpy(append_scratch + head, payload, size)
        append_scratch[head + size] = c'"'
        append_scratch[head + size + 1] = c'}'
        frame = text_frame_of(append_scratch, head + size + 2, True)
        if self.wire is not None and self.outbox is not None and arrived_ns != WAITED:
            return self.outbox.post(self.wire, frame, self.latency, arrived_ns)
        self.write(frame)
        if arrived_ns != WAITED:
            self.latency.count(read_clock(self.clock) - arrived_ns)
        return 0

    cdef int fill(self) except -1:
        """In the place of a frame that is not sent on: a stream that never pauses is one in both directions."""
        if self.is_live and self.is_open and not self.is_paused and self.queued == 0:
            self.append_audio(PyBytes_AS_STRING(SILENT_PAYLOAD), PAYLOAD_CHARS, WAITED)
            self.silence_frames += 1
        return 0

    def send_silence(self, Py_ssize_t frames) -> int:
        return self.be_silent(frames)

    cdef Py_ssize_t be_silent(self, Py_ssize_t frames) except -1:
        cdef Py_ssize_t sent = 0
        while sent < frames and self.is_open and not self.is_paused and self.queued == 0:
            self.append_audio(PyBytes_AS_STRING(SILENT_PAYLOAD), PAYLOAD_CHARS, WAITED)
            sent += 1
        self.silence_frames += sent
        return sent

    def close(self) -> None:
        self.settled[<int>OUTCOME_SESSION_NOT_READY] += self.queued
        self.queue.clear()
        self.queued = 0
        self.is_closed = True
        self.shut()

    @property
    def waiting(self) -> int:
        return self.queued

    @property
    def latency_counts(self) -> tuple[int, ...]:
        return self.latency.counts

    @property
    def latency_ns(self) -> int:
        return self.latency.sum_ns

    @property
    def outcomes(self) -> tuple[int, ...]:
        return tuple([self.settled[i] for i in range(<int>OUTCOME_COUNT)])
