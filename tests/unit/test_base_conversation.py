"""fastbridge.base.conversation: turns are what they say, calls of tools are themselves."""

from fastbridge.base.conversation import ToolCall, Turn


def test_a_turn_is_known_by_what_it_is_and_begins_empty():
    assert Turn("caller", "item_1") == Turn("caller", "item_1")
    assert Turn("caller", "item_1") != Turn("caller", "item_2")
    turn = Turn("caller", "item_1")
    assert (turn.text, turn.heard_ms, turn.ended, turn.failed) == ("", None, False, False)


def test_two_calls_of_one_id_are_two():
    first, second = ToolCall("call_0", "look_up", "{}", 1), ToolCall("call_0", "look_up", "{}", 1)
    assert first != second
    assert len({first, second}) == 2
    assert first.output is None
