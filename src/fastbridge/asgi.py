"""`uvicorn fastbridge.asgi:app`: the node under a uvicorn of the operator's, with the operator's options.

A media stream is more than ASGI's messages can carry, so this is no app for any server. Before uvicorn listens it is
given what `fastbridge serve` gives its own: HTTP with deadlines and CarrierSocket for streams, whatever `--http` and
`--ws` say, our log, and the drain. What cannot hold calls does not start, and says why in one sentence. Importing this
reads no settings: that is the start's.
"""

import asyncio
import inspect
import logging
import signal
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send
from uvicorn.lifespan.on import LifespanOn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.config import Settings, load_settings
from fastbridge.errors import AgentError, ConfigError
from fastbridge.net import listening
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.node import fitness
from fastbridge.node.agent_file import choose_agent
from fastbridge.node.drain import Drain
from fastbridge.node.server import announce, create_app
from fastbridge.observe import log_policy as log
from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
SAY_SECONDS = 10.0
NOT_STARTED = (
    "fastbridge was not started by uvicorn's lifespan events, so it takes no calls: run `uvicorn fastbridge.asgi:app`, "
    "without --lifespan off and not mounted in another app, or `fastbridge serve`."
)
OTHER_SERVER = (
    "fastbridge.asgi needs uvicorn itself, whose sockets carry the media streams: run `uvicorn fastbridge.asgi:app` or "
    "`fastbridge serve`."
)

_said = RateLimiter()


class Application:
    """The ASGI app. It makes its node when the server starts."""

    def __init__(self) -> None:
        self._app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is None or scope["type"] == "websocket":
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From the server's start to its end. Whatever stops the start is told in the protocol's words: uvicorn takes
        an exception for an app that does not care, and would go on without a node."""
        try:
            app, server = begin(hosting(receive))
            self._app = app
        except Exception as error:
            if not isinstance(error, ConfigError):  # a bug of ours
                logger.exception("the node could not be made")
            if isinstance(error, AgentError) and error.trace:
                logger.error("the agent could not be loaded\n%s", error.trace.rstrip())
            words = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            await send({"type": "lifespan.startup.failed", "message": f"fastbridge: {words}"})
            return

        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                announce_when_it_listens(app.state.node.settings, server)

        await app(scope, receive, told)


def begin(config: uvicorn.Config) -> tuple[Starlette, uvicorn.Server | None]:
    """The node's app, and the uvicorn of this configuration made fit to serve it; its server, if it is known.
    ConfigError where that cannot be."""
    settings = settings_under(config)
    log.configure_from(settings)
    log.take_over_uvicorn()
    log.log_uncaught()
    agent = choose_agent(None, settings)
    for sentence in fitness.advice(settings, agent):
        notices.advice(sentence)
    listening.prepare(settings, settings.max_calls)
    app = create_app(settings, agent)
    outfit(config)
    server = signalled_server(config)
    if server is not None and not config.should_reload:  # whoever edits code does not want to wait for a call's end
        Signals(server, Drain(app.state.node)).take()
    return app, server


def hosting(receive: Receive) -> uvicorn.Config:
    """The configuration of the uvicorn whose lifespan this is: its server reads it again for each connection."""
    task = asyncio.current_task()
    coroutine = task.get_coro() if task is not None else None
    running = inspect.getcoroutinelocals(coroutine).get("self") if inspect.iscoroutine(coroutine) else None
    for lifespan in (getattr(receive, "__self__", None), running):
        if isinstance(lifespan, LifespanOn):
            return lifespan.config
    raise ConfigError(OTHER_SERVER)


def settings_under(config: uvicorn.Config) -> Settings:
    """The node's settings, where it really listens. ConfigError if they, or options of uvicorn's, cannot work."""
    given = {"host": config.host, "port": config.port} if config.uds is None and config.fd is None else {}
    settings = load_settings(**given)
    if config.workers > 1 and not config.should_reload:
        raise ConfigError(
            "uvicorn's --workers (or WEB_CONCURRENCY) would part a call's webhook from its stream: leave it out or run "
            f"`fastbridge serve --workers {config.workers}`."
        )
    if settings.workers > 1:
        raise ConfigError("FASTBRIDGE_WORKERS is for `fastbridge serve`: run that, or set it to 1 under uvicorn.")
    if config.callback_notify is not None:  # as gunicorn's worker class does, of which there may be several
        raise ConfigError(OTHER_SERVER)
    if config.limit_max_requests is not None:
        raise ConfigError("uvicorn's --limit-max-requests would cut off the calls that are live: leave it out.")
    if getattr(config, "http2", False):
        raise ConfigError("Twilio's webhooks and streams are HTTP/1.1: leave out uvicorn's --http2.")
    settings.require_serving()
    return settings


def outfit(config: uvicorn.Config) -> None:
    """What `fastbridge serve` tells its uvicorn. Proxies are asked who the client is where
    FASTBRIDGE_TRUSTED_PROXIES names them, and never what PUBLIC_URL knows."""
    config.http_protocol_class = WebhookSocket
    config.ws_protocol_class = CarrierSocket
    config.root_path = ""
    if isinstance(config.loaded_app, ProxyHeadersMiddleware):
        config.loaded_app = config.loaded_app.app


def signalled_server(config: uvicorn.Config) -> uvicorn.Server | None:
    """The server that SIGTERM would stop, if it is this one: none is, outside the main thread."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) and server.config is config else None


def announce_when_it_listens(settings: Settings, server: uvicorn.Server | None) -> None:
    """Of which uvicorn tells nobody. At once, where the server is not known."""
    if server is None or server.started:
        announce(settings)
    elif not server.should_exit:
        loop = asyncio.get_running_loop()
        loop.call_later(LOOK_SECONDS, announce_when_it_listens, settings, server)


class Signals:
    """The first signal drains, the second ends the calls; when that is over, or at the third one, uvicorn has it."""

    def __init__(self, server: uvicorn.Server, drain: Drain) -> None:
        self._server = server
        self._drain = drain
        self._loop = asyncio.get_running_loop()

    def take(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_hang_up)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        begun = self._drain.begun
        if not self._drain.signal():
            self._server.handle_exit(number, frame)
        elif not begun:
            self._loop.call_soon_threadsafe(self._look, number)

    def _on_hang_up(self, number: int, frame: FrameType | None) -> None:
        if self._drain.begin():
            self._loop.call_soon_threadsafe(self._look, signal.SIGTERM)

    def _look(self, number: int) -> None:
        if self._drain.over():
            self._server.handle_exit(number, None)
        elif not self._server.should_exit:
            self._loop.call_later(LOOK_SECONDS, self._look, number)


async def _refuse(scope: Scope, send: Send) -> None:
    """A request without a node, or a stream that came as messages: nothing can be done with either, and it is said."""
    if _said.every("refused", SAY_SECONDS):
        logger.error(NOT_STARTED)
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1011})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": NOT_STARTED.encode() + b"\n"})


app = Application()
