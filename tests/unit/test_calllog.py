"""What one call may say: production is 10 to 30 lines however long it lasts, development 100 to 500."""

import logging

import pytest

from fastbridge import calllog, events
from fastbridge.calllog import CallLog
from fastbridge.config import Settings

SID = "CA" + "12" * 16


class Scene:
    def __init__(self, **settings):
        self.now_s = 1000.0
        self.log = CallLog(SID, Settings.model_construct(**settings), lambda: self.now_s)


@pytest.fixture(params=["INFO"])
def scene(request, caplog):
    caplog.set_level(request.param, "fastbridge.events")
    return Scene()


@pytest.fixture
def lines(caplog):
    return lambda: [record.getMessage().replace(f", call_sid={SID}", "") for record in caplog.records]


def turn(log, number):
    events.transcript(log, caller=True, text=f"question {number}")
    events.response_created(log, f"resp_{number}", "turn")
    events.transcript(log, caller=False, text=f"answer {number}")


def whole_call(scene, turns):
    events.call_start(scene.log, business_id="456", direction="inbound")
    events.realtime_connected(scene.log, 234)
    events.first_chunk(scene.log, 160)
    events.greeting(scene.log, 300)
    for number in range(turns):
        turn(scene.log, number)
        scene.now_s += 10
    scene.log.finish()
    events.accounting(scene.log, "Frame accounting OK: 1 = 1 + 0", is_error=False)
    events.call_metrics(scene.log, {})
    events.call_end(scene.log, duration_ms=1, reason="customer_hangup")


@pytest.mark.parametrize("turns", [4, 60, 150, 500])
def test_production_is_30_lines_at_most_whatever_its_length(scene, lines, turns):
    whole_call(scene, turns)
    assert 10 <= len(lines()) <= 30
    assert scene.log.lines == len(lines())


@pytest.mark.parametrize("scene", ["DEBUG"], indirect=True)
@pytest.mark.parametrize("turns", [60, 300])
def test_development_is_500_lines_at_most(scene, lines, turns):
    for number in range(turns * 10):
        scene.log.debug("REALTIME", "event of some kind", number=number)
    whole_call(scene, turns)
    assert 100 <= len(lines()) <= 500


def test_no_turn_is_lost_in_the_sums(scene, lines):
    whole_call(scene, 100)
    sums = [line for line in lines() if "turns, lines=" in line]
    written = sum(line.startswith("[TRANSCRIPT] Customer:") for line in lines())
    assert sums[0].startswith("[TRANSCRIPT] +")
    assert sum(int(line.split("+")[1].split()[0]) for line in sums) + written == 100
    lengths = [int(line.partition("lines=")[2].split(",")[0]) for line in sums]
    assert lengths == [48, 96, 3 * 100 - calllog.PRODUCTION.dialogue - 144]


def test_the_sums_tell_of_tools_and_interruptions(scene, lines):
    for _ in range(calllog.PRODUCTION.dialogue):
        events.tool_call(scene.log, "hours", "{}")
    assert len(lines()) == calllog.PRODUCTION.dialogue
    turn(scene.log, 1)
    events.tool_call(scene.log, "hours", "{}")
    events.barge_in_false(scene.log, count=1, held_ms=300, why="quiet")
    scene.log.finish()
    assert lines()[-1] == "[TRANSCRIPT] +1 turn, lines=5, tool_calls=1, barge_ins=1"
    scene.log.finish()
    assert lines()[-1] == "[TRANSCRIPT] +1 turn, lines=5, tool_calls=1, barge_ins=1"
    assert len(lines()) == calllog.PRODUCTION.dialogue + 1


def test_fewer_than_50_lines_in_any_minute(scene, caplog):
    for tenth in range(3000):
        scene.log("HANGUP", "again and again", level=logging.WARNING)
        if tenth % 10 == 0:
            turn(scene.log, tenth)
        scene.now_s += 0.1
        caplog.records[-1].at = scene.now_s
    times = [getattr(record, "at", 0) for record in caplog.records]
    assert max(sum(start <= at < start + 60 for at in times) for start in times) < 50
    assert scene.log.held_back > 2000


def test_what_every_log_must_have_is_never_held_back(scene, lines):
    for _ in range(100):
        scene.log("HANGUP")
    scene.log("", "Frame accounting OK: 1 = 1 + 0")
    scene.log("CALL_METRICS")
    scene.log("CALL_END")
    assert lines()[-3:] == ["Frame accounting OK: 1 = 1 + 0", "[CALL_METRICS]", "[CALL_END]"] or [
        line.partition(" call_sid")[0] for line in lines()[-2:]
    ] == ["[CALL_METRICS]", "[CALL_END]"]


def test_what_a_flag_asked_for_is_never_held_back(scene, lines):
    for number in range(1000):
        scene.log("REALTIME", "event", number=number, free=True)
    assert len(lines()) == 1000


def test_an_error_that_repeats_is_shown_once_and_then_counted(scene, caplog):
    for _ in range(650):
        try:
            raise ValueError("no")
        except ValueError as error:
            events.dsp_error(scene.log, error)
        scene.now_s += 0.1
    first, *rest = caplog.records
    assert first.levelno == logging.ERROR
    assert first.exc_info[0] is ValueError
    assert [record.levelno for record in rest] == [logging.WARNING] * 2
    assert rest[0].getMessage().startswith("[DSP] ERROR repeating (count=301)")


def test_the_line_says_where_it_was_thought_of(scene, caplog):
    scene.log("HANGUP")
    events.hangup(scene.log, "bye")
    turn(scene.log, 1)
    assert {record.module for record in caplog.records} == {"test_calllog"}


def test_limiters_are_the_calls_own_and_on_its_clock(scene):
    other = Scene()
    assert scene.log.rate.every("a", 5)
    assert not scene.log.rate.every("a", 5)
    assert other.log.rate.every("a", 5)
    scene.now_s += 5
    assert scene.log.rate.every("a", 5)
    assert scene.log.once.once("b")
    assert not scene.log.once.once("b")
    assert other.log.once.once("b")
