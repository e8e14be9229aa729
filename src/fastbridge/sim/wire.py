"""What the Realtime service puts on the wire: ids, key order, compact JSON, obfuscation, error and usage objects.

The shapes follow captures of the real service: `type` first, `event_id` second, then the ids in the order
response, item, output index, content index, and the payload last. This module builds values; it never decides
when something is sent, and holds no state but the random source of the ids.
"""

import json
import random
import string
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]

MULAW_BYTES_PER_MS = 8
ID_LENGTH = 21
CALL_ID_LENGTH = 16
OBFUSCATION_BLOCK = 16
"""Delta and obfuscation together fill whole blocks of this many characters, as in the captures."""

_ALPHANUMERIC = string.ascii_letters + string.digits


class Event(NamedTuple):
    """A server event that has no id yet: it gets one when it is sent."""

    type: str
    body: Json


class Problem(NamedTuple):
    """Why the service refuses a client event: the fields of its `error` object."""

    code: str | None
    message: str
    param: str | None = None
    type: str = "invalid_request_error"


class Ids:
    """Ids and obfuscation from one seeded source, so that a run can be repeated exactly."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str, length: int = ID_LENGTH) -> str:
        """`<prefix>_` and `length` letters and digits."""
        return f"{prefix}_{self._letters(length)}"

    def obfuscated(self, delta: str) -> Json:
        """The two trailing keys of a text-like delta."""
        return {"delta": delta, "obfuscation": self._letters(OBFUSCATION_BLOCK - len(delta) % OBFUSCATION_BLOCK)}

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_ALPHANUMERIC, k=count))


def encode(event: Event, event_id: str) -> str:
    """One text frame: compact JSON, `type` and `event_id` first."""
    return json.dumps({"type": event.type, "event_id": event_id, **event.body}, separators=(",", ":"))


def error(problem: Problem, client_event_id: str | None = None) -> Event:
    """The `error` event for a refused client event. Source: the Realtime API reference, `error`."""
    body = {
        "type": problem.type,
        "code": problem.code,
        "message": problem.message,
        "param": problem.param,
        "event_id": client_event_id,
    }
    return Event("error", {"error": body})


def item_event(kind: str, item: Mapping[str, Any], previous_item_id: str | None) -> Event:
    """`conversation.item.added` or `conversation.item.done`."""
    return Event(f"conversation.item.{kind}", {"previous_item_id": previous_item_id, "item": item})


def usage(input_tokens: tuple[int, int], output_tokens: tuple[int, int]) -> Json:
    """A response's usage from (text tokens, audio tokens) in and out. Nothing counts as cached."""
    no_cache = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    input_details = {
        "text_tokens": input_tokens[0],
        "audio_tokens": input_tokens[1],
        "image_tokens": 0,
        "cached_tokens": 0,
        "cached_tokens_details": no_cache,
    }
    return {
        "total_tokens": sum(input_tokens) + sum(output_tokens),
        "input_tokens": sum(input_tokens),
        "output_tokens": sum(output_tokens),
        "input_token_details": input_details,
        "output_token_details": {"text_tokens": output_tokens[0], "audio_tokens": output_tokens[1]},
    }


def transcription_usage(seconds: float, transcript: str, *, by_duration: bool) -> Json:
    """What transcribing a caller turn cost, in the unit of the transcription model."""
    if by_duration:
        return {"type": "duration", "seconds": round(seconds, 2)}
    heard, written = int(seconds * 10), text_tokens(transcript)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": written,
    }


def rate_limits(used_tokens: int, limit: int = 40_000) -> Event:
    """The `rate_limits.updated` event that follows a response."""
    remaining = max(0, limit - used_tokens)
    reset_seconds = round((limit - remaining) * 60 / limit, 3)
    tokens = {"name": "tokens", "limit": limit, "remaining": remaining, "reset_seconds": reset_seconds}
    return Event("rate_limits.updated", {"rate_limits": [tokens]})


def text_tokens(text: str) -> int:
    """A rough count: four characters a token."""
    return (len(text) + 3) // 4
