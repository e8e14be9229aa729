"""fastbridge.outgoing: what nobody has taken is counted, wherever it waits."""

import asyncio
import contextlib
import socket

import pytest

from fastbridge.outgoing import WiredTransport


@pytest.fixture
def sockets():
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    ours.setblocking(False)
    yield ours, theirs
    for each in (ours, theirs, listener):
        each.close()


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.01)


async def wired(ours: socket.socket) -> WiredTransport:
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    return WiredTransport(transport)


async def taken(ours):
    transport = await wired(ours)
    transport.write(bytes(1000))
    await until(lambda: transport.wire.untaken_bytes() == 0)
    transport.close()


async def not_read(ours, theirs):
    transport = await wired(ours)
    written = 0
    while transport.get_write_buffer_size() < 100_000:
        transport.write(bytes(50_000))
        written += 50_000
    in_kernel = transport.wire.untaken_bytes() - transport.get_write_buffer_size()
    assert 0 < in_kernel <= written
    theirs.setblocking(False)

    def drained() -> bool:
        with contextlib.suppress(BlockingIOError):
            theirs.recv(1 << 20)
        return transport.wire.untaken_bytes() == 0

    await until(drained)
    transport.close()


async def closed(ours):
    transport = await wired(ours)
    transport.close()
    assert transport.wire.untaken_bytes() == 0


def test_what_is_taken_is_not_counted(sockets):
    asyncio.run(taken(sockets[0]))


def test_what_a_peer_does_not_read_is_counted_in_kernel_and_transport(sockets):
    asyncio.run(not_read(*sockets))


def test_a_closed_one_has_nothing(sockets):
    asyncio.run(closed(sockets[0]))
