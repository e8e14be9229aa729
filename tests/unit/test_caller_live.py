"""fastbridge._caller to a model whose stream never pauses: silence in the place of what it may not hear."""

import pytest

from rigs import SILENCE, CallerRig, frames


@pytest.fixture
def call(twin) -> CallerRig:
    return CallerRig(twin, live=True).opened()


def test_audio_goes_in_this_dialects_words(call):
    call.say_numbers(1, 2)
    assert {message["type"] for message in call.sent} == {"session.input_audio.append"}
    assert call.heard == frames(1, 2)


def test_a_locked_frame_is_silence(call):
    call.lane.lock()
    call.say_numbers(1, 2)
    call.lane.unlock()
    call.say_numbers(3)
    assert call.heard == [SILENCE, SILENCE, *frames(3)]
    assert call.outcomes == {"greeting_lock": 2, "forwarded": 1}
    assert call.lane.silence_frames == 2


def test_so_is_a_muted_one(call):
    call.lane.mute()
    call.say_numbers(1)
    assert (call.heard, call.outcomes) == ([SILENCE], {"noise_gate": 1})


@pytest.mark.parametrize("how", ["shut", "pause"])
def test_nothing_goes_where_nothing_can(call, how):
    getattr(call.lane, how)()
    call.lane.lock()
    call.say_numbers(1)
    assert call.heard == []


def test_nor_before_what_waits(call):
    call.lane.pause()
    call.say_numbers(1)
    call.lane.lock()
    call.say_numbers(2)
    call.lane.resume()
    assert call.heard == frames(1)


def test_to_another_model_it_is_nothing(twin):
    call = CallerRig(twin).opened()
    call.lane.lock()
    call.say_numbers(1)
    assert call.heard == []
