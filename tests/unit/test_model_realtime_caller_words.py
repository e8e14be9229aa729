"""model.realtime.caller_words: what is written down, what could not be, and what nobody will write down any more."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.errors import ModelError
from fastbridge.model.history import History
from fastbridge.model.realtime.caller_words import CallerWords


class Scene:
    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.history = History(self.counters)
        self.said: list[str] = []
        self.told: list[Any] = []
        trouble: Any = SimpleNamespace(
            transcription_failed=lambda error: self.said.append(error.code), words_lost=lambda: self.said.append("lost")
        )
        self.words = CallerWords(self.history, self.counters, trouble, lambda event: self.told.append(event.turn))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_are_written_once(scene):
    scene.words.written("item_1", "Hello?")
    scene.words.written("item_1", "Goodbye.")
    (turn,) = scene.told
    assert (turn.text, turn.ended, turn.failed) == ("Hello?", True, False)


def test_that_cannot_be_are_a_turn_once_and_counted_each_time(scene):
    for _ in range(2):
        scene.words.failed("item_1", ModelError("no", "unintelligible"))
    (turn,) = scene.told
    assert (turn.text, turn.ended, turn.failed) == ("", True, True)
    assert (scene.said, scene.counters) == (["unintelligible"] * 2, {"transcription_failed": 2})


def test_that_are_lost_are_those_of_turns_without_any(scene):
    scene.words.written("item_1", "Hello?")
    scene.words.failed("item_2", ModelError("no", "unintelligible"))
    lost = scene.history.caller_turn("item_3")
    some = scene.history.caller_turn("item_4")
    some.text = "I would"
    scene.history.turn("assistant", "item_5")
    for _ in range(2):
        scene.words.lost()
    assert scene.told[2:] == [lost]
    assert (lost.failed, some.failed) == (True, False)
    assert (scene.said[1:], scene.counters["words_lost"]) == (["lost"], 1)
