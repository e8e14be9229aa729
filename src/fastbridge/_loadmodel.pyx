"""The model's side of a load run: sessions that hear every frame, and speak on a schedule.

A session checks the caller's audio frame by frame, and says sequences of bytes that the caller knows by heart. Its
messages are templates, made in Python (`fastbridge.sim.load_events`). It never waits, and needs no GIL.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from fastbridge._framing cimport Slice
from fastbridge._measure cimport (
    FRAME,
    RESPONSES,
    Hist,
    Histogram,
    Talk,
    finder_put,
    finder_take,
    hist_add,
    talk_begin,
    talk_init,
    talk_say,
    talk_spoken,
    write_tag,
)
from fastbridge._mulaw cimport b64_decode_into, b64_encode_into, b64_encoded_size, mean_power
from fastbridge._peer cimport (
    READ_BYTES,
    TEXT,
    json_integer,
    json_is,
    json_value,
    monotonic,
    peer_close,
    peer_open,
    peer_send,
    watch,
)

cdef enum:
    SPEECH_BEFORE_NS = 700 * MS             # a scheduled response comes after a caller who speaks from here ...
    SILENCE_BEFORE_NS = 200 * MS            # ... to here
    FIRST_TURN_NS = 2_500_000_000
    ANSWER_NS = 300 * MS
    PULSE_EVERY = 50
    DELIVERED_AFTER_NS = 2000 * MS          # of slack, for a response to have been heard

cdef double PULSE_POWER = 1000.0 * 1000.0

# The model's messages. SCRIPT_NAMES has their order.
cdef enum:
    SAY_CREATED = 0
    SAY_UPDATED = 1
    SAY_SPEECH_STARTED = 2
    SAY_SPEECH_STOPPED = 3
    SAY_RESPONSE_BEGINS = 4
    SAY_WORD = 5
    SAY_DELTA = 6
    SAY_RESPONSE_DONE = 7
    SAY_CLIENT_CANCELLED = 8
    SAY_TURN_DETECTED = 9
    SAY_NOT_ACTIVE = 10
    SAY_ALREADY_ACTIVE = 11
    SAY_TRUNCATED = 12
    SAY_DELETED = 13
    SAY_ITEM_ADDED = 14
    SAY_CLEARED = 15
    SAY_COMMITTED = 16

SCRIPT_NAMES = (
    "created",
    "updated",
    "speech_started",
    "speech_stopped",
    "response_begins",
    "word",
    "delta",
    "response_done",
    "client_cancelled",
    "turn_detected",
    "not_active",
    "already_active",
    "truncated",
    "deleted",
    "item_added",
    "cleared",
    "committed",
)

cdef uint8_t[READ_BYTES] AUDIO


cdef Py_ssize_t put_hex(char *out, uint32_t value) noexcept nogil:
    cdef int i
    for i in range(8):
        out[i] = b"0123456789abcdef"[(value >> (28 - 4 * i)) & 15]
    return 8


cdef uint64_t undelivered(Session *session, int64_t now) noexcept nogil:
    """Bytes of responses that nobody interrupted, and that should have been heard by now."""
    cdef int64_t response, ends
    cdef uint64_t missing = 0
    cdef Asked *asked
    for response in range(session.talk.response, session.talk.begun):
        asked = &session.asked[response & (RESPONSES - 1)]
        ends = asked.first_delta_ns + <int64_t>asked.total * BYTE_NS + DELIVERED_AFTER_NS
        if talk_spoken(&session.talk, response).done and not talk_spoken(&session.talk, response).cut and ends < now:
            missing += talk_spoken(&session.talk, response).sent
            if response == session.talk.response:
                missing -= session.talk.position
    return missing


cdef class Model:
    def __cinit__(self, *, int calls, **settings):
        cdef int i
        if not 1 <= calls <= 0xFFFF:
            raise ValueError("need 1 to 65535 calls")
        self.count = calls
        self.callers = <Caller *>calloc(calls, sizeof(Caller))
        self.sessions = <Session *>calloc(2 * calls, sizeof(Session))
        if self.callers is NULL or self.sessions is NULL:
            raise MemoryError
        for i in range(calls):
            self.callers[i].peer.fd = self.callers[i].session = -1
        for i in range(2 * calls):
            self.sessions[i].peer.fd = -1

    def __init__(
        self,
        *,
        int calls,
        scripts,
        bytes quiet not None,
        bytes voice not None,
        bint exact=True,
        bint barge=False,
        int talk_ms=6000,
        int period_ms=10_000,
        int request_ms=1000,
        int delta_bytes=3200,
        double speed=6.7,
        int voice_delay_ms=200,
        names=SCRIPT_NAMES,
    ):
        if len(quiet) < QUIET_BYTES + FRAME or not voice or len(voice) % FRAME or not 1 <= delta_bytes <= 48_000:
            raise ValueError("need quiet and voice in whole frames, and deltas of 1 to 48000 bytes")
        if speed <= 0 or not 0 < talk_ms <= 15_000 or not 0 < request_ms <= 15_000 or period_ms < 1000:
            raise ValueError("need a speed above 0, responses of at most 15 s, and a period of at least 1 s")
        self.texts = [scripts, quiet, voice]
        self.quiet = <const uint8_t *>PyBytes_AS_STRING(quiet)
        self.voice = <const uint8_t *>PyBytes_AS_STRING(voice)
        self.voice_frames = len(voice) // FRAME
        self.exact, self.barging = exact, barge
        self.talk_bytes, self.request_bytes, self.delta_bytes = talk_ms * 8, request_ms * 8, delta_bytes
        self.period_ns = <int64_t>period_ms * MS
        self.gap_ns = <int64_t>(<double>delta_bytes * BYTE_NS / speed)
        self.voice_delay_ns = <int64_t>voice_delay_ms * MS
        for number, name in enumerate(names):
            for place, text in enumerate(scripts[name]):
                self.scripts[number][place].text = PyBytes_AS_STRING(text)
                self.scripts[number][place].size = PyBytes_GET_SIZE(text)
        self.histograms = {}
        self.uplink = self.histogram("uplink")
        self.truncate_error = self.histogram("truncate_error")

    def __dealloc__(self):
        if self.callers is not NULL and self.sessions is not NULL:
            self.close_all()
        free(self.callers)
        free(self.sessions)

    @property
    def configured(self) -> int:
        return self.configured_count

    @property
    def live(self) -> int:
        cdef int i, live = 0
        for i in range(self.count):
            if self.callers[i].stage == LIVE and self.callers[i].session >= 0:
                live += self.sessions[self.callers[i].session].stage == LIVE
        return live

    @property
    def counts(self) -> dict[str, int]:
        return self.counted

    def integrity(self) -> dict[str, int]:
        cdef int i
        cdef Talk *talk
        total = dict.fromkeys(
            ("faults", "lost", "altered", "repeated", "foreign", "padding", "silence", "resumed", "undelivered"), 0
        )
        total["marks_overflowed"] = total["uplink_skipped"] = 0
        for i in range(self.count):
            total["marks_overflowed"] += self.callers[i].playout.marks_overflowed
        for i in range(self.session_count):
            total["uplink_skipped"] += self.sessions[i].finder.skipped
            talk = &self.sessions[i].talk
            total["faults"] += talk.faults
            total["lost"] += talk.lost
            total["altered"] += talk.altered
            total["repeated"] += talk.repeated
            total["foreign"] += talk.foreign
            total["padding"] += talk.padding
            total["silence"] += talk.silence
            total["resumed"] += talk.resumed
            total["undelivered"] += undelivered(&self.sessions[i], monotonic())
        return total

    cdef Hist *histogram(self, str name):
        cdef Histogram made = Histogram()
        self.histograms[name] = made
        return &made.hist

    cdef bint is_pulse(self, Caller *caller, uint32_t number) noexcept nogil:
        """Where frames come changed, and are told by their order, one a second is loud: it must come in its place."""
        return (number + <uint32_t>(caller - self.callers) * 7) % PULSE_EVERY == 0

    cdef void close_all(self) noexcept nogil:
        cdef int i
        for i in range(self.count):
            peer_close(&self.callers[i].peer)
        for i in range(2 * self.count):
            peer_close(&self.sessions[i].peer)

    cdef void lost_session(self, Session *session) noexcept nogil:
        self.counted.model_closes += not self.leaving
        session.stage = GONE
        peer_close(&session.peer)

    cdef void begin_session(self, int caller, int fd) noexcept nogil:
        cdef Session *session
        cdef int index = self.session_count
        if index >= 2 * self.count:
            return
        session = &self.sessions[index]
        self.session_count += 1
        peer_open(&session.peer, fd, False, 1)
        watch(self.epoll, fd, <uint64_t>index << 1 | 1)
        session.caller = session.active = -1
        session.stage = LIVE
        talk_init(&session.talk, index)
        if caller >= 0:
            self.link(session, caller)
        self.opened(session)

    cdef void opened(self, Session *session) noexcept nogil:
        self.say(session, SAY_CREATED, 0, NULL)

    cdef void link(self, Session *session, int caller) noexcept nogil:
        """Whose audio comes here. Provisional by the order of arrival, proven by the audio."""
        cdef int before = session.caller, displaced = self.callers[caller].session
        if before == caller:
            return
        self.counted.relinked += before >= 0
        if before >= 0 and displaced >= 0:  # they change places: a session of nobody's would have no turns
            self.sessions[displaced].caller = before
            self.callers[before].session = displaced
        session.caller = caller
        self.callers[caller].session = <int>(session - self.sessions)

    cdef void session_turn(self, Session *session, int64_t now) noexcept nogil:
        self.speak(session, now)
        if session.speech_ns and session.speech_ns <= now:
            session.speech_ns = 0
            self.speech_started(session, now)
            session.silence_ns = now + (<int64_t>self.voice_frames * 20 + 500) * MS
        if session.silence_ns and session.silence_ns <= now:
            session.silence_ns = 0
            self.speech_stopped(session, now)
            session.turn_stage = 2          # who interrupts is answered, and soon
            session.turn_ns = now + ANSWER_NS
        if not session.configured:
            return
        if session.turn_stage == 0 and now >= session.turn_ns - SPEECH_BEFORE_NS:
            session.turn_stage = 1
            self.speech_started(session, now)
        elif session.turn_stage == 1 and now >= session.turn_ns - SILENCE_BEFORE_NS:
            session.turn_stage = 2
            self.speech_stopped(session, now)
        elif session.turn_stage == 2 and now >= session.turn_ns:
            session.turn_stage = 0
            session.turn_ns += self.period_ns
            if session.active < 0:
                self.begin_response(session, True, now)

    cdef void speak(self, Session *session, int64_t now) noexcept nogil:
        """What of the model's audio is due."""
        while session.active >= 0 and session.delta_ns <= now:
            self.deliver(session, now)

    cdef void speech_started(self, Session *session, int64_t now) noexcept nogil:
        session.items += 1
        self.say(session, SAY_SPEECH_STARTED, now // MS, NULL)
        if session.active >= 0 and session.interrupts:
            self.end_response(session, SAY_TURN_DETECTED)

    cdef void speech_stopped(self, Session *session, int64_t now) noexcept nogil:
        self.say(session, SAY_SPEECH_STOPPED, now // MS, NULL)

    cdef void session_text(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil:
        cdef Slice kind, value
        if not json_value(text, size, b"type", &kind):
            self.counted.malformed += 1
        elif json_is(kind, b"input_audio_buffer.append"):
            if json_value(text, size, b"audio", &value):
                self.append(session, value, at)
            else:
                self.counted.malformed += 1
        elif json_is(kind, b"session.update"):
            self.configure(session, text, size, at)
        elif json_is(kind, b"response.create"):
            self.counted.requests += 1
            if session.active >= 0:
                self.say(session, SAY_ALREADY_ACTIVE, 0, NULL)
            else:
                self.begin_response(session, False, at)
        elif json_is(kind, b"response.cancel"):
            self.counted.cancels += 1
            if session.active >= 0:
                self.end_response(session, SAY_CLIENT_CANCELLED)
            else:
                self.say(session, SAY_NOT_ACTIVE, 0, NULL)
            if session.caller >= 0:
                self.callers[session.caller].withdrawn = True
        elif json_is(kind, b"conversation.item.truncate"):
            self.truncate(session, text, size)
        elif json_is(kind, b"conversation.item.delete") and json_value(text, size, b"item_id", &value):
            self.say(session, SAY_DELETED, 0, &value)
        elif json_is(kind, b"conversation.item.create") and json_value(text, size, b"item", &value):
            self.say(session, SAY_ITEM_ADDED, 0, &value)
        elif json_is(kind, b"input_audio_buffer.clear"):
            self.say(session, SAY_CLEARED, 0, NULL)
        elif json_is(kind, b"input_audio_buffer.commit"):
            session.items += 1
            self.say(session, SAY_COMMITTED, 0, NULL)
        else:
            self.counted.other_model += 1

    cdef void configure(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil:
        """The session as the client wants it, and the first of its scheduled turns, staggered over the calls."""
        cdef Slice wanted, value
        if not json_value(text, size, b"session", &wanted) or wanted.size < 3:
            self.counted.malformed += 1
            return
        session.interrupts = True
        if (
            json_value(wanted.text, wanted.size, b"audio", &value)
            and json_value(value.text, value.size, b"input", &value)
            and json_value(value.text, value.size, b"turn_detection", &value)
            and json_value(value.text, value.size, b"interrupt_response", &value)
        ):
            session.interrupts = json_is(value, b"true")
        self.is_configured(session, at)
        wanted.text += 1                    # its braces are the template's
        wanted.size -= 2
        self.say(session, SAY_UPDATED, 0, &wanted)

    cdef void is_configured(self, Session *session, int64_t at) noexcept nogil:
        """Told, or about to be: from now on it has its turns."""
        cdef double share = session.talk.call * 0.6180339887498949
        if not session.configured:
            session.configured = True
            self.configured_count += 1
            session.turn_ns = at + FIRST_TURN_NS + <int64_t>((share - <int64_t>share) * self.period_ns)

    cdef void append(self, Session *session, Slice audio, int64_t at) noexcept nogil:
        cdef Py_ssize_t size = b64_decode_into(AUDIO, audio.text, audio.size), used = 0
        cdef uint8_t[FRAME] frame
        cdef uint32_t call, number
        if size < 0:
            self.counted.malformed += 1
            return
        self.counted.appends += self.in_window
        if not self.exact:
            while used + FRAME <= size:
                self.frame_in_order(session, AUDIO + used, at)
                used += FRAME
            session.finder.skipped += size - used
            return
        while used < size:
            used += finder_put(&session.finder, AUDIO + used, size - used)
            while finder_take(&session.finder, frame, &call, &number):
                self.frame_arrived(session, frame, call, number, at)

    cdef void frame_in_order(self, Session *session, const uint8_t *frame, int64_t at) noexcept nogil:
        """A frame that came changed is the one whose turn it is, unless a pulse is not where it should be."""
        cdef Caller *caller
        cdef bint loud
        if session.caller < 0:
            self.counted.frames_unknown += 1
            return
        caller = &self.callers[session.caller]
        loud = mean_power(frame, FRAME) > PULSE_POWER
        if not self.barging and loud != self.is_pulse(caller, caller.awaited):
            if not loud:
                self.counted.frames_inserted += 1
                return
            while not self.is_pulse(caller, caller.awaited):
                caller.awaited += 1
        self.arrived(session, caller, caller.awaited, at)
        caller.awaited += 1

    cdef void frame_arrived(
        self, Session *session, const uint8_t *frame, uint32_t call, uint32_t number, int64_t at
    ) noexcept nogil:
        cdef Caller *caller
        cdef uint8_t[FRAME] expected
        if call >= <uint32_t>self.count:
            self.counted.frames_unknown += 1
            return
        caller = &self.callers[call]
        self.link(session, <int>call)
        self.counted.frames_reordered += number < caller.awaited
        caller.awaited = number + 1
        if not caller.kind[number & (SENT - 1)] & LOUD:
            memcpy(expected, self.quiet + number * 37 % <uint32_t>QUIET_BYTES, FRAME)
            write_tag(expected, call, number)
            self.counted.frames_altered += memcmp(expected, frame, FRAME) != 0
        self.arrived(session, caller, number, at)

    cdef void arrived(self, Session *session, Caller *caller, uint32_t number, int64_t at) noexcept nogil:
        cdef uint8_t *kind = &caller.kind[number & (SENT - 1)]
        if number >= caller.number or caller.number - number > SENT:
            self.counted.frames_unknown += 1
            return
        if kind[0] & ARRIVED:
            self.counted.frames_repeated += 1
            return
        kind[0] |= ARRIVED
        if kind[0] & COUNTED:
            self.counted.frames_arrived += 1
            hist_add(self.uplink, at - caller.sent_ns[number & (SENT - 1)])
        if kind[0] & LOUD and self.barging and self.voice_delay_ns >= 0 and not session.speech_ns:
            if not session.silence_ns:
                session.speech_ns = at + self.voice_delay_ns

    cdef void begin_response(self, Session *session, bint scheduled, int64_t now) noexcept nogil:
        self.plan_response(session, scheduled)
        session.delta_ns = now
        self.say(session, SAY_RESPONSE_BEGINS, session.active, NULL)
        self.deliver(session, now)

    cdef void plan_response(self, Session *session, bint scheduled) noexcept nogil:
        cdef Asked *asked
        session.active = talk_begin(&session.talk)
        asked = &session.asked[session.active & (RESPONSES - 1)]
        memset(asked, 0, sizeof(Asked))
        asked.scheduled = scheduled
        asked.total = self.talk_bytes if scheduled else self.request_bytes
        asked.created_ns = monotonic()
        self.counted.responses += 1

    cdef void deliver(self, Session *session, int64_t now) noexcept nogil:
        """One delta of the active response, and its end after the last one."""
        cdef Asked *asked = &session.asked[session.active & (RESPONSES - 1)]
        cdef Py_ssize_t count = min(
            self.delta_bytes, asked.total - talk_spoken(&session.talk, session.active).sent
        )
        cdef Py_ssize_t size
        self.say(session, SAY_WORD, session.active, NULL)
        size = self.render(&self.scripts[SAY_DELTA][0], session, session.active, NULL)
        b64_encode_into(LINE + size, talk_say(&session.talk, count), count)
        size += b64_encoded_size(count)
        memcpy(LINE + size, b'"}', 2)
        if not asked.first_delta_ns:
            asked.first_delta_ns = monotonic()
        if not peer_send(&session.peer, TEXT, LINE, size + 2):
            self.lost_session(session)
        self.counted.queued_peak = max(self.counted.queued_peak, <uint64_t>session.peer.queued_peak)
        session.delta_ns += self.gap_ns
        if talk_spoken(&session.talk, session.active).sent == asked.total:
            self.end_response(session, SAY_RESPONSE_DONE)

    cdef void end_response(self, Session *session, int script) noexcept nogil:
        self.say(session, script, session.active, NULL)
        self.finish(session, script != SAY_RESPONSE_DONE)

    cdef void finish(self, Session *session, bint cut) noexcept nogil:
        """The active response is over. cut: before its end."""
        talk_spoken(&session.talk, session.active).done = True
        if cut:
            talk_spoken(&session.talk, session.active).cut = True
        session.active = -1

    cdef void truncate(self, Session *session, const char *text, Py_ssize_t size) noexcept nogil:
        cdef Slice item, end
        cdef Caller *caller = &self.callers[session.caller] if session.caller >= 0 else NULL
        cdef int64_t claimed
        self.counted.truncates += 1
        if not json_value(text, size, b"item_id", &item) or not json_value(text, size, b"audio_end_ms", &end):
            self.counted.malformed += 1
            return
        claimed = json_integer(end)
        if caller is not NULL and caller.clear_ns and not caller.withdrawn:
            hist_add(self.truncate_error, max(claimed - caller.heard_ms, caller.heard_ms - claimed) * MS)
        if caller is not NULL:
            caller.withdrawn = True
        self.say(session, SAY_TRUNCATED, claimed, &item)

    # Messages

    cdef Py_ssize_t render(self, Template *template, Session *session, int64_t number, Slice *raw) noexcept nogil:
        """A template into LINE: \x01 the session, \x02 the number, \x03 a new event's number (each in hexadecimal), \x04
        the number in decimal, \x05 raw text, \x06 the caller's item."""
        cdef Py_ssize_t i, size = 0
        cdef char c
        for i in range(template.size):
            c = template.text[i]
            if c > 6 or c < 1:
                LINE[size] = c
                size += 1
            elif c == 1:
                size += put_hex(LINE + size, session.talk.call)
            elif c == 2:
                size += put_hex(LINE + size, <uint32_t>number)
            elif c == 3:
                session.events += 1
                size += put_hex(LINE + size, session.events)
            elif c == 4:
                size += snprintf(LINE + size, 24, b"%lld", <long long>number)
            elif c == 5 and size + raw.size < READ_BYTES - 4096:
                memcpy(LINE + size, raw.text, raw.size)
                size += raw.size
            elif c == 6:
                size += put_hex(LINE + size, session.items)
        return size

    cdef void say(self, Session *session, int script, int64_t number, Slice *raw) noexcept nogil:
        cdef int i
        cdef Py_ssize_t size
        for i in range(SCRIPT_MESSAGES):
            if self.scripts[script][i].text is NULL:
                return
            size = self.render(&self.scripts[script][i], session, number, raw)
            if session.peer.fd >= 0 and not peer_send(&session.peer, TEXT, LINE, size):
                self.lost_session(session)
                return
