"""A user's call on virtual time: what can be looked at afterwards, and that it is what a node would have done."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fastbridge import Agent, CallContext
from fastbridge.errors import ConfigError
from fastbridge.sim import (
    AfterAssistant,
    AfterMs,
    CallTool,
    Dtmf,
    HangUp,
    Interrupt,
    Say,
    Scenario,
    Speak,
    faults,
)
from fastbridge.sim.scenario import ResponseRequest, Turn, babble
from fastbridge.testing import VirtualCall

HELLO = Say("Hello, how can I help?")
NINE = Say("We open at nine.")
QUESTION = babble("When do you open, please?")
ASKS = [Speak(QUESTION), HangUp()]
SPOKEN = Scenario(greeting=HELLO, turns=[NINE])


def greeter(**fields: Any) -> Agent:
    return Agent(greeting=HELLO.transcript, **fields)


def with_tool(request: ResponseRequest) -> Turn:
    """The tool `hours` for the caller's question, and then its words."""
    if request.is_greeting:
        return HELLO
    if "Say exactly this" in request.params.get("instructions", ""):
        return Say("One moment, please.")
    last = request.conversation[-1]
    return Say(str(last["output"])) if last["type"] == "function_call_output" else CallTool("hours")


TOOL_PLAY = Scenario(script=with_tool)


def test_a_call_and_all_that_is_known_of_it() -> None:
    call = VirtualCall(greeter(), ASKS, SPOKEN)
    assert call.errors == []
    assert call.waits() == []
    assert not call.report.gaps()
    assert call.report.ended_by == "caller"
    assert [role for role, _ in call.turns] == ["assistant", "caller", "assistant"]
    assert call.turns[-1] == ("assistant", NINE.transcript)
    assert call.record is not None
    assert call.record["end_reason"] == "customer_hangup"
    assert "[CALL_END]" in call.log
    assert "[TRANSCRIPT]" in call.log
    assert repr(call).startswith("<VirtualCall of ")
    assert len(call.report.marks) == len([mark for mark in call.report.marks if mark.echoed_ms is not None])
    assert call.model.sessions[0].items
    assert call.real_waits == 0


def test_a_minute_takes_no_minute() -> None:
    began = time.monotonic()
    call = VirtualCall(greeter(), [HangUp(AfterMs(60_000))], SPOKEN, patience_ms=61_000)
    assert call.report.duration_ms >= 60_000
    assert time.monotonic() - began < 10


def test_the_same_call_twice_is_the_same_call() -> None:
    first, second = (VirtualCall(greeter(), ASKS, SPOKEN, call_sid="CA" + "7" * 32) for _ in range(2))
    assert first.report.heard == second.report.heard
    assert first.report.events == second.report.events
    assert first.turns == second.turns


def test_a_call_in_which_nothing_was_heard_is_one_wait() -> None:
    call = VirtualCall(greeter(), [HangUp(AfterMs(300))], SPOKEN)
    assert call.errors == []
    assert [(wait.start_ms, wait.end_ms) for wait in call.waits()] == [(0, call.report.duration_ms)]


def test_a_caller_who_waits_in_vain_says_so() -> None:
    call = VirtualCall(Agent(), ASKS, SPOKEN, patience_ms=4000)
    assert call.errors == ["caller waited 4 s in vain to Speak: nothing was heard since its last step"]
    assert call.waits() != []


def test_whoever_is_not_answered_waited() -> None:
    call = VirtualCall(greeter(allowed_callers=["+15005550002"]), ASKS, SPOKEN)
    assert call.waits() != []
    assert call.record is None
    assert [event.kind for event in call.report.events] == ["reject"]
    assert call.report.ended_by == "server"
    assert VirtualCall(greeter(allowed_callers=["+15005550002"]), ASKS, SPOKEN, from_number="+15005550002").turns


@pytest.mark.parametrize("fault", faults.CATALOGUE, ids=str)
def test_no_fault_leaves_the_caller_alone(fault: faults.Fault) -> None:
    call = VirtualCall(greeter(), ASKS, fault(SPOKEN))
    assert call.waits() == []


def test_a_fault_is_met() -> None:
    call = VirtualCall(greeter(), ASKS, faults.dropped(faults.GREETING, 1011)(SPOKEN))
    assert len(call.model.attempts) == len(call.model.sessions) == 2


def test_an_interruption_clears_at_the_carrier() -> None:
    long = Say("We are open from nine to five on every working day of the week, and on Saturdays from ten to two.")
    script = [Speak(QUESTION), Interrupt(babble("No, wait, something else."), 1500), HangUp()]
    call = VirtualCall(greeter(), script, Scenario(greeting=HELLO, turns=[long, NINE]))
    assert call.errors == []
    assert len(call.report.clears) == 1
    assert len(call.report.interruptions()) == 1
    assert any(mark.cleared for mark in call.report.marks)
    assert "clear" in [event.kind for event in call.report.events]


def test_keys_and_hooks() -> None:
    agent = greeter()
    heard: list[str] = []

    @agent.on_dtmf
    def pressed(digits: str) -> None:
        heard.append(digits)

    @agent.on_end
    def note(record: dict[str, Any]) -> None:
        heard.append(record["end_reason"])

    VirtualCall(agent, [Dtmf("42#"), HangUp(AfterAssistant())], SPOKEN)
    assert heard == ["42", "customer_hangup"]


def test_the_last_hook_has_its_time() -> None:
    agent = greeter()
    stored: list[str] = []

    @agent.on_end
    async def store(record: dict[str, Any]) -> None:
        await asyncio.sleep(20)
        stored.append(record["end_reason"])

    VirtualCall(agent, ASKS, SPOKEN)
    assert stored == ["customer_hangup"]


def test_what_is_looked_up_is_known_in_the_greeting() -> None:
    agent = Agent(greeting="Hello {name}, this is {shop}.", variables={"name": "you", "shop": "Rosa's"})

    @agent.on_call
    async def who(context: CallContext) -> dict[str, str]:
        await asyncio.sleep(0.05)
        assert context.from_number == "+15005550003"
        return {"name": "Ada"}

    call = VirtualCall(agent, ASKS, SPOKEN, from_number="+15005550003", query="shop=Max's")
    [session] = call.model.sessions
    asked = next(each for each in session.requests if each["type"] == "response.create")
    assert "Hello Ada, this is Max's." in asked["response"]["instructions"]


def test_what_is_looked_up_begins_at_the_webhook() -> None:
    agent = Agent(greeting="Hello {name}.", variables={"name": "you"})

    @agent.on_call
    async def who(context: CallContext) -> dict[str, str]:
        await asyncio.sleep(0.2)
        return {"name": "Ada"}

    call = VirtualCall(agent, ASKS, SPOKEN, FASTBRIDGE_LOOKUP_MS="100")
    [session] = call.model.sessions
    asked = next(each for each in session.requests if each["type"] == "response.create")
    assert "Hello Ada." in asked["response"]["instructions"]


# Tools.


def test_a_tool_that_sleeps_takes_virtual_time_and_the_caller_hears_the_filler() -> None:
    agent = greeter()

    @agent.tool(filler="One moment.", timeout_seconds=20)
    async def hours() -> str:
        """When we are open."""
        await asyncio.sleep(6)
        return "From nine."

    began = time.monotonic()
    call = VirtualCall(agent, [Speak(QUESTION), HangUp(AfterMs(15_000))], TOOL_PLAY)
    assert call.errors == []
    assert call.record is not None
    assert call.record["tools"] == [{"name": "hours", "outcome": "ok", "elapsed_ms": 6000}]
    assert ("assistant", "One moment, please.") in call.turns
    assert call.turns[-1] == ("assistant", "From nine.")
    assert time.monotonic() - began < 5


def test_a_tool_in_a_thread_is_waited_for_and_takes_no_virtual_time() -> None:
    agent = greeter()

    @agent.tool(timeout_seconds=0.01)
    def hours() -> str:
        """When we are open."""
        time.sleep(0.2)
        return "From nine."

    call = VirtualCall(agent, ASKS, TOOL_PLAY)
    assert call.errors == []
    assert call.turns[-1] == ("assistant", "From nine.")
    assert call.record is not None
    assert call.record["tools"] == [{"name": "hours", "outcome": "ok", "elapsed_ms": 0}]


def test_a_tool_that_never_returns_is_timed_out_as_by_a_node() -> None:
    agent = greeter()

    @agent.tool(timeout_seconds=2)
    async def hours() -> str:
        """When we are open."""
        await asyncio.get_running_loop().create_future()
        return "never"

    call = VirtualCall(agent, ASKS, TOOL_PLAY, real_seconds=0.2)
    assert call.record is not None
    assert [tool["outcome"] for tool in call.record["tools"]] == ["timeout"]
    assert call.real_waits == 1
    assert call.waits() == []


def test_a_tool_that_hangs_up_goes_by_the_api() -> None:
    agent = greeter()

    @agent.tool
    def hours(context: CallContext) -> str:
        """When we are open."""
        context.hang_up()
        return "We are closed. Goodbye."

    call = VirtualCall(agent, [Speak(QUESTION), HangUp(AfterMs(30_000))], TOOL_PLAY, api_faults=[503])
    assert call.errors == []
    assert call.report.ended_by == "server"
    assert [update.form for update in call.api.updates] == [{"Status": "completed"}] * 2
    assert call.record is not None
    assert call.record["end_reason"] == "agent_hangup"
    assert "HTTP Request" not in call.log


def test_what_a_tool_leaves_behind_ends_with_the_call() -> None:
    agent = greeter()
    seen: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    @agent.tool
    async def hours() -> str:
        """When we are open."""
        seen.append(str(asyncio.ensure_future(background()).done()))
        await asyncio.sleep(0.1)
        return "From nine."

    assert VirtualCall(agent, ASKS, TOOL_PLAY).errors == []
    assert seen == ["False", "ended"]


# What is given.


def test_settings_go_by_their_names() -> None:
    call = VirtualCall(greeter(), [HangUp(AfterMs(14_000))], SPOKEN, FASTBRIDGE_SILENCE_SECONDS="5")
    assert call.record is not None
    assert call.record["silences"] >= 1
    with pytest.raises(ConfigError, match="did you mean FASTBRIDGE_SILENCE_SECONDS"):
        VirtualCall(greeter(), ASKS, SPOKEN, FASTBRIDGE_SILENCE_SECOND="5")


def test_an_agent_is_named_as_to_serve(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text("from fastbridge import Agent\nagent = Agent(greeting='Hello.')\n")
    assert VirtualCall(f"{tmp_path / 'named.py'}:agent", ASKS, SPOKEN).errors == []
    with pytest.raises(ConfigError, match="has no Agent called 'agen': did you mean 'agent'"):
        VirtualCall(f"{tmp_path / 'named.py'}:agen", ASKS, SPOKEN)


def test_what_a_script_raises_is_an_error() -> None:
    def script(request: ResponseRequest) -> Turn:
        raise LookupError("no such line")

    call = VirtualCall(greeter(), ASKS, Scenario(script=script), patience_ms=3000)
    assert "the simulation failed: no such line" in call.errors


def test_the_users_code_runs_where_its_module_was_imported() -> None:
    """What a database's driver, say, ties to its thread is usable in an async tool."""
    agent = greeter()
    threads: list[int] = []

    @agent.on_start
    async def note(context: CallContext) -> None:
        threads.append(threading.get_ident())

    VirtualCall(agent, ASKS, SPOKEN)
    assert threads == [threading.get_ident()]


def test_within_a_running_loop_it_is_the_same() -> None:
    async def test() -> VirtualCall:
        return VirtualCall(greeter(), ASKS, SPOKEN)

    assert asyncio.run(test()).errors == []

    async def bad() -> VirtualCall:
        return VirtualCall(greeter(), "not steps", SPOKEN)  # type: ignore[arg-type]

    with pytest.raises(AttributeError, match="when"):
        asyncio.run(bad())
