"""Events with due times, made one at a time by a generator.

A generator yields `(delay_ms, event)`, or None for a mere pause; the delay counts from the step before, so deadlines
are absolute and a late poll moves nothing. What the generator does after a yield happens right after that event was
handed out: state changes exactly when the client could know of them. No clock is read here.
"""

from collections.abc import Iterator
from typing import TypeAlias

from .wire import Event

Steps: TypeAlias = Iterator[tuple[float, Event | None]]


class Timeline:
    """One stream of timed events; `due_ms` is None once it has ended."""

    def __init__(self, start_ms: float, steps: Steps) -> None:
        self._steps = steps
        self._at_ms = start_ms
        self._event: Event | None = None
        self._ended = False
        self._pull()

    @property
    def due_ms(self) -> float | None:
        """When the next step is due, in the clock that `start_ms` came from."""
        return None if self._ended else self._at_ms

    def take(self) -> Iterator[Event]:
        """The event of the step that is due. Exhaust the iterator: the next step is made at its end."""
        if self._event is not None:
            yield self._event
        self._pull()

    def stop(self) -> None:
        """Forget what has not been handed out."""
        self._event = None
        self._ended = True

    def _pull(self) -> None:
        if self._ended:
            return
        step = next(self._steps, None)
        if step is None:
            self.stop()
            return
        delay_ms, self._event = step
        self._at_ms += delay_ms
