"""call.transfers: what a caller and the model notice of a warm transfer, in a real call."""

import json
import logging

import pytest

from fastbridge.call.transfers import MAX_TRANSFERS
from fastbridge.carrier.port import LegTerms
from fastbridge.errors import ModelUnavailable
from fastbridge.model.instructions import HOLD_THE_LINE
from helpers import LOUD
from transfer_rig import RECEPTION, LiveTransferRig, TransferRig


@pytest.fixture
def rig():
    rig = TransferRig()
    yield rig
    rig.shut()


def test_the_human_is_called_from_the_number_that_was_called_and_told_the_brief(rig):
    assert rig.asks("x" * 400)
    call = rig.call
    assert rig.legs.terms == [
        LegTerms(call.context.account_sid, call.call_sid, RECEPTION, "+14155550123", "x" * 400, "", 25)
    ]


def test_meanwhile_the_caller_hears_the_tone_and_the_model_nothing(rig):
    rig.asks()
    heard = len(rig.uplink)
    rig.caller_says(*[LOUD] * 150)
    rig.waits(10)
    assert len(rig.uplink) == heard
    assert rig.call.transfers._tone.bars >= 4
    assert (rig.call.stats.silences, rig.call.dead_air.summary()["fillers"], rig.call.stats.barge_ins) == (0, {}, [])
    assert rig.creates == []


def test_a_model_that_hears_in_real_time_has_a_silent_line_meanwhile_and_no_more_of_it():
    """What is more would be heard late, and all that comes behind it."""
    rig = LiveTransferRig()
    rig.advance(1.0)
    before, frames = len(rig.uplink), rig.call.caller.frames_in
    assert rig.asks()
    rig.line += [LOUD] * 150
    rig.advance(3.0)
    assert len(rig.uplink) - before == 160 * (rig.call.caller.frames_in - frames)
    assert rig.uplink[before:] == b"\xff" * (len(rig.uplink) - before)
    rig.shut()


def test_one_at_a_time_and_nobody_else(rig):
    assert rig.asks()
    assert not rig.asks()
    assert not rig.do(rig.call.remote.transfer, "reception")
    assert not rig.do(rig.call.remote.transfer, "nobody", "x")
    assert len(rig.legs.terms) == 1


def test_nor_for_ever(rig):
    for _ in range(MAX_TRANSFERS):
        assert rig.asks()
        rig.told("ended", "busy")
    assert not rig.asks()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("declined", "did not take the call"),
        ("busy", "is on another call"),
        ("no_answer", "did not answer"),
        ("failed", "could not be reached"),
    ],
)
def test_the_caller_comes_back_to_a_model_that_knows_and_speaks_first(rig, outcome, words):
    rig.asks()
    rig.waits(5)
    rig.told("ended", outcome)
    assert rig.notes[-1][0] == "system"
    assert f"(reception {words}" in rig.notes[-1][1]
    assert len(rig.creates) == 1
    assert rig.entry == {"to": "reception", "outcome": outcome, "at_ms": rig.entry["at_ms"], "took_ms": 5000}
    assert rig.outcomes == [(outcome, None)]
    heard = len(rig.uplink)
    rig.caller_says(LOUD)
    assert len(rig.uplink) > heard
    assert rig.asks()


def test_who_comes_back_while_there_is_no_session_comes_back_to_one_that_knows(rig):
    rig.asks()
    rig.waits(5)
    rig.lose_model()
    rig.waits(0.1)
    rig.told("ended", "busy")
    assert rig.notes == []
    rig.waits(0.1)
    rig.connect()
    rig.open_session(2)
    assert rig.notes[0][1].startswith("(reception is on another call")
    assert len(rig.creates) == 1


def test_the_tone_is_heard_until_the_model_speaks_and_no_longer(rig):
    rig.asks()
    rig.waits(3)
    rig.told("ended", "busy")
    bars = rig.call.transfers._tone.bars
    rig.waits(3)
    assert rig.call.transfers._tone.bars > bars
    rig.begin_ours("resp_9", "item_9")
    rig.delta(LOUD * 20, "resp_9", "item_9")
    assert rig.call.assistant.items()[-1][0] == "item_9"
    rig.done("resp_9")
    bars = rig.call.transfers._tone.bars
    rig.waits(10)
    assert rig.call.transfers._tone.bars == bars


def test_who_interrupts_it_then_ends_it(rig):
    rig.asks()
    rig.waits(3)
    rig.told("ended", "busy")
    rig.do(rig.call.transfers.interrupted)
    assert not rig.call.assistant.playing


def test_but_not_who_waits(rig):
    rig.asks()
    rig.waits(1)
    bars = rig.call.transfers._tone.bars
    rig.do(rig.call.transfers.interrupted)
    rig.waits(3)
    assert rig.call.transfers._tone.bars > bars


def test_a_yes_ends_the_call_with_its_reason(rig, caplog):
    caplog.set_level(logging.INFO)
    rig.asks()
    yes = rig.says_yes()
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    document = rig.call.document
    assert document is not None
    assert (document["end_reason"], document["transferred_to"]) == ("transferred", "reception")
    assert document["transfers"][0]["outcome"] is None
    assert rig.told("joined") is True
    assert yes.result() is True
    rig.loop.advance(4)
    (outcome, amended) = rig.outcomes[0]
    assert (outcome, amended["transfers"][0]["outcome"]) == ("connected", "connected")
    assert (amended["end_reason"], amended["transferred_to"]) == ("transferred", "reception")
    assert document["transfers"][0]["outcome"] is None  # a thread may be writing it
    assert "[TRANSFER] connected, to=reception" in caplog.text  # after the call's own last line


def test_a_caller_who_had_hung_up_is_told_so_in_the_record(rig):
    rig.asks()
    yes = rig.says_yes()
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    rig.loop.advance(10)
    assert yes.result() is False
    (outcome, amended) = rig.outcomes[0]
    assert (outcome, amended["end_reason"], amended["transferred_to"]) == ("caller_gone", "customer_hangup", None)


def test_who_is_being_led_to_a_human_is_not_hung_up_on(rig):
    rig.asks()
    rig.waits(2)
    yes = rig.says_yes()
    rig.do(rig.call.hang_up)
    rig.waits(3)
    assert (rig.call.live, rig.control.done) == (True, [])
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    assert rig.call.end_reason == "transferred"
    assert rig.told("joined") is True
    assert yes.result() is True
    rig.loop.advance(4)


def test_but_is_where_that_comes_to_nothing(rig):
    rig.asks()
    rig.waits(2)
    yes = rig.says_yes()
    rig.do(rig.call.hang_up)
    rig.waits(8)
    assert (yes.result(), rig.call.live) == (False, True)
    rig.begin_ours("resp_9", "item_9")
    rig.delta(LOUD * 20, "resp_9", "item_9")
    rig.done("resp_9")
    rig.waits(3)
    assert (rig.call.end_reason, [done[0] for done in rig.control.done]) == ("agent_hangup", ["hang_up"])


def test_one_who_was_led_to_nobody_was_transferred_to_nobody(rig):
    rig.asks()
    yes = rig.says_yes()
    rig.told("ended", "declined")
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    document = rig.call.document
    assert document is not None
    assert (document["end_reason"], document["transferred_to"]) == ("transferred", None)
    assert (document["transfers"][0]["outcome"], rig.outcomes) == ("lost", [("lost", None)])
    rig.loop.advance(0)
    assert yes.result() is False


def test_a_caller_who_hangs_up_before_is_one_who_hung_up(rig):
    rig.asks()
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    document = rig.call.document
    assert document is not None
    assert (document["end_reason"], document["transfers"][0]["outcome"]) == ("customer_hangup", "caller_gone")
    assert rig.legs.asked == ["release", "close"]


def test_a_call_that_has_ended_is_not_done_while_the_carrier_is_still_asked(rig):
    answered = rig.loop.create_future()
    rig.legs.place = lambda: answered
    rig.asks()
    rig.loop.advance(0)
    rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
    rig.loop.advance(60)
    assert (rig.call.live, rig.call.transfers.asking) == (False, True)
    rig.loop.do(answered.set_result, False)
    rig.loop.advance(0)
    assert not rig.call.transfers.asking
    assert rig.loop.failures == []


@pytest.mark.parametrize("how", ["hang_up", "give_up"])
def test_what_else_is_done_with_the_call_ends_it(rig, how):
    rig.asks()
    rig.waits(1)
    if how == "hang_up":
        rig.do(rig.call.hang_up)
    else:
        rig.do(rig.call.line.give_up, ModelUnavailable("no", "insufficient_quota"))
    assert rig.entry["outcome"] == "withdrawn"
    assert "release" in rig.legs.asked
    assert rig.notes == []
    rig.waits(20)
    assert not rig.call.live


def test_without_room_at_the_carriers_nothing_is_begun(rig):
    rig.legs.full = True
    rig.asks()
    assert not rig.call.transfers.holding
    assert rig.call.transfers.entries == []


@pytest.mark.parametrize("number", ["", "anonymous", "sip:x@example.com"])
def test_nor_where_there_is_no_number_to_call_from(rig, number):
    object.__setattr__(rig.call.transfers._context, "to_number", number)
    rig.asks()
    assert rig.legs.terms == []


def test_a_call_out_calls_from_its_own_number(rig):
    object.__setattr__(rig.call.transfers._context, "direction", "outbound")
    rig.asks()
    assert rig.legs.terms[0].from_number == rig.call.context.from_number


def tool(rig: TransferRig, brief: str, destination: str = "reception") -> None:
    rig.begin("resp_1", "item_1")
    rig.tool_call("call_1", "transfer_call", json.dumps({"destination": destination, "brief": brief}))


def test_the_models_own_tool_has_a_brief_and_it_is_asked_to_say_no_more(rig):
    tool(rig, "Dana, see https://x.example/" + "y" * 500)
    rig.delta(LOUD * 20, "resp_1", "item_1")
    rig.done("resp_1")
    rig.waits(1)
    (terms,) = rig.legs.terms
    assert len(terms.brief) == 400
    assert "://" not in terms.brief
    assert "Say no more" in rig.outputs[0]
    assert rig.creates == []


def test_a_model_that_has_said_nothing_is_asked_to_say_one_sentence(rig):
    tool(rig, "Dana.")
    rig.done("resp_1")
    rig.waits(1)
    assert [each["instructions"] for each in rig.creates] == [HOLD_THE_LINE]


def test_a_no_of_ours_is_in_words(rig):
    rig.asks()
    tool(rig, "Dana.")
    rig.done("resp_1")
    rig.waits(1)
    assert "That cannot be done now" in rig.outputs[0]


def test_a_brief_that_is_too_long_is_said_where_it_is_written(rig):
    with pytest.raises(ValueError, match="at most 400 characters, not 401: shorten it"):
        rig.call.answering.context.transfer("reception", "x" * 401)
