"""The keys a caller presses, gathered: a number is typed one key at a time and means something only whole.

A group ends with the agent's end key, after a pause, or at MAX_DIGITS. What was pressed is the caller's secret as
likely as not: it goes to the agent's hook or to the model, and never to the log.
"""

from collections.abc import Callable

from fastbridge.base.clock import Clock, Deadline

MAX_DIGITS = 64


class Keys:
    """end_key: ends a group and is no part of it; empty for none. pause_seconds: ends it too. deliver(digits)."""

    def __init__(self, clock: Clock, *, end_key: str, pause_seconds: float, deliver: Callable[[str], object]) -> None:
        self.pressed = 0
        self.end_key = end_key
        self.pause_seconds = pause_seconds
        self._deliver = deliver
        self._digits = ""
        self._pause = Deadline(clock, self._flush)

    def press(self, digit: str) -> None:
        self.pressed += 1
        if digit == self.end_key and self._digits:
            self._flush()
            return
        self._digits += digit
        if len(self._digits) >= MAX_DIGITS:
            self._flush()
        else:
            self._pause.set(self.pause_seconds)

    def close(self) -> None:
        self._pause.clear()
        self._digits = ""

    def _flush(self) -> None:
        self._pause.clear()
        digits, self._digits = self._digits, ""
        if digits:
            self._deliver(digits)


def told(digits: str) -> str:
    """What the model is told of them."""
    return f"(The caller pressed these keys on the telephone: {' '.join(digits)})"
