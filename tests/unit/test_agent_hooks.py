"""fastbridge.agent.hooks: in order, one at a time, and nobody's trouble but their own."""

import asyncio
import threading
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.agent import CallContext as Context
from fastbridge.agent.hooks import END_SECONDS, HOOK_SECONDS, MAX_WAITING, Hooks, context_parameter
from spawning import Spawning
from virtual import call_context


class Rig(Spawning):
    def __init__(self) -> None:
        super().__init__()
        self.agent = Agent()
        self.context = call_context()
        self.hooks = Hooks(self.agent, self.context, self.loop.clock, self.spawn)
        self.journal: list[Any] = []

    def emit(self, *arguments: Any) -> bool:
        return bool(self.loop.do(self.hooks.emit, *arguments))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.shut(lambda: None)
    assert [task.exception() for task in rig.tasks if task.exception()] == []


def test_an_event_nobody_waits_for_is_none(rig):
    assert rig.emit("on_dtmf", "1") is False
    assert rig.tasks == []


def test_they_run_in_order_and_one_at_a_time(rig):
    @rig.agent.on_transcript
    async def slow(turn: str) -> None:
        rig.journal.append(turn)
        await asyncio.sleep(3 if turn == "a" else 0)
        rig.journal.append(turn.upper())

    assert [rig.emit("on_transcript", turn) for turn in "abc"] == [True] * 3
    rig.loop.advance(2)
    assert rig.journal == ["a"]
    rig.loop.advance(2)
    assert rig.journal == list("aAbBcC")
    assert len(rig.tasks) == 1


def test_the_context_goes_to_whoever_asks_for_it(rig):
    @rig.agent.on_dtmf
    def by_type(digits: str, call: Context) -> None:
        rig.journal.append((digits, call))

    @rig.agent.on_transcript
    async def by_name(context, turn) -> None:
        rig.journal.append((turn, context))

    @rig.agent.on_start
    async def alone(context: Context) -> None:
        rig.journal.append(context)

    rig.emit("on_dtmf", "1")
    rig.emit("on_transcript", "hello")
    rig.emit("on_start", rig.context)
    rig.loop.advance(1)
    assert rig.journal == [("1", rig.context), ("hello", rig.context), rig.context]


def test_a_plain_one_runs_in_a_thread(rig):
    @rig.agent.on_dtmf
    def where(digits: str) -> None:
        rig.journal.append(threading.get_ident())

    rig.emit("on_dtmf", "1")
    rig.loop.advance(1)
    assert rig.journal != [threading.get_ident()]


def test_what_one_returns_goes_to_who_asked(rig):
    @rig.agent.on_dtmf
    async def double(digits: str) -> str:
        return digits * 2

    rig.emit("on_dtmf", "1", rig.journal.append)
    rig.loop.advance(1)
    assert rig.journal == ["11"]


@pytest.mark.parametrize("raised", [ValueError, SystemExit])
def test_one_that_fails_is_logged_and_the_next_one_runs(rig, caplog, raised):
    @rig.agent.on_dtmf
    async def fail(digits: str) -> None:
        rig.journal.append(digits)
        raise raised("mine")

    rig.emit("on_dtmf", "1", rig.journal.append)
    rig.emit("on_dtmf", "2")
    rig.loop.advance(1)
    assert rig.journal == ["1", None, "2"]
    (record,) = caplog.records  # the second time it is only counted
    assert "mine" in str(record.exc_info[1])
    assert rig.context.journal.held_back == {"SERVER_ERROR": 1}


def test_what_goes_on_failing_after_the_call_is_summed_up_when_it_is_over(rig, caplog):
    @rig.agent.on_dtmf
    async def fail(digits: str) -> None:
        await asyncio.sleep(0.1)
        raise ValueError("mine")

    for digits in "12345":
        rig.emit("on_dtmf", digits)
    rig.loop.do(rig.hooks.close, dict)
    rig.context.journal.finish()  # as the call does
    rig.loop.advance(1)
    assert [record.getMessage().partition(", call_sid")[0] for record in caplog.records] == [
        "[SERVER_ERROR] on_dtmf failed",
        "[SERVER_ERROR] +4, on_dtmf_failed=4",
    ]


def test_one_that_hangs_is_given_up(rig, caplog):
    @rig.agent.on_dtmf
    async def hang(digits: str) -> None:
        rig.journal.append(digits)
        await asyncio.sleep(3600)

    rig.emit("on_dtmf", "1")
    rig.emit("on_dtmf", "2")
    rig.loop.advance(HOOK_SECONDS + 1)
    assert rig.journal == ["1", "2"]
    rig.loop.advance(HOOK_SECONDS)
    assert [record.message.count("took too long") for record in caplog.records] == [1, 1]


def test_the_queue_has_an_end_and_the_oldest_gives_way(rig):
    @rig.agent.on_dtmf
    async def slow(digits: str) -> None:
        rig.journal.append(digits)
        await asyncio.sleep(1)

    for number in range(MAX_WAITING + 3):
        rig.emit("on_dtmf", str(number))
    assert (rig.hooks.dropped, rig.hooks.peak_waiting) == (2, MAX_WAITING)
    rig.loop.advance(MAX_WAITING + 5)
    assert rig.journal == ["0", *(str(number) for number in range(3, MAX_WAITING + 3))]


class TestEnd:
    def test_what_waits_still_runs_and_the_end_is_last(self, rig):
        @rig.agent.on_transcript
        async def slow(turn: str) -> None:
            await asyncio.sleep(2)
            rig.journal.append(turn)

        @rig.agent.on_end
        async def end(record: dict[str, Any]) -> None:
            rig.journal.append(record)

        rig.emit("on_transcript", "a", rig.journal.append)
        rig.loop.do(rig.hooks.close, lambda: {"end_reason": "silence"})
        rig.loop.do(rig.hooks.close, lambda: {"end_reason": "another"})
        assert rig.emit("on_transcript", "late") is False
        rig.loop.advance(3)
        assert rig.journal == ["a", {"end_reason": "silence"}]

    def test_has_more_time(self, rig, caplog):
        @rig.agent.on_end
        async def end(record: dict[str, Any]) -> None:
            await asyncio.sleep(END_SECONDS - 1)
            rig.journal.append("done")

        rig.loop.do(rig.hooks.close, dict)
        rig.loop.advance(END_SECONDS)
        assert (rig.journal, caplog.records) == (["done"], [])

    def test_no_record_is_made_for_nobody(self, rig):
        rig.loop.do(rig.hooks.close, lambda: pytest.fail("nobody asked"))


def test_a_hook_whose_types_cannot_be_read_is_a_hook():
    def hook(value: "Nowhere", context): ...  # noqa: F821

    assert context_parameter(hook) == "context"
    assert context_parameter(lambda value: None) is None
