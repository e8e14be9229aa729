"""fastbridge.model.realtime.replay: the items that tell a conversation to a new session, as the service takes them."""

import pytest

from fastbridge.base.conversation import Note, ToolCall, Turn
from fastbridge.model.instructions import WORDS_LOST, continuation
from fastbridge.model.realtime import replay
from fastbridge.model.realtime.replay import replay_items
from fastbridge.sim import grammar

TURNS = [Turn("assistant", "item_1", "Hello."), Turn("caller", "item_2", "Is it there?"), Turn("caller", "item_3")]


def kinds(items):
    return [item.get("role", item["type"]) for item in items]


def accepted(items) -> bool:
    return all(grammar.check({"type": "conversation.item.create", "item": item}) is None for item in items)


def test_turns_and_calls_are_told_in_order():
    calls = [ToolCall("call_1", "look", "{}", 2, "yes"), ToolCall("call_2", "wait", "{}", 3)]
    items = replay_items(TURNS, calls)
    assert kinds(items) == ["assistant", "user", "function_call", "function_call_output", "function_call"]
    assert items[0] == {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello."}],
    }
    assert items[1]["content"] == [{"type": "input_text", "text": "Is it there?"}]
    assert accepted(items)


def test_a_turn_without_words_is_not_told():
    assert replay_items([Turn("caller", "item_1")], []) == []


def test_of_nothing_is_nothing():
    assert replay_items([], []) == []


def test_an_id_too_long_for_a_client_is_left_out():
    (item,) = replay_items([Turn("caller", "i" * 33, "Hi.")], [])
    assert "id" not in item
    assert accepted([item])


def test_the_newest_win(monkeypatch):
    monkeypatch.setattr(replay, "MAX_ITEMS", 3)
    turns = [Turn("caller", f"item_{number}", str(number)) for number in range(10)]
    assert [item["content"][0]["text"] for item in replay_items(turns, [])] == ["7", "8", "9"]


def test_a_call_is_told_with_its_answer_or_not_at_all(monkeypatch):
    monkeypatch.setattr(replay, "MAX_ITEMS", 2)
    items = replay_items([Turn("caller", "item_1", "x")], [ToolCall("call_1", "look", "{}", 0, "yes")])
    assert kinds(items) == ["user"]


@pytest.mark.parametrize("chars", [1, 1000])
def test_a_call_that_is_still_at_work_is_told_however_old_it_is(chars):
    turns = [Turn("caller", f"item_{number}", "x" * chars) for number in range(90)]
    done, at_work = ToolCall("call_0", "look", "{}", 1, "found"), ToolCall("call_1", "book", "{}", 2, None)
    items = replay_items(turns, [done, at_work])
    assert items[0] == {"type": "function_call", "call_id": "call_1", "name": "book", "arguments": "{}"}
    assert len(items) == 1 + min(60, 24_000 // chars)
    assert items[-1]["id"] == "item_89"


@pytest.mark.parametrize("size", [10, 24_000, 100_000])
def test_a_long_answer_of_a_tool_does_not_crowd_out_the_rest(size):
    items = replay_items(TURNS, [ToolCall("call_1", "look", "{}", 1, "x" * size)])
    assert kinds(items) == ["assistant", "function_call", "function_call_output", "user"]
    assert len(items[2]["output"]) == min(size, 4000)


def test_the_text_is_bounded():
    turns = [Turn("caller", f"item_{number}", "x" * 1000) for number in range(50)]
    assert len(replay_items(turns, [])) == 24


def test_a_continuation_says_what_was_heard_last():
    text = continuation("a" * 500 + " and then we")
    assert 'and then we"' in text
    assert len(text) < 600
    assert '"' not in continuation("")
    lost = continuation("a" * 500 + " and then we", question_lost=True)
    assert 'and then we"' in lost
    assert "without guessing" in lost
    assert len(lost) < 700


def test_a_turn_whose_words_are_lost_is_told_as_that_in_its_place():
    turns = [Turn("caller", "item_1", "One"), Turn("caller", "item_2", failed=True), Turn("assistant", "item_3", "Two")]
    items = replay_items([*turns, Turn("caller", "item_4")], [])
    assert [item["role"] for item in items] == ["user", "system", "assistant"]
    assert items[1]["content"] == [{"type": "input_text", "text": WORDS_LOST}]


def test_notes_are_told_where_they_were_made():
    items = replay_items(TURNS, [ToolCall("call_1", "look", "{}", 2, "yes")], [Note("user", "(1)", 1)])
    assert kinds(items) == ["assistant", "user", "user", "function_call", "function_call_output"]
    assert items[1] == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "(1)"}]}
    assert accepted(items)
