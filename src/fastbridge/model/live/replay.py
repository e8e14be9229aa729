"""The conversation so far, as a new session is told of it: text, before it starts, within what it takes.

It takes messages and no calls of tools: what a tool was asked and answered is told in words. What the caller has heard,
and no more. The newest win. Pure functions; nothing here sends.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fastbridge.base.conversation import Note, ToolCall, Turn
from fastbridge.model.live.words import first_piece, last_piece, tokens_of

MAX_ITEMS = 100
"""The service takes 128."""
MAX_TOKENS = 6000
"""The service takes 8192; each message has a few of its own."""
ITEM_TOKENS = 6
MAX_OUTPUT_TOKENS = 400

Said = tuple[str, str]
"""Role (`user`, `assistant` or `developer`) and text."""


def said(turns: Sequence[Turn], calls: Iterable[ToolCall], notes: Iterable[Note] = ()) -> list[Said]:
    """All of it in order: turns, and calls of tools and notes where they were made."""
    between: list[ToolCall | Note] = [*calls, *notes]
    pending = sorted(between, key=lambda each: each.position)
    found: list[Said] = []
    for index, turn in enumerate(turns):
        while pending and pending[0].position <= index:
            found.append(("developer", _told(pending.pop(0))))
        if turn.text:
            found.append(("user" if turn.role == "caller" else "assistant", turn.text))
    return found + [("developer", _told(each)) for each in pending]


def _told(each: ToolCall | Note) -> str:
    return noted(each.role, each.text) if isinstance(each, Note) else told_of(each)


def noted(role: str, text: str) -> str:
    """A note, in words."""
    return f"The caller has done this, without speaking: {text}" if role == "user" else text


def told_of(call: ToolCall) -> str:
    """A call of a tool, in words."""
    asked = f"The tool {call.name} was called with {first_piece(call.arguments, MAX_OUTPUT_TOKENS)}"
    if call.output is None:
        return f"{asked}. It is still at work."
    return f"{asked}. It answered: {first_piece(call.output, MAX_OUTPUT_TOKENS)}"


def items_of(told: Sequence[Said]) -> list[dict[str, Any]]:
    """The `input` of `session.start`: at most MAX_ITEMS and MAX_TOKENS, the newest; of one that is longer its end."""
    kept: list[dict[str, Any]] = []
    tokens = 0
    for role, text in reversed(told):
        text = text if kept else last_piece(text, MAX_TOKENS - ITEM_TOKENS)
        tokens += tokens_of(text) + ITEM_TOKENS
        if len(kept) >= MAX_ITEMS or tokens > MAX_TOKENS:
            break
        kept.append(_item(role, text))
    return kept[::-1]


def _item(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def in_words(told: Sequence[Said]) -> str:
    """The same as one text, for a session that has started already; empty where there is nothing to tell."""
    whose = {"user": "The caller said", "assistant": "You said", "developer": "Note"}
    return "\n".join(f"{whose[role]}: {text}" for role, text in told)
