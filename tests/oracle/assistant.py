"""Twin of fastbridge._lanes.AssistantLane. (oracle.lanes has it under its name.)"""

from collections.abc import Callable
from dataclasses import dataclass

from oracle import framing, mulaw, websocket
from oracle.pacing import Paced, Pacer, Schedule

FRAME_BYTES = 160
BYTES_PER_MARK = 8 * FRAME_BYTES
MAX_PENDING_MARKS = 64
BYTES_PER_MS = 8
NS_PER_BYTE = 125_000


@dataclass
class Item:
    item_id: str
    response_id: str
    start: int
    """Position of its first byte among all that was received."""
    size: int = 0
    """Its bytes, without padding."""

    def heard(self, position: int) -> int:
        return min(max(position - self.start, 0), self.size)


@dataclass
class Response:
    response_id: str
    start: int
    end: int | None = None
    begun: bool = False
    """Its first frame has left."""


@dataclass
class Mark:
    name: bytes
    position: int
    ends: str | None
    """The response that it ends, if it is the last of one."""


class ModelSink(websocket.TextSink):
    def __init__(self, lane: "AssistantLane") -> None:
        self.on_text = lane.feed_message


class AssistantLane(Paced):
    """Positions count every byte that entered the ring, padding included; what `clear` forgets is passed over."""

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
        lead_ms: int = 160,
        cap_bytes: int = 4_800_000,
    ) -> None:
        self._pacer = pacer
        self._clock = clock
        self._on_event = on_event
        self._on_first_frame = on_first_frame
        self._on_played = on_played
        self._on_full = on_full
        self._cap_bytes = cap_bytes
        self._stream_sid = b""
        self._write: Callable[[bytes], object] | None = None
        self._ring = bytearray()  # what was received and not sent
        self._items: list[Item] = []
        self._frozen_heard: int | None = None  # the heard position at the last clear, or at close
        self._begun_last: Response | None = None
        self._taking = False
        self._responses: list[Response] = []  # with audio that has not left, and the open one
        self._marks: list[Mark] = []  # sent and not echoed
        self._marked_at = self._marked_heard = 0
        self._in_spurt = self._paused = self._closed = self._full = False
        self.schedule = Schedule(lead_ms=lead_ms)
        self.epoch = 0
        self.received_bytes = self.sent_bytes = 0
        self.frames_enqueued = self.frames_sent = 0
        self.frames_flushed = {"barge_in": 0, "close": 0}
        self.deltas = self.refused_deltas = self.malformed_deltas = self.ignored_events = 0
        self.marks_sent = self.marks_played = self.stale_marks = 0
        self.peak_bytes = 0

    @property
    def sink(self) -> websocket.TextSink:
        return ModelSink(self)

    # -- the model's side

    def begin_response(self, response_id: str) -> None:
        self._end_open_response()
        if self._frozen_heard is not None and not self._closed:
            self._items.clear()
            self._frozen_heard = None
        self._begun_last = Response(response_id, self.received_bytes)
        self._responses.append(self._begun_last)
        self._taking = not self._closed

    def end_response(self, response_id: str) -> None:
        if self._begun_last is not None and self._begun_last.response_id == response_id:
            self._end_open_response()

    def refuse(self) -> None:
        self._taking = False

    def _end_open_response(self) -> None:
        if not self._responses or self._responses[-1].end is not None:
            return
        response = self._responses[-1]
        self._taking = False
        padding = -(self.received_bytes - response.start) % FRAME_BYTES
        if padding:
            self._store(bytes([mulaw.SILENCE]) * padding)
            self.frames_enqueued += 1
        response.end = self.received_bytes
        if response.end == response.start:
            self._responses.pop()
        elif self.sent_bytes == response.end:
            self._in_spurt = False
            self._responses.pop()
            self._send_mark(response.response_id)
        else:
            self._wake()

    def feed_message(self, message: bytes) -> None:
        kind, *fields = framing.scan_realtime(message)
        if kind == framing.DELTA:
            self.feed_delta(fields[0], fields[1], fields[3])
        elif kind == framing.IGNORED:
            self.ignored_events += 1
        else:
            self._on_event(message)

    def feed_delta(self, response_id: bytes, item_id: bytes, delta: bytes) -> None:
        self.deltas += 1
        if not self._taking or self._begun_last is None or response_id.decode() != self._begun_last.response_id:
            self.refused_deltas += 1
            return
        audio = mulaw.b64decode(delta)
        if audio is None:
            self.malformed_deltas += 1
            return
        if not audio:
            return
        if not self._items or self._items[-1].item_id != item_id.decode():
            self._items.append(Item(item_id.decode(), response_id.decode(), self.received_bytes))
        self._items[-1].size += len(audio)
        whole_before = (self.received_bytes - self._begun_last.start) // FRAME_BYTES
        self._store(audio)
        self.frames_enqueued += (self.received_bytes - self._begun_last.start) // FRAME_BYTES - whole_before
        self._wake()

    def _store(self, audio: bytes) -> None:
        self._ring += audio
        self.received_bytes += len(audio)
        self.peak_bytes = max(self.peak_bytes, len(self._ring))
        if len(self._ring) >= self._cap_bytes and not self._full:
            self._full = True
            self._on_full(True)

    def _drained(self) -> None:
        if self._full and len(self._ring) < self._cap_bytes // 2:
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
        if not asleep or self._paused or self._closed or self._write is None or not self.frames_unsent:
            return
        if self._in_spurt:
            self.schedule.feed(self._clock())
        else:
            self.schedule.start(self._clock())
        self._in_spurt = True
        self._pacer._join(self)

    def _tick(self, now_ns: int) -> int:
        if self._paused:
            return -1
        if not self.frames_unsent:
            if self._responses and self._responses[0].end is None:
                self.schedule.starve()
            else:
                self._in_spurt = False
            return -1
        if now_ns >= self.schedule.earliest_ns:
            self._send_frame(now_ns)
        return self.schedule.earliest_ns

    def _send_frame(self, now_ns: int) -> None:
        frame = bytes(self._ring[:FRAME_BYTES])
        del self._ring[:FRAME_BYTES]
        self.sent_bytes += FRAME_BYTES
        self.frames_sent += 1
        self.schedule.sent(now_ns)
        self._send(framing.media_message(self._stream_sid, frame))
        response = self._responses[0]
        if not response.begun:
            response.begun = True
            self._on_first_frame(response.response_id)
        if self.sent_bytes == response.end:
            self._responses.pop(0)
            self._send_mark(response.response_id)
        elif self.sent_bytes - self._marked_at >= BYTES_PER_MARK:
            self._send_mark(None)
        self._drained()

    def _send_mark(self, ends: str | None) -> None:
        """`<epoch>:<item>:<ms>`: the item of the last byte sent, and how much of it has been sent."""
        item = [item for item in self._items if item.start < self.sent_bytes][-1]
        name = b"%d:%s:%d" % (self.epoch, item.item_id.encode(), item.heard(self.sent_bytes) // BYTES_PER_MS)
        self._marks = [*self._marks, Mark(name, self.sent_bytes, ends)][-MAX_PENDING_MARKS:]
        self._marked_at = self.sent_bytes
        self.marks_sent += 1
        self._send(framing.mark_message(self._stream_sid, name))

    def _send(self, message: bytes) -> None:
        assert self._write is not None
        self._write(websocket.text_frame(message, mask=False))

    def mark(self, name: bytes) -> None:
        names = [mark.name for mark in self._marks]
        if name not in names:
            self.stale_marks += 1
            return
        heard, self._marks = self._marks[: names.index(name) + 1], self._marks[names.index(name) + 1 :]
        self.marks_played += 1
        self._marked_heard = max(self._marked_heard, heard[-1].position)
        for mark in heard:
            if mark.ends is not None:
                self._on_played(mark.ends)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def clear(self) -> tuple[int, int]:
        unsent, unheard = self.frames_unsent, -(-(self.sent_bytes - self.heard_bytes) // FRAME_BYTES)
        if self._frozen_heard is None:
            self._frozen_heard = self.heard_bytes
        if self._write is not None:
            self._send(framing.clear_message(self._stream_sid))
        self.frames_flushed["barge_in"] += unsent
        self._forget_audio()
        self.schedule.cleared(self._clock())
        self.epoch += 1
        self._drained()
        return unsent, unheard

    def _forget_audio(self) -> None:
        self._ring.clear()
        self.sent_bytes = self._marked_at = self.received_bytes
        self._responses.clear()
        self._marks.clear()
        self._taking = self._in_spurt = False
        self._pacer._leave(self)

    def close(self) -> None:
        if self._closed:
            return
        if self._frozen_heard is None:
            self._frozen_heard = self.heard_bytes
        self.frames_flushed["close"] += self.frames_unsent
        self._closed = True
        self._forget_audio()
        self._write = None

    # -- what became of it

    def items(self) -> list[tuple[str, str, int, int]]:
        position = self.heard_bytes if self._frozen_heard is None else self._frozen_heard
        return [
            (item.item_id, item.response_id, item.heard(position) // BYTES_PER_MS, item.size // BYTES_PER_MS)
            for item in self._items
            if item.heard(position) < item.size or item is self._items[-1]
        ]

    @property
    def playing(self) -> bool:
        return not self._closed and (self.frames_unsent > 0 or self.heard_bytes < self.sent_bytes)

    @property
    def unheard_ms(self) -> int:
        return (self.received_bytes - self.heard_bytes) // BYTES_PER_MS

    @property
    def heard_bytes(self) -> int:
        to_play_ns = max(self.schedule.play_end_ns - self._clock(), 0)
        return max(self.sent_bytes - -(-to_play_ns // NS_PER_BYTE), self._marked_heard)

    @property
    def frames_unsent(self) -> int:
        return len(self._ring) // FRAME_BYTES
