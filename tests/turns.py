"""A turn of the caller's as the model tells of it, and what it was asked for then."""

from typing import Any

from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEAKS_ON = {"type": "input_audio_buffer.speech_started", "item_id": "item_v"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}
TRANSCRIBED = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "When are you open?"}


def speech_started(start_ms: int | None) -> dict[str, Any]:
    return SPEECH_STARTED if start_ms is None else {**SPEECH_STARTED, "audio_start_ms": start_ms}


def speech_stopped(end_ms: int | None = None, item_id: str = "item_u") -> dict[str, Any]:
    event: dict[str, Any] = {"type": "input_audio_buffer.speech_stopped", "item_id": item_id}
    return event if end_ms is None else {**event, "audio_end_ms": end_ms}


def turn(rig: Rig) -> None:
    """The caller speaks and stops, as the model tells it."""
    for event in (SPEECH_STARTED, speech_stopped(), COMMITTED):
        rig.model(event)


def creates(rig: Rig) -> list[dict[str, Any]]:
    """What the model was asked for."""
    return [event["response"] for event in rig.sent("response.create")]
