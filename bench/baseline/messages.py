"""What goes over the two wires: Twilio's messages, OpenAI's events, and G.711. Pure functions."""

import json
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any

import numpy as np

FRAME_BYTES = 160
FRAME_NS = 20_000_000
SILENCE = b"\xff"
SILENT_FRAME = SILENCE * FRAME_BYTES
SILENT_PAYLOAD = b2a_base64(SILENT_FRAME, newline=False).decode()
PCMU = {"type": "audio/pcmu"}

decode_json: Callable[[str], Any] = json.JSONDecoder().decode
"""`json.loads` without its questions about the argument: a sixth less for a message of Twilio's."""


def encode_json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# Twilio


def media_parts(stream_sid: str) -> tuple[bytes, bytes]:
    """What stands before and behind the payload in every `media` message of a stream."""
    return f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"'.encode(), b'"}}'


def mark_message(stream_sid: str, name: str) -> bytes:
    return encode_json({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_message(stream_sid: str) -> bytes:
    return encode_json({"event": "clear", "streamSid": stream_sid})


# OpenAI


def append_message(payload: str) -> bytes:
    """`payload` is base64, which JSON leaves as it is."""
    return f'{{"type":"input_audio_buffer.append","audio":"{payload}"}}'.encode()


def session_update(instructions: str, voice: str, transcription_model: str) -> dict[str, Any]:
    turn_detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "create_response": True,
        "interrupt_response": False,  # only we know what was heard, so only we interrupt
    }
    transcription = {"model": transcription_model} if transcription_model else None
    audio = {
        "input": {"format": PCMU, "transcription": transcription, "turn_detection": turn_detection},
        "output": {"format": PCMU, "voice": voice},
    }
    session = {"type": "realtime", "output_modalities": ["audio"], "instructions": instructions, "audio": audio}
    return {"type": "session.update", "session": session}


def greeting_create(text: str) -> dict[str, Any]:
    instructions = f"Greet the caller now. Say exactly this, and nothing else: {text}"
    return {"type": "response.create", "response": {"instructions": instructions, "tool_choice": "none"}}


def truncation(item_id: str, heard_ms: int) -> dict[str, Any]:
    """Of an item that was cut off. Nothing heard: it was never said."""
    if not heard_ms:
        return {"type": "conversation.item.delete", "item_id": item_id}
    return {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": heard_ms}


# G.711


def _linear(code: int) -> int:
    """ITU-T G.711 mu-law to 16-bit linear."""
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


LINEAR = np.array([_linear(code) for code in range(256)], np.int32)
