"""fastbridge.agent.tools: every call answered once, however it ends, and the model asked to go on once."""

import asyncio
import datetime
import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from fastbridge.agent import CallContext, tools
from fastbridge.agent.tools import MAX_OUTPUT_CHARS, MAX_ROUNDS, MAX_RUNNING, MAX_WORDS_ASKED
from tool_rig import ToolRig


@dataclass
class Point:
    x: int
    y: int


@pytest.fixture
def rig():
    rig = ToolRig()

    @rig.agent.tool
    async def wait(seconds: float) -> str:
        """Take your time."""
        await asyncio.sleep(seconds)
        return f"waited {seconds}"

    @rig.agent.tool
    async def at_once(value: str = "done") -> Any:
        """Answer."""
        return value

    yield rig
    rig.close()


def wait(seconds: float) -> str:
    return json.dumps({"seconds": seconds})


class TestAnswers:
    def test_text_goes_as_it_is(self, rig):
        assert rig.call("at_once", '{"value": "Yes, at nine."}') == "Yes, at nine."
        assert rig.reports == [("at_once", "ok", 0)]

    @pytest.mark.parametrize(
        ("result", "text"),
        [
            ({"free": ["09:00"]}, '{"free": ["09:00"]}'),
            (None, "null"),
            (7, "7"),
            ("", ""),
            ({"שלום": 1}, '{"שלום": 1}'),
            (frozenset({1}), "[1]"),
            ({"at": datetime.date(2026, 11, 20)}, '{"at": "2026-11-20"}'),
            (Point(1, 2), '{"x": 1, "y": 2}'),
            (object, json.dumps(str(object))),
        ],
    )
    def test_anything_else_as_json(self, rig, result, text):
        @rig.agent.tool
        async def give() -> Any:
            return result

        assert rig.call("give") == text

    def test_long_ones_are_cut(self, rig):
        @rig.agent.tool
        async def give() -> str:
            return "x" * (MAX_OUTPUT_CHARS + 1)

        assert rig.call("give") == "x" * MAX_OUTPUT_CHARS

    def test_no_arguments_at_all_are_none(self, rig):
        assert rig.call("at_once", "") == "done"

    def test_time_is_reported(self, rig):
        rig.call("wait", wait(1.5), seconds=2)
        assert rig.reports == [("wait", "ok", 1500)]

    def test_the_call_is_in_the_context(self, rig):
        @rig.agent.tool
        async def business(context: CallContext) -> str:
            return context.parameters["business_id"]

        assert rig.call("business") == "7"


class TestErrors:
    def test_an_unknown_tool(self, rig):
        assert json.loads(rig.call("nothing")) == {"error": "there is no tool named nothing"}
        assert rig.reports == [("nothing", "unknown", 0)]

    @pytest.mark.parametrize("arguments", ["{", "[]", "7", '"text"', "null", "nonsense", "[" * 100_000])
    def test_arguments_that_are_no_object(self, rig, arguments, caplog):
        assert list(json.loads(rig.call("at_once", arguments))) == ["error"]
        assert rig.reports == [("at_once", "error", 0)]

    def test_arguments_it_does_not_take(self, rig, caplog):
        error = json.loads(rig.call("at_once", '{"surprise": 1}'))["error"]
        assert error == "wrong arguments: surprise: there is no such argument"
        assert caplog.records == []  # the model's mistake, which it will mend: no trace of ours

    def test_a_timeout(self, rig):
        output = rig.call("wait", wait(3600), seconds=10.1)
        assert json.loads(output) == {"error": "wait took too long"}
        assert rig.reports == [("wait", "timeout", 10_000)]

    def test_an_exception_goes_to_the_model_as_text_and_to_the_log_with_its_trace(self, rig, caplog):
        @rig.agent.tool
        async def fail() -> None:
            raise LookupError("no such day")

        assert json.loads(rig.call("fail")) == {"error": "LookupError: no such day"}
        assert rig.reports == [("fail", "error", 0)]
        (record,) = caplog.records
        assert record.exc_info[0] is LookupError

    @pytest.mark.parametrize("raised", [asyncio.CancelledError, SystemExit, RuntimeError])
    @pytest.mark.parametrize("threaded", [False, True])
    def test_whatever_a_function_raises_its_call_is_answered(self, rig, raised, threaded, caplog):
        async def fail() -> None:
            raise raised("mine")

        def fail_in_thread() -> None:
            raise raised("mine")

        rig.agent.tool(fail_in_thread if threaded else fail)
        assert json.loads(rig.call(rig.agent.tools[-1].name)) == {"error": f"{raised.__name__}: mine"}
        assert rig.reports[0][1] == "error"

    def test_long_words_are_cut(self, rig, caplog):
        @rig.agent.tool
        async def fail() -> None:
            raise ValueError("x" * 100_000)

        assert len(rig.call("fail")) < 1100

    def test_an_exception_without_words_for_itself(self, rig, caplog):
        class MuteError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("not even this")

        @rig.agent.tool
        async def fail() -> None:
            raise MuteError

        assert "MuteError" in json.loads(rig.call("fail"))["error"]

    def test_a_result_that_is_no_json(self, rig, caplog):
        @rig.agent.tool
        async def give() -> Any:
            circle: list[Any] = []
            circle.append(circle)
            return circle

        assert json.loads(rig.call("give"))["error"].startswith("ValueError")


class TestThreads:
    def test_a_plain_function_does_not_block_the_loop(self, rig):
        began, finish = threading.Event(), threading.Event()

        @rig.agent.tool
        def block() -> str:
            began.set()
            assert finish.wait(10)
            return "late"

        rig.loop.threads_hold_time = False
        rig.start("call_1", "block")
        assert began.wait(10)
        rig.start("call_2", "wait", wait(5))
        rig.done()
        rig.loop.advance(6)
        assert rig.answered == ["call_2"]
        rig.loop.threads_hold_time = True
        finish.set()
        rig.loop.run_until_complete(asyncio.wait(rig.tasks))
        assert rig.answered == ["call_2", "call_1", "proceed"]

    def test_it_can_take_too_long(self, rig):
        finish = threading.Event()

        @rig.agent.tool(timeout_seconds=2)
        def block() -> None:
            finish.wait(10)

        rig.loop.threads_hold_time = False
        assert json.loads(rig.call("block", seconds=2.1)) == {"error": "block took too long"}
        finish.set()


class TestProceed:
    def test_waits_for_the_end_of_the_response(self, rig):
        rig.start("call_1", "at_once")
        rig.loop.advance(1)
        assert rig.answered == ["call_1"]
        rig.done()
        assert rig.answered == ["call_1", "proceed"]

    def test_waits_for_the_last_of_several(self, rig):
        rig.start("call_1", "wait", wait(3))
        rig.start("call_2", "wait", wait(1))
        assert rig.runner.running == 2
        rig.start("call_3", "nothing")
        rig.done()
        rig.loop.advance(2.5)
        assert rig.answered == ["call_3", "call_2"]
        rig.loop.advance(1)
        assert rig.answered == ["call_3", "call_2", "call_1", "proceed"]

    def test_they_run_side_by_side(self, rig):
        for number in range(5):
            rig.start(f"call_{number}", "wait", wait(4))
        rig.done()
        rig.loop.advance(4.01)
        assert rig.answered[-1] == "proceed"
        assert len(rig.answered) == 6

    def test_only_once(self, rig):
        rig.start("call_1", "at_once")
        rig.done()
        rig.loop.advance(1)
        rig.done()
        rig.done("resp_2")
        rig.loop.advance(60)
        assert rig.answered == ["call_1", "proceed"]

    def test_a_response_without_calls_asks_for_nothing(self, rig):
        rig.done()
        assert rig.journal == []

    def test_each_response_with_calls_once(self, rig):
        for number in (1, 2):
            rig.start(f"call_{number}", "at_once", "{}", f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.loop.advance(1)
        assert rig.answered == ["call_1", "proceed", "call_2", "proceed"]

    def test_a_response_that_overlaps_a_slow_tool_of_the_one_before(self, rig):
        rig.start("call_1", "wait", wait(3), "resp_1")
        rig.done("resp_1")
        rig.start("call_2", "at_once", "{}", "resp_2")
        rig.loop.advance(1)
        rig.done("resp_2")
        assert rig.answered == ["call_2"]
        rig.loop.advance(3)
        assert rig.answered == ["call_2", "call_1", "proceed"]


class TestMany:
    def test_of_one_id_are_answered_each(self, rig):
        rig.start("call_0", "wait", wait(1))
        rig.start("call_0", "wait", wait(2))
        rig.done()
        rig.loop.advance(5)
        assert rig.journal == [("call_0", "waited 1.0"), ("call_0", "waited 2.0"), ("proceed",)]

    def test_too_many_at_once_are_answered_with_an_error(self, rig):
        for number in range(MAX_RUNNING + 1):
            rig.start(f"call_{number}", "wait", wait(1))
        assert rig.runner.running == MAX_RUNNING
        assert rig.journal == [(f"call_{MAX_RUNNING}", '{"error": "too many tools are running"}')]
        rig.done()
        rig.loop.advance(2)
        assert len(rig.answered) == MAX_RUNNING + 2
        assert rig.answered.count("proceed") == 1


class TestBudget:
    def test_of_the_phone_call(self, rig):
        rig.agent.max_tool_calls = 2
        for number in range(4):
            rig.start(f"call_{number}", "at_once")
        rig.done()
        rig.loop.advance(1)
        outputs = dict(entry for entry in rig.journal if len(entry) == 2)
        assert [outputs[f"call_{number}"][:9] for number in range(4)] == ["done", "done", '{"error":', '{"error":']
        assert sorted(outcome for _, outcome, _ in rig.reports) == ["ok", "ok", "refused", "refused"]
        assert rig.runner.exhausted
        assert rig.answered.count("proceed") == 1

    def test_of_one_tool(self, rig):
        @rig.agent.tool(max_calls=1)
        async def book() -> str:
            return "booked"

        for number in range(2):
            rig.start(f"call_{number}", "book")
        rig.done()
        rig.loop.advance(1)
        assert ("call_1", '{"error": "book cannot be used again in this phone call"}') in rig.journal
        assert not rig.runner.exhausted

    def test_unknown_tools_count_too(self, rig):
        rig.agent.max_tool_calls = 2
        for _ in range(2):
            rig.start("call_0", "nothing")
        assert rig.runner.exhausted
        rig.start("call_0", "at_once")
        assert "used up" in rig.journal[-1][1]
        assert [outcome for _, outcome, _ in rig.reports] == ["unknown", "unknown", "refused"]

    def test_a_flood_in_one_response_is_not_answered_for_ever(self, rig, monkeypatch):
        monkeypatch.setattr(tools, "MAX_CALLS_IN_ROUND", 3)
        for number in range(10):
            rig.start(f"call_{number}", "nothing")
        rig.done()
        assert rig.answered == ["call_0", "call_1", "call_2", "proceed"]
        rig.start("call_10", "nothing", response_id="resp_2")
        rig.done("resp_2")
        assert rig.answered[-2:] == ["call_10", "proceed"]


class TestRounds:
    def round(self, rig, number, name="at_once"):
        rig.start("call_0", name, response_id=f"resp_{number}")
        rig.done(f"resp_{number}")
        rig.loop.advance(0.1)

    @pytest.mark.parametrize("name", ["at_once", "nothing"])
    def test_in_one_turn_have_an_end(self, rig, name):
        for number in range(MAX_ROUNDS + 3):
            assert rig.runner.exhausted is (number >= MAX_ROUNDS)
            self.round(rig, number, name)
        asked = [entry for entry in rig.answered if entry != "call_0"]
        assert asked == ["proceed"] * (MAX_ROUNDS + MAX_WORDS_ASKED - 1) + ["overrun"] * (4 - MAX_WORDS_ASKED)

    def test_begin_anew_with_the_caller(self, rig):
        for number in range(3 * MAX_ROUNDS):
            if number % 5 == 0:
                rig.loop.do(rig.runner.turn_begins)
            self.round(rig, number)
        assert "overrun" not in rig.answered
        assert [outcome for _, outcome, _ in rig.reports] == ["ok"] * 3 * MAX_ROUNDS

    def test_a_call_whose_tools_are_used_up_is_asked_for_words_in_each_turn(self, rig):
        rig.agent.max_tool_calls = 1
        for number in range(3 * MAX_WORDS_ASKED):
            if number % MAX_WORDS_ASKED == 0:
                rig.loop.do(rig.runner.turn_begins)
            self.round(rig, number)
        assert "overrun" not in rig.answered
        self.round(rig, 99)
        assert rig.answered[-1] == "overrun"


class TestClose:
    def test_what_runs_is_cancelled_and_answers_nobody(self, rig):
        cancelled = []

        @rig.agent.tool
        async def hang() -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        rig.start("call_1", "hang")
        rig.start("call_2", "wait", wait(1))
        rig.done()
        rig.loop.advance(0.5)
        rig.loop.do(rig.runner.close)
        rig.loop.advance(60)
        assert (rig.journal, cancelled, rig.runner.running) == ([], [True], 0)
        assert rig.reports == [("hang", "abandoned", 500), ("wait", "abandoned", 500)]
        assert rig.late == []
        assert all(task.cancelled() for task in rig.tasks)

    def test_one_that_will_not_be_cancelled_answers_nobody_either(self, rig):
        @rig.agent.tool
        async def stubborn() -> str:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return "anyway"
            return ""

        rig.start("call_1", "stubborn")
        rig.done()
        rig.loop.advance(1)
        rig.loop.do(rig.runner.close)
        rig.loop.advance(1)
        assert (rig.journal, rig.reports) == ([], [("stubborn", "abandoned", 1000)])
        assert rig.late == [(0, "ok", "anyway", 1000, None)]

    def test_what_was_answered_is_reported_with_what_came_back(self, rig):
        rig.call("at_once", '{"value": "Yes, at nine."}')
        rig.start("call_2", "nothing")
        assert rig.outputs == ["Yes, at nine.", '{"error": "there is no tool named nothing"}']

    def test_nothing_starts_any_more(self, rig):
        rig.loop.do(rig.runner.close)
        rig.start("call_1", "at_once")
        rig.done()
        rig.loop.advance(1)
        assert (rig.journal, rig.tasks) == ([], [])


def test_the_model_is_asked_to_go_on_behind_each_response_once(rig):
    asked: list[set[str]] = []
    rig.runner._proceed = asked.append
    for number in (1, 2):
        rig.start(f"call_{number}", "at_once", response_id=f"resp_{number}")
        rig.done(f"resp_{number}")
        rig.loop.advance(1)
        rig.done(f"resp_{number}")
    assert asked == [{"resp_1"}, {"resp_2"}]


def test_what_a_model_did_wrong_is_told_it_briefly(rig):
    output = rig.call("at_once", json.dumps({"value": 1, "y" * 5000: 1}))
    assert 0 < len(json.loads(output)["error"]) <= tools.MAX_ERROR_CHARS + len("wrong arguments: ")


def test_behind_its_end_nothing_is_at_work(rig):
    rig.start("call_1", "wait", '{"seconds": 9}')
    rig.start("call_2", "at_once")
    rig.loop.advance(1)
    assert (rig.answered, len(rig.runner.running_tools), rig.runner.busy) == (["call_2"], 1, True)
    rig.loop.do(rig.runner.close)
    assert (rig.runner.running_tools, rig.runner.busy) == ([], False)
