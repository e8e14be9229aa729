"""`fastbridge serve --workers N`: one port, N processes with calls, and this one, which has none.

The switchboard owns the port. It reads as much of each connection as tells whose it is (`dispatch`), and gives it to
that worker; audio never passes through here. It keeps the workers alive: one that ends has a successor under its number
at once, and the others know nothing of it. It sums up what they count. If it dies the workers finish their calls. Linux
only.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from math import ceil
from pathlib import Path
from typing import Any

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastbridge.base.addresses import networks
from fastbridge.base.refusals import REASONS, Reason
from fastbridge.config import Settings
from fastbridge.net import descriptors, listening
from fastbridge.net.connections import Connections
from fastbridge.net.handover import Line, line_pair
from fastbridge.node.dispatch import ANYONE, CLOSE, Dispatcher
from fastbridge.node.exporter import CONTENT_TYPE, Exporter, exposition
from fastbridge.node.metrics import Metrics, Snapshot, merge, retired
from fastbridge.node.server import STOP_SECONDS, Server, announce, server_config
from fastbridge.observe import log_policy as log
from fastbridge.observe import notices

logger = logging.getLogger(__name__)

# What is said on the line to a worker.
CONNECTION = "c"
"""To it: a connection, and what has been read of it."""
COLLECT = "m"
"""To it: send your numbers."""
SNAPSHOT = "s"
"""From it: its numbers, as JSON."""
READY = "r"
"""From it: it takes connections."""
PING = "p"
"""To it, and the same back: its loop turns."""

COLLECT_SECONDS = 1.0
"""How long a scrape waits for a worker."""
LOOK_SECONDS = 2.0
"""How often the workers are asked for their numbers unasked: so much at most is lost of one that dies."""
PING_SECONDS = 0.5
SILENT_SECONDS = 1.0
"""A worker that has not answered a ping for so long gets no new calls until it does."""
HUNG_SECONDS = 20.0
"""A worker that says nothing for so long is ended: its calls have been silent for as long."""
STEADY_SECONDS = 30.0
FIRST_WAIT_SECONDS = 0.5
LAST_WAIT_SECONDS = 15.0
"""A worker's successor begins at once. Where that, too, ends within STEADY_SECONDS the next ones wait, ever longer."""


class WorkerProcess:
    """A worker, seen from here."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, end: Any) -> None:
        self.number = number
        self.process = process
        self.ready = asyncio.Event()
        self.snapshot: Snapshot = {}
        self.began_s = self.heard_s = time.monotonic()
        self.line = Line(end, self._on_message, lambda: None)  # its end is noticed by its process
        self._asked: asyncio.Future[None] | None = None
        self._pinged_s = 0.0  # when it was sent the ping it owes an answer to; 0: it owes none
        self.said_silent = False

    def ping(self) -> None:
        if not self._pinged_s and self.line.send(PING):
            self._pinged_s = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether it has owed an answer for too long."""
        return bool(self._pinged_s) and time.monotonic() - self._pinged_s > SILENT_SECONDS

    def ask(self) -> "asyncio.Future[None]":
        """For its numbers; done when they are here."""
        if self._asked is not None:
            return self._asked
        asked = asyncio.get_running_loop().create_future()
        if self.line.send(COLLECT):
            self._asked = asked
        return asked

    @property
    def owes_an_answer(self) -> bool:
        return self._asked is not None

    def _on_message(self, letter: str, payload: bytes, _: object) -> None:
        self.heard_s = time.monotonic()
        self._pinged_s = 0.0
        if letter == READY:
            self.ready.set()
            notices.worker_ready(self.number)
        elif letter == SNAPSHOT:
            self.snapshot = json.loads(payload)
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(None)
            self._asked = None


class Switchboard:
    """The workers of one node. agent: as for `fastbridge serve`."""

    def __init__(self, settings: Settings, agent: str | None, log_lock: Path) -> None:
        self.settings = settings
        self.workers = settings.workers
        self.draining = False
        self._command = [sys.executable, "-P", "-m", "fastbridge", "serve-worker", "--log-lock", str(log_lock)]
        self._agent = [agent] if agent else []
        self._running: dict[int, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._gone: Snapshot = {}
        self._metrics = Metrics()
        self._refused: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._turn = 0
        proxies = networks(settings.trusted_proxies)
        budget = descriptors.connections(settings, descriptors.limit())
        self.connections = Connections(budget, settings.max_requests_per_ip, self.refuse, proxies=proxies)

    # --- processes ---

    async def start(self) -> int:
        """Start them all; 0, or the exit code of the first if it never came up. It goes first, so that what is wrong
        with the settings or the agent is said once."""
        first = await self._begin(0)
        await _up(first)
        if not first.ready.is_set():
            self._retire(first)
            return await first.process.wait() or 1
        others = [await self._begin(number) for number in range(1, self.workers)]
        for worker in others:  # whose calls, and all their webhooks, are its own
            await _up(worker)
        for task in (self._look(), self._ping(), *(self._keep(worker) for worker in (first, *others))):
            self._keepers.append(asyncio.get_running_loop().create_task(task))
        return 0

    async def _keep(self, worker: WorkerProcess) -> None:
        """There is always a worker of this number, but in a drain."""
        wait_s = 0.0
        while True:
            exit_code = await worker.process.wait()
            self._retire(worker)
            if self.draining:
                return
            notices.worker_ended(worker.number, exit_code)
            if time.monotonic() - worker.began_s > STEADY_SECONDS:
                wait_s = 0.0
            await asyncio.sleep(wait_s)
            wait_s = min(max(wait_s * 2, FIRST_WAIT_SECONDS), LAST_WAIT_SECONDS)
            if self.draining:
                return
            worker = await self._begin(worker.number, again=True)
            if self.draining:  # since then, and it has not been told
                _send(worker, signal.SIGTERM)

    async def _begin(self, number: int, *, again: bool = False) -> WorkerProcess:
        ours, theirs = line_pair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *(["--again"] if again else []),
                *("--number", str(number), "--line", str(theirs.fileno())),
                *self._agent,
                env=os.environ | {"FASTBRIDGE_WORKERS": str(self.workers), "PORT": str(self.settings.port)},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is for the switchboard, which then tells them
            )
        worker = self._running[number] = WorkerProcess(number, process, ours)
        return worker

    def _retire(self, worker: WorkerProcess) -> None:
        del self._running[worker.number]
        worker.line.close()
        self._gone = merge([self._gone, retired(worker.snapshot)])

    async def _look(self) -> None:
        """Ask for numbers from time to time, and end a worker that hangs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._ask()
            now_s = time.monotonic()
            for worker in list(self._running.values()):
                if worker.ready.is_set() and worker.owes_an_answer and now_s - worker.heard_s > HUNG_SECONDS:
                    logger.error("worker %d hangs: it is ended", worker.number)
                    with contextlib.suppress(ProcessLookupError):
                        worker.process.kill()

    async def _ping(self) -> None:
        """Find out who does not answer, soon enough for those who call now."""
        while True:
            for worker in self._running.values():
                if worker.silent and not worker.said_silent:
                    notices.worker_silent(worker.number)
                worker.said_silent = worker.silent
                if worker.ready.is_set():
                    worker.ping()
            await asyncio.sleep(PING_SECONDS)

    def drain(self) -> None:
        """No new calls; the workers end when their last one has."""
        self.draining = True
        self._signal(signal.SIGTERM)

    def cut(self) -> None:
        """The workers end the calls there are."""
        self._signal(signal.SIGTERM)

    lingers = False  # the workers have

    @property
    def busy(self) -> bool:
        """Whether there are workers."""
        return bool(self._running)

    async def close(self) -> None:
        """End them all, with grace and then without."""
        self.drain()
        if self._running:
            waits = [asyncio.ensure_future(worker.process.wait()) for worker in self._running.values()]
            _, late = await asyncio.wait(waits, timeout=STOP_SECONDS + 3)
            if late:
                self._signal(signal.SIGKILL)
                await asyncio.wait(late)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._running.values():
            _send(worker, number)

    # --- connections ---

    def refuse(self, reason: Reason) -> None:
        """Count a connection that was refused here."""
        self._refused[reason] += 1

    def hand_over(self, worker: int, data: bytes, connection: Any, *, bound: bool = False) -> bool:
        """To this worker, or else to any: who is not its own has its answer from the next. One that is silent is passed
        over, but by what is bound to it. One that only begins is waited for: later webhooks of a call find it there."""
        if worker == ANYONE:
            worker = self._turn = (self._turn + 1) % self.workers
        numbers = [number % self.workers for number in range(worker, worker + self.workers)]
        found = [self._running[number] for number in numbers if number in self._running]
        found.sort(key=lambda each: each.silent and not (bound and each.number == worker))  # stable
        return any(each.line.send(CONNECTION, data, connection) for each in found)

    # --- numbers ---

    async def _ask(self) -> list[WorkerProcess]:
        """Those that answered."""
        asked = {worker.ask(): worker for worker in self._running.values() if worker.ready.is_set()}
        if not asked:
            return []
        answered, _ = await asyncio.wait(asked, timeout=COLLECT_SECONDS)
        return [asked[future] for future in answered]

    async def collect(self) -> Snapshot:
        """All numbers of the node. Of a worker that does not answer, or is no more: what it had counted."""
        answered = await self._ask()
        parts = [
            worker.snapshot if worker in answered else retired(worker.snapshot) for worker in self._running.values()
        ]
        for reason, count in self._refused.items():
            self._metrics.set("rejections", count, reason)
        self.connections.count(self._metrics.set)
        self._metrics.take_log()
        summed = merge([self._gone, self._metrics.snapshot(), *parts])
        summed["draining"] = [([], int(self.draining))]
        summed["calls_capacity"] = [([], self.settings.max_calls)]
        return summed

    def pids(self) -> list[int]:
        """Of the node's processes."""
        return [os.getpid(), *(worker.process.pid for worker in self._running.values())]

    def live(self) -> int:
        """Calls, when the workers were last asked."""
        values = (value for worker in self._running.values() for _, value in worker.snapshot.get("calls_live", []))
        return sum(int(value) for value in values if not isinstance(value, list))

    def state(self) -> dict[str, Any]:
        """For /readyz."""
        ready = not self.draining and any(worker.ready.is_set() for worker in self._running.values())
        counted = {"calls": self.live(), "capacity": self.settings.max_calls}
        return {"ready": ready, "draining": self.draining, **counted, "workers": len(self._running)}


async def _up(worker: WorkerProcess) -> None:
    """It takes connections, or has ended."""
    waits = [asyncio.ensure_future(each) for each in (worker.ready.wait(), worker.process.wait())]
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for each in pending:
        each.cancel()


def _send(worker: WorkerProcess, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.process.send_signal(number)


def share(settings: Settings) -> Settings:
    """A worker's part of the node's settings. Metrics are the switchboard's."""
    caps = ("max_calls", "max_pending_calls", "max_connections", "max_connections_per_ip")
    parts = {name: ceil(getattr(settings, name) / settings.workers) for name in caps}
    return settings.model_copy(update=parts | {"metrics_port": 0, "metrics_public": False})


def create_app(settings: Settings, switchboard: Switchboard) -> Starlette:
    """What is asked of the node itself."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        exporter = Exporter(switchboard.collect, switchboard.pids)
        if settings.metrics_port:
            await exporter.start(settings.metrics_host, settings.metrics_port)
        try:
            yield {"desk": switchboard, "connections": switchboard.connections}
        finally:
            await switchboard.close()
            await exporter.close()

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        state = switchboard.state()
        return JSONResponse(state, 200 if state["ready"] else 503)

    async def metrics(_: Request) -> Response:
        return Response(await exposition(await switchboard.collect(), switchboard.pids()), media_type=CONTENT_TYPE)

    routes = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
    if settings.metrics_public:
        routes.append(Route("/metrics", metrics, methods=["GET"]))
    return Starlette(routes=routes, lifespan=lifespan)


async def _run(settings: Settings, agent: str | None, log_lock: Path) -> int:
    switchboard = Switchboard(settings, agent, log_lock)
    try:
        fault = await switchboard.start()
        if fault:
            return fault
        config = server_config(create_app(settings, switchboard), settings, http=Dispatcher, headers=[CLOSE])
        server = Server(config, switchboard, lambda: announce(settings))
        await server.serve(sockets=listening.sockets(settings))
        return 0
    finally:
        await switchboard.close()


def serve(settings: Settings, agent: str | None, closed: list[int]) -> int:
    """Run the node until a signal; the exit code. The port must be free. closed: standard descriptors
    that were."""
    log.log_uncaught()
    with tempfile.TemporaryDirectory(prefix="fastbridge-") as folder:
        lock = Path(folder) / "log.lock"
        log.configure_from(settings, lock=lock)
        listening.say_closed(closed)
        listening.prepare(settings, share(settings).max_calls)
        with (
            contextlib.suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_run(settings, agent, lock))
    return 0
