"""Under a uvicorn of somebody else's: what it is given before it listens, and what does not start."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from environment import clear_environment
from fastbridge import asgi
from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.errors import ConfigError
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.node import drain
from fastbridge.observe import events
from fastbridge.observe import log_policy as log
from fastbridge.observe.limits import RateLimiter

HANG_UPS = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    given = {
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "DATABASE_URL": "none",
        "FASTBRIDGE_DEV": "1",
        "FASTBRIDGE_METRICS_PORT": "0",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("configure_from", "take_over_uvicorn", "log_uncaught"):
        monkeypatch.setattr(log, name, lambda *_: None)
    monkeypatch.setattr(asgi, "_said", RateLimiter())
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *HANG_UPS)}
    loggers = [logging.getLogger(f"uvicorn.{name}") for name in ("error", "access", "asgi")]
    levels = [logger.level for logger in loggers]
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    gc.unfreeze()


def config_of(app: Any = None, **options: Any) -> uvicorn.Config:
    config = uvicorn.Config(app or asgi.Application(), log_config=None, **options)
    config.load()
    return config


async def started(config: uvicorn.Config) -> LifespanOn:
    """uvicorn's own way through the start."""
    lifespan = LifespanOn(config)
    await lifespan.startup()
    return lifespan


def start(config: uvicorn.Config) -> LifespanOn:
    async def scene() -> LifespanOn:
        lifespan = await started(config)
        if not lifespan.should_exit:
            await lifespan.shutdown()
        return lifespan

    return asyncio.run(scene())


def refusal(caplog: pytest.LogCaptureFixture, config: uvicorn.Config) -> str:
    """The one sentence on which the start fails."""
    assert start(config).should_exit
    sentence, last = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert last == "Application startup failed. Exiting."
    assert sentence.startswith("fastbridge: ")
    assert "\n" not in sentence
    return sentence.removeprefix("fastbridge: ")


# The start


@pytest.mark.parametrize("options", [{}, {"http": "h11", "ws": "none"}, {"ws": "websockets-sansio", "log_level": 5}])
def test_uvicorn_is_given_our_sockets_whatever_was_chosen(options):
    config = config_of(root_path="/prefix", timeout_keep_alive=75, **options)
    lifespan = start(config)
    assert not lifespan.should_exit
    assert config.http_protocol_class is WebhookSocket
    assert config.ws_protocol_class is CarrierSocket
    assert (config.root_path, config.timeout_keep_alive) == ("", 75)
    assert sorted(lifespan.state) == ["connections", "node"]


def test_no_proxy_is_believed_but_other_layers_of_the_operators_stay():
    app = asgi.Application()

    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> Any:
            return await receive()

        await app(scope, listen, send)

    assert type(config_of(layer).loaded_app).__name__ == "ProxyHeadersMiddleware"
    config = config_of(layer)
    assert not start(config).should_exit
    assert config.loaded_app is layer


def test_the_node_listens_where_uvicorn_does(monkeypatch):
    monkeypatch.setenv("PORT", "1234")
    settings = start(config_of(host="127.0.0.1", port=8000)).state["node"].settings
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert start(config_of(uds="/tmp/x", port=8000)).state["node"].settings.port == 1234


def test_the_agent_is_named_by_the_environment(monkeypatch, tmp_path):
    (tmp_path / "desk.py").write_text("from fastbridge import Agent\nnight = Agent(greeting='Good night.')\n")
    assert start(config_of()).state["node"].agent.greeting == "Hello! How can I help you?"
    monkeypatch.setenv("FASTBRIDGE_AGENT", str(tmp_path / "desk.py:night"))
    assert start(config_of()).state["node"].agent.greeting == "Good night."
    sys.modules.pop("desk", None)


def test_the_log_is_ours(monkeypatch):
    done: list[str] = []
    for name in ("configure_from", "take_over_uvicorn", "log_uncaught"):
        monkeypatch.setattr(log, name, lambda *_, name=name: done.append(name))
    start(config_of())
    assert done == ["configure_from", "take_over_uvicorn", "log_uncaught"]


def test_a_request_gets_its_answer_from_the_node():
    async def scene() -> list[Any]:
        app = asgi.Application()
        lifespan = await started(config_of(app))
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [], "query_string": b""}
        await app(scope, lambda: asyncio.sleep(0), send)
        await lifespan.shutdown()
        return sent

    head, body = asyncio.run(scene())
    assert (head["status"], body["body"]) == (200, b'{"alive":true}')


# What does not start


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"workers": 2},
            "uvicorn's --workers (or WEB_CONCURRENCY) would part a call's webhook from its stream: leave it out or run "
            "`fastbridge serve --workers 2`.",
        ),
        (
            {"limit_max_requests": 1000},
            "uvicorn's --limit-max-requests would cut off the calls that are live: leave it out.",
        ),
        ({"callback_notify": lambda: asyncio.sleep(0)}, asgi.OTHER_SERVER),
    ],
)
def test_options_that_would_break_calls_are_refused(caplog, options, sentence):
    assert refusal(caplog, config_of(**options)) == sentence


def test_http_2_is_refused(caplog):
    config = config_of()
    config.http2 = True
    assert refusal(caplog, config) == "Twilio's webhooks and streams are HTTP/1.1: leave out uvicorn's --http2."


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OPENAI_BASE_URL": ""}, "OPENAI_API_KEY is missing: set it in the environment or in .env."),
        ({"LEAD_MS": "x"}, "LEAD_MS must be milliseconds from 0 to 2000, not 'x'."),
        (
            {"FASTBRIDGE_AGENT": "nowhere:agent"},
            "There is no module 'nowhere': give a module importable from here, or a path to a .py file.",
        ),
        (
            {"FASTBRIDGE_WORKERS": "2"},
            "FASTBRIDGE_WORKERS is for `fastbridge serve`: run that, or set it to 1 under uvicorn.",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(caplog, monkeypatch, variables, sentence):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert refusal(caplog, config_of()) == sentence


def test_a_bug_in_the_users_module_stops_the_start_with_its_traceback(caplog, monkeypatch, tmp_path):
    (tmp_path / "broken_desk.py").write_text("1 / 0\n")
    monkeypatch.setenv("FASTBRIDGE_AGENT", "broken_desk.py:agent")
    assert start(config_of()).should_exit
    logged, told, _ = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logged.name == "fastbridge.asgi"
    assert "1 / 0" in logged.getMessage()
    assert (
        told.getMessage()
        == "fastbridge: broken_desk.py, line 1: importing it raised ZeroDivisionError: division by zero."
    )


def test_another_server_is_refused():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def scene() -> None:
        await asgi.Application()({"type": "lifespan"}, lambda: asyncio.sleep(0), send)

    asyncio.run(scene())
    assert sent == [{"type": "lifespan.startup.failed", "message": f"fastbridge: {asgi.OTHER_SERVER}"}]


def test_without_a_running_task_there_is_no_uvicorn():
    async def scene() -> None:
        with pytest.raises(ConfigError):
            asgi.hosting(lambda: asyncio.sleep(0))

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_that_no_start_came_before_is_refused_aloud(caplog, kind):
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def scene() -> None:
        app = asgi.Application()
        for _ in range(3):
            await app({"type": kind}, lambda: asyncio.sleep(0), send)

    asyncio.run(scene())
    assert caplog.messages == [asgi.NOT_STARTED]
    assert sent[0].get("status", sent[0].get("code")) == {"http": 503, "websocket": 1011}[kind]


def test_a_stream_that_comes_as_messages_is_refused_aloud(caplog):
    """A uvicorn that would not take our sockets: nobody has to guess why no call is heard."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def scene() -> None:
        app = asgi.Application()
        lifespan = await started(config_of(app))
        await app({"type": "websocket"}, lambda: asyncio.sleep(0), send)
        await lifespan.shutdown()

    asyncio.run(scene())
    assert sent == [{"type": "websocket.close", "code": 1011}]
    assert asgi.NOT_STARTED in caplog.messages


# Ready


def test_it_says_that_it_is_ready_when_calls_can_come(monkeypatch):
    """Which uvicorn tells nobody: it opens its port after the lifespan's start."""
    monkeypatch.setattr(asgi, "LOOK_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    config = config_of(port=port)
    server = signalled(config)
    open_: list[bool] = []

    def ready(*_: Any) -> None:
        with socket.create_connection(("127.0.0.1", port), 5):
            open_.append(True)
        server.should_exit = True

    monkeypatch.setattr(events, "boot", ready)
    asyncio.run(asyncio.wait_for(server._serve(), 20))  # not `serve`: the signals are the test's own
    assert open_ == [True]


def test_it_says_so_once_the_start_is_over_where_the_server_is_not_known(monkeypatch):
    said: list[bool] = []
    monkeypatch.setattr(events, "boot", lambda *_: said.append(True))
    assert not start(config_of()).should_exit
    assert said == [True]


# Signals


def signalled(config: uvicorn.Config) -> uvicorn.Server:
    """A server in whose main loop signals come."""
    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    return server


async def with_a_call() -> tuple[uvicorn.Server, Any, Any, Any]:
    """A server, what started it, its node, and a call that lives."""
    config = config_of()
    server = signalled(config)
    lifespan = await started(config)
    node = lifespan.state["node"]
    call = Mock(call_sid="CA" + "1" * 32, end_reason="customer_hangup")

    def close(reason: str) -> None:
        call.end_reason = reason
        node.directory.remove(call)

    call.close = close
    node.directory.add(call)
    node._calls.add(call)
    return server, lifespan, node, call


def test_the_first_signal_drains_and_the_end_of_that_is_uvicorns(monkeypatch):
    monkeypatch.setattr(drain, "LAST_WEBHOOK_SECONDS", 0.2)

    async def scene() -> None:
        server, lifespan, node, call = await with_a_call()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert (node.draining, server.should_exit) == (True, False)
        node.directory.remove(call)
        await asyncio.sleep(0.5)
        assert (server.should_exit, server._captured_signals) == (True, [signal.SIGTERM])
        await lifespan.shutdown()

    asyncio.run(scene())


@pytest.mark.skipif(not HANG_UPS, reason="there is no SIGHUP here")
def test_a_terminal_that_hangs_up_drains_and_is_no_second_signal(monkeypatch):
    monkeypatch.setattr(drain, "LAST_WEBHOOK_SECONDS", 0.1)

    async def scene() -> None:
        server, lifespan, node, call = await with_a_call()
        for _ in range(3):
            signal.raise_signal(HANG_UPS[0])
        await asyncio.sleep(0.2)
        assert (node.draining, server.should_exit) == (True, False)
        node.directory.remove(call)
        await asyncio.sleep(0.5)
        assert (server.should_exit, server.force_exit) == (True, False)
        await lifespan.shutdown()

    asyncio.run(scene())


def test_the_second_signal_ends_the_calls_and_the_third_is_uvicorns():
    async def scene() -> None:
        server, lifespan, _, call = await with_a_call()
        signal.raise_signal(signal.SIGTERM)
        assert not server.should_exit
        signal.raise_signal(signal.SIGINT)
        assert not server.should_exit
        await asyncio.sleep(3 * asgi.LOOK_SECONDS)
        assert (call.end_reason, server.should_exit) == ("shutdown", False)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        assert (server.should_exit, server.force_exit) == (True, True)
        await lifespan.shutdown()

    asyncio.run(scene())


@pytest.mark.parametrize("whose", ["nobody's", "another server's", "a reloader's"])
def test_signals_that_are_not_this_servers_to_drain_stay_as_they_are(whose):
    async def scene() -> None:
        config = config_of("fastbridge.asgi:app" if whose == "a reloader's" else None, reload=whose == "a reloader's")
        if whose != "nobody's":
            signalled(config if whose == "a reloader's" else config_of())
        before = signal.getsignal(signal.SIGTERM)
        lifespan = await started(config)
        assert signal.getsignal(signal.SIGTERM) == before
        await lifespan.shutdown()

    asyncio.run(scene())
