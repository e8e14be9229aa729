"""The transport that the library is given: it writes through the wire, and is the transport in all else."""

import asyncio
import socket

import pytest

from fastbridge.net.outgoing import WiredTransport
from loops import OnLoop


def test_what_the_library_writes_keeps_its_place_among_ours(on_loop: OnLoop) -> None:
    async def test() -> None:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        wired = WiredTransport(transport)
        wired.wire.write(b"ours,")
        wired.write(b"theirs,")
        wired.wire.write(b"ours")
        assert far.recv(100) == b"ours,theirs,ours"
        assert wired.wire.direct_writes == 3
        transport.abort()
        far.close()

    on_loop(test())


@pytest.mark.parametrize("how", ["close", "abort"])
def test_nothing_is_written_once_it_closes(on_loop: OnLoop, how: str) -> None:
    async def test() -> None:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        wired = WiredTransport(transport)
        getattr(wired, how)()
        wired.wire.write(b"too late")
        assert transport.is_closing()
        await asyncio.sleep(0.01)
        assert far.recv(100) == b""
        far.close()

    on_loop(test())


def test_all_else_is_the_transports(on_loop: OnLoop) -> None:
    async def test() -> None:
        near, far = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        wired = WiredTransport(transport)
        wired.pause_reading()
        assert not transport.is_reading()
        assert wired.get_extra_info("socket").fileno() == near.fileno()
        wired.abort()
        assert transport.is_closing()
        far.close()

    on_loop(test())
