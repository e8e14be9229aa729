from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbridge._bargein cimport Detector
from fastbridge._dsp cimport HighpassLimiter
from fastbridge._framing cimport RealtimeMessage, Slice, TwilioMessage
from fastbridge._mulaw cimport Ring
from fastbridge._pacing cimport Paced, Pacer, Schedule
from fastbridge._playout cimport Playout, Reply
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

cdef enum:
    REMEMBERED_DELTAS = 128


cdef class CallerLane(TextSink):
    # wiring
    cdef object clock, on_message, on_edge, write
    cdef Wire wire                          # `write`, where that is one: without a Python call
    cdef Outbox outbox                      # or None: each frame leaves at once
    cdef AssistantLane playing
    cdef Detector detector
    cdef HighpassLimiter dsp                # or None
    cdef bytes stream_sid
    # state
    cdef bint is_open, is_paused, is_locked, is_closed
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
    cdef Latency latency           # of frames that were forwarded at once, from here in to written

    cdef int media(self, Slice stream_sid, int64_t chunk, Slice payload) except -1
    cdef int64_t missing_before(self, int64_t chunk) noexcept
    cdef int deliver(self, Slice payload, int64_t missing, int64_t now) except -1
    cdef int forward(self, Slice payload, int64_t missing, int64_t arrived_ns) except -1
    cdef int drain(self) except -1
    cdef int append_audio(self, const char *payload, Py_ssize_t size, int64_t arrived_ns) except -1


cdef class AssistantLane(Paced):
    # wiring
    cdef object clock, write, on_event, on_first_frame, on_played, on_full, on_bad_frame, on_words
    cdef Wire wire                          # `write`, where that is one: without a Python call
    cdef Pacer pacer
    cdef readonly Schedule schedule
    cdef bytes stream_sid, template
    cdef Py_ssize_t payload_at              # of the base64 text in the template
    # state
    cdef Ring ring
    cdef Playout playout                    # positions in the ring
    cdef bytes response_id                  # the response begun last
    cdef bint taking, in_spurt, is_paused, is_closed, is_full
    cdef uint32_t remembered
    cdef uint64_t last_event                # the last delta's event, hashed
    cdef bint events_vary                   # deltas of one response had different ones
    # counters
    cdef readonly uint64_t frames_sent, deltas, refused_deltas, malformed_deltas, ignored_events
    cdef uint64_t flushed_barge_in, flushed_close
    # large, and rarely looked at: behind all the rest
    cdef uint64_t[REMEMBERED_DELTAS] fingerprints   # of this response's last deltas

    cdef int model_message(self, const char *text, Py_ssize_t size) except -1
    cdef int take_delta(self, Slice event_id, Slice response_id, Slice item_id, Slice delta) except -1
    cdef bint came_before(self, Slice event_id, Slice delta) noexcept
    cdef int wake(self) except -1
    cdef int send_frame(self, int64_t now) except -1
    cdef int after_frame(self, Reply reply, int64_t now) except -1
    cdef bint mark_due(self, Reply reply) noexcept
    cdef int check_wire(self, bytes frame) except -1
    cdef int send_end_mark(self, Reply reply) except -1
    cdef int send_mark(self, str ends) except -1
    cdef int send_clear(self) except -1
    cdef int stop(self, int64_t now) except -1
    cdef int reclaim(self, int64_t now) except -1
    cdef bint hearing(self, int64_t now, uint8_t *frame) noexcept
    cdef int echo(self, bytes name) except -1
