"""The client events of the Realtime GA dialect, as data: every key that may be sent, and what it may hold.

`check` answers with the first problem the service would report. Only shapes are judged here; whether an event
fits the state of the session (a voice that may no longer change, an item that does not exist) is the session's.
Source: the Realtime API reference, client events.
"""

from typing import Any

from .checks import (
    Check,
    anything,
    array,
    boolean,
    choice,
    either,
    integer,
    nullable,
    number,
    record,
    table,
    tagged,
    text,
)
from .wire import Problem

MAX_EVENT_ID_LENGTH = 512
MAX_ITEM_ID_LENGTH = 32
MAX_APPEND_CHARACTERS = 15 * 1024 * 1024 * 4 // 3

_IDENTIFIER = r"[a-zA-Z0-9_-]+"
_item_id = text(max_length=MAX_ITEM_ID_LENGTH)
_call_id = text(max_length=64, pattern=_IDENTIFIER)

# Settings that a session and a single response share.

_audio_format = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything}, {"rate": integer(24_000, 24_000)}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)
_voice = either(record({"id": text()}), text())
_modalities = array(choice("text", "audio"), max_length=1)
_max_output_tokens = either(choice("inf"), integer(1, 4096))
_prompt = nullable(record({"id": text()}, {"version": nullable(text()), "variables": nullable(anything)}))
_reasoning = nullable(record(optional={"effort": choice("none", "minimal", "low", "medium", "high", "xhigh")}))
_schema = record({"type": choice("object")}, {})


def _object_schema(value: Any, path: str) -> Problem | None:
    """A JSON schema of type object; its other keys are the schema's own business."""
    return _schema({"type": value["type"]} if isinstance(value, dict) and "type" in value else value, path)


_tool = tagged(
    "type",
    {
        "function": record(
            {"type": anything, "name": text(max_length=64, pattern=_IDENTIFIER)},
            {"description": text(), "parameters": _object_schema},
        ),
        "mcp": record(
            {"type": anything, "server_label": text()},
            {
                "server_url": text(),
                "connector_id": text(),
                "authorization": text(),
                "headers": anything,
                "allowed_tools": anything,
                "require_approval": anything,
                "server_description": text(),
                "defer_loading": boolean,
            },
        ),
    },
)
_tool_choice = either(
    choice("none", "auto", "required"),
    tagged(
        "type",
        {
            "function": record({"type": anything, "name": text()}),
            "mcp": record({"type": anything, "server_label": text()}, {"name": nullable(text())}),
        },
    ),
)

# The session.

_transcription = record(
    optional={
        "model": text(),
        "language": text(),
        "languages": array(text()),
        "keywords": array(text()),
        "prompt": text(),
        "delay": choice("minimal", "low", "medium", "high", "xhigh"),
    }
)
_turn_detection = tagged(
    "type",
    {
        "server_vad": record(
            {"type": anything},
            {
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(0),
                "silence_duration_ms": integer(0),
                "create_response": boolean,
                "interrupt_response": boolean,
                "idle_timeout_ms": nullable(integer(5_000, 30_000)),
            },
        ),
        "semantic_vad": record(
            {"type": anything},
            {
                "eagerness": choice("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            },
        ),
    },
)
_noise_reduction = record({"type": choice("near_field", "far_field")}, {"strength": number(0, 1)})
_session_audio = record(
    optional={
        "input": record(
            optional={
                "format": _audio_format,
                "noise_reduction": nullable(_noise_reduction),
                "transcription": nullable(_transcription),
                "turn_detection": nullable(_turn_detection),
            }
        ),
        "output": record(optional={"format": _audio_format, "voice": _voice, "speed": number(0.25, 1.5)}),
    }
)
_truncation = either(
    choice("auto", "disabled"),
    record(
        {"type": choice("retention_ratio"), "retention_ratio": number(0, 1)},
        {"token_limits": record(optional={"post_instructions": integer(0)})},
    ),
)
_tracing = nullable(
    either(choice("auto"), record(optional={"workflow_name": text(), "group_id": text(), "metadata": anything}))
)
_session = record(
    {"type": choice("realtime")},
    {
        "model": text(),
        "output_modalities": _modalities,
        "instructions": text(),
        "audio": _session_audio,
        "tools": array(_tool),
        "tool_choice": _tool_choice,
        "parallel_tool_calls": boolean,
        "max_output_tokens": _max_output_tokens,
        "reasoning": _reasoning,
        "truncation": _truncation,
        "tracing": _tracing,
        "prompt": _prompt,
        "include": nullable(array(choice("item.input_audio_transcription.logprobs"))),
    },
)

# Conversation items.

_status = choice("completed", "incomplete", "in_progress")
_item_keys: dict[str, Check] = {"id": _item_id, "object": choice("realtime.item"), "status": _status}
_input_text = record({"type": anything, "text": text()})


def _message(**parts: Check) -> Check:
    content = array(tagged("type", parts))
    return record({"type": anything, "role": anything, "content": content}, _item_keys)


_items: dict[str, Check] = {
    "message": tagged(
        "role",
        {
            "user": _message(
                input_text=_input_text,
                input_audio=record({"type": anything, "audio": text()}, {"transcript": nullable(text())}),
                input_image=record({"type": anything, "image_url": text()}, {"detail": choice("auto", "low", "high")}),
            ),
            "system": _message(input_text=_input_text),
            # The service cannot take assistant audio back: a past answer is replayed as text.
            "assistant": _message(output_text=_input_text),
        },
    ),
    "function_call": record(
        {"type": anything, "name": text(), "arguments": text()}, {**_item_keys, "call_id": _call_id}
    ),
    "function_call_output": record({"type": anything, "call_id": _call_id, "output": text()}, _item_keys),
}
_item = tagged("type", _items)
_item_or_reference = tagged("type", {**_items, "item_reference": record({"type": anything, "id": _item_id})})

_response = record(
    optional={
        "instructions": text(),
        "output_modalities": _modalities,
        "audio": record(optional={"output": record(optional={"format": _audio_format, "voice": _voice})}),
        "tools": array(_tool),
        "tool_choice": _tool_choice,
        "parallel_tool_calls": boolean,
        "max_output_tokens": _max_output_tokens,
        "conversation": choice("auto", "none"),
        "input": array(_item_or_reference),
        "metadata": nullable(table(text(max_length=512), max_size=16, max_key_length=64)),
        "prompt": _prompt,
        "reasoning": _reasoning,
    }
)


def _event(required: dict[str, Check] | None = None, optional: dict[str, Check] | None = None) -> Check:
    event_id = text(max_length=MAX_EVENT_ID_LENGTH)
    return record({"type": anything, **(required or {})}, {"event_id": event_id, **(optional or {})})


CLIENT_EVENTS: dict[str, Check] = {
    "session.update": _event({"session": _session}),
    "input_audio_buffer.append": _event({"audio": text(max_length=MAX_APPEND_CHARACTERS)}),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "conversation.item.create": _event({"item": _item}, {"previous_item_id": nullable(text())}),
    "conversation.item.retrieve": _event({"item_id": text()}),
    "conversation.item.truncate": _event({"item_id": text(), "content_index": integer(0), "audio_end_ms": integer(0)}),
    "conversation.item.delete": _event({"item_id": text()}),
    "response.create": _event(optional={"response": _response}),
    "response.cancel": _event(optional={"response_id": text()}),
}

_any_event = tagged("type", CLIENT_EVENTS)


def check(event: Any) -> Problem | None:
    """The first thing wrong with a client event, or None."""
    if not isinstance(event, dict):
        return Problem("invalid_event", "The event must be a JSON object.")
    if "type" not in event:
        return Problem("invalid_event", "The 'type' field is missing.")
    return _any_event(event, "")
