"""What a tool or a hook holds of its call: good in any thread, and after the call's end, when it does nothing.

A user's plain function runs in a thread of its own, and nobody can end it: it may still hold its call long after that
has been taken apart.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from fastbridge.agent.threads import wait_for

T = TypeVar("T")


class Controls(Protocol):
    """What can be done to a call, on its own thread."""

    def hang_up(self) -> object: ...
    def destination(self, wanted: str) -> str | None: ...
    def transfer(self, number: str) -> object: ...
    @property
    def can_call(self) -> bool: ...
    def call_for(self, number: str, brief: str) -> object: ...
    def say(self, text: str) -> object: ...
    def consent(self) -> object: ...
    def begin_private(self, ticket: object, seconds: float, answer: Callable[[bool], object]) -> object: ...
    def end_private(self, ticket: object) -> object: ...
    def gather(self, max_digits: int, end: str, timeout_seconds: float, answer: Callable[[str], object]) -> object: ...


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
        """Whether it is seen to. Asked and done in one on the call's thread, for others may ask at the same time."""
        answer = self._ask(False, lambda controls, answer: answer(_transfer(controls, destination, brief)))
        return answer.result() if answer.done() else wait_for(answer)

    def say(self, text: str) -> None:
        self._on_loop(lambda controls: controls.say(text))

    def consent(self) -> None:
        self._on_loop(lambda controls: controls.consent())

    def begin_private(self, ticket: object, seconds: float) -> "Future[bool]":
        """After the call's end nobody hears anything: it is private."""
        return self._ask(True, lambda controls, answer: controls.begin_private(ticket, seconds, answer))

    def end_private(self, ticket: object) -> None:
        self._on_loop(lambda controls: controls.end_private(ticket))

    def gather(self, max_digits: int, end: str, timeout_seconds: float) -> "Future[str]":
        """After the call's end nobody presses anything."""
        return self._ask("", lambda controls, answer: controls.gather(max_digits, end, timeout_seconds, answer))

    def _ask(self, default: T, action: Callable[[Controls, Callable[[T], object]], object]) -> "Future[T]":
        """What the call answers; `default` where it is over."""
        answer: Future[T] = Future()

        def ask() -> None:
            if self._controls is None:
                _settle(answer, default)
            else:
                action(self._controls, lambda value: _settle(answer, value))

        if threading.get_ident() == self._thread:
            ask()
        elif self._controls is None or self._loop is None or self._loop.is_closed():
            _settle(answer, default)
        else:
            self._loop.call_soon_threadsafe(ask)
        return answer

    def _on_loop(self, action: Callable[[Controls], object]) -> None:
        if threading.get_ident() == self._thread:
            self._do(action)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._do, action)

    def _do(self, action: Callable[[Controls], object]) -> None:
        if self._controls is not None:
            action(self._controls)


def _transfer(controls: Controls, destination: str, brief: str | None) -> bool:
    number = controls.destination(destination)
    if number is None or (brief is not None and not controls.can_call):
        return False
    if brief is None:
        controls.transfer(number)
    else:
        controls.call_for(number, brief)
    return True


def _settle(future: "Future[T]", value: T) -> None:
    """Once; whoever waited may have gone."""
    if not future.done():
        future.set_result(value)
