"""What the model has told of the caller's turns, each event by its item: what comes twice or too late is known then.

Pure, and bounded: the oldest are forgotten.
"""

from collections import Counter, deque
from typing import Any

from fastbridge.base.json_text import id_text

MAX_TOLD = 64
SPEECH_STARTED = "input_audio_buffer.speech_started"
SPEECH_STOPPED = "input_audio_buffer.speech_stopped"
IDLE = "input_audio_buffer.timeout_triggered"


class TurnEvents:
    """One session's. counters: where stray_speech is counted."""

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._told: deque[tuple[str, object]] = deque(maxlen=MAX_TOLD)  # (type, item id)

    def is_new(self, event: dict[str, Any]) -> bool:
        """Whether it was not told of its item before. Speech that has ended does not begin any more."""
        kind, item_id = event["type"], event.get("item_id")
        item_id = id_text(item_id) or item_id
        if (kind, item_id) in self._told or (kind == SPEECH_STARTED and (SPEECH_STOPPED, item_id) in self._told):
            self._counters["stray_speech"] += 1
            return False
        if item_id is not None:
            self._told.append((kind, item_id))
        return True

    def nobody_spoke(self, item_id: str) -> bool:
        """Whether this item is a silence in which the model waited for the caller as long as it was told to."""
        return (IDLE, item_id) in self._told

    def forget(self) -> None:
        """Ids of a session say nothing in the next."""
        self._told.clear()
