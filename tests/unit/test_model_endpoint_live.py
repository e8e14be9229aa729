"""fastbridge.model.endpoint: the model's name, and what it continues, say which address of the service is dialled."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from fastbridge.config import load_settings
from fastbridge.model.attempt import Attempt
from fastbridge.model.endpoint import Endpoint


def paths(model: str, continues: str = "") -> list[str]:
    found: list[str] = []

    async def listen(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.headers["Authorization"] == "Bearer sk-own"
        found.append(connection.request.path)

    async def run() -> None:
        owner: Any = None
        async with serve(listen, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            settings = load_settings(openai_api_key="sk-own", openai_base_url=f"http://127.0.0.1:{port}/v1")
            endpoint = Endpoint(settings)
            connection = await endpoint.dial(model, Attempt(owner, print, print, continues), ClientConnection)
            await connection.close()
            await endpoint.close()

    asyncio.run(run())
    return found


@pytest.mark.parametrize(
    ("model", "continues", "path"),
    [
        ("gpt-realtime-2.1", "", "/v1/realtime?model=gpt-realtime-2.1"),
        ("gpt-live-1", "", "/v1/live/sessions"),
        ("gpt-live-1.1", "live_7", "/v1/live/sessions/live_7/fork"),
    ],
)
def test_where_it_goes(model, continues, path):
    assert paths(model, continues) == [path]
