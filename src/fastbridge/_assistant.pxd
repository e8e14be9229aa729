from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbridge._framing cimport Slice
from fastbridge._jitter cimport Jitter
from fastbridge._livegate cimport LiveGate
from fastbridge._mulaw cimport Ring
from fastbridge._pacing cimport Paced, Pacer, Schedule
from fastbridge._pcm cimport PcmWatch
from fastbridge._playout cimport FRAME_BYTES, Playout, Reply
from fastbridge._tape cimport Tape
from fastbridge._wire cimport Wire

cdef enum:
    REMEMBERED_DELTAS = 128


cdef class AssistantLane(Paced):
    # wiring
    cdef object clock, write, on_event, on_first_frame, on_played, on_full, on_bad_frame, on_words
    cdef object on_first_delta, on_pcm, on_stalled, on_utterance
    cdef Wire wire                          # `write`, where that is one: without a Python call
    cdef Pacer pacer
    cdef Tape tape                          # or None: nobody records
    cdef readonly Schedule schedule
    cdef bytes stream_sid, template
    cdef Py_ssize_t payload_at              # of the base64 text in the template
    # state
    cdef Ring ring
    cdef Playout playout                    # positions in the ring
    cdef PcmWatch watch                     # of the item that receives audio
    cdef bytes response_id                  # the response begun last
    cdef list words                         # pieces of an item's transcript that have not been told of
    cdef bytes words_item
    cdef int64_t words_from, words_at       # received bytes when its first piece came, and its last
    cdef int words_ahead                    # pieces of it that came before any audio did
    cdef bint taking, has_audio, in_spurt, is_paused, is_stalled, is_closed, is_full
    cdef uint32_t remembered
    cdef uint64_t last_event                # the last delta's event, hashed; before it the response's own
    cdef bint event_known
    cdef bint events_vary                   # those of one response were different
    # counters
    cdef readonly uint64_t frames_enqueued, frames_sent, frames_cleared
    cdef readonly uint64_t deltas, refused_deltas, malformed_deltas, ignored_events, word_deltas
    cdef readonly Py_ssize_t first_frame_bytes
    cdef uint64_t flushed_barge_in, flushed_close
    # of a stream that never pauses
    cdef readonly LiveGate gate             # or None: the model says itself what is a response
    cdef Jitter jitter                      # likewise
    cdef bytes utterance_id                 # the response begun for the utterance under way
    cdef readonly int64_t streamed_ns       # when its last delta came
    cdef Py_ssize_t partial_bytes
    cdef uint8_t[FRAME_BYTES] partial       # of a frame that has not come whole
    # large, and rarely looked at: behind all the rest
    cdef uint64_t[REMEMBERED_DELTAS] fingerprints   # of this response's last deltas

    cdef int take_words(self, Slice item_id, Slice words) except -1
    cdef place_words(self, Slice item_id)
    cdef int model_message(self, const char *text, Py_ssize_t size) except -1
    cdef int take_delta(self, Slice event_id, Slice response_id, Slice item_id, Slice delta) except -1
    cdef int stream_message(self, const char *text, Py_ssize_t size) except -1
    cdef int take_stream(self, Slice delta) except -1
    cdef int64_t delay(self) noexcept
    cdef int take_piece(self, Slice piece) except -1
    cdef int take_frame(self) except -1
    cdef bint is_uttering(self) noexcept
    cdef int begin_utterance(self) except -1
    cdef int put_frames(self, const uint8_t *frames, Py_ssize_t count) except -1
    cdef bint hears_first(self) except -1
    cdef bint watch_from(self, int64_t start) noexcept
    cdef bint came_before(self, Slice event_id, Slice delta) noexcept
    cdef int wake(self) except -1
    cdef int send_frame(self, int64_t now) except -1
    cdef int after_frame(self, Reply reply, int64_t now) except -1
    cdef bint mark_due(self, Reply reply) noexcept
    cdef int check_wire(self, bytes frame) except -1
    cdef bint stalls(self, int64_t now) except -1
    cdef int tell_stalled(self) except -1
    cdef int send_end_mark(self, Reply reply) except -1
    cdef int send_mark(self, str ends) except -1
    cdef int send_clear(self) except -1
    cdef int stop(self, int64_t now) except -1
    cdef int reclaim(self, int64_t now) except -1
    cdef int take_back(self, int64_t now) except -1
    cdef bint hearing(self, int64_t now, uint8_t *frame) noexcept
    cdef int echo(self, bytes name) except -1
