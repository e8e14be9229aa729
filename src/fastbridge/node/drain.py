"""Leaving without hanging up on anybody: what the first signal begins, whoever serves us.

Where time runs out, or a second signal wants it, the calls that are left end, and their callers hear why: somebody is
there when Twilio asks what to do with them. Only a third one does without.
"""

import math
import time
from typing import Protocol

from fastbridge.config import Settings

LAST_WEBHOOK_SECONDS = 2.0
"""After a stream has ended Twilio asks what to do with its call: a node that drains is there to answer."""
CUT_SECONDS = 2 * LAST_WEBHOOK_SECONDS
"""And a node of several processes waits for their answers."""


class Drainable(Protocol):
    """What a server serves."""

    @property
    def settings(self) -> Settings: ...
    @property
    def busy(self) -> bool: ...
    @property
    def lingers(self) -> bool:
        """Whether Twilio may ask it something when it is not busy any more."""

    def drain(self) -> None: ...
    def cut(self) -> None:
        """End the calls that are left."""


class Drain:
    """No new calls, and webhooks go on answering until the last call has ended, and for Twilio's last question about
    it, or until `drain_seconds` have passed."""

    def __init__(self, served: Drainable) -> None:
        self._served = served
        self._ends_by = math.inf
        self._busy_until = -math.inf
        self._cut = self._asked_twice = False
        self.begun = False

    def signal(self) -> bool:
        """Somebody wants the end: first without new calls, then without those there are. False: then at once."""
        if self.begin():
            return True
        first, self._asked_twice = not self._asked_twice, True
        if first and not self._cut:  # by whoever looks whether it is over: here any code of ours may be interrupted
            self._ends_by = -math.inf
        return first

    def begin(self) -> bool:
        """From now on no new calls. False if that was so already."""
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
            self._busy_until = now + (LAST_WEBHOOK_SECONDS if self._served.lingers else 0.0)
            if now >= self._ends_by and not self._cut:
                self._cut = True
                self._ends_by = now + CUT_SECONDS
                self._served.cut()
            return now >= self._ends_by
        return now >= min(self._busy_until, self._ends_by)
