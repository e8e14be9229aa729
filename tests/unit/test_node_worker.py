"""A worker: connections that come over its line are served like any, and it ends when it should."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.config import load_settings
from fastbridge.net.handover import Line, line_pair
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.node.dispatch import CLOSE, token_prefix
from fastbridge.node.server import create_app, server_config
from fastbridge.node.switchboard import COLLECT, CONNECTION, PING, READY, SNAPSHOT
from fastbridge.node.worker import WorkerServer
from loops import FACTORIES, runner

SIDS = "CallSid=CA" + "1" * 32 + "&AccountSid=AC" + "2" * 32


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


@pytest.fixture(params=sorted(FACTORIES))
def on_loop(request):
    return runner(request.param)


class Switchboard:
    """The other end of a worker's line."""

    def __init__(self, end: socket.socket) -> None:
        self.heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.line = Line(end, lambda letter, payload, _: self.heard.put_nowait((letter, payload)), self.gone.set)

    async def hears(self, letter: str) -> bytes:
        async with asyncio.timeout(10):
            heard, payload = await self.heard.get()
        assert heard == letter
        return payload

    async def connect(self, request: bytes, *, sent: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client's connection of which the first `sent` bytes have been read."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            accepted, _ = listening.accept()
        with accepted:
            assert self.line.send(CONNECTION, request[:sent], accepted)
        writer.write(request[sent:])
        return reader, writer


@contextlib.asynccontextmanager
async def working(**given: Any) -> AsyncIterator[tuple[Switchboard, WorkerServer]]:
    settings = load_settings(
        dev=True, openai_api_key="sk-x", openai_base_url="http://127.0.0.1:9", database_url="none", metrics_port=0
    )
    app = create_app(settings, Agent(), token_prefix=token_prefix(7), **given)
    ours, theirs = line_pair()
    server = WorkerServer(server_config(app, settings, http=WebhookSocket, headers=[CLOSE]), app.state.node, theirs)
    switchboard = Switchboard(ours)
    task = asyncio.create_task(server._serve())  # not `serve`: the signals are the test's own
    try:
        assert await switchboard.hears(READY) == b""
        yield switchboard, server
    finally:
        server.should_exit = True
        async with asyncio.timeout(10):
            await task
        switchboard.line.close()


def post(path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return f"{head}Content-Length: {len(SIDS)}\r\n\r\n{SIDS}".encode()


@pytest.mark.parametrize("sent", [0, 1, 60, len(post("/webhook/incoming_call"))])
def test_a_connection_is_served_from_where_it_was_read_to(on_loop, sent):
    async def scene() -> None:
        async with working() as (switchboard, _):
            reader, writer = await switchboard.connect(post("/webhook/incoming_call"), sent=sent)
            answer = (await reader.read()).decode()
            assert answer.startswith("HTTP/1.1 200 OK\r\n")
            assert "connection: close\r\n" in answer
            assert "/media/7-" in answer
            writer.close()

    on_loop(scene())


def test_a_media_socket_that_is_handed_over_shakes_hands(on_loop):
    async def scene() -> None:
        async with working() as (switchboard, _):
            reader, writer = await switchboard.connect(post("/webhook/incoming_call"), sent=10)
            token = (await reader.read()).decode().partition("/media/")[2].partition('"')[0]
            writer.close()
            upgrade = f"GET /media/{token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            upgrade += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            reader, writer = await switchboard.connect(upgrade.encode(), sent=len(upgrade))
            assert (await reader.readline()) == b"HTTP/1.1 101 Switching Protocols\r\n"
            writer.close()

    on_loop(scene())


def test_the_loop_looks_for_more_as_soon_as_a_connection_is_on_the_line(on_loop):
    """Not only when it is served: with calls live the loop would have slept a tick by then."""

    async def scene() -> None:
        async with working() as (switchboard, server):
            told: list[str] = []

            async def take(data: bytes, connection: socket.socket) -> None:
                told.append("served")
                connection.close()

            server._node.arrived = lambda: told.append("on the line")
            server._take = take
            _, writer = await switchboard.connect(b"", sent=0)
            while "served" not in told:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0)
            assert told == ["on the line", "served"]
            writer.close()

    on_loop(scene())


def test_it_answers_a_ping(on_loop):
    async def scene() -> None:
        async with working() as (switchboard, _):
            switchboard.line.send(PING)
            assert await switchboard.hears(PING) == b""

    on_loop(scene())


def test_it_says_what_it_has_counted(on_loop):
    async def scene() -> None:
        async with working() as (switchboard, _):
            switchboard.line.send(COLLECT)
            snapshot = json.loads(await switchboard.hears(SNAPSHOT))
            assert snapshot["workers"] == [[[], 1]]

    on_loop(scene())


def test_a_client_that_is_gone_already_is_no_matter(on_loop, caplog):
    async def scene() -> None:
        async with working() as (switchboard, server):
            _, writer = await switchboard.connect(post("/webhook/incoming_call"), sent=0)
            writer.transport.abort()
            switchboard.line.send(COLLECT)
            await switchboard.hears(SNAPSHOT)
            assert not server.server_state.connections or server.started

    on_loop(scene())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_without_a_switchboard_it_drains_and_ends(on_loop):
    async def scene() -> None:
        async with working() as (switchboard, server):
            switchboard.line.close()
            async with asyncio.timeout(10):
                while not server.should_exit:  # noqa: ASYNC110 (uvicorn tells nobody)
                    await asyncio.sleep(0.01)
            assert server._node.draining

    on_loop(scene())


@pytest.mark.parametrize(("successor", "said"), [(True, "We are sorry"), (False, "<Hangup")])
def test_a_successor_apologises_for_the_calls_of_one_that_died(on_loop, successor, said):
    async def scene() -> None:
        async with working(successor=successor) as (switchboard, _):
            reader, writer = await switchboard.connect(post("/webhook/stream_ended"), sent=10)
            answer = (await reader.read()).decode()
            assert said in answer
            assert ("sorry" in answer) == successor
            writer.close()

    on_loop(scene())
