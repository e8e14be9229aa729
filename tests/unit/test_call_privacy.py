"""fastbridge.call.privacy: what is private is so at once, for everybody, until it is over; and it ends."""

import logging

import pytest

from fastbridge._caller import AUDIO_GUARD
from fastbridge.call.privacy import ASK_SECONDS, TAIL_SECONDS
from fastbridge.model.instructions import PRIVATE, PRIVATE_OVER
from helpers import LOUD, QUIET, numbered_frame
from recorders import CarrierFake, RecordedRig

SECOND = bytes(0x50 + n % 48 for n in range(160)) * 50


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level(logging.INFO, "fastbridge.events")


@pytest.fixture
def rig():
    rig = RecordedRig("").up()
    yield rig
    rig.shut()


def test_the_model_hears_silence_and_hears_again_when_it_is_over(rig):
    rig.caller_says(numbered_frame(1))
    assert rig.enter() == [True]
    rig.caller_says(numbered_frame(2), numbered_frame(3))
    rig.leave()
    rig.advance(TAIL_SECONDS + 0.02)
    rig.caller_says(numbered_frame(4))
    heard = rig.uplink
    assert numbered_frame(1) in heard
    assert numbered_frame(4) in heard
    assert numbered_frame(2) not in heard
    assert numbered_frame(3) not in heard
    assert len(heard) == 160 * rig.call.caller.frames_in  # no time is lost
    assert rig.call.caller.outcomes[AUDIO_GUARD] == 2 + 25


def test_the_model_is_told_to_wait_and_that_it_is_over(rig):
    rig.enter()
    assert rig.notes == [("system", PRIVATE)]
    rig.leave()
    assert rig.notes == [("system", PRIVATE), ("system", PRIVATE_OVER)]


def test_a_session_that_comes_meanwhile_is_told_too(rig):
    rig.enter()
    rig.lose_model()
    rig.advance(1)
    rig.connect()
    rig.open_session(2)
    assert rig.notes == [("system", PRIVATE)] * 2


def test_it_goes_on_until_the_last_one_has_left(rig):
    assert rig.enter(ticket="outer") == [True]
    assert rig.enter(ticket="inner") == [True]
    rig.leave("inner")
    rig.advance(2)
    assert rig.call.facts.private
    rig.leave("outer")
    rig.leave("outer")
    rig.leave("a stranger")
    rig.advance(TAIL_SECONDS + 0.1)
    assert not rig.call.facts.private
    assert rig.call.stats.private_stretches == 1


def test_who_comes_back_at_once_finds_it_private_still(rig):
    rig.enter()
    rig.leave()
    rig.advance(TAIL_SECONDS / 2)
    assert rig.enter(ticket="again") == [True]
    rig.advance(2)
    assert rig.call.facts.private
    assert [text for _, text in rig.notes] == [PRIVATE, PRIVATE_OVER, PRIVATE]


def test_what_nobody_ends_is_ended(rig, caplog):
    rig.enter(5.0)
    rig.advance(5.1)
    assert rig.call.facts.private
    rig.advance(TAIL_SECONDS)
    assert not rig.call.facts.private
    rig.leave()
    assert "[PRIVATE] it was not ended in time, and is over" in caplog.text
    assert rig.enter() == [True]


def test_the_longest_wish_counts(rig):
    rig.enter(5.0, "short")
    rig.enter(20.0, "long")
    rig.advance(10)
    assert rig.call.facts.private
    rig.advance(11)
    assert not rig.call.facts.private


def test_a_call_that_ends_meanwhile_ends_it(rig):
    rig.enter()
    rig.advance(2)
    rig.do(rig.call.close, "shutdown")
    assert rig.call.document["private"] == {"stretches": 1, "ms": 2000}
    assert rig.enter(ticket="later") == [True]  # harmless: nobody hears anything any more
    rig.leave("later")


class TestNobodyElse:
    def test_what_is_written_down_of_it_is_blank(self, rig, caplog):
        caplog.set_level(logging.DEBUG, "fastbridge.events")
        told = []
        rig.call.hooks.agent.hooks["on_transcript"] = lambda turn: told.append(turn.text)
        rig.enter()
        rig.caller_turn("my code is 4711")
        rig.respond(SECOND, text="Thanks: 4711.")
        rig.advance(2)
        rig.echo_marks()
        rig.leave()
        rig.advance(1)
        rig.caller_turn("And now?", "item_later")
        rig.advance(1)
        rig.do(rig.call.close, "shutdown")
        assert [turn["text"] for turn in rig.call.document["turns"]] == ["(private)", "(private)", "And now?"]
        rig.loop.advance(0.1)
        assert told == ["(private)", "(private)", "And now?"]
        assert "4711" not in caplog.text
        assert "And now?" in caplog.text

    def test_pieces_of_words_are_not_shown(self, caplog):
        rig = RecordedRig("", log_transcript_deltas=True, log_realtime_events=True, log_transcripts=True).up()
        rig.enter()
        rig.begin("resp_1", "item_1")
        kind = "response.output_audio_transcript.delta"
        rig.model({"type": kind, "response_id": "resp_1", "item_id": "item_1", "delta": "4711"})
        rig.done("resp_1")
        assert "4711" not in caplog.text
        rig.shut()

    def test_the_authors_own_lines_are_blank(self, rig, caplog):
        rig.enter()
        rig.call.log.own("PAY", "the card is 4711", card="4711")
        assert "[PAY] (private)" in caplog.text
        assert "4711" not in caplog.text
        rig.leave()
        rig.advance(1)
        rig.call.log.own("PAY", "paid 4711")
        assert "[PAY] paid 4711" in caplog.text

    def test_nobody_interrupts_or_is_asked_whether_he_is_there(self):
        rig = RecordedRig("", silence_seconds=5.0).up()
        rig.enter()
        rig.respond(SECOND * 3)
        rig.caller_says(*[LOUD] * 50)
        rig.caller_says(*[QUIET] * 500)
        assert rig.call.stats.barge_ins == []
        assert rig.call.stats.silences == 0
        rig.leave()
        rig.advance(8)
        assert rig.call.stats.silences == 1
        rig.shut()


class TestTheCarriersRecording:
    def test_it_is_private_once_that_has_paused(self):
        rig = RecordedRig("carrier", recorder=CarrierFake(seconds=0.5)).up()
        rig.advance(1)
        told = rig.enter()
        assert told == []
        rig.caller_says(numbered_frame(7))
        assert numbered_frame(7) not in rig.uplink
        rig.advance(0.5)
        assert told == [True]
        assert rig.recorder.state == "paused"
        rig.leave()
        rig.advance(2)
        assert rig.recorder.state == "recording"
        rig.shut()

    def test_it_is_not_private_where_that_does_not(self, caplog):
        rig = RecordedRig("carrier").up()
        rig.recorder.changes = [False]
        told = rig.enter()
        rig.advance(0.1)
        assert told == [False]
        rig.leave()
        rig.advance(2)
        rig.caller_says(numbered_frame(9))
        assert numbered_frame(9) in rig.uplink
        assert "[PRIVATE] not private, why=the carrier did not pause its recording" in caplog.text
        assert rig.enter() == []
        rig.shut()

    def test_or_does_not_answer(self, caplog):
        rig = RecordedRig("carrier").up()
        rig.advance(0.1)
        rig.recorder.seconds = 100.0
        told = rig.enter()
        others = rig.enter(ticket="another")
        rig.advance(ASK_SECONDS - 1.5)
        assert told == []
        rig.advance(2)
        assert (told, others) == ([False], [False])
        rig.shut()

    def test_a_call_that_ends_before_the_answer_lets_nobody_wait(self):
        rig = RecordedRig("carrier", recorder=CarrierFake(seconds=3.0)).up()
        told = rig.enter()
        rig.do(rig.call.close, "shutdown")
        assert told == [True]
        rig.shut()
