"""Calls to a model that streams without end, through one real node: real sockets, and the simulator's GPT-Live."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fastbridge.sim import (
    AfterAssistant,
    AfterMs,
    CallReport,
    CallTool,
    HangUp,
    Interrupt,
    Live,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
    live_faults,
)

AGENT = '''
from fastbridge import Agent

agent = Agent(greeting="Hello, how can I help?", model="gpt-live-1", greeting_lock=False)


@agent.tool
async def opening_hours(day: str) -> str:
    """When we are open."""
    return f"{day}: nine to five"
'''
HELLO = Say("Hello, how can I help?")
HOURS = CallTool("opening_hours", {"day": "Monday"})
NINE = Say("We are open from nine to five on Monday.")
STORY = Say("It is a long story. " * 6)


@pytest.fixture
def agent(tmp_path: Path) -> str:
    (tmp_path / "live_agent.py").write_text(AGENT)
    return f"{tmp_path / 'live_agent.py'}:agent"


class Held:
    def __init__(self, report: CallReport, record: dict[str, Any], model: ModelServer) -> None:
        self.report, self.record, self.model = report, record, model

    @property
    def turns(self) -> list[tuple[str, str]]:
        return [(turn["role"], turn["text"]) for turn in self.record["turns"]]


async def hold(agent: str, scenario: Scenario, script: list[Any], seconds: float = 60, **settings: str) -> Held:
    async with (
        ModelServer(scenario) as model,
        NodeProcess(model.base_url, agent, settings={"FASTBRIDGE_SILENCE_SECONDS": "0", **settings}) as node,
    ):
        caller = SimulatedCaller(
            node.url, script, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=seconds
        )
        report = await caller.call()
        record = await node.record(report.call_sid)
        for _ in range(50):  # the session's last account is waited for beside the call
            if record is None or record["model_seconds"]["billed"] is not None:
                break
            await asyncio.sleep(0.1)
            record = await node.record(report.call_sid)
    assert model.errors == []
    assert report.errors == []
    assert record is not None
    assert record["errors_by_type"].get("internal", 0) == 0
    return Held(report, record, model)


def test_a_greeting_a_question_a_tool_and_its_answer(agent):
    scenario = Scenario(greeting=HELLO, turns=[HOURS, NINE])
    held = asyncio.run(hold(agent, scenario, [Speak("caller_appointment"), HangUp(AfterAssistant(1500))]))
    assert held.turns[0] == ("assistant", HELLO.transcript)
    assert held.turns[-1] == ("assistant", NINE.transcript)
    assert [(tool["name"], tool["outcome"]) for tool in held.record["tools"]] == [("opening_hours", "ok")]
    (session,) = held.model.live_sessions
    assert list(session.tool_outputs.values()) == ["Monday: nine to five"]
    assert held.record["model_seconds"]["connected"] > 5
    assert held.record["model_seconds"]["billed"] == pytest.approx(session.billed_seconds, abs=1)
    assert held.report.gaps() == []


def test_an_interruption_is_heard_and_told(agent):
    scenario = Scenario(greeting=HELLO, turns=[STORY, NINE], live=Live(delta_ms=40))
    script = [
        Speak("caller_appointment"),
        Interrupt("caller_interrupts", 2000),
        HangUp(AfterAssistant(1500)),
    ]
    held = asyncio.run(hold(agent, scenario, script))
    assert [entry["outcome"] for entry in held.record["barge_ins"]] == ["committed"]
    story = next(text for role, text in held.turns if role == "assistant" and text.startswith("It is a long"))
    assert len(story) < len(STORY.transcript)
    assert held.turns[-1] == ("assistant", NINE.transcript)


def test_a_session_lost_again_and_again_is_back_each_time(agent):
    scenario = live_faults.ended("connection_lost", after_ms=6000, times=9)(Scenario(greeting=HELLO, turns=[NINE] * 9))
    script = [Speak("caller_appointment"), Speak("caller_appointment"), HangUp(AfterAssistant(1500))]
    held = asyncio.run(hold(agent, scenario, script, seconds=90))
    assert held.record["model_line"]["reconnects"] >= 2
    assert held.record["end_reason"] == "customer_hangup"
    assert len(held.model.live_sessions) == held.record["model_line"]["reconnects"] + 1
    assert held.model.live_sessions[-1].requests[0]["session"]["input"]


def test_a_stored_session_is_forked_and_nobody_hears_it(agent):
    settings = {"FASTBRIDGE_SESSION_RENEW_SECONDS": "10", "FASTBRIDGE_LIVE_STORE": "1"}
    script = [Speak("caller_appointment"), HangUp(AfterMs(9000))]
    held = asyncio.run(hold(agent, Scenario(greeting=HELLO, turns=[NINE]), script, **settings))
    assert held.record["model_line"]["renewals"] == 1
    first, second = held.model.live_sessions
    assert second.stored is first
    assert json.dumps(second.requests[0]).count("pcmu") == 1
