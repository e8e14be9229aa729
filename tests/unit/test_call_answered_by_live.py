"""fastbridge.call.answered_by with a model that streams: what it says next need not be the message it was asked for."""

from typing import Any

import pytest

from call_rig import Control
from fastbridge._answering import SIGN_BEEP, SIGN_MACHINE
from fastbridge.agent import Agent, AnsweredBy
from fastbridge.call.answered_by import MOST_OTHERS, State, share_of
from helpers import LOUD
from live_rig import LiveRig
from virtual import call_context

TEXT = "This is Maple Street Dental. Please call us back."
OTHER = "Hello? Is anybody there?"
PARAPHRASE = "Hi, this is Maple Street Dental, please call us back soon."
UTTERANCE_END_SECONDS = 1.0


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


def test_nor_behind_the_beep(out):
    sign(out, SIGN_BEEP)
    says(out, 1.0, OTHER)
    out.echo_marks()
    assert out.call.record()["answered_by"]["message"] == "saying"
    says(out, 1.0, TEXT)
    assert heard_to_the_end(out) == "left"


@pytest.mark.parametrize("text", [TEXT, PARAPHRASE, f"{OTHER} {TEXT}"])
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


@pytest.mark.parametrize(
    ("said", "share"),
    [(TEXT, 1.0), (TEXT.upper(), 1.0), ("", 0.0), ("xyz", 0.0), (f"Well. {TEXT} Bye.", 1.0), (TEXT[:20], 0.41)],
)
def test_the_share_of_a_message(said, share):
    assert share_of(TEXT, said) == pytest.approx(share, abs=0.05)


def test_the_share_of_a_message_of_two_letters():
    assert (share_of("Hi", "hi"), share_of("Hi", "Who?")) == (1.0, 0.0)


def test_the_share_in_other_letters():
    assert share_of("שלום, מדברת המרפאה. נא לחזור אלינו.", "שלום, מדברת המרפאה. נא לחזור אלינו.") == 1.0
    assert share_of("שלום, מדברת המרפאה. נא לחזור אלינו.", "הלו? מי שם?") < 0.3
