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
