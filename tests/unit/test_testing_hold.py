"""What a task waits for: a virtual timer, another task, or the world."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from fastbridge.testing.hold import sleepers, waits_outside


async def waiting(*, sockets: bool, on: Callable[[], Awaitable[Any]]) -> int:
    """How many things of the world a task waits for that awaits `on()`."""

    async def work() -> None:
        await on()

    task = asyncio.ensure_future(work())
    for _ in range(5):
        await asyncio.sleep(0)
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    found = list(waits_outside([task], sleepers(timers), sockets=sockets))
    everything = asyncio.all_tasks() - {asyncio.current_task()}
    for each in everything:
        each.cancel()
    await asyncio.gather(*everything, return_exceptions=True)
    return len(found)


async def grouped(*works: Awaitable[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)  # type: ignore[arg-type]


def nobody_knows() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def unknown() -> None:
    await nobody_knows()


def done() -> "asyncio.Future[None]":
    future = nobody_knows()
    future.set_result(None)
    return future


WAITS: dict[str, tuple[Callable[[], Awaitable[Any]], int]] = {
    "sleep": (lambda: asyncio.sleep(5), 0),
    "sleep in a timeout": (lambda: asyncio.wait_for(asyncio.sleep(5), 9), 0),
    "tasks that sleep": (lambda: asyncio.gather(asyncio.sleep(5), asyncio.sleep(6)), 0),
    "a task that sleeps": (lambda: asyncio.ensure_future(asyncio.sleep(5)), 0),
    "wait for sleep": (lambda: asyncio.wait([asyncio.ensure_future(asyncio.sleep(5))], timeout=9), 0),
    "a group that sleeps": (lambda: grouped(asyncio.sleep(5)), 0),
    "a future": (nobody_knows, 1),
    "a future in a timeout": (lambda: asyncio.wait_for(nobody_knows(), 9), 1),
    "one of two": (lambda: asyncio.gather(asyncio.sleep(5), nobody_knows()), 1),
    "one of two that is done": (lambda: asyncio.gather(done(), asyncio.sleep(5)), 0),
    "one of a group": (lambda: grouped(asyncio.sleep(5), unknown()), 1),
    "wait for a future": (lambda: asyncio.wait([nobody_knows()], timeout=9), 1),
}


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_what_it_is_whatever_lies_around_it(name: str, sockets: bool) -> None:
    on, expected = WAITS[name]
    assert asyncio.run(waiting(sockets=sockets, on=on)) == expected


@pytest.mark.parametrize("make", [lambda: asyncio.Event().wait(), lambda: asyncio.Queue[int]().get()])
def test_a_lock_is_the_worlds_while_a_socket_might_release_it(make: Callable[[], Awaitable[Any]]) -> None:
    assert asyncio.run(waiting(sockets=False, on=make)) == 0
    assert asyncio.run(waiting(sockets=True, on=make)) == 1


def test_what_waits_for_the_call_waits_for_its_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": "fastbridge.call.hangup"}
    exec("async def depart(future):\n    await future", namespace)
    assert asyncio.run(waiting(sockets=True, on=lambda: namespace["depart"](nobody_knows()))) == 0


def test_what_runs_waits_for_nothing() -> None:
    async def run() -> list[Any]:
        async def spin() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)

        task = asyncio.ensure_future(spin())
        await asyncio.sleep(0)
        found = list(waits_outside([task], set(), sockets=True))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return [*found, *waits_outside([task], set(), sockets=True)]

    assert asyncio.run(run()) == []


def test_threads_of_ones_own_are_the_worlds() -> None:
    """As of a database's driver."""

    async def driver() -> None:
        loop, future = asyncio.get_running_loop(), nobody_knows()
        threading.Timer(30, loop.call_soon_threadsafe, (future.set_result, None))  # never started
        await future

    assert asyncio.run(waiting(sockets=False, on=driver)) == 1
