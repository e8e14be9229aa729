"""The loop whose clock is ours: nothing sleeps, and no real work is overtaken."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from fastbridge.testing.loop import MS, LeapingLoop, VirtualLoop

MINUTE = 60.0
REAL_SECONDS = 0.15


@pytest.fixture(params=[VirtualLoop, LeapingLoop])
def loop(request: pytest.FixtureRequest) -> Iterator[VirtualLoop]:
    made: VirtualLoop = request.param(5.0)
    yield made
    for task in asyncio.all_tasks(made):
        task.cancel()
    made.do(lambda: None)
    made.close()


def begun(loop: VirtualLoop, work: object) -> "asyncio.Task[None]":
    task: asyncio.Task[None] = loop.do(loop.spawn, work)
    return task


def test_an_hour_passes_at_once_and_exactly(loop: VirtualLoop) -> None:
    began_ns, began = loop.now_ns, time.monotonic()
    loop.advance(3600)
    assert loop.now_ns - began_ns == 3600 * 1000 * MS
    assert time.monotonic() - began < 5


def test_timers_fire_in_their_order(loop: VirtualLoop) -> None:
    seen: list[float] = []
    for seconds in (3.0, 1.0, 2.0):
        loop.do(loop.call_later, seconds, lambda seconds=seconds: seen.append(seconds))
    loop.advance(10)
    assert seen == [1.0, 2.0, 3.0]


def test_a_thread_is_not_overtaken(loop: VirtualLoop) -> None:
    async def tool() -> float:
        began = loop.time()
        await asyncio.to_thread(time.sleep, REAL_SECONDS)
        return loop.time() - began

    async def timed() -> None:
        async with asyncio.timeout(0.001):
            assert await tool() == 0

    task = begun(loop, timed())
    loop.advance(MINUTE)
    task.result()


def test_nor_is_one_that_no_task_waits_for(loop: VirtualLoop) -> None:
    done = loop.do(loop.run_in_executor, None, time.sleep, REAL_SECONDS)
    loop.advance(MINUTE)
    assert done.done()


def test_nor_is_a_socket_that_sets_an_event(loop: VirtualLoop) -> None:
    """As the drivers of many databases, and HTTP clients, wait."""
    mine, theirs = socket.socketpair()

    async def tool() -> None:
        event = asyncio.Event()
        loop.add_reader(mine, event.set)
        async with asyncio.timeout(0.001):
            await event.wait()
        loop.remove_reader(mine)

    task = begun(loop, tool())
    timer = threading.Timer(REAL_SECONDS, theirs.send, (b"x",))
    timer.start()
    loop.advance(MINUTE)
    task.result()
    timer.join()
    mine.close()
    theirs.close()


def test_a_socket_is_not_overtaken_and_a_sleep_beside_an_open_one_is_virtual(loop: VirtualLoop) -> None:
    answers = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        line, _ = answers.accept()
        with line:
            time.sleep(REAL_SECONDS)
            line.sendall(b"nine\n")
            line.recv(1)  # stays open until the other end goes

    server = threading.Thread(target=serve)
    server.start()

    async def tool() -> None:
        began, real = loop.time(), time.monotonic()
        reader, writer = await asyncio.open_connection(*answers.getsockname())
        async with asyncio.timeout(0.001):
            assert await reader.readline() == b"nine\n"
        assert loop.time() - began < 0.001
        await asyncio.sleep(MINUTE)
        assert loop.time() - began >= MINUTE
        assert time.monotonic() - real < 4
        writer.close()

    task = begun(loop, tool())
    loop.advance(2 * MINUTE)
    task.result()
    server.join()
    answers.close()
    assert loop.ran_on == 0


def test_a_thread_of_somebody_elses_is_not_overtaken(loop: VirtualLoop) -> None:
    async def tool() -> None:
        future = loop.create_future()
        threading.Timer(REAL_SECONDS, loop.call_soon_threadsafe, (future.set_result, 1)).start()
        async with asyncio.timeout(0.001):
            await future

    task = begun(loop, tool())
    loop.advance(MINUTE)
    task.result()


def test_an_event_that_the_call_sets_is_virtual(loop: VirtualLoop) -> None:
    event = asyncio.Event()

    async def tool() -> None:
        await event.wait()

    task = begun(loop, tool())
    loop.do(loop.call_later, MINUTE, event.set)
    loop.advance(2 * MINUTE)
    task.result()
    assert loop.ran_on == 0


@pytest.mark.parametrize("made", [VirtualLoop, LeapingLoop])
def test_after_its_patience_the_clock_goes_on_and_timeouts_decide(made: type[VirtualLoop]) -> None:
    loop = made(REAL_SECONDS)
    ended: list[float] = []

    async def tool() -> None:
        began = loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await loop.create_future()
        ended.append(loop.time() - began)

    real = time.monotonic()
    begun(loop, tool())
    loop.advance(MINUTE)
    assert ended == [pytest.approx(10)]
    assert REAL_SECONDS <= time.monotonic() - real < 4
    assert loop.ran_on == 1
    loop.close()


def test_what_is_not_a_users_holds_nothing(loop: VirtualLoop) -> None:
    """Whoever drives the loop waits for futures, too."""
    waiting = loop.create_future()
    loop.do(loop.call_later, MINUTE, waiting.set_result, None)
    loop.run_until_complete(waiting)
    assert loop.ran_on == 0


def test_a_loop_that_waits_for_nothing_says_so(loop: VirtualLoop) -> None:
    with pytest.raises(AssertionError, match="can never happen"):
        loop.run_until_complete(loop.create_future())


def test_what_a_task_raises_is_kept(loop: VirtualLoop) -> None:
    async def bad() -> None:
        raise ValueError("bad")

    begun(loop, bad())
    loop.advance(0)
    assert [str(each["exception"]) for each in loop.failures] == ["bad"]
    assert loop.tasks == set()
