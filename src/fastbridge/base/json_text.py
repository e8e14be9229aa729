"""Events as JSON text: a peer's, which may be anything, and ours."""

import json
from typing import Any

_DECODER = json.JSONDecoder()


class Malformed(ValueError):  # noqa: N818 - what it was is malformed
    """A peer's message lacks what it must have. Never raised for a fault of ours."""


def parse_event(message: bytes) -> dict[str, Any] | None:
    """A peer's JSON object in UTF-8, or None for anything else. Never raises."""
    try:
        text = message.decode().strip(" \t\r\n")
        event, end = _DECODER.raw_decode(text)  # half the cost of `loads`, which asks what encoding this may be
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and end == len(text) else None


def text_of(value: object) -> str:
    """A peer's text. null, and whatever else is none, is nothing: never a name of nothing, such as `None`."""
    return value if isinstance(value, str) else ""


def id_text(value: object) -> str:
    """A peer's name of a thing, which some servers give as a number; nothing where it gave none."""
    return str(value) if type(value) is int else text_of(value)


def id_of(value: object) -> str:
    """The same. Malformed where it gave none, so that nothing is kept under the name of nothing."""
    name = id_text(value)
    if not name:
        raise Malformed(f"no id: {type(value).__name__}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Malformed("an id with half a character") from None
    return name


def object_of(value: object) -> dict[str, Any]:
    """A peer's object; empty for whatever else it sent."""
    return value if isinstance(value, dict) else {}


def within(event: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object at the end of this path, which must be there. Malformed where it is not."""
    for name in names:
        inner = event.get(name)
        if not isinstance(inner, dict):
            raise Malformed(f"no {name}: {type(inner).__name__}")
        event = inner
    return event


def encode_event(event: dict[str, Any]) -> bytes:
    """One client event, as a text message."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
