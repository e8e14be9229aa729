"""The webhooks' HTTP: its deadlines."""

from types import SimpleNamespace
from typing import Any

import pytest

from environment import clear_environment
from fastbridge import webhook_socket
from fastbridge.agent import Agent
from fastbridge.config import load_settings
from fastbridge.connections import Connections
from fastbridge.server import create_server
from recording_transport import Transport
from virtual import VirtualLoop


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


def test_a_head_and_a_body_have_their_deadlines():
    """In whatever order they come, a deadline belongs to one phase and ends with it."""
    loop = VirtualLoop()
    refused: list[str] = []
    config = create_server(load_settings(public_url="https://voice.example.com", openai_api_key="sk-x"), Agent()).config
    config.load()
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
