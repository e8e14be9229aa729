"""fastbridge.model.live.session: work that the voice hands on, in a whole call, scripted message by message."""

import asyncio
from typing import Any

import pytest

from call_rig import Control
from fastbridge.agent import Agent, CallContext
from fastbridge.model.instructions import GOODBYE, PUT_THROUGH
from fastbridge.model.live.responses import REACT
from fastbridge.model.live.session import NOT_FOUND_OUT
from helpers import LOUD
from live_rig import SILENT, LiveRig

HELLO = "Hello, how can I help?"


@pytest.fixture
def greeted():
    agent = Agent(greeting=HELLO, greeting_lock=False)

    @agent.tool
    async def order(number: int) -> str:
        """The state of an order."""
        return f"order {number} is on its way"

    rig = LiveRig(agent, silence_seconds=0).up()
    rig.advance(0.8)
    rig.says(1.0, HELLO)
    rig.advance(2.2)
    rig.echo_marks()
    yield rig
    rig.shut()


def asks(rig: LiveRig, text: str) -> None:
    """The caller says something, which is written down when he has; and is quiet again."""
    rig.line += [LOUD] * 50
    rig.advance(1.0)
    rig.hears(text)
    rig.advance(1.0)


def last_turn(rig: LiveRig) -> tuple[str, str]:
    turn: Any = rig.call.session.history.ordered()[-1]
    return turn.role, turn.text


def test_is_run_and_answered_and_the_work_goes_on(greeted):
    asks(greeted, "Where is order 7?")
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.advance(0.1)
    item = {"type": "function_call_output", "call_id": "call_1", "output": "order 7 is on its way"}
    create = {"type": "response.create", "event_id": "go_on_1"}
    assert greeted.worked == [{"type": "response.item.create", "item": item}, create]
    greeted.says(1.0, "It is on its way.")
    greeted.advance(2.0)
    assert greeted.call.stats.tool_calls[0]["outcome"] == "ok"
    assert last_turn(greeted) == ("assistant", "It is on its way.")


def test_several_at_once_are_all_answered_before_it_goes_on(greeted):
    asks(greeted, "Where are my orders?")
    greeted.delegates(("call_1", "order", '{"number": 7}'), ("call_2", "order", '{"number": 8}'), ends=False)
    greeted.advance(0.1)
    assert [message["type"] for message in greeted.worked] == ["response.item.create"] * 2
    greeted.works("response.completed", response={"id": "resp_dlg_1"})
    assert greeted.worked[-1]["type"] == "response.create"


def test_calls_that_are_answered_at_once_are_one_round_all_the_same(greeted):
    """More of them than a turn has rounds, each with its answer before the next is told of."""
    asks(greeted, "Where are my orders?")
    greeted.delegates(*((f"call_{number}", "no_such_tool", "{}") for number in range(15)))
    greeted.advance(0.1)
    assert [message["type"] for message in greeted.worked] == ["response.item.create"] * 15 + ["response.create"]
    assert not greeted.call.tools._runner.exhausted
    assert greeted.call.live


def test_the_answer_may_take_its_time(greeted):
    asks(greeted, "Where is order 7?")
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    for _ in range(8):
        greeted.advance(1.0)
        greeted.works("response.in_progress")
    assert greeted.call.line.counters["losses"] == 0
    assert greeted.appended("instructions") == []


def test_what_came_of_it_is_not_asked_for_just_before_it_is_said(greeted):
    """The turn is 2.5 s old just when the work has ended and its words are about to begin."""
    asks(greeted, "Where is order 7?")
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.works("response.created", response={"id": "resp_2"})
    greeted.advance(1.4)
    greeted.works("response.completed", response={"id": "resp_2"})
    greeted.advance(1.2)
    greeted.says(1.0, "It is on its way.")
    greeted.advance(2.0)
    assert greeted.call.turns.counters == {}
    assert greeted.appended("instructions") == []


@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0])
def test_what_it_says_of_it_in_one_breath_it_is_not_asked_to_say_again(greeted, seconds):
    """Work that ends while the voice says that it sees to it: it goes on with what came of it."""
    asks(greeted, "Where is order 7?")
    greeted.says(5.0, "One moment, let me see. It is on its way.")
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.advance(0.1)
    greeted.works("response.created", response={"id": "resp_2"})
    greeted.advance(seconds)
    greeted.works("response.completed", response={"id": "resp_2"})
    greeted.advance(16.0)
    assert (greeted.appended("instructions"), greeted.call.line.counters["losses"]) == ([], 0)
    assert not greeted.call.session.responses.busy


@pytest.mark.parametrize("pause", [0.3, 0.7])
def test_nor_what_it_says_of_it_shortly_behind_a_pause(greeted, pause):
    asks(greeted, "Is it ready?")
    greeted.says(0.6, "Let me look.")
    greeted.advance(0.3)
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.advance(0.1)
    greeted.works("response.created", response={"id": "resp_2"})
    greeted.works("response.completed", response={"id": "resp_2"})
    greeted.advance(0.18 + pause)
    greeted.says(0.24, " Yes.")
    greeted.advance(16.0)
    assert last_turn(greeted) == ("assistant", "Let me look. Yes.")
    assert greeted.appended("instructions") == []


def test_what_it_had_no_time_to_say_it_is_asked_to_say(greeted):
    asks(greeted, "Where is order 7?")
    greeted.says(3.0, "One moment, let me see.")
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.advance(0.1)
    greeted.works("response.created", response={"id": "resp_2"})
    greeted.advance(2.5)
    greeted.works("response.completed", response={"id": "resp_2"})
    greeted.advance(7.0)
    assert greeted.appended("instructions") == [REACT]


def test_it_is_asked_to_go_on_again_where_it_was_told_that_it_may_not_yet(greeted):
    asks(greeted, "Where is order 7?")
    greeted.delegates(("call_1", "order", '{"number": 7}'), ends=False)
    greeted.says(6.0, "Let me see.")
    greeted.advance(4.0)
    assert [message["type"] for message in greeted.worked] == ["response.item.create", "response.create"]
    error = {"type": "invalid_request_error", "code": "x", "message": "A response is in progress."}
    greeted.model({"type": "error", "event_id": "e", "error": error | {"client_event_id": "go_on_1"}})
    greeted.works("response.completed", response={"id": "resp_dlg_1"})
    assert greeted.worked[-1] == {"type": "response.create", "event_id": "go_on_2"}


def test_the_caller_may_have_gone_on(greeted):
    asks(greeted, "Where is order 7?")
    greeted.delegates(("call_1", "order", '{"number": 7}'), ends=False)
    asks(greeted, "Never mind.")
    greeted.works("response.completed", response={"id": "resp_dlg_1"})
    assert greeted.worked[-1]["type"] == "response.create"


def test_work_that_comes_to_nothing_is_said_to_have(greeted):
    asks(greeted, "Where is order 7?")
    greeted.model({
        "type": "session.delegation.created", "event_id": "e", "offset_ms": 0,
        "delegation": {"id": "dlg_1", "type": "delegation", "target": "responses"},
    })  # fmt: skip
    greeted.says(0.5, "One moment.")
    greeted.advance(28.0)
    assert greeted.call.session.counters["delegations_stalled"] == 1
    assert "could not be done" in greeted.appended("instructions")[-1]


def test_work_that_fails_is_said_to_have_where_the_voice_says_nothing(greeted):
    asks(greeted, "Where is order 7?")
    greeted.delegates(ends=False)
    greeted.says(0.5, "One moment.")
    greeted.advance(2.0)
    greeted.works("response.failed", response={"id": "resp_dlg_1", "error": {"code": "server_error"}})
    greeted.advance(2.0)
    assert "could not be done" in greeted.appended("instructions")[-1]
    assert greeted.call.line.counters["losses"] == 0


@pytest.mark.parametrize("seconds", [0.2, 1.8, 6.0])
def test_and_where_it_has_said_nothing_at_all(greeted, seconds):
    """That is the answer, and none is asked for beside it."""
    asks(greeted, "Where is order 7?")
    greeted.delegates(ends=False)
    greeted.advance(seconds)
    greeted.works("response.failed", response={"id": "resp_dlg_1", "error": {"code": "server_error"}})
    greeted.advance(1.7)
    assert greeted.appended("instructions") == [NOT_FOUND_OUT]
    greeted.says(1.0, "I cannot find that out just now.")
    greeted.advance(8.0)
    assert greeted.appended("instructions") == [NOT_FOUND_OUT]


def test_work_that_is_told_of_behind_its_response_is_done_with_it(greeted):
    """Nobody waits for more of it, plays a filler, or says that it could not be done."""
    asks(greeted, "Where is order 7?")
    greeted.works("response.created", response={"id": "resp_dlg_1"})
    greeted.delegates(("call_1", "order", '{"number": 7}'))
    greeted.advance(0.1)
    greeted.works("response.created", response={"id": "resp_2"})
    greeted.works("response.completed", response={"id": "resp_2"})
    greeted.says(1.0, "It is on its way.")
    for _ in range(30):
        greeted.advance(1.0)
        greeted.echo_marks()
    assert (greeted.appended("instructions"), greeted.call.session.handed_on) == ([], False)
    assert greeted.call.dead_air.fillers == {}


def test_work_that_is_lost_again_and_again_ends_the_session(greeted):
    for number in range(2):
        asks(greeted, "Where is order 7?")
        greeted.delegates(work=f"dlg_{number}", ends=False)
        greeted.says(0.5, "One moment.")
        greeted.advance(28.0)
    assert greeted.call.line.counters["losses"] == 1
    assert "work_stalled" in greeted.call.stats.errors


def test_that_answers_into_another_session_is_told_in_words(greeted):
    call = greeted.call.session.history.add_call("call_0", "order", '{"number": 7}')
    greeted.call.session.tool_result(call, "on its way")
    assert greeted.appended("thinking")[-1].endswith("It answered: on its way")


def test_what_has_failed_is_told_however_long_it_speaks_of_something_else(greeted):
    asks(greeted, "Where is order 7?")
    greeted.says(5.0, "One moment, let me see what I can find, it may take a while.")
    greeted.delegates(ends=False)
    greeted.advance(1.0)
    greeted.works("response.failed", response={"id": "resp_dlg_1"})
    greeted.advance(6.0)
    assert "could not be done" in greeted.appended("instructions")[-1]


LEAVES = {"hang_up": ("{}", "agent_hangup"), "transfer_call": ('{"destination": "reception"}', "transferred")}


@pytest.fixture(params=LEAVES)
def leaving(request):
    """The call is to be left, by a tool that was called without a word."""
    agent = Agent(hang_up=True, transfer_to={"reception": "+14155550188"})
    arguments, reason = LEAVES[request.param]
    rig = LiveRig(agent, control=Control(), silence_seconds=0).up()
    rig.advance(0.5)
    asks(rig, "Thank you, that is all.")
    rig.delegates(("call_1", request.param, arguments))
    rig.advance(0.1)
    assert len(rig.worked) == 2
    yield rig, reason
    rig.shut()


def test_a_voice_that_says_its_last_words_by_itself_is_not_asked_for_more(leaving):
    rig, reason = leaving
    rig.works("response.completed", response={"id": "resp_2"})
    rig.advance(0.6)
    rig.says(2.0, "Thank you for calling.")
    rig.advance(5.0)
    assert (rig.appended("instructions"), rig.call.end_reason) == ([], reason)


def test_one_that_says_nothing_is_asked_for_them_once(leaving):
    rig, reason = leaving
    rig.works("response.completed", response={"id": "resp_2"})
    rig.advance(5.0)
    assert rig.appended("instructions") == [GOODBYE if reason == "agent_hangup" else PUT_THROUGH]
    rig.says(2.0, "Well then.")
    rig.advance(5.0)
    assert (len(rig.appended("instructions")), rig.call.end_reason) == (1, reason)


def test_one_whose_caller_goes_on_is_asked_for_none(leaving):
    rig, _ = leaving
    rig.line += [LOUD] * 50
    rig.advance(1.0)
    rig.hears("No, wait.")
    rig.advance(2.5)
    rig.says(1.0, "What else is there?")
    rig.advance(6.0)
    assert (GOODBYE in rig.appended("instructions"), PUT_THROUGH in rig.appended("instructions")) == (False, False)
    assert rig.call.live


class TestWorkThatIsBegunWithoutAWord:
    """It is the answer, as far as the caller's turn goes: what is to be said meanwhile does not wait for another."""

    @pytest.fixture
    def rig(self):
        agent = Agent(greeting=HELLO, greeting_lock=False)

        @agent.tool(filler="One moment, I am looking.")
        async def look_up() -> str:
            """Takes long."""
            await asyncio.sleep(6)
            return "it is on its way"

        @agent.tool(filler="")
        async def ask_for_keys(context: CallContext) -> str:
            """Says so, and takes them."""
            context.say("Please type your number.")
            return await context.gather_async(timeout_seconds=8)

        @agent.tool
        async def tell(context: CallContext) -> str:
            """Says something."""
            context.say("Your number is fourteen.")
            return "it was said"

        rig = LiveRig(agent, silence_seconds=0).up()
        rig.advance(0.8)
        rig.says(1.0, HELLO)
        rig.advance(2.2)
        rig.echo_marks()
        yield rig
        rig.shut()

    def works(self, rig: LiveRig, tool: str, *, before: bool) -> None:
        """before: it is called before the end of the caller's turn is known."""
        rig.line += [LOUD] * 50
        rig.advance(1.0)
        rig.hears("Where is order 7?")
        rig.advance(0.3 if before else 1.0)
        rig.delegates(("call_1", tool, "{}"))

    @pytest.mark.parametrize("before", [True, False])
    def test_the_tool_s_own_filler_is_said(self, rig, before):
        self.works(rig, "look_up", before=before)
        rig.advance(2.6)
        assert rig.appended("commentary")[1:] == ["One moment, I am looking."]

    @pytest.mark.parametrize("before", [True, False])
    def test_what_a_tool_says_and_waits_for_is_said(self, rig, before):
        self.works(rig, "ask_for_keys", before=before)
        rig.advance(1.0)
        assert rig.appended("commentary")[1:] == ["Please type your number."]
        rig.says(1.5, "Please type your number.")
        rig.advance(3.0)
        rig.press("42#")
        assert rig.worked[0]["item"]["output"] == "42"

    def test_it_is_no_turn_without_an_answer(self, rig):
        self.works(rig, "look_up", before=False)
        rig.advance(2.5)
        rig.says(1.5, "One moment, I am looking.")
        rig.advance(4.0)
        assert rig.call.turns.counters == {}
        rig.works("response.created", response={"id": "resp_2"})
        rig.works("response.completed", response={"id": "resp_2"})
        rig.advance(7.0)  # and nobody has a word for it
        assert rig.appended("instructions") == [REACT]

    def test_its_result_and_what_the_tool_said_in_one_breath_are_both(self, rig):
        """The voice tells the result before it says what it was asked to."""
        self.works(rig, "tell", before=False)
        rig.advance(0.1)
        rig.works("response.created", response={"id": "resp_2"})
        rig.works("response.completed", response={"id": "resp_2"})
        rig.says(1.0, "It was said.")
        rig.voice += [SILENT] * 20
        rig.advance(1.0)
        rig.says(1.5, "Your number is fourteen.")
        rig.advance(9.0)
        assert rig.appended("instructions") == []

    @pytest.mark.parametrize("late_s", [0.5, 1.4])
    def test_its_result_behind_what_the_tool_said_is_not_asked_for(self, rig, late_s):
        self.works(rig, "tell", before=False)
        rig.advance(0.1)
        rig.works("response.created", response={"id": "resp_2"})
        rig.works("response.completed", response={"id": "resp_2"})
        rig.advance(0.4)
        rig.says(1.6, "Your number is fourteen.")
        rig.advance(1.6 + 0.9 + late_s)
        rig.says(1.0, "It was said.")
        rig.advance(9.0)
        assert rig.appended("instructions") == []
