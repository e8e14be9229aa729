"""What the opening of a session knows of it, in either dialect: its id, when it will end, whether it is confirmed."""

from collections.abc import Callable
from typing import Any

from fastbridge.base.json_text import text_of
from fastbridge.errors import ModelError
from fastbridge.observe.trouble import Trouble

FAR_FUTURE_S = 1e11
"""In unix time."""


class SessionOpening:
    """To be inherited. ready(): the model has confirmed; failed(error): it has not."""

    def __init__(
        self, *, ready: Callable[[], object], failed: Callable[[ModelError], object], trouble: Trouble
    ) -> None:
        self.session_id = ""
        self.expires_at_s: float | None = None
        """When the model will end the session, as it says: unix time."""
        self.is_ready = False
        self.format_mismatches = 0
        self._ready = ready
        self._failed = failed
        self._trouble = trouble
        self._asked = False
        self._send: Callable[[dict[str, Any]], object] | None = None

    def fail(self, error: ModelError) -> None:
        """Its connection says so."""
        self._failed(error)

    def _identify(self, session: dict[str, Any]) -> None:
        """What the model says of the session that it has begun."""
        self.session_id = text_of(session.get("id")) or "unnamed"
        expires_at = session.get("expires_at")
        if isinstance(expires_at, int | float) and 0 < expires_at < FAR_FUTURE_S:
            self.expires_at_s = float(expires_at)
