"""The wire on real transports, of asyncio and of uvloop: at once while it can, through the transport when it must."""

import asyncio
import contextlib
import random
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fastbridge._websocket import text_frame
from fastbridge._wire import Outbox, Wire
from loops import OnLoop

SMALL = 4096


class Peer(asyncio.Protocol):
    paused = False
    lost: Exception | bool = False

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc or True


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, Wire, Peer, socket.socket]]:
    """A transport with small buffers, its wire, and the far end as a plain socket."""
    near, far = socket.socketpair()
    for end, option in ((near, socket.SO_SNDBUF), (far, socket.SO_RCVBUF)):
        end.setsockopt(socket.SOL_SOCKET, option, SMALL)
        end.setblocking(False)
    transport, peer = await asyncio.get_running_loop().create_connection(Peer, sock=near)
    try:
        yield transport, Wire(transport), peer, far
    finally:
        transport.abort()
        far.close()
        await asyncio.sleep(0)


async def read_all(far: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(far, 65_536), 5)
    return data


def test_a_write_is_on_the_wire_when_it_returns(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            wire.write(b"hello")
            assert far.recv(100) == b"hello"
            wire(b"again")
            assert far.recv(100) == b"again"
            assert (wire.direct_writes, wire.queued_writes) == (2, 0)

    on_loop(test())


def test_what_the_kernel_does_not_take_follows_whole_and_in_order(on_loop: OnLoop) -> None:
    async def test() -> None:
        pieces = [random.Random(size).randbytes(size) for size in range(1, 30_000, 701)]
        async with connected() as (_, wire, peer, far):
            for piece in pieces:
                wire.write(piece)
            assert wire.queued_writes > 1
            assert peer.paused
            assert await read_all(far, sum(map(len, pieces))) == b"".join(pieces)
            await asyncio.sleep(0.01)
            assert not peer.paused
            before = wire.direct_writes
            wire.write(b"straight again")
            assert far.recv(100) == b"straight again"
            assert wire.direct_writes == before + 1

    on_loop(test())


def test_writes_of_many_turns_keep_their_order(on_loop: OnLoop) -> None:
    async def test() -> None:
        chance = random.Random(7)
        pieces = [chance.randbytes(chance.choice([1, 300, 5000, 20_000])) for _ in range(80)]
        async with connected() as (_, wire, _, far):
            received = asyncio.create_task(read_all(far, sum(map(len, pieces))))
            for piece in pieces:
                wire.write(piece)
                if chance.random() < 0.3:
                    await asyncio.sleep(0)
            assert await received == b"".join(pieces)
            assert wire.queued_writes > 1
            assert wire.direct_writes >= 1

    on_loop(test())


def test_nothing_is_written_after_the_end(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            wire.close()
            wire.write(b"too late")
            with pytest.raises(BlockingIOError):
                far.recv(100)
            assert wire.direct_writes == wire.queued_writes == 0

    on_loop(test())


def test_a_broken_connection_is_the_transports_to_notice(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, peer, far):
            far.close()
            wire.write(b"x")
            wire.write(b"y")
            await asyncio.sleep(0.05)
            assert peer.lost

    on_loop(test())


def test_a_transport_that_encrypts_gets_everything(on_loop: OnLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop:
        """Writes down what a frame would have the loop do besides."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.loop = loop

        def call_soon(self, *arguments: Any) -> object:
            scheduled.append(arguments)
            return self.loop.call_soon(*arguments)

    class Encrypting:
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def get_extra_info(self, name: str) -> object:
            return object() if name == "ssl_object" else None

        def get_write_buffer_size(self) -> int:
            return 0

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            self.written.append(data)

    async def test() -> None:
        transport: Any = Encrypting()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: Loop(loop))
        wire = Wire(transport)
        monkeypatch.undo()
        wire.write(b"one")
        wire.write(b"two")
        assert transport.written == [b"one", b"two"]
        assert wire.direct_writes == 0
        assert scheduled == []

    scheduled: list[object] = []
    on_loop(test())


# What nobody has taken, wherever it waits


async def taken_by(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def over_tcp() -> AsyncIterator[tuple[asyncio.Transport, Wire, socket.socket]]:
    """A wire and the far end of its connection, where the kernel tells what was acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    try:
        yield transport, Wire(transport), far
    finally:
        transport.abort()
        far.close()
        await asyncio.sleep(0)


def test_what_is_taken_is_not_counted(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with over_tcp() as (_, wire, _):
            wire.write(bytes(1000))
            await taken_by(lambda: wire.untaken_bytes() == 0)

    on_loop(test())


def test_what_a_peer_does_not_read_is_counted_in_kernel_and_transport(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with over_tcp() as (transport, wire, far):
            written = 0
            while transport.get_write_buffer_size() < 100_000:
                wire.write(bytes(50_000))
                written += 50_000
            assert 0 < wire.untaken_bytes() - transport.get_write_buffer_size() <= written
            far.setblocking(False)

            def drained() -> bool:
                with contextlib.suppress(BlockingIOError):
                    far.recv(1 << 20)
                return wire.untaken_bytes() == 0

            await taken_by(drained)

    on_loop(test())


def test_a_closed_one_has_nothing(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with over_tcp() as (transport, wire, _):
            transport.close()
            assert wire.untaken_bytes() == 0

    on_loop(test())


# The outbox: frames of lanes, which post in C; here through a caller lane.


def caller_lane(outbox: Outbox, wire: Wire, now: list[int]) -> Any:
    from fastbridge._assistant import AssistantLane
    from fastbridge._caller import CallerLane
    from fastbridge._pacing import Pacer

    def nothing(*args: object) -> None:
        return None

    assistant = AssistantLane(
        pacer=Pacer(),
        clock=lambda: now[0],
        on_event=nothing,
        on_first_frame=nothing,
        on_played=nothing,
        on_full=nothing,
        on_bad_frame=nothing,
    )
    lane = CallerLane(
        clock=lambda: now[0], playing=assistant, detector=None, on_message=nothing, on_edge=nothing, outbox=outbox
    )
    lane.start(b"MZ1")
    lane.open(wire)
    return lane


def frames_of(data: bytes) -> list[bytes]:
    """Unmasked texts of whole frames."""
    from fastbridge._websocket import FrameReader

    found: list[bytes] = []
    FrameReader(server=True, max_size_bytes=1 << 16, on_text=found.append, on_other=lambda rest: True).feed(data)
    return found


def audio(n: int) -> bytes:
    return b64encode(bytes([n]) * 160)


def appended(n: int) -> bytes:
    return b'{"type":"input_audio_buffer.append","audio":"' + audio(n) + b'"}'


def received(far: socket.socket) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return far.recv(65_536)
    return b""


def test_a_posted_frame_leaves_at_the_flush_and_is_counted_then(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            lane = caller_lane(outbox, wire, [1_000])
            lane.feed_media(b"MZ1", 1, 0, audio(1))
            assert received(far) == b""
            assert sum(lane.latency_counts) == 0
            outbox.flush()
            assert frames_of(received(far)) == [appended(1)]
            assert sum(lane.latency_counts) == 1
            assert outbox.peak == 1
            outbox.flush()
            assert received(far) == b""

    on_loop(test())


def test_order_is_kept_by_a_second_frame_and_by_what_is_written_directly(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            lane = caller_lane(outbox, wire, [1_000])
            lane.feed_media(b"MZ1", 1, 0, audio(1))
            lane.feed_media(b"MZ1", 2, 20, audio(2))
            assert frames_of(received(far)) == [appended(1)]
            wire.write(text_frame(b"event", mask=True))
            assert frames_of(received(far)) == [appended(2), b"event"]
            outbox.flush()
            assert received(far) == b""

    on_loop(test())


def test_silence_for_lost_frames_leaves_before_the_frame_behind_them(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            lane = caller_lane(outbox, wire, [1_000])
            lane.feed_media(b"MZ1", 1, 0, audio(1))
            lane.feed_media(b"MZ1", 4, 60, audio(4))
            outbox.flush()
            assert frames_of(received(far)) == [appended(1), appended(255), appended(255), appended(4)]

    on_loop(test())


def test_what_was_posted_to_a_wire_that_closes_is_gone(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            lane = caller_lane(outbox, wire, [1_000])
            lane.feed_media(b"MZ1", 1, 0, audio(1))
            wire.close()
            outbox.flush()
            assert received(far) == b""

    on_loop(test())


def test_a_burst_of_one_caller_is_one_place_in_the_outbox(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            lane = caller_lane(outbox, wire, [1_000])
            for n in range(1, 8):
                lane.feed_media(b"MZ1", n, 20 * n, audio(n))
            assert outbox.peak == 1
            outbox.flush()
            assert frames_of(received(far)) == [appended(n) for n in range(1, 8)]

    on_loop(test())


def test_one_wire_that_fails_keeps_nobody_elses_frame(on_loop: OnLoop) -> None:
    class Broken(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return default

        def is_closing(self) -> bool:
            return False

        def get_write_buffer_size(self) -> int:
            return 0

        def write(self, data: Any) -> None:
            raise OSError("a bug")

    async def test() -> None:
        async with connected() as (_, wire, _, far):
            outbox = Outbox()
            caller_lane(outbox, Wire(Broken()), [1_000]).feed_media(b"MZ1", 1, 0, audio(1))
            caller_lane(outbox, wire, [1_000]).feed_media(b"MZ1", 1, 0, audio(2))
            with pytest.raises(OSError, match="a bug"):
                outbox.flush()
            outbox.flush()
            assert frames_of(received(far)) == [appended(2)]

    on_loop(test())
