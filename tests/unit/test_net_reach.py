"""A public address, step by step, on real sockets. TLS and its certificates: tests/e2e/test_doctor.py, with nginx."""

import asyncio
import socket
import struct

import pytest

from fastbridge.net import reach
from fastbridge.net.reach import Answer, Line, Trouble
from scripted_server import Request, ScriptedServer, answer


def run(plays, act):
    """act(line, server), on a line to a server that answers so."""

    async def scene():
        async with ScriptedServer(plays) as server, Line(server.url) as line:
            return await act(line, server)

    return asyncio.run(scene())


def trouble(url, act=None):
    async def scene():
        async with Line(url) as line:
            await (act or (lambda line: line.ask("GET", "/", {})))(line)

    with pytest.raises(Trouble) as caught:
        asyncio.run(scene())
    return caught.value


def test_a_request_and_its_answer():
    async def act(line, server):
        said = await line.ask("POST", "/a?b=%2F", {"X-Own": "1"}, b"body")
        return said, server.requests[0], server.port

    said, request, port = run({"/": answer(201, "text", Server="nginx/1.22 (Debian)")}, act)
    assert (said.status, said.body, said.by) == (201, "text", "nginx")
    assert (request.method, request.target, request.body) == ("POST", "/a?b=%2F", "body")
    assert (request.headers["x-own"], request.headers["host"]) == ("1", f"127.0.0.1:{port}")


@pytest.mark.parametrize(("server", "by"), [("", ""), ("cloudflare", "cloudflare"), ("<b>x", ""), ("A" * 99, "A" * 31)])
def test_who_has_answered_is_a_word_at_most(server, by):
    assert Answer(200, {"server": server}, "").by == by


def test_a_name_that_has_no_address():
    found = trouble("https://nowhere.invalid")
    assert (found.fault, found.detail) == ("dns", "nowhere.invalid has no address in the DNS")


@pytest.mark.parametrize(("plain", "fault"), [(b"HTTP/1.1 404 Not Found\r\n\r\n", "no_tls"), (b"", "closed")])
def test_who_resets_at_the_first_word_of_tls_speaks_none_or_nothing(plain, fault):
    async def serve(reader, writer):
        if plain and not (await reader.read(1)).startswith(b"\x16"):
            writer.write(plain)
            writer.close()
        else:
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()

    async def scene():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            with pytest.raises(Trouble) as caught:
                async with Line(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as line:
                    await line.ask("GET", "/", {})
            return caught.value

    assert asyncio.run(scene()).fault == fault


def test_a_port_that_nobody_listens_on():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for name in ("127.0.0.1", "localhost"):
        found = trouble(f"https://{name}:{port}")
        assert (found.fault, found.detail) == (
            "refused",
            f"{name}, port {port} refuses connections: nothing listens there",
        )


def test_the_first_address_that_takes_us_is_enough(monkeypatch):
    async def resolve(self):
        return ["127.0.0.2", "127.0.0.1"]

    async def act(line, server):
        return (await line.ask("GET", "/", {})).status

    monkeypatch.setattr(Line, "_resolve", resolve)
    assert run({"/": answer(204)}, act) == 204


def test_a_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(reach, "STEP_SECONDS", 0.2)

    async def act(line, server):
        with pytest.raises(Trouble) as caught:
            await line.ask("GET", "/", {})
        return caught.value.fault

    async def never(request: Request) -> None:
        pass

    assert run({"/": never}, act) == "no_answer"


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"\0" * 50]
)
def test_a_server_that_says_something_else(said):
    async def act(line, server):
        with pytest.raises(Trouble) as caught:
            await line.ask("GET", "/", {})
        return caught.value.fault

    assert run({"/": said}, act) == "broken"


def test_a_body_without_an_end_is_read_no_further_than_it_may_be():
    async def act(line, server):
        return await line.ask("GET", "/", {})

    assert len(run({"/": answer(200, "x" * 200_000)}, act).body) == reach.MAX_BODY_BYTES


# A WebSocket


@pytest.mark.parametrize("pong", [b"", b"\x81\x02hi\x89\x01x"], ids=["alone", "after others"])
def test_a_ping_there_and_back(pong):
    async def open_it(request):
        request.writer.write(request.accept() + pong)
        frame = await request.reader.readexactly(2 + 4 + 4)
        key, masked = frame[2:6], frame[6:]
        payload = bytes(byte ^ key[index & 3] for index, byte in enumerate(masked))
        request.writer.write(b"\x8a\x04" + payload)
        closing = await request.reader.readexactly(2 + 4 + 2)
        assert closing[0] == 0x88
        return b"\x88\x00"

    async def act(line, server):
        assert (await line.upgrade("/media/x", {"X-Own": "1"})).status == 101
        await line.ping()
        await line.hang_up()
        return server.requests[0].headers

    headers = run({"/": open_it}, act)
    assert (headers["upgrade"], headers["connection"], headers["sec-websocket-version"]) == (
        "websocket",
        "Upgrade",
        "13",
    )
    assert headers["x-own"] == "1"


@pytest.mark.parametrize(
    ("said", "stays", "fault"),
    [(b"", True, "no_answer"), (b"", False, "broken"), (b"\x88\x02\x03\xe8", True, "broken")],
    ids=["held back", "cut", "closed"],
)
def test_a_stream_through_which_nothing_comes(monkeypatch, said, stays, fault):
    monkeypatch.setattr(reach, "STEP_SECONDS", 0.3)

    async def open_it(request):
        request.writer.write(request.accept() + said)
        return None if stays else b""

    async def act(line, server):
        await line.upgrade("/", {})
        with pytest.raises(Trouble) as caught:
            await line.ping()
        return caught.value.fault

    assert run({"/": open_it}, act) == fault


def test_a_switch_to_something_else_is_no_stream():
    async def open_it(request):
        request.headers["sec-websocket-key"] = "another"
        return request.accept()

    async def act(line, server):
        return (await line.upgrade("/", {})).status

    assert run({"/": open_it}, act) == 200
