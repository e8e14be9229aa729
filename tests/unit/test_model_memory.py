"""fastbridge.model.memory: what is remembered, by what came of it."""

from collections import Counter
from typing import Any

import pytest

from fastbridge.model.history import History
from fastbridge.model.memory import Memory, of_the_model


class Lane:
    def __init__(self) -> None:
        self.found: list[tuple[str, str, int, int]] = []
        self.words_in_step = False

    def items(self) -> list[tuple[str, str, int, int]]:
        return self.found


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def memory(lane: Any) -> Memory:
    memory = Memory(History(Counter()), lane)
    turn = memory.history.turn("assistant", "item_1")
    assert turn is not None
    turn.text, turn.response_id = "It is a long story that began a long time ago.", "resp_1"
    memory.history.speaking_item = "item_1"
    return memory


def test_turns_and_calls_are_the_historys(memory):
    memory.history.add_call("call_1", "order", "{}")
    assert list(memory.turns) == ["item_1"]
    assert [call.call_id for call in memory.tool_calls] == ["call_1"]


def test_what_is_broken_off_goes_on_from_what_came_of_it(memory, lane):
    lane.found = [("item_1", "resp_1", 500, 1000), ("item_0", "resp_0", 1, 1)]
    wish = memory.break_off()
    assert not wish.words_only
    assert memory.turns["item_1"].ended
    assert f'"{memory.turns["item_1"].text}"' in wish.instructions


def test_what_nobody_heard_was_not_said(memory):
    memory.unsay("resp_2")
    assert memory.turns["item_1"].text != ""
    memory.unsay("resp_1")
    assert memory.turns["item_1"].text == ""


def test_a_recording_between_two_halves_counts_apart(memory, lane):
    lane.found = [("item_1", "resp_1", 1000, 1000)]
    memory.stalled()
    assert memory.history.whole_ms("item_1", 500) == 1500


def test_what_stands_before_a_recording_in_its_midst_counts_no_more():
    first, second = ("item_1", "resp_1", 990, 1000), ("item_1", "resp_1", 0, 300)
    recording, beside = ("local_1", "resp_1", 0, 500), ("local_2", "local_2", 0, 500)
    assert list(of_the_model([first, beside])) == [first]
    assert list(of_the_model([first, recording])) == []
    assert list(of_the_model([first, recording, second])) == [second]
