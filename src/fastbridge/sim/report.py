"""What one simulated call measured: everything here is arithmetic on what the carrier saw and the ear heard.

Nothing comes from the node's own word. Times are milliseconds since the stream's `start`; byte n of `said` and of
`heard` is the same moment, n / 8 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, level_dbfs, to_frames
from fastbridge.sim.carrier import CarrierStream, Clear, Frame, Mark, Span

FRAME_SPACING_MS = 18.0
GAP_MS = 40.0
LOUD_DBFS = -30.0
LOUD_FRAMES = 5
SAME_RESPONSE_MS = 1000.0
"""Where marks do not tell, audio that goes on within this time is taken for the same response."""
SAME_UTTERANCE_MS = 500.0
SPURT_MS = 200.0
"""Frames further apart than this are of different talk-spurts."""

_SILENT_CODES = np.frombuffer(b"\xff\x7f", np.uint8)


class Event(NamedTuple):
    """Something worth a line: `kind` is a short word, `text` for people."""

    at_ms: float
    kind: str
    text: str = ""


class Gap(NamedTuple):
    """Silence at the ear between two pieces of one response, because nothing was there to be played."""

    at_ms: float
    length_ms: float


class Interruption(NamedTuple):
    """The caller spoke over the assistant. `latency_ms`: from the 5th loud frame to the last audible sample."""

    at_ms: float
    fifth_loud_ms: float
    silent_ms: float

    @property
    def latency_ms(self) -> float:
        return max(0.0, self.silent_ms - self.fifth_loud_ms)


class Spacing(NamedTuple):
    """Intervals between frames, in ms; the quantiles and the maximum within talk-spurts only. NaN without any."""

    min_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class CallReport:
    """One call as Twilio and the caller's ear saw it. `errors` empty: nothing happened that Twilio would reject."""

    call_sid: str
    stream_sid: str = ""
    start_ms: float = 0.0
    """Start of the stream on the caller's monotonic clock: what the times in here count from."""
    said: bytes = b""
    heard: bytes = b""
    received: bytes = b""
    """All audio the server sent, cleared or not."""
    frames: list[Frame] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    clears: list[Clear] = field(default_factory=list)
    depth_ms: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ended_by: str = "nobody"
    """caller, server or nobody."""
    interrupts: bool = True
    """Who speaks over the assistant wants to interrupt it. An answering machine does not: it does not listen."""

    def take(self, carrier: CarrierStream) -> None:
        """All that the carrier saw, with times counted from the start of the stream."""
        origin = carrier.start_ms
        self.stream_sid, self.start_ms = carrier.stream_sid, origin
        self.said, self.heard, self.received = bytes(carrier.said), bytes(carrier.heard), bytes(carrier.received)
        self.frames = [frame._replace(arrived_ms=frame.arrived_ms - origin) for frame in carrier.frames]
        self.clears = [clear._replace(arrived_ms=clear.arrived_ms - origin) for clear in carrier.clears]
        self.marks = [_since(mark, origin) for mark in carrier.marks]
        self.spans, self.depth_ms = list(carrier.spans), list(carrier.depth_ms)
        self.errors.extend(carrier.errors)

    @property
    def duration_ms(self) -> int:
        return max(len(self.said), len(self.heard)) // 8

    @property
    def wrong_sizes(self) -> list[int]:
        """Sizes of the frames that were not 160 bytes."""
        return [frame.size_bytes for frame in self.frames if frame.size_bytes != FRAME_BYTES]

    def intervals(self) -> list[tuple[float, float]]:
        """(time of arrival, interval since the frame before), in ms, one for each frame but the first.

        Frames that the kernel delivered together carry one time stamp, the last one's: they share the interval since
        the frame before them equally. A share below the law means that one of them surely was.
        """
        batches = [(at, len(list(group))) for at, group in groupby(self.frames, key=lambda frame: frame.arrived_ms)]
        shared = []
        for (before, _), (at, count) in pairwise(batches):
            shared += [(at, (at - before) / count)] * count
        return shared

    def spacing(self) -> Spacing:
        """How far apart the frames arrived."""
        intervals = np.array([interval for _, interval in self.intervals()])
        within = intervals[intervals < SPURT_MS] if intervals.size else intervals
        if not within.size:
            return Spacing(*[float("nan")] * 4)
        p50, p99 = np.quantile(within, (0.5, 0.99))
        return Spacing(float(intervals.min()), float(p50), float(p99), float(within.max()))

    def played(self, start: int, end: int) -> bool:
        """Whether the bytes start..end of what was received were played, unchanged and whole."""
        for span in self.spans:
            if span.position <= start < span.position + span.length:
                stop = min(end, span.position + span.length)
                ear = span.ear + start - span.position
                if self.heard[ear : ear + stop - start] != self.received[start:stop]:
                    return False
                start = stop
        return start >= end

    def gaps(self, over_ms: float = GAP_MS, left_out_ms: Mapping[int, float] | None = None) -> list[Gap]:
        """Where the ear ran dry inside a response. `clear` and the end of a response are no gaps, nor is silence that
        was left out before a position of what was received."""
        found = []
        for before, after in pairwise(self.spans):
            dry_ms = (after.ear - before.ear - before.length) / 8 - (left_out_ms or {}).get(after.position, 0.0)
            if dry_ms > over_ms and self._same_response(before, after, dry_ms):
                found.append(Gap((before.ear + before.length) / 8, dry_ms))
        return found

    def interruptions(self, threshold_dbfs: float = LOUD_DBFS, frames: int = LOUD_FRAMES) -> list[Interruption]:
        """One for each utterance of the assistant that the caller spoke over."""
        found: list[Interruption] = []
        if not self.interrupts:
            return found
        run = 0
        for index, frame in enumerate(to_frames(self.said)):
            run = run + 1 if level_dbfs(frame) >= threshold_dbfs else 0
            at = index * FRAME_BYTES
            if run != frames or (found and at / 8 < found[-1].silent_ms):
                continue
            end = self._utterance_end(at)
            if end is not None:
                found.append(Interruption((at / 8) - (frames - 1) * FRAME_MS, at / 8, end / 8))
        return found

    def _same_response(self, before: Span, after: Span, dry_ms: float) -> bool:
        if self._cleared_between(before, after):
            return False
        first, second = self._item_at(before.position + before.length - 1), self._item_at(after.position)
        if first is None or second is None:
            return dry_ms < SAME_RESPONSE_MS
        return first == second

    def _cleared_between(self, before: Span, after: Span) -> bool:
        end = before.position + before.length
        return any(end <= clear.end <= after.position and clear.start >= end for clear in self.clears)

    def _item_at(self, position: int) -> str | None:
        """Whose audio this is, by the first mark behind it, where marks are named `<epoch>:<item>:<ms>`."""
        limit = next((clear.end for clear in self.clears if clear.end > position), None)
        mark = next((mark for mark in self.marks if mark.position > position), None)
        if mark is None or (limit is not None and mark.position > limit) or mark.name.count(":") != 2:
            return None
        return mark.name.split(":")[1]

    def _utterance_end(self, ear: int) -> int | None:
        """End in `heard` of the last audible sample of what is playing at `ear`; None when nothing is."""
        playing = [index for index, span in enumerate(self.spans) if span.ear <= ear < span.ear + span.length]
        if not playing:
            return None
        last = playing[0]
        while last + 1 < len(self.spans) and self._continues(self.spans[last], self.spans[last + 1]):
            last += 1
        start, end = self.spans[playing[0]].ear, self.spans[last].ear + self.spans[last].length
        audible = np.flatnonzero(~np.isin(np.frombuffer(self.heard[start:end], np.uint8), _SILENT_CODES))
        return start + int(audible[-1]) + 1 if audible.size else None

    def _continues(self, before: Span, after: Span) -> bool:
        dry_ms = (after.ear - before.ear - before.length) / 8
        return dry_ms < SAME_UTTERANCE_MS and not self._cleared_between(before, after)


def _since(mark: Mark, origin_ms: float) -> Mark:
    echoed_ms = None if mark.echoed_ms is None else mark.echoed_ms - origin_ms
    return Mark(mark.name, mark.position, mark.arrived_ms - origin_ms, echoed_ms, mark.cleared)
