"""What one call may write: 30 lines however long it lasts and whatever happens, and what is not written is counted."""

import gc
import logging
import re
import threading
import time
import weakref
from collections import Counter

import pytest

from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.observe import call_log as calllog
from fastbridge.observe import events
from fastbridge.observe.call_log import PRODUCTION, CallLog
from longcall import summed_up

SID = "CA" + "12" * 16
LOST = ModelError("the connection broke", "closed_1006")


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


def tool(log, outcome="ok"):
    events.tool_call(log, "hours", "{}")
    events.tool_result(log, "hours", outcome, 10, "nine to five")


def begin(log):
    events.call_start(log, business_id="456", direction="inbound")
    events.dsp_enabled(log)
    events.realtime_connected(log, 234)
    events.first_chunk(log, 160)
    events.greeting(log, 300)


def end(log):
    log.finish()
    for line in ("Frame accounting OK: 1 = 1 + 0", "Greeting lock accounting OK: 0 frames", "SIMPLE_MODE DROPS: x=1"):
        events.accounting(log, line, is_error=False)
    events.call_metrics(log, {})
    events.call_end(log, duration_ms=1, reason="customer_hangup")


def whole_call(scene, turns):
    begin(scene.log)
    for number in range(turns):
        turn(scene.log, number)
        scene.now_s += 10
    end(scene.log)


class TestVolume:
    @pytest.mark.parametrize("turns", [4, 60, 150, 500])
    def test_production_is_30_lines_at_most_whatever_its_length(self, scene, lines, turns):
        whole_call(scene, turns)
        assert 10 <= len(lines()) <= 30
        assert scene.log.lines == len(lines())

    @pytest.mark.parametrize("scene", ["DEBUG"], indirect=True)
    @pytest.mark.parametrize("turns", [60, 300])
    def test_development_is_500_lines_at_most(self, scene, lines, turns):
        for number in range(turns * 10):
            scene.log.debug("REALTIME", "event of some kind", number=number)
        whole_call(scene, turns)
        assert 100 <= len(lines()) <= 500
        assert summed_up(lines()) == scene.log.held_back.total() > 0

    def test_anything_at_all_a_thousand_times_is_30_lines(self, scene, lines):
        begin(scene.log)
        for number in range(1000):
            turn(scene.log, number)
            tool(scene.log, "error")
            events.barge_in_false(scene.log, count=number, held_ms=1, why="quiet")
            events.create_appt(scene.log, number, "now")
            events.filler(scene.log, cause="tool", silent_ms=1500)
            events.realtime_lost(scene.log, LOST, tries=1)
            events.realtime_error(scene.log, ModelError(f"{number % 26 * 'x'} failed"))
            events.hook_failed(scene.log, f"hook {chr(97 + number % 26)}", ValueError("x"))
            scene.log.own(f"TAG_{number}", "mine", level=logging.ERROR)
            scene.log("SOMETHING_NEW", "never heard of")
        end(scene.log)
        assert 25 <= len(lines()) <= 29
        assert lines()[-2:] == ["[CALL_METRICS]", "[CALL_END] duration=0s, reason=customer_hangup"] or [
            line.partition(" call_sid")[0] for line in lines()[-2:]
        ] == ["[CALL_METRICS]", "[CALL_END] duration=0s, reason=customer_hangup"]
        assert summed_up(lines()) == scene.log.held_back.total()

    def test_what_a_flag_asked_for_is_never_held_back(self, scene, lines):
        for number in range(1000):
            scene.log("REALTIME", "event", number=number, free=True)
        assert len(lines()) == 1000
        events.realtime_connected(scene.log, 1)
        assert "OpenAI connected" in lines()[-1]

    @pytest.mark.parametrize("scene", ["WARNING"], indirect=True)
    def test_at_another_level_only_what_it_shows_is_counted(self, scene, lines):
        begin(scene.log)
        for number in range(50):
            turn(scene.log, number)
            events.realtime_lost(scene.log, LOST, tries=number)
        end(scene.log)
        assert lines()[-1] == f"[REALTIME] +{scene.log.held_back.total()}, connection_lost=47"
        assert len(lines()) == 4


class TestRanks:
    def test_response_created_gives_way_before_what_was_done(self, scene, lines):
        begin(scene.log)
        for number in range(100):
            turn(scene.log, number)
        tool(scene.log)
        events.barge_in_false(scene.log, count=1, held_ms=300, why="quiet")
        events.create_appt(scene.log, 7, "now")
        found = [line.partition("]")[0][1:] for line in lines()]
        assert found.count("RESPONSE_CREATED") == 1
        assert found.count("TRANSCRIPT") >= 3
        for tag in ("TOOL_CALL", "BARGE-IN", "CREATE_APPT"):
            assert tag in found

    def test_a_line_that_has_a_place_is_never_held_back_and_takes_no_more_than_that(self, scene, lines):
        scene.log.reserve("BUDGET")
        for number in range(100):
            scene.log("REALTIME", f"some {'new ' * number}fault", level=logging.WARNING)
            scene.log("TRANSCRIPT", 'Customer: "Hm."', turn=True)
            scene.log("TOOL_CALL", "hours")
        for _ in range(50):
            scene.log("BUDGET", "spent", reserved=True)
        scene.log.finish()
        assert sum(line.startswith("[BUDGET] spent") for line in lines()) == 1
        assert len(lines()) <= 30

    def test_what_every_log_must_have_is_never_held_back(self, scene, lines):
        for number in range(100):
            scene.log("HANGUP")
            scene.log("SERVER_ERROR", f"{'x' * number} failed", level=logging.ERROR)
        end(scene.log)
        assert len(lines()) <= PRODUCTION.lines
        for words in ("Frame accounting OK", "Greeting lock", "SIMPLE_MODE", "[CALL_METRICS]", "[CALL_END]"):
            assert any(words in line for line in lines()[-5:])

    def test_five_warnings_are_written_whatever_was_said_and_done_before(self, scene, lines):
        begin(scene.log)
        for number in range(500):
            turn(scene.log, number)
            scene.log.own("CRM", "mine")
            events.filler(scene.log, cause="tool", silent_ms=1500)
            events.realtime_renewed(scene.log, number)
        for number in range(500):
            tool(scene.log)
            events.barge_in_false(scene.log, count=number, held_ms=1, why="quiet")
            events.create_appt(scene.log, number, "now")
            events.hangup(scene.log, "transfer", "refused", reason="transferred")
        before = len(lines())
        for name in ("one", "two", "three", "four", "five"):
            scene.log(f"TAG_{name}", f"{name} failed", level=logging.ERROR)
        assert len(lines()) == before + 5

    def test_one_source_of_ever_new_warnings_does_not_silence_the_others(self, scene, lines):
        for number in range(100):
            events.realtime_complains(scene.log, ModelError("the model reports an error", "x" * number))
        events.hook_failed(scene.log, "on_end", ValueError("x"))
        assert len(lines()) == calllog.MAX_NEW + 1
        assert "on_end failed" in lines()[-1]

    def test_the_operators_example_is_written_whole(self, scene, lines):
        log = scene.log
        events.context_loaded(log, name="David", phone="+972501234512")
        begin(log)
        events.response_created(log, "resp_1", "greeting")
        events.transcript(log, caller=False, text="hello")
        events.transcript(log, caller=True, text="an appointment, please")
        tool(log)
        events.transcript(log, caller=False, text="I have a time at ...")
        end(log)
        assert log.held_back.total() == 0
        assert len(lines()) == 17


class TestSums:
    def test_no_turn_is_lost(self, scene, lines):
        whole_call(scene, 100)
        (found,) = [line for line in lines() if re.match(r"\[TRANSCRIPT\] \+", line)]
        written = sum(line.startswith("[TRANSCRIPT] Customer:") for line in lines())
        count, responses, total = map(int, re.findall(r"\d+", found))
        assert found == f"[TRANSCRIPT] +{count} turns, responses={responses}, lines={total}"
        assert (count + written, responses) == (100, 99)
        assert summed_up(lines()) == scene.log.held_back["TRANSCRIPT"] == total

    def test_they_say_the_numbers_that_matter(self, scene, lines):
        for number in range(17):
            tool(scene.log, "error" if number == 16 else "ok")
        for number in range(9):
            events.barge_in_false(scene.log, count=number, held_ms=300, why="quiet")
        tools, interruptions = scene.log.held_back["TOOL_CALL"], scene.log.held_back["BARGE-IN"]
        scene.log.finish()
        results = sum("[TOOL_RESULT]" in line for line in lines())
        calls = 17 - sum(line.startswith("[TOOL_CALL] hours") for line in lines())
        assert lines()[-2:] == [
            f"[TOOL_CALL] +{calls}, ok={16 - results}, failed=1, lines={tools}",
            f"[BARGE-IN] +{interruptions}, false={interruptions}",
        ]

    def test_one_turn_and_none_read_as_such(self, scene, lines):
        log = scene.log
        log._spent = 100
        events.transcript(log, caller=True, text="a")
        log._spent = 0
        log.finish()
        log._spent = 100
        events.response_created(log, "resp_1", "turn")
        log._spent = 0
        log.finish()
        assert lines() == ["[TRANSCRIPT] +1 turn", "[TRANSCRIPT] +1 lines, responses=1"]

    def test_a_second_time_there_is_only_what_came_since(self, scene, lines):
        whole_call(scene, 60)
        before = len(lines())
        scene.log.finish()
        assert len(lines()) == before
        turn(scene.log, 61)
        scene.log.finish()
        assert lines()[before:] == ["[TRANSCRIPT] +1 turn, responses=1, lines=3"]

    def test_where_there_is_no_room_for_each_one_line_has_them_all(self, scene, lines):
        begin(scene.log)
        for number in range(30):
            turn(scene.log, number)
            tool(scene.log)
            events.realtime_lost(scene.log, LOST, tries=1)
            scene.log.own("CRM", "mine")
            scene.log(f"SOURCE_{number}", "failed", level=logging.ERROR)
        scene.log.finish()
        line = lines()[-1]
        assert line.startswith("[HELD_BACK] ")
        for words in (
            "REALTIME +",
            "connection_lost=",
            "TOOL_CALL +",
            "ok=",
            "TRANSCRIPT +",
            " turns",
            "OWN +",
            "CRM=",
        ):
            assert words in line
        assert summed_up(lines()) == scene.log.held_back.total()

    def test_a_sum_of_warnings_is_a_warning(self, scene, caplog):
        for number in range(60):
            turn(scene.log, number)
            events.realtime_lost(scene.log, LOST, tries=1)
            events.realtime_error(scene.log, LOST)
        scene.log.finish()
        assert [record.levelname for record in caplog.records[-3:]] == ["WARNING", "WARNING", "INFO"]
        assert [record.levelname for record in caplog.records].count("ERROR") == 3

    def test_names_are_bounded(self, scene, lines):
        for number in range(1000):
            scene.log.own(f"TAG_{number}" + "x" * 1000, "mine")
        scene.log.finish()
        assert len(lines()[-1]) < calllog.MAX_SUM_CHARS
        assert ", other=" in lines()[-1]
        assert scene.log.held_back == {"OWN": 997}

    def test_they_are_counted_by_level_for_the_whole_process(self, scene):
        before = calllog.held_back()
        whole_call(scene, 60)
        other = Scene()
        for _ in range(20):
            events.realtime_lost(other.log, LOST, tries=1)
        after = calllog.held_back()
        grown = {level: after[level] - before.get(level, 0) for level in after}
        assert grown["INFO"] == scene.log.held_back.total()
        assert grown["WARNING"] == other.log.held_back.total() == 17


class TestWarnings:
    def test_the_same_words_are_the_same_whatever_their_numbers(self, scene, lines):
        scene.now_s = 0.0
        for number in range(50):
            events.tx_slow(scene.log, f"Twilio has taken no audio for {number}s", tx_schedule_resets=number)
            events.watchdog(scene.log, f"no media for {number}s")
        assert len(lines()) == 2
        scene.log.finish()
        assert lines()[2:] == ["[TX_SLOW] +49, twilio_has_taken_no_audio_for_s=49", "[WATCHDOG] +49, no_media_for_s=49"]

    def test_it_comes_again_after_its_pause_while_there_is_room(self, scene, lines):
        for _ in range(100):
            events.tx_slow(scene.log, "late")
            scene.now_s += 1
        assert lines() == ["[TX_SLOW] late"] * 3

    def test_an_error_that_repeats_is_shown_once_and_then_counted(self, scene, caplog):
        for _ in range(650):
            try:
                raise ValueError("no")
            except ValueError as error:
                events.call_failed(scene.log, error)
            scene.now_s += 0.1
        first, *rest = caplog.records
        assert first.levelno == logging.ERROR
        assert first.exc_info[0] is ValueError
        assert [(record.levelno, record.exc_info) for record in rest] == [(logging.WARNING, None)] * 2
        assert rest[0].getMessage().startswith("[SERVER_ERROR] internal error repeating (count=301)")

    def test_a_traceback_is_written_once_for_each_way_an_error_came(self, scene, caplog):
        def fail(how):
            if how == "a":
                raise ValueError("one")
            raise ValueError("two")

        for number in range(40):
            for how in "ab":
                try:
                    fail(how)
                except ValueError as error:
                    events.tool_failed(scene.log, "book", error)
            try:
                raise KeyError(number)  # whatever it says
            except KeyError as error:
                events.tool_failed(scene.log, "book", error)
        traces = [record.exc_info[1] for record in caplog.records if record.exc_info]
        assert [type(error) for error in traces] == [ValueError, ValueError, KeyError]
        assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"] * 3

    def test_without_words_the_places_are_told_apart_all_the_same(self, caplog):
        caplog.set_level("INFO", "fastbridge.events")
        scene, words = Scene(log_transcripts=False), "pri" + "vate"
        for _ in range(3):
            for kind in (ValueError, KeyError):
                try:
                    raise kind(words)
                except Exception as error:
                    events.tool_failed(scene.log, "book", error)
        scene.log.finish()
        found = [record.getMessage() for record in caplog.records]
        assert [line.partition(" in ")[0] for line in found[:2]] == [
            "[TOOL_RESULT] book failed: ValueError",
            "[TOOL_RESULT] book failed: KeyError",
        ]
        assert "private" not in caplog.text
        assert caplog.text.count("Traceback") == 2
        assert len(found) == 3

    def test_errors_without_end_are_bounded(self, scene):
        for number in range(1000):
            scene.log.failure(f"key {number}", "SERVER_ERROR", "x", False)
        assert len(scene.log._failures) <= scene.log.rate.MAX_KEYS + 1
        assert len(scene.log._known) <= PRODUCTION.lines


class TestAfterTheEnd:
    def test_a_hook_that_fails_then_is_told_of(self, scene, lines):
        for number in range(100):
            turn(scene.log, number)
            tool(scene.log)
            events.realtime_lost(scene.log, LOST, tries=1)
            scene.log(f"SOURCE_{number}", "failed", level=logging.ERROR)
        end(scene.log)
        for _ in range(5):
            events.hook_failed(scene.log, "on_end", ValueError("x"))
        assert "on_end failed" in lines()[-1]
        scene.log.finish()
        assert len(lines()) <= PRODUCTION.lines

    def test_what_goes_on_failing_is_summed_up_when_it_is_over(self, scene, lines):
        whole_call(scene, 10)
        for _ in range(50):
            events.hook_failed(scene.log, "on_transcript", ValueError("x"))
        scene.log.finish()
        assert lines()[-1] == "[SERVER_ERROR] +49, on_transcript_failed=49"


class TestOwnLines:
    def test_three_are_written_and_the_others_named(self, scene, lines):
        for number in range(10):
            scene.log.own("CRM", "looked at", number=number)
            scene.log.own("STOCK", "asked for")
        scene.log.finish()
        assert lines() == [
            "[CRM] looked at, number=0",
            "[STOCK] asked for",
            "[CRM] looked at, number=1",
            "[OWN] +17, STOCK=9, CRM=8",
        ]

    def test_no_tag_of_an_authors_has_a_place_of_ours(self, scene, lines):
        for tag in (*calllog.ESSENTIAL, *calllog.RULES, "SERVER_ERROR"):
            for _ in range(20):
                scene.log.own(tag, "mine")
        own = len(lines())
        whole_call(scene, 4)
        assert own == 3
        assert len(lines()) <= PRODUCTION.lines
        assert sum("[CALL_END]" in line for line in lines()) == 1

    def test_fields_may_have_any_name(self, scene, lines):
        fields = dict.fromkeys(("tag", "call_sid", "stacklevel", "turn", "tally", "free", "depth", "fingerprint"), 1)
        scene.log.own("X", **{name: value for name, value in fields.items() if name != "tag"})
        assert lines() == ["[X] call_sid_=1, stacklevel_=1, turn=1, tally=1, free=1, depth=1, fingerprint=1"]

    def test_its_errors_have_their_traceback_once(self, scene, caplog):
        for _ in range(3):
            try:
                raise ValueError("mine")
            except ValueError:
                scene.log.own("CRM", "down", level=logging.ERROR, exc_info=True)
        assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]

    def test_limiters_are_the_calls_own_and_on_its_clock(self, scene):
        other = Scene()
        own = scene.log.own
        assert [own.every("a", 5), own.every("a", 5), other.log.own.every("a", 5)] == [True, False, True]
        assert scene.log.rate.every("a", 5)  # nor are they ours
        scene.now_s += 5
        assert own.every("a", 5)
        assert [own.once("b"), own.once("b"), other.log.own.once("b")] == [True, False, True]
        assert [own.every_n("c", 3) for _ in range(5)] == [True, False, False, True, False]
        assert other.log.own.every_n("c", 3)

    def test_threads_may_log_at_once(self, scene, lines):
        class Slow(Counter):
            def __getitem__(self, tag):
                found = super().__getitem__(tag)
                time.sleep(0)  # another thread's turn, in the middle of a decision
                return found

        def work():
            for _ in range(200):
                scene.log.own("CRM", "mine")
                events.create_appt(scene.log, 1, "now")

        scene.log._written = Slow()
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(lines()) + scene.log.held_back.total() == 3200
        assert len(lines()) <= 6


def test_it_is_gone_with_its_last_user():
    gc.disable()
    try:
        log = CallLog(SID)
        log.own("X", "mine")
        whole = [turn(log, number) for number in range(60)]
        known = weakref.ref(log)
        del log, whole
        assert known() is None
    finally:
        gc.enable()


def test_fewer_than_50_lines_in_any_minute(scene, caplog):
    for tenth in range(3000):
        scene.log("HANGUP", "again and again", level=logging.WARNING)
        if tenth % 10 == 0:
            turn(scene.log, tenth)
        scene.now_s += 0.1
    assert len(caplog.records) < 50
    assert scene.log.held_back.total() > 2000


def test_the_line_says_where_it_was_thought_of(scene, caplog):
    scene.log("HANGUP")
    scene.log.own("MINE")
    events.hangup(scene.log, "hang_up", "by REST", reason="agent_hangup")
    events.tool_failed(scene.log, "x", ValueError("x"))
    turn(scene.log, 1)
    assert len(caplog.records) == 7
    assert {record.module for record in caplog.records} == {"test_observe_call_log"}


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
