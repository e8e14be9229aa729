"""fastbridge.model.live.connected: a session lost at an awkward moment, and what becomes of what was under way."""

import asyncio
from typing import Any

import pytest

from call_rig import Control
from fastbridge.agent import Agent, CallContext
from fastbridge.base.end_reasons import EndReason
from fastbridge.call.answers import LOOK_SECONDS, RESUME_SECONDS
from fastbridge.call.facts import Facts
from fastbridge.call.happenings import LeaveAsked
from fastbridge.call.turns import UNNOTICED_SECONDS
from fastbridge.model.instructions import CUT_OFF, NOT_TRANSFERRED
from fastbridge.model.live.responses import ANSWER, REACT
from fastbridge.model.port import Wish
from helpers import LOUD
from live_rig import LiveRig

EXPIRED = {"type": "session.closed", "event_id": "e", "reason": "expired", "usage": {"seconds": 7200}}


def desk(**fields: Any) -> Agent:
    agent = Agent(greeting_lock=False, **fields)

    @agent.tool
    async def order(number: int) -> str:
        """The state of an order."""
        return f"order {number} is on its way"

    @agent.tool
    async def search(number: int) -> str:
        """It takes long."""
        await asyncio.sleep(4.0)
        return "nothing"

    @agent.tool
    def connect_me(context: CallContext) -> str:
        """Connect the caller to the clinic."""
        context.transfer("clinic")
        return "You are being connected."

    return agent


def make(agent: Agent | None = None, **settings: Any) -> LiveRig:
    return LiveRig(agent or desk(), control=Control(), **{"silence_seconds": 0, **settings}).up()


@pytest.fixture
def rig():
    rig = make()
    yield rig
    rig.shut()


def asks(rig: LiveRig, text: str = "Where is order 7?") -> None:
    rig.line += [LOUD] * 50
    rig.advance(1.0)
    rig.hears(text)
    rig.advance(1.0)


def hands_on(rig: LiveRig, said: str = "One moment.") -> None:
    """The caller has asked, and somebody behind the voice thinks about it, so far without a call."""
    asks(rig)
    rig.delegates(ends=False)
    if said:
        rig.says(0.5, said)
        rig.advance(1.5)
        rig.echo_marks()


def lose(rig: LiveRig) -> None:
    rig.voice.clear()
    rig.streaming = False
    rig.lose_model()


def comes_back(rig: LiveRig, seconds: float = 0.2) -> None:
    for _ in range(round(seconds / 0.1)):
        rig.advance(0.1)
        rig.echo_marks()
    rig.connect()
    rig.started_session(len(rig.model_links))
    rig.advance(0.1)


class TestWorkWithoutACall:
    @pytest.mark.parametrize("said", ["One moment.", ""])
    def test_is_asked_for_anew(self, rig, said):
        """The voice may have said that it sees to it: then nothing is owed, as far as it is concerned."""
        hands_on(rig, said)
        lose(rig)
        comes_back(rig)
        rig.advance(2.6)
        assert rig.appended("instructions") == [ANSWER]

    def test_that_was_about_to_be_told_is_asked_for_anew(self, rig):
        hands_on(rig)
        rig.works("response.completed", response={"id": "resp_dlg_1"})
        rig.advance(0.2)
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [ANSWER]

    def test_in_the_words_about_it_is_asked_for_and_they_are_not_gone_on_with(self, rig):
        hands_on(rig, "")
        rig.says(3.0, "One moment, let me see what I can find.")
        rig.advance(1.0)
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [ANSWER]
        told = rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"]
        assert told.startswith("One moment")
        assert len(told) < len("One moment, let me see what I can find.")

    def test_in_whose_words_it_breaks_off_is_told_with_those_that_were_heard(self, rig):
        """However soon another session begins."""
        hands_on(rig, "")
        rig.says(3.0, "One moment, let me see what I can find.")
        rig.advance(0.5)
        rig.delta_of(LOUD * 20)  # 400 ms in one piece
        lose(rig)
        rig.advance(0.1)
        assert rig.call.assistant.playing
        rig.connect()
        told = rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"]
        assert told == "One moment,"

    def test_for_which_he_has_waited_long_is_asked_for_once(self, rig):
        hands_on(rig, "")
        rig.advance(2.6)
        assert (rig.appended("instructions"), rig.call.turns.counters) == ([], {})
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [ANSWER]

    def test_that_goes_on_with_a_tools_result_is_asked_for_by_that(self, rig):
        asks(rig)
        rig.says(0.5, "One moment.")
        rig.advance(1.5)
        rig.delegates(("call_1", "order", '{"number": 7}'))
        rig.advance(0.2)
        assert rig.call.session.handed_on
        lose(rig)
        assert [create.purpose for create in rig.call.session.responses._waiting] == ["tool_result"]
        comes_back(rig)
        assert rig.appended("instructions") == [REACT]

    def test_beside_words_of_our_own_waits_for_those(self, rig):
        """They are said to their end."""
        hands_on(rig)
        rig.do(rig.call.say, "Your number is 4711, do not forget it.")
        rig.says(3.0, "Your number is 4711, do not forget it.")
        rig.advance(1.0)
        lose(rig)
        comes_back(rig)
        assert "Go on from exactly there" in rig.appended("instructions")[-1]

    @pytest.mark.parametrize(("tool", "wait_seconds"), [("order", 0.5), ("search", 5.0)])
    def test_of_a_tool_in_the_words_about_it_is_asked_for_by_its_result(self, rig, tool, wait_seconds):
        """It has answered, or has not: those words are not gone on with."""
        asks(rig)
        rig.says(3.0, "One moment, let me see what I can find.")
        rig.delegates(("call_1", tool, '{"number": 7}'))
        rig.advance(0.5)
        lose(rig)
        comes_back(rig)
        rig.advance(wait_seconds)
        assert rig.appended("instructions") == [REACT]

    def test_of_which_all_was_said_is_not(self, rig):
        hands_on(rig)
        rig.works("response.completed", response={"id": "resp_dlg_1"})
        rig.says(0.5, "It is on its way.")
        rig.advance(1.5)
        rig.echo_marks()
        lose(rig)
        comes_back(rig)
        rig.advance(5.0)
        assert rig.appended("instructions") == []

    def test_is_not_asked_for_by_a_caller_who_leaves(self):
        rig = make(desk(hang_up=True))
        asks(rig, "Goodbye!")
        rig.says(3.0, "Goodbye!")
        rig.advance(0.2)
        rig.delegates(("call_1", "hang_up", "{}"))
        rig.advance(0.5)
        rig.works("response.created", response={"id": "resp_2"})
        rig.advance(2.5)
        assert rig.call.session.handed_on
        lose(rig)
        comes_back(rig)
        assert ANSWER not in rig.appended("instructions")
        rig.shut()

    def test_of_a_tool_that_works_on_is_asked_for_by_its_result(self):
        rig = make()
        asks(rig)
        rig.delegates(("call_1", "order", '{"number": 7}'), ends=False)
        rig.advance(0.1)
        lose(rig)
        comes_back(rig)
        assert ANSWER not in rig.appended("instructions")
        assert len(rig.appended("instructions")) == 1
        rig.shut()

    def test_is_waited_for_by_a_successor(self):
        rig = make(session_renew_seconds=6)
        hands_on(rig)
        rig.advance(3.0)
        rig.connect()
        audio = {"format": {"type": "audio/pcmu", "rate": 8000}}
        started = b'{"type":"session.started","session":{"id":"b","expires_at":0,"audio":%s}}'
        rig.do(rig.attempt.feed_message, started % str(audio).replace("'", '"').encode())
        rig.advance(1.0)
        assert rig.call.line.counters["renewals"] == 0
        rig.works("response.completed", response={"id": "resp_dlg_1"})
        rig.advance(3.0)
        assert rig.call.line.counters["renewals"] == 1
        rig.shut()

    def test_is_waited_for_in_company(self, rig):
        hands_on(rig)
        rig.advance(2.0)
        assert rig.call.dead_air.fillers == {"response": 1}

    def test_that_is_handed_on_when_all_was_said_is_too(self, rig):
        asks(rig)
        rig.says(0.5, "One moment.")
        rig.advance(2.5)
        rig.echo_marks()
        rig.delegates(ends=False)
        rig.advance(2.0)
        assert rig.call.dead_air.fillers == {"response": 1}


class TestAnAnswer:
    @pytest.mark.parametrize("words", [30, 12])
    def test_is_gone_on_with_from_the_words_that_came(self, rig, words):
        """However fast it speaks: the fragments tell where each of them is said."""
        asks(rig)
        for number in range(words):
            rig.says(4.0 / words, f" word{number}")
            rig.advance(4.0 / words - 0.02)
        rig.delta_of(LOUD)
        lose(rig)
        comes_back(rig)
        told = rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"]
        assert told.split() == [f"word{number}" for number in range(words)]

    def test_that_was_all_said_is_not_gone_on_with(self, rig):
        """What ends an utterance otherwise is a longer silence."""
        asks(rig)
        rig.says(2.0, "It is on its way.")
        rig.advance(2.6)
        rig.echo_marks()
        assert rig.call.session.responses.running
        lose(rig)
        comes_back(rig)
        rig.advance(3.0)
        assert rig.appended("instructions") == []
        assert rig.call.record()["turns"][-1] == {"role": "assistant", "text": "It is on its way.", "heard_ms": None}

    def test_in_whose_pause_it_is_lost_is_gone_on_with(self, rig):
        asks(rig)
        rig.says(2.0, "It is on its way.")
        rig.advance(2.3)
        rig.echo_marks()
        lose(rig)
        comes_back(rig)
        assert "Go on from exactly there" in rig.appended("instructions")[-1]


class TestACaller:
    """Who speaks, or has spoken, when the line is lost."""

    def test_who_interrupts_and_speaks_on_is_not_told_to_be_waiting(self, rig):
        """Our own ear hears him, and the model has not told."""
        asks(rig)
        rig.says(5.0, "It is a long story, and a sad one.")
        rig.advance(1.0)
        rig.line += [LOUD] * 200
        rig.advance(0.5)
        assert rig.call.stats.barge_ins[0].outcome == "committed"
        lose(rig)
        comes_back(rig)
        rig.advance(3.0)
        assert rig.appended("instructions") == []
        rig.hears("No, I want it today.", 3000)
        rig.advance(0.5)
        rig.says(0.5, "Today it is.")
        rig.advance(3.0)
        assert rig.appended("instructions") == []

    def test_whom_the_next_session_does_not_hear_is_asked_when_he_has_stopped(self, rig):
        asks(rig)
        rig.says(5.0, "It is a long story, and a sad one.")
        rig.advance(1.0)
        rig.line += [LOUD] * 200
        rig.advance(0.5)
        lose(rig)
        comes_back(rig)
        rig.advance(3.0)
        assert rig.appended("instructions") == []
        rig.advance(1.2)
        assert len(rig.appended("instructions")) == 1

    def test_who_goes_on_for_ever_is_a_noise(self, rig, monkeypatch):
        monkeypatch.setattr(Facts, "caller_is_loud", True)
        rig.line += [LOUD] * 30
        rig.advance(0.6)
        rig.hears("Well,")
        lose(rig)
        comes_back(rig)
        rig.advance(UNNOTICED_SECONDS - 0.2)
        assert rig.appended("instructions") == []
        rig.advance(2 * LOOK_SECONDS)
        assert len(rig.appended("instructions")) == 1
        assert "ask them to repeat it" in rig.appended("instructions")[0]

    def test_who_has_said_all_is_answered(self, rig):
        """His words have come, the pause behind them is not quite over."""
        rig.line += [LOUD] * 50
        rig.advance(1.0)
        rig.hears("Where is order 7?")
        rig.advance(0.6)
        assert rig.call.turns.speaking
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [ANSWER]
        assert rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"] == "Where is order 7?"

    def test_who_stops_while_the_stream_stands_still_may_have_said_more_than_is_known(self, rig):
        """Words come a while behind their sound, and of a stream that stands still none do."""
        rig.line += [LOUD] * 65
        rig.advance(1.0)
        rig.hears("I want to cancel")
        rig.streaming = False
        rig.advance(1.6)
        assert rig.call.line.counters["losses"] == 1
        assert not rig.call.turns.speaking
        comes_back(rig)
        assert rig.appended("instructions") == [CUT_OFF]
        assert rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"] == "I want to cancel"
        rig.says(0.5, "Cancel what?")
        rig.advance(2.0)
        asks(rig, "Order 7.")
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [CUT_OFF, ANSWER]

    def test_who_has_just_stopped_may_have_said_more(self, rig):
        rig.line += [LOUD] * 50
        rig.advance(1.0)
        rig.hears("Where is order")
        rig.advance(0.3)
        lose(rig)
        comes_back(rig)
        rig.advance(RESUME_SECONDS)
        assert rig.appended("instructions") == [CUT_OFF]

    @pytest.mark.parametrize("tools", [["search"], ["order", "search"]])
    def test_who_waits_for_a_tool_is_not_told_to_be_waiting(self, rig, tools):
        """He has waited for so long that an answer would be wanted, were it not for the tool, which is to bring it."""
        rig.do(rig.call.say, "Hello.")
        rig.says(0.5, "Hello.")
        rig.advance(2.0)
        asks(rig)
        rig.delegates(*((f"call_{tool}", tool, '{"number": 7}') for tool in tools))
        rig.advance(2.6)
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == []
        rig.advance(2.0)
        assert rig.appended("instructions") == [REACT]


class TestABudgetsGoodbye:
    def test_that_breaks_off_is_said_to_its_end(self, rig):
        rig.do(lambda: rig.call.session.responses.create("goodbye", Wish("Say goodbye."), firm=True))
        rig.do(rig.call._tell, LeaveAsked(EndReason.BUDGET, True))
        rig.says(3.0, "I have to end this call now, goodbye.")
        rig.advance(1.2)
        lose(rig)
        comes_back(rig)
        assert "Go on from exactly there" in rig.appended("instructions")[-1]
        rig.advance(1.0)
        assert rig.control.done == []
        rig.says(1.0, " now, goodbye.")
        for _ in range(30):
            rig.advance(0.1)
            rig.echo_marks()
        assert [what for what, *_ in rig.control.done] == ["hang_up"]


class TestTheLastWords:
    def last_words(self, agent: Agent, tool: str) -> LiveRig:
        """They break off in the middle."""
        rig = make(agent)
        asks(rig, "Goodbye!")
        rig.says(3.0, "Goodbye, and have a very nice day, you and all of yours!")
        rig.delegates(("call_1", tool, "{}"))
        rig.advance(1.0)
        rig.echo_marks()
        lose(rig)
        return rig

    @pytest.mark.parametrize(("tool", "reason"), [("hang_up", "agent_hangup"), ("connect_me", "transferred")])
    @pytest.mark.parametrize("seconds", [0.3, 1.5])
    def test_are_said_to_their_end(self, tool, reason, seconds):
        rig = self.last_words(desk(hang_up=True, transfer_to={"clinic": "+15550100002"}), tool)
        comes_back(rig, seconds)
        assert rig.call.live
        assert "Go on from exactly there" in rig.appended("instructions")[-1]
        rig.says(1.0, "You and all of yours!")
        for _ in range(15):
            rig.advance(0.2)
            rig.echo_marks()
        assert rig.call.end_reason == reason
        rig.shut()

    def test_are_not_waited_for_where_there_is_no_session_to_be_had(self):
        rig = self.last_words(desk(hang_up=True), "hang_up")
        for _ in range(200):
            rig.advance(0.2)
            rig.echo_marks()
        assert rig.call.end_reason
        rig.shut()


class TestTheEndOfASession:
    def test_announced_and_lost_at_once_is_one_loss(self, rig):
        rig.model(EXPIRED)
        rig.do(rig.attempt.on_model_lost, 1006, "")
        rig.model(EXPIRED)
        assert rig.call.line.counters["losses"] == 1
        comes_back(rig)
        assert (rig.call.line.up, rig.call.line.counters["dials"]) == (True, 2)

    def test_in_a_row_is_as_many_losses_and_one_question(self, rig):
        asks(rig)
        for number in range(3):
            lose(rig)
            comes_back(rig)
            assert rig.call.line.counters["losses"] == number + 1
        rig.advance(0.5)
        assert [text for text in rig.appended("instructions") if text != ANSWER] == []
        assert rig.sent("session.start")[-1]["session"]["input"][-1]["content"][0]["text"] == "Where is order 7?"

    def test_while_one_is_opened_is_another_try(self, rig):
        lose(rig)
        rig.advance(0.2)
        rig.connect()
        rig.model(EXPIRED)
        assert (rig.call.line.state, rig.call.line.counters["dial_failures"]) == ("pausing", 1)
        comes_back(rig, 0.6)
        assert rig.call.line.up

    def test_whose_stream_begins_again_just_then_is_one_all_the_same(self, rig):
        rig.advance(1.0)
        rig.streaming = False
        rig.advance(1.04)
        assert rig.call.session.counters["stalled"] == 1
        rig.voice += [LOUD] * 10
        rig.streaming = True
        rig.advance(0.2)
        rig.streaming = False
        comes_back(rig)
        assert (rig.call.line.up, rig.call.line.counters["losses"]) == (True, 1)

    def test_while_what_was_interrupted_is_held_drops_what_a_voice_was_heard_over(self, rig):
        """Held, lost, and then it was a voice indeed: nobody wants the rest."""
        asks(rig)
        rig.says(3.0, "It is a long story, and a sad one.")
        rig.advance(1.0)
        rig.line += [LOUD] * 100
        rig.advance(0.14)
        assert rig.call.barge_in.held
        lose(rig)
        rig.advance(0.6)
        assert rig.call.stats.barge_ins[0].outcome == "committed"
        comes_back(rig)
        assert not [text for text in rig.appended("instructions") if "Go on from exactly there" in text]

    def test_while_what_was_interrupted_is_held_by_a_noise_goes_on(self, rig):
        asks(rig)
        rig.says(3.0, "It is a long story, and a sad one.")
        rig.advance(1.0)
        rig.line += [LOUD] * 6
        rig.advance(0.14)
        assert rig.call.barge_in.held
        lose(rig)
        comes_back(rig, 1.0)
        assert rig.call.stats.barge_ins[0].outcome == "resumed"
        assert "Go on from exactly there" in rig.appended("instructions")[-1]


class TestWhatNobodySpoke:
    def told(self, rig: LiveRig) -> list[str]:
        return [item["content"][0]["text"] for item in rig.sent("session.start")[-1]["session"]["input"]]

    def test_keys_are_known_to_the_next_session_which_is_asked_to_react(self, rig):
        asks(rig, "What do I press?")
        rig.says(0.5, "Your number.")
        rig.advance(1.5)
        rig.press("42#")
        assert rig.appended("instructions") == [REACT]
        lose(rig)
        comes_back(rig)
        assert rig.appended("instructions") == [REACT, REACT]
        assert "4 2" in self.told(rig)[-1]

    def test_that_a_transfer_has_failed_while_there_was_no_session_is_known_to_the_next(self):
        control = Control()
        control.well, control.seconds = False, 1.0
        agent = desk(transfer_to={"clinic": "+15550100002"})
        rig = LiveRig(agent, control=control, silence_seconds=0).up()
        asks(rig)
        rig.says(0.5, "One moment.")
        rig.advance(1.5)
        rig.echo_marks()
        rig.do(rig.call.transfer, "+15550100002")
        rig.advance(0.6)
        assert control.done
        lose(rig)
        comes_back(rig, 1.5)
        assert self.told(rig)[-1] == NOT_TRANSFERRED
        assert rig.appended("instructions") == [REACT]
        rig.shut()
