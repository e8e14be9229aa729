"""Each invariant of a call holds on a good one and fails on a call with exactly that fault."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from fastbridge.sim.carrier import Clear, Frame, Mark, Span
from fastbridge.sim.live_verdict import Followed
from fastbridge.sim.report import CallReport
from fastbridge.sim.verdict import Check, compare_audio, judge, place

FIRST = bytes(range(1, 128)) * 40  # 5080 bytes: 31 frames and 120 bytes of the next
SECOND = bytes(range(128, 255)) * 40
LOUD = b"\x10" * 160


@dataclass
class Item:
    id: str
    audio: bytearray
    role: str | None = "assistant"
    audio_end_ms: int | None = None


@dataclass
class Run:
    """A call in which the first item is played whole and the second is interrupted; `faults` may change anything."""

    report: CallReport
    items: list[Item]
    model_errors: list[str] = field(default_factory=list)
    record: dict[str, Any] | None = None
    followed: Followed | None = None
    log: str = "[2026-11-20 13:59:03] INFO     [call] [CALL_END] duration=3s, reason=an ERROR in words\n"

    def failed(self) -> list[str]:
        return [check.name for check in self.checks() if not check.holds]

    def checks(self) -> list[Check]:
        return judge(
            self.report,
            items=self.items,
            model_errors=self.model_errors,
            record=self.record,
            log=self.log,
            tool="check_availability",
            followed=self.followed,
        )


@pytest.fixture
def run() -> Run:
    padded = FIRST + b"\xff" * 40
    received = padded + SECOND[:3200]
    report = CallReport(
        "CA",
        said=b"\xff" * 160 * 44 + LOUD * 10 + b"\xff" * 160 * 16,
        heard=padded + b"\xff" * 1600 + SECOND[:1760] + b"\xff" * 160 * 11,
        received=received,
        frames=[Frame(n * 19.0, 160, n * 160) for n in range(len(received) // 160)],
        spans=[Span(0, 0, 5120), Span(5120, 6720, 1760)],
        marks=[Mark("0:first:635", 5120, 600, 640), Mark("0:second:160", 6400, 830, 1000)],
        clears=[Clear(1050, 6880, 8320)],
        ended_by="caller",
    )
    record = {
        "accounting": {"frames_in": 100, "forwarded": 90, "dropped": 10, "by_reason": {"greeting_lock": 10}},
        "pacing": {"tx_schedule_resets": 0, "tx_late_frames": 2},
        "tools": [{"name": "check_availability", "outcome": "ok"}],
    }
    items = [
        Item("user", bytearray(b"\x01"), "user"),
        Item("first", bytearray(FIRST)),
        Item("second", bytearray(SECOND)),
    ]
    return Run(report, items, record=record)


def test_of_a_stream_what_was_heard_is_judged_by_the_stream(run: Run) -> None:
    run.items = []
    assert run.failed() == ["heard as said, byte for byte"]
    run.followed = Followed([], 1000.0, {}, {})
    assert run.failed() == []
    run.followed = Followed(["20 ms of speech were left out"], 1000.0, {}, {})
    assert run.failed() == ["heard as said, byte for byte"]


def test_a_good_call_passes_every_check(run: Run) -> None:
    assert run.failed() == []
    assert len(run.checks()) == 12


def test_errors_of_either_side_fail(run: Run) -> None:
    run.report.errors = ["31951 unknown event"]
    run.model_errors = ["session 0: invalid_value"]
    assert run.failed() == ["Twilio accepted everything", "the model accepted everything"]


def test_a_call_the_caller_did_not_end_fails(run: Run) -> None:
    run.report.ended_by = "server"
    assert run.failed() == ["the caller ended the call"]


def test_a_frame_of_another_size_fails(run: Run) -> None:
    run.report.frames[3] = run.report.frames[3]._replace(size_bytes=320)
    assert run.failed() == ["every frame is 160 bytes"]


def test_two_frames_too_close_fail(run: Run) -> None:
    run.report.frames[3] = run.report.frames[3]._replace(arrived_ms=3 * 19.0 + 1.1)
    assert run.failed() == ["no two frames closer than 18 ms"]


def test_18_ms_are_allowed(run: Run) -> None:
    run.report.frames[3] = run.report.frames[3]._replace(arrived_ms=3 * 19.0 + 1.0)
    assert run.failed() == []


def test_a_gap_inside_a_response_fails(run: Run) -> None:
    heard = bytes(FIRST[:1600]) + b"\xff" * 480 + FIRST[1600:] + b"\xff" * 40 + b"\xff" * 1120
    run.report.heard = heard + run.report.heard[6720:]
    run.report.spans = [Span(0, 0, 1600), Span(1600, 2080, 3520), Span(5120, 6720, 1760)]
    assert "no gap over 40 ms inside a response" in run.failed()


def test_an_assistant_that_talks_on_fails(run: Run) -> None:
    run.report.said = LOUD * 5 + b"\xff" * 160 * 65
    assert run.failed() == ["interrupted, silent within 200 ms"]


def test_a_call_without_an_interruption_fails(run: Run) -> None:
    run.report.said = b"\xff" * 160 * 70
    assert run.failed() == ["interrupted, silent within 200 ms"]


def test_a_changed_byte_on_the_way_fails(run: Run) -> None:
    run.items[1].audio[700] ^= 1
    assert run.failed() == ["heard as said, byte for byte"]
    assert compare_audio(run.report, run.items) == ["first: sent audio differs from the model's"]


def test_a_changed_byte_in_an_interrupted_item_fails(run: Run) -> None:
    run.items[2].audio[3199] ^= 1
    assert compare_audio(run.report, run.items) == ["second: sent audio differs from the model's"]
    run.items[2].audio[3199] ^= 1
    run.items[2].audio[3200] ^= 1  # never sent: nobody can tell
    assert compare_audio(run.report, run.items) == []


def test_audio_that_was_sent_and_not_heard_fails(run: Run) -> None:
    run.report.spans[0] = Span(0, 0, 4960)
    assert compare_audio(run.report, run.items) == ["first: not all of it reached the ear"]


def test_audio_too_much_or_too_little_fails(run: Run) -> None:
    run.report.received += b"\x00" * 160
    assert compare_audio(run.report, run.items) == ["160 bytes more than the model said"]
    run.items.append(Item("third", bytearray(b"\x22" * 480)))
    assert compare_audio(run.report, run.items)[0] == "third: sent audio differs from the model's"


def test_padding_is_silence_and_nothing_else(run: Run) -> None:
    run.report.received = run.report.received[:5080] + b"\x00" * 40 + run.report.received[5120:]
    assert "first: sent audio differs from the model's" in compare_audio(run.report, run.items)


def test_what_was_never_heard_of_an_item_is_known(run: Run) -> None:
    first, second = place(run.report, run.items)
    assert first.unheard == b""
    assert second.unheard == SECOND[1760:]


@pytest.mark.parametrize("outcomes", [[], ["ok", "ok"], ["timeout"]])
def test_a_tool_not_called_once_with_success_fails(run: Run, outcomes: list[str]) -> None:
    assert run.record is not None
    run.record["tools"] = [{"name": "check_availability", "outcome": outcome} for outcome in outcomes]
    assert run.failed() == ["the tool was called once"]


@pytest.mark.parametrize("change", [{"forwarded": 89}, {"dropped": 11}, {"by_reason": {"other": 9}}])
def test_books_that_do_not_balance_fail(run: Run, change: dict[str, Any]) -> None:
    assert run.record is not None
    run.record["accounting"].update(change)
    assert run.failed() == ["every caller frame accounted for"]


def test_a_schedule_that_was_reset_fails(run: Run) -> None:
    assert run.record is not None
    run.record["pacing"]["tx_schedule_resets"] = 1
    assert run.failed() == ["pacing schedule never reset"]


def test_no_record_fails(run: Run) -> None:
    run.record = None
    assert run.failed() == ["the node wrote a record"]


def test_advice_of_the_start_is_no_fault_of_the_call(run: Run) -> None:
    run.log += "[2026-11-20 13:59:04] WARNING  [cli] [BOOT] my_agent.py, line 6: tool 't' has no docstring\n"
    assert run.failed() == []


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-20 13:59:04] WARNING  [webhooks] [SLA] TwiML too slow: 313ms > 200ms",
        "[2026-11-20 13:59:04] ERROR    [call] [SERVER_ERROR] x",
        "Traceback (most recent call last):",
        "ResourceWarning: unclosed socket",
    ],
)
def test_a_warning_in_the_log_fails(run: Run, line: str) -> None:
    run.log += line + "\n"
    assert run.failed() == ["no warning in the log"]
    assert line in run.checks()[-1].measured


def test_a_call_without_tool_and_interruption_is_not_asked_for_them(run: Run) -> None:
    left_out = {"interrupted, silent within 200 ms", "the tool was called once"}
    checks = judge(run.report, items=run.items, model_errors=[], record=run.record, log=run.log, tool=None)
    assert {check.name for check in run.checks()} - {check.name for check in checks} == left_out
    assert all(check.holds for check in checks)
