"""fastbridge.model.live.replay: the conversation in order, in words, within bounds."""

import pytest

from fastbridge.base.conversation import Note, ToolCall, Turn
from fastbridge.model.live import replay
from fastbridge.model.live.replay import in_words, items_of, said, told_of
from fastbridge.model.live.words import tokens_of


def turns(*texts: str) -> list[Turn]:
    return [Turn("caller" if i % 2 else "assistant", f"item_{i}", text) for i, text in enumerate(texts)]


def test_turns_and_calls_are_in_order_and_silence_is_not_told():
    calls = [ToolCall("call_1", "order", '{"number":7}', 2, "on its way"), ToolCall("call_2", "order", "{}", 3)]
    told = said(turns("Hello!", "", "Where is it?"), calls)
    assert told == [
        ("assistant", "Hello!"),
        ("developer", 'The tool order was called with {"number":7}. It answered: on its way'),
        ("assistant", "Where is it?"),
        ("developer", "The tool order was called with {}. It is still at work."),
    ]


def test_are_messages_of_the_service():
    assert items_of([("user", "Hi"), ("assistant", "Ho"), ("developer", "x")]) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ho"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
    ]


@pytest.mark.parametrize(("count", "text"), [(300, "Hi"), (80, "word " * 200)])
def test_the_newest_win(count, text):
    items = items_of([("user", f"{text} {number}") for number in range(count)])
    texts = [item["content"][0]["text"] for item in items]
    assert 0 < len(items) <= replay.MAX_ITEMS
    assert sum(tokens_of(each) for each in texts) <= replay.MAX_TOKENS
    assert texts[-1].endswith(f" {count - 1}")


def test_a_long_output_is_cut():
    assert tokens_of(told_of(ToolCall("call_1", "order", "x" * 9000, 0, "y" * 9000))) < 3 * replay.MAX_OUTPUT_TOKENS


def test_as_one_text():
    assert in_words([("user", "Hi"), ("assistant", "Ho")]) == "The caller said: Hi\nYou said: Ho"
    assert in_words([]) == ""


def test_notes_are_told_where_they_were_made():
    notes = [Note("user", "(The caller pressed 1.)", 1), Note("system", "(Nobody is there.)", 2)]
    told = said(turns("Hello!", "Hi."), [ToolCall("call_1", "order", "{}", 2, "yes")], notes)
    assert [text for _, text in told] == [
        "Hello!",
        "The caller has done this, without speaking: (The caller pressed 1.)",
        "Hi.",
        "The tool order was called with {}. It answered: yes",
        "(Nobody is there.)",
    ]
    assert [role for role, _ in told] == ["assistant", "developer", "user", "developer", "developer"]


@pytest.mark.parametrize("word", ["word ", "שלום "])
def test_of_one_that_is_too_long_the_end_is_told(word):
    """And not nothing at all."""
    (item,) = items_of([("user", "Hi"), ("user", f"{word * 9000} and the end")])
    text = item["content"][0]["text"]
    assert text.endswith("and the end")
    assert replay.MAX_TOKENS / 2 < tokens_of(text) <= replay.MAX_TOKENS
