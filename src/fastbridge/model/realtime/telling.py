"""What the node tells the model besides the caller's audio: results of tools, keys, notes. Each by an id of our own.

The model confirms each item by its id; a response that begins after that knows of it. One that is not confirmed may
have come too late for the response just begun. A service that has answered and confirmed nothing, not even what the
caller said, confirms nothing at all: what it was told is taken for known.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

MAX_UNCONFIRMED = 64
"""Items that wait to be confirmed; with one more the oldest is taken for known."""


class Telling:
    """One call's. send(event): to the model, if there is a session; True if there is."""

    def __init__(self, send: Callable[[dict[str, Any]], bool]) -> None:
        self._send = send
        self._items = 0
        self._unconfirmed: deque[str] = deque(maxlen=MAX_UNCONFIRMED)
        self._confirms: bool | None = None  # not known yet

    @property
    def is_known(self) -> bool:
        """The model has confirmed all it was told."""
        return not self._unconfirmed or self._confirms is False

    def tell(self, item: dict[str, Any]) -> None:
        """An item for the conversation; without a session it is nobody's, and the next session is told another way."""
        self._items += 1
        item_id = f"told_{self._items}"
        if self._send({"type": "conversation.item.create", "item": {"id": item_id, **item}}):
            self._unconfirmed.append(item_id)

    def confirmed(self, item_id: str) -> None:
        """`conversation.item.added`, of any item."""
        self._confirms = True
        if item_id in self._unconfirmed:
            self._unconfirmed.remove(item_id)

    def answered(self) -> None:
        """A response is done, whose items would have been confirmed by now."""
        self._confirms = bool(self._confirms)

    def forget(self) -> None:
        """Another session."""
        self._unconfirmed.clear()
        self._confirms = None
