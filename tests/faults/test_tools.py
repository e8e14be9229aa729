"""Tools that fail, dawdle, are called twice or talked over: the model gets its answer, the caller always hears."""

import asyncio

import pytest

from dialects import MODELS
from fastbridge.agent import Agent
from fastbridge.sim import AfterMs, HangUp, Speak, faults
from fastbridge.sim.scenario import CallTool, Say, Scenario
from fastbridge.testing import VirtualCall
from plays import (
    ANSWER,
    GREETING,
    INTERRUPTION,
    LINES,
    QUESTION,
    SECOND,
    ask,
    assert_answered,
    assert_never_left_alone,
    settle,
)
from stage import Stage, called, created_items


@pytest.fixture
def stage_with(dialect):
    """`stage_with(tool functions, first turn)`: a call whose first answer is that turn."""
    stages = []

    def make(functions, turn, *, timeout_seconds=10.0, **scenario):
        agent = Agent(greeting=GREETING.transcript)
        for function in functions:
            agent.tool(timeout_seconds=timeout_seconds)(function)

        def script(request):
            if request.is_greeting:
                return GREETING
            kinds = [item["type"] for item in request.conversation]
            # A Live model's task begins before its call is known.
            called = "function_call" in kinds or bool(stages[-1].live and stages[-1].session.delegations)
            asked = sum(item.get("role") == "user" for item in request.conversation)
            if not called:
                return turn
            return ANSWER if asked <= 1 else SECOND

        base = Scenario(script=script, speed=2.0, **scenario)
        lines = (*LINES, Say("One moment, I will look."))
        stages.append(Stage(lambda attempt: base, agent, lines=lines, model=MODELS[dialect]))
        return stages[-1]

    yield make
    for stage in stages:
        stage.shut()


def outputs(stage):
    return [item for item in created_items(stage.session) if item["type"] == "function_call_output"]


def creates_after_tools(stage):
    """The creates of the node's own, but for the greeting, which a Live session is asked for in other words."""
    return stage.session.received["response.create"] - (not stage.live)


async def fails(day: str) -> str:
    """It fails."""
    raise LookupError("no such day")


async def never(day: str) -> str:
    """It never returns."""
    await asyncio.sleep(3600)
    return day


async def quick(day: str) -> str:
    """It is quick."""
    return day


async def slow(day: str) -> str:
    """It takes its time."""
    await asyncio.sleep(30)
    return day


async def leaves(day: str) -> str:
    """It ends the program."""
    raise SystemExit(3)


DAY = {"day": "Monday"}


@pytest.mark.parametrize(
    ("function", "outcome", "said"),
    [
        (fails, "error", "no such day"),
        (never, "timeout", "too long"),
        (leaves, "error", "SystemExit"),
        (quick, "ok", "Mon"),
    ],
)
def test_the_model_learns_how_it_ended_and_goes_on_once(stage_with, function, outcome, said):
    stage = stage_with([function], CallTool(function.__name__, DAY))
    settle(stage)
    ask(stage)
    ask(stage)
    assert_answered(stage)
    (output,) = outputs(stage)
    assert said in output["output"]
    assert creates_after_tools(stage) == 1
    assert [call["outcome"] for call in stage.call.record()["tools"]] == [outcome]


@pytest.mark.parametrize(
    ("name", "arguments"), [("quick", "not json"), ("quick", "[]"), ("quick", '{"night": 1}'), ("quick", "")]
)
def test_arguments_that_do_not_fit(stage_with, name, arguments):
    stage = stage_with([quick], CallTool(name, arguments))
    settle(stage)
    ask(stage)
    ask(stage)
    assert_answered(stage)
    assert len(outputs(stage)) == 1


def test_a_tool_of_half_a_minute_is_waited_for_in_company(stage_with):
    stage = stage_with([slow], CallTool("slow", DAY), timeout_seconds=60)
    settle(stage)
    ask(stage)
    assert_never_left_alone(stage)
    fillers = [sound for sound in stage.ear.sounds if sound.name.startswith("local_")]
    assert len(fillers) >= 6
    assert stage.ear.words[-1] == ANSWER.transcript
    ask(stage)
    assert_answered(stage)
    assert [call["outcome"] for call in stage.call.record()["tools"]] == ["ok"]


@pytest.mark.parametrize("others", [(quick,), (fails,), (never,), (quick, fails, never)])
def test_two_calls_in_one_response_are_answered_together(stage_with, others):
    functions = [slow, *others]
    turn = tuple(CallTool(function.__name__, DAY) for function in functions)
    stage = stage_with(functions, turn, timeout_seconds=4)
    settle(stage)
    ask(stage)
    ask(stage)
    assert_answered(stage)
    assert len(outputs(stage)) == len(functions)
    assert creates_after_tools(stage) == 1


def test_the_same_tool_twice_in_one_response(stage_with):
    stage = stage_with([quick], (CallTool("quick", {"day": "Monday"}), CallTool("quick", {"day": "Sunday"})))
    settle(stage)
    ask(stage)
    ask(stage)
    assert_answered(stage)
    assert sorted(item["output"] for item in outputs(stage)) == ["Monday", "Sunday"]
    assert creates_after_tools(stage) == 1


def test_words_before_the_call_are_heard(stage_with):
    words = Say("One moment, I will look.")
    stage = stage_with([quick], (words, CallTool("quick", DAY)))
    settle(stage)
    ask(stage)
    assert_never_left_alone(stage)
    assert stage.ear.words == [GREETING.transcript, words.transcript, ANSWER.transcript]


def test_the_caller_interrupts_the_words_before_a_call(stage_with):
    """The model has asked for the tool: it gets its answer, whatever the caller says meanwhile."""
    stage = stage_with([quick], (SECOND, CallTool("quick", DAY)), cancel_ms=5000.0)
    settle(stage)
    stage.says(QUESTION)
    stage.run(0.5)
    stage.until(lambda: stage.ear.is_answered)
    stage.run(0.6)
    stage.says(INTERRUPTION)
    settle(stage)
    ask(stage)
    assert_answered(stage)
    assert len(outputs(stage)) == called(stage.session).total()


def test_the_caller_speaks_while_the_tool_runs(stage_with):
    stage = stage_with([slow], CallTool("slow", DAY), timeout_seconds=6)
    settle(stage)
    stage.says(QUESTION)
    stage.run(4.0)
    stage.says(INTERRUPTION)
    settle(stage)
    ask(stage)
    assert_answered(stage)
    assert len(outputs(stage)) == 1


def test_the_caller_hangs_up_while_the_tool_runs(stage_with):
    stage = stage_with([never], CallTool("never", DAY))
    settle(stage)
    stage.says(QUESTION)
    stage.run(4.0)
    stage.hang_up()
    stage.run(0.1)
    assert stage.over
    assert outputs(stage) == []
    assert stage.tasks == set()


@pytest.mark.parametrize("at", [faults.TOOL_RUNNING])
@pytest.mark.parametrize("tool_seconds", [0.5, 2.0, 9.0])
def test_a_tool_outlives_its_session(perform, at, tool_seconds):
    """Its result goes to the session that there is when it comes."""
    stage = perform(faults.dropped(at), "tool", tool_seconds=tool_seconds, tool_timeout_seconds=20.0)
    assert_answered(stage)
    assert stage.play.runs == 1
    assert ANSWER.transcript in stage.ear.words


def test_a_model_that_calls_tools_without_end_is_given_up_with_an_apology(dialect):
    agent = Agent(greeting="Hello.", model=MODELS[dialect])

    @agent.tool
    async def look() -> str:
        """Look."""
        return "nothing so far"

    scenario = Scenario(greeting=Say("Hello."), turns=[CallTool("look")])
    call = VirtualCall(agent, [Speak("caller_accepts"), HangUp(AfterMs(60_000))], scenario, patience_ms=70_000)
    assert (call.errors, call.waits()) == ([], [])
    assert call.record is not None
    assert (call.record["end_reason"], call.record["model_line"]["apologised"]) == ("model_lost", True)
    assert call.record["answers"]["tool_loops"] == 1
    assert len(call.record["tools"]) <= 12
