"""call.local_sound: what is ours is heard beside the model's words, and gives way to them."""

import pytest

from fastbridge.call.local_sound import give_way, play, plays
from helpers import LOUD, base64_text
from virtual import Rig

SECOND = base64_text(LOUD * 50)
OURS = "local_x"


@pytest.fixture
def rig():
    rig = Rig().up()
    yield rig
    rig.shut()


def sound(rig, number=1):
    rig.do(play, rig.call.assistant, rig.call.session, f"{OURS}_{number}", SECOND)


def test_it_is_heard_to_its_end(rig):
    sound(rig)
    assert plays(rig.call.assistant, OURS)
    assert not plays(rig.call.assistant, "local_y")
    rig.advance(1.5)
    rig.echo_marks()
    assert not plays(rig.call.assistant, OURS)
    assert rig.call.assistant.frames_sent == 50


def test_what_the_model_says_cuts_it_off(rig):
    sound(rig)
    rig.advance(0.2)
    rig.begin("resp_1", "item_1")
    rig.do(give_way, rig.call.assistant, OURS, "resp_1")
    assert rig.written("clear")
    rig.delta(LOUD * 50, "resp_1", "item_1")
    rig.done("resp_1")
    assert rig.call.assistant.items()[-1][0] == "item_1"


@pytest.mark.parametrize(("prefix", "response"), [(OURS, "local_x_2"), ("local_y", "resp_1")])
def test_but_not_what_is_ours_nor_what_is_of_another_kind(rig, prefix, response):
    sound(rig)
    rig.advance(0.2)
    rig.do(give_way, rig.call.assistant, prefix, response)
    assert not rig.written("clear")


def test_a_response_that_is_silent_so_far_is_not_lost_by_it(rig):
    rig.begin("resp_1", "item_1")
    sound(rig)
    rig.delta(LOUD * 50, "resp_1", "item_1")
    rig.done("resp_1")
    assert rig.call.assistant.refused_deltas == 0
    assert [item for item, *_ in rig.call.assistant.items()][-1] == "item_1"


def test_nor_is_one_that_has_stalled(rig):
    rig.begin("resp_1", "item_1")
    rig.delta(LOUD[:100], "resp_1", "item_1")
    rig.advance(1)
    sound(rig)
    rig.delta(LOUD * 50, "resp_1", "item_1")
    rig.done("resp_1")
    assert rig.call.assistant.refused_deltas == 0


@pytest.mark.parametrize("later_seconds", [0.0, 0.02, 0.5])
def test_what_was_said_before_it_counts_once(rig, later_seconds):
    """Half a frame of it is left, which is played with the filler."""
    rig.begin("resp_1", "item_1")
    rig.delta(LOUD * 50 + LOUD[:80], "resp_1", "item_1")
    while not rig.call.dead_air.fillers:
        rig.advance(0.02)
        rig.echo_marks()
    rig.advance(later_seconds)
    rig.do(rig.call.barge_in.cut_short, "budget")
    assert [event["audio_end_ms"] for event in rig.sent("conversation.item.truncate")] in ([], [1000], [1010])
