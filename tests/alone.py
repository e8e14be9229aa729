"""A part of a call alone: its clock, what it has told, and that it leaves nothing behind.

To be inherited by the stand-in of a call. Its attributes are the facts that the part asks for.
"""

from collections.abc import Callable
from typing import Any

from fastbridge.base.clock import CallClock
from fastbridge.observe.call_log import CallLog
from virtual import VirtualLoop


class Alone:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = CallClock(self.loop.clock, lambda callback: callback)
        self.log = CallLog("CA1", now_s=self.loop.time)
        self.told: list[Any] = []
        """Events of the call, as the part tells them."""

    def tell(self, event: Any) -> None:
        self.told.append(event)

    def do(self, method: Callable[..., Any], *arguments: Any) -> Any:
        return self.loop.do(method, *arguments)

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def shut(self, close: Callable[[], object]) -> None:
        """End of the test: once the part is closed, nothing of it is left."""
        try:
            self.do(close)
            assert (self.loop.failures, self.loop.pending_timers()) == ([], [])
        finally:
            self.loop.close()


def lines(caplog: Any) -> list[str]:
    """What the log says, without whose call it was."""
    return [record.getMessage().replace(", call_sid=CA1", "") for record in caplog.records]
