"""fastbridge.node.server: the app and its server, which drains at a signal."""

import asyncio
import gc
import socket
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.config import load_settings
from fastbridge.node import drain, server
from fastbridge.node.server import create_server
from fastbridge.observe import events

CALL_SID = "CA" + "12" * 16
ACCOUNT_SID = "AC" + "34" * 16
STREAM_SID = "MZ" + "56" * 16


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


# The node


def test_metrics_have_a_listener_of_their_own(monkeypatch):
    starts: list[tuple[str, int]] = []

    async def start(_: Any, host: str, port: int) -> None:
        starts.append((host, port))

    monkeypatch.setattr(server.Exporter, "start", start)

    async def scene(**settings: Any) -> None:
        given = {"public_url": "https://x.example", "openai_base_url": "http://127.0.0.1:9/v1", "database_url": "none"}
        app = server.create_app(load_settings(**given, **settings), Agent())
        async with app.router.lifespan_context(app):
            pass

    for settings in ({}, {"metrics_port": 1234, "metrics_host": "10.0.0.1"}, {"metrics_port": 0}):
        asyncio.run(scene(**settings))
    assert starts == [("127.0.0.1", 9464), ("10.0.0.1", 1234)]
    gc.unfreeze()


def test_metrics_are_on_the_public_port_only_where_that_is_asked_for():
    given = {"public_url": "https://x.example", "openai_base_url": "http://127.0.0.1:9/v1", "database_url": "none"}
    for public in (False, True):
        app = server.create_app(load_settings(**given, metrics_public=public), Agent())
        assert ("/metrics" in [route.path for route in app.routes]) is public


# The server


class Draining:
    """A server that is asked ten times a second, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.now = 1000.0
        monkeypatch.setattr(drain, "time", SimpleNamespace(monotonic=lambda: self.now))
        settings = {"public_url": "https://voice.example.com", "openai_api_key": "sk-x", **settings}
        self.server = create_server(load_settings(**settings), Agent())
        self.directory = self.server.config.app.state.node.directory

    def signal(self) -> None:
        self.server.handle_exit(15, None)

    def exits(self, seconds: float = 0.0) -> bool:
        self.now += seconds
        return asyncio.run(self.server.on_tick(1))

    def call(self) -> Any:
        """One that ends when it is told to."""
        call = Mock(call_sid=CALL_SID, end_reason="customer_hangup")

        def close(reason: str) -> None:
            call.end_reason = reason
            self.directory.remove(call)

        call.close = close
        self.directory.add(call)
        self.server.config.app.state.node._calls.add(call)
        return call


def test_it_is_served_as_it_must_be(monkeypatch):
    config = Draining(monkeypatch).server.config
    assert config.ws is CarrierSocket
    assert (config.server_header, config.access_log, config.proxy_headers) == (False, False, False)


def test_without_a_signal_it_stays(monkeypatch):
    draining = Draining(monkeypatch)
    assert not draining.exits(100_000)
    assert not draining.directory.draining


def test_a_signal_drains_and_then_ends_it(monkeypatch):
    draining = Draining(monkeypatch)
    call = draining.call()
    draining.signal()
    assert draining.directory.draining
    assert not draining.exits(1000)
    draining.directory.remove(call)
    assert draining.exits(drain.LAST_WEBHOOK_SECONDS)


def test_a_second_signal_ends_the_calls_and_a_third_ends_it_now(monkeypatch):
    draining = Draining(monkeypatch)
    call = draining.call()
    draining.signal()
    assert not draining.exits()
    draining.signal()
    assert call.end_reason == "customer_hangup"
    assert not draining.exits()
    assert (call.end_reason, draining.directory.ended_reason(CALL_SID)) == ("shutdown", "shutdown")
    assert not draining.exits(drain.LAST_WEBHOOK_SECONDS - 0.1), "Twilio asks what to do with its caller"
    draining.signal()
    assert draining.server.should_exit


def test_it_says_that_it_is_ready_when_calls_can_come(monkeypatch):
    """Who reads the line calls at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answers: list[bool] = []

    def ready(*_: Any) -> None:
        with socket.create_connection(("127.0.0.1", port), 5):
            answers.append(True)

    async def begin() -> None:
        running = Draining(monkeypatch, port=port, database_url="none").server
        running.config.load()
        running.lifespan = running.config.lifespan_class(running.config)
        await running.startup()
        running.should_exit = True
        await running.shutdown()

    monkeypatch.setattr(events, "boot", ready)
    asyncio.run(begin())
    assert answers == [True]


# Who answers
