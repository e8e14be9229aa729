"""The reactor on real sockets, of asyncio and of uvloop: it reads for transports, and gives back what it must."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fastbridge._websocket import FrameReader, text_frame
from loops import OnLoop

if sys.platform == "linux":
    from fastbridge._reactor import Reactor, Source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


class Peer(asyncio.Protocol):
    """The protocol behind the reader: what the transport itself reads goes there too."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.on_text: Callable[[bytes], object] = self.messages.append
        self.reader = FrameReader(
            server=False, max_size_bytes=1 << 20, on_text=lambda text: self.on_text(text), on_other=lambda data: True
        )
        self.by_transport = 0
        self.ended: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.by_transport += len(data)
        self.reader.feed(data)

    def eof_received(self) -> bool:
        self.ended.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.append("lost")


class Line:
    """One connection: `far` is the peer's end."""

    def __init__(self, transport: asyncio.Transport, peer: Peer, far: socket.socket) -> None:
        self.transport, self.peer, self.far = transport, peer, far
        self.source: Source | None = None

    def send(self, *texts: bytes) -> None:
        self.far.sendall(b"".join(text_frame(text, mask=False) for text in texts))


@contextlib.asynccontextmanager
async def lines(reactor: "Reactor", count: int = 1) -> AsyncIterator[list[Line]]:
    made: list[Line] = []
    for _ in range(count):
        near, far = socket.socketpair()
        near.setblocking(False)
        transport, peer = await asyncio.get_running_loop().create_connection(Peer, sock=near)
        line = Line(transport, peer, far)
        line.source = reactor.adopt(transport, peer.reader)
        made.append(line)
    try:
        yield made
    finally:
        for line in made:
            if line.source is not None:
                line.source.release()
            line.transport.abort()
            line.far.close()
        await turns(3)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def settled(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.001)


def test_what_came_is_read_when_it_runs_and_not_by_the_transport(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor, 3) as (first, second, third):
            first.send(b"a", b"b")
            third.send(b"c")
            await turns(5)
            assert first.peer.messages == []
            reactor.run()
            assert (first.peer.messages, second.peer.messages, third.peer.messages) == ([b"a", b"b"], [], [b"c"])
            assert first.peer.by_transport == 0
            assert reactor.size == 3

    on_loop(test())


def test_more_sources_than_the_kernel_names_at_once_are_all_read(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor, 530) as many:
            for line in many:
                line.send(b"x")
            reactor.run()
            assert [line.peer.messages for line in many] == [[b"x"]] * 530

    on_loop(test())


def test_a_frame_in_pieces_is_put_together(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            frame = text_frame(b"abcdef", mask=False)
            for at in range(len(frame)):
                line.far.sendall(frame[at : at + 1])
                reactor.run()
            assert line.peer.messages == [b"abcdef"]

    on_loop(test())


def test_a_released_socket_is_its_transports_again_in_order(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            whole = text_frame(b"second", mask=False)
            line.send(b"first")
            line.far.sendall(whole[:3])
            reactor.run()
            line.source.release()
            line.far.sendall(whole[3:])
            await settled(lambda: len(line.peer.messages) == 2)
            reactor.run()
            assert line.peer.messages == [b"first", b"second"]
            assert reactor.size == 0
            line.source.release()  # again: nothing

    on_loop(test())


def test_the_end_of_a_stream_is_told_by_the_transport(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            line.send(b"last")
            line.far.shutdown(socket.SHUT_WR)
            reactor.run()
            reactor.run()
            await settled(lambda: "lost" in line.peer.ended)
            assert line.peer.messages == [b"last"]
            assert line.peer.ended == ["eof", "lost"]
            assert reactor.size == 0

    on_loop(test())


def test_a_paused_socket_is_not_read_though_its_peer_is_gone(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            line.source.pause()
            line.send(b"kept")
            line.far.shutdown(socket.SHUT_RDWR)
            reactor.run()
            await turns(5)
            assert line.peer.messages == []
            line.source.resume()
            reactor.run()
            assert line.peer.messages == [b"kept"]

    on_loop(test())


def test_a_socket_paused_when_it_is_released_stays_unread(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            line.source.pause()
            line.source.release()
            line.send(b"kept")
            await turns(10)
            assert line.peer.messages == []
            line.transport.resume_reading()
            await settled(lambda: line.peer.messages == [b"kept"])

    on_loop(test())


def test_a_source_that_let_go_by_itself_still_holds_the_reading(on_loop: OnLoop) -> None:
    """Its owner does not know, and has to stop the peer all the same."""

    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            line.far.shutdown(socket.SHUT_WR)
            assert line.source is not None
            reactor.run()
            assert reactor.size == 0
            assert line.transport.is_reading()
            if not line.transport.is_closing():
                line.source.pause()
                assert not line.transport.is_reading()
                line.source.resume()
                assert line.transport.is_reading()
            await asyncio.sleep(0.05)
            line.source.pause()  # and it may come too late
            line.source.resume()

    on_loop(test())


def test_a_callback_may_release_and_close_others_of_the_same_run(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor, 4) as many:

            def end_all(text: bytes) -> None:
                for line in many:
                    line.source.release()
                    line.transport.abort()

            for line in many:
                line.peer.on_text = end_all
                line.send(b"x")
            reactor.run()
            assert reactor.size == 0
            await settled(lambda: all("lost" in line.peer.ended for line in many))

    on_loop(test())


def test_what_is_released_in_a_run_lives_to_its_end(on_loop: OnLoop) -> None:
    """The kernel has named it already, by its address."""

    async def test() -> None:
        reactor = Reactor()
        alive: list[int] = []
        gc.collect()
        before = sources()
        async with lines(reactor, 2) as both:

            def give_back(text: bytes) -> None:
                for line in both:
                    if line.source is not None:
                        line.source.release()
                        line.source = None
                alive.append(sources() - before)

            for line in both:
                line.peer.on_text = give_back
                line.send(b"x")
            reactor.run()
            assert (alive, sources() - before) == ([2], 0)

    on_loop(test())


def sources() -> int:
    return sum(type(one) is Source for one in gc.get_objects())


def test_a_reader_that_fails_loses_its_own_connection_only(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))

        def fail(text: bytes) -> None:
            raise ValueError("a bug")

        async with lines(reactor, 2) as (bad, good):
            bad.peer.on_text = fail
            bad.send(b"x")
            good.send(b"y")
            reactor.run()
            await settled(lambda: bad.peer.ended)
            assert good.peer.messages == [b"y"]
            assert [str(each["exception"]) for each in failures] == ["a bug"]
            assert good.peer.ended == []

    on_loop(test())


def test_what_is_encrypted_or_closing_is_not_adopted(on_loop: OnLoop) -> None:
    class Encrypted:
        def get_extra_info(self, name: str) -> object:
            return object()

    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            assert reactor.adopt(Encrypted(), line.peer.reader) is None
            line.source.release()
            line.transport.abort()
            assert reactor.adopt(line.transport, line.peer.reader) is None
            assert reactor.size == 0

    on_loop(test())


def test_a_socket_is_adopted_once(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor) as (line,):
            assert reactor.adopt(line.transport, line.peer.reader) is None
            line.send(b"x")
            reactor.run()
            assert line.peer.messages == [b"x"]

    on_loop(test())


def test_one_socket_is_read_so_much_a_run_and_the_others_with_it(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor, 2) as (line, other):
            line.source.release()
            line.source = reactor.adopt(line.transport, line.peer.reader, read_bytes=8)
            line.send(*[b"ab"] * 6)  # of 4 bytes each
            other.send(b"c")
            reactor.run()
            assert (line.peer.messages, other.peer.messages) == ([b"ab"] * 2, [b"c"])
            reactor.run()
            assert len(line.peer.messages) == 4

    on_loop(test())


def test_all_are_given_back_when_nobody_will_run_it(on_loop: OnLoop) -> None:
    async def test() -> None:
        reactor = Reactor()
        async with lines(reactor, 3) as many:
            reactor.release_all()
            assert reactor.size == 0
            for line in many:
                line.send(b"x")
            await settled(lambda: all(line.peer.messages == [b"x"] for line in many))

    on_loop(test())
