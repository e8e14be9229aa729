"""Twin of fastbridge._framing: parse as JSON, build the exact layout again from the fields, and compare the bytes."""

import base64
import json
import re
from typing import Any

OTHER, MEDIA, MARK, DELTA, IGNORED, WORDS = range(6)

DIGITS = r"[0-9]{1,18}"
BASE64 = r"[A-Za-z0-9+/=]*"
STREAM_SID = r"[A-Za-z0-9]{1,64}"
MARK_NAME = r"[A-Za-z0-9_:.\-]{1,128}"
IDENTIFIER = r"[A-Za-z0-9_\-]{1,64}"
OBFUSCATION = r"[A-Za-z0-9_\-]*"

AUDIO_DELTA = "response.output_audio.delta"
LIVE_DELTA = "session.output_audio.delta"
WORDS_DELTA = "response.output_audio_transcript.delta"
UNESCAPED = r'[^"\\\x00-\x1f]*'
UNREAD = (
    "response.function_call_arguments.delta",
    "response.output_text.delta",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_audio.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.done",
)


def _parse(message: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(message.decode())
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _compact(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _text(value: object, pattern: str) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def _index(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 999_999_999 else None


def scan_twilio(message: bytes) -> tuple[object, ...]:
    parsed = _parse(message)
    if parsed is None:
        return (OTHER,)
    if parsed.get("event") == "media":
        return _scan_media(message, parsed)
    if parsed.get("event") == "mark":
        return _scan_mark(message, parsed)
    return (OTHER,)


def _scan_media(message: bytes, parsed: dict[str, Any]) -> tuple[object, ...]:
    media = parsed.get("media")
    if not isinstance(media, dict):
        return (OTHER,)
    sequence = _text(parsed.get("sequenceNumber"), DIGITS)
    chunk = _text(media.get("chunk"), DIGITS)
    timestamp = _text(media.get("timestamp"), DIGITS)
    payload = _text(media.get("payload"), BASE64)
    sid = _text(parsed.get("streamSid"), STREAM_SID)
    if sequence is None or chunk is None or timestamp is None or payload is None or sid is None:
        return (OTHER,)
    body = {"track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload}
    if message != _compact({"event": "media", "sequenceNumber": sequence, "media": body, "streamSid": sid}):
        return (OTHER,)
    return (MEDIA, sid.encode(), int(chunk), int(timestamp), payload.encode())


def _scan_mark(message: bytes, parsed: dict[str, Any]) -> tuple[object, ...]:
    mark = parsed.get("mark")
    if not isinstance(mark, dict):
        return (OTHER,)
    sequence = _text(parsed.get("sequenceNumber"), DIGITS)
    sid = _text(parsed.get("streamSid"), STREAM_SID)
    name = _text(mark.get("name"), MARK_NAME)
    if sequence is None or sid is None or name is None:
        return (OTHER,)
    layout = {"event": "mark", "sequenceNumber": sequence, "streamSid": sid, "mark": {"name": name}}
    return (MARK, sid.encode(), name.encode()) if message == _compact(layout) else (OTHER,)


def scan_realtime(message: bytes) -> tuple[object, ...]:
    if message.endswith(b"}") and any(message.startswith(b'{"type":"%s"' % kind.encode()) for kind in UNREAD):
        return (IGNORED,)
    parsed = _parse(message)
    if parsed is None or parsed.get("type") not in (AUDIO_DELTA, WORDS_DELTA):
        return (OTHER,)
    kind, pattern = (DELTA, BASE64) if parsed["type"] == AUDIO_DELTA else (WORDS, UNESCAPED)
    layout: dict[str, Any] = {"type": parsed["type"]}
    for key in ("event_id", "response_id", "item_id"):
        layout[key] = _text(parsed.get(key), IDENTIFIER)
    for key in ("output_index", "content_index"):
        layout[key] = _index(parsed.get(key))
    layout["delta"] = _text(parsed.get("delta"), pattern)
    if "obfuscation" in parsed:
        layout["obfuscation"] = _text(parsed["obfuscation"], OBFUSCATION)
    if None in layout.values() or message != _compact(layout):
        return (OTHER,)
    ids = (layout[key].encode() for key in ("event_id", "response_id", "item_id"))
    return (kind, *ids, layout["content_index"], layout["delta"].encode())


def scan_live(message: bytes) -> tuple[object, ...]:
    parsed = _parse(message)
    if parsed is None or parsed.get("type") != LIVE_DELTA or list(parsed)[:1] != ["type"]:
        return (OTHER,)
    layout = {
        key: _text(parsed.get(key), BASE64 if key == "delta" else LIVE_DELTA if key == "type" else IDENTIFIER)
        for key in parsed
        if key in ("type", "event_id", "delta")
    }
    pairs = json.loads(message, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    ids = [value for name, value in pairs if name == "event_id"]
    if None in layout.values() or any(_text(each, IDENTIFIER) is None for each in ids) or names.count("delta") != 1:
        return (OTHER,)
    at = names.index("delta")
    if names.count("event_id") > 2 or len(names[:at]) > 2 or len(names[at:]) > 2 or set(names) - set(layout):
        return (OTHER,)
    written = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    return (DELTA, parsed["delta"].encode()) if message == b"{%s}" % written.encode() else (OTHER,)


def append_message(payload: bytes) -> bytes:
    return _compact({"type": "input_audio_buffer.append", "audio": payload.decode()})


def live_append_message(payload: bytes) -> bytes:
    return _compact({"type": "session.input_audio.append", "audio": payload.decode()})


def media_message(stream_sid: bytes, frame: bytes) -> bytes:
    payload = base64.b64encode(frame).decode()
    return _compact({"event": "media", "streamSid": stream_sid.decode(), "media": {"payload": payload}})


def mark_message(stream_sid: bytes, name: bytes) -> bytes:
    return _compact({"event": "mark", "streamSid": stream_sid.decode(), "mark": {"name": name.decode()}})


def clear_message(stream_sid: bytes) -> bytes:
    return _compact({"event": "clear", "streamSid": stream_sid.decode()})
