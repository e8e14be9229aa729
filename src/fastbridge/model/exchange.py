"""What passes between a session and its socket, whatever the dialect: JSON events, each way, in order.

What comes is handed to the dialect's own table of handlers, and raises nothing on what it holds. What goes is sent to a
session that knows the conversation, or to nobody: the next one is told all of it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fastbridge.base.json_text import Malformed, encode_event, parse_event, text_of
from fastbridge.model.opening import SessionOpening
from fastbridge.observe.trouble import Trouble

Handler = Callable[[Any, dict[str, Any]], None]


class Exchange:
    """To be inherited. handlers: by an event's type; each takes the session and the event."""

    handlers: ClassVar[Mapping[str, Handler]]
    counters: Counter[str]
    closed: bool
    _opening: SessionOpening
    _trouble: Trouble
    _send: Callable[[bytes], object] | None

    @property
    def ready(self) -> bool:
        return self._opening.is_ready and self._send is not None

    @property
    def session_id(self) -> str:
        return self._opening.session_id

    @property
    def expires_at_s(self) -> float | None:
        return self._opening.expires_at_s

    @property
    def handed_on(self) -> bool:
        """The model has others do something, and what comes of it is still to be told."""
        return False

    @property
    def late_item(self) -> str:
        """See `port.Model`: a transcript comes in one."""
        return ""

    def settle(self) -> None:
        """The line is lost, and nobody has been told yet: no session takes anything until there is another. What had
        come to its end, and was not told to have, has."""
        self._send = None

    def send(self, event: dict[str, Any]) -> bool:
        """A client event to the model; to nobody while there is no session that knows the conversation: the next one
        is told all of it."""
        if self.ready:
            self._send_now(event)
        return self.ready

    def parting(self) -> Callable[[bytes], bool] | None:
        """See `port.Session`: in most dialects a session that is closed has nothing more to say."""
        return None

    def _send_now(self, event: dict[str, Any]) -> None:
        if self._send is not None and not self.closed:
            self._send(encode_event(event))

    def on_event(self, message: bytes) -> None:
        """One message of the model's that is not audio. Never raises on what it holds."""
        if self.closed:
            return
        event = parse_event(message)
        if event is None:
            self.malformed("", f"{len(message)} bytes that are no JSON object")
            return
        handler = self.handlers.get(kind := text_of(event.get("type")))
        if handler is None:
            self.counters["other_events"] += 1
            return
        try:
            handler(self, event)
        except Malformed as error:  # the model's fault, and not worth a call. All else is ours, and not booked as its
            self.malformed(kind, str(error))

    def malformed(self, kind: str, cause: str) -> None:
        """A message that cannot be what it is meant to be."""
        self.counters["malformed_events"] += 1
        self._trouble.malformed(kind, cause)
