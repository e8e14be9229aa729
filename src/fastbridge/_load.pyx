"""All the callers and the model of a load run, played by one thread that never waits for anything but the clock.

Every caller and every session has its turn once in 20 ms, in a slot of its own; what is due by then is done, by absolute
deadlines. In between, all sockets are read at once; when a message came in is the kernel's word (see `_peer`). Play runs
without the GIL. Sockets come in, by `adopt_*`, with their handshakes done, and belong to the players from then on.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastbridge._framing cimport Slice
from fastbridge._loadlive cimport LiveModel
from fastbridge._loadmodel cimport (
    BYTE_NS,
    COUNTED,
    GONE,
    LINE,
    LIVE,
    LOUD,
    MS,
    NOT_PLANNED,
    PLANNED,
    QUIET_BYTES,
    SENT,
    SID,
    SPEAKING,
    SPOKEN,
    AWAY,
    Asked,
    Caller,
    Session,
)
from fastbridge._measure cimport (
    FRAME,
    RESPONSES,
    Hist,
    Mark,
    Spoken,
    Talk,
    hist_add,
    playout_clear,
    playout_due,
    playout_mark,
    playout_take,
    talk_cleared,
    talk_hear,
    talk_spoken,
    write_tag,
)
from fastbridge._mulaw cimport b64_decode_into, b64_encode_into, b64_encoded_size
from fastbridge._peer cimport (
    CLOSE,
    PING,
    PONG,
    READ_BYTES,
    TEXT,
    Message,
    Peer,
    cut_message,
    json_is,
    json_value,
    monotonic,
    peer_close,
    peer_flush,
    peer_keep,
    peer_open,
    peer_read,
    peer_send,
    sleep_until,
    wait_until,
    watch,
)

cdef extern from *:
    """
    #include <sys/epoll.h>
    #include <sys/prctl.h>
    #include <unistd.h>

    #define FB_EVENTS 512
    static struct epoll_event fb_events[FB_EVENTS];
    static int fb_poll(int epoll) { return epoll_wait(epoll, fb_events, FB_EVENTS, 0); }
    static unsigned long long fb_event_tag(int i) { return fb_events[i].data.u64; }
    static int fb_new_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }
    static void fb_precise_sleep(void) { prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); }
    """
    enum: FB_EVENTS
    int fb_poll(int epoll) noexcept nogil
    unsigned long long fb_event_tag(int i) noexcept nogil
    int fb_new_epoll() noexcept nogil
    void fb_precise_sleep() noexcept nogil
    ssize_t c_read "read"(int fd, void *data, size_t size) noexcept nogil
    ssize_t c_write "write"(int fd, const void *data, size_t size) noexcept nogil

cdef enum:
    FRAME_NS = 20 * MS
    SHORT_NS = 18 * MS
    LONG_NS = 25 * MS
    STALL_NS = 10 * MS                      # after so long, two messages read at once may have come far apart
    BARGE_SPREAD = 20
    FIFTH = 5
    COMMANDS = 0x7FFFFFFF                   # the pipe's tag
    ADOPT_CALLER = 1
    ADOPT_MODEL = 2
    LEAVE = 3

cdef uint8_t[READ_BYTES] IN
cdef uint8_t[READ_BYTES] AUDIO


cdef bint is_between(Talk *talk) noexcept nogil:
    """All of what was begun has been heard, or nobody wants the rest."""
    cdef Spoken *spoken = talk_spoken(talk, talk.response)
    return spoken.done and (spoken.cut or talk.position == spoken.sent)


cdef class Players(LiveModel):
    def __cinit__(self, *, int calls, int slot_us, **settings):
        cdef int i, slot, stride
        if slot_us < 100 or 20_000 % slot_us:
            raise ValueError("a slot is at least 100 us and divides 20 ms")
        self.slots = 20_000 // slot_us
        self.slot_ns = slot_us * 1000
        self.slot_first = <int *>calloc(self.slots, sizeof(int))
        self.slot_next = <int *>calloc(calls, sizeof(int))
        if self.slot_first is NULL or self.slot_next is NULL:
            raise MemoryError
        stride = max(1, self.slots // calls)
        for slot in range(self.slots):
            self.slot_first[slot] = -1
        for i in range(calls - 1, -1, -1):
            slot = i * stride % self.slots
            self.slot_next[i] = self.slot_first[slot]
            self.slot_first[slot] = i
        self.pipe[0], self.pipe[1] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.epoll = fb_new_epoll()
        watch(self.epoll, self.pipe[0], COMMANDS)

    def __init__(self, *, int calls, int slot_us, bint eager=False, int barge_after_ms=2000, **settings):
        super().__init__(calls=calls, **settings)
        self.eager = eager
        self.barge_after_ns = <int64_t>barge_after_ms * MS
        self.spacing = self.histogram("spacing")
        self.lead = self.histogram("lead")
        self.late = self.histogram("late")
        self.send_late = self.histogram("send_lateness")
        self.first_created = self.histogram("response_to_first_frame")
        self.first_start = self.histogram("start_to_first_frame")
        self.barge = self.histogram("barge_in")

    def __dealloc__(self):
        free(self.slot_first)
        free(self.slot_next)
        for fd in (self.epoll, self.pipe[0], self.pipe[1]):
            if fd > 0:
                os.close(fd)

    # What another thread may call while `play` runs

    cdef int command(self, int kind, int index, int fd) except -1:
        cdef Command command
        command.kind, command.index, command.fd = kind, index, fd
        if c_write(self.pipe[1], &command, sizeof(Command)) != sizeof(Command):
            raise BlockingIOError("the players take no more commands")
        return 0

    def adopt_caller(
        self, int index, int fd, *, bytes stream_sid not None, int64_t started_ns, bytes stop not None
    ) -> None:
        if not 0 <= index < self.count or len(stream_sid) != SID or self.callers[index].stage != AWAY:
            raise ValueError("no such caller, or no stream SID")
        self.texts.append(stop)
        memcpy(self.callers[index].stream_sid, PyBytes_AS_STRING(stream_sid), SID)
        self.callers[index].stop.text = PyBytes_AS_STRING(stop)
        self.callers[index].stop.size = PyBytes_GET_SIZE(stop)
        self.callers[index].started_ns = started_ns
        self.command(ADOPT_CALLER, index, fd)

    def adopt_model(self, int fd, int caller=-1) -> None:
        if not -1 <= caller < self.count:
            raise ValueError("no such caller")
        self.command(ADOPT_MODEL, caller, fd)

    def open_window(self) -> None:
        self.in_window = True

    def close_window(self) -> None:
        self.in_window = False

    def hang_up(self) -> None:
        self.command(LEAVE, 0, -1)

    def stop(self) -> None:
        self.stopping = True

    def play(self, int64_t deadline_ns) -> None:
        with nogil:
            self.run(deadline_ns)

    # The loop

    cdef void run(self, int64_t deadline_ns) noexcept nogil:
        cdef int64_t turn = monotonic() // self.slot_ns + 1
        cdef int64_t now
        fb_precise_sleep()
        self.look_ns = monotonic()
        while not self.stopping:
            if self.eager:
                while monotonic() < turn * self.slot_ns:
                    wait_until(self.epoll, turn * self.slot_ns)
                    self.look()
            else:
                sleep_until(turn * self.slot_ns)
            now = monotonic()
            if now > deadline_ns:
                break
            self.slot(turn, now)
            self.look()
            turn += 1
        self.close_all()

    cdef void slot(self, int64_t turn, int64_t now) noexcept nogil:
        """Whose turn it is. The model's side of a call has its turn half a frame after the caller's."""
        cdef int each = self.slot_first[turn % self.slots]
        self.turn_ns = turn * self.slot_ns
        while each >= 0:
            if self.callers[each].stage == LIVE:
                self.caller_turn(&self.callers[each], now)
            each = self.slot_next[each]
        each = self.slot_first[(turn + self.slots // 2) % self.slots]
        while each >= 0:
            if self.callers[each].session >= 0 and self.sessions[self.callers[each].session].stage == LIVE:
                self.session_turn(&self.sessions[self.callers[each].session], now)
            each = self.slot_next[each]

    cdef void look(self) noexcept nogil:
        """Read all that can be read."""
        cdef int count = FB_EVENTS, i, index
        cdef uint64_t tag
        self.looked_ns = self.look_ns
        self.look_ns = monotonic()
        self.counted.looks += 1
        if self.in_window and self.look_ns - self.looked_ns > STALL_NS:
            self.counted.stalls += 1
        while count == FB_EVENTS:
            count = fb_poll(self.epoll)
            for i in range(count):
                tag = fb_event_tag(i)
                index = <int>(tag >> 1)
                if tag == COMMANDS:
                    self.obey()
                elif tag & 1:
                    self.read_peer(NULL, &self.sessions[index])
                else:
                    self.read_peer(&self.callers[index], NULL)

    cdef void obey(self) noexcept nogil:
        cdef Command command
        cdef int i
        while c_read(self.pipe[0], &command, sizeof(Command)) == sizeof(Command):
            if command.kind == ADOPT_CALLER:
                self.begin_call(command.index, command.fd)
            elif command.kind == ADOPT_MODEL:
                self.begin_session(command.index, command.fd)
            elif command.kind == LEAVE:
                self.leaving = True
                for i in range(self.count):
                    if self.callers[i].stage == LIVE:
                        self.end_call(&self.callers[i])

    cdef void read_peer(self, Caller *caller, Session *session) noexcept nogil:
        cdef Peer *peer = &caller.peer if caller is not NULL else &session.peer
        cdef Message message
        cdef int64_t at
        cdef Py_ssize_t used = 0, cut = 0, size
        cdef bint late
        if peer.fd < 0:
            return
        if not peer_flush(peer):
            self.lost_peer(caller, session)
            return
        size = peer_read(peer, IN, &at)
        if size == 0:
            return
        late = monotonic() - self.looked_ns > STALL_NS
        while size > 0 and peer.fd >= 0:
            cut = cut_message(IN + used, size - used, caller is NULL, &message)
            if cut <= 0:
                break
            self.unsure = late and (used or cut < size)
            used += cut
            if message.opcode == TEXT and message.whole:
                if caller is not NULL:
                    self.caller_text(caller, message.text, message.size, at)
                else:
                    self.session_text(session, message.text, message.size, at)
            elif message.opcode == PING:
                peer_send(peer, PONG, message.text, message.size)
            elif message.opcode != PONG:
                peer_send(peer, CLOSE, message.text, min(message.size, 2))
                size = -1
        if size < 0 or cut < 0 or not peer_keep(peer, IN + used, size - used):
            self.counted.broken += cut < 0
            self.lost_peer(caller, session)

    cdef void lost_peer(self, Caller *caller, Session *session) noexcept nogil:
        if caller is NULL:
            self.lost_session(session)
            return
        self.counted.early_closes += caller.stage == LIVE and not self.leaving
        caller.stage = GONE
        peer_close(&caller.peer)

    # Callers

    cdef void begin_call(self, int index, int fd) noexcept nogil:
        cdef Caller *caller = &self.callers[index]
        peer_open(&caller.peer, fd, True, <uint32_t>index * <uint32_t>0x9E3779B1 + 12345)
        watch(self.epoll, fd, <uint64_t>index << 1)
        caller.sequence = 1                 # that was `start`
        caller.next_ns = 0                  # its first turn is its first frame
        caller.stage = LIVE

    cdef void end_call(self, Caller *caller) noexcept nogil:
        cdef Py_ssize_t size
        caller.sequence += 1
        size = self.render(&caller.stop, NULL, caller.sequence, NULL)
        peer_send(&caller.peer, TEXT, LINE, size)
        peer_send(&caller.peer, CLOSE, b"\x03\xe8", 2)
        caller.stage = GONE

    cdef void caller_turn(self, Caller *caller, int64_t now) noexcept nogil:
        if caller.next_ns == 0:
            caller.next_ns = self.turn_ns
        self.echo_marks(caller, now)
        while caller.next_ns <= now and caller.stage == LIVE:
            self.send_frame(caller, now)
            caller.next_ns += FRAME_NS

    cdef const uint8_t *plan_frame(self, Caller *caller, int64_t now) noexcept nogil:
        """What the caller says now: something loud, or next to nothing."""
        if caller.barge == PLANNED and now >= caller.barge_ns:
            caller.barge = NOT_PLANNED
            if caller.playout.end_ns > now and caller.session >= 0:
                caller.barge = SPEAKING
                caller.loud = 0
                caller.fifth_ns = caller.clear_ns = 0
                caller.withdrawn = False
                self.counted.barges += 1
                talk_spoken(
                    &self.sessions[caller.session].talk, self.sessions[caller.session].talk.response
                ).cut = True
        if caller.barge == SPEAKING:
            caller.loud += 1
            if caller.loud == self.voice_frames:
                caller.barge = SPOKEN
            return self.voice + (caller.loud - 1) * <int>FRAME
        if not self.exact and not self.barging and self.is_pulse(caller, caller.number):
            return self.voice
        return self.quiet + caller.number * 37 % <uint32_t>QUIET_BYTES

    cdef void send_frame(self, Caller *caller, int64_t now) noexcept nogil:
        cdef uint8_t[FRAME] frame
        cdef uint32_t number = caller.number
        cdef const uint8_t *said = self.plan_frame(caller, now)
        cdef bint loud = said >= self.voice and said < self.voice + self.voice_frames * FRAME
        cdef Py_ssize_t size
        cdef int64_t at
        memcpy(frame, said, FRAME)
        if self.exact:
            write_tag(frame, <uint32_t>(caller - self.callers), number)
        caller.number += 1
        caller.sequence += 1
        size = snprintf(
            LINE,
            READ_BYTES,
            b'{"event":"media","sequenceNumber":"%u","media":{"track":"inbound","chunk":"%u","timestamp":"%u",'
            b'"payload":"',
            caller.sequence,
            caller.number,
            number * 20,
        )
        b64_encode_into(LINE + size, frame, FRAME)
        size += b64_encoded_size(FRAME)
        memcpy(LINE + size, b'"},"streamSid":"', 16)
        memcpy(LINE + size + 16, caller.stream_sid, SID)
        memcpy(LINE + size + 16 + SID, b'"}', 2)
        size += 18 + SID
        caller.kind[number & (SENT - 1)] = <uint8_t>((LOUD if loud else 0) | (COUNTED if self.in_window else 0))
        at = monotonic()
        caller.sent_ns[number & (SENT - 1)] = at
        if self.in_window:
            self.counted.frames_sent += 1
            hist_add(self.send_late, at - caller.next_ns)
        if loud and caller.loud == FIFTH and caller.fifth_ns == 0:
            caller.fifth_ns = at
        if not peer_send(&caller.peer, TEXT, LINE, size):
            self.lost_peer(caller, NULL)
        self.counted.queued_peak = max(self.counted.queued_peak, <uint64_t>caller.peer.queued_peak)

    cdef void echo_marks(self, Caller *caller, int64_t now) noexcept nogil:
        cdef Mark *mark = playout_due(&caller.playout, now)
        cdef Py_ssize_t size
        while mark is not NULL:
            caller.sequence += 1
            size = snprintf(
                LINE,
                READ_BYTES,
                b'{"event":"mark","sequenceNumber":"%u","streamSid":"%.34s","mark":{"name":"%.*s"}}',
                caller.sequence,
                caller.stream_sid,
                mark.size,
                mark.name,
            )
            peer_send(&caller.peer, TEXT, LINE, size)
            self.counted.marks_echoed += 1
            mark = playout_due(&caller.playout, now)

    cdef void caller_text(self, Caller *caller, const char *text, Py_ssize_t size, int64_t at) noexcept nogil:
        cdef Slice event, body, value
        if not json_value(text, size, b"event", &event):
            self.counted.malformed += 1
            return
        if not json_value(text, size, b"streamSid", &value) or value.size != SID or memcmp(
            value.text, caller.stream_sid, SID
        ) != 0:
            self.counted.wrong_stream += 1
        if json_is(event, b"media"):
            if json_value(text, size, b"media", &body) and json_value(body.text, body.size, b"payload", &value):
                self.media(caller, value, at)
            else:
                self.counted.malformed += 1
        elif json_is(event, b"mark"):
            self.counted.marks += 1
            if json_value(text, size, b"mark", &body) and json_value(body.text, body.size, b"name", &value):
                playout_mark(&caller.playout, at, value.text, value.size)
            else:
                self.counted.malformed += 1
        elif json_is(event, b"clear"):
            self.cleared(caller, at)
        else:
            self.counted.other_carrier += 1

    cdef void media(self, Caller *caller, Slice payload, int64_t at) noexcept nogil:
        cdef Py_ssize_t size = b64_decode_into(AUDIO, payload.text, payload.size)
        cdef Session *session = &self.sessions[caller.session] if caller.session >= 0 else NULL
        cdef int heard
        cdef int64_t response
        cdef bint begins
        if size <= 0:
            self.counted.malformed += 1
            return
        if session is NULL:
            self.counted.unlinked_bytes += size
            playout_take(&caller.playout, at, size)
            return
        response = session.talk.response
        heard = talk_hear(&session.talk, AUDIO, size)
        if heard == 1:
            self.response_heard(caller, session, at)
        elif caller.clear_ns and caller.withdrawn and heard == 0 and session.talk.response == response:
            self.counted.stale_frames += 1
        begins = heard == 1
        if self.is_live and heard < 0 and at - caller.media_ns > LONG_NS and is_between(&session.talk):
            begins = True                   # the silence before speech: what was left out between was silence, too
        self.spaced(caller, size, begins, at)
        caller.response_bytes += size

    cdef void spaced(self, Caller *caller, Py_ssize_t size, bint first, int64_t at) noexcept nogil:
        """How the media message came: after which pause, and how long before or after it was needed."""
        cdef int64_t dry = playout_take(&caller.playout, at, size)
        cdef int64_t last = caller.media_ns
        caller.media_ns = at
        if not self.in_window:
            return
        self.counted.media += 1
        self.counted.media_bytes += size
        self.counted.media_odd_size += size != FRAME
        hist_add(self.lead, caller.playout.end_ns - at)
        if first or last == 0:
            return
        hist_add(self.late, dry)
        self.counted.underruns_2ms += dry > 2 * MS
        self.counted.underruns_20ms += dry > 20 * MS
        if self.unsure:
            self.counted.spacing_unjudged += 1
            return
        hist_add(self.spacing, at - last)
        self.counted.spacing_short += at - last < SHORT_NS
        self.counted.spacing_long += at - last > LONG_NS

    cdef void response_heard(self, Caller *caller, Session *session, int64_t at) noexcept nogil:
        """The first audio of a response."""
        cdef int64_t response = session.talk.response
        cdef Asked *asked = &session.asked[response & (RESPONSES - 1)]
        cdef int64_t spread = (<int64_t>session.talk.call * 37 + response * 61) % BARGE_SPREAD * FRAME_NS
        if response == 0:
            hist_add(self.first_start, at - caller.started_ns)
        if self.in_window:
            hist_add(self.first_created, at - asked.created_ns)
        if caller.barge == SPOKEN and caller.clear_ns == 0:
            self.counted.barges_missed += 1
        caller.response_bytes = 0
        caller.clear_ns = 0
        if caller.barge == SPEAKING:
            return
        caller.barge = NOT_PLANNED
        if self.barging and asked.scheduled and self.in_window:
            caller.barge = PLANNED
            caller.barge_ns = at + self.barge_after_ns + spread

    cdef void cleared(self, Caller *caller, int64_t at) noexcept nogil:
        cdef int64_t left = max(<int64_t>0, (caller.playout.end_ns - at) // BYTE_NS)
        self.counted.clears += 1
        if caller.barge != SPEAKING and caller.barge != SPOKEN:
            self.counted.clears_unasked += 1
        elif caller.clear_ns == 0:
            caller.clear_ns = at
            caller.heard_ms = (<int64_t>caller.response_bytes - left) // 8
            if caller.fifth_ns:
                hist_add(self.barge, at - caller.fifth_ns)
            else:
                self.counted.barges_early += 1
        if caller.session >= 0:
            talk_cleared(&self.sessions[caller.session].talk, left)
        caller.media_ns = 0
        playout_clear(&caller.playout, at)
        self.echo_marks(caller, max(at, monotonic()))
