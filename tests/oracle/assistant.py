"""Twin of fastbridge._assistant."""

from collections import deque
from collections.abc import Callable

from oracle import framing, mulaw, websocket
from oracle.jitter import Jitter
from oracle.livegate import BEGIN, END, PASS, RESUME, LiveGate
from oracle.pacing import Paced, Pacer, Schedule
from oracle.pcm import PcmWatch
from oracle.playout import BYTES_PER_MS, FRAME_BYTES, Playout, Response
from oracle.tape import Tape

BYTES_PER_MARK = 8 * FRAME_BYTES
REMEMBERED_DELTAS = 128
MAX_WORDS = 64


class ModelSink(websocket.TextSink):
    def __init__(self, lane: "AssistantLane") -> None:
        self.on_text = lane.feed_message


class AssistantLane(Paced):
    def __init__(
        self,
        *,
        pacer: Pacer,
        clock: Callable[[], int],
        on_event: Callable[[bytes], object],
        on_first_frame: Callable[[str], object],
        on_played: Callable[[str], object],
        on_full: Callable[[bool], object],
        on_bad_frame: Callable[[int, int], object],
        on_words: Callable[[str, str], object] | None = None,
        on_first_delta: Callable[[str], object] | None = None,
        on_pcm: Callable[[str], object] | None = None,
        on_utterance: Callable[[bool], object] | None = None,
        lead_ms: int = 160,
        cap_bytes: int = 4_800_000,
    ) -> None:
        self._pacer = pacer
        self._clock = clock
        self._on_event = on_event
        self._on_words = on_words
        self._on_pcm = on_pcm or (lambda item_id: None)
        self._on_utterance = on_utterance
        self.gate = None if on_utterance is None else LiveGate()
        self._jitter = Jitter()
        self._utterance_id: str | None = None
        self._partial = b""
        self.streamed_ns = 0
        self._watch = PcmWatch()
        self._on_first_frame = on_first_frame
        self._on_first_delta = on_first_delta
        self._on_played = on_played
        self._on_full = on_full
        self._cap_bytes = cap_bytes
        self._tape: Tape | None = None
        self._stream_sid = b""
        self._write: Callable[[bytes], object] | None = None
        self._begun_last = ""
        self._last_event, self._events_vary = b"", False
        self._remembered: deque[tuple[bytes, bytes]] = deque(maxlen=REMEMBERED_DELTAS)
        self._taking = False
        self._in_spurt = self._paused = self._closed = self._full = False
        self.schedule = Schedule(lead_ms=lead_ms)
        self._playout = Playout(self.schedule)
        self.frames_enqueued = self.frames_sent = self.frames_cleared = self.first_frame_bytes = 0
        self.frames_flushed = {"barge_in": 0, "close": 0}
        self.deltas = self.refused_deltas = self.malformed_deltas = self.ignored_events = 0
        self.word_deltas = 0
        self._words: list[tuple[bytes, bytes]] = []  # (item, piece)
        self._placed: list[tuple[bytes, int]] = []  # (item, received bytes) of each piece
        self.peak_bytes = 0

    @property
    def sink(self) -> websocket.TextSink:
        return ModelSink(self)

    # -- the model's side

    def begin_response(self, response_id: str, event_id: bytes = b"") -> None:
        self.end_response(self._begun_last)
        self._playout.begin(response_id)
        if event_id or response_id != self._begun_last:
            self._remembered.clear()
            self._last_event = event_id
        self._begun_last = response_id
        self._begun_anew = True
        self._taking = not self._closed
        self._has_audio = False

    def end_response(self, response_id: str) -> None:
        if response_id == self._begun_last:
            self._taking = False
        before = self._playout.unsent_frames
        response = self._playout.end(response_id)
        self.frames_enqueued += self._playout.unsent_frames - before
        if response is None:
            return
        if self._playout.sent < self._playout.received or self.held:
            self._wake()
        else:
            self._in_spurt = False
            self._send_end_mark(response)

    def refuse(self) -> None:
        self._taking = False

    def feed_message(self, message: bytes) -> None:
        if self.gate is not None:
            self._stream_message(message)
            return
        kind, *fields = framing.scan_realtime(message)
        if kind == framing.DELTA:
            self.feed_delta(fields[1], fields[2], fields[4], fields[0])
        elif kind == framing.IGNORED:
            self.ignored_events += 1
        elif kind == framing.WORDS and self._on_words is not None:
            self.word_deltas += 1
            if self._words[-1:] and (self._words[-1][0] != fields[2] or len(self._words) == MAX_WORDS):
                self.tell_words()
            self._words.append((fields[2], fields[4]))
            self.parsed_words(fields[2])
        else:
            self.tell_words()
            self._on_event(message)

    def parsed_words(self, item_id: bytes) -> None:
        self._placed.append((item_id, self.received_bytes))

    @property
    def words_in_step(self) -> bool:
        if not self._placed:
            return False
        item_id, last = self._placed[-1]
        run: list[int] = []
        for item, received in reversed(self._placed):
            if item != item_id:
                break
            run.append(received)
        return run.count(run[-1]) <= 1 and self.received_bytes > last

    def tell_words(self) -> None:
        pieces, self._words = self._words, []
        if pieces and self._on_words is not None:
            self._on_words(pieces[0][0].decode(), "".join(words.decode() for _, words in pieces))

    def _came_before(self, event_id: bytes, delta: bytes) -> bool:
        if not event_id:
            return False
        self._events_vary |= bool(self._last_event) and event_id != self._last_event
        self._last_event = event_id
        if self._events_vary and (event_id, delta) in self._remembered:
            return True
        self._remembered.append((event_id, delta))
        return False

    def feed_delta(self, response_id: bytes, item_id: bytes, delta: bytes, event_id: bytes = b"") -> None:
        self.deltas += 1
        if not self._taking or response_id.decode() != self._begun_last or self._came_before(event_id, delta):
            self.refused_deltas += 1
            return
        if not delta:
            return
        if not self._has_audio:
            if self._on_first_delta is not None:
                self._on_first_delta(self._begun_last)
            self._has_audio = True
            if not self._taking:
                self.refused_deltas += 1
                return
        audio = mulaw.b64decode(delta)
        if audio is None:
            self.malformed_deltas += 1
            return
        if not audio:
            return
        before = self._playout.unsent_frames
        if self._playout.receive(item_id.decode(), response_id.decode(), audio):
            self._watch.begin()
        self.frames_enqueued += self._playout.unsent_frames - before
        is_pcm = self._watch.feed(audio)
        self.peak_bytes = max(self.peak_bytes, self._unsent_bytes)
        if self._unsent_bytes >= self._cap_bytes and not self._full:
            self._full = True
            self._on_full(True)
        if is_pcm:
            self._on_pcm(item_id.decode())
        self._wake()

    # -- a stream that never pauses

    def _stream_message(self, message: bytes) -> None:
        kind, *fields = framing.scan_live(message)
        if kind == framing.DELTA:
            self.feed_stream(fields[0])
        else:
            self._on_event(message)

    def reset_stream(self) -> None:
        if self.gate is not None:
            self.gate.reset()
        self._jitter.reset()
        self._partial = b""

    def feed_stream(self, delta: bytes) -> None:
        self.deltas += 1
        self.streamed_ns = self._clock()
        audio = mulaw.b64decode(delta)
        if audio is None:
            self.malformed_deltas += 1
            return
        self._partial += audio
        while len(self._partial) >= FRAME_BYTES and not self._closed:
            frame, self._partial = self._partial[:FRAME_BYTES], self._partial[FRAME_BYTES:]
            self._take_frame(frame)
        self._wake()

    @property
    def _uttering(self) -> bool:
        return self._taking and self._begun_last == self._utterance_id

    def _take_frame(self, frame: bytes) -> None:
        assert self.gate is not None
        assert self._on_utterance is not None
        self._jitter.note(self.streamed_ns)
        carried_ns = max(self.schedule.play_end_ns - self.streamed_ns, 0)
        delay_ns = self._jitter.late_ns + carried_ns + self.frames_unsent * 20_000_000
        verdict = self.gate.judge(
            frame, self.frames_unsent, not self._uttering, delay_ns=delay_ns, wanted_ns=self._jitter.wanted_ns
        )
        if verdict == END:
            self._on_utterance(False)
        if verdict == BEGIN:
            self._begun_anew = False
            self._on_utterance(True)
            self._utterance_id = self._begun_last if self._begun_anew and self._taking else None
        if verdict == RESUME and not self.frames_unsent:
            self._in_spurt = False
        if verdict in (BEGIN, RESUME):
            self._put(self.gate.take_preroll())
        if verdict in (BEGIN, RESUME, PASS):
            self._put(frame)

    def _put(self, frames: bytes) -> None:
        if not frames or not self._uttering:
            return
        if not self._has_audio:
            if self._on_first_delta is not None:
                self._on_first_delta(self._begun_last)
            self._has_audio = True
            if not self._taking:
                return
        before = self._playout.unsent_frames
        if self._playout.receive(self._begun_last, self._begun_last, frames):
            self._watch.begin()
        self.frames_enqueued += self._playout.unsent_frames - before
        self.peak_bytes = max(self.peak_bytes, self._unsent_bytes)
        if self._unsent_bytes >= self._cap_bytes and not self._full:
            self._full = True
            self._on_full(True)
        if self._watch.feed(frames):
            self._on_pcm(self._begun_last)

    @property
    def _unsent_bytes(self) -> int:
        return self._playout.received - self._playout.sent

    def _drained(self) -> None:
        if self._full and self._unsent_bytes < self._cap_bytes // 2:
            self._full = False
            self._on_full(False)

    # -- the carrier's side

    def start(self, stream_sid: bytes, write: Callable[[bytes], object]) -> None:
        self._stream_sid = stream_sid
        self._write = write
        self._wake()

    def _wake(self) -> None:
        """A whole frame may be there now: begin or go on with the talk-spurt."""
        asleep = not self._pacer._has(self)
        if not asleep or self._paused or self._closed or self.held or self._write is None or not self.frames_unsent:
            return
        if self._in_spurt:
            self.schedule.feed(self._clock())
        else:
            self.schedule.start(self._clock())
        self._in_spurt = True
        self._pacer._join(self)

    def _tick(self, now_ns: int) -> int:
        if self._paused or self.held:
            return -1
        if not self.frames_unsent:
            if self._playout.open_response is not None:
                self.schedule.starve()
            else:
                self._in_spurt = False
            return -1
        if now_ns >= self.schedule.earliest_ns:
            self._send_frame(now_ns)
        return self.schedule.earliest_ns

    def _send_frame(self, now_ns: int) -> None:
        playout, epoch = self._playout, self.epoch
        frame = bytes(playout.audio[playout.sent : playout.sent + FRAME_BYTES])
        playout.sent += FRAME_BYTES
        self.frames_sent += 1
        self.first_frame_bytes = self.first_frame_bytes or len(frame)
        self.schedule.sent(now_ns)
        if self._tape is not None:
            self._tape.feed_assistant(frame, self.schedule.play_end_ns)
        self._send(framing.media_message(self._stream_sid, frame))
        response = playout.leaving
        assert response is not None
        if not response.begun:
            response.begun = True
            self._on_first_frame(response.response_id)
        if self.epoch != epoch:
            return
        if playout.sent == response.end:
            self._send_end_mark(response)
        elif playout.sent - playout.marked_at >= BYTES_PER_MARK:
            self._send_mark(None)
        self._drained()

    def _send_end_mark(self, response: Response) -> None:
        response.marked = True
        self._send_mark(response.response_id)

    def _send_mark(self, ends: str | None) -> None:
        self._send(framing.mark_message(self._stream_sid, self._playout.next_mark(ends)))
        self.schedule.keep_distance(self._clock())

    def _send(self, message: bytes) -> None:
        assert self._write is not None
        self._write(websocket.text_frame(message, mask=False))

    def mark(self, name: bytes) -> None:
        for response_id in self._playout.echo(name):
            self._on_played(response_id)

    def pause(self) -> None:
        self._paused = True

    def unpause(self) -> None:
        self._paused = False
        self._wake()

    # -- interruption

    def _dropping(self) -> tuple[int, int]:
        return self._playout.unsent_frames, self._playout.unheard_frames(self._clock())

    def hold(self) -> tuple[int, int]:
        counts = self._dropping()
        if not self._closed and not self.held:
            self._stop_carrier()
            self._take_back()
            self._playout.hold(self._clock())
            self._stop()
        return counts

    def resume(self) -> int:
        if self._closed or not self.held:
            return 0
        before = self.frames_rewound
        for response in self._playout.resume():
            self._send_end_mark(response)
        self._wake()
        return self.frames_rewound - before

    def clear(self) -> tuple[int, int]:
        counts = self._dropping()
        if not self.held:
            self._stop_carrier()
        if not self._closed:
            self.frames_flushed["barge_in"] += counts[0]
            self.frames_cleared += counts[1]
        self._taking = False
        self._take_back()
        self._playout.forget(self._clock())
        self._stop()
        self._drained()
        return counts

    def record(self, tape: Tape | None) -> None:
        self._tape = tape

    def _take_back(self) -> None:
        if self._tape is not None and not self.held:
            self._tape.take_back(self.sent_bytes - self.heard_bytes)

    def _stop_carrier(self) -> None:
        if self._write is not None:
            self._send(framing.clear_message(self._stream_sid))

    def _stop(self) -> None:
        self._in_spurt = False
        self.schedule.cleared(self._clock())
        self._pacer._leave(self)

    def close(self) -> None:
        if self._closed:
            return
        self._take_back()
        self.frames_flushed["close"] += self.frames_unsent
        self._closed = True
        self._taking = False
        self._playout.responses.clear()
        self._playout.marks.clear()
        self._pacer._leave(self)
        self._write = None

    # -- what became of it

    def items(self) -> list[tuple[str, str, int, int]]:
        self.tell_words()
        return self._playout.list_items(self._clock())

    def hearing(self) -> bytes | None:
        return None if self._closed else self._playout.hearing(self._clock())

    @property
    def playing(self) -> bool:
        return not self._closed and self._playout.playing(self._clock())

    @property
    def held(self) -> bool:
        return self._playout.held_at is not None and not self._closed

    @property
    def unheard_ms(self) -> int:
        return (self.received_bytes - self.heard_bytes) // BYTES_PER_MS

    @property
    def heard_bytes(self) -> int:
        return self._playout.heard(self._clock())

    @property
    def sent_bytes(self) -> int:
        return self._playout.sent

    @property
    def received_bytes(self) -> int:
        return self._playout.received

    @property
    def frames_unsent(self) -> int:
        return 0 if self._closed else self._playout.unsent_frames

    @property
    def frames_rewound(self) -> int:
        return self._playout.frames_rewound

    @property
    def epoch(self) -> int:
        return self._playout.epoch

    @property
    def marks_sent(self) -> int:
        return self._playout.marks_sent

    @property
    def marks_played(self) -> int:
        return self._playout.marks_played

    @property
    def stale_marks(self) -> int:
        return self._playout.stale_marks
