"""The client events of GPT-Live, as data: every key that may be sent, and what it may hold.

`check` answers with the first problem the service would report. Only shapes are judged here; whether an event fits the
state of the session is the session's. Source: the parameter types of the official SDK (`openai.types.live`).
"""

from typing import Any

from .checks import Check, anything, array, boolean, choice, either, integer, nullable, record, table, tagged, text
from .grammar import MAX_APPEND_CHARACTERS
from .wire import Problem

MAX_INPUT_MESSAGES = 128
MIN_OUTPUT_TOKENS = 16
MAX_FIXTURE_CHARACTERS = 2 * 24_000 * 60 * 4 // 3
"""Twice what may be played: how long it is is the session's to say."""

_nullable_text = nullable(text())


def _pcm_rate(value: Any, path: str) -> Problem | None:
    problem = integer()(value, path)
    if problem is None and value not in (16_000, 24_000):
        return Problem("invalid_value", f"Invalid value: {value}. Supported values are: 16000 and 24000.", path)
    return problem


_g711 = record({"type": anything, "rate": integer(8000, 8000)})
_audio_format = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything, "rate": _pcm_rate}),
        "audio/pcmu": _g711,
        "audio/pcma": _g711,
    },
)

# Delegation.

_function = record(
    {"type": anything, "name": text()},
    {"description": _nullable_text, "parameters": nullable(table(anything, 1024, 1024)), "strict": nullable(boolean)},
)
_named = record({"type": anything, "name": text()})
_bare = record({"type": anything})
_BARE_TOOLS = (
    *("web_search", "file_search", "code_interpreter", "image_generation", "custom", "namespace", "tool_search"),
    *("programmatic_tool_calling", "computer", "apply_patch"),
)
_mcp = record(
    {"type": anything},
    {
        "allowed_callers": nullable(array(choice("direct", "programmatic"))),
        "allowed_tools": anything,
        "authorization": _nullable_text,
        "connector_id": _nullable_text,
        "defer_loading": nullable(boolean),
        "headers": nullable(table(text(), 1024, 1024)),
        "require_approval": anything,
        "server_description": _nullable_text,
        "server_label": text(),
        "server_url": _nullable_text,
        "tunnel_id": _nullable_text,
    },
)
_tool = tagged(
    "type",
    {
        "function": _function,
        "mcp": _mcp,
        "shell": record({"type": anything}, {"environment": anything}),
        **dict.fromkeys(_BARE_TOOLS, _bare),
    },
)
_BARE_CHOICES = (
    *("file_search", "web_search", "web_search_preview", "image_generation", "computer", "code_interpreter"),
    *("programmatic_tool_calling", "shell", "apply_patch"),
)
_choices: dict[str, Check] = {
    "function": _named,
    "custom": _named,
    "mcp": record({"type": anything, "name": text(), "server_label": text()}),
    **dict.fromkeys(_BARE_CHOICES, _bare),
}
_allowed = record(
    {"type": anything, "tools": array(tagged("type", _choices))}, {"mode": nullable(choice("none", "auto", "required"))}
)
_tool_choice = either(choice("auto", "none", "required"), tagged("type", {**_choices, "allowed_tools": _allowed}))
_responses_keys: dict[str, Check] = {
    "instructions": _nullable_text,
    "max_output_tokens": nullable(integer(MIN_OUTPUT_TOKENS)),
    "parallel_tool_calls": nullable(boolean),
    "reasoning": nullable(
        record(
            optional={
                "effort": nullable(choice("none", "minimal", "low", "medium", "high", "xhigh")),
                "summary": nullable(choice("concise", "detailed", "auto")),
            }
        )
    ),
    "service_tier": nullable(choice("auto", "default", "fast_tier_temp_pilot", "flex", "priority", "ultrafast")),
    "text": nullable(record(optional={"verbosity": nullable(choice("low", "medium", "high"))})),
    "tool_choice": _tool_choice,
    "tools": array(_tool),
}
_delay: dict[str, Check] = {"acknowledgement_delay_ms": integer(0)}
_client = record({"type": anything}, _delay)
_delegation = tagged(
    "type",
    {
        "client": _client,
        "responses": record({"type": anything, "responses": record({"model": text()}, _responses_keys)}, _delay),
        "decisions": record(
            {"type": anything, "decisions": record({"model": text(), "questions": array(anything)})}, _delay
        ),
    },
)
_responses_update = record(
    {"type": anything}, {**_delay, "responses": record(optional={"model": text(), **_responses_keys})}
)
_delegation_update = tagged(
    "type",
    {
        "client": _client,
        "responses": _responses_update,
        "decisions": record(
            {"type": anything},
            {**_delay, "decisions": record(optional={"model": text(), "questions": array(anything)})},
        ),
    },
)
_triggers = array(
    record(
        {
            "type": choice("decisions"),
            "event_type": choice("session.input_transcript.delta", "session.output_transcript.delta"),
            "decisions": record({"questions": array(anything)}),
        }
    )
)

# The session.


def _one(inner: Check) -> Check:
    """An array of exactly one."""
    parts = array(inner, max_length=1)

    def check(value: Any, path: str) -> Problem | None:
        if value == []:
            return Problem("invalid_value", f"Invalid '{path}': expected exactly one text part.", path)
        return parts(value, path)

    return check


def _said(*content_types: str) -> Check:
    """A message of the history, with one part of one of these types; the first need not be named."""
    keys: dict[str, Check] = {
        "id": _nullable_text,
        "status": nullable(choice("incomplete", "completed")),
        "type": choice("message"),
    }
    part = record({"text": text()}, {"type": choice(*content_types)})
    return record({"role": anything, "content": _one(part)}, keys)


_message = tagged(
    "role",
    {
        "developer": _said("input_text"),
        "user": _said("input_text"),
        "assistant": _said("text", "output_text"),
    },
)
_selector = record({"type": text()}, {"response_event": _nullable_text})
_data_channel = record(
    optional={
        "allowed_client_events": nullable(either(choice("all"), array(text()))),
        "allowed_server_events": nullable(either(choice("all"), array(_selector))),
    }
)
_client_config = record({"data_channel": _data_channel})
_session = record(
    {"model": text()},
    {
        "audio": record(
            optional={
                "format": _audio_format,
                "output": record(optional={"voice": either(record({"id": text()}), text())}),
            }
        ),
        "client": _client_config,
        "delegation": nullable(_delegation),
        "input": array(_message, max_length=MAX_INPUT_MESSAGES),
        "instructions": _nullable_text,
        "safety_identifier": _nullable_text,
        "store": boolean,
        "triggers": _triggers,
    },
)
_fork = record(
    optional={
        "audio": record(optional={"format": _audio_format}),
        "client": _client_config,
        "delegation": tagged("type", {"responses": _responses_update}),
        "store": boolean,
    }
)

# Items of the Responses backend.

_image: dict[str, Check] = {"image_url": _nullable_text, "file_id": _nullable_text}
_input_part = tagged(
    "type",
    {
        "input_text": record({"type": anything, "text": text()}),
        "input_image": record({"type": anything}, {"detail": choice("low", "high", "auto", "original"), **_image}),
    },
)
_item_status = nullable(choice("in_progress", "completed", "incomplete"))
_content = either(array(_input_part), text())
_message_item = record(
    {"role": choice("user", "assistant", "system", "developer"), "content": _content},
    {"type": choice("message"), "status": _item_status, "phase": nullable(choice("commentary", "final_answer"))},
)
_output_item = record(
    {"type": anything, "call_id": text(), "output": _content},
    {
        "id": _nullable_text,
        "caller": anything,
        "status": _item_status,
        "name": _nullable_text,
        "namespace": _nullable_text,
    },
)
_typed_item = tagged("type", {"message": _message_item, "function_call_output": _output_item})


def _item(value: Any, path: str) -> Problem | None:
    """An item of the backend's, of the types that are simulated; one without a type is a message."""
    untyped = isinstance(value, dict) and "type" not in value and "role" in value
    return (_message_item if untyped else _typed_item)(value, path)


def _event(required: dict[str, Check] | None = None) -> Check:
    return record({"type": anything, **(required or {})}, {"event_id": _nullable_text})


_append = _event({"content": text(), "delegation_id": _nullable_text})
COMMANDS: dict[str, Check] = {
    "session.update": _event(
        {"session": record(optional={"delegation": nullable(_delegation_update), "triggers": _triggers})}
    ),
    "session.input_audio.append": _event({"audio": text(max_length=MAX_APPEND_CHARACTERS)}),
    "session.input_audio.mute": _event(),
    "session.input_audio.unmute": _event(),
    "session.output_audio.fixture.play": _event({"audio": text(max_length=MAX_FIXTURE_CHARACTERS)}),
    "session.instructions.append": _append,
    "session.thinking.append": _append,
    "session.commentary.append": _append,
    "decision.create": record({"type": anything, "event_id": text()}),
    "decision.item.create": _event({"item": anything}),
    "decision.item.delete": _event({"item_id": text()}),
    "response.item.create": _event({"item": _item}),
    "response.create": _event(),
    "session.close": _event(),
}
CLIENT_EVENTS: dict[str, Check] = {"session.start": _event({"session": _session}), **COMMANDS}
FORK_EVENTS: dict[str, Check] = {"session.start": _event({"session": _fork}), **COMMANDS}

_any_event = tagged("type", CLIENT_EVENTS)
_any_fork_event = tagged("type", FORK_EVENTS)


def check(event: Any, *, fork: bool = False) -> Problem | None:
    """The first thing wrong with a client event, or None. fork: on the socket of a fork, whose start has other keys."""
    if not isinstance(event, dict):
        return Problem("invalid_event", "The event must be a JSON object.")
    if "type" not in event:
        return Problem("invalid_event", "The 'type' field is missing.")
    return (_any_fork_event if fork else _any_event)(event, "")
