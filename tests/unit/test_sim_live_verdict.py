"""A stream against what was received of it: each fault on a call with exactly that fault."""

from dataclasses import replace

import pytest

from fastbridge.sim.carrier import Clear, Span
from fastbridge.sim.live_verdict import Followed, follow
from fastbridge.sim.report import CallReport

SILENT = b"\xff" * 160
SOFT = b"\xee" * 160
"""Of -54 dBFS or so."""


def loud(number: int) -> bytes:
    """A frame that is like no other."""
    return bytes([0x10 + number]) * 160


def report_of(received: bytes, clears: tuple[Clear, ...] = ()) -> CallReport:
    """A call that played everything that no clear took back."""
    spans, heard, position = list[Span](), b"", 0
    for start, end in [*((clear.start, clear.end) for clear in clears), (len(received), len(received))]:
        spans.append(Span(position, len(heard), start - position))
        heard += received[position:start]
        position = end
    return CallReport("CA", heard=heard, received=received, spans=spans, clears=list(clears))


FIRST = b"".join(loud(number) for number in range(4))
SECOND = b"".join(loud(number) for number in range(4, 8))
STREAM = SILENT * 5 + FIRST + SOFT * 20 + SECOND + SILENT * 10
RECEIVED = SILENT * 2 + FIRST + SOFT * 3 + SECOND + SILENT


def test_what_is_left_out_is_silence_and_where_it_would_have_stood_is_known() -> None:
    followed = follow(report_of(RECEIVED), STREAM)
    assert followed == Followed([], 43 * 20.0, {320: 60.0, 1440: 340.0, len(RECEIVED): 180.0}, {})


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        (RECEIVED.replace(loud(2), b""), "20 ms of speech were left out"),
        (RECEIVED.replace(SECOND, b""), "80 ms of speech were left out"),
        (RECEIVED.replace(loud(1), loud(1) * 2), "from byte 640 on it is not what the model said"),
        (RECEIVED.replace(loud(5), loud(5)[:-1] + b"\x00"), "from byte 1600 on it is not what the model said"),
        (RECEIVED.replace(loud(0) + loud(1), loud(1) + loud(0)), "from byte 480 on it is not what the model said"),
        (RECEIVED + SILENT * 40, "is not what the model said"),
    ],
    ids=["a frame lost", "an utterance lost", "twice", "altered", "out of order", "more"],
)
def test_anything_else_is_a_fault(received: bytes, fault: str) -> None:
    assert any(fault in each for each in follow(report_of(received), STREAM).faults)


def interrupted(rest_frames: int) -> tuple[CallReport, bytes]:
    """Three frames of the first were sent, of which one was taken back; of the rest the model said so many more."""
    rest = b"".join(bytes([0x30 + number % 16]) * 160 for number in range(rest_frames))
    stream = SILENT + FIRST[:480] + rest[:160] + SOFT + rest[160:] + SILENT * 30 + SECOND
    received = SILENT + FIRST[:480] + SECOND
    return report_of(received, (Clear(100.0, 480, 640),)), stream


def test_the_rest_of_what_was_interrupted_may_be_missing() -> None:
    report, stream = interrupted(5)
    followed = follow(report, stream)
    assert followed.faults == []
    assert [(at, len(audio)) for at, audio in followed.refused.items()] == [(640, 6 * 160)]
    assert follow(replace(report, clears=[]), stream).faults != []


def test_a_rest_that_is_too_long_is_a_fault() -> None:
    assert follow(*interrupted(100)).faults == []
    assert follow(*interrupted(101)).faults == ["2020 ms were refused after an interruption"]


def test_what_was_sent_and_never_played_is_a_fault() -> None:
    report = report_of(RECEIVED)
    assert follow(replace(report, heard=report.heard[:800] + SILENT * 20), STREAM).faults == [
        "not all of it reached the ear"
    ]
