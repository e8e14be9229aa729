"""The line between two processes: messages whole and in order, connections that stay open, and its bounds."""

import asyncio
import os
import socket
from typing import Any

import pytest

from fastbridge.net import handover
from fastbridge.net.handover import MAX_PAYLOAD_BYTES, Line, line_pair
from loops import FACTORIES, runner


@pytest.fixture(params=sorted(FACTORIES))
def on_loop(request):
    return runner(request.param)


class End:
    """One end, and what came out of it."""

    def __init__(self, end: socket.socket) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.connections: list[socket.socket] = []
        self.closed = 0
        self.line = Line(end, self._on_message, self._on_closed)

    def _on_message(self, letter: str, payload: bytes, connection: Any) -> None:
        self.heard.append((letter, payload))
        if connection is not None:
            self.connections.append(connection)

    def _on_closed(self) -> None:
        self.closed += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.heard) < count:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.001)


def ends() -> tuple[End, End]:
    one, other = line_pair()
    return End(one), End(other)


def test_messages_go_both_ways_whole_and_in_order(on_loop):
    async def scene() -> None:
        one, other = ends()
        sent = [("a", b""), ("b", b"x" * MAX_PAYLOAD_BYTES), ("c", bytes(range(256)))]
        for letter, payload in sent:
            assert one.line.send(letter, payload)
        assert other.line.send("z", b"back")
        await other.until(3)
        await one.until(1)
        assert other.heard == sent
        assert one.heard == [("z", b"back")]
        one.line.close()
        other.line.close()

    on_loop(scene())


def test_a_connection_lives_on_in_other_hands(on_loop):
    async def scene() -> None:
        one, other = ends()
        ours, peer = socket.socketpair()
        with peer:
            assert one.line.send("c", b"read so far", ours)
            ours.close()
            await other.until(1)
            (theirs,) = other.connections
            with theirs:
                assert not theirs.get_inheritable()
                peer.sendall(b"more")
                assert theirs.recv(10) == b"more"
                theirs.sendall(b"answer")
                assert peer.recv(10) == b"answer"
            assert peer.recv(1) == b""
        one.line.close()
        other.line.close()

    on_loop(scene())


def test_what_the_other_end_does_not_take_waits_and_then_comes_in_order(on_loop):
    async def scene() -> None:
        one, end = line_pair()
        sender = End(one)
        pipes = [socket.socketpair() for _ in range(40)]
        for number, (ours, _) in enumerate(pipes):
            assert sender.line.send("c", number.to_bytes(2, "big") + b"x" * 40_000, ours)
            ours.close()
        assert sender.line.peak_waiting > 0
        receiver = End(end)
        await receiver.until(40)
        assert [int.from_bytes(payload[:2], "big") for _, payload in receiver.heard] == list(range(40))
        for (_, peer), theirs in zip(pipes, receiver.connections, strict=True):
            theirs.sendall(b"!")
            assert peer.recv(1) == b"!"
            theirs.close()
            peer.close()
        sender.line.close()
        receiver.line.close()

    on_loop(scene())


def test_what_has_waited_and_was_sent_is_not_kept_open_here(on_loop):
    async def scene() -> None:
        one, end = line_pair()
        sender = End(one)
        ours, peer = socket.socketpair()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(40):
            assert sender.line.send("c", b"x" * 40_000, ours)
        receiver = End(end)
        await receiver.until(40)
        assert sender.line.peak_waiting > 0
        for theirs in receiver.connections:
            theirs.close()
        assert len(os.listdir("/proc/self/fd")) == before
        for one_of in (ours, peer, sender.line, receiver.line):
            one_of.close()

    on_loop(scene())


def test_what_is_too_much_is_refused_and_nothing_is_left_open(on_loop, monkeypatch):
    monkeypatch.setattr(handover, "MAX_WAITING", 3)

    async def scene() -> None:
        one, end = line_pair()
        sender = End(one)
        ours, peer = socket.socketpair()
        before = len(os.listdir("/proc/self/fd"))
        assert not sender.line.send("x", b"x" * (MAX_PAYLOAD_BYTES + 1))
        while sender.line.send("c", b"x" * 40_000, ours):
            pass
        assert sender.line.peak_waiting == 3
        assert len(os.listdir("/proc/self/fd")) == before + 3
        sender.line.close()
        sender.line.close()
        end.close()
        assert len(os.listdir("/proc/self/fd")) == before - 2
        assert not sender.line.send("x")
        ours.close()
        peer.close()

    on_loop(scene())


def test_an_end_that_is_gone_is_told_once(on_loop):
    async def scene() -> None:
        one, other = ends()
        other.line.close()
        one.line.send("x")  # may fail or not; either way it does not raise
        async with asyncio.timeout(5):
            while not one.closed:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert (one.closed, other.closed) == (1, 0)
        assert not one.line.send("x")

    on_loop(scene())
