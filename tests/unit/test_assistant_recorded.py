"""AssistantLane with a tape: what is on it is what was heard, in its time."""

from typing import Any

import pytest

from helpers import MS
from rigs import AssistantRig, audio

QUIET = b"\xff"


@pytest.fixture
def rig(twin) -> AssistantRig:
    return AssistantRig(twin).started()


@pytest.fixture
def tape(twin, rig) -> Any:
    tape = twin.tape.Tape(rig.clock())
    rig.lane.record(tape)
    return tape


def on(tape: Any, rig: AssistantRig) -> bytes:
    """The right track, as long as time has passed."""
    return tape.take(rig.clock())[1::2]


def test_a_response_is_there_in_the_time_in_which_it_is_heard(rig, tape):
    rig.respond(audio(30))
    rig.tick(700)
    assert on(tape, rig) == audio(30) + QUIET * 800


def test_the_lead_is_in_the_future(rig, tape):
    rig.respond(audio(30))
    rig.tick(100)
    sent = rig.lane.sent_bytes
    assert sent > 800
    assert on(tape, rig) == audio(30)[:800]
    rig.tick(600)
    assert on(tape, rig)[: 160 * 25] == audio(30)[800:]


@pytest.mark.parametrize("end", ["clear", "close"])
def test_what_is_cut_off_is_not(rig, tape, end):
    rig.respond(audio(30))
    rig.tick(200)
    getattr(rig.lane, end)()
    heard = rig.lane.heard_bytes if end == "close" else 1600
    rig.tick(600)
    assert on(tape, rig) == audio(30)[:heard] + QUIET * (6400 - heard)
    assert 1500 <= heard <= 1600


def test_what_was_held_is_heard_from_where_it_was(rig, tape):
    rig.respond(audio(30))
    rig.tick(210)
    rig.lane.hold()
    rig.tick(90)
    rig.lane.resume()
    rig.tick(600)
    right = on(tape, rig)
    heard = right.index(QUIET)
    assert right[:heard] == audio(30)[:heard]
    assert 1600 <= heard <= 1680
    rest = right[heard:].lstrip(QUIET).rstrip(QUIET)
    assert rest == audio(30)[1600:]


def test_what_was_held_and_is_then_dropped_is_taken_back_once(rig, tape):
    rig.respond(audio(30))
    rig.tick(200)
    rig.lane.hold()
    rig.tick(50)
    rig.lane.clear()
    rig.tick(50)
    assert on(tape, rig) == audio(10) + QUIET * 800


def test_a_second_response_is_not_cut_by_the_firsts_end(rig, tape):
    rig.respond(audio(5))
    rig.tick(300)
    rig.respond(audio(5, first=50), number=2)
    rig.tick(300)
    rig.lane.clear()
    right = on(tape, rig)
    assert right.startswith(audio(5))
    assert right[2400:3200] == audio(5, first=50)


def test_without_a_tape_nothing_is_kept(rig, tape):
    rig.lane.record(None)
    rig.respond(audio(5))
    rig.tick(300)
    rig.clock.now_ns += MS
    assert tape.frames == 0
