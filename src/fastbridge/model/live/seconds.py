"""What a call's sessions have lasted, by the model's own account: it is billed by that.

Each session's account is the sum of its own so far, and never added to itself. Nothing here reads a clock.
"""

from typing import Any

MAX_SECONDS = 1e7


class Seconds:
    """One call's."""

    def __init__(self) -> None:
        self._before = 0.0
        self._session: float | None = None
        self._told = False

    @property
    def total(self) -> float | None:
        """None where no session has told of any."""
        return self._before + (self._session or 0.0) if self._told else None

    def tell(self, usage: dict[str, Any]) -> None:
        """The `usage` of the session under way: its `seconds` so far. What is no such number is none."""
        seconds = usage.get("seconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= MAX_SECONDS:
            self._session = max(self._session or 0.0, float(seconds))
            self._told = True

    def session_over(self) -> None:
        """Another session counts from its own beginning."""
        self._before += self._session or 0.0
        self._session = None
