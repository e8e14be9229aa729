"""Whose a connection is, and that it gets there whole."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.net.connections import Connections
from fastbridge.net.handover import MAX_PAYLOAD_BYTES
from fastbridge.net.http_gate import MAX_BODY_BYTES
from fastbridge.node import dispatch
from fastbridge.node.dispatch import ANYONE, CLOSE, NODE, Reader, token_prefix, worker_of_call, worker_of_token
from fastbridge.node.server import server_config
from loops import FACTORIES, runner

WORKERS = 4
CALL_SID = "CA" + "3" * 32
FORM_TYPE = "application/x-www-form-urlencoded"
OWNER = worker_of_call(CALL_SID, WORKERS)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


@pytest.fixture(params=sorted(FACTORIES))
def on_loop(request):
    return runner(request.param)


def post(path: str, body: bytes, media_type: str = FORM_TYPE, *more: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {media_type}", *more]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in more):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def get(target: str, *more: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *more, "", ""]).encode()


FORM = urlencode({"From": "+14155550100", "CallSid": CALL_SID, "AccountSid": "AC" + "1" * 32}).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM)
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "a" * 24)

REQUESTS = {
    "form": (post("/webhook/incoming_call", FORM), OWNER),
    "form with a charset": (post("/webhook/call_status", FORM, f"{FORM_TYPE}; charset=UTF-8"), OWNER),
    "in chunks": (post("/webhook/call_status", CHUNKED, FORM_TYPE, "Transfer-Encoding: chunked"), NODE),
    "own parameters": (post("/webhook/incoming_call?business_id=7", FORM), OWNER),
    "json": (post("/webhook/call_status", json.dumps({"CallSid": CALL_SID}).encode(), "application/json"), OWNER),
    "query": (get(f"/webhook/incoming_call?{FORM.decode()}"), OWNER),
    "about a caller": (post(f"/webhook/transfer_key?call={CALL_SID}&transfer=x", b"CallSid=CA" + b"4" * 32), OWNER),
    "about nobody": (post("/webhook/transfer_key?transfer=x", FORM), ANYONE),
    "asked about a caller": (get(f"/webhook/transfer_join?transfer=x&call={CALL_SID}"), OWNER),
    "no sid": (post("/webhook/incoming_call", b"From=1"), ANYONE),
    "sid not text": (post("/webhook/call_status", b'{"CallSid": 7}', "application/json"), ANYONE),
    "no json": (post("/webhook/call_status", b"[" * 10_000, "application/json"), ANYONE),
    "not utf-8": (post("/webhook/incoming_call", b"CallSid=\xff&\xfe=%ff"), worker_of_call("\ufffd", WORKERS)),
    "many fields": (post("/webhook/incoming_call", b"a=1&" * 300 + FORM), ANYONE),
    "too long, said": (post("/webhook/incoming_call", b"", "x/y", f"Content-Length: {MAX_BODY_BYTES + 1}"), NODE),
    "length beyond numbers": (post("/webhook/x", b"", "x/y", "Content-Length: " + "9" * 19), NODE),
    "many headers": (get("/webhook/call_status", *(f"X-{number}: y" for number in range(70))), NODE),
    "asks first": (post("/webhook/incoming_call", b"", "x/y", "Content-Length: 9", "Expect: 100-continue"), ANYONE),
    "put": (b"PUT /webhook/incoming_call HTTP/1.1\r\nHost: x\r\n\r\n", ANYONE),
    "media": (get("/media/2-abcdefgh", *UPGRADE), 2),
    "media of a worker that is none": (get("/media/4-abcdefgh", *UPGRADE), ANYONE),
    "media without a number": (get("/media/abcdefgh", *UPGRADE), ANYONE),
    "media, odd number": (get("/media/%d9%a3-abc", *UPGRADE), ANYONE),
    "elsewhere": (get("/"), ANYONE),
    "health": (get("/healthz"), NODE),
    "ready": (get("/readyz?x=1"), NODE),
    "metrics": (get("/metrics"), NODE),
    "no socket there": (get("/healthz", *UPGRADE), ANYONE),
    "not http": (b"\x16\x03\x01\x02\x00\r\n\r\n", NODE),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", NODE),
    "two lengths": (post("/webhook/x", b"ab", "x/y", "Content-Length: 1", "Content-Length: 2"), NODE),
}  # fmt: skip
every_request = pytest.mark.parametrize(("request_bytes", "owner"), REQUESTS.values(), ids=list(REQUESTS))


@every_request
def test_whose_it_is(request_bytes, owner):
    assert Reader(WORKERS).feed(request_bytes) == owner


@every_request
@given(data=st.data())
def test_wherever_it_is_split(request_bytes, owner, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(request_bytes)), max_size=8)))
    reader = Reader(WORKERS)
    for begin, end in zip([0, *cuts], [*cuts, len(request_bytes)], strict=True):
        if begin == end:
            continue  # nothing would be the end of the stream
        found = reader.feed(request_bytes[begin:end])
        if found is not None:
            break
    assert found == owner


@given(st.binary(min_size=1, max_size=400))
def test_no_bytes_raise(junk):
    assert Reader(WORKERS).feed(junk) in (None, NODE, ANYONE, *range(WORKERS))
    assert Reader(WORKERS).feed(post("/webhook/incoming_call", junk)) in (ANYONE, *range(WORKERS))
    Reader(WORKERS).feed(b"GET /media/" + junk)


def test_calls_spread_over_the_workers():
    spread = Counter(worker_of_call(f"CA{number:032x}", WORKERS) for number in range(4000))
    assert sorted(spread) == list(range(WORKERS))
    assert all(900 < count < 1100 for count in spread.values())


@pytest.mark.parametrize("worker", range(WORKERS))
def test_a_token_says_whose_it_is(worker):
    assert worker_of_token(token_prefix(worker) + "_-" * 11, WORKERS) == worker


# The connection itself


class Desk:
    """A switchboard that keeps what it is given."""

    workers = WORKERS
    draining = False

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.connections = Connections(100, 3, self.refuse)
        self.given: list[tuple[int, bytes, socket.socket]] = []
        self.takes = True

    def refuse(self, reason: str) -> None:
        self.refused.append(reason)

    def hand_over(self, worker: int, data: bytes, connection: Any, *, bound: bool = False) -> bool:
        if self.takes:
            self.given.append((worker, data, socket.socket(fileno=socket.dup(connection.fileno()))))
        return self.takes


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the kernel tells nobody)
            await asyncio.sleep(0.001)


async def served(scene: Any) -> None:
    """`scene(desk, connect)` with a listening Dispatcher."""
    desk = Desk()
    app = Starlette(routes=[Route("/healthz", lambda _: PlainTextResponse("alive"))])
    settings = load_settings(public_url="https://voice.example.com")
    config = server_config(app, settings, http=dispatch.Dispatcher, headers=[CLOSE])
    config.load()
    from uvicorn.server import ServerState

    state = ServerState()
    state.default_headers = config.encoded_headers
    loop = asyncio.get_running_loop()
    state_of_app = {"desk": desk, "connections": desk.connections}
    server = await loop.create_server(lambda: dispatch.Dispatcher(config, state, state_of_app), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*address)

    try:
        async with asyncio.timeout(10):
            await scene(desk, connect)
        await until(lambda: not desk.connections.open)
    finally:
        server.close()
        for _, _, connection in desk.given:
            connection.close()


def test_a_connection_goes_to_its_worker_with_all_that_was_read(on_loop):
    async def scene(desk: Desk, connect: Any) -> None:
        request = post("/webhook/incoming_call", FORM)
        reader, writer = await connect()
        writer.write(request[:50])
        await writer.drain()
        await asyncio.sleep(0.02)
        assert desk.connections.open == 1
        writer.write(request[50:])
        await until(lambda: desk.given)
        ((worker, data, connection),) = desk.given
        assert (worker, data) == (OWNER, request)
        await until(lambda: not desk.connections.open)
        writer.write(b"and more")
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        assert await loop.sock_recv(connection, 20) == b"and more"
        await loop.sock_sendall(connection, b"answer")
        assert await reader.readexactly(6) == b"answer"
        connection.close()
        assert await reader.read() == b""
        writer.close()
        assert desk.refused == []

    on_loop(served(scene))


def test_what_is_the_nodes_own_is_answered_here_once(on_loop):
    async def scene(desk: Desk, connect: Any) -> None:
        reader, writer = await connect()
        writer.write(get("/healthz") + get("/webhook/incoming_call"))
        answer = (await reader.read()).decode()
        assert answer.startswith("HTTP/1.1 200 OK")
        assert "connection: close" in answer
        assert answer.endswith("alive")
        assert desk.given == []
        writer.close()
        reader, writer = await connect()
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()

    on_loop(served(scene))


def test_who_is_slow_is_refused(on_loop, monkeypatch):
    monkeypatch.setattr(dispatch, "HEAD_SECONDS", 0.05)

    async def scene(desk: Desk, connect: Any) -> None:
        reader, writer = await connect()
        writer.write(post("/webhook/incoming_call", FORM)[:-1])
        assert await reader.read() == b""
        assert desk.refused == ["slow"]
        writer.close()

    on_loop(served(scene))


def test_one_address_has_so_many_at_a_time(on_loop):
    async def scene(desk: Desk, connect: Any) -> None:
        made = [await connect() for _ in range(3)]
        await until(lambda: desk.connections.open == 3)
        made.append(await connect())
        assert await made[0][0].read() == b"", "the oldest makes room"
        assert desk.refused == ["too_many_readers"]
        made[3][1].write(get("/healthz"))
        assert (await made[3][0].read()).endswith(b"alive")
        for _, writer in made:
            writer.close()

    on_loop(served(scene))


def test_what_nobody_takes_is_closed_and_counted(on_loop):
    async def scene(desk: Desk, connect: Any) -> None:
        desk.takes = False
        reader, writer = await connect()
        writer.write(get("/"))
        assert await reader.read() == b""
        assert desk.refused == ["connections"]
        writer.close()
        reader, writer = await connect()
        head = post("/webhook/x", b"", "x/y", f"Content-Length: {MAX_BODY_BYTES}", *(f"X-{n}: y" for n in range(90)))
        writer.write(head + b"x" * MAX_PAYLOAD_BYTES)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert desk.refused[1:] in (["too_large"], ["connections"])  # as it was cut on its way
        writer.close()

    on_loop(served(scene))


def test_when_the_last_worker_has_gone_nobody_is_counted(on_loop, caplog):
    """The node is about to close its port: there is nothing that somebody should do."""

    async def scene(desk: Desk, connect: Any) -> None:
        desk.takes, desk.draining = False, True
        reader, writer = await connect()
        writer.write(get("/"))
        assert await reader.read() == b""
        assert desk.refused == []
        writer.close()

    on_loop(served(scene))
    assert "no worker" not in caplog.text


def test_a_caller_who_leaves_is_forgotten(on_loop):
    async def scene(desk: Desk, connect: Any) -> None:
        _, writer = await connect()
        writer.write(b"GET /")
        await until(lambda: desk.connections.open)
        writer.close()
        await until(lambda: not desk.connections.open)
        assert desk.refused == []

    on_loop(served(scene))
