"""The assistant's lane: the model to Twilio. Bytes in, bytes out; a Python call only where judgement is needed.

It never awaits, logs or closes anything. Every position in its ring is received, then sent, then heard.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastbridge._framing cimport (
    KIND_DELTA, KIND_IGNORED, KIND_WORDS, PAYLOAD_CHARS, Kind, RealtimeMessage, Slice, bytes_of, same,
    scan_live_message, scan_realtime_message, slice_of
)
from fastbridge._jitter cimport Jitter
from fastbridge._livegate cimport (
    VERDICT_BEGIN, VERDICT_END, VERDICT_PASS, VERDICT_REFUSE, VERDICT_RESUME, LiveGate, Verdict
)
from fastbridge._mulaw cimport Ring, b64_decode_into, b64_decoded_size, b64_encode_into
from fastbridge._pacing cimport Paced, Pacer, Schedule, read_clock
from fastbridge._pcm cimport PcmWatch
from fastbridge._playout cimport BYTES_PER_MS, FRAME_BYTES, Playout, Reply
from fastbridge._prefetch cimport PLAYOUT_BYTES, RING_BYTES, SCHEDULE_BYTES, TEMPLATE_BYTES, WIRE_BYTES, prefetch
from fastbridge._tape cimport Tape
from fastbridge._websocket cimport TextSink, text_frame_of
from fastbridge._wire cimport Wire

from fastbridge._framing import clear_message, mark_message, media_message

cdef enum:
    FRAMES_PER_MARK = 8                     # 160 ms
    CHECKED_FRAMES = 5
    FELT_FRAMES = 25                        # not taken by the carrier: more than a long way explains
    STALLED_FRAMES = 100                    # 2 s: pacing waits
    FLOWING_FRAMES = 50                     # until it is down to this
    FRAME_NS = 20_000_000
    PRINTED_CHARS = 64                      # of a delta, for its fingerprint
    MAX_WORDS = 64                          # pieces that may wait to be told of; one more, and they are
    PIECE_CHARS = 10_664                    # of a stream's delta, decoded at once: 1 s
    PIECE_BYTES = 8_000

cdef uint8_t[PIECE_BYTES + 8] piece_scratch

cdef uint64_t FNV_BASIS = 0xcbf29ce484222325u
cdef uint64_t FNV_PRIME = 0x100000001b3u


cdef uint64_t fnv(uint64_t basis, const char *text, Py_ssize_t size) noexcept nogil:
    """FNV-1a."""
    cdef Py_ssize_t at
    for at in range(size):
        basis = (basis ^ <uint8_t>text[at]) * FNV_PRIME
    return basis


cdef uint64_t hash_of(Slice text) noexcept nogil:
    return fnv(FNV_BASIS, text.text, text.size)


cdef class _ModelSink(TextSink):
    """The model's messages to their lane (a Cython class has one base, and the lane's is Paced)."""

    cdef AssistantLane lane

    cdef int on_text(self, const char *text, Py_ssize_t size) except -1:
        return self.lane.model_message(text, size)


cdef class AssistantLane(Paced):
    """The model to Twilio: scan, ring, pace, mark. What was heard of it: _playout."""

    def __init__(
        self,
        *,
        Pacer pacer not None,
        clock,
        on_event,
        on_first_frame,
        on_played,
        on_full,
        on_bad_frame,
        on_words=None,
        on_first_delta=None,
        on_pcm=None,
        on_stalled=None,
        on_utterance=None,
        int lead_ms=160,
        Py_ssize_t cap_bytes=4_800_000,
    ):
        self.pacer = pacer
        self.clock = clock
        self.on_event = on_event
        self.on_first_frame = on_first_frame
        self.on_played = on_played
        self.on_full = on_full
        self.on_bad_frame = on_bad_frame
        self.on_words = on_words
        self.on_first_delta = on_first_delta
        self.on_pcm = on_pcm
        self.on_stalled = on_stalled
        self.on_utterance = on_utterance
        self.gate = None if on_utterance is None else LiveGate()
        self.jitter = None if on_utterance is None else Jitter()
        self.watch = PcmWatch()
        self.schedule = Schedule(lead_ms=lead_ms)
        self.ring = Ring(cap_bytes=cap_bytes, hard_cap_bytes=max(5 * cap_bytes, <Py_ssize_t>16_384))
        self.playout = Playout()
        self.playout.ring = self.ring
        self.playout.schedule = self.schedule
        self.response_id = self.utterance_id = b""
        self.words = []
        self.words_item = b""

    @property
    def sink(self):
        """For the FrameReader of the model's socket. Not kept: the two would keep each other."""
        cdef _ModelSink sink = _ModelSink()
        sink.lane = self
        return sink

    def start(self, bytes stream_sid not None, write) -> None:
        cdef bytes message = media_message(stream_sid, b"\xff" * FRAME_BYTES)
        self.stream_sid = stream_sid
        self.template = text_frame_of(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), False)
        self.payload_at = PyBytes_GET_SIZE(self.template) - PAYLOAD_CHARS - 3
        self.write = write
        self.wire = write if isinstance(write, Wire) else None
        self.wake()

    def record(self, Tape tape) -> None:
        self.tape = tape

    # --- from the model ---

    cdef int model_message(self, const char *text, Py_ssize_t size) except -1:
        cdef RealtimeMessage message
        cdef Kind kind
        if self.gate is not None:
            return self.stream_message(text, size)
        kind = scan_realtime_message(text, size, &message)
        if kind == KIND_DELTA:
            self.take_delta(message.event_id, message.response_id, message.item_id, message.delta)
        elif kind == KIND_IGNORED:
            self.ignored_events += 1
        elif kind == KIND_WORDS and self.on_words is not None:
            self.take_words(message.item_id, message.delta)
        else:
            self.tell_words()
            self.on_event(PyBytes_FromStringAndSize(text, size))
        return 0

    cdef int stream_message(self, const char *text, Py_ssize_t size) except -1:
        cdef RealtimeMessage message
        if scan_live_message(text, size, &message) == KIND_DELTA:
            return self.take_stream(message.delta)
        self.on_event(PyBytes_FromStringAndSize(text, size))
        return 0

    cdef int take_words(self, Slice item_id, Slice words) except -1:
        """They are told of together: nobody acts on them as they come, and each telling costs more than the taking."""
        self.word_deltas += 1
        if self.words and (len(self.words) >= MAX_WORDS or not same(item_id, self.words_item)):
            self.tell_words()
        self.place_words(item_id)
        self.words.append(bytes_of(words))
        return 0

    cdef place_words(self, Slice item_id):
        if not same(item_id, self.words_item):
            self.words_item = bytes_of(item_id)
            self.words_from, self.words_ahead = self.ring.tail, 0
        self.words_ahead += self.ring.tail == self.words_from
        self.words_at = self.ring.tail

    def parsed_words(self, bytes item_id not None) -> None:
        self.place_words(slice_of(item_id))

    @property
    def words_in_step(self) -> bool:
        return self.words_ahead == 1 and self.ring.tail > self.words_at

    def tell_words(self) -> None:
        if self.words:
            words, self.words = self.words, []
            self.on_words(self.words_item.decode("ascii"), b"".join(words).decode())

    def feed_message(self, bytes message not None) -> None:
        self.model_message(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))

    def feed_delta(
        self, bytes response_id not None, bytes item_id not None, bytes delta not None, bytes event_id not None=b""
    ) -> None:
        self.take_delta(slice_of(event_id), slice_of(response_id), slice_of(item_id), slice_of(delta))

    def begin_response(self, str response_id not None, bytes event_id=b"") -> None:
        self.end_response(self.response_id.decode())
        self.playout.begin(response_id, read_clock(self.clock))
        if event_id or response_id.encode() != self.response_id:    # else it begins anew: what came of it, came
            self.remembered, self.event_known = 0, bool(event_id)
        self.response_id = response_id.encode()
        self.taking = not self.is_closed
        self.has_audio = False
        if event_id:
            self.last_event = hash_of(slice_of(event_id))

    def end_response(self, str response_id not None) -> None:
        cdef Py_ssize_t before = self.playout.unsent()
        cdef Reply reply = self.playout.end(response_id)
        self.frames_enqueued += self.playout.unsent() - before
        if response_id.encode() == self.response_id:
            self.taking = False
        if reply is None:
            return
        if self.playout.sent < reply.end or self.playout.held:
            self.wake()
        else:                               # the whole of it has left already: only its end mark is due
            self.in_spurt = False
            self.send_end_mark(reply)

    def refuse(self) -> None:
        self.taking = False

    cdef int take_delta(self, Slice event_id, Slice response_id, Slice item_id, Slice delta) except -1:
        cdef int64_t start
        cdef Py_ssize_t taken, before
        cdef bint is_pcm = False
        self.deltas += 1
        if not self.taking or not same(response_id, self.response_id) or self.came_before(event_id, delta):
            self.refused_deltas += 1
            return 0
        if delta.size == 0:
            return 0
        if not self.hears_first():
            self.refused_deltas += 1
            return 0
        start, before = self.ring.tail, self.playout.unsent()
        taken = self.ring.append_base64(delta.text, delta.size)
        if taken < 0:
            self.malformed_deltas += 1
            return 0
        if taken > 0:
            if self.playout.receive(item_id, self.response_id, start):
                self.watch.reset()
            self.frames_enqueued += self.playout.unsent() - before
            is_pcm = self.watch_from(start)
        if not self.is_full and self.ring.tail - self.ring.head >= self.ring.cap:
            self.is_full = True
            self.on_full(True)
        if is_pcm and self.on_pcm is not None:
            self.on_pcm(bytes_of(item_id).decode())
        return self.wake()

    # --- a stream that never pauses ---

    def feed_stream(self, bytes delta not None) -> None:
        self.take_stream(slice_of(delta))

    def reset_stream(self) -> None:
        if self.gate is not None:
            self.gate.reset()
            self.jitter.reset()
        self.partial_bytes = 0

    cdef int take_stream(self, Slice delta) except -1:
        """Piece by piece, so that a delta of any length needs no memory of its own."""
        cdef Slice piece
        self.deltas += 1
        self.streamed_ns = read_clock(self.clock)
        if b64_decoded_size(delta.text, delta.size) < 0:
            self.malformed_deltas += 1
            return 0
        while delta.size > 0:
            piece.text, piece.size = delta.text, min(delta.size, <Py_ssize_t>PIECE_CHARS)
            self.take_piece(piece)
            delta.text += piece.size
            delta.size -= piece.size
        return self.wake()

    cdef int take_piece(self, Slice piece) except -1:
        """Whole frames go on; what is left of one waits for the next piece."""
        cdef Py_ssize_t size = b64_decode_into(piece_scratch, piece.text, piece.size), at = 0, run
        if size < 0:
            self.malformed_deltas += 1
            return 0
        while at < size and not self.is_closed:
            run = min(size - at, FRAME_BYTES - self.partial_bytes)
            memcpy(self.partial + self.partial_bytes, piece_scratch + at, run)
            self.partial_bytes += run
            at += run
            if self.partial_bytes == FRAME_BYTES:
                self.partial_bytes = 0
                self.take_frame()
        return 0

    cdef int take_frame(self) except -1:
        cdef uint8_t[FRAME_BYTES] frame
        cdef Verdict verdict
        memcpy(frame, self.partial, FRAME_BYTES)    # a callback may feed more
        self.jitter.arrived(self.streamed_ns)
        verdict = self.gate.hear(
            frame, self.playout.unsent(), not self.is_uttering(), self.delay(), self.jitter.wanted()
        )
        if verdict == VERDICT_BEGIN:
            self.begin_utterance()
        elif verdict == VERDICT_END:
            self.on_utterance(False)
            return 0
        elif verdict == VERDICT_RESUME and self.playout.unsent() == 0:
            self.in_spurt = False           # it was quiet on purpose: nothing is late
        if verdict == VERDICT_BEGIN or verdict == VERDICT_RESUME:
            self.put_frames(self.gate.preroll, self.gate.kept)
            self.gate.kept = 0
        if verdict == VERDICT_BEGIN or verdict == VERDICT_RESUME or verdict == VERDICT_PASS:
            self.put_frames(frame, 1)
        return 0

    cdef int64_t delay(self) noexcept:
        """How long after audio that comes soonest the newest frame would be heard: what waits with us and the carrier,
        and what it is late itself."""
        cdef int64_t carried = max(self.schedule.play_end_ns - self.streamed_ns, 0)
        return self.jitter.late_ns + carried + self.playout.unsent() * FRAME_NS

    cdef bint is_uttering(self) noexcept:
        """The response that is taken is the utterance under way."""
        return self.taking and same(slice_of(self.response_id), self.utterance_id)

    cdef int begin_utterance(self) except -1:
        """Whoever is told may begin a response for it; or not, and then it is refused."""
        cdef bytes before = self.response_id
        self.on_utterance(True)
        self.utterance_id = self.response_id if self.response_id is not before and self.taking else b""
        return 0

    cdef int put_frames(self, const uint8_t *frames, Py_ssize_t count) except -1:
        """Into the ring, as the audio of an item that is named like its response."""
        cdef int64_t start
        cdef Py_ssize_t before
        if count == 0 or not self.is_uttering() or not self.hears_first():
            return 0
        start, before = self.ring.tail, self.playout.unsent()
        if not self.ring.append(frames, count * FRAME_BYTES):
            return 0                        # at the hard cap: reading has been paused long ago
        if self.playout.receive(slice_of(self.utterance_id), self.response_id, start):
            self.watch.reset()
        self.frames_enqueued += self.playout.unsent() - before
        if not self.is_full and self.ring.tail - self.ring.head >= self.ring.cap:
            self.is_full = True
            self.on_full(True)
        if self.watch_from(start) and self.on_pcm is not None:
            self.on_pcm(self.utterance_id.decode())
        return 0

    cdef bint hears_first(self) except -1:
        """Tell of a response's first audio, once; whether it is still wanted then."""
        if not self.has_audio:
            if self.on_first_delta is not None:
                self.on_first_delta(self.response_id.decode())
            self.has_audio = True           # behind the callback, which may begin the response anew, or end it
        return self.taking

    cdef bint watch_from(self, int64_t start) noexcept:
        """Whether the audio from `start` to the ring's end shows that the item is PCM."""
        cdef Py_ssize_t at = start & (self.ring.capacity - 1), size = self.ring.tail - start
        cdef Py_ssize_t run = min(size, self.ring.capacity - at)
        return self.watch.hear(self.ring.data + at, run) or self.watch.hear(self.ring.data, size - run)

    cdef bint came_before(self, Slice event_id, Slice delta) noexcept:
        """Whether this is a copy: the same event with the same audio, from a service that gives each event an id of its
        own. (Not all do.)"""
        cdef Py_ssize_t tail = min(delta.size, PRINTED_CHARS)
        cdef uint64_t hashed, printed
        cdef uint32_t i
        if event_id.size == 0:
            return False
        hashed = hash_of(event_id)
        printed = fnv(hashed ^ <uint64_t>delta.size, delta.text + delta.size - tail, tail)
        if self.event_known and hashed != self.last_event:
            self.events_vary = True
        self.last_event, self.event_known = hashed, True
        if self.events_vary:
            for i in range(min(self.remembered, <uint32_t>REMEMBERED_DELTAS)):
                if self.fingerprints[i] == printed:
                    return True
        self.fingerprints[self.remembered % REMEMBERED_DELTAS] = printed
        self.remembered += 1
        return False

    # --- to Twilio ---

    cdef int wake(self) except -1:
        """Join the pacer if a frame waits."""
        cdef int64_t now
        if self.slot >= 0 or self.is_paused or self.is_closed or self.write is None:
            return 0
        if self.playout.held or self.playout.unsent() == 0:
            return 0
        now = read_clock(self.clock)
        if self.in_spurt:
            self.schedule.record_feed(now)
        else:
            self.schedule.begin(now)
            self.in_spurt = True
        return self.pacer.wake(self)

    cdef void warm(self, int step) noexcept:
        if step == 0:
            prefetch(<void *>self.playout, PLAYOUT_BYTES)
            prefetch(<void *>self.schedule, SCHEDULE_BYTES)
            prefetch(<void *>self.ring, RING_BYTES)
        else:
            prefetch(<void *>self.template, TEMPLATE_BYTES)
            prefetch(<void *>self.wire, WIRE_BYTES)
            self.playout.warm(self.playout.sent)

    cdef int64_t run(self, int64_t now) except? -2:
        cdef int64_t earliest
        if self.is_paused or self.is_closed or self.playout.held:
            return -1
        if self.is_stalled and self.stalls(now):
            return now + FRAME_NS
        earliest = self.schedule.earliest()
        if self.playout.unsent() == 0:
            if self.playout.open_reply() is not None:
                self.schedule.record_starve()
            else:
                self.in_spurt = False
            return -1
        if earliest > now:
            return earliest
        self.send_frame(now)
        return self.schedule.earliest()

    cdef int send_frame(self, int64_t now) except -1:
        cdef uint8_t[FRAME_BYTES] audio
        cdef Reply reply
        cdef bytes frame = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.template), PyBytes_GET_SIZE(self.template))
        self.ring.copy_out(self.playout.sent, audio, FRAME_BYTES)
        b64_encode_into(PyBytes_AS_STRING(frame) + self.payload_at, audio, FRAME_BYTES)
        self.playout.sent += FRAME_BYTES
        reply = self.playout.leaving()
        if self.wire is not None:
            self.wire.put(frame, self.mark_due(reply))
        else:
            self.write(frame)
        # The time it left, not the time the pacer began: the next frame keeps its distance from this.
        now = read_clock(self.clock)
        self.frames_sent += 1
        self.schedule.record_sent(now)
        if self.tape is not None:
            self.tape.assistant(audio, FRAME_BYTES, self.schedule.play_end_ns)
        if self.frames_sent <= CHECKED_FRAMES:
            self.check_wire(frame)
        return self.after_frame(reply, now)

    cdef int after_frame(self, Reply reply, int64_t now) except -1:
        """Marks, and the callbacks of a response's beginning and end."""
        cdef uint32_t epoch = self.playout.epoch
        if reply is None:
            return 0
        if not reply.begun:
            reply.begun = True
            self.on_first_frame(reply.response_id)
            if self.playout.epoch != epoch or self.is_closed:  # the callback interrupted us
                return 0
        if self.playout.sent == reply.end:
            self.send_end_mark(reply)
        elif self.mark_due(reply):
            self.send_mark(None)
            self.stalls(now)
            self.reclaim(now)
        return 0

    cdef bint mark_due(self, Reply reply) noexcept:
        """Whether a mark follows the frame that left last. Not behind a first frame: its callback may end it all."""
        cdef int64_t unmarked = self.playout.sent - self.playout.marked_at
        if reply is None or not reply.begun:
            return False
        return self.playout.sent == reply.end or unmarked >= FRAMES_PER_MARK * FRAME_BYTES

    cdef int check_wire(self, bytes frame) except -1:
        """What is on the wire is one frame, decoded as the carrier would."""
        cdef Py_ssize_t head = frame.index(b'"payload":"') + 11
        cdef Py_ssize_t size = frame.index(b'"', head) - head
        size = b64_decoded_size(PyBytes_AS_STRING(frame) + head, size)
        if self.frames_sent == 1:
            self.first_frame_bytes = size
        if size != FRAME_BYTES:
            self.on_bad_frame(self.frames_sent, size)
        return 0

    cdef int send_end_mark(self, Reply reply) except -1:
        reply.marked = True
        return self.send_mark(reply.response_id)

    cdef int send_mark(self, str ends) except -1:
        cdef bytes name = self.playout.next_mark(ends), message
        if name is None:
            return 0
        message = mark_message(self.stream_sid, name)
        self.write(text_frame_of(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), False))
        # It may reach the carrier together with its frame: the next frame keeps its distance from both.
        self.schedule.last_sent = max(self.schedule.last_sent, read_clock(self.clock))
        return 0

    cdef int send_clear(self) except -1:
        cdef bytes message
        if self.write is not None and not self.is_closed:
            message = clear_message(self.stream_sid)
            self.write(text_frame_of(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), False))
        return 0

    cdef int reclaim(self, int64_t now) except -1:
        self.playout.reclaim(now)
        if self.is_full and self.ring.tail - self.ring.head < self.ring.cap // 2:
            self.is_full = False
            self.on_full(False)
        return 0

    cdef bint stalls(self, int64_t now) except -1:
        """Whether pacing waits for the carrier. What it has not taken, the kernel's part included, nobody has heard; nor
        what its own kernel has taken, while it sends no mark back."""
        cdef int64_t frames, felt
        if self.wire is None:
            return False
        frames = self.wire.untaken() // PyBytes_GET_SIZE(self.template)
        felt = max(frames, self.playout.unechoed(now, FELT_FRAMES * FRAME_NS))
        frames = max(frames, self.playout.unechoed(now, STALLED_FRAMES * FRAME_NS))
        if felt >= FELT_FRAMES:
            self.schedule.record_untaken(now, felt)
        if frames >= (FLOWING_FRAMES if self.is_stalled else STALLED_FRAMES):
            if not self.is_stalled:
                self.is_stalled = True
                self.tell_stalled()
        elif self.is_stalled:
            self.is_stalled = False
            self.schedule.begin(now)        # it was no lateness, and the lead is to grow again
            self.tell_stalled()
        return self.is_stalled

    cdef int tell_stalled(self) except -1:
        if self.on_stalled is not None:
            self.on_stalled(bool(self.is_stalled))
        return 0

    def pause(self) -> None:
        self.is_paused = True

    def unpause(self) -> None:
        self.is_paused = False
        self.wake()

    # --- interruption ---

    def hold(self) -> tuple[int, int]:
        cdef int64_t now = read_clock(self.clock)
        cdef tuple counts = (self.playout.unsent(), self.playout.unheard_frames(now))
        if self.is_closed or self.playout.held:
            return counts
        self.send_clear()
        self.take_back(now)
        self.playout.hold(now)
        self.stop(now)
        return counts

    def resume(self) -> int:
        cdef uint64_t before = self.playout.frames_rewound
        cdef Reply reply
        if self.is_closed or not self.playout.held:
            return 0
        for reply in self.playout.resume():
            self.send_end_mark(reply)
        self.wake()
        return self.playout.frames_rewound - before

    def clear(self) -> tuple[int, int]:
        cdef int64_t now = read_clock(self.clock)
        cdef tuple counts = (self.playout.unsent(), self.playout.unheard_frames(now))
        if not self.playout.held:
            self.send_clear()
        if not self.is_closed:
            self.flushed_barge_in += counts[0]
            self.frames_cleared += counts[1]
        self.taking = False
        self.take_back(now)
        self.playout.forget(now)
        self.stop(now)
        if self.is_full:
            self.is_full = False
            self.on_full(False)
        return counts

    cdef int take_back(self, int64_t now) except -1:
        """What was sent and will not be heard is no part of the recording. What is held was taken back before."""
        if self.tape is not None and not self.playout.held:
            self.tape.unplay(self.playout.sent - self.playout.heard_at(now))
        return 0

    cdef int stop(self, int64_t now) except -1:
        """The carrier has nothing more to play."""
        self.in_spurt = False
        self.schedule.record_cleared(now)
        return self.pacer.rest(self)

    def close(self) -> None:
        if self.is_closed:
            return
        self.take_back(read_clock(self.clock))
        self.is_closed = True
        self.taking = False
        self.flushed_close += self.playout.unsent()
        self.playout.replies.clear()
        self.playout.pending.clear()
        self.pacer.rest(self)

    # --- the playout clock ---

    cdef bint hearing(self, int64_t now, uint8_t *frame) noexcept:
        return not self.is_closed and self.playout.hearing(now, frame)

    def mark(self, bytes name not None) -> None:
        self.echo(name)

    cdef int echo(self, bytes name) except -1:
        cdef list ended = self.playout.echo(name, read_clock(self.clock))
        for response_id in ended:
            self.on_played(response_id)
        return 0

    def items(self) -> list[tuple[str, str, int, int]]:
        self.tell_words()
        return self.playout.items(read_clock(self.clock))

    @property
    def playing(self) -> bool:
        return not self.is_closed and self.playout.is_playing(read_clock(self.clock))

    @property
    def held(self) -> bool:
        return self.playout.held and not self.is_closed

    @property
    def unheard_ms(self) -> int:
        return (self.ring.tail - self.playout.heard_at(read_clock(self.clock))) // BYTES_PER_MS

    @property
    def untaken_bytes(self) -> int:
        return 0 if self.wire is None else self.wire.untaken()

    @property
    def heard_bytes(self) -> int:
        return self.playout.heard_at(read_clock(self.clock))

    @property
    def sent_bytes(self) -> int:
        return self.playout.sent

    @property
    def received_bytes(self) -> int:
        return self.ring.tail

    @property
    def epoch(self) -> int:
        return self.playout.epoch

    @property
    def frames_unsent(self) -> int:
        return 0 if self.is_closed else self.playout.unsent()

    @property
    def frames_flushed(self) -> dict[str, int]:
        return {"barge_in": self.flushed_barge_in, "close": self.flushed_close}

    @property
    def frames_rewound(self) -> int:
        return self.playout.frames_rewound

    @property
    def marks_sent(self) -> int:
        return self.playout.marks_sent

    @property
    def marks_played(self) -> int:
        return self.playout.marks_played

    @property
    def stale_marks(self) -> int:
        return self.playout.stale_marks

    @property
    def peak_bytes(self) -> int:
        return self.ring.peak
