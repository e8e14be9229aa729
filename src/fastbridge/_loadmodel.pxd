from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbridge._framing cimport Slice
from fastbridge._measure cimport RESPONSES, Finder, Hist, Playout, Talk
from fastbridge._peer cimport READ_BYTES, Peer

cdef enum:
    MS = 1_000_000
    BYTE_NS = 125_000
    LOUD = 1                                # kinds of frames sent
    COUNTED = 2
    ARRIVED = 4
    QUIET_BYTES = 4096
    SENT = 512                              # caller frames remembered, a power of two: ten seconds
    SID = 34
    SCRIPTS = 20
    SCRIPT_MESSAGES = 8


cdef enum Stage:
    AWAY = 0
    LIVE = 1
    GONE = 2


cdef enum Barge:
    NOT_PLANNED = 0
    PLANNED = 1
    SPEAKING = 2
    SPOKEN = 3


cdef struct Template:
    const char *text
    Py_ssize_t size


cdef struct Caller:
    Peer peer
    int stage
    int session                             # of the model's; -1: not known
    char[SID] stream_sid
    Template stop                           # its last message
    int64_t started_ns
    int64_t next_ns                         # when the next frame is due
    uint32_t number                         # of the next frame
    uint32_t sequence
    uint32_t awaited                        # where frames are told by their order: the next to arrive
    int64_t[SENT] sent_ns
    uint8_t[SENT] kind
    Playout playout
    int64_t media_ns                        # the last media message; 0: nothing to measure a distance from
    uint64_t response_bytes                 # that came of the response being heard
    int barge
    int loud                                # loud frames sent
    int64_t barge_ns                        # when to begin
    int64_t fifth_ns                        # when the fifth loud frame was sent
    int64_t clear_ns
    int64_t heard_ms                        # of the interrupted response
    bint withdrawn                          # the model was told: nothing of it may follow


cdef struct Asked:
    int64_t created_ns, first_delta_ns
    uint32_t total                          # bytes
    bint scheduled


cdef struct Session:
    Peer peer
    int stage
    int caller
    bint configured, interrupts
    uint32_t events, items
    Talk talk
    Asked[RESPONSES] asked
    int64_t active                          # the response being delivered; -1: none
    int64_t delta_ns                        # when its next delta is due
    int turn_stage
    int64_t turn_ns                         # when the next scheduled response begins
    int64_t speech_ns, silence_ns           # when voice activity is reported; 0: not planned
    uint64_t streamed                       # bytes of a stream that never pauses
    int64_t usage_ns                        # when its seconds are told next
    Finder finder


cdef struct Counts:
    uint64_t frames_sent, frames_arrived, frames_altered, frames_repeated, frames_reordered, frames_unknown
    uint64_t frames_inserted, appends
    uint64_t media, media_bytes, media_odd_size, spacing_short, spacing_long, spacing_unjudged
    uint64_t underruns_2ms, underruns_20ms, unlinked_bytes
    uint64_t marks, marks_echoed, clears, clears_unasked, responses, requests, cancels, truncates
    uint64_t barges, barges_early, barges_missed, stale_frames
    uint64_t malformed, wrong_stream, other_carrier, other_model, broken, early_closes, model_closes, relinked
    uint64_t looks, stalls, queued_peak


cdef class Model:
    cdef int count, session_count
    cdef int epoll
    cdef Caller *callers
    cdef Session *sessions
    cdef list texts                         # keeps the templates, the voice and the quiet alive
    cdef Template[SCRIPTS][SCRIPT_MESSAGES] scripts
    cdef const uint8_t *quiet
    cdef const uint8_t *voice
    cdef int voice_frames
    cdef bint exact, barging
    cdef int64_t period_ns, gap_ns, voice_delay_ns
    cdef uint32_t talk_bytes, request_bytes, delta_bytes
    cdef volatile bint in_window, leaving
    cdef volatile int configured_count
    cdef readonly dict histograms
    cdef Hist *uplink
    cdef Hist *truncate_error
    cdef Counts counted

    cdef Hist *histogram(self, str name)
    cdef void begin_session(self, int caller, int fd) noexcept nogil
    cdef void opened(self, Session *session) noexcept nogil
    cdef void close_all(self) noexcept nogil
    cdef void lost_session(self, Session *session) noexcept nogil
    cdef void session_turn(self, Session *session, int64_t now) noexcept nogil
    cdef void session_text(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil
    cdef void configure(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil
    cdef void is_configured(self, Session *session, int64_t at) noexcept nogil
    cdef void append(self, Session *session, Slice audio, int64_t at) noexcept nogil
    cdef void frame_arrived(
        self, Session *session, const uint8_t *frame, uint32_t call, uint32_t number, int64_t at
    ) noexcept nogil
    cdef bint is_pulse(self, Caller *caller, uint32_t number) noexcept nogil
    cdef void arrived(self, Session *session, Caller *caller, uint32_t number, int64_t at) noexcept nogil
    cdef void frame_in_order(self, Session *session, const uint8_t *frame, int64_t at) noexcept nogil
    cdef void link(self, Session *session, int caller) noexcept nogil
    cdef void begin_response(self, Session *session, bint scheduled, int64_t now) noexcept nogil
    cdef void plan_response(self, Session *session, bint scheduled) noexcept nogil
    cdef void deliver(self, Session *session, int64_t now) noexcept nogil
    cdef void end_response(self, Session *session, int script) noexcept nogil
    cdef void finish(self, Session *session, bint cut) noexcept nogil
    cdef void truncate(self, Session *session, const char *text, Py_ssize_t size) noexcept nogil
    cdef void speak(self, Session *session, int64_t now) noexcept nogil
    cdef void speech_started(self, Session *session, int64_t now) noexcept nogil
    cdef void speech_stopped(self, Session *session, int64_t now) noexcept nogil
    cdef Py_ssize_t render(self, Template *template, Session *session, int64_t number, Slice *raw) noexcept nogil
    cdef void say(self, Session *session, int script, int64_t number, Slice *raw) noexcept nogil


cdef char[READ_BYTES] LINE                  # the message being written: one thread plays
