"""fastbridge.call.answered_by with a model that streams: what it says next need not be the message it was asked for."""

from typing import Any

import pytest

from call_rig import Control
from fastbridge._answering import SIGN_BEEP, SIGN_MACHINE
from fastbridge.agent import Agent, AnsweredBy
from fastbridge.call.answered_by import MOST_OTHERS, State
from helpers import LOUD
from live_rig import LiveRig
from virtual import call_context

TEXT = "This is Maple Street Dental. Please call us back."
OTHER = "Hello? Is anybody there?"
PARAPHRASE = "Hi, this is Maple Street Dental, please call us back soon."
UTTERANCE_END_SECONDS = 1.0
PREROLL_FRAMES = 16
"""And of the pause behind an utterance."""


@pytest.fixture
def out():
    """A machine has answered, and the model is asked for a message."""
    agent = Agent(greeting="Hello, this is the clinic.", greeting_lock=False)

    @agent.on_machine
    async def found(machine: AnsweredBy) -> str:
        return TEXT

    control = Control()
    rig = LiveRig(agent, control=control)
    context = call_context(direction="outbound", account_sid="AC" + "0" * 32)
    rig.call = rig.make_call(settings=rig.call.settings, agent=agent, context=context, control=control)
    rig.up()
    says(rig, 0.4, "Hello, this is the clinic.")
    rig.line += [LOUD] * 1000  # its own greeting
    sign(rig, SIGN_MACHINE)
    assert rig.call.answered_by.state is State.WAITING
    yield rig
    rig.shut()


def says(rig: LiveRig, seconds: float, text: str) -> None:
    """To the end that the gate hears."""
    rig.says(seconds, text)
    rig.advance(seconds + UTTERANCE_END_SECONDS)


def sign(rig: LiveRig, which: int) -> None:
    if which == SIGN_BEEP:
        rig.line.clear()
    rig.do(rig.call.answered_by.on_sign, which)
    rig.advance(0.04)


def asked(rig: LiveRig) -> list[str]:
    return [text for text in rig.appended("commentary") if text == TEXT]


def heard_to_the_end(rig: LiveRig) -> Any:
    for _ in range(3):
        rig.echo_marks()
        rig.advance(1.0)
    return rig.call.record()["answered_by"]["message"]


def test_an_answer_to_the_machine_is_no_message(out):
    before = len(out.written("media"))
    says(out, 1.0, OTHER)
    sign(out, SIGN_BEEP)
    assert len(out.written("media")) == before
    says(out, 1.0, TEXT)
    assert len(out.written("media")) > before
    assert heard_to_the_end(out) == "left"
    assert asked(out) == [TEXT]


def test_behind_the_beep_it_counts_with_what_was_said_before_it(out):
    sign(out, SIGN_BEEP)
    says(out, 1.0, f"{OTHER} {TEXT}")
    assert heard_to_the_end(out) == "left"
    assert asked(out) == [TEXT]


def test_nor_behind_the_beep(out):
    sign(out, SIGN_BEEP)
    says(out, 1.0, OTHER)
    out.echo_marks()
    assert out.call.record()["answered_by"]["message"] == "saying"
    says(out, 1.0, TEXT)
    assert heard_to_the_end(out) == "left"


@pytest.mark.parametrize("text", [TEXT, PARAPHRASE, f"Hi! {TEXT}"])
def test_it_is_where_most_of_it_was_said(out, text):
    says(out, 1.0, text)
    sign(out, SIGN_BEEP)
    assert heard_to_the_end(out) == "left"


def test_it_is_asked_for_again_where_nothing_more_comes(out):
    says(out, 1.0, OTHER)
    assert asked(out) == [TEXT]
    out.advance(6.0)
    assert asked(out) == [TEXT, TEXT]


def test_not_for_ever(out):
    for _ in range(MOST_OTHERS + 1):
        says(out, 1.0, OTHER)
    sign(out, SIGN_BEEP)
    assert heard_to_the_end(out) == "left"


def test_nor_is_an_answer_in_one_breath_with_it(out):
    before = len(out.written("media"))
    says(out, 1.0, f"{OTHER} {TEXT}")
    assert asked(out) == [TEXT, TEXT]
    says(out, 0.5, TEXT)
    sign(out, SIGN_BEEP)
    assert heard_to_the_end(out) == "left"
    assert len(out.written("media")) - before <= 25 + PREROLL_FRAMES


def test_an_answer_to_the_machine_behind_it_is_not_heard(out):
    """Nor is what the model says on top, which does not stop when it is told so."""
    before = len(out.written("media"))
    says(out, 0.5, TEXT)
    says(out, 1.0, OTHER)
    sign(out, SIGN_BEEP)
    assert heard_to_the_end(out) == "left"
    assert len(out.written("media")) - before <= 25 + PREROLL_FRAMES


class TestTheLineIsLost:
    def lost(self, rig: LiveRig, seconds: float = 0.3) -> None:
        """In the middle of what is said, for so long."""
        rig.voice.clear()
        rig.streaming = False
        rig.lose_model()
        for _ in range(round(seconds / 0.1)):
            rig.advance(0.1)
            rig.echo_marks()
        rig.connect()
        rig.started_session(2)

    def test_before_the_beep_it_is_said_anew(self, out):
        before = len(out.written("media"))
        out.says(2.0, TEXT)
        out.advance(1.0)
        self.lost(out)
        assert asked(out) == [TEXT, TEXT]
        assert out.appended("instructions") == []
        says(out, 1.0, TEXT)
        sign(out, SIGN_BEEP)
        assert heard_to_the_end(out) == "left"
        assert out.appended("instructions") == []
        assert len(out.written("media")) - before <= 50 + PREROLL_FRAMES

    @pytest.mark.parametrize("seconds", [0.3, 1.5])
    def test_behind_it_the_rest_of_it_is_said_and_that_is_all(self, out, seconds):
        sign(out, SIGN_BEEP)
        out.says(2.0, TEXT)
        out.advance(1.0)
        self.lost(out, seconds)
        assert out.call.record()["answered_by"]["message"] == "saying"
        assert "Go on from exactly there" in out.appended("instructions")[-1]
        out.advance(0.3)
        says(out, 1.0, "Please call us back.")
        assert out.call.live
        assert heard_to_the_end(out) == "left"
        assert asked(out) == [TEXT]

    def test_and_waits_for_the_beep_again(self, out):
        before = len(out.written("media"))
        out.says(2.0, TEXT)
        out.advance(1.0)
        self.lost(out)
        says(out, 1.0, TEXT)
        assert len(out.written("media")) == before

    def test_a_beep_that_comes_then_has_all_of_it_said_behind_it(self, out):
        """What goes on is what was begun too early; now it is begun anew, and what is said then is judged again."""
        out.line.clear()
        out.do(out.call.answered_by._speak, "silence")
        out.says(2.0, TEXT)
        out.advance(1.0)
        self.lost(out)
        out.says(2.0, "Please call us back.")
        out.advance(1.0)
        sign(out, SIGN_BEEP)
        out.voice.clear()
        out.advance(1.0)
        says(out, 1.0, OTHER)
        assert heard_to_the_end(out) == "saying"
        says(out, 1.0, TEXT)
        assert heard_to_the_end(out) == "left"

    def test_behind_all_of_it_nothing_more_is_said(self, out):
        says(out, 1.0, TEXT)
        self.lost(out)
        assert asked(out) == [TEXT]
        sign(out, SIGN_BEEP)
        assert heard_to_the_end(out) == "left"
