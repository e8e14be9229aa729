"""What a tool or a hook holds of its call: good in any thread, and after the call's end, when it does nothing.

A user's plain function runs in a thread of its own, and nobody can end it: it may still hold its call long after that
has been taken apart.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol


class Controls(Protocol):
    """What can be done to a call, on its own thread."""

    def hang_up(self) -> object: ...
    def destination(self, wanted: str) -> str | None: ...
    def transfer(self, number: str) -> object: ...
    @property
    def can_call(self) -> bool: ...
    def call_for(self, number: str, brief: str) -> object: ...
    def say(self, text: str) -> object: ...


class Remote:
    """A CallControl."""

    def __init__(self) -> None:
        self._controls: Controls | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def begin(self, controls: Controls) -> None:
        """The call has begun, on the running loop."""
        self._controls = controls
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """The call is over."""
        self._controls = None

    def hang_up(self) -> None:
        self._on_loop(lambda controls: controls.hang_up())

    def transfer(self, destination: str, brief: str | None = None) -> bool:
        controls = self._controls
        number = controls.destination(destination) if controls is not None else None
        if controls is None or number is None:
            return False
        if brief is None:
            self._on_loop(lambda controls: controls.transfer(number))
            return True
        possible = controls.can_call
        if possible:
            self._on_loop(lambda controls: controls.call_for(number, brief))
        return possible

    def say(self, text: str) -> None:
        self._on_loop(lambda controls: controls.say(text))

    def _on_loop(self, action: Callable[[Controls], object]) -> None:
        if threading.get_ident() == self._thread:
            self._do(action)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._do, action)

    def _do(self, action: Callable[[Controls], object]) -> None:
        if self._controls is not None:
            action(self._controls)
