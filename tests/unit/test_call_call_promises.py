"""Whole calls on virtual time: what is taken back is not done, nobody is talked over, and a goodbye is heard."""

import asyncio
import json
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge.agent import Agent, CallContext
from helpers import LOUD, QUIET

SECOND = bytes(range(160)) * 50


@pytest.fixture
def make():
    rigs: list[CallRig] = []

    def make(agent: Agent | None = None, **options: Any) -> CallRig:
        rigs.append(CallRig(agent, **{"silence_seconds": 0, **options}))
        return rigs[-1].up()

    yield make
    for rig in rigs:
        rig.shut()


def agent_with_tools(seconds: float = 0.0) -> Agent:
    agent = Agent(hang_up=True, transfer_to={"sales": "+14155550199"})

    @agent.tool
    async def look(context: CallContext) -> str:
        await asyncio.sleep(seconds)
        return "found"

    return agent


def speaks(rig: CallRig, item_id: str = "item_u") -> None:
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": item_id})


def stops(rig: CallRig, item_id: str = "item_u") -> None:
    rig.model({"type": "input_audio_buffer.speech_stopped", "item_id": item_id})
    rig.model({"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None})


def confirm_what_was_told(rig: CallRig) -> None:
    for message in rig.sent("conversation.item.create"):
        rig.model({"type": "conversation.item.added", "item": message["item"], "previous_item_id": None})


class TestTakenBack:
    """The model says goodbye and begins to hang up; the caller says "no, wait"."""

    @pytest.mark.parametrize("tool", ["hang_up", "transfer_call", "look"])
    @pytest.mark.parametrize("status", ["incomplete", "completed"])
    def test_a_call_that_was_not_complete_is_not_run_and_the_model_told(self, make, tool, status):
        rig = make(agent_with_tools(), control=Control())
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 4, "resp_1", "item_1")
        item = rig.tool_call_begins("call_1", tool, "resp_1")
        rig.advance(1)
        speaks(rig)
        rig.caller_says(*[LOUD] * 20)
        assert rig.sent("response.cancel")
        arguments = '{"destination": "sales"}' if status == "completed" else ""
        rig.tool_call_ends(item, arguments, status, "resp_1")
        rig.done("resp_1", "cancelled", output=[{**item, "status": status}])
        stops(rig)
        rig.advance(0.3)
        rig.respond(SECOND, 2)
        rig.advance(10)
        assert rig.call.live
        assert rig.control.done == []
        assert [json.loads(output)["error"][:7] for output in rig.outputs] == ["not run"]
        assert [call["outcome"] for call in rig.call.stats.tool_calls] == ["broken_off"]
        assert rig.creates == []

    def test_one_that_was_complete_before_is_run(self, make):
        rig = make(agent_with_tools(seconds=0.5))
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 4, "resp_1", "item_1")
        rig.tool_call("call_1", "look")
        rig.advance(0.2)
        speaks(rig)
        rig.caller_says(*[LOUD] * 20)
        rig.done("resp_1", "cancelled")
        rig.advance(1)
        assert rig.outputs == ["found"]

    def test_of_a_response_that_came_to_its_token_limit(self, make):
        rig = make(agent_with_tools())
        rig.begin("resp_1")
        item = rig.tool_call_begins("call_1", "look", "resp_1")
        rig.tool_call_ends(item, '{"x', "incomplete", "resp_1")
        rig.done("resp_1", "incomplete", status_details={"type": "incomplete", "reason": "max_output_tokens"})
        rig.advance(1)
        assert [json.loads(output)["error"][:7] for output in rig.outputs] == ["not run"]
        assert len(rig.creates) == 1

    def test_calls_that_all_have_one_id_are_all_answered(self, make):
        rig = make(agent_with_tools())
        for number in range(3):
            speaks(rig, f"item_{number}")
            stops(rig, f"item_{number}")
            rig.begin(f"resp_{number}")
            rig.tool_call("call_0", "look", response_id=f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.advance(0.2)
            rig.respond(SECOND, 100 + number)
            rig.advance(1.5)
        assert rig.outputs == ["found"] * 3
        assert len(rig.creates) == 3

    def test_in_a_lost_session_there_is_nobody_to_tell(self, make):
        rig = make(agent_with_tools())
        rig.begin("resp_1")
        rig.tool_call_begins("call_1", "look", "resp_1")
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert rig.sent("conversation.item.create") == []
        assert rig.call.session.tool_calls == []

    @pytest.mark.parametrize("begins", ["speech", "keys"])
    def test_tools_are_counted_anew_with_each_turn_of_the_callers(self, make, begins):
        rig = make(agent_with_tools())
        for number in range(24):
            if number % 8 == 0 and begins == "speech":
                speaks(rig, f"item_{number}")
                stops(rig, f"item_{number}")
            elif number % 8 == 0:
                rig.press("1#", 0.02)
            confirm_what_was_told(rig)
            rig.begin(f"resp_{number}")
            rig.tool_call("call_0", "look", response_id=f"resp_{number}")
            rig.done(f"resp_{number}")
            rig.advance(0.05)
        assert [call["outcome"] for call in rig.call.stats.tool_calls] == ["ok"] * 24


class TestTheFloor:
    """What comes while the caller speaks waits until he has been answered."""

    def spoken_into(self, make):
        """A tool is at work, and has its result while the caller speaks."""
        rig = make(agent_with_tools(seconds=1.0))
        rig.begin("resp_1")
        rig.model({"type": "conversation.item.added", "item": {"id": "item_call"}, "previous_item_id": None})
        rig.tool_call("call_1", "look")
        rig.done("resp_1")
        speaks(rig)
        rig.caller_says(*[LOUD] * 75)
        return rig

    def test_a_tools_result_is_told_at_once_and_needs_no_answer_of_its_own(self, make):
        rig = self.spoken_into(make)
        assert (rig.outputs, rig.creates) == (["found"], [])
        confirm_what_was_told(rig)
        stops(rig)
        rig.advance(0.2)
        rig.respond(SECOND, 2)
        rig.advance(20)
        assert rig.creates == []

    def test_unless_the_answer_was_begun_without_it(self, make):
        rig = self.spoken_into(make)
        stops(rig)
        rig.begin("resp_2", "item_2")
        confirm_what_was_told(rig)  # too late
        rig.delta(SECOND, "resp_2", "item_2")
        rig.done("resp_2")
        rig.advance(0.2)
        assert rig.creates == [{}]

    def test_and_is_asked_for_where_the_model_does_not_answer_his_turn(self, make):
        rig = self.spoken_into(make)
        stops(rig)
        rig.advance(2.4)
        assert rig.creates == []
        rig.advance(0.2)
        assert rig.creates == [{}]
        rig.respond(SECOND, 2)
        rig.advance(20)
        assert len(rig.creates) == 1

    def test_what_the_agent_says_waits_and_is_said_after_the_answer(self, make):
        rig = make()
        speaks(rig)
        rig.caller_says(*[LOUD] * 20)
        rig.do(rig.call.say, "We close at five.")
        rig.caller_says(*[LOUD] * 20)
        stops(rig)
        assert rig.creates == []
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        assert rig.creates == []
        rig.done("resp_1")
        (said,) = rig.creates
        assert said["instructions"].endswith("We close at five.")

    def test_keys_are_told_and_his_answer_takes_them_in(self, make):
        rig = make(Agent(keys_end_seconds=0.3))
        speaks(rig)
        rig.press("12")
        rig.caller_says(*[LOUD] * 30)
        assert ([text for _, text in rig.notes], rig.creates) == (
            ["(The caller pressed these keys on the telephone: 1 2)"],
            [],
        )
        confirm_what_was_told(rig)
        stops(rig)
        rig.advance(0.2)
        rig.respond(SECOND)
        rig.advance(10)
        assert rig.creates == []

    def test_a_prompt_to_a_silent_caller_is_not_said_to_one_who_speaks(self, make):
        rig = make(silence_seconds=5)
        rig.advance(6.5)
        assert len(rig.creates) == 1
        speaks(rig)
        rig.begin_ours("resp_1")
        assert rig.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_1"}]

    def test_the_notice_before_the_end_waits_too(self, make):
        rig = make(max_call_seconds=40)
        rig.advance(9)
        speaks(rig)
        rig.caller_says(*[LOUD] * 100)
        assert rig.creates == []
        stops(rig)
        rig.respond(SECOND)
        rig.advance(2)
        (notice,) = rig.creates
        assert "half a minute" in notice["instructions"]

    def test_a_caller_who_goes_on_keeps_it(self, make):
        rig = make()
        speaks(rig)
        rig.do(rig.call.say, "Hello?")
        stops(rig)
        speaks(rig, "item_v")
        rig.caller_says(*[LOUD] * 200)
        assert rig.creates == []
        stops(rig, "item_v")
        rig.respond(SECOND)
        assert len(rig.creates) == 1


class TestGoodbyes:
    def noisy(self, rig: CallRig, seconds: float, number: int) -> None:
        """The model hears speech in the noise, now and then, and understands nothing."""
        for index in range(int(seconds * 2)):
            speaks(rig, f"noise_{number}_{index}")
            rig.caller_says(*[LOUD] * 20)
            stops(rig, f"noise_{number}_{index}")
            rig.caller_says(*[LOUD] * 5)

    def test_the_goodbye_to_a_noisy_line_is_heard_to_its_end(self, make):
        rig = make(noise_seconds=10, control=Control())
        number = 0
        while not rig.creates or "noisy" not in rig.creates[-1].get("instructions", ""):
            number += 1
            self.noisy(rig, 1, number)
            assert number < 20
            if not rig.call.hangup.asked:
                rig.respond(SECOND[:1600], number)
        began_ms, before = rig.now_ms, len(rig.downlink)
        rig.begin_ours("resp_bye", "item_bye")
        rig.delta(SECOND * 3, "resp_bye", "item_bye")
        rig.done("resp_bye")
        self.noisy(rig, 5, 99)
        assert not rig.call.live
        assert rig.call.end_reason == "line_noise"
        assert len(rig.downlink) - before >= len(SECOND) * 3
        assert rig.call.stats.barge_ins == [] or rig.call.stats.barge_ins[-1].at_ms < began_ms
        assert rig.call.document["duration_ms"] - began_ms < 5000
        assert rig.call.document["accounting"]["by_reason"]["noise_gate"] > 0

    def test_a_model_that_goes_on_answering_the_noise_is_not_listened_to(self, make):
        """One that hears turns where nothing is sent any more."""
        rig = make(noise_seconds=3, control=Control())
        self.noisy(rig, 4, 1)
        rig.begin_ours("resp_bye", "item_bye")
        rig.delta(SECOND, "resp_bye", "item_bye")
        rig.done("resp_bye")
        before = len(rig.downlink)
        for number in range(10):
            self.noisy(rig, 0.5, 10 + number)
            if rig.call.live:
                rig.begin(f"resp_{number}", f"item_{number}")
                rig.delta(SECOND, f"resp_{number}", f"item_{number}")
                rig.done(f"resp_{number}", "cancelled")
        assert (rig.call.live, rig.call.end_reason) == (False, "line_noise")
        assert len(rig.downlink) - before <= len(SECOND)
        assert rig.call.document["duration_ms"] < 8000

    def test_what_is_held_when_the_line_is_given_up_is_dropped(self, make):
        rig = make(noise_seconds=3, barge_in_confirm_ms=2000, control=Control())
        speaks(rig)
        stops(rig)
        rig.advance(2)
        rig.respond(SECOND * 20)
        rig.advance(0.3)
        while not rig.call.hangup.asked:
            rig.caller_says(*[LOUD] * 6)
        assert [each.why for each in rig.call.stats.barge_ins][-1:] == ["given_up"]
        assert not rig.call.assistant.held

    def test_one_that_fails_is_asked_for_again(self, make):
        rig = make(noise_seconds=2, control=Control())
        self.noisy(rig, 3, 1)
        rig.begin_ours("resp_bye")
        rig.done("resp_bye", "failed")
        self.noisy(rig, 1, 2)
        assert ["noisy" in create["instructions"] for create in rig.creates] == [True, True]

    def test_a_call_at_its_longest_says_it_to_the_end(self, make):
        rig = make(agent_with_tools(), max_call_seconds=5, control=Control())
        rig.advance(3)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 4, "resp_1", "item_1")
        rig.tool_call("call_1", "hang_up")
        rig.done("resp_1")
        rig.advance(6)
        assert (rig.call.live, rig.call.end_reason) == (False, "agent_hangup")
        assert len(rig.downlink) == len(SECOND) * 4

    def test_so_does_one_that_is_apologised_to(self, make):
        rig = make(max_call_seconds=5)
        rig.advance(4.5)
        rig.done("resp_0", "completed")
        rig.begin("resp_1")
        rig.done("resp_1", "failed", status_details={"error": {"code": "insufficient_quota"}})
        rig.advance(12)
        assert (rig.call.apologised, rig.call.end_reason) == (True, "model_lost")

    def test_but_not_for_ever(self, make):
        rig = make(agent_with_tools(), max_call_seconds=5, control=Control())
        rig.advance(3)
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND * 60, "resp_1", "item_1")
        rig.tool_call("call_1", "hang_up")
        rig.advance(30)
        assert (rig.call.live, rig.call.end_reason) == (False, "max_duration")
        assert rig.call.document["duration_ms"] == 15000


def test_a_quiet_line_is_left_open_to_the_caller(make):
    """What a goodbye to a noisy line does not hear, any other does."""
    rig = make(agent_with_tools(), control=Control())
    rig.begin("resp_1", "item_1")
    rig.delta(SECOND * 2, "resp_1", "item_1")
    rig.tool_call("call_1", "hang_up")
    rig.done("resp_1")
    rig.advance(0.5)
    speaks(rig)
    rig.caller_says(*[LOUD] * 20, QUIET)
    rig.advance(3)
    assert rig.call.live
