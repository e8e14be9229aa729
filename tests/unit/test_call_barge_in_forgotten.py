"""call.barge_in in a real call: what it must forget. (Who interrupts, and what follows: test_call_barge_in.)"""

from collections.abc import Iterator

import pytest

from fastbridge.call.barge_in import State
from helpers import LOUD, QUIET
from virtual import Rig

SECOND = bytes(0x50 + n % 48 for n in range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig().up()
    yield rig
    rig.shut()


def test_speech_that_the_model_heard_to_its_end_is_no_reason_to_interrupt_later(rig):
    rig.model(SPEECH_STARTED)
    rig.advance(0.5)
    rig.model(SPEECH_STOPPED)
    rig.respond(SECOND * 3)
    rig.advance(0.5)
    rig.caller_says(*[LOUD] * 5)
    assert rig.call.barge_in.state is State.HELD, "a click, as long as nobody else has heard it"
    rig.caller_says(*[QUIET] * 50)
    assert [one.outcome for one in rig.call.stats.barge_ins] == ["resumed"]


def test_a_call_that_ends_waits_no_more_for_what_the_model_alone_hears(rig):
    rig.respond(SECOND * 3)
    rig.advance(0.5)
    rig.model(SPEECH_STARTED)
    assert rig.call.barge_in.state is State.PLAYING
    before = len(rig.loop.pending_timers())
    assert before > 0
    rig.do(rig.call.close, "shutdown")
    assert rig.loop.pending_timers() == []


def deletes(rig: Rig) -> list[str]:
    return [message["item_id"] for message in rig.sent("conversation.item.delete")]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "begins later"])
def test_an_answer_of_which_nothing_was_heard_is_forgotten_by_the_model_too(rig, begun):
    """It is cancelled while a recording of ours is heard, or as it begins; its words came, and perhaps some audio."""
    rig.respond(SECOND * 3)
    rig.advance(0.5)
    rig.do(rig.call.session.responses.create, "silence")
    if begun:
        rig.begin_ours("resp_2", "item_2")
    rig.caller_says(*[LOUD] * 5)
    rig.model(SPEECH_STARTED)
    if not begun:
        rig.begin_ours("resp_2", "item_2")
    assert rig.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_2"}]
    rig.model({"type": "response.output_audio_transcript.delta", "item_id": "item_2", "delta": "Are"})
    rig.delta(SECOND, "resp_2", "item_2")
    assert deletes(rig) == []
    rig.done("resp_2", "cancelled")
    rig.advance(1)
    assert deletes(rig) == ["item_2"]
    assert [message["item_id"] for message in rig.sent("conversation.item.truncate")] == ["item_1"]


def test_one_that_ended_by_itself_is_not(rig):
    rig.begin("resp_1", "item_1")
    rig.done("resp_1")
    rig.advance(1)
    assert deletes(rig) == []


def test_nor_one_that_was_cancelled_and_is_heard_to_where_it_was_generated(rig):
    rig.begin("resp_1", "item_1")
    rig.delta(SECOND, "resp_1", "item_1")
    rig.do(rig.call.session.responses.cancel)
    rig.done("resp_1", "cancelled")
    rig.advance(3)
    assert deletes(rig) == []
