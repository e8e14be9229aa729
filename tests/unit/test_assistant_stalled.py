"""The assistant's lane before a carrier that takes nothing, on a real connection: what the kernel holds counts too."""

import asyncio
import base64
import contextlib
import re
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from fastbridge._assistant import AssistantLane
from fastbridge._pacing import FRAME_NS, Pacer
from fastbridge._wire import Wire
from loops import OnLoop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what the kernel holds is asked of Linux")

SMALL = 4096
SECOND = 8000


class Stage:
    """A lane on a clock of its own, and the far end of its connection, which reads when told to."""

    def __init__(self, transport: asyncio.Transport, far: socket.socket) -> None:
        self.now_ns = 1_000_000_000
        self.far = far
        self.told: list[bool] = []
        self.got = b""
        self.pacer = Pacer()
        self.lane = AssistantLane(
            pacer=self.pacer,
            clock=lambda: self.now_ns,
            on_event=lambda message: None,
            on_first_frame=lambda response_id: None,
            on_played=lambda response_id: None,
            on_full=lambda full: None,
            on_bad_frame=lambda number, size: None,
            on_stalled=self.told.append,
        )
        self.lane.start(b"MZ" + b"1" * 32, Wire(transport))
        self.lane.begin_response("r")
        self.lane.feed_delta(b"r", b"item", base64.b64encode(b"\x55" * 20 * SECOND))

    async def passes(self, seconds: float) -> None:
        for _ in range(round(seconds * 500)):
            self.now_ns += 2_000_000
            self.pacer.run(self.now_ns)
        await asyncio.sleep(0.01)

    def echo(self) -> None:
        """All marks that have come."""
        for name in re.findall(rb'"mark":{"name":"([^"]+)"', self.got):
            self.lane.mark(name)
        self.got = b""

    async def read(self, *, echo: bool = False) -> None:
        """All that is under way."""
        async with asyncio.timeout(10):
            while self.lane.untaken_bytes:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self.got += self.far.recv(65_536)
                await asyncio.sleep(0.002)
        if echo:
            self.echo()


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        far.connect(listening.getsockname())
        near, _ = listening.accept()
        far.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        try:
            yield Stage(transport, far)
        finally:
            transport.abort()
            await asyncio.sleep(0)


def test_pacing_waits_at_two_seconds_and_the_clock_of_what_is_heard_stands(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            lane = scene.lane
            await scene.passes(12)
            sent = lane.frames_sent
            assert 100 <= sent <= 150, "2 s, what the far end's kernel took, and 7 frames at most until the next mark"
            assert scene.told == [True]
            heard = lane.heard_bytes
            assert heard <= lane.sent_bytes - 100 * 160 + 25 * 160
            await scene.passes(3)
            assert (lane.frames_sent, lane.heard_bytes, scene.told) == (sent, heard, [True])
            assert lane.playing

    on_loop(test())


def test_when_it_takes_again_pacing_goes_on_as_from_the_beginning(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            lane = scene.lane
            await scene.passes(12)
            sent = lane.frames_sent
            await scene.read()
            await scene.passes(0.1)
            assert scene.told == [True, False]
            for _ in range(10):
                await scene.passes(0.1)
                await scene.read()
            seconds = (lane.frames_sent - sent) * FRAME_NS / 1e9
            assert 1.0 <= seconds <= 1.3, "in real time, after the lead: nothing of the pause is made up for"
            assert lane.schedule.tx_schedule_resets == 0
            assert lane.schedule.tx_late_frames == 0
            unheard = (lane.sent_bytes - lane.heard_bytes) * FRAME_NS / 160 / 1e9
            assert 1.9 < unheard < 2.5, "what came at once is played in its time"

    on_loop(test())


def test_a_carrier_whose_own_kernel_takes_it_all_is_known_by_its_marks(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            lane = scene.lane
            for _ in range(30):
                await scene.passes(0.1)
                await scene.read(echo=True)
            assert scene.told == []
            for _ in range(80):
                await scene.passes(0.1)
                await scene.read()
            sent, heard = lane.frames_sent, lane.heard_bytes
            assert scene.told == [True]
            assert 70 <= (lane.sent_bytes - heard) // 160 <= 140, "it stood still from the half second on"
            await scene.passes(3)
            assert (lane.frames_sent, lane.heard_bytes) == (sent, heard)
            scene.echo()
            await scene.passes(0.2)
            assert scene.told == [True, False]
            assert lane.frames_sent > sent

    on_loop(test())


def test_one_that_sends_no_marks_back_at_all_is_believed(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            for _ in range(60):
                await scene.passes(0.1)
                await scene.read()
            assert scene.told == []

    on_loop(test())


def test_a_carrier_that_takes_is_no_matter(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            for _ in range(50):
                await scene.passes(0.1)
                await scene.read()
            assert scene.told == []
            assert scene.lane.frames_sent >= 250

    on_loop(test())


def test_a_stall_ends_with_its_call(on_loop: OnLoop) -> None:
    async def test() -> None:
        async with stage() as scene:
            await scene.passes(12)
            scene.lane.close()
            assert scene.pacer.active == 0
            assert scene.lane.untaken_bytes > 0

    on_loop(test())
