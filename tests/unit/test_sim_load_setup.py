import asyncio
import socket

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from fastbridge.errors import ConfigError
from fastbridge.sim.load_setup import PATHS, Door, SetupError, Target, configured, place_call

TWIML = '<Response><Connect><Stream url="{url}"><Parameter name="a" value="b"/></Stream></Connect></Response>'


class Stage:
    """What the players would be given."""

    def __init__(self) -> None:
        self.callers: list[tuple[int, int, bytes, bytes]] = []
        self.sessions: list[tuple[int, int]] = []
        self.configured = 0

    def adopt_caller(self, index: int, fd: int, *, stream_sid: bytes, started_ns: int, stop: bytes) -> None:
        assert started_ns > 0
        self.callers.append((index, fd, stream_sid, stop))

    def adopt_model(self, fd: int, caller: int = -1) -> None:
        self.sessions.append((fd, caller))


@pytest.mark.parametrize("url", ["http://example.com", "https://127.0.0.1:1", "ws://10.0.0.1/x", "127.0.0.1:5050", ""])
def test_load_goes_to_this_machine_only(url):
    with pytest.raises(ConfigError, match="this machine"):
        Target(url)


def test_what_is_signed_is_the_public_address():
    target = Target("http://127.0.0.1:5050", "secret", public_url="https://voice.example.com")
    assert target.signed_as("http://127.0.0.1:5050/hook?a=1") == "https://voice.example.com/hook?a=1"
    assert target.signed_as("ws://127.0.0.1:5050/media") == "wss://voice.example.com/media"
    url = "https://voice.example.com/hook"
    expected = RequestValidator("secret").compute_signature(url, {"A": "b"})
    assert target.signature(url, {"A": "b"}) == {"X-Twilio-Signature": expected}
    assert Target("http://127.0.0.1:5050").signature(url, {}) == {}


async def bridge(twiml: str, status: int = 101, trailing: bytes = b"", webhook_status: int = 200):
    """A server that answers one webhook and one handshake; what it got is in the list."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if head.startswith(b"POST"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            seen.append(await reader.readexactly(length))
            body = twiml.format(url=f"ws://voice.example.com/media/{port}").encode()
            head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (webhook_status, len(body))
            writer.write(head + body)
        elif status == 101:
            key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
            from websockets.utils import accept_key

            accept = accept_key(key.partition(b":")[2].strip().decode()).encode()
            upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + accept + b"\r\n\r\n" + trailing)
        else:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()
        seen.append(await reader.read(65_536))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, port, seen


def placed(twiml: str, **kind):
    async def whole():
        server, port, seen = await bridge(twiml, **kind)
        stage = Stage()
        async with server, httpx2.AsyncClient(trust_env=False) as http:
            try:
                await place_call(http, Target(f"http://127.0.0.1:{port}", "secret"), stage, 3)
                for _, fd, _, _ in stage.callers:
                    socket.socket(fileno=fd).close()
            finally:
                await asyncio.sleep(0)
        return stage, port, seen

    return asyncio.run(whole())


def test_a_call_comes_up_by_webhook_and_handshake():
    stage, port, seen = placed(TWIML)
    [(index, _, stream_sid, stop)] = stage.callers
    assert index == 3
    assert len(stream_sid) == 34
    assert b'"sequenceNumber":"\x04"' in stop
    assert seen[0].startswith(b"POST /webhook/incoming_call ")
    assert b"CallStatus=ringing" in seen[1]
    handshake = next(each for each in seen if each.startswith(b"GET"))
    assert handshake.startswith(f"GET /media/{port} ".encode())
    signature = RequestValidator("secret").compute_signature(f"ws://voice.example.com/media/{port}", {})
    assert f"X-Twilio-Signature: {signature}\r\n".encode() in handshake


@pytest.mark.parametrize(
    ("twiml", "kind", "words"),
    [
        ("<Response><Hangup/></Response>", {}, "without a stream"),
        ("not xml", {}, "webhook failed"),
        ("bad_sid", {"webhook_status": 403}, "answered 403 without a stream: 'bad_sid'"),
        (TWIML, {"status": 403}, "refused.*403"),
        (TWIML, {"trailing": b"\x81\x02{}"}, "spoke before"),
    ],
)
def test_a_call_that_does_not_come_up_says_at_which_step(twiml, kind, words):
    with pytest.raises(SetupError, match=words):
        placed(twiml, **kind)


def test_nobody_there():
    async def whole() -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            await place_call(http, Target("ws://127.0.0.1:1/media"), Stage(), 0)

    with pytest.raises(SetupError, match="no media stream"):
        asyncio.run(whole())


def knock(request: bytes, path: str = PATHS["realtime"]):
    async def whole():
        stage = Stage()
        async with Door(stage, path=path, caller=5) as door:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            while not (stage.sessions or door.refused):  # noqa: ASYNC110 - the door tells nobody
                await asyncio.sleep(0)
            writer.close()
        for fd, _ in stage.sessions:
            socket.socket(fileno=fd).close()
        return answer, stage, door

    return asyncio.run(whole())


HEADERS = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: realtime\r\n\r\n"
)


@pytest.mark.parametrize(("model", "query"), [("realtime", "?model=m"), ("live", "")])
def test_who_comes_to_the_model_becomes_a_session(model, query):
    answer, stage, door = knock(f"GET {PATHS[model]}{query} HTTP/1.1\r\n".encode() + HEADERS, PATHS[model])
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Protocol: realtime\r\n" in answer
    assert ([caller for _, caller in stage.sessions], door.accepted, door.refused) == ([5], 1, [])


@pytest.mark.parametrize(
    ("asked", "path"), [("/v1/models", PATHS["realtime"]), (PATHS["realtime"], PATHS["live"])], ids=["other", "dialect"]
)
def test_who_asks_for_something_else_is_refused(asked, path):
    answer, stage, door = knock(f"GET {asked} HTTP/1.1\r\n".encode() + HEADERS, path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert (stage.sessions, len(door.refused)) == ([], 1)


def test_a_port_that_is_taken():
    async def whole(port: int) -> None:
        async with Door(Stage(), port):
            raise AssertionError("it was taken")

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="cannot listen"):
        asyncio.run(whole(taken.getsockname()[1]))


def test_sessions_are_waited_for():
    stage = Stage()
    stage.configured = 2
    assert asyncio.run(configured(stage, 2))
