"""What the model says in a load run: its messages as templates, and the sounds that both sides make.

The shapes are those of the simulated service (`wire`, `response`); here they are bytes, written once before a run, in
which a control character stands for what differs: \\x01 the session, \\x02 the response, \\x03 the event's own number,
\\x04 a number in decimal, \\x05 text as it came, \\x06 the caller's item. `fastbridge._loadmodel` fills them in.
GPT-Live's are in `load_live_events`.
"""

from typing import Any

import numpy as np

from fastbridge._mulaw import encode
from fastbridge.sim import wire
from fastbridge.sim.wire import Event, Json

QUIET_BYTES = 4096
VOICE_FRAMES = 15
VOICE_DBFS = -12.0
FRAME = 160
TRANSCRIPT = "This is what the assistant said."
PCMU = {"type": "audio/pcmu"}
SESSION, NUMBER, EVENT, DECIMAL, RAW, ITEM = "\x01", "\x02", "\x03", "\x04", "\x05", "\x06"
EVENT_ID = f"event_{SESSION}{EVENT}"
_RESPONSE_ID = f"resp_{SESSION}{NUMBER}"
_ITEM_ID = f"item_{SESSION}{NUMBER}"
_CALLER_ITEM_ID = f"item_{SESSION}u{ITEM}"
_CONVERSATION_ID = f"conv_{SESSION}"
_AT = {"response_id": _RESPONSE_ID, "output_index": 0}
_WHERE = {"response_id": _RESPONSE_ID, "item_id": _ITEM_ID, "output_index": 0, "content_index": 0}
_SPOKEN = [{"type": "output_audio", "transcript": TRANSCRIPT}]


def scripts() -> dict[str, list[bytes]]:
    """For each occasion the messages that it takes, in order."""
    return {name: [_template(event) for event in events] for name, events in _occasions().items()} | {
        "updated": [_updated()],
        "delta": [_open_ended(Event("response.output_audio.delta", {**_WHERE, "delta": ""}), '"}')],
        "truncated": [_template(Event("conversation.item.truncated", _TRUNCATED))],
        "deleted": [_template(Event("conversation.item.deleted", {"item_id": RAW}))],
        "item_added": [_item(kind) for kind in ("added", "done")],
    }


def quiet() -> bytes:
    """Nearly nothing: what an open line sounds like. Every frame is a stretch of it."""
    codes = np.array([0xFF, 0x7F, 0xFE, 0x7E], np.uint8)
    line = np.random.default_rng(7).choice(codes, QUIET_BYTES)
    return bytes(np.concatenate([line, line[:FRAME]]))


def voice() -> bytes:
    """VOICE_FRAMES of a vowel at VOICE_DBFS: a voice that falls from 190 to 150 Hz, with a little jitter, through two
    formants."""
    samples = VOICE_FRAMES * FRAME
    at_s = np.arange(samples) / 8000
    wobble = np.cumsum(np.random.default_rng(11).normal(0, 0.25, samples)).clip(-6, 6)
    phase = 2 * np.pi * np.cumsum(190 - 40 * at_s / at_s[-1] + wobble) / 8000
    sound = np.zeros(samples)
    for harmonic in range(1, 19):
        hz = 170.0 * harmonic
        loudness = 1 / harmonic + 2.2 * np.exp(-(((hz - 650) / 180) ** 2)) + np.exp(-(((hz - 1150) / 220) ** 2))
        sound += loudness * np.sin(harmonic * phase)
    level = 32768 * 10 ** (VOICE_DBFS / 20) / np.sqrt(np.mean(sound**2))
    return encode((sound * level).clip(-32000, 32000).astype(np.int16).tobytes())


_TRUNCATED: Json = {"item_id": RAW, "content_index": 0, "audio_end_ms": DECIMAL}


def _occasions() -> dict[str, list[Event]]:
    item = _message("in_progress", [])
    return {
        "created": [Event("session.created", {"session": _session()})],
        "speech_started": [
            Event("input_audio_buffer.speech_started", {"audio_start_ms": DECIMAL, "item_id": _CALLER_ITEM_ID})
        ],
        "speech_stopped": [
            Event("input_audio_buffer.speech_stopped", {"audio_end_ms": DECIMAL, "item_id": _CALLER_ITEM_ID}),
            *_committed(),
        ],
        "committed": _committed(),
        "cleared": [Event("input_audio_buffer.cleared", {})],
        "response_begins": [
            Event("response.created", {"response": _response("in_progress", None, [], None)}),
            Event("response.output_item.added", {**_AT, "item": item}),
            wire.item_event("added", item, None),
            Event("response.content_part.added", {**_WHERE, "part": {"type": "audio", "transcript": ""}}),
        ],
        "word": [
            Event("response.output_audio_transcript.delta", {**_WHERE, "delta": " word", "obfuscation": "Xb92kd0s1aQ"})
        ],
        "response_done": _ending("completed", None),
        "client_cancelled": _ending("cancelled", {"type": "cancelled", "reason": "client_cancelled"}),
        "turn_detected": _ending("cancelled", {"type": "cancelled", "reason": "turn_detected"}),
        "not_active": [
            wire.error(
                wire.Problem("response_cancel_not_active", "Cancellation failed: no active response found", None)
            )
        ],
        "already_active": [
            wire.error(
                wire.Problem(
                    "conversation_already_has_active_response",
                    "Conversation already has an active response in progress. Wait until it is finished.",
                )
            )
        ],
    }


def _committed() -> list[Event]:
    caller = {"id": _CALLER_ITEM_ID, "type": "message", "status": "completed", "role": "user"}
    heard = {**caller, "content": [{"type": "input_audio", "transcript": None}]}
    return [
        Event("input_audio_buffer.committed", {"previous_item_id": None, "item_id": _CALLER_ITEM_ID}),
        wire.item_event("added", heard, None),
        wire.item_event("done", heard, None),
    ]


def _message(status: str, content: list[Json]) -> Json:
    return {"id": _ITEM_ID, "type": "message", "status": status, "role": "assistant", "content": content}


def _response(status: str, details: Json | None, output: list[Json], usage: Json | None) -> Json:
    return {
        "object": "realtime.response",
        "id": _RESPONSE_ID,
        "status": status,
        "status_details": details,
        "output": output,
        "conversation_id": _CONVERSATION_ID,
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": PCMU, "voice": "marin"}},
        "usage": usage,
        "metadata": None,
    }


def _ending(status: str, details: Json | None) -> list[Event]:
    item = _message("completed" if status == "completed" else "incomplete", _SPOKEN)
    usage = wire.usage((119, 13), (30, 91))
    return [
        Event("response.output_audio.done", _WHERE),
        Event("response.output_audio_transcript.done", {**_WHERE, "transcript": TRANSCRIPT}),
        Event("response.content_part.done", {**_WHERE, "part": {"type": "audio", "transcript": TRANSCRIPT}}),
        Event("response.output_item.done", {**_AT, "item": item}),
        wire.item_event("done", item, None),
        Event("response.done", {"response": _response(status, details, [item], usage)}),
        wire.rate_limits(usage["total_tokens"]),
    ]


def _session() -> Json:
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    flags = {"idle_timeout_ms": None, "create_response": True, "interrupt_response": True}
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{SESSION}",
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "prompt": None,
        "expires_at": 1_900_000_000,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {**detection, **flags},
            },
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }


def bare(text: str) -> str:
    """An event as it is encoded for the wire, with the templates' control characters as they are."""
    for character in (SESSION, NUMBER, EVENT, DECIMAL, RAW, ITEM):
        text = text.replace(f"\\u{ord(character):04x}", character)
    return text.replace(f'"{DECIMAL}"', DECIMAL)


def _text(event: Event) -> str:
    return bare(wire.encode(event, EVENT_ID))


def _template(event: Event) -> bytes:
    return _text(event).encode()


def _open_ended(event: Event, end: str) -> bytes:
    return _text(event).removesuffix(end).encode()


def _updated() -> bytes:
    """The session is the client's own: what it did not set, this service does not invent."""
    kept: dict[str, Any] = {"object": "realtime.session", "id": f"sess_{SESSION}", "expires_at": 1_900_000_000}
    return _text(Event("session.updated", {"session": kept})).removesuffix("}}").encode() + b",\x05}}"


def _item(kind: str) -> bytes:
    text = _text(wire.item_event(kind, {}, None))
    return text.replace('"item":{}', f'"item":{RAW}').encode()
