"""A session that we have closed, and the last it has to say: what it has cost. Beside the call, whose end waits for
nothing here.
"""

from collections.abc import Callable

from fastbridge.base.clock import Clock
from fastbridge.model.attempt import ModelLink

FAREWELL_SECONDS = 0.5


def part(link: ModelLink, clock: Clock, reads: Callable[[bytes], bool] | None) -> None:
    """Hang up; where somebody reads what is still said, after that."""
    if reads is None:
        link.hang_up()
    else:
        Farewell(link, clock, reads)


class Farewell:
    """The link is hung up when all is said, and after FAREWELL_SECONDS in any case. reads(message): one message of the
    model's, audio among them; True when no other is waited for."""

    def __init__(self, link: ModelLink, clock: Clock, reads: Callable[[bytes], bool]) -> None:
        self._link = link
        self._reads = reads
        self._said = False
        self._timer = clock.call_later(FAREWELL_SECONDS, self._over)
        link.redirect(self._read, self._read)
        link.resume_reading()

    def _read(self, message: bytes) -> None:
        if not self._said and self._reads(message):
            self._over()

    def _over(self) -> None:
        if not self._said:
            self._said = True
            self._timer.cancel()
            self._link.hang_up()
