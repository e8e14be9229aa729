"""What a call's sessions have lasted, by the model's own account: it is billed by that.

Each session's account is the sum of its own so far, and never added to itself. Nothing here reads a clock.
"""

from typing import Any

MAX_SECONDS = 86_400.0
"""Of one session, which lasts 2 h at most."""


class Account:
    """One session's. seconds: None where it has told of none."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def tell(self, usage: dict[str, Any]) -> None:
        """The session's `usage`: its `seconds` so far. What is no such number is none."""
        seconds = usage.get("seconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= MAX_SECONDS:
            self.seconds = max(self.seconds or 0.0, float(seconds))


class Seconds:
    """One call's. session: the account of the session under way."""

    def __init__(self) -> None:
        self.session = Account()
        self._before: list[Account] = []

    @property
    def total(self) -> float | None:
        """None where no session has told of any."""
        told = [each.seconds for each in (*self._before, self.session) if each.seconds is not None]
        return sum(told) if told else None

    def session_over(self) -> None:
        """Another session counts from its own beginning. This one may still tell what it has lasted, all told."""
        self._before.append(self.session)
        self.session = Account()
