from typing import Any

import pytest

from fastbridge.sim import grammar
from helpers import spoiled

FULL_UPDATE: dict[str, Any] = {
    "type": "session.update",
    "event_id": "mine",
    "session": {
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field", "strength": 1.0},
                "transcription": {"model": "gpt-transcribe", "language": "en", "prompt": "names"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    "interrupt_response": True,
                    "idle_timeout_ms": None,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
        },
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_output_tokens": "inf",
        "reasoning": {"effort": "low"},
        "truncation": {
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 8000},
        },
        "tracing": None,
        "prompt": {"id": "pmpt_1", "version": "1", "variables": {}},
        "include": ["item.input_audio_transcription.logprobs"],
    },
}


def message(role: str, **part: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [part]}}


ACCEPTED: list[dict[str, Any]] = [
    FULL_UPDATE,
    {"type": "session.update", "session": {"type": "realtime"}},
    {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}},
    {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": {"id": "voice_1"}}}}},
    {"type": "session.update", "session": {"type": "realtime", "tool_choice": {"type": "function", "name": "f"}}},
    {"type": "input_audio_buffer.append", "audio": "////"},
    {"type": "input_audio_buffer.commit", "event_id": "x"},
    {"type": "input_audio_buffer.clear"},
    {"type": "response.create"},
    {
        "type": "response.create",
        "response": {
            "instructions": "i",
            "output_modalities": ["text"],
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "cedar"}},
            "tools": [],
            "tool_choice": "none",
            "max_output_tokens": 4096,
            "conversation": "none",
            "input": [{"type": "item_reference", "id": "item_1"}],
            "metadata": {"purpose": "greeting"},
        },
    },
    {"type": "response.cancel", "response_id": "resp_1"},
    message("user", type="input_text", text="hi"),
    message("user", type="input_audio", audio="////"),
    message("system", type="input_text", text="hi"),
    message("assistant", type="output_text", text="hi"),
    {
        "type": "conversation.item.create",
        "previous_item_id": "root",
        "item": {"type": "function_call_output", "call_id": "call_1", "output": "{}"},
    },
    {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 0},
    {"type": "conversation.item.delete", "item_id": "item_1"},
    {"type": "conversation.item.retrieve", "item_id": "item_1"},
]


@pytest.mark.parametrize("event", ACCEPTED, ids=lambda event: str(event["type"]))
def test_what_the_service_takes(event: dict[str, Any]) -> None:
    assert grammar.check(event) is None


@pytest.mark.parametrize("event", ACCEPTED, ids=lambda event: str(event["type"]))
def test_no_object_takes_an_unknown_key(event: dict[str, Any]) -> None:
    """Everywhere but in what is free by definition: tool schemas, metadata, prompt variables."""
    free = {"parameters", "properties", "metadata", "variables"}

    for path, made in spoiled(event, lambda place: bool(place) and place[-1] in free):
        problem = grammar.check(made)
        assert problem is not None, path
        # A union words its problem by its last variant, which may miss something else first.
        assert problem.code == "unknown_parameter" or path[-1] in {"voice", "truncation", "tool_choice"}, path


def update(**session: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def detection(**settings: Any) -> dict[str, Any]:
    return update(audio={"input": {"turn_detection": {"type": "server_vad", **settings}}})


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ([], "invalid_event", None),
        ({"session": {}}, "invalid_event", None),
        ({"type": "response.audio.delta"}, "invalid_value", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
        (update(modalities=["audio"]), "unknown_parameter", "session.modalities"),
        (update(voice="marin"), "unknown_parameter", "session.voice"),
        (update(temperature=0.8), "unknown_parameter", "session.temperature"),
        (update(input_audio_format="g711_ulaw"), "unknown_parameter", "session.input_audio_format"),
        (update(output_modalities=["audio", "text"]), "array_above_max_length", "session.output_modalities"),
        (
            update(audio={"input": {"format": {"type": "g711_ulaw"}}}),
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            update(audio={"input": {"format": {"type": "audio/pcmu", "rate": 8000}}}),
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (
            update(audio={"output": {"format": {"type": "audio/pcm", "rate": 8000}}}),
            "integer_below_min_value",
            "session.audio.output.format.rate",
        ),
        (update(audio={"output": {"speed": 2}}), "decimal_above_max_value", "session.audio.output.speed"),
        (detection(threshold=1.5), "decimal_above_max_value", "session.audio.input.turn_detection.threshold"),
        (detection(eagerness="low"), "unknown_parameter", "session.audio.input.turn_detection.eagerness"),
        (
            detection(silence_duration_ms=-1),
            "integer_below_min_value",
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (detection(prefix_padding_ms="300"), "invalid_type", "session.audio.input.turn_detection.prefix_padding_ms"),
        (update(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
        (update(tools=[{"name": "f"}]), "missing_required_parameter", "session.tools[0].type"),
        (update(tools=[{"type": "function"}]), "missing_required_parameter", "session.tools[0].name"),
        (
            update(tools=[{"type": "function", "name": "f", "strict": True}]),
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (
            update(tools=[{"type": "function", "function": {"name": "f"}}]),
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        (update(tools=[{"type": "function", "name": "a b"}]), "invalid_value", "session.tools[0].name"),
        (
            update(tools=[{"type": "function", "name": "f", "parameters": {}}]),
            "missing_required_parameter",
            "session.tools[0].parameters.type",
        ),
        (
            update(tools=[{"type": "function", "name": "f", "parameters": {"type": "array"}}]),
            "invalid_value",
            "session.tools[0].parameters.type",
        ),
        (
            update(tools=[{"type": "function", "name": "f", "parameters": "{}"}]),
            "invalid_type",
            "session.tools[0].parameters",
        ),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": None}, "invalid_type", "audio"),
        ({"type": "response.create", "response": {"metadata": {"n": 1}}}, "invalid_type", "response.metadata.n"),
        ({"type": "response.create", "response": None}, "invalid_type", "response"),
        ({"type": "response.create", "response": {"voice": "x"}}, "unknown_parameter", "response.voice"),
        ({"type": "response.cancel", "response_id": None}, "invalid_type", "response_id"),
        (message("assistant", type="output_audio", transcript="x"), "invalid_value", "item.content[0].type"),
        (message("assistant", type="text", text="x"), "invalid_value", "item.content[0].type"),
        (message("user", type="output_text", text="x"), "invalid_value", "item.content[0].type"),
        (message("user", type="input_text"), "missing_required_parameter", "item.content[0].text"),
        (message("tool", type="input_text", text="x"), "invalid_value", "item.role"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "a/b", "output": ""},
            },
            "invalid_value",
            "item.call_id",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "a"}},
            "missing_required_parameter",
            "item.output",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "a", "output": {"ok": True}},
            },
            "invalid_type",
            "item.output",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": 3},
            "missing_required_parameter",
            "content_index",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 3.5},
            "invalid_type",
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "integer_below_min_value",
            "audio_end_ms",
        ),
        ({"type": "response.create", "event_id": "x" * 513}, "string_above_max_length", "event_id"),
    ],
)
def test_what_the_service_refuses(event: Any, code: str, param: str | None) -> None:
    problem = grammar.check(event)
    assert problem is not None
    assert (problem.code, problem.param) == (code, param)
