"""The model to the caller: its audio cut into frames, each sent when it is due, and what of it has been heard.

Times are CLOCK_MONOTONIC nanoseconds. Deadlines are absolute, so that lateness does not add up. The due time decides,
never the timer that woke us.
"""

import asyncio
import time
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from time import monotonic_ns

from messages import FRAME_BYTES, FRAME_NS, SILENCE, SILENT_FRAME, clear_message, mark_message, media_parts

SPACING_NS = 18_500_000
"""Never closer than 18 ms; the rest is for what lies between the clock and the wire."""
LATE_NS = 2_000_000
RESET_NS = 200_000_000
NS_PER_BYTE = 125_000
BYTES_PER_MS = 8
FRAMES_PER_MARK = 8
MAX_PENDING_MARKS = 64
RECENT_FRAMES = 256
"""Kept of what was sent: more than is ever on its way to the ear."""
MAX_UNSENT_FRAMES = 30_000
"""Ten minutes: beyond, reading from the model pauses."""


@dataclass(slots=True)
class Segment:
    """One item's audio: bytes `start` to `end` of all that was received. heard_bytes: set when it was cut off."""

    item_id: str
    start: int
    end: int
    heard_bytes: int | None = None


@dataclass(slots=True)
class Reply:
    """A response whose audio is not wholly sent; `end` is known when it is done."""

    response_id: str
    start: int
    end: int | None = None


@dataclass(slots=True)
class Mark:
    """One that has not come back. expected_ns: when the audio before it has been played, if the network took no time.
    ends: the response that ends there."""

    name: str
    position: int
    expected_ns: int
    ends: str | None


class Pacer:
    """All calls' frames in the order in which they are due.

    While there are calls it runs on a tick: a callback that sleeps makes the loop read all sockets once a tick instead
    of waking up for each one, and waking costs more than the work. on_read(): a tick's reading is done.
    """

    def __init__(self, tick_ns: int, on_read: Callable[[], object]) -> None:
        self._tick_ns = tick_ns
        self._on_read = on_read
        self._due: list[tuple[int, int, Playout]] = []
        self._users = 0
        self._next_ns = 0  # the boundary by which the turn should be done

    def acquire(self) -> None:
        """A call is live: tick."""
        self._users += 1
        if self._users == 1:
            asyncio.get_running_loop().call_soon(self._tick)

    def release(self) -> None:
        self._users -= 1

    def wake(self, playout: "Playout", at_ns: int) -> None:
        if not playout.queued:
            playout.queued = True
            heappush(self._due, (at_ns, id(playout), playout))

    def _tick(self) -> None:
        if not self._users:
            self._next_ns = 0
            return
        self._on_read()
        now_ns = monotonic_ns()
        self.run(now_ns)  # whom reading took too long for need not wait for another tick
        if not 0 < self._next_ns <= now_ns:  # a turn that overran has filled its sleep with work
            time.sleep((self._tick_ns - now_ns % self._tick_ns) / 1e9)
            now_ns = monotonic_ns()
            self.run(now_ns)
        self._next_ns = now_ns - now_ns % self._tick_ns + self._tick_ns
        asyncio.get_running_loop().call_soon(self._tick)

    def run(self, now_ns: int) -> None:
        """Let all that are due send their frame."""
        due = self._due
        while due and due[0][0] <= now_ns:
            playout = heappop(due)[2]
            at_ns = playout.run(now_ns)
            if at_ns:
                heappush(due, (at_ns, id(playout), playout))
            else:
                playout.queued = False


class Playout:
    """One call's audio on its way to the ear. write: one message to Twilio. on_played(response_id): heard to its end.
    on_begins(): the first frame after a silence has left. on_full(full): stop reading from the model, or go on."""

    def __init__(
        self,
        *,
        pacer: Pacer,
        stream_sid: str,
        lead_ms: int,
        write: Callable[[bytes], object],
        on_played: Callable[[str], object],
        on_begins: Callable[[], object],
        on_full: Callable[[bool], object],
    ) -> None:
        self.queued = False  # in the pacer
        self.held = False
        self.frames: deque[bytes] = deque()
        self.received = self.sent = self.heard = 0  # positions in all audio of this call
        self.frames_sent = self.frames_rewound = self.flushed_barge_in = self.flushed_close = 0
        self.refused_deltas = self.late_frames = self.schedule_resets = self.underruns = 0
        self.marks_sent = self.marks_played = self.marks_stale = 0
        self._pacer = pacer
        self._stream_sid = stream_sid
        self._head, self._tail = media_parts(stream_sid)
        self._lead_ns = lead_ms * 1_000_000
        self._write = write
        self._on_played = on_played
        self._on_begins = on_begins
        self._on_full = on_full
        self._rest = b""  # received, and less than a frame
        self._taking: str | None = None  # the response whose audio is let in
        self._segments: list[Segment] = []
        self._replies: deque[Reply] = deque()
        self._pending: deque[Mark] = deque()
        self._recent: deque[bytes] = deque(maxlen=RECENT_FRAMES)
        self._unended: list[Mark] = []  # of what is held: its responses' ends had been sent
        self._delays_ns: deque[int] = deque(maxlen=4)
        self._delay_ns = 0
        self._epoch = self._marked_at = 0
        self._due_ns = self._last_sent_ns = self._play_end_ns = 0
        self._in_spurt = self._begins = self._starving = self._is_full = self._paused = self._closed = False

    # From the model.

    def begin_response(self, response_id: str) -> None:
        self.end_response(self._taking)
        self._taking = response_id
        self._replies.append(Reply(response_id, self.received))

    def feed(self, response_id: str, item_id: str, audio: bytes) -> None:
        """One delta. Audio of a response that was refused falls away."""
        if response_id != self._taking or self._closed:
            self.refused_deltas += 1
            return
        start = self.received
        self.received += len(audio)
        if self._segments and self._segments[-1].item_id == item_id and self._segments[-1].heard_bytes is None:
            self._segments[-1].end = self.received
        else:
            self._segments.append(Segment(item_id, start, self.received))
        self._cut(self._rest + audio)

    def end_response(self, response_id: str | None) -> None:
        """Nothing more comes of it: its last frame is filled up with silence."""
        if response_id is None or response_id != self._taking:
            return
        self._taking = None
        if self._rest:
            self.received += FRAME_BYTES - len(self._rest)
            self._cut(self._rest.ljust(FRAME_BYTES, SILENCE))
        reply = self._replies[-1]
        reply.end = self.received
        if reply.end == reply.start:
            self._replies.pop()
        elif self.sent == reply.end and not self.held:  # all of it has left already: only its end mark is due
            self._in_spurt = False
            self._replies.pop()
            self._send_mark(reply.response_id)

    def refuse(self) -> None:
        self._taking = None

    def _cut(self, audio: bytes) -> None:
        whole = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole:]
        self.frames.extend([audio[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)])
        if len(self.frames) >= MAX_UNSENT_FRAMES and not self._is_full:
            self._is_full = True
            self._on_full(True)
        self._wake()

    # To Twilio.

    def _wake(self) -> None:
        if not self.frames or self.queued or self.held or self._paused or self._closed:
            return
        now_ns = monotonic_ns()
        if not self._in_spurt:
            self._in_spurt = self._begins = True
            self._due_ns = max(now_ns, self._due_ns)
        elif self._starving and now_ns > self._due_ns:
            self.underruns += 1
            self._due_ns = now_ns
        self._starving = False
        self._pacer.wake(self, now_ns)

    def run(self, now_ns: int) -> int:
        """Send one frame, if it may leave: when to be run again, 0 when there is nothing to send."""
        if self.held or self._paused or self._closed:
            return 0
        if not self.frames:
            self._starving = bool(self._replies)
            self._in_spurt = self._starving
            return 0
        earliest_ns = max(self._due_ns - self._lead_ns, self._last_sent_ns + SPACING_NS)
        if earliest_ns > now_ns:
            return earliest_ns
        frame = self.frames.popleft()
        self._write(self._head + b2a_base64(frame, newline=False) + self._tail)
        self._recent.append(frame)
        self._sent(monotonic_ns())
        if self._begins:
            self._begins = False
            self._on_begins()
        return max(self._due_ns - self._lead_ns, self._last_sent_ns + SPACING_NS)

    def _sent(self, now_ns: int) -> None:
        """The time it left, not the time the pacer began: the next frame keeps its distance from this."""
        if now_ns > self._due_ns + LATE_NS:
            if now_ns > self._due_ns + RESET_NS:
                self.schedule_resets += 1
                self._due_ns = now_ns
            else:
                self.late_frames += 1
        self._due_ns += FRAME_NS
        self._play_end_ns = max(self._play_end_ns, now_ns) + FRAME_NS
        self._last_sent_ns = now_ns
        self.frames_sent += 1
        self.sent += FRAME_BYTES
        if self._replies and self.sent == self._replies[0].end:
            self._send_mark(self._replies.popleft().response_id)
        elif self.sent - self._marked_at >= FRAMES_PER_MARK * FRAME_BYTES:
            self._send_mark(None)
            self._forget(now_ns)

    def _send_mark(self, ends: str | None) -> None:
        segment = next(segment for segment in reversed(self._segments) if segment.start < self.sent)
        played_ms = (min(self.sent, segment.end) - segment.start) // BYTES_PER_MS
        mark = Mark(f"{self._epoch}:{segment.item_id}:{played_ms}", self.sent, self._play_end_ns, ends)
        if len(self._pending) >= MAX_PENDING_MARKS:
            self._pending.popleft()
        self._pending.append(mark)
        self._marked_at = self.sent
        self.marks_sent += 1
        self._write(mark_message(self._stream_sid, mark.name))

    def _forget(self, now_ns: int) -> None:
        """Of what has been heard only the newest segment is kept."""
        heard = self._heard_at(now_ns)
        while len(self._segments) > 1 and (self._segments[0].heard_bytes is not None or self._segments[0].end <= heard):
            del self._segments[0]
        if self._is_full and len(self.frames) < MAX_UNSENT_FRAMES // 2:
            self._is_full = False
            self._on_full(False)

    def pause(self, paused: bool) -> None:
        """Back-pressure of the carrier's transport: frames stay here."""
        self._paused = paused
        self._wake()

    def hold(self) -> tuple[int, int]:
        """(frames not sent, frames sent and not heard): the carrier plays no more, and all of them are kept."""
        now_ns = monotonic_ns()
        counts = self._left(now_ns)
        self._write(clear_message(self._stream_sid))
        self.held = True
        self._epoch += 1
        self._unended = [mark for mark in self._pending if mark.ends is not None]
        self._pending.clear()
        self._stop(now_ns)
        return counts

    def resume(self) -> int:
        """Go on with the frame that was cut off: how many are sent again."""
        count = -(-(self.sent - self.heard) // FRAME_BYTES)
        self.held = False
        self.frames.extendleft([self._recent.pop() for _ in range(count)])
        self.sent -= count * FRAME_BYTES
        self._marked_at = self.sent
        self.frames_rewound += count
        self._replies.extendleft([Reply(mark.ends or "", 0, mark.position) for mark in reversed(self._unended)])
        self._unended = []
        while self._replies and self._replies[0].end is not None and self._replies[0].end <= self.sent:
            self._send_mark(self._replies.popleft().response_id)
        self._wake()
        return count

    def clear(self) -> tuple[int, int]:
        """The caller interrupts: (frames not sent, frames sent and not heard), none of which will be heard."""
        now_ns = monotonic_ns()
        counts = self._left(now_ns)
        if not self.held:
            self._write(clear_message(self._stream_sid))
            self._epoch += 1
        self.held = False
        for segment in self._segments:
            if segment.heard_bytes is None:
                segment.heard_bytes = min(max(self.heard - segment.start, 0), segment.end - segment.start)
        self.flushed_barge_in += counts[0]
        self._taking = None
        self._rest = b""
        self._unended = []
        for queue in (self.frames, self._replies, self._pending, self._recent):
            queue.clear()
        self.received += -self.received % FRAME_BYTES
        self.sent = self.heard = self._marked_at = self.received
        self._stop(now_ns)
        if self._is_full:
            self._is_full = False
            self._on_full(False)
        return counts

    def _left(self, now_ns: int) -> tuple[int, int]:
        return len(self.frames), -(-(self.sent - self._heard_at(now_ns)) // FRAME_BYTES)

    def _stop(self, now_ns: int) -> None:
        self._in_spurt = self._starving = False
        self._due_ns = self._play_end_ns = now_ns

    def close(self) -> None:
        self._closed = True
        self.flushed_close += len(self.frames)
        self.frames.clear()

    # The playout clock: Twilio plays in real time what it was sent, and tells by marks how long the way is.

    def _heard_at(self, now_ns: int) -> int:
        if self.held:
            return self.heard
        ahead_ns = max(0, self._play_end_ns + self._delay_ns - now_ns)
        self.heard = min(max(self.heard, self.sent + -ahead_ns // NS_PER_BYTE), self.sent)
        return self.heard

    def is_playing(self, now_ns: int) -> bool:
        if self.held:
            return False
        return bool(self.frames) or (self.heard < self.sent and self._heard_at(now_ns) < self.sent)

    def hearing(self, now_ns: int) -> bytes | None:
        """The frame that the caller hears now, silence where he waits for the first; None if nothing plays."""
        if not self.is_playing(now_ns):
            return None
        ahead = self.sent - self._heard_at(now_ns)
        back = -(-ahead // FRAME_BYTES)
        if not 0 < back <= len(self._recent):
            return SILENT_FRAME
        skipped = back * FRAME_BYTES - ahead
        if not skipped:
            return self._recent[-back]
        return self._recent[-back][skipped:] + (self._recent[1 - back] if back > 1 else SILENT_FRAME)[:skipped]

    def mark_came_back(self, name: str) -> None:
        position = next((index for index, mark in enumerate(self._pending) if mark.name == name), None)
        if position is None:  # of before a clear, most likely
            self.marks_stale += 1
            return
        played = [self._pending.popleft() for _ in range(position + 1)]
        self.marks_played += 1
        # The least of the last four: an echo can be late for many reasons, never early.
        self._delays_ns.append(max(monotonic_ns() - played[-1].expected_ns, 0))
        self._delay_ns = min(self._delays_ns)
        self.heard = max(self.heard, played[-1].position)
        for mark in played:
            if mark.ends is not None:
                self._on_played(mark.ends)

    def cut_off(self) -> list[tuple[str, int, int]]:
        """(item, ms heard, ms received) of the items that `clear` has cut off; once."""
        cut = [
            (segment.item_id, (segment.heard_bytes or 0) // BYTES_PER_MS, (segment.end - segment.start) // BYTES_PER_MS)
            for segment in self._segments
            if segment.heard_bytes is not None and segment.heard_bytes < segment.end - segment.start
        ]
        self._segments = []
        return cut
