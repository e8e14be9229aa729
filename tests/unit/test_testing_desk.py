"""fastbridge.testing.desk: a warm transfer on virtual time, to callees that a test gives."""

import pytest

from fastbridge.agent import Agent
from fastbridge.sim import AfterMs, Callee, CallTool, HangUp, Say, Scenario, Speak
from fastbridge.testing import VirtualCall

HUMAN = "+14155550188"
BRIEF = "Dana is on the line, about an appointment."
SORRY = "They cannot take your call now."
AGENT = Agent(greeting="Good morning.", transfer_to={"reception": HUMAN}, warm_transfer=True)
LONG = HangUp(AfterMs(40_000))


def assistant(request):
    if request.is_greeting:
        return Say("Good morning.")
    if any(item.get("role") == "system" for item in request.conversation):
        return Say(SORRY)
    if request.conversation[-1]["type"] == "function_call_output":
        return Say("Hold the line.")
    return Say("One moment."), CallTool("transfer_call", {"destination": "reception", "brief": BRIEF})


def call(callee, *, agent=AGENT, last=LONG, **options):
    script = [Speak("caller_appointment"), last]
    held = VirtualCall(
        agent, script, Scenario(script=assistant), patience_ms=120_000, callees={HUMAN: callee}, **options
    )
    assert held.errors == []
    assert held.waits(3000) == []
    return held


def heard(held):
    (human,) = held.api.reports.values()
    return [(event.kind, event.text) for event in human.events if event.kind in ("gather", "dial", "say")]


def test_a_human_who_says_yes_has_the_caller():
    held = call(Callee(digits=("1",), hangs_up_after_seconds=30))
    assert held.record["transfers"][0]["outcome"] == "connected"
    assert (held.record["end_reason"], held.record["transferred_to"]) == ("transferred", "reception")
    assert held.report.ended_by == "server"
    (kind, question), (dial, room) = heard(held)
    assert (kind, dial) == ("gather", "dial")
    assert BRIEF in question
    assert ("dial", room) in [(event.kind, event.text) for event in held.report.events]
    assert held.api.dialled == [HUMAN]


@pytest.mark.parametrize(
    ("callee", "outcome"),
    [
        (Callee(digits=("2",)), "declined"),
        (Callee(outcome="busy"), "busy"),
        (Callee(outcome="no-answer"), "no_answer"),
        (Callee(rings_seconds=99), "no_answer"),
        (Callee(outcome="failed"), "failed"),
        (Callee(answered_by="machine_end_beep"), "machine"),
        (Callee(hangs_up_after_seconds=3), "declined"),
    ],
)
def test_the_caller_comes_back_where_there_is_nobody(callee, outcome):
    held = call(callee, last=HangUp(AfterMs(50_000)))
    assert held.record["transfers"][0]["outcome"] == outcome
    assert ("assistant", SORRY) in held.turns
    assert held.record["end_reason"] == "customer_hangup"
    assert f"[TRANSFER] {outcome}, to=reception" in held.log


def test_who_says_nothing_is_asked_twice_and_has_declined():
    held = call(Callee(), last=HangUp(AfterMs(90_000)))
    assert [kind for kind, _ in heard(held)] == ["gather", "gather", "say"]
    assert ("assistant", SORRY) in held.turns


def test_a_caller_who_hangs_up_leaves_a_human_who_is_told_so():
    held = call(Callee(digits=("",) * 9), last=HangUp(AfterMs(12_000)))
    assert held.record["transfers"][0]["outcome"] == "caller_gone"
    assert heard(held)[-1] == ("say", "The caller is not waiting any more. Goodbye.")


def test_in_the_agents_language():
    held = call(Callee(digits=("2",)), agent=AGENT.changed(language="de"))
    assert heard(held)[-1] == ("say", "Danke. Auf Wiederhören.")


@pytest.mark.parametrize("faults", [(503,), (500,), (429,)])
def test_whatever_befalls_the_request(faults):
    held = call(Callee(digits=("1",), hangs_up_after_seconds=30), api_faults=faults, last=HangUp(AfterMs(90_000)))
    outcome = held.record["transfers"][0]["outcome"]
    assert outcome == ("failed" if faults == (500,) else "connected")
