"""The simulators on a loop of their own: entered, called and ended from a plain function."""

import asyncio
import threading
from typing import Any, cast

import pytest

from fastbridge.sim import HangUp, ModelServer
from fastbridge.sim.node import NodeProcess
from fastbridge.sim.plain import PlainNode, Stage
from fastbridge.sim.report import CallReport


class Party:
    """Writes down who enters and leaves."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    async def __aenter__(self) -> str:
        self.seen.append(f"{self.name} in {threading.current_thread().name}")
        return self.name

    async def __aexit__(self, *_: object) -> None:
        self.seen.append(f"{self.name} out")


class Line:
    """A call that takes as long as the others."""

    def __init__(self, script: list[str], together: asyncio.Barrier) -> None:
        self.script = script
        self.together = together

    async def call(self) -> CallReport:
        await self.together.wait()
        return CallReport(self.script[0])


class Process:
    """A NodeProcess as far as a PlainNode needs it."""

    class Api:
        async def ended(self, call_sid: str) -> CallReport:
            return CallReport(call_sid)

    api = Api()

    def __init__(self, at_once: int) -> None:
        self.together = asyncio.Barrier(at_once)
        self.options: list[dict[str, Any]] = []

    def caller(self, script: list[str], **options: Any) -> Line:
        self.options.append(options)
        return Line(script, self.together)

    async def record(self, call_sid: str) -> dict[str, str]:
        return {"call_sid": call_sid}

    def log(self) -> str:
        return "its log"


def plain(stage: Stage, process: Process) -> PlainNode:
    return PlainNode(stage, cast(NodeProcess, process))


def test_who_enters_leaves_in_the_other_order_and_the_thread_ends() -> None:
    seen: list[str] = []
    with pytest.raises(ValueError, match="of the test"), Stage() as stage:  # noqa: PT012 - it is about the end
        assert [stage.enter(Party(name, seen)) for name in ("model", "node")] == ["model", "node"]
        raise ValueError("of the test")
    assert seen == ["model in fastbridge-stage", "node in fastbridge-stage", "node out", "model out"]
    assert "fastbridge-stage" not in {thread.name for thread in threading.enumerate()}


def test_a_model_is_reached_from_the_tests_thread() -> None:
    with Stage() as stage:
        model = stage.enter(ModelServer())
        assert model.base_url.startswith("http://127.0.0.1:")
        assert (model.errors, model.sessions) == ([], [])


def test_calls_one_by_one_and_at_once() -> None:
    with Stage() as stage:
        node = plain(stage, Process(at_once=2))
        assert [report.call_sid for report in node.calls(cast(Any, ["a"]), cast(Any, ["b"]))] == ["a", "b"]
    with Stage() as stage:
        process = Process(at_once=1)
        node = plain(stage, process)
        report = node.call([HangUp()], query="business_id=456")
        assert process.options == [{"query": "business_id=456"}]
        assert node.record(report) == {"call_sid": HangUp()}
        assert (node.log(), node.api) == ("its log", process.api)
        assert node.ended("CA9").call_sid == "CA9"


def test_it_works_within_a_loop_of_the_tests_own() -> None:
    async def test() -> str:
        with Stage() as stage:
            return plain(stage, Process(at_once=1)).call(cast(Any, ["c"])).call_sid

    assert asyncio.run(test()) == "c"
