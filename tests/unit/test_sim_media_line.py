"""One media stream over a socket; what is said and heard on it is in test_sim_caller and test_sim_carrier."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.media_line import LineError, MediaLine
from fastbridge.sim.script import AfterMs, Conversation, HangUp
from fastbridge.sim.signed_http import SignedHttp

Talk = Callable[[MediaLine, ServerConnection, list[Any]], Awaitable[None]]
WAITS = [HangUp(AfterMs(60_000))]


class Line:
    """A stream to `server`, which is given all that was sent so far with each message. then(line, …): once."""

    def __init__(self, then: Talk, script: Any = WAITS, limit_ms: float = 60_000) -> None:
        self.notes: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.seen: list[Any] = []
        self.opened = 0
        self._then = then
        stream = CarrierStream(call_sid="CA1", account_sid="AC1", stream_sid="MZ1")
        self.line = MediaLine(
            stream,
            Conversation(script),
            SignedHttp("12345"),
            limit_ms,
            note=lambda kind, text: self.notes.append((kind, text)),
            fail=self.errors.append,
        )
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with serve(self._serve, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await self.line.run(f"ws://127.0.0.1:{port}/media", self._open)

    def _open(self) -> None:
        self.opened += 1

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers = connection.request.headers
        async for message in connection:
            self.seen.append(json.loads(message)["event"])
            if len(self.seen) == 5:
                await self._then(self.line, connection, self.seen)


async def close(line: MediaLine, connection: ServerConnection, seen: list[Any]) -> None:
    await connection.close(1000)


async def break_off(line: MediaLine, connection: ServerConnection, seen: list[Any]) -> None:
    await connection.close(1011, "oh")


def stop(by: str) -> Talk:
    async def stopping(line: MediaLine, connection: ServerConnection, seen: list[Any]) -> None:
        line.stop(by)

    return stopping


async def nothing(line: MediaLine, connection: ServerConnection, seen: list[Any]) -> None:
    """The caller goes on."""


def test_it_opens_as_twilio_does_and_the_server_ends_it() -> None:
    line = Line(close)
    assert line.seen[:3] == ["connected", "start", "media"]
    assert (line.opened, line.line.ended_by, line.errors) == (1, "server", [])
    assert line.headers["x-twilio-signature"]
    assert "sec-websocket-protocol" not in line.headers
    assert [kind for kind, _ in line.notes] == ["connected", "closed"]


def test_a_server_that_breaks_it_off_is_at_fault() -> None:
    assert Line(break_off).errors == ["31921 server closed the stream with 1011"]


@pytest.mark.parametrize("by", ["server", "caller"])
def test_a_call_that_goes_elsewhere_stops_it(by: str) -> None:
    line = Line(stop(by))
    assert (line.seen[-1], line.line.ended_by, line.errors) == ("stop", by, [])


def test_the_caller_hangs_up() -> None:
    line = Line(nothing, [HangUp(AfterMs(200))])
    assert (line.seen[-1], line.line.ended_by) == ("stop", "caller")
    assert line.seen.count("media") == 9


def test_a_call_that_does_not_end_has_failed() -> None:
    assert Line(nothing, limit_ms=200).errors == ["call still up after 0.22 s"]


def run(url: str) -> None:
    stream = CarrierStream(call_sid="CA1", account_sid="AC1", stream_sid="MZ1")
    line = MediaLine(stream, Conversation(WAITS), SignedHttp(""), 1.0, note=lambda *_: None, fail=lambda _: None)
    asyncio.run(line.run(url, lambda: None))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://x.example/", "31922"),
        ("ws://127.0.0.1:1/media?a=b", "31922"),
        ("ws://127.0.0.1:1/media", "31901"),
    ],
)
def test_no_stream(url: str, error: str) -> None:
    with pytest.raises(LineError, match=error):
        run(url)
