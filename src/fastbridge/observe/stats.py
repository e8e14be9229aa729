"""Statistics of one call, and the books of its lanes.

Counts live with their owners (lanes, schedule, controller, session); here are only the moments nobody else keeps, and
the one place that reads the lanes' and checks them.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._caller import FORWARDED, GREETING_LOCK, OUTCOMES, CallerLane
from fastbridge.observe.log_format import clean

MAX_ERRORS = 1000
"""Errors of a call that are kept, in order; one more is counted by its type alone."""
MAX_LISTED = 2000
"""Answers, interruptions and tools of a call, of each, as many as turns are kept; one more is counted alone."""
MAX_ERROR_TYPES = 32
"""Types that are told apart, for the model may invent some; one more is `other`."""


@dataclass
class BargeIn:
    """One interruption. source: `local` (our detector) or `model` (its speech detection). outcome: `held` as long as it
    is, then `committed` or `resumed`; why: what decided that. frames_unsent waited here, frames_unheard at the carrier:
    when it was held; of one that was committed, those that were dropped then.
    """

    at_ms: int
    source: str
    response_id: str | None
    frames_unsent: int
    frames_unheard: int
    level_dbfs: float
    threshold_dbfs: float
    outcome: str = "held"
    why: str = ""
    held_ms: int | None = None
    frames_rewound: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class CallStats:
    """Moments of one call, in ms since its start; None: it did not happen. Only the start itself has a wall clock."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    connect_ms: int | None = None
    ready_ms: int | None = None
    greeting_ms: int | None = None
    first_speech_ms: int | None = None
    consent_ms: int | None = None  # to be recorded
    turns: int = 0
    responses: int = 0
    response_ms: list[int] = field(default_factory=list)  # from when his turn was known to be over to our first frame
    pause_ms: list[int | None] = field(default_factory=list)  # the same from the last of his voice, by our own ear
    barge_ins: list[BargeIn] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    silences: int = 0  # prompts to a caller who said nothing
    dtmf: str = ""
    private_stretches: int = 0
    private_ms: int = 0
    errors: list[str] = field(default_factory=list)  # codes
    error_types: Counter[str] = field(default_factory=Counter)
    unlisted: Counter[str] = field(default_factory=Counter)  # what was too much, by the record's name of its list

    def add(self, name: str, entries: list[Any], entry: Any) -> None:
        """To one of the lists above, which the record calls `name`."""
        if len(entries) < MAX_LISTED:
            entries.append(entry)
        else:
            self.unlisted[name] += 1

    def note_error(self, code: str, kind: str) -> None:
        """One that has cost something, or may have. code and kind may be a peer's words."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(clean(code))
        self.note_type(kind)

    def note_type(self, kind: str) -> None:
        """One that has cost nothing, or was noted before."""
        known = kind in self.error_types or len(self.error_types) < MAX_ERROR_TYPES
        self.error_types[clean(kind) if known else "other"] += 1


def accounting(lane: CallerLane) -> dict[str, Any]:
    """The caller lane's books: every number from the one array of outcomes."""
    outcomes = lane.outcomes
    return {
        "frames_in": lane.frames_in,
        "forwarded": outcomes[FORWARDED],
        "dropped": sum(outcomes) - outcomes[FORWARDED],
        "waiting": lane.waiting,
        "by_reason": {name: count for name, count in zip(OUTCOMES[1:], outcomes[1:], strict=True) if count},
        "concealed": lane.concealed_frames,
        "silence": lane.silence_frames,
        "peak_waiting": lane.peak_waiting,
    }


def pacing(lane: AssistantLane) -> dict[str, Any]:
    """The assistant lane's books: frames_enqueued = tx + the sum of flushed, once the lane is closed. What a resumed
    hold takes back from Twilio's buffer is enqueued once more."""
    schedule = lane.schedule
    return {
        "frames_enqueued": lane.frames_enqueued + lane.frames_rewound,
        "tx": lane.frames_sent,
        "flushed": lane.frames_flushed,
        "cleared": lane.frames_cleared,
        "rewound": lane.frames_rewound,
        "tx_late_frames": schedule.tx_late_frames,
        "tx_schedule_resets": schedule.tx_schedule_resets,
        "underruns": schedule.underruns,
        "interval_p50_ms": schedule.interval_ms(0.5),
        "interval_p99_ms": schedule.interval_ms(0.99),
        "interval_max_ms": round(schedule.interval_max_ms, 2),
        "peak_ring_ms": lane.peak_bytes // 8,
        "deltas": lane.deltas,
        "refused_deltas": lane.refused_deltas,
        "malformed_deltas": lane.malformed_deltas,
        "marks_sent": lane.marks_sent,
        "marks_played": lane.marks_played,
        "marks_stale": lane.stale_marks,
    }


def accounting_lines(lane: CallerLane, *, simple_mode: bool = True) -> list[tuple[bool, str]]:
    """(is it an error, line) for the log at the end of a call: the caller's books, checked. Each check compares what
    was counted in two places: frames as they come with the outcomes, the lock's count with its outcome."""
    books = accounting(lane)
    frames_in, forwarded, dropped = books["frames_in"], books["forwarded"], books["dropped"]
    dropped_by_lock, locked = lane.outcomes[GREETING_LOCK], lane.locked_frames
    lines: list[tuple[bool, str]] = []
    if frames_in == forwarded + dropped:
        lines.append((False, f"Frame accounting OK: {frames_in} = {forwarded} + {dropped}"))
    else:
        lines.append((True, f"[FRAME_ACCOUNTING_ERROR] frames_in={frames_in} != {forwarded} + {dropped}"))
    if dropped_by_lock == locked:
        lines.append((False, f"Greeting lock accounting OK: {locked} frames"))
    else:
        text = f"[GREETING_LOCK_ERROR] {dropped_by_lock} frames were dropped, {locked} came while it was locked"
        lines.append((True, text))
    if dropped:
        breakdown = ", ".join(f"{name}={count}" for name, count in books["by_reason"].items())
        lines.append((False, f"{'SIMPLE_MODE DROPS' if simple_mode else 'Drop breakdown'}: {breakdown}"))
    return lines


def complaints(books: dict[str, Any], fuses: dict[str, int]) -> list[str]:
    """Lines for what must never be, at the end of a call: the assistant's books (those of `pacing`) do not balance, or
    states of ours outlived their deadlines. None in a call that is well."""
    lines = []
    enqueued, sent, flushed = books["frames_enqueued"], books["tx"], sum(books["flushed"].values())
    if enqueued != sent + flushed:
        lines.append(f"[FRAME_ACCOUNTING_ERROR] frames_enqueued={enqueued} != tx={sent} + flushed={flushed}")
    if any(fuses.values()):
        lines.append(f"[SAFETY_FUSE] {', '.join(f'{name}={count}' for name, count in fuses.items())}")
    return lines
