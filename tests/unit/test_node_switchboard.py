"""The switchboard: its workers' numbers summed, its connections given away, its settings shared out."""

import asyncio
import json
import signal
import socket
from typing import Any

import pytest

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.net.handover import Line, line_pair
from fastbridge.node import switchboard as module
from fastbridge.node.dispatch import ANYONE
from fastbridge.node.metrics import Metrics, Snapshot
from fastbridge.node.switchboard import (
    COLLECT,
    CONNECTION,
    PING,
    READY,
    SNAPSHOT,
    Switchboard,
    WorkerProcess,
    create_app,
    share,
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


class Process:
    """A worker's process that ends when it is told to, or killed."""

    pid = 4_000_000

    def __init__(self, *, obedient: bool = True) -> None:
        self.signals: list[int] = []
        self.ended = asyncio.Event()
        self.obedient = obedient
        self.returncode: int | None = None

    async def wait(self) -> int:
        await self.ended.wait()
        return self.returncode or 0

    def end(self, code: int) -> None:
        self.returncode = code
        self.ended.set()

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        if self.obedient or number == 9:
            self.end(-number)

    def kill(self) -> None:
        self.send_signal(9)


class FakeWorker:
    """A worker's end of the line: it answers with what it is told to."""

    def __init__(self, number: int, end: socket.socket) -> None:
        self.process: Any = Process()
        self.metrics = Metrics()
        self.metrics.set("workers", 1)
        self.answers = True
        self.given: list[bytes] = []
        self.line = Line(end, self._on_message, lambda: None)

    def _on_message(self, letter: str, payload: bytes, connection: Any) -> None:
        if letter == CONNECTION:
            self.given.append(payload)
            connection.close()
        elif letter == PING and self.answers:
            self.line.send(PING)
        elif letter == COLLECT and self.answers:
            self.line.send(SNAPSHOT, json.dumps(self.metrics.snapshot()).encode())


class Board(Switchboard):
    """A switchboard whose workers are fakes."""

    def __init__(self, count: int = 2, *, ready: bool = True, **settings: Any) -> None:
        super().__init__(load_settings(workers=count, dev=True, **settings), None, module.Path("unused"))
        self.fakes: dict[int, FakeWorker] = {}
        self.begun: list[tuple[int, bool]] = []
        self.make_ready = ready

    async def _begin(self, number: int, *, again: bool = False) -> WorkerProcess:
        ours, theirs = line_pair()
        fake = self.fakes[number] = FakeWorker(number, theirs)
        self.begun.append((number, again))
        worker = self._running[number] = WorkerProcess(number, fake.process, ours)
        if self.make_ready:
            fake.line.send(READY)
        return worker

    async def stop(self) -> None:
        await self.close()
        for fake in self.fakes.values():
            fake.line.close()


def run(scene: Any) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(limited())


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 (another process tells nobody)
        await asyncio.sleep(0.001)


async def started(board: Board) -> None:
    assert await board.start() == 0
    await until(lambda: all(worker.ready.is_set() for worker in board._running.values()))


def value(snapshot: Snapshot, name: str, *labels: str) -> Any:
    return next(value for found, value in snapshot[name] if found == list(labels))


def test_numbers_are_summed_and_what_a_dead_one_counted_stays(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)

    async def scene() -> None:
        board = Board(2, max_calls=7)
        await started(board)
        for number, fake in board.fakes.items():
            fake.metrics.add("calls", number + 1, "inbound", "customer_hangup")
            fake.metrics.set("calls_live", 3)
            fake.metrics.observe("loop_lag_seconds", 0.003)
        board.refuse("slow")
        snapshot = await board.collect()
        assert value(snapshot, "calls", "inbound", "customer_hangup") == 3
        assert value(snapshot, "calls_live") == 6
        assert value(snapshot, "workers") == 2
        assert value(snapshot, "calls_capacity") == 7
        assert value(snapshot, "rejections", "slow") == 1
        assert sum(value(snapshot, "loop_lag_seconds")[:-1]) == 2
        assert board.state() == {"ready": True, "draining": False, "calls": 6, "capacity": 7, "workers": 2}
        board.fakes[1].process.end(-9)
        await until(lambda: board.begun[-1] == (1, True))
        snapshot = await board.collect()
        assert value(snapshot, "calls", "inbound", "customer_hangup") == 3
        assert value(snapshot, "calls_live") == 3
        assert sum(value(snapshot, "loop_lag_seconds")[:-1]) == 2
        await board.stop()

    run(scene)


def test_one_that_does_not_answer_does_not_hold_up_the_rest(monkeypatch):
    monkeypatch.setattr(module, "COLLECT_SECONDS", 0.05)

    async def scene() -> None:
        board = Board(2)
        await started(board)
        for fake in board.fakes.values():
            fake.metrics.add("fillers", 2)
        assert value(await board.collect(), "fillers") == 4
        board.fakes[0].answers = False
        board.fakes[1].metrics.add("fillers", 1)
        for _ in range(2):
            snapshot = await board.collect()
            assert (value(snapshot, "fillers"), value(snapshot, "workers")) == (5, 1)
        await board.stop()

    run(scene)


def test_one_that_hangs_is_ended_and_succeeded(monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "COLLECT_SECONDS", 0.01)
    monkeypatch.setattr(module, "HUNG_SECONDS", 0.05)

    async def scene() -> None:
        board = Board(2)
        await started(board)
        hung = board.fakes[0]
        hung.answers = False
        await until(lambda: board.begun[-1] == (0, True))
        assert hung.process.signals == [9]
        assert board.fakes[1].process.signals == []
        await board.stop()

    run(scene)
    assert "worker 0 hangs" in caplog.text
    assert "worker=0, exit_code=-9" in caplog.text


def test_a_first_worker_that_never_comes_up_is_the_end_with_its_exit_code():
    async def scene() -> None:
        board = Board(3, ready=False)
        starting = asyncio.ensure_future(board.start())
        await until(lambda: board.fakes)
        board.fakes[0].process.end(2)
        assert await starting == 2
        assert board.begun == [(0, False)]
        await board.stop()

    run(scene)


def test_one_that_always_ends_at_once_is_begun_ever_more_slowly(monkeypatch):
    waits: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        if seconds in (module.LOOK_SECONDS, module.PING_SECONDS):
            await sleep(seconds)
        waits.append(seconds)
        await sleep(0)

    async def scene() -> None:
        board = Board(1)
        await started(board)
        with monkeypatch.context() as patch:
            patch.setattr(module, "LOOK_SECONDS", 2.5)
            patch.setattr(module, "PING_SECONDS", 2.6)
            patch.setattr(module.asyncio, "sleep", counted)
            for _ in range(9):
                begun = len(board.begun)
                board.fakes[0].process.end(1)
                while len(board.begun) == begun:
                    await sleep(0)
        await board.stop()

    run(scene)
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_a_connection_goes_to_its_worker_or_else_to_one_that_lives():
    async def scene() -> None:
        board = Board(3)
        await started(board)
        ours, peer = socket.socketpair()
        assert board.hand_over(1, b"one", ours)
        await until(lambda: board.fakes[1].given == [b"one"])
        for _ in range(6):
            assert board.hand_over(ANYONE, b"any", ours)
        await until(lambda: [fake.given.count(b"any") for fake in board.fakes.values()] == [2, 2, 2])
        dead = board._running.pop(1)
        assert board.hand_over(1, b"next", ours)
        await until(lambda: board.fakes[2].given[-1] == b"next")
        board._running[1] = dead
        await board.stop()
        assert not board.hand_over(1, b"none", ours)
        ours.close()
        peer.close()

    run(scene)


def test_one_that_is_silent_gets_no_new_calls_until_it_answers(monkeypatch, caplog):
    monkeypatch.setattr(module, "PING_SECONDS", 0.01)
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.05)

    async def scene() -> None:
        board = Board(2)
        await started(board)
        ours, peer = socket.socketpair()
        silent, other = board.fakes[1], board.fakes[0]
        silent.answers = False
        await until(lambda: board._running[1].silent)
        assert not board._running[0].silent
        for _ in range(4):
            assert board.hand_over(1, b"call", ours)
            assert board.hand_over(ANYONE, b"any", ours)
        await until(lambda: len(other.given) == 8)
        assert board.hand_over(1, b"stream", ours, bound=True)
        await until(lambda: silent.given == [b"stream"])
        await asyncio.sleep(0.05)
        silent.answers = True
        silent.line.send(PING)
        await until(lambda: not board._running[1].silent)
        assert board.hand_over(1, b"call", ours)
        await until(lambda: silent.given == [b"stream", b"call"])
        ours.close()
        peer.close()
        await board.stop()

    run(scene)
    assert caplog.text.count("[NODE] a worker does not answer: new calls go to the others, worker=1") == 1


def test_one_that_only_begins_is_waited_for(caplog):
    """A call's later webhooks go to where its number leads: a call in another's place would not be found."""
    caplog.set_level("INFO")

    async def scene() -> None:
        board = Board(2)
        await started(board)
        board._running[1].ready.clear()
        ours, peer = socket.socketpair()
        assert board.hand_over(1, b"call", ours)
        await until(lambda: board.fakes[1].given == [b"call"])
        ours.close()
        peer.close()
        await board.stop()

    run(scene)
    assert caplog.text.count("[BOOT] a worker is ready, worker=1") == 1


def test_the_port_opens_when_all_of_them_are_up():
    async def scene() -> None:
        board = Board(2, ready=False)
        starting = asyncio.ensure_future(board.start())
        await until(lambda: 0 in board.fakes)
        board.fakes[0].line.send(READY)
        await until(lambda: 1 in board.fakes)
        await asyncio.sleep(0.05)
        assert not starting.done()
        board.fakes[1].line.send(READY)
        assert await starting == 0
        await board.stop()

    run(scene)


def test_calls_are_cut_off_by_the_workers():
    async def scene() -> None:
        board = Board(2)
        await started(board)
        for fake in board.fakes.values():
            fake.process.obedient = False
        board.drain()
        board.cut()
        assert [fake.process.signals for fake in board.fakes.values()] == [[signal.SIGTERM] * 2] * 2
        for fake in board.fakes.values():
            fake.process.end(0)
        await until(lambda: not board.busy)
        await board.stop()

    run(scene)


def test_where_all_are_silent_each_gets_its_own(monkeypatch):
    monkeypatch.setattr(module, "SILENT_SECONDS", -1.0)

    async def scene() -> None:
        board = Board(2)
        await started(board)
        ours, peer = socket.socketpair()
        for fake in board.fakes.values():
            fake.answers = False
        await until(lambda: all(worker.silent for worker in board._running.values()))
        assert board.hand_over(1, b"call", ours)
        await until(lambda: board.fakes[1].given == [b"call"])
        ours.close()
        peer.close()
        await board.stop()

    run(scene)


def test_a_drain_is_told_to_all_and_has_no_successors(caplog):
    async def scene() -> None:
        board = Board(2)
        await started(board)
        for fake in board.fakes.values():
            fake.process.obedient = False
        board.drain()
        assert board.state()["ready"] is False
        assert value(await board.collect(), "draining") == 1
        assert board.busy
        for fake in board.fakes.values():
            assert fake.process.signals == [15]
            fake.process.end(0)
        await until(lambda: not board.busy)
        assert len(board.begun) == 2
        await board.stop()

    run(scene)
    assert "a worker ended" not in caplog.text


def test_one_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(module, "STOP_SECONDS", -2.95)

    async def scene() -> None:
        board = Board(2)
        await started(board)
        board.fakes[1].process.obedient = False
        await board.stop()
        assert board.fakes[0].process.signals == [15]
        assert board.fakes[1].process.signals == [15, 9]
        assert not board.busy

    run(scene)


def test_caps_are_shared_out_and_metrics_are_not():
    settings = load_settings(workers=3, max_calls=400, max_pending_calls=2, max_connections=10, metrics_public=True)
    part = share(settings)
    assert (part.max_calls, part.max_pending_calls, part.max_connections, part.max_connections_per_ip) == (
        134,
        1,
        4,
        667,
    )
    assert (part.metrics_port, part.metrics_public) == (0, False)


@pytest.mark.parametrize("public", [False, True])
def test_what_the_node_itself_answers(public):
    async def scene() -> None:
        board = Board(1, metrics_public=public)
        paths = {route.path for route in create_app(board.settings, board).routes}  # type: ignore[attr-defined]
        assert paths == {"/healthz", "/readyz"} | ({"/metrics"} if public else set())

    run(scene)


def test_a_successor_that_was_being_begun_when_the_drain_began_is_told():
    async def scene() -> None:
        board = Board(1)
        await started(board)
        begin = board._begin

        async def overtaken(number: int, *, again: bool = False) -> WorkerProcess:
            board.drain()
            return await begin(number, again=again)

        board._begin = overtaken  # type: ignore[method-assign]
        board.fakes[0].process.end(1)
        await until(lambda: len(board.begun) == 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert (board.fakes[0].process.signals, board.busy) == ([signal.SIGTERM], False)
        await board.stop()

    run(scene)


def test_numbers_that_could_not_be_asked_for_are_asked_for_the_next_time(monkeypatch):
    monkeypatch.setattr(module, "COLLECT_SECONDS", 0.05)

    async def scene() -> None:
        board = Board(1)
        await started(board)
        board.fakes[0].metrics.add("fillers", 2)
        line = board._running[0].line
        with monkeypatch.context() as patch:
            patch.setattr(line, "send", lambda *_: False)  # there is no room on it
            assert value(await board.collect(), "workers") == 0
        assert value(await board.collect(), "fillers") == 2
        await board.stop()

    run(scene)
