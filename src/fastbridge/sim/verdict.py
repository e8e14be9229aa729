"""Did the call go as it must? Every invariant of a simulated call, measured from outside and compared with the books.

Pure: reports, sessions, the node's record and its log go in, checks come out. What the caller heard is compared byte
for byte with what the model produced.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from fastbridge.sim.audio import FRAME_BYTES, SILENCE
from fastbridge.sim.live_verdict import Followed
from fastbridge.sim.report import FRAME_SPACING_MS, GAP_MS, CallReport

SILENCED_MS = 200.0
_BAD_LINE = re.compile(r"^\[[^]]*\] (?:WARNING|ERROR|CRITICAL)\b|^Traceback |^\w*(?:Error|Warning): ", re.MULTILINE)


class Check(NamedTuple):
    """One invariant: what must hold, whether it did, and what was measured."""

    name: str
    holds: bool
    measured: str


class Spoken(Protocol):
    """An item of the model, as `fastbridge.sim.items.Item` is one."""

    id: str
    audio: bytearray
    audio_end_ms: int | None

    @property
    def role(self) -> str | None: ...


def judge(
    report: CallReport,
    *,
    items: Iterable[Spoken],
    model_errors: list[str],
    record: Mapping[str, Any] | None,
    log: str,
    tool: str | None,
    ended_by: str = "caller",
    followed: Followed | None = None,
) -> list[Check]:
    """All checks of one call, in the order of telling. tool: what must have been called once, in a call in which the
    caller interrupts; None for a call without either. ended_by: who should, caller or server. followed: of a GPT-Live
    model, which has no items but a stream."""
    return [
        _no_errors("Twilio accepted everything", report.errors),
        _no_errors("the model accepted everything", model_errors),
        Check(f"the {ended_by} ended the call", report.ended_by == ended_by, f"ended by {report.ended_by}"),
        _sizes(report),
        _spacing(report),
        _gaps(report, followed),
        *([_interruptions(report)] if tool is not None else []),
        _heard(report, items) if followed is None else _followed(report, followed),
        *_books(record, tool),
        _log(log),
    ]


class Placed(NamedTuple):
    """Where an item lies in what was received: sent as `start` to `sent`, played to `heard` (positions)."""

    item: Spoken
    start: int
    sent: int
    heard: int
    faithful: bool

    @property
    def unheard(self) -> bytes:
        """What the caller never heard of it, sent or not."""
        return bytes(self.item.audio[self.heard - self.start :])


def place(report: CallReport, items: Iterable[Spoken]) -> list[Placed]:
    """The assistant's items in the audio received; one a response, in the order they were made.

    Each one's last frame is filled with 0xFF. One that `clear` cut short was sent as far as the clear tells.
    """
    placed: list[Placed] = []
    position = 0
    for item in items:
        if item.role != "assistant" or not item.audio:
            continue
        expected = bytes(item.audio) + SILENCE * (-len(item.audio) % FRAME_BYTES)
        end = position + len(expected)
        clear = next((clear for clear in report.clears if position < clear.end <= end), None)
        sent, heard = (clear.end, clear.start) if clear is not None else (end, end)
        faithful = report.received[position:sent] == expected[: sent - position]
        placed.append(Placed(item, position, sent, heard, faithful))
        position = sent
    return placed


def compare_audio(report: CallReport, items: Iterable[Spoken]) -> list[str]:
    """Where what the caller got differs from what the model said."""
    faults: list[str] = []
    placed = place(report, items)
    for each in placed:
        if not each.faithful:
            faults.append(f"{each.item.id}: sent audio differs from the model's")
        elif not report.played(each.start, each.heard):
            faults.append(f"{each.item.id}: not all of it reached the ear")
    over = len(report.received) - (placed[-1].sent if placed else 0)
    if over:
        faults.append(f"{over} bytes more than the model said" if over > 0 else f"{-over} bytes were never sent")
    return faults


def _no_errors(name: str, errors: list[str]) -> Check:
    return Check(name, not errors, f"{len(errors)} errors" + (f", first: {errors[0]}" if errors else ""))


def _sizes(report: CallReport) -> Check:
    wrong = report.wrong_sizes
    return Check(
        "every frame is 160 bytes",
        bool(report.frames) and not wrong,
        f"{len(report.frames)} frames, {len(wrong)} wrong",
    )


def _spacing(report: CallReport) -> Check:
    spacing = report.spacing()
    holds = not math.isnan(spacing.min_ms) and spacing.min_ms >= FRAME_SPACING_MS
    return Check(
        "no two frames closer than 18 ms", holds, f"closest {spacing.min_ms:.2f} ms, p99 {spacing.p99_ms:.1f} ms"
    )


def _gaps(report: CallReport, followed: Followed | None) -> Check:
    left_out_ms = followed.left_out_ms if followed is not None else {}
    gaps = report.gaps(left_out_ms=left_out_ms)
    longest = max((gap.length_ms for gap in report.gaps(0, left_out_ms)), default=0.0)
    return Check(
        f"no gap over {GAP_MS:.0f} ms inside a response",
        not gaps,
        f"{len(gaps)} gaps, longest silence {longest:.0f} ms",
    )


def _interruptions(report: CallReport) -> Check:
    found = report.interruptions()
    worst = max((each.latency_ms for each in found), default=math.nan)
    holds = bool(found) and worst < SILENCED_MS
    return Check(f"interrupted, silent within {SILENCED_MS:.0f} ms", holds, f"{worst:.0f} ms")


def _heard(report: CallReport, items: Iterable[Spoken]) -> Check:
    faults = compare_audio(report, items)
    return Check("heard as said, byte for byte", not faults, "; ".join(faults) or f"{len(report.received)} bytes")


def _followed(report: CallReport, followed: Followed) -> Check:
    """The caller got what the model said, all but silence."""
    left_out_s = sum(followed.left_out_ms.values()) / 1000
    measured = f"{len(report.received)} bytes, {left_out_s:.1f} s of silence left out"
    return Check("heard as said, byte for byte", not followed.faults, "; ".join(followed.faults) or measured)


def _books(record: Mapping[str, Any] | None, tool: str | None) -> list[Check]:
    if record is None:
        return [Check("the node wrote a record", False, "no record")]
    books, pacing = record["accounting"], record["pacing"]
    frames_in, forwarded, dropped = books["frames_in"], books["forwarded"], books["dropped"]
    exact = frames_in == forwarded + dropped and dropped == sum(books["by_reason"].values())
    calls = [call["outcome"] for call in record["tools"] if call["name"] == tool]
    called = f"called {len(calls)} times: {', '.join(calls) or 'never'}"
    resets = pacing["tx_schedule_resets"]
    return [
        *([Check("the tool was called once", calls == ["ok"], called)] if tool is not None else []),
        Check("every caller frame accounted for", exact, f"{frames_in} = {forwarded} forwarded + {dropped} dropped"),
        Check(
            "pacing schedule never reset",
            resets == 0,
            f"{resets} resets, {pacing['tx_late_frames']} late frames",
        ),
    ]


def _log(log: str) -> Check:
    bad = [log[found.start() :].partition("\n")[0] for found in _BAD_LINE.finditer(log)]
    bad = [line for line in bad if "[BOOT]" not in line]  # advice on settings and agent: the call is not at fault
    return Check("no warning in the log", not bad, f"{len(bad)} lines" + (f", first: {bad[0]}" if bad else ""))
