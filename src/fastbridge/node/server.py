"""The node as an app of HTTP, and the server that serves it: settings and an agent in, a running node out."""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastbridge.agent.definition import Agent
from fastbridge.base.api_keys import ApiKeys
from fastbridge.carrier.twilio import webhooks
from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.config import Settings
from fastbridge.net import listening
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.net.problems import on_http_exception
from fastbridge.node import recordings
from fastbridge.node.drain import Drain, Drainable
from fastbridge.node.exporter import CONTENT_TYPE, Exporter, exposition
from fastbridge.node.fitness import recording_faults
from fastbridge.node.node import Node
from fastbridge.observe import events
from fastbridge.observe.log_policy import log_uncaught
from fastbridge.outbound import api

STOP_SECONDS = 5
"""How long sockets may take to close once the node stops."""
GC_THRESHOLD = 50_000
"""Young objects before a collection, which can wait: frames make none that live, and ended calls are dismantled. At
10,000 the old ones of 200 calls were looked through so often that the uplink's p99.9 was 26 ms instead of 15."""


def create_app(settings: Settings, agent: Agent, *, token_prefix: str = "", successor: bool = False) -> Starlette:
    """The node as an ASGI app. Its streams need CarrierSocket beside it: see `server_config`, `fastbridge.asgi`."""

    node = Node(settings, agent, token_prefix=token_prefix, successor=successor)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        exporter = Exporter(node.collect)
        if settings.metrics_port:
            await exporter.start(settings.metrics_host, settings.metrics_port)
        node.begin()
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
    if node.placer is not None and settings.api_keys is not None:
        keys = ApiKeys(settings.api_keys.get_secret_value())
        of_recordings = recordings.routes(settings, node.recordings)
        routes += api.routes(
            node.placer,
            keys,
            agent=node.agent,
            draining=lambda: node.draining,
            recordings=bool(of_recordings),
            records=lambda how: not [*recording_faults(settings, how)],
        )
        routes += of_recordings
    if settings.metrics_public:
        routes.append(Route("/metrics", metrics, methods=["GET"]))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: on_http_exception})
    app.router.redirect_slashes = False  # it answers with whatever Host the client sent
    app.state.node = node
    return app


def announce(settings: Settings) -> None:
    """Who reads this line calls at once: it is written when calls can come."""
    events.boot(version("fastbridge"), settings.public_url, settings.model)


class Server(uvicorn.Server):
    """uvicorn, which drains at the first signal, ends calls at the second and stops at the third. listens(): called as
    soon as it does."""

    def __init__(self, config: uvicorn.Config, served: Drainable, listens: Callable[[], object] | None = None) -> None:
        super().__init__(config)
        self._drain = Drain(served)
        self._listens = listens

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._listens is not None:
            self._listens()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._drain.signal():
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
    config = server_config(app, settings, http=WebhookSocket)
    return Server(config, app.state.node, lambda: announce(settings))


def serve(settings: Settings, agent: Agent) -> None:
    """Run the node until a signal. The port must be free."""
    listening.prepare(settings, settings.max_calls)
    server = create_server(settings, agent)
    log_uncaught()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=listening.sockets(settings)))
