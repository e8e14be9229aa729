"""From when a request's sender waits, and for what."""

import asyncio
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from fastbridge.net import arrival
from fastbridge.net.arrival import Arrival, came_ns

MS = 1_000_000


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now_ns=10**9)
    monkeypatch.setattr(arrival, "time", SimpleNamespace(monotonic_ns=lambda: clock.now_ns))
    return clock


def test_each_part_of_the_wait_has_its_name(clock):
    came = Arrival()
    came.head(clock.now_ns)
    came.body(clock.now_ns + 100 * MS)
    clock.now_ns += 130 * MS
    came.read()
    clock.now_ns += 7 * MS
    assert came.waits_ms() == (137, {"body_ms": 100, "lag_ms": 30, "work_ms": 7})


def test_a_body_of_which_nobody_has_told_came_when_it_was_read(clock):
    came = Arrival()
    clock.now_ns += 50 * MS
    came.read()
    assert came.waits_ms() == (50, {"body_ms": 50, "lag_ms": 0, "work_ms": 0})


def test_the_next_request_of_a_connection_begins_anew(clock):
    came = Arrival()
    came.body(clock.now_ns + 100 * MS)
    came.read()
    clock.now_ns += 10_000 * MS
    came.head(clock.now_ns)
    assert came.waits_ms() == (0, {"body_ms": 0, "lag_ms": 0, "work_ms": 0})


def test_a_body_cannot_have_come_before_its_head(clock):
    """The kernel counts in steps of some milliseconds."""
    came = Arrival()
    came.body(clock.now_ns - 3 * MS)
    came.read()
    assert came.waits_ms() == (0, {"body_ms": 0, "lag_ms": 0, "work_ms": 0})


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel tells it on Linux")
@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
def test_bytes_that_lay_in_the_kernel_came_before_they_were_read(loop_factory: Any) -> None:
    ages_ms: list[float] = []

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            ages_ms.append((time.monotonic_ns() - came_ns(self.transport)) / MS)

    async def scene() -> None:
        server = await asyncio.get_running_loop().create_server(Reader, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            await asyncio.sleep(0.05)
            client.sendall(b"x")
            time.sleep(0.1)  # noqa: ASYNC251 - a loop that has something else to do
            await asyncio.sleep(0.05)
            client.sendall(b"x")
            await asyncio.sleep(0.05)
        server.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scene())
    late, prompt = ages_ms
    assert late >= 90
    assert prompt < late


class Silent:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def getsockopt(self, *_: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("found", [None, Silent(OSError(95, "not TCP")), Silent(b"short"), Silent(TypeError())])
def test_where_the_kernel_says_nothing_they_came_now(clock, found):
    assert came_ns(SimpleNamespace(get_extra_info=lambda name: found)) == clock.now_ns
