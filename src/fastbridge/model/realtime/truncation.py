"""Truncation: the model remembers of an answer that was cut off what the caller remembers of it."""

from collections.abc import Callable
from typing import Any

from fastbridge.model.history import History
from fastbridge.model.port import LOCAL_ID


class Truncation:
    """send(event): a client event to the model. replayed: items that are text in this session, and no audio."""

    def __init__(self, history: History, send: Callable[[dict[str, Any]], object]) -> None:
        self.replayed: set[str] = set()
        self._history = history
        self._send = send

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """Tell the model, once an item, what was heard of one that was cut off. Nothing heard: it was never said.
        False if it was told before, and for a recording of ours."""
        if item_id.startswith(LOCAL_ID):
            return False
        cut_off = self._history.cut_off(item_id, heard_ms, received_ms)
        if cut_off is None:
            return False
        turn, heard_ms, _ = cut_off
        if heard_ms and item_id not in self.replayed:
            cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
            self._send({**cut, "audio_end_ms": heard_ms})
            return True
        self._send({"type": "conversation.item.delete", "item_id": item_id})
        if heard_ms and turn is not None and turn.text:  # in this session it is text: it is cut by saying it again
            content = [{"type": "output_text", "text": turn.text}]
            item = {"type": "message", "role": "assistant", "content": content}
            self._send({"type": "conversation.item.create", "item": item})
        return True
