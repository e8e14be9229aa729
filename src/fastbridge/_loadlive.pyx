"""The model's side of a load run in GPT-Live: the same sessions on the same schedule, and a stream that never pauses.

What is said lies in the stream, which comes at the pace of real time, silence included. It begins where a frame of 160
bytes does, so that whoever leaves out silence by the frame leaves out nothing else. Nothing is asked of the client
about turns: the model stops by itself when it hears the caller. Where a run is of the Realtime API, this is `Model`.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from fastbridge._framing cimport Slice
from fastbridge._loadmodel cimport BYTE_NS, LINE, LIVE, MS, Asked, Model, Session
from fastbridge._measure cimport FRAME, RESPONSES, Spoken, talk_say, talk_spoken
from fastbridge._mulaw cimport b64_encode_into, b64_encoded_size
from fastbridge._peer cimport CLOSE, TEXT, json_is, json_value, monotonic, peer_send

from fastbridge._loadmodel import SCRIPT_NAMES as _SCRIPT_NAMES

cdef enum:
    LONGEST_DELTA = 48_000
    BYTES_PER_MS = 8
    WORD_MS = 400
    WORD_BYTES = WORD_MS * BYTES_PER_MS
    AHEAD_NS = 5 * MS                       # of its session's turns, which come every 20 ms and may come late
    USAGE_NS = 15_000_000_000
    LONGEST_ID = 128

# The model's messages. LIVE_SCRIPT_NAMES has their order.
cdef enum:
    SAY_STARTED = 0
    SAY_UPDATED = 1
    SAY_AUDIO = 2
    SAY_SPOKEN = 3
    SAY_HEARD = 4
    SAY_COMMENTARY = 5
    SAY_INSTRUCTIONS = 6
    SAY_THINKING = 7
    SAY_USAGE = 8
    SAY_CLOSED = 9

LIVE_SCRIPT_NAMES = (
    "started",
    "updated",
    "audio",
    "spoken",
    "heard",
    "commentary",
    "instructions",
    "thinking",
    "usage",
    "closed",
)

cdef uint8_t[LONGEST_DELTA] STREAM


cdef int64_t clock_ms(Session *session) noexcept nogil:
    """The session's own: it counts what was streamed."""
    return <int64_t>(session.streamed // BYTES_PER_MS)


cdef class LiveModel(Model):
    def __init__(self, *, bint live=False, **settings):
        super().__init__(names=LIVE_SCRIPT_NAMES if live else _SCRIPT_NAMES, **settings)
        self.is_live = live
        if live:
            self.gap_ns = <int64_t>self.delta_bytes * BYTE_NS

    cdef void opened(self, Session *session) noexcept nogil:
        if not self.is_live:                # in Live the client speaks first
            Model.opened(self, session)

    # The stream

    cdef void speak(self, Session *session, int64_t now) noexcept nogil:
        if not self.is_live:
            Model.speak(self, session, now)
            return
        if not session.configured:
            return
        if session.delta_ns == 0:
            session.delta_ns = now - AHEAD_NS
            session.usage_ns = now + USAGE_NS
        while session.delta_ns <= now and session.stage == LIVE:
            self.stream(session)
            session.delta_ns += self.gap_ns
        if session.usage_ns <= now:
            session.usage_ns += USAGE_NS
            self.say(session, SAY_USAGE, clock_ms(session) // 1000, NULL)

    cdef void stream(self, Session *session) noexcept nogil:
        """One delta: what is being said, silence otherwise."""
        cdef Py_ssize_t filled = 0, count, size
        cdef int64_t place
        while filled < self.delta_bytes:
            count = self.delta_bytes - filled
            place = <int64_t>session.streamed + filled
            if session.active >= 0 and (talk_spoken(&session.talk, session.active).sent or place % FRAME == 0):
                filled += self.utter(session, STREAM + filled, count, place)
                continue
            if session.active >= 0:
                count = min(count, <Py_ssize_t>(FRAME - place % FRAME))
            memset(STREAM + filled, 0xFF, count)
            filled += count
        size = self.render(&self.scripts[SAY_AUDIO][0], session, 0, NULL)
        b64_encode_into(LINE + size, STREAM, filled)
        size += b64_encoded_size(filled)
        memcpy(LINE + size, b'"}', 2)
        session.streamed += filled
        if not peer_send(&session.peer, TEXT, LINE, size + 2):
            self.lost_session(session)
        self.counted.queued_peak = max(self.counted.queued_peak, <uint64_t>session.peer.queued_peak)

    cdef Py_ssize_t utter(self, Session *session, uint8_t *into, Py_ssize_t room, int64_t place) noexcept nogil:
        """The next of what is being said, at most `room` bytes, and before it the words that begin there."""
        cdef Asked *asked = &session.asked[session.active & (RESPONSES - 1)]
        cdef Spoken *spoken = talk_spoken(&session.talk, session.active)
        cdef int64_t sent = spoken.sent
        cdef int64_t word = (sent + WORD_BYTES - 1) // WORD_BYTES * WORD_BYTES
        cdef Py_ssize_t count = min(room, <Py_ssize_t>(asked.total - sent))
        if sent == 0:
            asked.created_ns = asked.first_delta_ns = monotonic()
        while word < sent + count:
            self.tell_words(session, SAY_SPOKEN, (place + word - sent) // BYTES_PER_MS)
            word += WORD_BYTES
        memcpy(into, talk_say(&session.talk, count), count)
        if spoken.sent == asked.total:
            self.finish(session, False)
        return count

    cdef void begin_response(self, Session *session, bint scheduled, int64_t now) noexcept nogil:
        if self.is_live:
            self.plan_response(session, scheduled)  # it comes with the stream
        else:
            Model.begin_response(self, session, scheduled, now)

    # The caller, as the model hears him

    cdef void speech_started(self, Session *session, int64_t now) noexcept nogil:
        if not self.is_live:
            Model.speech_started(self, session, now)
            return
        self.tell_words(session, SAY_HEARD, max(<int64_t>0, clock_ms(session) - WORD_MS))
        if session.active >= 0:
            self.finish(session, True)

    cdef void speech_stopped(self, Session *session, int64_t now) noexcept nogil:
        if self.is_live:
            self.tell_words(session, SAY_HEARD, max(<int64_t>0, clock_ms(session) - WORD_MS))
        else:
            Model.speech_stopped(self, session, now)

    cdef void tell_words(self, Session *session, int script, int64_t start_ms) noexcept nogil:
        """A fragment of transcript, by the session's clock."""
        cdef char[24] end
        cdef Slice raw
        raw.text = end
        raw.size = snprintf(end, sizeof(end), b"%lld", <long long>(start_ms + WORD_MS))
        self.say(session, script, start_ms, &raw)

    # The client's messages

    cdef void session_text(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil:
        cdef Slice kind, value
        if not self.is_live:
            Model.session_text(self, session, text, size, at)
        elif not json_value(text, size, b"type", &kind):
            self.counted.malformed += 1
        elif json_is(kind, b"session.input_audio.append"):
            if json_value(text, size, b"audio", &value):
                self.append(session, value, at)
            else:
                self.counted.malformed += 1
        elif json_is(kind, b"session.start"):
            self.start(session, text, size, at)
        elif json_is(kind, b"session.commentary.append"):
            self.acknowledge(session, SAY_COMMENTARY, text, size)
            self.asked_to_speak(session, at)
        elif json_is(kind, b"session.instructions.append"):
            self.acknowledge(session, SAY_INSTRUCTIONS, text, size)
            self.asked_to_speak(session, at)
        elif json_is(kind, b"session.thinking.append"):
            self.acknowledge(session, SAY_THINKING, text, size)
            if session.caller >= 0:         # what it hears of an interruption
                self.callers[session.caller].withdrawn = True
        elif json_is(kind, b"session.update"):
            self.acknowledge(session, SAY_UPDATED, text, size)
        elif json_is(kind, b"session.close"):
            self.say(session, SAY_CLOSED, clock_ms(session) // 1000, NULL)
            peer_send(&session.peer, CLOSE, b"\x03\xe8", 2)
            self.lost_session(session)
        else:
            self.counted.other_model += 1

    cdef void start(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil:
        cdef Slice wanted
        if not json_value(text, size, b"session", &wanted) or wanted.size < 3:
            self.counted.malformed += 1
            return
        wanted.text += 1                    # its braces are the template's
        wanted.size -= 2
        self.say(session, SAY_STARTED, 0, &wanted)
        self.is_configured(session, at)

    cdef void asked_to_speak(self, Session *session, int64_t at) noexcept nogil:
        self.counted.requests += 1
        if session.active < 0:
            self.begin_response(session, False, at)

    cdef void acknowledge(self, Session *session, int script, const char *text, Py_ssize_t size) noexcept nogil:
        """It is in the session, by its clock; with the name that the client gave it, if it gave one."""
        cdef char[LONGEST_ID + 32] named
        cdef Slice raw, event_id
        raw.text = named
        raw.size = 0
        if json_value(text, size, b"event_id", &event_id) and event_id.size <= LONGEST_ID:
            raw.size = snprintf(
                named, sizeof(named), b'"client_event_id":"%.*s",', <int>event_id.size, event_id.text
            )
        self.say(session, script, clock_ms(session), &raw)
