"""Whole calls on virtual time, and what their agents' authors were promised."""

import asyncio
import json
import threading
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge.agent import Agent, CallContext
from fastbridge.agent.lookup import Lookup
from fastbridge.base.conversation import Turn
from fastbridge.call.time_limit import NOTICE_SECONDS
from fastbridge.model.instructions import PUT_THROUGH
from helpers import LOUD, SID
from virtual import call_context

SECOND = bytes(8000)


@pytest.fixture
def make():
    rigs: list[CallRig] = []

    def make(agent: Agent | None = None, **options: Any) -> CallRig:
        rigs.append(CallRig(agent, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.shut()


class TestLookup:
    def agent(self, seconds: float = 0.2) -> Agent:
        agent = Agent(instructions="Serve {name}.", greeting="Hi {name}.", variables={"name": "you"})

        @agent.on_call
        async def look(context: CallContext) -> dict[str, str]:
            await asyncio.sleep(seconds)
            return {"name": "Dana"}

        @agent.tool
        async def who(context: CallContext) -> str:
            return f"{context.variables['name']}, {context.agent.greeting}"

        return agent

    def test_the_session_waits_for_it_and_the_dialling_does_not(self, make):
        rig = make(self.agent()).connected()
        assert len(rig.dialled) == 1
        rig.model({"type": "session.created", "session": {"id": "sess_1"}})
        rig.advance(0.1)
        assert rig.to_model == []
        rig.advance(0.2)
        (update,) = rig.sent("session.update")
        assert update["session"]["instructions"] == "Serve Dana."
        rig.confirm()
        assert "Hi Dana." in rig.creates[0]["instructions"]
        assert rig.call.agent.greeting == "Hi {name}."
        rig.begin("resp_1")
        rig.tool_call("call_1", "who")
        rig.advance(0.1)
        assert rig.outputs == ["Dana, Hi Dana."]

    def test_after_600_ms_the_defaults_are_used(self, make):
        rig = make(self.agent(seconds=5)).connected()
        rig.model({"type": "session.created", "session": {"id": "sess_1"}})
        rig.advance(0.58)
        assert rig.to_model == []
        rig.advance(0.04)
        assert rig.sent("session.update")[0]["session"]["instructions"] == "Serve you."

    def test_one_that_was_begun_at_the_webhook_is_used(self, make):
        rig = make()
        agent = self.agent()
        lookup = Lookup(agent, call_context(), rig.loop.clock, rig.loop.spawn)
        rig.do(lookup.begin)
        rig.loop.advance(1)
        rig.call.answering._lookup = lookup
        rig.connected()
        rig.model({"type": "session.created", "session": {"id": "sess_1"}})
        assert rig.sent("session.update")[0]["session"]["instructions"] == "Serve Dana."

    def test_a_call_that_ends_before_it_is_over(self, make):
        rig = make(self.agent(seconds=5)).connected()
        rig.do(rig.call.close, "customer_hangup")
        rig.loop.advance(10)
        assert rig.tasks == set()

    def test_it_may_give_or_take_a_greeting(self, make):
        agent = Agent()

        @agent.on_call
        async def look(context: CallContext) -> Agent:
            await asyncio.sleep(0.1)
            return context.agent.changed(greeting="Hi.")

        rig = make(agent)
        rig.started()
        assert not rig.call.greeting.locked
        rig.advance(0.2)
        assert rig.call.greeting.locked
        other = Agent(greeting="Hi.")
        other.on_call(lambda context: context.agent.changed(greeting=""))
        rig = make(other)
        rig.started()
        assert rig.call.greeting.locked
        rig.advance(0.2)
        assert not rig.call.greeting.locked


def heard_and_answered(rig, number: int) -> None:
    """A model that says nothing to a caller who spoke would be taken for deaf, and its line for lost."""
    for kind in ("speech_started", "speech_stopped"):
        rig.model({"type": f"input_audio_buffer.{kind}", "item_id": "item_u"})
    rig.respond(SECOND, number, "Yes?")


class TestTools:
    def test_a_long_one_is_bridged_and_the_caller_can_speak(self, make):
        agent = Agent()

        @agent.tool(timeout_seconds=40, filler="One moment.")
        async def slow() -> str:
            await asyncio.sleep(30)
            return "found"

        rig = make(agent).up()
        rig.begin("resp_1")
        rig.tool_call("call_1", "slow")
        rig.done("resp_1")
        for number in range(2, 29):
            rig.advance(1)
            if len(rig.creates) > rig.call.stats.responses - 1:
                rig.respond(SECOND, number)
        fillers = [create for create in rig.creates if create.get("instructions", "").endswith("One moment.")]
        assert len(fillers) == len(rig.creates) in range(5, 9)
        assert all(create["tool_choice"] == "none" for create in fillers)
        assert rig.call.dead_air.fillers == {}
        rig.respond(SECOND * 3, 40)
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 10)
        assert len(rig.call.stats.barge_ins) == 1
        heard_and_answered(rig, 41)
        rig.advance(3)
        assert rig.outputs == ["found"]
        assert rig.creates[-1] == {}
        assert rig.call.session.responses.counters["safety_fuse"] == 0

    def test_when_the_budget_is_spent_the_model_is_told_and_goes_on_without(self, make):
        agent = Agent(max_tool_calls=2)

        @agent.tool
        async def look() -> str:
            return "found"

        rig = make(agent).up()
        for number in range(1, 4):
            rig.begin(f"resp_{number}")
            rig.tool_call(f"call_{number}", "look", response_id=f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.advance(0.1)
        assert rig.outputs[:2] == ["found", "found"]
        assert "used up" in json.loads(rig.outputs[2])["error"]
        assert rig.creates[-1] == {"tool_choice": "none"}
        assert [tool["outcome"] for tool in rig.call.stats.tool_calls] == ["ok", "ok", "refused"]


class TestHangUp:
    def ask(self, rig: CallRig, *, words: bool = True) -> None:
        """The model says goodbye, or does not, and calls its tool."""
        rig.begin("resp_1", "item_1")
        if words:
            rig.delta(SECOND * 2, "resp_1", "item_1")
            rig.transcript("Goodbye.", "resp_1", "item_1")
        rig.tool_call("call_1", "hang_up")
        rig.done("resp_1")

    def test_waits_for_the_last_word_and_is_done_once(self, make):
        rig = make(Agent(hang_up=True), control=Control()).up()
        self.ask(rig)
        rig.advance(1.9)
        assert rig.control.done == []
        rig.advance(1.5)
        assert rig.control.done == [("hang_up", "AC" + "0" * 32, rig.call.call_sid)]
        assert (rig.call.end_reason, rig.creates) == ("agent_hangup", [])
        rig.do(rig.call.hang_up)
        rig.loop.advance(5)
        assert len(rig.control.done) == 1

    def test_a_model_that_said_nothing_is_asked_to_say_goodbye(self, make):
        rig = make(Agent(hang_up=True), control=Control()).up()
        self.ask(rig, words=False)
        rig.advance(0.5)
        (create,) = rig.creates
        assert (create["tool_choice"], "goodbye" in create["instructions"]) == ("none", True)
        rig.respond(SECOND, 2, "Bye.")
        rig.advance(3)
        assert rig.call.end_reason == "agent_hangup"

    def test_a_caller_who_interrupts_is_listened_to(self, make):
        rig = make(Agent(hang_up=True), control=Control()).up()
        self.ask(rig)
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 10)
        heard_and_answered(rig, 9)
        rig.advance(10)
        assert (rig.control.done, rig.call.live) == ([], True)
        assert rig.notes[-1][0] == "system"
        rig.do(rig.call.hang_up)
        rig.advance(2)
        assert rig.call.end_reason == "agent_hangup"

    def test_without_credentials_the_stream_ends(self, make):
        rig = make(Agent(hang_up=True)).up()
        self.ask(rig)
        rig.advance(4)
        assert (rig.call.end_reason, rig.carrier_link.closed) == ("agent_hangup", [(1000, "")])

    def test_where_the_carrier_does_not_answer_the_stream_ends(self, make):
        control = Control()
        control.well = False
        rig = make(Agent(hang_up=True), control=control).up()
        self.ask(rig)
        rig.advance(4)
        assert rig.call.end_reason == "agent_hangup"

    def test_a_carrier_that_is_faster_than_its_answer(self, make, caplog):
        caplog.set_level("INFO")
        control = Control()
        control.seconds = 2
        rig = make(Agent(hang_up=True), control=control).up()
        self.ask(rig)
        rig.advance(3.5)
        assert len(control.done) == 1
        rig.carrier({"event": "stop", "streamSid": SID.decode(), "stop": {}})
        assert rig.call.end_reason == "agent_hangup"
        assert caplog.text.count("[HANGUP] hang_up by REST") == 1

    def test_a_thread_may_ask_for_it(self, make):
        agent = Agent()

        @agent.tool
        def leave(context: CallContext) -> str:
            assert threading.current_thread() is not threading.main_thread()
            context.hang_up()
            return "leaving"

        rig = make(agent, control=Control()).up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.tool_call("call_1", "leave")
        rig.done("resp_1")
        rig.advance(4)
        assert rig.call.end_reason == "agent_hangup"

    def test_before_the_call_there_is_nothing_to_hang_up(self):
        for ask in (CallContext.hang_up, lambda context: context.say("x"), lambda context: context.transfer("x")):
            with pytest.raises(RuntimeError, match="has not begun"):
                ask(call_context())


class TestTransfer:
    agent = Agent(transfer_to={"reception": "+14155550188"})

    def ask(self, rig: CallRig, destination: str) -> None:
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.transcript("One moment.", "resp_1", "item_1")
        rig.tool_call("call_1", "transfer_call", json.dumps({"destination": destination}))
        rig.done("resp_1")

    def test_a_model_that_said_nothing_is_asked_to_say_so_and_not_goodbye(self, make):
        rig = make(self.agent, control=Control()).up()
        rig.begin("resp_1")
        rig.tool_call("call_1", "transfer_call", json.dumps({"destination": "reception"}))
        rig.done("resp_1")
        rig.advance(0.5)
        assert [create["instructions"] for create in rig.creates] == [PUT_THROUGH]
        rig.respond(SECOND, 2, "I put you through.")
        rig.advance(3)
        assert (len(rig.creates), rig.call.end_reason) == (1, "transferred")

    def test_the_model_knows_names_alone(self, make):
        rig = make(self.agent).up()
        (tool,) = rig.sent("session.update")[0]["session"]["tools"]
        assert tool["parameters"]["properties"]["destination"]["enum"] == ["reception"]
        assert "+1415" not in json.dumps(tool)

    def test_when_all_was_heard_the_call_goes_elsewhere(self, make):
        rig = make(self.agent, control=Control()).up()
        self.ask(rig, "reception")
        rig.advance(0.9)
        assert rig.control.done == []
        rig.advance(2)
        ((what, _, _, number),) = rig.control.done
        assert (what, number) == ("connect", "+14155550188")
        assert rig.call.end_reason == "transferred"

    @pytest.mark.parametrize(
        "destination", ["+19005550100", "14155550188", "+1415555018", "Reception", "", "+14155550188;ext=1"]
    )
    def test_nobody_else_is_dialled(self, make, destination):
        rig = make(self.agent, control=Control()).up()
        self.ask(rig, destination)
        rig.advance(5)
        assert rig.control.done == []
        assert "There are: reception." in rig.outputs[0]

    def test_a_failure_is_told(self, make):
        control = Control()
        control.well = False
        rig = make(self.agent, control=control).up()
        self.ask(rig, "reception")
        rig.advance(3)
        assert rig.call.live
        assert "still on the line" in rig.notes[0][1]
        assert rig.creates[-1] == {"tool_choice": "none"}

    def test_without_credentials_it_is_refused(self, make):
        rig = make(self.agent).up()
        self.ask(rig, "reception")
        rig.advance(0.1)
        assert "There is nobody" in rig.outputs[0]

    @pytest.mark.parametrize(("number", "well", "done"), [("+14155550199", True, True), ("+14155550199", False, False)])
    def test_the_node_itself_may_hand_a_call_over(self, make, number, well, done):
        control = Control()
        control.well = well
        rig = make(control=control).started()
        assert rig.loop.run_until_complete(rig.call.hangup.transfer_now(number)) is done
        assert (rig.call.end_reason == "transferred") is done
        assert rig.notes == []

    @pytest.mark.parametrize("number", ["", "911", "+0123456789", "anonymous", "+1415555019x"])
    def test_but_to_no_number_that_is_none(self, make, number):
        rig = make(control=Control()).started()
        assert rig.loop.run_until_complete(rig.call.hangup.transfer_now(number)) is False
        assert rig.control.done == []


class TestSilence:
    def test_prompts_a_goodbye_and_the_end(self, make):
        rig = make(control=Control(), language="he").up()
        rig.advance(21)
        assert "still there" in rig.creates[0]["instructions"]
        assert "(Hebrew, if it has had none)" in rig.creates[0]["instructions"]
        rig.respond(SECOND, 1, "Hello?")
        rig.advance(24)
        rig.respond(SECOND, 2, "Hello?")
        rig.advance(24)
        assert "hanging up" in rig.creates[2]["instructions"]
        assert rig.call.live
        rig.respond(SECOND, 3, "Bye.")
        rig.advance(3)
        assert (rig.call.end_reason, rig.call.stats.silences) == ("silence", 2)

    def test_a_caller_who_speaks_at_last_stays(self, make):
        rig = make(control=Control(), silence_prompts=0).up()
        rig.advance(21)
        rig.respond(SECOND * 3, 1, "Bye.")
        rig.advance(1)
        rig.caller_says(*[LOUD] * 20)
        rig.caller_turn("Wait!")
        rig.respond(SECOND, 2, "Yes?")
        rig.advance(15)
        assert rig.call.live

    def test_an_agent_has_its_own_patience(self, make):
        agent = Agent(settings={"silence_seconds": 5})
        rig = make(agent)
        assert agent.call_settings(rig.call.settings).silence_seconds == 5

    def test_noise_is_left_although_the_assistant_answers_it(self, make):
        rig = make(control=Control()).up()
        for number in range(1, 45):
            if rig.call.hangup.asked:
                break
            rig.caller_turn("", f"item_u{number}")
            rig.respond(SECOND, number, "Pardon?")
            rig.advance(3)
        assert 115 < rig.now_ms / 1000 < 130
        rig.speech()
        rig.advance(1)
        rig.speech(started=False)
        rig.respond(SECOND, 90, "Bye.")
        rig.advance(3)
        assert rig.call.end_reason == "line_noise"

    def test_the_caller_is_told_before_the_longest_call_ends(self, make):
        rig = make(max_call_seconds=100, silence_seconds=0).up()
        rig.advance(100 - NOTICE_SECONDS - 1)
        assert rig.creates == []
        rig.advance(2)
        assert "half a minute" in rig.creates[0]["instructions"]
        rig.respond(SECOND, 1)
        rig.advance(NOTICE_SECONDS)
        assert "goodbye" in rig.creates[1]["instructions"]
        rig.begin_ours("resp_2", "item_2")
        rig.delta(SECOND, "resp_2", "item_2")
        rig.done("resp_2")
        rig.advance(3)
        assert rig.call.end_reason == "max_duration"

    def test_whom_it_ends_in_the_midst_of_a_sentence_is_taken_at_his_word_and_told_goodbye(self, make):
        rig = make(max_call_seconds=20, silence_seconds=0).up()
        rig.advance(19.2)
        rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
        rig.caller_says(*[LOUD] * 45)
        assert len(rig.sent("input_audio_buffer.commit")) == 1
        rig.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
        kind = "conversation.item.input_audio_transcription.completed"
        rig.model({"type": kind, "item_id": "item_u", "transcript": "One thing more."})
        assert "goodbye" in rig.creates[0]["instructions"]
        rig.begin_ours("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.transcript("Goodbye!", "resp_1", "item_1")
        rig.done("resp_1")
        rig.advance(3)
        assert rig.call.end_reason == "max_duration"
        assert [turn["text"] for turn in rig.call.document["turns"]] == ["One thing more.", "Goodbye!"]

    def test_a_model_that_says_nothing_then_is_waited_for_ten_seconds_and_no_longer(self, make):
        rig = make(max_call_seconds=20, silence_seconds=0).up()
        rig.advance(29.9)
        assert rig.call.live
        rig.advance(0.3)
        assert rig.call.end_reason == "max_duration"


class TestKeys:
    def test_the_model_is_told_and_answers(self, make):
        rig = make().up()
        rig.press("123#")
        assert rig.notes == [("user", "(The caller pressed these keys on the telephone: 1 2 3)")]
        assert len(rig.creates) == 1

    def test_they_interrupt(self, make):
        rig = make().up()
        rig.respond(SECOND * 5, 1, "One, two, three.")
        rig.advance(1)
        rig.press("1#")
        assert [barge_in.source for barge_in in rig.call.stats.barge_ins] == ["keys"]

    def test_before_the_session_is_up_they_wait(self, make):
        rig = make().connected()
        rig.press("1#2#")
        assert rig.notes == []
        rig.model({"type": "session.created", "session": {"id": "sess_1"}})
        rig.confirm()
        assert [text[-2] for _, text in rig.notes] == ["1", "2"]

    @pytest.mark.parametrize(("result", "notes"), [("They want sales.", ["They want sales."]), (None, []), ("", [])])
    def test_a_hook_decides(self, make, result, notes):
        agent = Agent()
        pressed = []

        @agent.on_dtmf
        async def keys(digits: str, context: CallContext) -> str | None:
            pressed.append((digits, context.from_number))
            return result

        rig = make(agent).up()
        rig.press("12#")
        rig.advance(0.1)
        assert (pressed, [text for _, text in rig.notes]) == ([("12", "+14155550100")], notes)

    def test_a_model_that_is_not_to_know_does_not(self, make):
        rig = make(Agent(keys_to_model=False)).up()
        rig.press("12#")
        assert (rig.notes, rig.creates, rig.call.stats.dtmf) == ([], [], "12#")


class TestTranscript:
    def test_a_call_that_ends_in_the_middle_of_a_sentence_records_what_was_heard(self, make):
        rig = make().up()
        rig.respond(SECOND * 4, 1, "one two three four five six seven eight")
        rig.advance(2)
        rig.do(rig.call.close, "customer_hangup")
        (turn,) = rig.call.record()["turns"]
        assert (turn["text"], turn["heard_ms"]) == ("one two three four", pytest.approx(2000, abs=100))

    def test_what_was_never_heard_was_never_said(self, make):
        rig = make().up()
        rig.respond(SECOND * 4, 1, "one two")
        rig.respond(SECOND, 2, "three four")
        rig.advance(4.7)
        rig.do(rig.call.close, "customer_hangup")
        assert [turn["text"] for turn in rig.call.record()["turns"]] == ["one two", "three"]

    def test_the_record_is_in_the_order_the_model_says(self, make):
        rig = make().up()
        rig.respond(SECOND, 1, "Of course.")
        rig.model({"type": "conversation.item.added", "item": {"id": "item_1"}, "previous_item_id": "item_u"})
        rig.caller_turn("Please.")
        rig.advance(2)
        assert [turn["text"] for turn in rig.call.record()["turns"]] == ["Please.", "Of course."]

    def test_the_hook_hears_what_was_heard(self, make):
        agent = Agent()
        turns: list[tuple[str, str]] = []

        @agent.on_transcript
        async def turn(turn: Turn) -> None:
            turns.append((turn.role, turn.text))

        rig = make(agent).up()
        rig.respond(SECOND, 1, "Hello there.")
        assert turns == []
        rig.advance(1.2)
        rig.echo_marks()
        rig.advance(0.1)
        rig.caller_turn("Hi.")
        rig.respond(SECOND * 4, 2, "one two three four")
        rig.advance(2)
        rig.caller_says(*[LOUD] * 20)
        rig.advance(0.1)
        assert turns == [("assistant", "Hello there."), ("caller", "Hi."), ("assistant", "one two")]
        rig.respond(SECOND * 4, 3, "five six seven eight")
        rig.advance(1.2)
        rig.do(rig.call.close, "customer_hangup")
        rig.loop.advance(1)
        assert turns[3:] == [("assistant", "five")]


class TestHooks:
    def test_the_record_comes_last(self, make):
        agent = Agent()
        seen: list[Any] = []
        agent.on_start(lambda context: seen.append(context.call_sid))
        agent.on_end(lambda record: seen.append(record["end_reason"]))
        rig = make(agent).up()
        rig.advance(0.1)
        rig.do(rig.call.close, "customer_hangup")
        rig.loop.advance(1)
        assert seen == [rig.call.call_sid, "customer_hangup"]

    def test_words_of_the_users_are_said(self, make):
        agent = Agent()
        agent.on_start(lambda context: context.say("Welcome."))
        rig = make(agent).up()
        rig.advance(0.5)
        assert rig.creates[0]["instructions"].endswith("Welcome.")
