from libc.stdint cimport int64_t, uint64_t

from fastbridge._answering cimport AnswerEar
from fastbridge._assistant cimport AssistantLane
from fastbridge._bargein cimport Detector
from fastbridge._dsp cimport HighpassLimiter
from fastbridge._framing cimport Slice
from fastbridge._tape cimport Tape
from fastbridge._websocket cimport TextSink
from fastbridge._wire cimport Latency, Outbox, Wire

cdef enum Outcome:
    OUTCOME_FORWARDED
    OUTCOME_GREETING_LOCK
    OUTCOME_ECHO_GATE
    OUTCOME_ECHO_DECAY
    OUTCOME_AUDIO_GUARD
    OUTCOME_MUSIC_MODE
    OUTCOME_QUEUE_FULL
    OUTCOME_NOISE_GATE
    OUTCOME_SESSION_NOT_READY
    OUTCOME_OTHER
    OUTCOME_COUNT


cdef class CallerLane(TextSink):
    # wiring
    cdef object clock, on_message, on_edge, on_sign, write
    cdef Wire wire                          # `write`, where that is one: without a Python call
    cdef Outbox outbox                      # or None: each frame leaves at once
    cdef bint is_live
    cdef bytes append_head                  # of a message to the model, in its dialect
    cdef AssistantLane playing
    cdef Detector detector
    cdef AnswerEar ear                      # or None: nobody asks who has answered
    cdef HighpassLimiter dsp                # or None
    cdef Tape tape                          # or None: nobody records
    cdef bytes stream_sid
    # state
    cdef bint is_open, is_paused, is_locked, is_muted, is_concealed, is_closed
    cdef object queue                       # deque of (base64 payload, frames missing before it), oldest first
    cdef Py_ssize_t queued                  # its length: to ask a deque is to touch it
    cdef int64_t waiting_silence            # sum of the missing in the queue
    cdef Py_ssize_t preroll_frames, backlog_frames
    cdef int64_t last_chunk
    # counters
    cdef readonly uint64_t frames_in, concealed_frames, silence_frames, voice_frames
    cdef readonly int64_t last_media_ns, last_voice_ns
    cdef readonly Py_ssize_t peak_waiting
    cdef uint64_t[OUTCOME_COUNT] settled
    cdef uint64_t locked, arrived_at_lock   # the lock's own count: see locked_frames
    cdef Latency latency           # of frames that were forwarded at once, from here in to written

    cdef uint64_t arrived(self) noexcept
    cdef int media(self, Slice stream_sid, int64_t chunk, Slice payload) except -1
    cdef int tell_sign(self, int sign) except -1
    cdef int64_t missing_before(self, int64_t chunk) noexcept
    cdef int deliver(self, Slice payload, int64_t missing, int64_t now) except -1
    cdef int forward(self, Slice payload, int64_t missing, int64_t arrived_ns) except -1
    cdef int drain(self) except -1
    cdef Py_ssize_t be_silent(self, Py_ssize_t frames) except -1
    cdef int fill(self) except -1
    cdef int append_audio(self, const char *payload, Py_ssize_t size, int64_t arrived_ns) except -1
