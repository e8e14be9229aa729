"""fastbridge.call.local_recording: what was said and heard is on the tape, from when it may be, and nothing private."""

import pytest

from fastbridge.agent import Agent, CallContext
from fastbridge.call.local_recording import PIECE_SECONDS
from helpers import LOUD, QUIET, numbered_frame
from recorders import MemoryRecorder, RecordedRig

SECOND = b"".join(numbered_frame(number) for number in range(100, 150))
SILENCE = bytes([0xFF])


@pytest.fixture
def rig():
    rig = RecordedRig("local").up()
    yield rig
    rig.shut()


def closed(rig: RecordedRig) -> MemoryRecorder:
    rig.do(rig.call.close, "shutdown")
    assert [reel.finished for reel in rig.local.reels] == [True]
    return rig.local


def sounds(track: bytes) -> bytes:
    return track.replace(SILENCE, b"")


def test_left_is_the_caller_and_right_the_assistant_each_in_its_time(rig):
    rig.caller_says(*map(numbered_frame, range(1, 6)))
    rig.respond(SECOND)
    rig.caller_says(*[QUIET] * 100)
    local = closed(rig)
    assert local.left[: 160 * 4] == b"".join(map(numbered_frame, range(2, 6)))  # the first was said before it began
    at = local.right.index(SECOND[:160])
    assert local.right[at : at + 8000] == SECOND
    assert 800 <= at <= 1000  # it began to leave when the caller had been there for 100 ms
    assert len(local.left) == len(local.right) == 8 * 2100
    document = rig.call.document["recording"]
    assert document == {
        "file": local.reels[0].name, "seconds": 2.1, "began_ms": 0, "frames": 154, "dropped_frames": 0,
        "private_frames": 0, "peak_ms": document["peak_ms"],
    }  # fmt: skip


def test_what_an_interruption_cut_off_was_not_heard(rig):
    rig.respond(SECOND * 3)
    rig.caller_says(*[QUIET] * 40)
    rig.caller_says(*[LOUD] * 30)
    assert rig.call.stats.barge_ins[-1].outcome == "committed"
    rig.caller_says(*[QUIET] * 50)
    heard = rig.call.assistant.items()[-1][2]
    right = sounds(closed(rig).right)
    assert len(right) <= len(sounds(SECOND * 3))
    assert right == sounds((SECOND * 3)[: len(right) + 160 * 3])[: len(right)]
    assert 700 < heard < 1200
    assert abs(len(right) - len(sounds((SECOND * 3)[: 8 * heard]))) <= 160


def test_what_was_held_and_resumed_is_heard_once(rig):
    rig.respond(SECOND * 2)
    rig.caller_says(*[QUIET] * 25)
    rig.caller_says(*[LOUD] * 6)
    rig.caller_says(*[QUIET] * 140)
    assert rig.call.stats.barge_ins[-1].outcome == "resumed"
    right = sounds(closed(rig).right)
    whole = sounds(SECOND * 2)
    assert right.startswith(whole[:3000])
    assert right.endswith(whole[-3000:])
    assert 0 <= len(right) - len(whole) <= 160  # from the frame that was cut off


def test_what_the_caller_did_not_hear_at_the_end_is_not_on_it(rig):
    rig.respond(SECOND * 3)
    rig.advance(1)
    right = closed(rig).right
    assert len(right) == 8000
    assert len(sounds(right)) <= 8000


def test_pieces_are_handed_on_while_the_call_lasts(rig):
    rig.advance(PIECE_SECONDS + 3)
    assert 2 * 8000 * PIECE_SECONDS <= len(rig.local.reels[0].audio) < 2 * 8000 * (PIECE_SECONDS + 1)
    rig.advance(20)
    assert rig.call.local_recording._tape.peak_bytes < 8000 * 8


def test_while_there_is_no_room_it_is_kept_and_then_dropped_in_its_place(rig):
    rig.local.reels[0].has_room = False
    rig.caller_says(*[numbered_frame(1)] * 1000)  # 20 s, and the tape has room for 16
    rig.local.reels[0].has_room = True
    rig.caller_says(*[numbered_frame(2)] * 400)
    left = closed(rig).left
    assert len(left) == 28 * 8000
    assert left[: 16 * 8000] == numbered_frame(1) * 800
    assert left.endswith(numbered_frame(2) * 350 + SILENCE * 160)
    document = rig.call.document["recording"]
    assert 190 <= document["dropped_frames"] <= 260
    assert document["peak_ms"] == 16_380


def test_a_recording_that_cannot_be_written_costs_its_call_nothing(rig):
    rig.local.reels[0].failed = True
    rig.advance(10)
    rig.do(rig.call.close, "shutdown")
    assert rig.call.document["recording"]["file"] is None


def test_whether_there_still_is_a_file_is_looked_at_each_second(rig):
    """So that a record names none that was taken away in mid-call."""
    before = rig.local.reels[0].looks
    rig.advance(20)
    assert 12 <= rig.local.reels[0].looks - before <= 20, "and with each piece that is written"


def test_without_a_folder_it_is_one_sentence(caplog):
    rig = RecordedRig("local", has_recorder=False).up()
    rig.advance(10)
    rig.shut()
    assert caplog.text.count("[RECORDING_SERVICE] the call is not recorded") == 1
    assert rig.call.document["recording"] is None


def test_a_call_that_is_not_to_be_recorded_is_not():
    for mode in ("", "carrier", "after_consent"):
        rig = RecordedRig(mode).up()
        rig.do(rig.call.consent)
        rig.advance(1)
        rig.shut()
        assert rig.local.reels == []
        assert rig.call.document["recording"] is None


class TestConsent:
    def test_nothing_is_on_it_before(self):
        rig = RecordedRig("local_after_consent").up()
        rig.caller_says(*[numbered_frame(1)] * 50)
        rig.respond(SECOND)
        rig.advance(0.5)
        assert rig.local.reels == []
        rig.do(rig.call.consent)
        rig.do(rig.call.consent)
        rig.caller_says(*[numbered_frame(2)] * 50)
        local = closed(rig)
        assert numbered_frame(1) not in local.left
        assert local.left == numbered_frame(2) * 49 + SILENCE * 160
        assert len(local.reels) == 1
        assert rig.call.document["consent_ms"] == rig.call.document["recording"]["began_ms"] == 1500
        rig.shut()

    def test_in_private_it_begins_silent(self):
        rig = RecordedRig("local_after_consent").up()
        rig.enter()
        rig.do(rig.call.consent)
        rig.caller_says(*[numbered_frame(1)] * 50)
        rig.leave()
        rig.caller_says(*[numbered_frame(1)] * 25)
        rig.caller_says(*[numbered_frame(2)] * 50)
        left = closed(rig).left
        assert numbered_frame(1) not in left
        assert left.count(numbered_frame(2)) == 49
        rig.shut()

    def test_the_agent_that_on_call_makes_decides(self):
        agent = Agent()

        @agent.on_call
        async def look_up(context: CallContext) -> Agent:
            return context.agent.changed(record="local" if context.from_number == "+14155550100" else "")

        rig = RecordedRig("", agent=agent).up()
        rig.advance(1)
        assert len(rig.local.reels) == 1
        rig.shut()


class TestPrivate:
    def test_both_sides_are_silent(self, rig):
        rig.respond(SECOND * 4)
        rig.caller_says(*[numbered_frame(1)] * 50)
        rig.enter()
        rig.caller_says(*[numbered_frame(2)] * 50)
        rig.leave()
        rig.caller_says(*[numbered_frame(2)] * 25)
        rig.caller_says(*[numbered_frame(3)] * 50)
        local = closed(rig)
        frame = SILENCE * 160
        assert local.left == numbered_frame(1) * 49 + frame * 76 + numbered_frame(3) * 49 + frame
        assert local.right[8000 : 8000 + 75 * 160] == SILENCE * (75 * 160)
        assert sounds(local.right[:8000])
        assert sounds(local.right[8000 + 90 * 160 :])
        assert rig.call.document["recording"]["private_frames"] > 100
