"""Warm transfers through a real node, over real sockets: the human is called by the simulated API, hears the brief and
answers by key; and the caller, who hears the tone meanwhile, ends with him or with the assistant."""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from e2e.dialects import LIVE, REALTIME, both, model_of
from fastbridge.sim import AfterMs, Callee, CallTool, HangUp, ModelServer, NodeProcess, Say, Scenario, Speak, ear
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import ResponseRequest, Turn

HUMAN = "+14155550188"
AGENT = f"""
from fastbridge import Agent

agent = Agent(greeting="Good morning.", transfer_to={{"reception": "{HUMAN}"}}, warm_transfer=True)
"""
BRIEF = "Dana is on the line, about an appointment."
SORRY = "They cannot take your call now. Shall I write down a message?"


def assistant(request: ResponseRequest) -> Turn:
    if request.is_greeting:
        return (Say("Good morning."),)
    last = request.conversation[-1]
    if any(item.get("role") == "system" for item in request.conversation):
        return (Say(SORRY),)
    if last["type"] == "function_call_output":
        return (Say("Please hold the line."),)
    return Say("One moment, please hold the line."), CallTool(
        "transfer_call", {"destination": "reception", "brief": BRIEF}
    )


class Held(NamedTuple):
    report: CallReport
    record: dict[str, Any]
    human: CallReport | None
    errors: list[str]
    log: str

    def notes(self, whose: CallReport) -> list[str]:
        return [event.kind for event in whose.events]


async def held(folder: Path, callee: Callee, *, seconds: float, workers: int, dialect: str) -> Held:
    agent = folder / "desk.py"
    agent.write_text(AGENT)
    settings = model_of(dialect) | ({"FASTBRIDGE_WORKERS": str(workers)} if workers > 1 else {})
    async with ModelServer(Scenario(script=assistant)) as model:
        node = NodeProcess(model.base_url, f"{agent}:agent", settings=settings)
        node.api.callees[HUMAN] = callee
        async with node:
            caller = node.caller([Speak("caller_appointment"), HangUp(AfterMs(seconds * 1000))], patience_ms=60_000)
            report = await caller.call()
            record = await node.record(caller.call_sid)
            for _ in range(100):
                if record is not None and record["transfers"][-1]["outcome"] is not None:
                    break
                await asyncio.sleep(0.1)
                record = await node.record(caller.call_sid)
            for _ in range(100):  # who has answered hears a goodbye
                if callee.outcome != "answers" or node.api.reports:
                    break
                await asyncio.sleep(0.1)
            humans = list(node.api.reports.values())
            errors = [*report.errors, *node.api.errors, *model.errors]
            log = node.log()
        assert record is not None
        return Held(report, record, humans[0] if humans else None, errors, log)


def hold(folder: Path, callee: Callee, *, seconds: float = 25.0, workers: int = 1, dialect: str = REALTIME) -> Held:
    found = asyncio.run(held(folder, callee, seconds=seconds, workers=workers, dialect=dialect))
    assert found.errors == []
    assert found.record["transfers"][0]["to"] == "reception"
    assert "[TRANSFER] calling, to=reception" in found.log
    assert " ERROR " not in found.log
    assert found.record["errors_by_type"] == {}
    assert ear.waits(found.report.said, found.report.heard, 3000, greeted=True) == []
    return found


@pytest.mark.parametrize(("dialect", "workers"), [(REALTIME, 1), (REALTIME, 2), (LIVE, 1)])
def test_accepted(tmp_path: Path, dialect: str, workers: int) -> None:
    human = Callee(rings_seconds=1.5, digits=("1",), hangs_up_after_seconds=25.0)
    found = hold(tmp_path, human, seconds=60.0, workers=workers, dialect=dialect)
    assert found.record["transfers"][0]["outcome"] == "connected"
    assert (found.record["end_reason"], found.record["transferred_to"]) == ("transferred", "reception")
    assert found.report.ended_by == "server"
    assert "dial" in found.notes(found.report)
    assert found.human is not None
    (gather,) = [event for event in found.human.events if event.kind == "gather"]
    assert BRIEF in gather.text
    assert "dial" in found.notes(found.human)
    assert "[TRANSFER] connected, to=reception" in found.log


@both
def test_declined(tmp_path: Path, dialect: str) -> None:
    found = hold(tmp_path, Callee(rings_seconds=1.0, digits=("2",)), dialect=dialect)
    assert found.record["transfers"][0]["outcome"] == "declined"
    assert_back(found)
    assert found.human is not None
    assert [event.text for event in found.human.events if event.kind == "say"] == ["Thank you. Goodbye."]


def test_busy(tmp_path: Path) -> None:
    found = hold(tmp_path, Callee(rings_seconds=1.0, outcome="busy"))
    assert found.record["transfers"][0]["outcome"] == "busy"
    assert_back(found)


def test_no_answer(tmp_path: Path) -> None:
    found = hold(tmp_path, Callee(rings_seconds=2.0, outcome="no-answer"))
    assert found.record["transfers"][0]["outcome"] == "no_answer"
    assert_back(found)


def test_voicemail(tmp_path: Path) -> None:
    found = hold(tmp_path, Callee(rings_seconds=1.0, answered_by="machine_end_beep", amd_seconds=2.5), seconds=30.0)
    assert found.record["transfers"][0]["outcome"] == "machine"
    assert_back(found)
    assert found.human is not None
    assert "dial" not in found.notes(found.human)


@both
def test_a_caller_who_hangs_up(tmp_path: Path, dialect: str) -> None:
    found = hold(tmp_path, Callee(rings_seconds=2.0, digits=("",) * 9), seconds=15.0, dialect=dialect)
    assert found.record["transfers"][0]["outcome"] == "caller_gone"
    assert found.record["end_reason"] == "customer_hangup"
    assert found.human is not None
    said = [event.text for event in found.human.events if event.kind == "say"]
    assert said == ["The caller is not waiting any more. Goodbye."]


def assert_back(found: Held) -> None:
    """The caller is with the assistant again, who has told him so."""
    assert found.record["end_reason"] == "customer_hangup"
    assert found.record["transferred_to"] is None
    assert SORRY in [turn["text"] for turn in found.record["turns"] if turn["role"] == "assistant"]
