"""What a tool or a hook holds of its call: good in any thread, and after the call's end, when it does nothing.

A user's plain function runs in a thread of its own, and nobody can end it: it may still hold its call long after that
has been taken apart.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastbridge.call.conduct import Conduct


class Remote:
    """A CallControl."""

    def __init__(self, conduct: "Conduct") -> None:
        self._conduct: Conduct | None = conduct
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def begin(self) -> None:
        """The call has begun, on the running loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """The call is over."""
        self._conduct = None

    def hang_up(self) -> None:
        self._on_loop(lambda conduct: conduct.hang_up())

    def transfer(self, destination: str) -> bool:
        conduct = self._conduct
        number = conduct.destination(destination) if conduct is not None else None
        if number is None:
            return False
        self._on_loop(lambda conduct: conduct.transfer(number))
        return True

    def say(self, text: str) -> None:
        self._on_loop(lambda conduct: conduct.say(text))

    def _on_loop(self, action: "Callable[[Conduct], object]") -> None:
        if threading.get_ident() == self._thread:
            self._do(action)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._do, action)

    def _do(self, action: "Callable[[Conduct], object]") -> None:
        if self._conduct is not None:
            action(self._conduct)
