"""What the caller says to the agent's code alone: card numbers, codes. And his consent to be recorded.

Within `context.private()` no recording has his voice, the model does not hear him, and no log, record or transcript
has what is said or typed; `context.gather()` collects the keys. Good in any thread, nested, and after the call's end;
a bound ends what is forgotten.
"""

from __future__ import annotations

import asyncio
import math
import re
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from fastbridge.agent.threads import wait_for
from fastbridge.errors import NotPrivate

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PRIVATE_SECONDS = 120.0
MAX_PRIVATE_SECONDS = 900.0
MAX_DIGITS = 64
GATHER_SECONDS = 10.0
MAX_GATHER_SECONDS = 600.0
NOT_PAUSED = "The carrier's recording could not be paused, so ask the caller for nothing private: try again, or go on."


class PrivateControl(Protocol):
    """What may be done to a call. From any thread; each answer comes, if the call ends first, too."""

    def consent(self) -> None: ...
    def begin_private(self, ticket: object, seconds: float) -> Future[bool]: ...
    def end_private(self, ticket: object) -> None: ...
    def gather(self, max_digits: int, end: str, timeout_seconds: float) -> Future[str]: ...


class Private:
    """`with context.private():` in a plain function, `async with context.private():` in an async one."""

    def __init__(self, control: PrivateControl, seconds: float) -> None:
        self._control = control
        self._seconds = seconds
        self._tickets: list[object] = []

    def __enter__(self) -> Self:
        _not_on_a_loop("async with context.private():")
        ticket = object()
        return self._entered(ticket, wait_for(self._control.begin_private(ticket, self._seconds)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._control.end_private(self._tickets.pop())

    async def __aenter__(self) -> Self:
        ticket = object()
        try:
            begun = await asyncio.wrap_future(self._control.begin_private(ticket, self._seconds))
        except BaseException:  # cancelled: nobody will leave
            self._control.end_private(ticket)
            raise
        return self._entered(ticket, begun)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _entered(self, ticket: object, begun: bool) -> Self:
        if not begun:
            raise NotPrivate(NOT_PAUSED)
        self._tickets.append(ticket)
        return self


class WithPrivacy:
    """A call's context."""

    if TYPE_CHECKING:

        def _live(self) -> PrivateControl: ...

    def consent(self) -> None:
        """The caller agrees to be recorded: from now on he is, where the agent's `record` waits for that. Twice is
        once."""
        self._live().consent()

    def private(self, seconds: float = PRIVATE_SECONDS) -> Private:
        """`with context.private():`, or `async with`: what is said and typed within is for your code alone. Raises
        NotPrivate, before you have asked for anything, where the carrier's recording does not pause in time.
        seconds: after so many it is over, whatever you forget (up to 900)."""
        return Private(self._live(), _within("private: seconds", seconds, MAX_PRIVATE_SECONDS))

    def gather(self, max_digits: int = MAX_DIGITS, end: str = "#", timeout_seconds: float = GATHER_SECONDS) -> str:
        """The keys that the caller presses now: up to `max_digits` (64), until the key `end`, which is no part of them,
        or until he has pressed none for `timeout_seconds`. Nobody else is told of them. In a plain function; an async
        one awaits `gather_async`. Mind the timeout of your tool: it should be longer."""
        _not_on_a_loop("await context.gather_async(…)")
        return wait_for(self._gather(max_digits, end, timeout_seconds))

    async def gather_async(
        self, max_digits: int = MAX_DIGITS, end: str = "#", timeout_seconds: float = GATHER_SECONDS
    ) -> str:
        """`gather`, in an async function."""
        return await asyncio.wrap_future(self._gather(max_digits, end, timeout_seconds))

    def _gather(self, max_digits: int, end: str, timeout_seconds: float) -> Future[str]:
        if not isinstance(max_digits, int) or not 1 <= max_digits <= MAX_DIGITS:
            raise ValueError(f"gather: max_digits is a whole number from 1 to {MAX_DIGITS}, not {max_digits!r}.")
        if not isinstance(end, str) or re.fullmatch("[0-9A-D*#]?", end) is None:
            raise ValueError(f"gather: end is one key, such as '#', or empty, not {end!r}.")
        seconds = _within("gather: timeout_seconds", timeout_seconds, MAX_GATHER_SECONDS)
        return self._live().gather(max_digits, end, seconds)


def _within(what: str, seconds: float, most: float) -> float:
    if not isinstance(seconds, int | float) or not (math.isfinite(seconds) and 0 < seconds <= most):
        raise ValueError(f"{what} is a number over 0 and up to {most:g}, not {seconds!r}.")
    return float(seconds)


def _not_on_a_loop(instead: str) -> None:
    """Waiting here would stop every call of the node."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"this is an async function: write `{instead}`")
