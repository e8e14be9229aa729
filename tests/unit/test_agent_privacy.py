"""agent.privacy: what an author writes, in plain and in async functions, held in whole calls."""

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from call_rig import CallRig
from dialects import MODELS
from fastbridge import Agent, CallContext
from fastbridge.agent.privacy import Private
from fastbridge.agent.threads import awaited
from fastbridge.errors import NotPrivate
from fastbridge.sim import AfterMs, CallTool, Dtmf, HangUp, Say, Scenario, Speak
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import ResponseRequest, Turn, babble
from fastbridge.testing import VirtualCall
from fastbridge.testing.recorder import RECORDING_SID, VirtualRecorder
from virtual import call_context

CARD = "4242424242424242"
TYPES = [Dtmf(f"{CARD}#", AfterMs(1500))]


def play(tool: str) -> Scenario:
    def script(request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return Say("Hello, how can I help?")
        if "Say exactly this" in request.params.get("instructions", ""):
            return Say("Please type your card number now.")
        last = request.conversation[-1]
        return Say(str(last["output"])) if last["type"] == "function_call_output" else CallTool(tool)

    return Scenario(script=script)


def cashier(**fields: Any) -> tuple[Agent, list[str]]:
    """With a plain tool and an async one, of the same kind."""
    agent, got = Agent(greeting="Hello, how can I help?", **fields), []

    def paid(digits: str, context: CallContext) -> str:
        context.log("PAY", f"typed {digits}")
        got.append(digits)
        return f"Paid with a card of {len(digits)} digits."

    @agent.tool(timeout_seconds=60, filler="")
    def take_card(context: CallContext) -> str:
        """Take the card's number."""
        try:
            with context.private():
                context.say("Please type your card number now.")
                return paid(context.gather(max_digits=16, end="#", timeout_seconds=8), context)
        except NotPrivate:
            return "Not now."

    @agent.tool(timeout_seconds=60, filler="")
    async def take_card_too(context: CallContext) -> str:
        """Take the card's number."""
        try:
            async with context.private():
                context.say("Please type your card number now.")
                return paid(await context.gather_async(16, timeout_seconds=8), context)
        except NotPrivate:
            return "Not now."

    return agent, got


def held(tool: str, agent: Agent, steps: list[Any] = TYPES, **more: Any) -> VirtualCall:
    asks = Speak(babble("I would like to pay."))
    return VirtualCall(agent, [asks, *steps, HangUp(AfterMs(6000))], play(tool), **more)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("tool", ["take_card", "take_card_too"])
@pytest.mark.parametrize("record", ["", "local", "carrier"])
def test_a_card_is_taken_and_nobody_else_is_told(tool, record, dialect):
    """GPT-Live: whether or not the voice has said a word before it hands the work on."""
    agent, got = cashier(record=record, model=MODELS[dialect])
    call = held(tool, agent)
    assert call.errors == []
    assert got == [CARD]
    assert call.real_waits == 0
    assert call.turns[-1] == ("assistant", "Paid with a card of 16 digits.")
    assert "4242" not in call.log
    assert "4242" not in str(call.record)
    (session,) = [*call.model.sessions, *call.model.live_sessions]
    assert "4 2 4 2" not in str(session.items if isinstance(session, ModelSession) else session.conversation)
    assert "4 2 4 2" not in str(session.requests)
    assert "[PAY] (private)" in call.log
    assert call.recorder.done == (["begin", "pause", "resume"] if record == "carrier" else [])
    assert call.record is not None
    assert call.record["private"]["stretches"] == 1
    if record == "carrier":
        assert call.record["carrier_recording"]["sid"] == RECORDING_SID
        assert call.record["carrier_recording"]["paused_seconds"] > 3


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("tool", ["take_card", "take_card_too"])
def test_nothing_is_asked_for_where_the_recording_does_not_pause(tool, dialect):
    agent, got = cashier(record="carrier", model=MODELS[dialect])
    call = held(tool, agent, [], recorder=VirtualRecorder(fails=["pause"]))
    assert got == []
    assert call.turns[-1] == ("assistant", "Not now.")
    assert call.recorder.done == ["begin", "resume"]


@pytest.mark.parametrize("tool", ["take_card", "take_card_too"])
def test_who_types_nothing_gives_nothing(tool):
    agent, got = cashier()
    held(tool, agent, [])
    assert got == [""] or got == []  # he may have hung up first


def test_the_recording_has_a_hole_where_it_was_private():
    agent, _ = cashier(record="local")
    call = held("take_card", agent)
    assert call.recording is not None
    assert call.record is not None
    document = call.record["recording"]
    assert document["file"] == call.recording.name
    assert len(call.recording.left) == round(document["seconds"] * 8000)
    quiet = b"\xff" * 8 * (call.record["private"]["ms"] - 600)
    assert quiet in call.recording.right
    assert call.recording.wav.startswith(b"RIFF")


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("agrees", [True, False])
def test_who_is_asked_and_agrees_is_recorded(agrees, dialect):
    agent = Agent(greeting="Hello, may I record this?", record="local_after_consent", model=MODELS[dialect])
    assert [tool.name for tool in agent.all_tools] == ["record_call"]

    def script(request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return Say("Hello, may I record this?")
        last = request.conversation[-1]
        if last["type"] == "function_call_output" or not agrees:
            return Say("Thank you.")
        return CallTool("record_call")

    call = VirtualCall(agent, [Speak(babble("Yes."))] * 2 + [HangUp()], Scenario(script=script))
    assert call.errors == []
    (session,) = [*call.model.sessions, *call.model.live_sessions]
    (told,) = [each for each in session.requests if each["type"] in ("session.update", "session.start")]
    assert "recorded only if the caller agrees" in told["session"]["instructions"]
    assert call.record is not None
    assert (call.recording is not None) == agrees
    assert (call.record["consent_ms"] is not None) == agrees
    if call.recording is not None:
        assert call.record["recording"]["began_ms"] >= call.record["consent_ms"]


def test_instructions_are_as_they_were_where_nobody_is_asked():
    call = VirtualCall(Agent(instructions="Be brief."), [HangUp()], Scenario())
    (update,) = [each for each in call.model.sessions[0].requests if each["type"] == "session.update"]
    assert update["session"]["instructions"] == "Be brief."
    assert update["session"]["tools"] == []


class TestMistakes:
    def test_a_plain_with_in_an_async_function(self):
        said: list[str] = []
        agent = Agent()

        @agent.on_start
        async def begin(context: CallContext) -> None:
            for attempt in (lambda: context.private().__enter__(), context.gather):
                try:
                    attempt()
                except RuntimeError as error:
                    said.append(str(error))

        VirtualCall(agent, [HangUp(AfterMs(500))], Scenario())
        assert said == [
            "this is an async function: write `async with context.private():`",
            "this is an async function: write `await context.gather_async(…)`",
        ]

    @pytest.mark.parametrize("given", [{"max_digits": 0}, {"max_digits": 65}, {"end": "##"}, {"timeout_seconds": 0}])
    def test_what_cannot_be_gathered(self, given):
        with pytest.raises(ValueError, match=f"gather: {next(iter(given))} is"):
            call_context().gather(**given)

    @pytest.mark.parametrize("seconds", [0, -1, 901, float("nan"), "long"])
    def test_what_cannot_be_private(self, seconds):
        class Nobody:
            pass

        with pytest.raises(ValueError, match="private: seconds is a number over 0 and up to 900"):
            call_context(control=Nobody()).private(seconds)

    def test_before_the_call(self):
        for what in ("private", "consent", "gather"):
            with pytest.raises(RuntimeError, match="the call has not begun"):
                getattr(call_context(), what)()


class Control:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.tickets: list[object] = []
        self.ended: list[object] = []
        self.answer: Future[bool] = Future()

    def begin_private(self, ticket: object, seconds: float) -> "Future[bool]":
        self.tickets.append(ticket)
        return self.answer

    def end_private(self, ticket: object) -> None:
        self.ended.append(ticket)


def test_who_is_cancelled_while_he_waits_leaves():
    control = Control()

    async def scene() -> None:
        async def enter() -> None:
            async with Private(control, 5):  # type: ignore[arg-type]
                raise AssertionError("it was never private")

        task = asyncio.create_task(enter())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert control.ended == control.tickets


def test_one_that_is_entered_twice_is_left_twice():
    control = Control()
    control.answer.set_result(True)
    private = Private(control, 5)  # type: ignore[arg-type]
    with private, private:
        assert control.ended == []
    assert sorted(map(id, control.ended)) == sorted(map(id, control.tickets))
    assert len(control.tickets) == 2


def test_after_the_call_it_is_harmless_in_any_thread():
    rig = CallRig().up()
    context = rig.call.hooks.context
    done: list[object] = []

    def late() -> None:
        with context.private():
            done.append(context.gather())
        context.consent()

    rig.do(rig.call.close, "shutdown")
    late()
    thread = threading.Thread(target=late)
    thread.start()
    thread.join(20)
    assert done == ["", ""]
    assert not awaited
    rig.shut()
