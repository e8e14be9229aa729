"""Plain functions cannot be stopped: what they do when nobody waits for them any more is told."""

import asyncio
import inspect
import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from fastbridge.agent import tools
from tool_rig import ToolRig


@pytest.fixture
def rig():
    rig = ToolRig()
    yield rig
    rig.close()


@pytest.fixture
def finish(rig):
    rig.loop.threads_hold_time = False
    finish = threading.Event()
    yield finish
    finish.set()


def until_told(rig, count=1):
    end = time.monotonic() + 10
    while len(rig.late) < count:
        assert time.monotonic() < end, "it is not told"
        rig.loop.advance(0)
        time.sleep(0.001)


def abandoned(rig, function):
    rig.agent.tool(function)
    rig.start("call_1", function.__name__)
    rig.loop.advance(3)
    rig.loop.do(rig.runner.close)
    rig.loop.advance(0)
    assert (rig.journal, rig.reports) == ([], [(function.__name__, "abandoned", 3000)])
    assert rig.late == []


def test_one_that_ends_after_the_call(rig, finish):
    def book() -> dict[str, int]:
        finish.wait(10)
        return {"id": 7}

    abandoned(rig, book)
    rig.loop.advance(200)
    finish.set()
    until_told(rig)
    assert rig.late == [(0, "ok", '{"id": 7}', 203_000, None)]
    assert rig.journal == []


def test_one_that_was_done_at_that_very_moment(rig, finish):
    """Its thread has ended, and the loop has not been told."""

    @rig.agent.tool
    def book() -> str:
        finish.wait(10)
        return "booked"

    rig.start("call_1", "book")
    rig.loop.advance(0)
    finish.set()
    time.sleep(0.05)
    rig.loop.do(rig.runner.close)
    until_told(rig)
    assert rig.reports == [("book", "abandoned", 0)]
    assert rig.late == [(0, "ok", "booked", 0, None)]


@pytest.mark.parametrize("raised", [LookupError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_one_that_fails_after_the_call(rig, finish, raised):
    def book() -> None:
        finish.wait(10)
        raise raised("no such day")

    abandoned(rig, book)
    finish.set()
    until_told(rig)
    ((entry, outcome, output, _, error),) = rig.late
    assert (entry, outcome, output) == (0, "error", f"{raised.__name__}: no such day")
    assert isinstance(error, raised)


def test_one_whose_result_is_no_json(rig, finish):
    def book() -> list[Any]:
        finish.wait(10)
        circle: list[Any] = []
        circle.append(circle)
        return circle

    abandoned(rig, book)
    finish.set()
    until_told(rig)
    assert rig.late[0][1:3] == ("error", "ValueError: Circular reference detected")


def test_one_that_took_too_long_while_the_call_goes_on(rig, finish):
    @rig.agent.tool(timeout_seconds=2)
    def book() -> str:
        finish.wait(10)
        return "booked"

    assert json.loads(rig.call("book", seconds=2.1)) == {"error": "book took too long"}
    assert rig.late == []
    finish.set()
    until_told(rig)
    assert rig.reports == [("book", "timeout", 2000)]
    assert rig.late == [(0, "ok", "booked", 2100, None)]
    assert rig.answered == ["call_1", "proceed"]


def test_one_around_an_async_one_has_done_nothing_yet(rig, finish):
    made = []

    async def never() -> None: ...

    def book() -> Any:
        finish.wait(10)
        made.append(never())
        return made[0]

    abandoned(rig, book)
    finish.set()
    time.sleep(0.05)
    rig.loop.advance(0)
    assert rig.late == []
    assert inspect.getcoroutinestate(made[0]) == inspect.CORO_CLOSED


def test_one_that_never_began_is_not_told(rig):
    @rig.agent.tool
    def book() -> None: ...

    (tool,), future = rig.agent.tools, Future()
    running = tools.Running(tool, "{}", 0)
    running.leave(future)
    rig.loop.do(tools._watch, running, lambda *ended: rig.late.append(ended), rig.loop.clock)
    future.cancel()
    rig.loop.advance(0)
    assert rig.late == []


def test_one_that_was_done_in_time_is_not_told_twice(rig):
    @rig.agent.tool
    def book() -> str:
        return "booked"

    assert rig.call("book") == "booked"
    rig.loop.do(rig.runner.close)
    rig.loop.advance(1)
    assert (rig.reports, rig.late) == ([("book", "ok", 0)], [])


def test_when_the_node_is_gone_there_is_nobody_to_tell(finish, caplog):
    other = ToolRig()

    @other.agent.tool
    def book() -> None:
        finish.wait(10)

    other.loop.threads_hold_time = False
    other.start("call_1", "book")
    other.loop.advance(1)
    other.close()
    finish.set()
    time.sleep(0.05)
    assert (other.late, caplog.records) == ([], [])


@pytest.mark.parametrize("fails", [False, True])
def test_what_it_leaves_has_a_bound(rig, finish, fails):
    def book() -> str:
        finish.wait(10)
        if fails:
            raise ValueError("x" * 100_000)
        return "x" * 100_000

    abandoned(rig, book)
    finish.set()
    until_told(rig)
    ((_, outcome, output, _, _),) = rig.late
    most = len("ValueError: ") + tools.MAX_ERROR_CHARS if fails else tools.MAX_OUTPUT_CHARS
    assert (outcome, 0 < len(output) <= most) == ("error" if fails else "ok", True)
