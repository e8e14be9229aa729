"""The measures of a call, on made-up calls played through a CarrierStream on a virtual clock."""

import base64
import json
import math

import pytest

from fastbridge.sim.carrier import CarrierStream, Frame
from fastbridge.sim.report import CallReport, Gap, Interruption

LOUD = b"\x10" * 160
QUIET = b"\xff" * 160
VOICE = b"\x90" * 160
STREAM = "MZ" + "3" * 32


class Call:
    """A call on a virtual clock that starts at 5000 ms: the server's messages at given times, the caller's frames."""

    def __init__(self) -> None:
        self.carrier = CarrierStream(call_sid="CA", account_sid="AC", stream_sid=STREAM, start_ms=5000)
        self.carrier.start_messages()
        self.due: list[tuple[float, str]] = []

    def send(self, at_ms: float, event: str, **fields: object) -> None:
        self.due.append((5000 + at_ms, json.dumps({"event": event, "streamSid": STREAM, **fields})))

    def audio(self, at_ms: float, frames: int, audio: bytes = VOICE, mark: str = "") -> None:
        """Frames that arrive together, in time to be played from `at_ms` on."""
        for _ in range(frames):
            self.send(at_ms - 1, "media", media={"payload": base64.b64encode(audio).decode()})
        if mark:
            self.send(at_ms - 1, "mark", mark={"name": mark})

    def report(self, said: list[bytes]) -> CallReport:
        for tick, frame in enumerate(said):
            now_ms = 5000 + tick * 20
            while self.due and self.due[0][0] <= now_ms:
                at_ms, message = self.due.pop(0)
                self.carrier.receive(message, at_ms)
            self.carrier.poll(now_ms)
            self.carrier.media(frame)
        report = CallReport("CA")
        report.take(self.carrier)
        return report


def test_times_count_from_the_start_of_the_stream() -> None:
    call = Call()
    call.audio(31, 1, mark="0:item_a:20")
    call.send(90, "clear")
    report = call.report([QUIET] * 10)
    assert report.frames == [Frame(30, 160, 0)]
    assert report.clears[0].arrived_ms == 90
    assert (report.marks[0].arrived_ms, report.marks[0].echoed_ms) == (30, 60)
    assert report.duration_ms == 200
    assert report.errors == []


def test_frames_that_are_not_160_bytes_are_named() -> None:
    call = Call()
    call.audio(0, 1)
    call.audio(20, 1, VOICE[:80])
    assert call.report([QUIET] * 3).wrong_sizes == [80]


def test_spacing_is_between_arrivals_and_pauses_do_not_count_as_late() -> None:
    report = CallReport("CA", frames=[Frame(at, 160, 0) for at in (0, 18, 38, 58, 2000, 2019)])
    spacing = report.spacing()
    assert (spacing.min_ms, spacing.max_ms) == (18, 20)
    assert spacing.p50_ms == pytest.approx(19.5)


def test_frames_delivered_together_share_their_interval() -> None:
    report = CallReport("CA", frames=[Frame(at, 160, 0) for at in (0, 36.5, 36.5, 50)])
    assert report.intervals() == [(36.5, 18.25), (36.5, 18.25), (50, 13.5)]
    assert report.spacing().min_ms == 13.5


def test_spacing_of_no_frames_is_not_a_number() -> None:
    assert math.isnan(CallReport("CA").spacing().min_ms)
    assert math.isnan(CallReport("CA", frames=[Frame(0, 160, 0)]).spacing().max_ms)


def test_a_gap_inside_an_item_is_found_by_its_marks() -> None:
    call = Call()
    call.audio(0, 2)
    call.audio(2000, 2, mark="0:item_a:80")
    assert call.report([QUIET] * 120).gaps() == [Gap(40, 1960)]


def test_a_pause_between_two_items_is_no_gap() -> None:
    call = Call()
    call.audio(0, 2, mark="0:item_a:40")
    call.audio(300, 2, mark="0:item_b:40")
    assert call.report([QUIET] * 30).gaps() == []


def test_without_telling_marks_a_short_pause_is_a_gap_and_a_long_one_is_none() -> None:
    call = Call()
    call.audio(0, 2, mark="greeting")
    call.audio(300, 2)
    call.audio(2000, 2)
    assert call.report([QUIET] * 110).gaps() == [Gap(40, 260)]


def test_40_ms_are_allowed() -> None:
    call = Call()
    call.audio(0, 2)
    call.audio(80, 2, mark="0:item_a:80")
    report = call.report([QUIET] * 10)
    assert report.gaps() == []
    assert report.gaps(over_ms=39) == [Gap(40, 40)]


def test_silence_that_was_left_out_before_a_position_is_no_gap() -> None:
    call = Call()
    call.audio(0, 2)
    call.audio(200, 2, mark="0:item_a:80")
    report = call.report([QUIET] * 20)
    assert report.gaps(left_out_ms={320: 120.0}) == []
    assert report.gaps(left_out_ms={320: 100.0}) == [Gap(40, 60)]
    assert report.gaps(left_out_ms={160: 200.0}) == report.gaps() == [Gap(40, 160)]


def test_what_was_played_was_played_unchanged() -> None:
    call = Call()
    call.audio(0, 2)
    call.audio(200, 2)
    report = call.report([QUIET] * 20)
    assert report.played(0, 640)
    report.heard = report.heard[:1700] + b"\x00" + report.heard[1701:]
    assert report.played(0, 320)
    assert not report.played(0, 640)
    assert not report.played(0, 641)


def test_silence_after_clear_is_no_gap() -> None:
    call = Call()
    call.audio(0, 10)
    call.send(50, "clear")
    call.audio(300, 2, mark="1:item_a:40")
    assert call.report([QUIET] * 30).gaps() == []


def test_interruption_is_measured_from_the_fifth_loud_frame_to_the_last_audible_sample() -> None:
    call = Call()
    call.audio(0, 60)
    call.send(325, "clear")
    report = call.report([QUIET] * 10 + [LOUD] * 20)
    [interruption] = report.interruptions()
    assert interruption == Interruption(at_ms=200, fifth_loud_ms=280, silent_ms=340)
    assert interruption.latency_ms == 60


def test_four_loud_frames_are_no_interruption() -> None:
    call = Call()
    call.audio(0, 60)
    assert call.report(([QUIET] * 3 + [LOUD] * 4) * 5).interruptions() == []


def test_speaking_while_nothing_is_played_is_no_interruption() -> None:
    call = Call()
    call.audio(0, 5)
    assert call.report([QUIET] * 6 + [LOUD] * 20).interruptions() == []


def test_an_assistant_that_goes_on_is_measured_to_its_end() -> None:
    call = Call()
    call.audio(0, 40, mark="0:item_a:800")
    call.audio(900, 10)
    [interruption] = call.report([QUIET] * 5 + [LOUD] * 60).interruptions()
    assert interruption.silent_ms == 1100  # the dry 100 ms between count as the same utterance
    assert interruption.latency_ms == 1100 - 180


def test_the_answer_to_an_interruption_is_another_utterance() -> None:
    call = Call()
    call.audio(0, 60)
    call.send(301, "clear")
    call.audio(400, 10)
    [first, second] = call.report([QUIET] * 10 + [LOUD] * 8 + [QUIET] * 4 + [LOUD] * 10).interruptions()
    assert (first.silent_ms, second.fifth_loud_ms, second.silent_ms) == (320, 520, 600)


def test_a_silence_in_what_is_played_is_not_audible() -> None:
    call = Call()
    call.audio(0, 10)
    call.audio(0, 10, QUIET)
    [interruption] = call.report([QUIET] * 3 + [LOUD] * 30).interruptions()
    assert interruption.silent_ms == 200
    assert Interruption(0, 80, 60).latency_ms == 0
