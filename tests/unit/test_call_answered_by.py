"""fastbridge.call.answered_by: a machine gets its message behind the beep, and whoever speaks is never hung up on."""

from itertools import product
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge._answering import SIGN_BEEP, SIGN_FAX, SIGN_HUMAN, SIGN_MACHINE
from fastbridge.agent import Agent, AnsweredBy
from fastbridge.call.answered_by import BEEP_SECONDS, DEADLINES_SECONDS, REPLY_SECONDS, SILENCE_SECONDS, WHO, State
from fastbridge.model.instructions import MACHINE_ANSWERED, PERSON_AFTER_ALL
from helpers import LOUD
from virtual import call_context

TEXT = "This is Maple Street Dental. Please call us back."
SECOND = bytes([0x30]) * 8000


def agent(wish: Any = TEXT, **fields: Any) -> Agent:
    """Whose hook wants this of a machine."""
    made = Agent(greeting="Hello, this is the clinic.", **fields)

    @made.on_machine
    async def found(machine: AnsweredBy) -> Any:
        HEARD.append(machine)
        return wish

    return made


HEARD: list[AnsweredBy] = []


class Out(CallRig):
    """A call out."""

    def __init__(self, agent: Agent | None = None, *, direction: str = "outbound", **settings: Any) -> None:
        super().__init__(agent, control=Control(), **settings)
        HEARD.clear()
        given = self.call
        context = call_context(direction=direction, account_sid="AC" + "0" * 32)
        self.call = self.make_call(
            settings=given.settings, agent=agent or Agent(), context=context, control=self.control
        )

    def sign(self, sign: int) -> None:
        self.do(self.call.answered_by.on_sign, sign)
        self.advance(0.04)

    @property
    def state(self) -> State:
        return self.call.answered_by.state

    @property
    def who(self) -> Any:
        return self.call.record()["answered_by"]

    def asked(self) -> list[str]:
        return [create["instructions"] for create in self.creates if "instructions" in create]

    def greeted(self) -> "Out":
        """The greeting is being said."""
        self.up()
        self.begin_ours("resp_g", "item_g")
        self.delta(SECOND * 4, "resp_g", "item_g")
        self.advance(1.0)
        assert self.call.assistant.playing
        return self

    def message(self, seconds: int = 2) -> None:
        """The model says what it was asked for last."""
        self.begin_ours("resp_m", "item_m")
        self.delta(SECOND * seconds, "resp_m", "item_m")
        self.done("resp_m")

    def cancelled(self, response_id: str = "resp_g") -> None:
        self.done(response_id, "cancelled")


@pytest.fixture
def out():
    made: list[Out] = []

    def make(*given: Any, **named: Any) -> Out:
        made.append(Out(*given, **named))
        return made[-1]

    yield make
    for each in made:
        each.shut()


def frames_to_carrier(rig: Out) -> int:
    return len(rig.written("media"))


class TestAMachine:
    def test_is_greeted_until_it_is_known(self, out):
        call = out(agent()).greeted()
        assert call.state is State.LISTENING
        assert call.call.greeting.locked

    def test_gets_its_message_behind_the_beep(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        assert not call.call.assistant.playing
        assert len(call.sent("response.cancel")) == 1
        call.cancelled()
        assert call.asked()[-1].endswith(TEXT)
        before = frames_to_carrier(call)
        call.message()
        call.advance(1.2)
        assert (call.state, frames_to_carrier(call)) == (State.WAITING, before)
        call.sign(SIGN_BEEP)
        assert call.state is State.SAYING
        assert frames_to_carrier(call) > before

    def test_is_hung_up_on_when_that_was_heard(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message()
        call.sign(SIGN_BEEP)
        call.advance(1.5)
        call.echo_marks()
        assert call.call.live
        call.advance(0.6)
        call.echo_marks()
        call.advance(1.0)
        assert not call.call.live
        record = call.call.document
        assert (record["end_reason"], record["answered_by"]["message"]) == ("answering_machine", "left")
        assert call.control.done[0][0] == "hang_up"

    def test_is_told_to_the_hook_and_to_the_model(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        (machine,) = HEARD
        assert (machine.kind, machine.source, machine.beep) == ("machine", "sound", False)
        assert machine.seconds == pytest.approx(1.0, abs=0.3)
        assert ("system", MACHINE_ANSWERED) in call.notes

    def test_whose_beep_tells_it_gets_the_message_at_once(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_HUMAN)
        call.sign(SIGN_BEEP)
        assert HEARD[0].beep
        call.cancelled()
        before = frames_to_carrier(call)
        call.message()
        call.advance(0.1)
        assert call.state is State.SAYING
        assert frames_to_carrier(call) > before

    def test_without_a_beep_gets_it_when_it_has_said_all(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message()
        call.advance(SILENCE_SECONDS + 0.3)
        assert call.state is State.SAYING
        call.advance(2.1)
        call.echo_marks()
        assert call.state is State.LEFT
        call.advance(REPLY_SECONDS - 0.2)
        assert call.call.live
        call.advance(1.5)
        assert not call.call.live

    def test_whose_beep_comes_only_then_gets_it_again(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message()
        call.advance(SILENCE_SECONDS + 0.8)
        call.sign(SIGN_BEEP)
        assert sum(text.endswith(TEXT) for text in call.asked()) == 2
        assert call.state is State.SAYING

    def test_is_not_answered(self, out):
        """The model takes what the machine says for a turn, and begins to answer."""
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.begin("resp_x", "item_x")
        call.delta(SECOND, "resp_x", "item_x")
        assert len(call.sent("response.cancel")) == 2
        assert call.call.assistant.unheard_ms == 0

    def test_is_not_heard_by_the_model(self, out):
        call = out(agent(), greeting_lock=False).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        before = len(call.uplink)
        call.caller_says(*[LOUD] * 10)
        assert len(call.uplink) == before

    def test_that_was_speaking_is_taken_for_a_turn_that_nobody_answers(self, out):
        call = out(agent(), greeting_lock=False).greeted()
        call.speech()
        call.sign(SIGN_MACHINE)
        assert len(call.sent("input_audio_buffer.commit")) == 1
        assert not call.call.turns.speaking
        assert not call.call.turns.owed

    def test_is_waited_for_without_a_filler(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.do(call.call.answered_by._look.clear)
        call.advance(8.0)
        assert call.call.document is None
        assert call.call.dead_air.fillers == {}

    def test_is_never_asked_whether_it_is_there(self, out):
        call = out(agent(None), silence_seconds=5).greeted()
        call.sign(SIGN_MACHINE)
        call.done("resp_g")
        call.advance(4.0)
        call.echo_marks()
        call.advance(6.0)
        assert call.call.stats.silences == 0
        assert call.call.end_reason or call.call.hangup.asked

    @pytest.mark.parametrize("wish", [None, "", 7, True])
    def test_for_which_the_hook_wants_nothing_is_talked_to(self, out, wish):
        call = out(agent(wish)).greeted()
        call.sign(SIGN_MACHINE)
        assert call.call.assistant.playing
        assert call.state is State.MACHINE
        assert call.sent("response.cancel") == []

    def test_on_which_the_hook_wants_to_hang_up_is_hung_up_on(self, out):
        call = out(agent(False)).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.advance(1.0)
        assert not call.call.live
        assert call.call.document["end_reason"] == "answering_machine"

    def test_that_is_a_fax_gets_no_message(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_FAX)
        call.cancelled()
        call.advance(1.0)
        assert HEARD[0].kind == "fax"
        assert not call.call.live
        assert not any(text.endswith(TEXT) for text in call.asked())

    def test_whose_message_never_comes_is_left_in_the_end(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.do(call.call.answered_by._expired)
        assert call.state is State.SAYING
        call.do(call.call.answered_by._expired)
        assert call.state is State.LEFT

    def test_whose_model_fails_hears_the_apology(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        assert call.call.assistant.held
        call.do(call.call.answered_by.give_up, "model_lost", None)
        assert not call.call.assistant.held


class TestAPerson:
    def test_is_talked_to(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_HUMAN)
        assert (call.state, HEARD, call.who["verdict"]) == (State.PERSON, [], "human")
        assert call.call.assistant.playing

    def test_who_talks_over_the_message_is_talked_to(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message(6)
        call.advance(SILENCE_SECONDS + 0.5)
        call.caller_turn("Hello? I am here.")
        assert (call.state, call.who["verdict"], call.who["message"]) == (State.PERSON, "human", "taken_back")
        call.advance(5.0)
        assert call.call.live
        assert ("system", PERSON_AFTER_ALL) in call.notes

    def test_who_answers_when_it_was_said_is_not_hung_up_on(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message()
        call.sign(SIGN_BEEP)
        call.advance(2.1)
        call.echo_marks()
        assert call.call.hangup.asked
        call.caller_turn("Wait!")
        call.advance(3.0)
        assert call.call.live
        assert call.state is State.PERSON

    def test_is_asked_again_whether_he_is_there(self, out):
        call = out(agent(), silence_prompts=2).greeted()
        call.sign(SIGN_MACHINE)
        assert call.call.idle._limit == 0
        call.cancelled()
        call.message()
        call.sign(SIGN_BEEP)
        call.caller_turn("Hello?")
        assert call.call.idle._limit == 2

    def test_for_whom_the_carrier_vouches_is_talked_to(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_MACHINE)
        call.cancelled()
        call.message()
        call.do(call.call.on_answered_by, "human")
        assert call.state is State.PERSON
        assert not call.call.assistant.held
        assert call.asked()[-1] == PERSON_AFTER_ALL

    def test_in_whose_conversation_something_beeps_stays_one(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_HUMAN)
        call.do(setattr, call.call.answered_by, "_turns", 7)
        call.sign(SIGN_BEEP)
        assert call.state is State.PERSON

    def test_so_long_after_the_answer_too(self, out):
        call = out(agent(), silence_seconds=0).greeted()
        call.sign(SIGN_HUMAN)
        call.done("resp_g")
        call.advance(BEEP_SECONDS)
        call.sign(SIGN_BEEP)
        assert call.state is State.PERSON


class TestWhoIsAsked:
    def test_nobody_in_a_call_that_came_in(self, out):
        call = out(agent(), direction="inbound").greeted()
        assert (call.state, call.who) == (State.UNASKED, None)

    def test_nobody_where_nobody_wants_to_know(self, out):
        assert out(Agent(greeting="Hello.")).greeted().who is None

    def test_whoever_the_setting_says(self, out):
        assert out(Agent(greeting="Hello."), detect_machines=True).greeted().state is State.LISTENING

    def test_nobody_knows_it_in_the_end(self, out):
        call = out(agent(), silence_seconds=0).greeted()
        call.done("resp_g")
        call.advance(DEADLINES_SECONDS[State.LISTENING])
        assert (call.state, call.who["verdict"]) == (State.UNKNOWN, "unknown")

    def test_the_carrier_may_know_better_later(self, out):
        call = out(agent(), silence_seconds=0).greeted()
        call.done("resp_g")
        call.advance(DEADLINES_SECONDS[State.LISTENING])
        call.do(call.call.on_answered_by, "machine")
        call.advance(0.1)
        assert (call.state, call.who["source"]) == (State.SAYING, "carrier")  # it has been silent for long

    def test_the_carrier_where_our_ear_was_not_asked(self, out):
        call = out(Agent(greeting="Hello.")).greeted()
        call.do(call.call.on_answered_by, "machine")
        assert (call.who["verdict"], call.who["source"]) == ("machine", "carrier")

    def test_a_carrier_that_does_not_know_says_nothing(self, out):
        call = out(agent()).greeted()
        call.do(call.call.on_answered_by, "unknown")
        assert call.state is State.LISTENING

    def test_a_carrier_against_our_ear_changes_nothing(self, out):
        call = out(agent()).greeted()
        call.sign(SIGN_HUMAN)
        call.do(call.call.on_answered_by, "machine")
        assert call.state is State.PERSON


def test_the_table_has_every_meeting():
    shown, told = ("", "human", "machine", "beep", "fax"), ("", "human", "machine", "fax")
    assert set(WHO) == set(product(shown, told)) - {("", "")}
    assert set(WHO.values()) == {"human", "machine", "fax"}
