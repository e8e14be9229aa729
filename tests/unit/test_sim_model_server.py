import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidMessage, InvalidStatus
from websockets.frames import Close

from fastbridge.sim.disruption import Disruption, Drop, Hang, On, Refuse, StopReading, Unreachable
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.scenario import ResponseRequest, Say, Scenario, Turn
from model_client import VirtualClient, assert_valid

QUICK = Scenario(greeting=Say("Hello there.", b"\x20" * 8000), speed=100.0, first_delta_ms=4.0, update_ms=1.0)
KEY = {"Authorization": "Bearer any"}


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(bounded())


def socket(
    server: ModelServer, *, target: str = "/v1/realtime?model=m", headers: dict[str, str] | None = None
) -> connect:
    url = server.base_url.replace("http", "ws").removesuffix("/v1") + target
    return connect(url, additional_headers=KEY if headers is None else headers, proxy=None, compression=None)


async def receive_until(ws: ClientConnection, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != kind:
        frame = await ws.recv()
        assert isinstance(frame, str)
        events.append(assert_valid(frame))
    return events


def test_the_official_client_holds_a_conversation() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server:
            client = AsyncOpenAI(api_key="any", base_url=server.base_url)
            async with client, client.realtime.connect(model="gpt-realtime-2.1") as connection:
                pcmu: Any = {"type": "audio/pcmu"}
                audio: Any = {"input": {"format": pcmu}, "output": {"format": pcmu}}
                await connection.session.update(session={"type": "realtime", "audio": audio})
                await connection.response.create()
                async for event in connection:
                    if event.type == "response.done":
                        break
            session = server.sessions[0]
            assert session.session.settings["model"] == "gpt-realtime-2.1"
            assert [response.status for response in session.responses] == ["completed"]
            assert server.errors == []
        assert session.client_closed == (1000, "")

    run(body)


def test_events_come_in_order_and_never_before_they_are_due() -> None:
    expected = VirtualClient(QUICK)
    expected.send("response.create")
    expected.run()

    async def body() -> None:
        async with ModelServer(QUICK) as server, socket(server) as ws:
            await receive_until(ws, "session.created")
            await ws.send('{"type": "response.create"}')
            started_s = time.monotonic()
            events = await receive_until(ws, "rate_limits.updated")
            took_ms = (time.monotonic() - started_s) * 1000
        assert [event["event_id"] for event in events] == [event["event_id"] for event in expected.events[1:]]
        assert took_ms > expected.times_ms[-1] - expected.times_ms[1] - 5

    run(body)


def test_strictness_reaches_the_errors_of_the_server() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server, socket(server) as ws:
            await receive_until(ws, "session.created")
            await ws.send(b'{"type":"response.create"}')
            await ws.send('{"type":"nonsense"}')
            await receive_until(ws, "error")
            await receive_until(ws, "error")
            assert [error.split(":")[0] for error in server.errors] == ["session 0"] * 2

    run(body)


def test_a_script_that_fails_fails_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def script(request: ResponseRequest) -> Turn:
        raise LookupError("no such turn")

    async def body() -> None:
        async with ModelServer(Scenario(script=script)) as server:
            async with socket(server) as ws:
                await ws.send('{"type":"response.create"}')
                with pytest.raises(ConnectionClosedError):
                    await receive_until(ws, "response.created")
            assert server.errors == ["session 0: the simulation failed: LookupError('no such turn')"]

    run(body)
    assert "connection handler failed" in caplog.text


def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server, socket(server) as ws:
            await receive_until(ws, "session.created")
            ws.transport.abort()
        assert server.sessions[0].client_closed == (1006, "")
        assert len(asyncio.all_tasks()) == 1

    run(body)


def test_each_connection_is_a_session_of_its_own() -> None:
    def scenario(attempt: int) -> Scenario:
        return Scenario(greeting=Say(f"number {attempt}", b""), first_delta_ms=1.0)

    async def body() -> None:
        async with ModelServer(scenario) as server:
            for attempt in range(2):
                async with socket(server) as ws:
                    await ws.send('{"type":"response.create"}')
                    events = await receive_until(ws, "response.output_audio_transcript.done")
                assert events[-1]["transcript"] == f"number {attempt}"
            ids = [session.session.settings["id"] for session in server.sessions]
            assert len(set(ids)) == 2

    run(body)


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/realtime?model=m", {}, 401),
        ("/v1/realtime?model=m", {"Authorization": "Basic any"}, 401),
        ("/v1/realtime?model=m", {"Authorization": "Bearer wrong"}, 401),
        ("/v1/realtime", {"Authorization": "Bearer right"}, 400),
        ("/realtime?model=m", {"Authorization": "Bearer right"}, 404),
    ],
)
def test_the_handshake_is_checked(target: str, headers: dict[str, str], status: int) -> None:
    async def body() -> None:
        async with ModelServer(Scenario(api_key="right")) as server:
            with pytest.raises(InvalidStatus) as refused:
                async with socket(server, target=target, headers=headers):
                    pass
            assert refused.value.response.status_code == status
            assert "message" in json.loads(refused.value.response.body or b"{}")["error"]
            assert server.sessions == []

    run(body)


def test_a_scenario_can_refuse_attempts() -> None:
    def on_connect(attempt: int) -> Refuse | None:
        return Refuse(429, "rate_limit_exceeded", delay_ms=1.0) if attempt < 2 else None

    async def body() -> None:
        async with ModelServer(Scenario(on_connect=on_connect)) as server:
            for _ in range(2):
                with pytest.raises(InvalidStatus) as refused:
                    async with socket(server):
                        pass
                assert refused.value.response.status_code == 429
            async with socket(server) as ws:
                await receive_until(ws, "session.created")
            assert (server.attempts, len(server.sessions)) == (3, 1)

    run(body)


def test_the_beta_header_gets_the_error_and_the_close() -> None:
    async def body() -> None:
        async with ModelServer() as server:
            async with socket(server, headers={**KEY, "OpenAI-Beta": "realtime=v1"}) as ws:
                await receive_until(ws, "error")
                with pytest.raises(ConnectionClosedError) as closed:
                    await ws.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
                4000,
                "invalid_request_error.beta_api_shape_disabled",
            )
            assert len(server.errors) == 1

    run(body)


def test_an_expired_session_is_closed_with_1001() -> None:
    async def body() -> None:
        async with ModelServer(Scenario(max_session_ms=5.0)) as server, socket(server) as ws:
            await receive_until(ws, "error")
            with pytest.raises(ConnectionClosedOK) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001

    run(body)


def test_the_models_list_tells_a_good_key_from_a_bad_one() -> None:
    async def body() -> None:
        async with ModelServer(Scenario(api_key="right")) as server, httpx2.AsyncClient(trust_env=False) as http:
            for key, status in (("right", 200), ("wrong", 401)):
                answer = await http.get(f"{server.base_url}/models", headers={"Authorization": f"Bearer {key}"})
                assert answer.status_code == status
                assert ("data" in answer.json()) == (status == 200)

    run(body)


def test_base_url_needs_a_running_server() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = ModelServer().base_url


def obstacle(what: Any) -> Scenario:
    return Scenario(on_connect=lambda attempt: what)


def test_a_connection_that_does_not_come_about() -> None:
    async def body() -> None:
        async with ModelServer(obstacle(Unreachable())) as server:
            with pytest.raises((EOFError, OSError, InvalidMessage)):
                async with socket(server):
                    pass
            assert (server.attempts, server.sessions) == (1, [])

    run(body)


def test_a_handshake_that_is_not_answered() -> None:
    async def body() -> None:
        async with ModelServer(obstacle(Hang())) as server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), socket(server):
                    pass
            assert (server.attempts, server.sessions) == (1, [])

    run(body)


@pytest.mark.parametrize("code", [1006, 1011])
def test_a_session_that_is_dropped(code: int) -> None:
    drop = Disruption(On("response.output_audio.delta", 2), Drop(code, "" if code == 1006 else "internal error"))

    async def body() -> None:
        async with ModelServer(replace(QUICK, disruptions=(drop,))) as server, socket(server) as ws:
            await ws.send('{"type":"response.create"}')
            with pytest.raises(ConnectionClosedError) as closed:
                await receive_until(ws, "response.done")
            if code == 1006:
                assert (closed.value.rcvd, type(closed.value.__cause__)) == (None, ConnectionResetError)
            else:
                assert closed.value.rcvd == Close(1011, "internal error")
            assert server.errors == []

    run(body)


def test_a_service_that_does_not_read() -> None:
    deaf = Disruption(On("session.created"), StopReading(300.0))

    async def body() -> None:
        async with ModelServer(replace(QUICK, disruptions=(deaf,))) as server, socket(server) as ws:
            await receive_until(ws, "session.created")
            sent_s = time.monotonic()
            await ws.send('{"type":"response.create"}')
            await receive_until(ws, "response.created")
            assert time.monotonic() - sent_s > 0.25

    run(body)
