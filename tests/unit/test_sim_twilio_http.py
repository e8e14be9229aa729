"""HTTP on a socket: many requests a connection, and ends of all kinds."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from fastbridge.sim.twilio_http import MAX_BODY_BYTES, HttpServer, Request, ResetError, request_of
from fastbridge.sim.twilio_reply import Reply
from loops import OnLoop

Work = Callable[[HttpServer], Awaitable[None]]


async def echo(request: Request) -> Reply:
    if request.path == "/reset":
        raise ResetError
    if request.path == "/slow":
        await asyncio.sleep(60)
    if request.path == "/file":
        return Reply(200, {}, b"RIFF", "audio/x-wav")
    if request.path == "/gone":
        return Reply(204, {})
    if request.path == "/there":
        return Reply(307, {}, location="http://127.0.0.1:1/")
    return Reply(200, {"method": request.method, "query": request.query, "form": request.form})


async def serving(work: Work) -> None:
    server = HttpServer(echo)
    await server.start()
    try:
        await work(server)
    finally:
        await server.close()


def test_a_request_taken_apart() -> None:
    headers = [(b"Authorization", b"Basic x"), (b"X", b"1"), (b"x", b"2")]
    request = request_of(b"POST", b"/a?b=c&b=", headers, b"To=%2B1&To=&Say=h%C3%A9")
    assert (request.method, request.path, request.query) == ("POST", "/a", {"b": ["c", ""]})
    assert request.form == {"To": ["+1", ""], "Say": ["hé"]}
    assert request.headers == {"authorization": "Basic x", "x": "2"}
    assert request.fields() == {"To": "", "Say": "hé"}


def test_bytes_that_are_no_text_are_a_request_too() -> None:
    assert request_of(b"\xff", b"/\xff", [(b"\xff", b"\xff")], b"\xff=%ff").method


def test_many_on_one_connection(on_loop: OnLoop) -> None:
    async def work(server: HttpServer) -> None:
        async with httpx2.AsyncClient() as http:
            for number in range(20):
                answer = await http.post(f"{server.url}/x?n={number}", data={"To": "+1"})
                assert answer.json() == {"method": "POST", "query": {"n": [str(number)]}, "form": {"To": ["+1"]}}
        assert server.connections == 1

    on_loop(serving(work))


def test_files_and_what_has_no_body(on_loop: OnLoop) -> None:
    async def work(server: HttpServer) -> None:
        async with httpx2.AsyncClient() as http:
            file = await http.get(f"{server.url}/file")
            assert (file.content, file.headers["content-type"]) == (b"RIFF", "audio/x-wav")
            gone = await http.delete(f"{server.url}/gone")
            assert (gone.status_code, gone.content) == (204, b"")
            there = await http.get(f"{server.url}/there")
            assert (there.status_code, there.headers["location"]) == (307, "http://127.0.0.1:1/")
        assert server.connections == 1

    on_loop(serving(work))


def test_a_connection_that_breaks(on_loop: OnLoop) -> None:
    async def work(server: HttpServer) -> None:
        async with httpx2.AsyncClient() as http:
            with pytest.raises(httpx2.TransportError):
                await http.post(f"{server.url}/reset")
            assert (await http.post(f"{server.url}/x")).status_code == 200

    on_loop(serving(work))


@pytest.mark.parametrize("data", [b"", b"POST / HTTP/1.1\r\n", b"nonsense\r\n\r\n"])
def test_who_speaks_no_http_is_let_go(on_loop: OnLoop, data: bytes) -> None:
    async def work(server: HttpServer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    on_loop(serving(work))


def test_nor_is_a_long_body_kept(on_loop: OnLoop) -> None:
    async def work(server: HttpServer) -> None:
        async with httpx2.AsyncClient() as http:
            with pytest.raises(httpx2.TransportError):
                await http.post(server.url, content=bytes(MAX_BODY_BYTES + 1))

    on_loop(serving(work))


def test_the_end_waits_for_nobody(on_loop: OnLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def work(server: HttpServer) -> None:
        http = httpx2.AsyncClient()
        await http.get(f"{server.url}/x")  # a connection that stays
        asked = asyncio.ensure_future(http.get(f"{server.url}/slow"))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await server.close()
        with pytest.raises(httpx2.TransportError):
            await asked
        await http.aclose()
        assert caplog.records == []

    on_loop(serving(work))


def test_it_has_no_address_before_it_runs() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = HttpServer(echo).url
