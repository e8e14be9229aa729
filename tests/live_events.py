"""Client events of GPT-Live that the service takes, one of each kind and more."""

from typing import Any

from live_client import PCMU

TOOL: dict[str, Any] = {
    "type": "function",
    "name": "f",
    "description": "d",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}
BACKEND: dict[str, Any] = {
    "model": "gpt-5.5",
    "instructions": "Look it up.",
    "max_output_tokens": 2048,
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "service_tier": "priority",
    "text": {"verbosity": "low"},
    "tool_choice": "auto",
    "tools": [TOOL],
}
HISTORY: list[dict[str, Any]] = [
    {"role": "developer", "content": [{"type": "input_text", "text": "He is a friend."}], "type": "message"},
    {"role": "user", "content": [{"text": "Hi."}], "id": "item_1", "status": "completed"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}], "status": "incomplete"},
]
START: dict[str, Any] = {
    "type": "session.start",
    "event_id": "mine",
    "session": {
        "model": "gpt-live-1",
        "audio": {"format": PCMU, "output": {"voice": "marin"}},
        "delegation": {"type": "responses", "acknowledgement_delay_ms": 400, "responses": BACKEND},
        "input": HISTORY,
        "instructions": "Be kind.",
        "safety_identifier": "s",
        "store": True,
        "triggers": [],
    },
}


def start(**session: Any) -> dict[str, Any]:
    return {"type": "session.start", "session": {"model": "gpt-live-1", **session}}


def pcm(rate: int) -> dict[str, Any]:
    return start(audio={"format": {"type": "audio/pcm", "rate": rate}})


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "response.item.create", "item": fields}


def append(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"session.{kind}.append", **fields}


ACCEPTED: list[dict[str, Any]] = [
    START,
    start(),
    start(delegation=None, instructions=None),
    start(delegation={"type": "client"}),
    start(audio={"output": {"voice": {"id": "voice_1"}}}),
    start(audio={"format": {"type": "audio/pcma", "rate": 8000}}),
    pcm(16_000),
    pcm(24_000),
    start(
        delegation={"type": "responses", "responses": {"model": "m", "tool_choice": {"type": "function", "name": "f"}}}
    ),
    start(delegation={"type": "responses", "responses": {"model": "m", "tools": [{"type": "web_search"}]}}),
    start(client={"data_channel": {"allowed_client_events": "all", "allowed_server_events": []}}),
    {"type": "session.update", "session": {}},
    {"type": "session.update", "session": {"delegation": {"type": "responses", "responses": {"instructions": "i"}}}},
    {"type": "session.input_audio.append", "audio": "////"},
    {"type": "session.input_audio.mute"},
    {"type": "session.input_audio.unmute", "event_id": "x"},
    {"type": "session.output_audio.fixture.play", "audio": "////"},
    append("commentary", content="Hello.", delegation_id=None),
    append("thinking", content="Hello.", delegation_id="item_1"),
    append("instructions", content="Hello.", delegation_id=None, event_id="x"),
    item(type="function_call_output", call_id="call_1", output="{}"),
    item(type="function_call_output", call_id="call_1", output=[{"type": "input_text", "text": "x"}]),
    item(type="message", role="user", content="Hi."),
    item(type="message", role="developer", content=[{"type": "input_text", "text": "x"}]),
    {"type": "response.create"},
    {"type": "decision.create", "event_id": "x"},
    {"type": "decision.item.delete", "item_id": "x"},
    {"type": "session.close"},
]
