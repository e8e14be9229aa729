"""The composition root: settings and an agent in, a running node out."""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from importlib.metadata import version
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastbridge._pacing import Pacer
from fastbridge._ticker import Ticker
from fastbridge._wire import Outbox
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.lookup import Lookups
from fastbridge.base.addresses import networks
from fastbridge.base.clock import Beat, Clock
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.json_text import parse_event
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.call.call import Call
from fastbridge.call.record import unbegun
from fastbridge.call.teardown import SECONDS as DISMANTLING_SECONDS
from fastbridge.call.teardown import dismantle, take_apart
from fastbridge.carrier.admission import Admission, Directory
from fastbridge.carrier.port import CarrierLink
from fastbridge.carrier.twilio import rest, webhooks
from fastbridge.carrier.twilio.dialect import Start
from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.attempt import Attempt
from fastbridge.model.breaker import Breaker
from fastbridge.model.endpoint import model_client
from fastbridge.model.realtime.errors import FATAL_ERRORS, read_error
from fastbridge.model.socket import MAX_MODEL_MESSAGE_BYTES, MODEL_BUFFER_BYTES, RealtimeSocket
from fastbridge.net import descriptors, listening
from fastbridge.net.connections import Connections
from fastbridge.net.fragments import CLOSE_GRACE_SECONDS
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.node.drain import Drain, Drainable
from fastbridge.node.exporter import CONTENT_TYPE, Exporter, exposition
from fastbridge.node.fitness import require_fit
from fastbridge.node.metrics import Metrics, Snapshot
from fastbridge.node.store import RecordStore
from fastbridge.observe import events
from fastbridge.observe import log_policy as log
from fastbridge.observe.call_log import CallLog

if sys.platform == "linux":
    from fastbridge._reactor import Reactor

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
STOP_SECONDS = 5
"""How long sockets may take to close once the node stops."""
EXPIRY_MARGIN_SECONDS = 0.5
CALLS_PER_FOLD = 20
GC_THRESHOLD = 50_000
"""Young objects before a collection, which can wait: frames make none that live, and ended calls are dismantled. At
10,000 the old ones of 200 calls were looked through so often that the uplink's p99.9 was 26 ms instead of 15."""


class TickClock(Clock):
    """The loop's, whose ticks beat the seconds of all calls."""

    def __init__(self, ticker: Ticker) -> None:
        super().__init__()
        self._ticker = ticker

    def every_second(self, callback: Callable[[], object]) -> Beat:
        return self._ticker.every_second(callback)


class Node:
    """One process's calls and what they share."""

    def __init__(self, settings: Settings, agent: Agent, *, token_prefix: str = "", successor: bool = False) -> None:
        """token_prefix: what its stream tokens begin with. successor: of a process that died, and its calls with it."""
        self.settings = settings
        self.agent = agent
        self.pacer = Pacer()
        self.outbox = Outbox()
        self.reactor: Reactor | None = Reactor() if sys.platform == "linux" else None
        self._ticker = Ticker(self.pacer, self.outbox, self.reactor, settings.tick_us * 1000)
        self.clock = TickClock(self._ticker)
        self.directory = Directory(settings, self.clock.now_ns, token_prefix=token_prefix)
        self.connections = Connections(
            descriptors.connections(settings, descriptors.limit()),
            settings.max_requests_per_ip,
            self.directory.refuse,
            proxies=networks(settings.trusted_proxies),
            arrived=self.arrived,
        )
        self.successor = successor
        self.breaker = Breaker(self.clock.now_ns)
        self.directory.model_is_down = self.breaker.refuses
        self.directory.on_lost = self._call_unbegun
        self._expiry: asyncio.TimerHandle | None = None
        self.ready = True
        self.metrics = Metrics()
        require_fit(settings, agent)
        url = settings.database_url.get_secret_value()
        self.store = RecordStore(url, settings.records_dir, days=settings.record_days)
        self._calls: set[Call] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: dict[object, asyncio.TimerHandle] = {}  # ended calls and closed sockets, to be dismantled
        self.lookups = Lookups(self.clock, self.spawn)
        self.rest = rest.carrier_rest(settings, told=self._carrier_refused)
        self._openai = model_client(settings)
        # The SDK imports most of itself at first use: 0.3 s that would be a caller's, and a stall of all the others.
        self._realtime = self._openai.realtime
        importlib.import_module("websockets.sync.client")

    @property
    def draining(self) -> bool:
        return self.directory.draining

    def drain(self) -> None:
        """No new calls."""
        self.directory.draining = True

    @property
    def busy(self) -> bool:
        """Whether there are calls, or some may come that were let in."""
        return bool(self.directory.live or self.directory.pending)

    def arrived(self) -> None:
        """A connection has come, of which the loop takes one a turn: there may be more."""
        self._ticker.hurry()

    def announce(self, admission: Admission) -> None:
        """A webhook has let this call in: what can be looked up is looked up while its stream is on the way."""
        context = self._context(admission)
        agent = self.agent.for_call(context)
        self.lookups.begin(agent, replace(context, agent=agent))
        self._expire_later()

    def _expire_later(self) -> None:
        """Whoever was let in and does not come is missed, whatever else happens here."""
        if self._expiry is None:
            seconds = self.settings.stream_token_seconds + EXPIRY_MARGIN_SECONDS
            self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        if self.directory.pending:
            self._expire_later()

    def _call_unbegun(self, admission: Admission, reason: EndReason, why: str) -> None:
        """A call that was let in never began."""
        self.lookups.drop(admission.call_sid)
        url = f"{self.settings.stream_url}{MEDIA_PATH}"
        events.call_unbegun(admission.call_sid, reason=reason, why=why, stream_url=url)
        self.metrics.unbegun(admission.direction, reason)
        self.store.put(unbegun(admission, self.settings, reason, why))

    def begin_call(self, carrier: CarrierLink, admission: Admission, start: Start) -> Call:
        """An admitted stream has started: its call. The caller then calls `Call.start`."""
        lookup = self.lookups.take(admission.call_sid)
        context = lookup.context if lookup is not None else self._context(admission)
        agent = lookup.agent if lookup is not None else self.agent.for_call(context)
        call = Call(
            settings=agent.call_settings(self.settings),
            agent=agent,
            context=context,
            stream_sid=start.stream_sid,
            carrier=carrier,
            pacer=self.pacer,
            outbox=self.outbox,
            clock=self.clock,
            dial=lambda attempt: self.spawn(self._dial(attempt)),
            spawn=self.spawn,
            ended=self._call_ended,
            breaker=self.breaker,
            control=self.rest,
            lookup=lookup,
            tool_done_late=self._tool_done_late,
        )
        self._calls.add(call)
        self.directory.add(call)
        self._ticker.acquire()
        return call

    def _context(self, admission: Admission) -> CallContext:
        """A call, with its log: what is looked up for it may have something to say before its stream is there."""
        call_log = CallLog(admission.call_sid, self.settings, lambda: self.clock.now_ns() / 1e9)
        return replace(call_context(admission), call_log=call_log)

    def _call_ended(self, call: Call) -> None:
        self._calls.discard(call)
        if call.apologised:
            self.directory.note_apology(call.call_sid)
        self.directory.remove(call)
        self._ticker.release()
        if not self._calls and self.reactor is not None:
            self.reactor.release_all()  # without a call nothing ticks, and nothing runs it
        self._dismantle_later(call)
        if call.document is not None:
            self.metrics.end(call, call.document)
            self.store.put(call.document)

    def _tool_done_late(self, outcome: str, document: dict[str, Any] | None) -> None:
        self.metrics.add("tools_done_late", 1, outcome)
        if document is not None:
            self.store.update(document)

    def _dismantle_later(self, call: Call) -> None:
        self._over[call] = asyncio.get_running_loop().call_later(DISMANTLING_SECONDS, self._dismantle, call)

    def _dismantle(self, call: Call) -> None:
        del self._over[call]
        if call.conduct.hooks.running:
            self._dismantle_later(call)
        else:
            dismantle(call)

    def retire(self, *parts: object, at_once: bool = False) -> None:
        """A socket has closed, and these were it: they are taken apart when nobody can want them any more.

        at_once: nobody can now, for it was no call's. Whoever is turned away may come again and again.
        """
        if at_once:
            take_apart(*parts)
            return
        self._over[parts] = asyncio.get_running_loop().call_later(DISMANTLING_SECONDS, self._take_apart, parts)

    def _take_apart(self, parts: tuple[object, ...]) -> None:
        del self._over[parts]
        take_apart(*parts)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that this node keeps until it is done; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            events.task_failed(task.exception())

    def _carrier_refused(self, call_sid: str, problem: str) -> None:
        """What was to be done with a call at the carrier's was not done."""
        call = next((call for call in self._calls if call.call_sid == call_sid), None)
        if call is None:
            rest.say(call_sid, problem)
        else:
            events.carrier_refused(call.log, problem)

    async def _dial(self, attempt: Attempt) -> None:
        """Open a socket to the model, through the SDK, and stay until it is closed."""
        sockets: list[RealtimeSocket] = []

        def create(*args: Any, **options: Any) -> RealtimeSocket:
            made = RealtimeSocket(
                *args, sink=attempt.sink, feed_message=attempt.feed_message, listener=attempt, **options
            )
            sockets.append(made)
            return made

        options: dict[str, Any] = {
            "create_connection": create,
            "compression": None,
            "max_size": MAX_MODEL_MESSAGE_BYTES,
            "max_queue": None,
            # Who takes no audio, or does not hear it, is found out sooner: `model_line`, `hearing`.
            "ping_interval": None,
            "open_timeout": CONNECT_SECONDS,
            "write_limit": MODEL_BUFFER_BYTES,
        }
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connecting = self._realtime.connect(
                    model=self.settings.model,
                    websocket_connection_options=options,  # type: ignore[arg-type]
                )
                connection = await connecting.enter()
        except Exception as error:
            attempt.on_model_failed(model_error(error))
            return
        if self.reactor is not None:
            sockets[-1].adopted_by(self.reactor)
        attempt.on_model_connected(sockets[-1])
        await sockets[-1].wait_closed()
        self.retire(connection, sockets[-1].protocol, sockets[-1])

    async def close(self) -> None:
        """End every call that is left, and wait for what they still do."""
        self.drain()
        self.lookups.close()
        for call in list(self._calls):
            call.close(EndReason.SHUTDOWN)
        for timer in (*self._over.values(), *([self._expiry] if self._expiry is not None else [])):
            timer.cancel()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=CLOSE_GRACE_SECONDS + 0.5)
            for task in unfinished:
                task.cancel()
        await self._openai.close()
        if self.rest is not None:
            await self.rest.close()
        await asyncio.to_thread(self.store.close)

    async def collect(self) -> Snapshot:
        """All metrics of this process, at this moment. A few calls at a time: a scrape may not make audio late."""
        for index, call in enumerate(list(self._calls)):
            if call.live:
                self.metrics.fold(call)
            if index % CALLS_PER_FOLD == CALLS_PER_FOLD - 1:
                await asyncio.sleep(0)
        metrics, directory = self.metrics, self.directory
        gauges = {"calls_live": directory.live, "calls_pending": directory.pending, "workers": 1}
        gauges |= {"calls_capacity": self.settings.max_calls, "draining": directory.draining}
        for name, value in (gauges | {"records_waiting": self.store.waiting}).items():
            metrics.set(name, value)
        self.connections.count(metrics.set)
        metrics.take_log()
        metrics.take_histogram("loop_lag_seconds", self._ticker.lag_counts, self._ticker.lag_ns / 1e9)
        for name, counts in {"rejections": directory.counters, "records": self.store.counters}.items():
            for label, count in counts.items():
                metrics.set(name, count, label)
        return metrics.snapshot()


def call_context(admission: Admission) -> CallContext:
    """The call as its agent knows it."""
    return CallContext(
        call_sid=admission.call_sid,
        from_number=admission.from_number,
        to_number=admission.to_number,
        direction=admission.direction,
        parameters=dict(admission.parameters),
        account_sid=admission.account_sid,
    )


def model_error(error: Exception) -> ModelError:
    """What stopped the connection, in words for the log and a code for the record."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    kind = type(error).__name__
    if isinstance(error, TimeoutError):
        return ModelUnavailable("OpenAI did not answer in time", "connect_timeout", kind)
    if status is not None:
        return refusal(status, getattr(response, "body", None))
    return ModelUnavailable(f"OpenAI cannot be reached: {kind}: {error}", "connect_failed", kind)


def refusal(status: int, body: object) -> ModelError:
    """A refused connection: the model's own words where its answer has some, and its code where no retry cures it."""
    document = parse_event(bytes(body)) if isinstance(body, bytes | bytearray) else None
    said = read_error((document or {}).get("error"))
    code = said.code if said.code in FATAL_ERRORS else f"http_{status}"
    message = f"OpenAI refused the connection with HTTP {status}"
    return ModelUnavailable(message, code, said.kind, words=said.words)


def create_app(settings: Settings, agent: Agent, *, token_prefix: str = "", successor: bool = False) -> Starlette:
    """The node as an ASGI app. Its streams need CarrierSocket beside it: see `server_config`, `fastbridge.asgi`."""

    node = Node(settings, agent, token_prefix=token_prefix, successor=successor)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        exporter = Exporter(node.collect)
        if settings.metrics_port:
            await exporter.start(settings.metrics_host, settings.metrics_port)
        events.boot(version("fastbridge"), settings.public_url, settings.model)
        # What is alive now lives until the end: no collection need look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 10, 10)
        try:
            yield {"node": node, "connections": node.connections}
        finally:
            await node.close()
            await exporter.close()

    async def metrics(_: Request) -> Response:
        return Response(await exposition(await node.collect(), [os.getpid()]), media_type=CONTENT_TYPE)

    routes = webhooks.routes(node)
    if settings.metrics_public:
        routes.append(Route("/metrics", metrics, methods=["GET"]))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # it answers with whatever Host the client sent
    app.state.node = node
    return app


class Server(uvicorn.Server):
    """uvicorn, which drains at the first signal and stops at the second."""

    def __init__(self, config: uvicorn.Config, served: Drainable) -> None:
        super().__init__(config)
        self._drain = Drain(served)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._drain.begin():
            self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with listening.hang_ups(self._drain.begin), super().capture_signals():
            yield

    async def on_tick(self, counter: int) -> bool:
        """uvicorn asks ten times a second."""
        if self._drain.over():
            self.should_exit = True
        return await super().on_tick(counter)


def server_config(
    app: Starlette, settings: Settings, *, http: type[asyncio.Protocol], headers: list[tuple[str, str]] | None = None
) -> uvicorn.Config:
    """uvicorn as it serves us. headers: those of every response."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=http,
        ws=CarrierSocket,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=headers,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=2048,
    )


def create_server(settings: Settings, agent: Agent) -> Server:
    """The node and the server it is served by, neither of them running yet."""
    app = create_app(settings, agent)
    return Server(server_config(app, settings, http=WebhookSocket), app.state.node)


def serve(settings: Settings, agent: Agent) -> None:
    """Run the node until a signal. The port must be free."""
    listening.prepare(settings, settings.max_calls)
    server = create_server(settings, agent)
    log.log_uncaught()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=listening.sockets(settings)))
