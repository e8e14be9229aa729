"""What the GPT-Live service puts on the wire: key order, errors, acknowledgements, transcripts, usage.

Source: the types of the official SDK (`openai.types.live`). `type` first and `event_id` second, but for audio, which
has no id and on this socket no times. This module builds values; it never decides when something is sent.
"""

import json
from base64 import b64encode

from .wire import Event, Json, Problem

AUDIO = "session.output_audio.delta"
INPUT_TRANSCRIPT = "session.input_transcript.delta"
OUTPUT_TRANSCRIPT = "session.output_transcript.delta"
WITHOUT_ID = frozenset({AUDIO})


def encode(event: Event, event_id: str) -> str:
    """One text frame: compact JSON."""
    head = {"type": event.type} if event.type in WITHOUT_ID else {"type": event.type, "event_id": event_id}
    return json.dumps({**head, **event.body}, separators=(",", ":"))


def answering(kind: str, command: Json, body: Json | None = None) -> Event:
    """An event that answers a command of the client, with the id the client gave it."""
    event_id = command.get("event_id")
    return Event(kind, {**({"client_event_id": event_id} if event_id is not None else {}), **(body or {})})


def error(problem: Problem, client_event_id: str | None = None) -> Event:
    """The `error` event for a refused command. A code is always there."""
    body = {
        "type": problem.type,
        "code": problem.code or problem.type,
        "message": problem.message,
        "param": problem.param,
        "client_event_id": client_event_id,
    }
    return Event("error", {"error": body})


def audio_delta(audio: bytes) -> Event:
    """A piece of the stream, in the session's format."""
    return Event(AUDIO, {"delta": b64encode(audio).decode()})


def transcript_delta(kind: str, text: str, start_ms: float, end_ms: float) -> Event:
    """A fragment of what was said, with its place on the session's clock."""
    return Event(kind, {"delta": text, "start_ms": int(start_ms), "end_ms": int(end_ms)})


def delegation_created(delegation_id: str, target: str, response_id: str | None, offset_ms: float) -> Event:
    """The model hands a task on: whose it is, and no word of what it is."""
    delegation = {"id": delegation_id, "type": "delegation", "target": target}
    if response_id is not None:
        delegation["response_id"] = response_id
    return Event("session.delegation.created", {"offset_ms": int(offset_ms), "delegation": delegation})


def response_event(event: Event, sequence_number: int, delegation_id: str | None) -> Event:
    """An event of the Responses API in its envelope."""
    nested = {"type": event.type, "sequence_number": sequence_number, **event.body}
    return Event("response.event", {"delegation_id": delegation_id, "event": nested})


def usage_updated(seconds: int) -> Event:
    """So much of the session is billed by now, silence included."""
    return Event("session.usage.updated", {"usage": {"seconds": seconds}})


def session_closed(reason: str, session: Json, seconds: int) -> Event:
    """The last event of a session that was closed in order."""
    return Event("session.closed", {"reason": reason, "session": session, "usage": {"seconds": seconds}})
