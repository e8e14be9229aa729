"""The opening of one session: our `session.start`, and the checked `session.started`.

One Opening per connection. It is said once: a second start would be an error. It gives up after 8 s: audio in a format
that the model has not confirmed is noise in somebody's ear, so nothing passes before. It knows no audio and no
conversation.
"""

from collections.abc import Callable
from typing import Any

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.json_text import text_of, within
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.errors import read_error
from fastbridge.model.opening import SessionOpening
from fastbridge.observe.trouble import Trouble

START_DEADLINE_SECONDS = 8.0
BYTES_PER_MS = 8
"""Of mu-law."""


class Opening(SessionOpening):
    """config(): the `session` of `session.start`, as it is when it is sent; None where who answers is not known yet.
    ready(): the model has confirmed; failed(error): it has not."""

    def __init__(
        self,
        *,
        clock: Clock,
        config: Callable[[], dict[str, Any] | None],
        ready: Callable[[], object],
        failed: Callable[[ModelError], object],
        trouble: Trouble,
    ) -> None:
        super().__init__(ready=ready, failed=failed, trouble=trouble)
        self.started_ns = 0
        """When the session began, and its stream."""
        self._clock = clock
        self._config = config
        self._streamed_bytes = 0
        self._deadline = Deadline(clock, self._expired)

    @property
    def streamed_ms(self) -> int:
        """Of a session that is not in use yet: its clock has gone on for so long."""
        return self._streamed_bytes // BYTES_PER_MS

    def connected(self, send: Callable[[dict[str, Any]], object]) -> None:
        """The socket is open."""
        self._send = send
        self._deadline.set(START_DEADLINE_SECONDS)
        self.configure()

    def configure(self) -> None:
        """Who answers may be known now."""
        config = self._config()
        if config is not None and self._send is not None and not self._asked:
            self._asked = True
            self._send({"type": "session.start", "session": config})

    def feed(self, event: dict[str, Any]) -> None:
        """An event of a session that is not in use yet: of those only the opening's count; and how much audio there is,
        which nobody hears."""
        kind = event.get("type")
        if kind == "session.started":
            self.on_started(event)
        elif kind == "session.output_audio.delta" and self.is_ready:
            self._streamed_bytes += len(text_of(event.get("delta")).rstrip("=")) * 3 // 4
        elif kind == "error" and not self.is_ready:
            self._failed(read_error(event.get("error") or event, "the model reports an error"))
        elif kind == "session.closed":
            self._failed(ModelUnavailable("the model ended the session", "closed_before_use"))

    def on_started(self, event: dict[str, Any]) -> None:
        session = within(event, "session")
        given = within(session, "audio", "format")
        if not self._asked or self.is_ready:
            return  # whatever this confirms, it is not our start
        if given.get("type") != "audio/pcmu" or given.get("rate") != 8000:
            self.format_mismatches += 1
            self._trouble.wrong_format((given.get("type"), given.get("type")))
            self.close()
            self._failed(ModelUnavailable("the model did not confirm the session's settings", "format_mismatch"))
            return
        self._identify(session)
        self.close()
        self.is_ready = True
        self.started_ns = self._clock.now_ns()
        self._ready()

    def close(self) -> None:
        self._deadline.clear()

    def _expired(self) -> None:
        self._failed(ModelUnavailable("the model did not start the session", "session_start_timeout"))
