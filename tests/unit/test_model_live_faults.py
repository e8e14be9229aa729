"""Whole calls over the simulated GPT-Live, through each of its faults: no rule is broken, and nobody waits for long."""

from dataclasses import replace

import pytest

from fastbridge.agent import Agent
from fastbridge.sim import AfterAssistant, CallTool, HangUp, Interrupt, Live, Say, Scenario, Speak, live_faults
from fastbridge.sim.disruption import Disruption, Drop, On
from fastbridge.sim.faults import Fault
from fastbridge.testing import VirtualCall

HELLO = Say("Hello, how can I help?")
NINE = Say("We open at nine and close at five on Mondays.")
STORY = Say("It is a long story. " * 6)
HOURS = CallTool("opening_hours", {"day": "Monday"})
SPOKEN = Scenario(greeting=HELLO, turns=[HOURS, NINE] * 4)
ASKS = [Speak("caller_appointment"), HangUp(AfterAssistant(2500))]
LONGEST_WAIT_MS = 4000
IN_VAIN = {"wrong format", "commentary refused"}
"""There is no session to be had: an apology, and the end."""


def desk(**fields: object) -> Agent:
    agent = Agent(greeting=HELLO.transcript, model="gpt-live-1", greeting_lock=False, **fields)  # type: ignore[arg-type]

    @agent.tool
    async def opening_hours(day: str) -> str:
        """When we are open."""
        return f"{day}: nine to five"

    return agent


@pytest.mark.parametrize("fault", live_faults.CATALOGUE, ids=str)
def test_a_call_goes_on_or_ends_with_an_apology(fault: Fault) -> None:
    call = VirtualCall(desk(), ASKS, fault(SPOKEN), patience_ms=30_000)
    assert call.errors == []
    assert call.record is not None
    assert call.waits(over_ms=LONGEST_WAIT_MS) == []
    if fault.name in IN_VAIN:
        assert call.record["model_line"]["apologised"]
    else:
        assert call.record["end_reason"] == "customer_hangup"
        assert call.record["responses"]["count"] > 0


@pytest.mark.parametrize(
    "fault", [live_faults.gap(), live_faults.burst(), live_faults.never_started()], ids=lambda fault: fault.name
)
def test_each_question_is_answered_once(fault: Fault) -> None:
    """Whatever is asked for again, and however fast a tool is beside a voice that speaks on."""
    words = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot")
    answers = [turn for word in words for turn in (HOURS, Say(f"{word}: we open at nine and close at five."))]
    script = [*ASKS[:1] * 3, HangUp(AfterAssistant(4000))]
    call = VirtualCall(desk(), script, fault(Scenario(greeting=HELLO, turns=answers)), patience_ms=30_000)
    assert call.errors == []
    said = " ".join(text for role, text in call.turns if role == "assistant")
    assert [word for word in words if word in said] == list(words[:3])
    assert call.record is not None
    assert [tool["outcome"] for tool in call.record["tools"]] == ["ok"] * 3


def test_a_whole_call_is_the_same_as_with_the_other_dialect() -> None:
    """One agent, one scenario: who speaks, and what its tools do."""
    live = VirtualCall(desk(), ASKS, SPOKEN)
    other = VirtualCall(desk().changed(model="gpt-realtime-2.1"), ASKS, SPOKEN)
    for call in (live, other):
        assert call.errors == []
        assert call.record is not None
        assert [(tool["name"], tool["outcome"]) for tool in call.record["tools"]] == [("opening_hours", "ok")]
        assert [turn for turn in call.turns if turn[0] == "assistant"] == [
            ("assistant", HELLO.transcript),
            ("assistant", NINE.transcript),
        ]


@pytest.mark.parametrize("interruptible", [True, False])
def test_an_interruption_is_told_whether_the_model_stops_or_not(interruptible: bool) -> None:
    scenario = Scenario(greeting=HELLO, turns=[STORY, NINE], live=Live(delta_ms=40, interruptible=interruptible))
    script = [Speak("caller_appointment"), Interrupt("caller_interrupts", 2000), HangUp(AfterAssistant(2500))]
    call = VirtualCall(desk(), script, scenario, patience_ms=30_000)
    assert call.errors == []
    assert call.record is not None
    assert call.record["barge_ins"][0]["outcome"] == "committed"
    requests = [event for session in call.model.live_sessions for event in session.requests]
    told = [event["content"] for event in requests if event["type"] == "session.thinking.append"]
    assert told[0].startswith("The caller interrupted you.")


def test_a_session_that_ends_every_twenty_seconds_is_never_missed() -> None:
    scenario = live_faults.ended("expired", after_ms=20_000, times=9)(SPOKEN)
    call = VirtualCall(desk(), [*ASKS[:1] * 6, ASKS[1]], scenario, patience_ms=30_000)
    assert call.errors == []
    assert call.record is not None
    assert call.record["model_line"]["reconnects"] >= 2
    assert call.waits(over_ms=LONGEST_WAIT_MS) == []


def test_work_that_is_lost_while_the_model_behind_the_voice_thinks_is_done_all_the_same() -> None:
    """The voice has said that it sees to it, no tool has been called, and the next session knows nothing of it."""
    thinking = replace(SPOKEN, first_delta_ms=4000.0, live=Live(acknowledgement="One moment."))
    lost = Disruption(On("session.delegation.created", after_ms=2500), Drop())
    fault = Fault("lost", "Lost.", lambda base, attempt: base if attempt else replace(base, disruptions=[lost]))
    call = VirtualCall(desk(), [ASKS[0], HangUp(AfterAssistant(9000))], fault(thinking), patience_ms=30_000)
    assert call.errors == []
    assert call.record is not None
    assert call.record["model_line"]["reconnects"] == 1
    assert [tool["outcome"] for tool in call.record["tools"]] == ["ok"]
    assert call.turns[-1] == ("assistant", NINE.transcript)
    assert call.waits(over_ms=2000) == []


def test_a_stored_session_is_continued() -> None:
    settings = {"FASTBRIDGE_SESSION_RENEW_SECONDS": "10", "FASTBRIDGE_LIVE_STORE": "1"}
    call = VirtualCall(desk(), ASKS, SPOKEN, **settings)
    assert call.errors == []
    assert call.record is not None
    assert call.record["model_line"]["renewals"] == 1
    first, second = call.model.live_sessions
    assert second.stored is first


def test_a_caller_who_says_nothing_is_asked_and_told_goodbye() -> None:
    agent = desk().changed(settings={"silence_seconds": 6, "silence_prompts": 1})
    scenario = Scenario(greeting=HELLO, turns=[Say("Are you still there?"), Say("Goodbye!")])
    call = VirtualCall(agent, [HangUp(AfterAssistant(30_000))], scenario, limit_seconds=60, patience_ms=60_000)
    assert call.errors == []
    assert call.record is not None
    assert (call.record["end_reason"], call.record["silences"]) == ("silence", 1)
    assert [text for _, text in call.turns] == [HELLO.transcript, "Are you still there?", "Goodbye!"]
