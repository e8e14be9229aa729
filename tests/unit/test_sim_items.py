from base64 import b64decode

import pytest

from fastbridge.sim.items import Conversation, Item
from fastbridge.sim.wire import Ids, Problem


def spoken(item_id: str, ms: int = 0) -> Item:
    content = [{"type": "output_audio", "transcript": "Hello."}]
    return Item(item_id, "message", {"role": "assistant", "content": content}, audio=bytearray(b"\x10" * (ms * 8)))


def text(item_id: str, role: str = "user") -> Item:
    return Item(item_id, "message", {"role": role, "content": [{"type": "input_text", "text": "12345678"}]})


def call(call_id: str) -> Item:
    return Item(f"item_{call_id}", "function_call", {"name": "f", "call_id": call_id, "arguments": "{}"})


def test_a_view_is_in_wire_order_and_never_changes() -> None:
    item = spoken("a", 100)
    view = item.view()
    assert list(view) == ["id", "type", "status", "role", "content"]
    item.part["transcript"] = "other"
    item.status = "incomplete"
    assert view["content"] == [{"type": "output_audio", "transcript": "Hello."}]
    assert view["status"] == "completed"


def test_the_full_view_has_the_audio_that_is_left() -> None:
    item = spoken("a", 100)
    assert item.truncate(0, 40) is None
    assert len(b64decode(item.full_view()["content"][0]["audio"])) == 40 * 8
    assert "audio" not in item.view()["content"][0]
    assert "content" not in call("c").full_view()


def test_truncate_keeps_what_was_produced_and_forgets_the_transcript() -> None:
    item = spoken("a", 100)
    assert item.truncate(0, 60) is None
    assert (item.audio_end_ms, item.audio_ms, len(item.audio)) == (60, 60, 800)
    assert item.part["transcript"] is None


def test_truncate_takes_exactly_what_there_is_and_not_a_millisecond_more() -> None:
    item = spoken("a", 100)
    assert item.truncate(0, 101) == Problem(
        "invalid_value", "Audio content of 100ms is already shorter than 101ms", "audio_end_ms"
    )
    assert item.audio_end_ms is None
    assert item.truncate(0, 100) is None
    assert item.truncate(0, 50) is None
    again = item.truncate(0, 51)
    assert again is not None
    assert again.message == "Audio content of 50ms is already shorter than 51ms"


def test_part_of_a_millisecond_does_not_count() -> None:
    item = spoken("a", 10)
    item.audio += b"\x10" * 7
    assert item.audio_ms == 10


@pytest.mark.parametrize("item", [spoken("a", 0), text("u"), call("c")], ids=["no audio yet", "user", "call"])
def test_only_model_audio_can_be_truncated(item: Item) -> None:
    problem = item.truncate(0, 0)
    assert problem is not None
    assert problem.code == "unsupported_content_type"


def test_truncate_knows_one_content_part() -> None:
    problem = spoken("a", 100).truncate(1, 10)
    assert problem is not None
    assert problem.param == "content_index"


def test_items_stand_where_they_are_put() -> None:
    conversation = Conversation("conv")
    for item, after in ((text("a"), None), (text("b"), None), (text("c"), "a"), (text("d"), "root")):
        conversation.add(item, after)
    assert conversation.order == ["d", "a", "c", "b"]
    assert [conversation.items[each].previous_item_id for each in "abcd"] == [None, "a", "a", None]


def test_create_refuses_what_does_not_fit() -> None:
    conversation = Conversation("conv")
    assert conversation.create(text("a"), None) is None
    output = Item("o", "function_call_output", {"call_id": "call_1", "output": "{}"})
    problems = [
        conversation.create(text("a"), None),
        conversation.create(text("b"), "nowhere"),
        conversation.create(output, None),
    ]
    assert [problem and (problem.code, problem.param) for problem in problems] == [
        ("invalid_value", "item.id"),
        ("invalid_value", "previous_item_id"),
        ("invalid_tool_call_id", None),
    ]
    conversation.add(call("call_1"))
    assert conversation.create(output, None) is None
    assert conversation.order == ["a", "item_call_1", "o"]


def test_a_deleted_item_is_no_longer_found_but_remembered() -> None:
    conversation = Conversation("conv")
    conversation.add(spoken("a", 20))
    item = conversation.find("a", "delete")
    assert isinstance(item, Item)
    conversation.delete(item)
    assert conversation.find("a", "delete") == Problem("item_delete_invalid_item_id", "Item 'a' not found.", "item_id")
    assert conversation.items["a"].deleted
    assert conversation.present() == []


def test_spoken_means_by_the_assistant() -> None:
    conversation = Conversation("conv")
    conversation.add(text("u"))
    conversation.add(text("s", "system"))
    assert not conversation.spoken
    conversation.add(call("c"))
    assert conversation.spoken


def test_tokens_count_audio_and_text_apart() -> None:
    conversation = Conversation("conv")
    conversation.add(text("u"))
    conversation.add(spoken("a", 1000))
    heard = Item("h", "message", {"role": "user", "content": [{"type": "input_audio", "transcript": "long text"}]})
    heard.audio += b"\x10" * 4000
    conversation.add(heard)
    assert conversation.tokens() == (2 + 2, 10 + 5)


def test_items_of_the_client_get_what_they_lack() -> None:
    ids = Ids("x")
    made = Item.of_client({"type": "function_call", "name": "f", "arguments": "{}"}, ids)
    assert made.id.startswith("item_")
    assert made.fields["call_id"].startswith("call_")
    named = Item.of_client({"type": "function_call_output", "id": "mine", "call_id": "c", "output": "o"}, ids)
    assert named.view() == {
        "id": "mine",
        "type": "function_call_output",
        "status": "completed",
        "call_id": "c",
        "output": "o",
    }
