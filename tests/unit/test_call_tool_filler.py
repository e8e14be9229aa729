"""fastbridge.call.tool_filler: what is heard while a tool takes long is its author's choice."""

from typing import Any

import pytest

from fastbridge.agent import Tool
from fastbridge.agent.definition import tool_from
from fastbridge.call.happenings import RecordingDue
from fastbridge.call.tool_filler import ToolFiller
from fastbridge.model.port import Wish


def tool(filler: str | None = None) -> Tool:
    return tool_from(lambda: None, name="look_up", filler=filler)


class Rig:
    def __init__(self) -> None:
        self.running_tools: list[Tool] = []
        self.speechless = True
        self.said: list[str] = []
        self.told: list[Any] = []
        self.filler = ToolFiller(None, workplace=self, session=self, tell=self.told.append)

    def fill(self, *own: str | None, words: str | None = None) -> bool:
        self.running_tools = [tool(each) for each in own]
        self.filler.words = words
        return self.filler.fill()

    # The session.
    ready = True

    @property
    def responses(self) -> "Rig":
        return self

    def create(self, purpose: str, wish: Wish) -> None:
        assert (purpose, wish.words_only) == ("filler", True)
        self.said.append(wish.instructions)


@pytest.fixture
def rig():
    return Rig()


@pytest.mark.parametrize(
    ("own", "words", "said"),
    [
        (["One moment."], None, "One moment."),
        (["One moment."], "Hold on.", "One moment."),
        ([None], "Hold on.", "Hold on."),
        (["", "One moment."], None, "One moment."),
        ([None, "One moment."], None, "One moment."),
    ],
)
def test_words_of_ones_own_are_said_by_the_model(rig, own, words, said):
    assert rig.fill(*own, words=words)
    assert rig.said == [f"Say exactly this, and nothing else: {said}"]


@pytest.mark.parametrize(("own", "words"), [([""], None), ([""], "Hold on."), ([None], ""), (["", ""], None)])
def test_silence_is_a_choice(rig, own, words):
    assert rig.fill(*own, words=words)
    assert rig.said == []


@pytest.mark.parametrize(("own", "words"), [([None], None), ([None, None], None), ([None, ""], None), ([], None)])
def test_without_words_there_is_a_recording(rig, own, words):
    assert not rig.fill(*own, words=words)
    assert rig.said == []


def test_a_model_that_is_busy_is_not_asked(rig):
    rig.speechless = False
    assert not rig.fill("One moment.")
    assert rig.said == []


@pytest.mark.parametrize(
    ("cause", "own", "recorded"), [("tool", [None], True), ("tool", [""], False), ("answer", [""], True)]
)
def test_a_recording_is_wanted_where_there_are_no_words_and_always_for_another_wait(rig, cause, own, recorded):
    rig.running_tools = [tool(each) for each in own]
    rig.filler.due(cause, 1, 1500)
    assert rig.told == ([RecordingDue(cause, 1, 1500)] if recorded else [])
