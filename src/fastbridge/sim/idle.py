"""The idle timeout of server turn detection: the model speaks by itself when the caller has not for long enough.

Source: the Realtime API reference, `idle_timeout_ms`: it counts from `response.done` and as long as the audio of that
response plays.
"""

from collections.abc import Sequence

from .response import ResponseRun
from .wire import Event


def idle_due_ms(timeout_ms: int | None, responses: Sequence[ResponseRun], last_turn_ms: float) -> float | None:
    """When the timeout is due; None without one, before the first response, and while one is being made.

    last_turn_ms: when the caller's last turn was committed.
    """
    runs = [run for run in responses if run.settings.in_conversation]
    if not timeout_ms or not runs:
        return None
    heard_out_ms = last_turn_ms
    for run in runs:
        if run.done_ms is None:
            return None
        heard_out_ms = max(heard_out_ms, run.done_ms + run.audio_ms)
    return heard_out_ms + timeout_ms


def triggered(item_id: str, end_ms: int, timeout_ms: int) -> Event:
    """The event that tells of it, for the stretch of the caller's audio in which nobody spoke."""
    body = {"audio_start_ms": max(0, end_ms - timeout_ms), "audio_end_ms": end_ms, "item_id": item_id}
    return Event("input_audio_buffer.timeout_triggered", body)
