"""The transcript of a caller turn, as it arrives some time after the turn was committed.

It runs beside the responses and in no order with them, as in the real service. An empty transcript, for a turn that
was noise, has no deltas.
"""

from . import wire
from .items import Item
from .response import words
from .timeline import Steps
from .wire import MULAW_BYTES_PER_MS, Event, Ids

_KIND = "conversation.item.input_audio_transcription"


def transcription(item: Item, transcript: str, delay_ms: float, ids: Ids, *, by_duration: bool) -> Steps:
    """The events for one caller turn, the first due after `delay_ms`. `by_duration`: how the model is billed."""
    where = {"item_id": item.id, "content_index": 0}
    yield delay_ms, None
    for word in words(transcript):
        yield 0.0, Event(f"{_KIND}.delta", {**where, **ids.obfuscated(word)})
    seconds = len(item.audio) / (1000 * MULAW_BYTES_PER_MS)
    usage = wire.transcription_usage(seconds, transcript, by_duration=by_duration)
    yield 0.0, Event(f"{_KIND}.completed", {**where, "transcript": transcript, "usage": usage})
    item.part["transcript"] = transcript
