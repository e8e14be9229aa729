"""The webhooks' HTTP: its deadlines."""

from types import SimpleNamespace
from typing import Any

import pytest

import loops
from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.config import load_settings
from fastbridge.net import http_socket as webhook_socket
from fastbridge.net.connections import Connections
from fastbridge.node.server import create_server
from recording_transport import Transport
from virtual import VirtualLoop


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


def a_config() -> Any:
    config = create_server(load_settings(public_url="https://voice.example.com", openai_api_key="sk-x"), Agent()).config
    config.load()
    return config


def test_a_head_and_a_body_have_their_deadlines():
    """In whatever order they come, a deadline belongs to one phase and ends with it."""
    loop = VirtualLoop()
    refused: list[str] = []
    config = a_config()
    state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[], total_requests=0)

    def deadlines() -> list[float]:
        return [round(timer.when() - loop.time(), 3) for timer in loop.pending_timers()]

    def made() -> Any:
        made = webhook_socket.WebhookSocket(
            config, state, {"connections": Connections(9, 9, refused.append)}, _loop=loop
        )
        made.connection_made(transport)
        return made

    aborted: list[float] = []
    transport: Any = Transport()
    transport.abort = lambda: aborted.append(loop.time())
    http = loop.do(made)
    assert deadlines() == [webhook_socket.HEAD_SECONDS]
    loop.advance(1)
    loop.do(http.data_received, b"POST / HTTP/1.1\r\nHost: x\r\n")
    assert deadlines() == [webhook_socket.HEAD_SECONDS - 1]
    loop.do(http.data_received, b"Content-Length: 3\r\n\r\n")
    assert webhook_socket.BODY_SECONDS in deadlines()
    loop.do(http.data_received, b"abc")
    assert webhook_socket.BODY_SECONDS not in deadlines()
    loop.do(http.connection_lost, None)
    began = loop.time()
    loop.do(made)
    loop.advance(webhook_socket.HEAD_SECONDS + 0.1)
    assert [round(at - began) for at in aborted] == [webhook_socket.HEAD_SECONDS]
    assert refused == ["slow"]
    assert state.tasks == set()
    loop.close()


def test_a_request_is_stamped_with_its_arrival(monkeypatch):
    """Head and body, each when its last byte came: the kernel's time, not the loop's."""
    loop = VirtualLoop()
    config, came_ms, waits = a_config(), 1000, []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        arrival = scope["state"]["arrival"]
        arrival.read()
        waits.append(arrival.waits_ms())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config.loaded_app = app
    monkeypatch.setattr(webhook_socket, "came_ns", lambda transport: came_ms * 1_000_000)
    monkeypatch.setattr("fastbridge.net.arrival.time", SimpleNamespace(monotonic_ns=lambda: 2_000_000_000))
    state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[], total_requests=0)

    def made() -> Any:
        connections = Connections(9, 9, lambda reason: None)
        made = webhook_socket.WebhookSocket(config, state, {"connections": connections}, _loop=loop)
        made.connection_made(Transport())
        return made

    def arrives(at_ms: int, data: bytes) -> None:
        nonlocal came_ms
        came_ms = at_ms
        loop.do(http.data_received, data)
        loop.advance(0.01)

    http = loop.do(made)
    arrives(1000, b"POST / HTTP/1.1\r\nHost: x\r\n")
    arrives(1100, b"Content-Length: 3\r\n\r\na")
    arrives(1400, b"b")
    arrives(1500, b"c")
    arrives(1700, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert waits == [
        (900, {"body_ms": 400, "lag_ms": 500, "work_ms": 0}),
        (300, {"body_ms": 0, "lag_ms": 300, "work_ms": 0}),
    ]
    loop.do(http.connection_lost, None)
    loop.close()


@pytest.fixture
def made(virtual_loops):
    """A connection on virtual time: (socket, loop, its transport's aborts)."""
    loop, aborted = loops.virtual(), []
    state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[], total_requests=0)
    transport: Any = Transport()
    transport.abort = lambda: aborted.append(loop.time())

    def make() -> Any:
        connections = {"connections": Connections(9, 9, lambda reason: None)}
        http = webhook_socket.WebhookSocket(a_config(), state, connections, _loop=loop)
        http.connection_made(transport)
        http._set_deadline(None)
        return http

    http = loop.do(make)
    yield http, loop, transport, aborted
    loop.do(http.connection_lost, None)


def test_an_answer_that_is_not_taken_ends_the_connection_and_one_that_is_does_not(made):
    http, loop, _, aborted = made
    loop.do(http.pause_writing)
    loop.advance(webhook_socket.TAKE_SECONDS - 1)
    loop.do(http.resume_writing)
    loop.advance(60)
    assert aborted == []
    loop.do(http.pause_writing)
    loop.advance(webhook_socket.TAKE_SECONDS + 1)
    assert len(aborted) == 1


def test_the_rest_of_a_last_answer_is_not_waited_for_either(made):
    http, loop, transport, aborted = made
    loop.do(http.pause_writing)
    transport.is_closing = lambda: True
    loop.do(http.resume_writing)  # most of it has been taken
    loop.advance(webhook_socket.TAKE_SECONDS + 1)
    assert len(aborted) == 1


def test_a_stream_on_a_connection_whose_last_answer_took_its_time_is_left_alone(made, monkeypatch):
    http, loop, _, aborted = made
    monkeypatch.setattr(webhook_socket.H11Protocol, "handle_websocket_upgrade", lambda self, event: None)
    loop.do(http.pause_writing)
    loop.do(http.handle_websocket_upgrade, None)
    loop.advance(60)
    assert aborted == []
