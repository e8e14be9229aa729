"""Leaving without hanging up on anybody: what the first signal begins, whoever serves us."""

import math
import time
from typing import Protocol

from fastbridge.config import Settings

LAST_WEBHOOK_SECONDS = 2.0
"""After a stream has ended Twilio asks what to do with its call: a node that drains is there to answer."""


class Drainable(Protocol):
    """What a server serves."""

    @property
    def settings(self) -> Settings: ...
    @property
    def busy(self) -> bool: ...
    def drain(self) -> None: ...


class Drain:
    """No new calls, and webhooks go on answering until the last call has ended, and for Twilio's last question about
    it, or until `drain_seconds` have passed."""

    def __init__(self, served: Drainable) -> None:
        self._served = served
        self._ends_by = math.inf
        self._busy_until = -math.inf
        self.begun = False

    def begin(self) -> bool:
        """From now on no new calls. False if that was so already: who asks twice wants the end."""
        if self.begun:
            return False
        self.begun = True
        self._served.drain()
        self._ends_by = time.monotonic() + self._served.settings.drain_seconds
        return True

    def over(self) -> bool:
        """Whether the server may stop. To be asked some ten times a second."""
        if not self.begun:
            return False
        now = time.monotonic()
        if self._served.busy:
            self._busy_until = now + LAST_WEBHOOK_SECONDS
        return now >= min(self._busy_until, self._ends_by)
