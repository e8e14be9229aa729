"""What became of a stream that never pauses: whether the caller got all of it but silence.

A node sends a GPT-Live model's speech and leaves out the silence around it, frame by frame, and after a `clear` the
rest of what was interrupted. So what was received must be frames of the stream, unchanged and in order; and what is
missing must be quiet, or refused. Pure.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, level_dbfs, to_frames
from fastbridge.sim.report import CallReport

QUIET_DBFS = -45.9
"""As loud as what is left out may be: below it no utterance begins."""
REFUSED_MS = 2000.0
"""So much of what was interrupted may come before the model stops."""


class Followed(NamedTuple):
    """A stream against what was received of it. `left_out_ms` is the silence that was left out, `refused` the audio
    that nobody wanted, each by the position in what was received before which it would have stood."""

    faults: list[str]
    streamed_ms: float
    left_out_ms: dict[int, float]
    refused: dict[int, bytes]


def follow(report: CallReport, stream: bytes) -> Followed:
    """stream: all that the model sent, as mu-law, in frames as the node cut them."""
    clears = {clear.end for clear in report.clears}
    left_out_ms: Counter[int] = Counter()
    refused: defaultdict[int, bytes] = defaultdict(bytes)
    lost_ms, position, quiet = 0.0, 0, b""
    frames = to_frames(stream)
    for frame in frames:
        if report.received[position : position + FRAME_BYTES] == frame:
            position, quiet = position + FRAME_BYTES, b""
        elif level_dbfs(frame) < QUIET_DBFS:
            left_out_ms[position] += FRAME_MS
            quiet += frame
        elif position in clears:
            refused[position] += quiet + frame if position in refused else frame
            quiet = b""
        else:
            lost_ms += FRAME_MS
    faults = [f"{lost_ms:.0f} ms of speech were left out"] if lost_ms else []
    if position < len(report.received):
        faults.append(f"from byte {position} on it is not what the model said")
    faults += [
        f"{loud_ms:.0f} ms were refused after an interruption"
        for each in refused.values()
        if (loud_ms := _loud_ms(each)) > REFUSED_MS
    ]
    if not _was_heard(report):
        faults.append("not all of it reached the ear")
    return Followed(faults, len(frames) * float(FRAME_MS), dict(left_out_ms), dict(refused))


def _loud_ms(audio: bytes) -> float:
    return float(FRAME_MS) * sum(level_dbfs(frame) >= QUIET_DBFS for frame in to_frames(audio))


def _was_heard(report: CallReport) -> bool:
    """Whether all was played that no `clear` took back."""
    begins = [0, *(clear.end for clear in report.clears)]
    ends = [*(clear.start for clear in report.clears), len(report.received)]
    return all(report.played(begin, end) for begin, end in zip(begins, ends, strict=True))
