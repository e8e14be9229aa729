"""call.hold_tone: soft, one bar at a time, never 3 s of silence, and over at once."""

import math
import struct

import pytest

from fastbridge import _mulaw
from fastbridge.call.hold_tone import (
    AFTERWARDS_SECONDS,
    BAR_SECONDS,
    LOOK_SECONDS,
    REST_SECONDS,
    TONE_ID,
    HoldTone,
    bar,
)
from helpers import LOUD
from virtual import Rig

SILENT = 60
"""Of 32767: what nobody hears."""


def samples() -> tuple[int, ...]:
    audio = _mulaw.b64decode(bar())
    assert audio is not None
    return struct.unpack(f"{len(audio)}h", _mulaw.decode(audio))


def test_a_bar_is_soft_and_begins_and_ends_in_silence():
    found = samples()
    assert len(found) == BAR_SECONDS * 8000
    assert len(found) % 160 == 0
    assert 300 < max(map(abs, found)) < 3277  # -20 dB
    rms = math.sqrt(sum(each * each for each in found) / len(found))
    assert 100 < rms < 800
    assert abs(found[0]) < SILENT
    assert abs(found[-1]) < SILENT


def test_from_note_to_note_there_is_less_than_3_s():
    found = samples()
    first = next(index for index, each in enumerate(found) if abs(each) > SILENT)
    last = max(index for index, each in enumerate(found) if abs(each) > SILENT)
    gap_seconds = (len(found) - last + first) / 8000 + REST_SECONDS + 2 * LOOK_SECONDS
    assert gap_seconds < 3


@pytest.fixture
def rig():
    rig = Rig().up()
    rig.looks = 0

    def look():
        rig.looks += 1

    call = rig.call
    rig.tone = HoldTone(clock=call.clock, facts=call.facts, assistant=call.assistant, session=call.session, look=look)
    yield rig
    rig.do(rig.tone.close)
    rig.shut()


def wait(rig, seconds):
    for _ in range(round(seconds / 0.1)):
        rig.advance(0.1)
        rig.echo_marks()


def test_it_goes_on_and_one_bar_at_a_time_is_there(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    most = 0
    for _ in range(20):
        wait(rig, 1)
        most = max(most, rig.call.assistant.unheard_ms)
    assert 6 <= rig.tone.bars <= 9
    assert most <= BAR_SECONDS * 1000
    assert rig.looks > 60


def test_it_stops_at_once(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    wait(rig, 0.3)
    rig.do(rig.tone.stop)
    assert not rig.call.assistant.playing
    assert rig.written("clear")
    bars = rig.tone.bars
    wait(rig, 10)
    assert rig.tone.bars == bars


def test_it_waits_for_the_assistants_words(rig):
    rig.respond(LOUD * 150)
    rig.do(rig.tone.begin)
    wait(rig, 2.5)
    assert rig.tone.bars == 0
    wait(rig, 1.5)
    assert rig.tone.bars == 1


def test_and_gives_way_to_them(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    wait(rig, 0.3)
    rig.begin("resp_1", "item_1")
    rig.do(rig.tone.give_way, "resp_1")
    rig.delta(LOUD * 50, "resp_1", "item_1")
    rig.done("resp_1")
    assert not any(item.startswith(TONE_ID) for item, _, heard_ms, received_ms in rig.call.assistant.items()[-1:])


def test_stopped_within_a_response_that_has_begun_it_takes_none_of_it_along(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    wait(rig, 0.3)
    rig.begin("resp_1", "item_1")
    rig.do(rig.tone.stop)
    rig.delta(LOUD * 50, "resp_1", "item_1")
    rig.done("resp_1")
    assert rig.call.assistant.refused_deltas == 0


def test_behind_the_wait_it_ends_soon(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    rig.do(rig.tone.end_soon)
    wait(rig, AFTERWARDS_SECONDS - 0.5)
    bars = rig.tone.bars
    assert bars >= 2
    wait(rig, 10)
    assert rig.tone.bars <= bars + 1


def test_begun_again_it_does_not_end(rig):
    rig.advance(1)
    rig.do(rig.tone.begin)
    rig.do(rig.tone.end_soon)
    rig.do(rig.tone.begin)
    wait(rig, 20)
    assert rig.tone.bars >= 6
