"""The opening of one session: `session.created`, our `session.update`, and the checked `session.updated`.

One Opening per connection. It asks again after 3 s and gives up after 8: audio in a format that the model has not
confirmed is noise in somebody's ear, so nothing passes before. It knows no audio and no conversation.
"""

from collections.abc import Callable
from typing import Any

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.json_text import within
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.errors import read_error
from fastbridge.model.opening import SessionOpening
from fastbridge.observe.trouble import Trouble

UPDATE_RETRY_SECONDS = 3.0
UPDATE_DEADLINE_SECONDS = 8.0
PCMU = {"type": "audio/pcmu"}


class Opening(SessionOpening):
    """send(event): a client event, set by `connected`. ready(): the model has confirmed; failed(error): it has not."""

    def __init__(
        self,
        *,
        clock: Clock,
        config: dict[str, Any] | None,
        ready: Callable[[], object],
        failed: Callable[[ModelError], object],
        trouble: Trouble,
    ) -> None:
        super().__init__(ready=ready, failed=failed, trouble=trouble)
        self.config = config
        """None: not known yet, and nothing is sent before it is."""
        self._retry = Deadline(clock, self._send_update)
        self._deadline = Deadline(clock, self._expired)

    def connected(self, send: Callable[[dict[str, Any]], object]) -> None:
        """The socket is open. The update follows `session.created`, which may have come already."""
        self._send = send
        self._deadline.set(UPDATE_DEADLINE_SECONDS)
        if self.session_id:
            self._send_update()

    def configure(self, config: dict[str, Any]) -> None:
        """These are the settings to be confirmed."""
        self.config = config
        if self.session_id and not self.is_ready:
            self._send_update()

    def on_created(self, event: dict[str, Any]) -> None:
        self._identify(within(event, "session"))
        if self._send is not None:
            self._send_update()

    def on_updated(self, event: dict[str, Any]) -> None:
        audio = within(event, "session", "audio")
        formats = (within(audio, "input", "format").get("type"), within(audio, "output", "format").get("type"))
        if not self._asked:
            return  # whatever this confirms, it is not our settings
        if formats != ("audio/pcmu", "audio/pcmu"):
            self.format_mismatches += 1
            self._trouble.wrong_format(formats)
            return
        if not self.is_ready:
            self.close()
            self.is_ready = True
            self._ready()

    def feed(self, event: dict[str, Any]) -> None:
        """An event of a session that is not in use yet: of those only the opening's count."""
        kind = event.get("type")
        if kind == "session.created":
            self.on_created(event)
        elif kind == "session.updated":
            self.on_updated(event)
        elif kind == "error" and not self.is_ready:
            self._failed(read_error(event.get("error") or event, "the model reports an error"))

    def close(self) -> None:
        self._retry.clear()
        self._deadline.clear()

    def _send_update(self) -> None:
        if self.config is None:
            return
        if self._send is not None:
            self._asked = True
            self._send({"type": "session.update", "session": self.config})
            self._retry.set(UPDATE_RETRY_SECONDS)

    def _expired(self) -> None:
        self.close()
        code = "format_mismatch" if self.format_mismatches else "session_update_timeout"
        self._failed(ModelUnavailable("the model did not confirm the session's settings", code))
