import asyncio
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from fastbridge.sim import live_handshake
from fastbridge.sim.disruption import Refuse
from fastbridge.sim.live_handshake import Route
from fastbridge.sim.live_script import Live
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.scenario import CallTool, Say, Scenario
from live_client import PCMU, started
from model_client import SILENT_FRAME

QUICK = Scenario(
    greeting=Say("Hello there.", b"\x20" * 1600),
    turns=(CallTool("lookup"), Say("At nine.", b"\x30" * 1600)),
    update_ms=1.0,
    first_delta_ms=4.0,
    live=Live(delta_ms=20.0, commentary_ms=40.0, answer_ms=10.0, turn_silence_ms=60, append_ms=20.0, close_ms=10.0),
)
TOOL: Any = {"type": "function", "name": "lookup", "parameters": {"type": "object", "properties": {}}}
SESSION: Any = {
    "model": "gpt-live-1",
    "audio": {"format": PCMU},
    "store": True,
    "delegation": {"type": "responses", "responses": {"model": "gpt-5.5", "tools": [TOOL]}},
}


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await body()

    asyncio.run(bounded())


def official(server: ModelServer) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="any", base_url=server.base_url)


async def until(connection: Any, kind: str) -> list[Any]:
    events: list[Any] = []
    while not events or events[-1].type != kind:
        events.append(await connection.recv())
    return events


async def speak(connection: Any, frame: bytes, frames: int) -> None:
    for _ in range(frames):
        await connection.session.input_audio.append(audio=b64encode(frame).decode())
        await asyncio.sleep(0.02)


def test_the_official_client_holds_a_conversation_with_a_tool() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server, official(server) as client, client.live.connect() as connection:
            await connection.session.start(session=SESSION)
            assert (await connection.recv()).type == "session.started"
            await connection.session.commentary.append(content="Greet.", delegation_id=None)
            await speak(connection, SILENT_FRAME, 10)
            await speak(connection, b"\x10" * 160, 10)
            sender = asyncio.create_task(speak(connection, SILENT_FRAME, 200))
            call = None
            while call is None:
                (*_, event) = await until(connection, "response.event")
                if event.event["type"] == "response.output_item.done":
                    call = event.event["item"]
            output: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "9"}
            await connection.response.item.create(item=output)
            await until_completed(connection)
            await connection.response.create()
            audio = b""
            while b"\x30" * 160 not in audio:
                (*_, event) = await until(connection, "session.output_audio.delta")
                audio += b64decode(event.delta)
            sender.cancel()
            await connection.session.close()
            (*_, closed) = await until(connection, "session.closed")
            assert closed.reason == "close_requested"
            assert closed.usage.seconds >= 0
            with pytest.raises(ConnectionClosedOK):
                await connection.recv()
            assert server.errors == []
            assert server.live_sessions[0].tool_outputs == {call["call_id"]: "9"}

    run(body)


async def until_completed(connection: Any) -> None:
    while (await until(connection, "response.event"))[-1].event["type"] != "response.completed":
        pass


def test_the_official_client_forks_a_session_that_still_runs() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server, official(server) as client, client.live.connect() as first:
            await first.session.start(session=SESSION)
            source = (await first.recv()).session
            async with client.live.forks.connect(session_id=source.id) as second:
                await second.session.start(session={"audio": {"format": {"type": "audio/pcm", "rate": 16_000}}})
                fork = (await second.recv()).session
            assert fork.id != source.id
            assert fork.audio.format.rate == 16_000
            assert fork.delegation == source.delegation
            assert server.live_sessions[1].stored is server.live_sessions[0]
            assert server.errors == []

    run(body)


def test_both_dialects_are_on_one_port() -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server, official(server) as client:
            async with client.realtime.connect(model="gpt-realtime-2.1") as realtime, client.live.connect() as live:
                assert (await realtime.recv()).type == "session.created"
                await live.session.start(session=SESSION)
                assert (await live.recv()).type == "session.started"
            assert (len(server.sessions), len(server.live_sessions), server.attempts) == (1, 1, 2)
            assert {model.id async for model in client.models.list()} == {"gpt-realtime-2.1", "gpt-live-1"}

    run(body)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/live/sessions", {}, 401),
        ("/live/sessions?model=gpt-live-1", {"Authorization": "Bearer any"}, 400),
        ("/live/sessions/live_x/fork", {"Authorization": "Bearer any"}, 404),
        ("/live/session", {"Authorization": "Bearer any"}, 404),
    ],
)
def test_a_handshake_that_is_not_right_is_refused(path: str, headers: dict[str, str], status: int) -> None:
    async def body() -> None:
        async with ModelServer(QUICK) as server:
            with pytest.raises(InvalidStatus) as refused:
                async with connect(
                    server.base_url.replace("http", "ws") + path, additional_headers=headers, proxy=None
                ):
                    pass
            assert refused.value.response.status_code == status
            assert server.live_sessions == []

    run(body)


def test_the_paths() -> None:
    assert live_handshake.route("/v1/live/sessions") == Route(None)
    assert live_handshake.route("/v1/live/sessions/live_1/fork") == Route("live_1")
    assert live_handshake.route("/v1/realtime") is live_handshake.route("/v1/live/sessions/live_1/attach") is None


@pytest.mark.parametrize(("store", "forks"), [(False, True), (True, False)])
def test_what_was_not_stored_is_not_forked_nor_where_forks_are_refused(store: bool, forks: bool) -> None:
    session: LiveSession = started(Scenario(live=Live(forks=forks)), store=store).session
    way = Route(session.id)
    found = live_handshake.source(way, [session])
    assert (found is session) == store
    refuse = live_handshake.refusal(way, "", found)
    assert isinstance(refuse, Refuse)
    assert refuse.status == 404
