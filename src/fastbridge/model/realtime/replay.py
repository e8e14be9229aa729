"""The conversation so far, as the items that tell it to a new session.

A new session knows nothing. It is told what was said as text, what the caller has heard of it and no more, and which
tools answered what. Bounded: the newest items win. Pure functions; nothing here sends.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fastbridge.base.conversation import Note, ToolCall, Turn
from fastbridge.model.instructions import WORDS_LOST

MAX_ITEMS = 60
MAX_CHARS = 24_000
"""What a caller still knows of a conversation, and no more than the model should read before it answers."""
MAX_ID_CHARS = 32
"""The model takes ids of a client up to this long."""
MAX_OUTPUT_CHARS = 4000


def replay_items(turns: Sequence[Turn], calls: Iterable[ToolCall], notes: Iterable[Note] = ()) -> list[dict[str, Any]]:
    """The `item` objects of `conversation.item.create`, in order: at most MAX_ITEMS, MAX_CHARS of text; and whatever
    there is besides, each call that is still at work, whose answer would be refused without it."""
    kept: list[list[dict[str, Any]]] = []
    items = chars = 0
    full = False
    for group in reversed(_groups(turns, [*calls, *notes])):
        size = sum(_size(item) for item in group)
        full = full or items + len(group) > MAX_ITEMS or chars + size > MAX_CHARS
        if full and not _at_work(group):
            continue
        kept.append(group)
        items += len(group)
        chars += size
    return [item for group in reversed(kept) for item in group]


def _groups(turns: Sequence[Turn], between: Iterable[ToolCall | Note]) -> list[list[dict[str, Any]]]:
    """Turns, and calls and notes between them, in order. A call and its answer are one group: half of it would be
    refused."""
    pending = sorted(between, key=lambda each: each.position)
    groups: list[list[dict[str, Any]]] = []
    for index, turn in enumerate(turns):
        while pending and pending[0].position <= index:
            groups.append(_items(pending.pop(0)))
        if turn.text:
            groups.append([_message(turn)])
        elif turn.failed:
            groups.append([message("system", WORDS_LOST)])
    return groups + [_items(each) for each in pending]


def _items(each: ToolCall | Note) -> list[dict[str, Any]]:
    return [message(each.role, each.text)] if isinstance(each, Note) else _call_items(each)


def message(role: str, text: str) -> dict[str, Any]:
    """What nobody spoke, as an item. role: `user` or `system`."""
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _message(turn: Turn) -> dict[str, Any]:
    role, kind = ("user", "input_text") if turn.role == "caller" else ("assistant", "output_text")
    item: dict[str, Any] = {"type": "message", "role": role, "content": [{"type": kind, "text": turn.text}]}
    return {"id": turn.item_id, **item} if len(turn.item_id) <= MAX_ID_CHARS else item


def _call_items(call: ToolCall) -> list[dict[str, Any]]:
    made = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    if call.output is None:  # still at work: its answer will follow
        return [made]
    return [made, {"type": "function_call_output", "call_id": call.call_id, "output": call.output[:MAX_OUTPUT_CHARS]}]


def _at_work(group: list[dict[str, Any]]) -> bool:
    return len(group) == 1 and group[0]["type"] == "function_call"


def _size(item: dict[str, Any]) -> int:
    texts = [part["text"] for part in item.get("content", ())]
    return sum(map(len, texts)) + len(item.get("arguments", "")) + len(item.get("output", ""))
