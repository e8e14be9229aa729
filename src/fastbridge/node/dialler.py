"""Dials the model for all calls of a process: one HTTP client, and a socket for each attempt."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from fastbridge.config import Settings
from fastbridge.model.attempt import Attempt
from fastbridge.model.endpoint import Endpoint
from fastbridge.model.errors import model_error
from fastbridge.model.socket import RealtimeSocket

if sys.platform == "linux":
    from fastbridge._reactor import Reactor

CONNECT_SECONDS = 3.0


class Dialler:
    """reactor: who reads and writes for its sockets, where there is one. retire(parts): told of what is left of one
    that has closed."""

    def __init__(self, settings: Settings, reactor: "Reactor | None", retire: Callable[..., None]) -> None:
        self._model = settings.model
        self._reactor = reactor
        self._retire = retire
        self._endpoint = Endpoint(settings)

    async def dial(self, attempt: Attempt, model: str = "") -> None:
        """Open a socket to this model, through the SDK, and stay until it is closed. What fails is the attempt's."""
        sockets: list[RealtimeSocket] = []

        def create(*args: Any, **options: Any) -> RealtimeSocket:
            made = RealtimeSocket(
                *args, sink=attempt.sink, feed_message=attempt.feed_message, listener=attempt, **options
            )
            sockets.append(made)
            return made

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._endpoint.dial(attempt.model or model or self._model, attempt, create)
        except Exception as error:
            attempt.on_model_failed(model_error(error))
            return
        if self._reactor is not None:
            sockets[-1].adopted_by(self._reactor)
        attempt.on_model_connected(sockets[-1])
        await sockets[-1].wait_closed()
        self._retire(connection, sockets[-1].protocol, sockets[-1])

    async def close(self) -> None:
        await self._endpoint.close()
