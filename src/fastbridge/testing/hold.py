"""What a user's task waits for: a timer of its loop, which is virtual, or something of the world outside, which is not.

Read from the task itself: the future it waits for, and the coroutine that waits. What waits for other tasks waits for
what they wait for. What waits for us waits for the call, and the call for its timers. A lock, an event and a queue are
the world's only while a socket is open that might release them. Anything else is the world's.
"""

import asyncio
from asyncio import Future, Task
from collections.abc import Collection, Iterable, Iterator
from typing import Any

RELEASED_BY_OTHERS = {"asyncio.locks", "asyncio.queues"}
OURS = "fastbridge."
_END_OF_SLEEP = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]


def waits_outside(
    tasks: Iterable["Task[Any]"], asleep: Collection["Future[Any]"], *, sockets: bool
) -> Iterator["Future[Any]"]:
    """The futures by which these tasks wait for the world. asleep: those that a timer resolves. sockets: some are
    open."""
    seen: set[Future[Any]] = set()
    waiting: list[Future[Any]] = list(tasks)
    while waiting:
        each = waiting.pop()
        if each in seen or each.done():
            continue
        seen.add(each)
        if each in asleep:
            continue
        if not isinstance(each, Task):
            yield each
            continue
        waiter: Future[Any] | None = getattr(each, "_fut_waiter", None)
        if waiter is None or waiter in asleep:  # it runs at once
            continue
        others = _others(each, waiter)
        if others is not None:
            waiting += others
        elif not _waits_for_us(each, sockets=sockets):
            yield waiter


def _others(task: "Task[Any]", waiter: "Future[Any]") -> list["Future[Any]"] | None:
    """Whose end a task waits for; None if it is no task's."""
    if isinstance(waiter, Task):
        return [waiter]
    children: list[Future[Any]] | None = getattr(waiter, "_children", None)  # of asyncio.gather
    if children is not None:
        return children
    frame = _innermost(task)
    if frame is None:
        return None
    held, module = frame.f_locals, frame.f_globals.get("__name__")
    if module == "asyncio.taskgroups" and "self" in held:
        return list(getattr(held["self"], "_tasks", ()))
    if module == "asyncio.tasks" and frame.f_code.co_name in ("_wait", "wait_for"):
        return list(held["fs"]) if "fs" in held else [held["fut"]]
    return None


def _waits_for_us(task: "Task[Any]", *, sockets: bool) -> bool:
    frame = _innermost(task)
    module = str(frame.f_globals.get("__name__", "")) if frame is not None else ""
    return module.startswith(OURS) or (module in RELEASED_BY_OTHERS and not sockets)


def _innermost(task: "Task[Any]") -> Any:
    """The frame that waits, as far as it can be seen."""
    coroutine: Any = task.get_coro()
    frame = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None) or frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return frame


def sleepers(timers: Iterable[asyncio.TimerHandle]) -> set["Future[Any]"]:
    """What `asyncio.sleep` waits for."""
    return {timer._args[0] for timer in timers if timer._callback is _END_OF_SLEEP}  # type: ignore[attr-defined]
