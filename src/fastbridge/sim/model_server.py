"""The simulated OpenAI service on a loopback socket, in both dialects: sockets and deadlines around a session.

`/v1/realtime` is the Realtime API (`ModelSession`), `/v1/live/sessions` GPT-Live (`LiveSession`), of one scenario. It
answers the handshake as the real service does (path, model, bearer key), carries text frames between a WebSocket and a
session's channel, and wakes up at its absolute deadlines. What is said and when is never decided here.
"""

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from . import live_handshake
from .channel import Channel, SessionT
from .disruption import NO_CLOSE_FRAME, Hang, Obstacle, Refuse, Unreachable
from .live_session import LiveSession
from .live_session_object import DEFAULT_LIVE_MODEL
from .model import DEFAULT_MODEL, ModelSession
from .scenario import Scenario
from .wire import Json

PATH = "/v1/realtime"
MODELS_PATH = "/v1/models"
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Above the largest `input_audio_buffer.append` the service takes."""

MODELS: Json = {
    "object": "list",
    "data": [{"id": name, "object": "model", "owned_by": "openai"} for name in (DEFAULT_MODEL, DEFAULT_LIVE_MODEL)],
}


class _Admitted(NamedTuple):
    """What a connection was let in for; `way`: to GPT-Live."""

    scenario: Scenario
    way: live_handshake.Route | None
    stored: LiveSession | None


class ModelServer:
    """The service for tests and demos::

        async with ModelServer(Scenario()) as server:
            client = AsyncOpenAI(api_key="any", base_url=server.base_url)

    `scenario` is one for all sessions, or a function of the connection attempt's number, from 0; a new one is for the
    sessions to come. `port` 0 takes a free one. `sessions` holds every session of the Realtime API that there was, in
    the order they connected, `live_sessions` those of GPT-Live.
    """

    def __init__(
        self,
        scenario: Scenario | Callable[[int], Scenario] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.sessions: list[ModelSession] = []
        self.live_sessions: list[LiveSession] = []
        self.attempts = 0
        """Connection attempts on the right path, refused ones too."""
        self.scenario = scenario if scenario is not None else Scenario()
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._stopping = asyncio.Event()
        self._admitted: dict[ServerConnection, _Admitted] = {}

    @property
    def base_url(self) -> str:
        """What `OPENAI_BASE_URL` should be. RuntimeError before the server runs."""
        if self._server is None:
            raise RuntimeError("the server is not running")
        port = next(iter(self._server.sockets)).getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}/v1"

    @property
    def errors(self) -> list[str]:
        """What the service refused, over all sessions."""
        realtime = [f"session {index}: {error}" for index, each in enumerate(self.sessions) for error in each.errors]
        live = [
            f"live session {index}: {error}" for index, each in enumerate(self.live_sessions) for error in each.errors
        ]
        return realtime + live

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            process_request=self._admit,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._stopping.set()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None to accept; otherwise the answer instead of a session."""
        target = urlsplit(request.path)
        if target.path == MODELS_PATH and isinstance(self.scenario, Scenario):
            refuse = _credentials(self.scenario, request.headers)
            return _answer(200, MODELS) if refuse is None else _refusal(refuse)
        way = live_handshake.route(target.path)
        if target.path != PATH and way is None:
            return _refusal(Refuse(404, message=f"Invalid URL (GET {target.path})"))
        attempt, self.attempts = self.attempts, self.attempts + 1
        scenario = self.scenario if isinstance(self.scenario, Scenario) else self.scenario(attempt)
        obstacle = scenario.on_connect(attempt) if scenario.on_connect is not None else None
        stored = live_handshake.source(way, self.live_sessions) if way is not None else None
        query = _query(target.query) if way is None else live_handshake.refusal(way, target.query, stored)
        obstacle = obstacle or _credentials(scenario, request.headers) or query
        if obstacle is None:
            self._admitted[connection] = _Admitted(scenario, way, stored)
            return None
        return await self._stop(connection, obstacle)

    async def _stop(self, connection: ServerConnection, obstacle: Obstacle) -> Response:
        """Anything but a session. The last answer is for the library, where the connection is gone by then."""
        seconds = None if isinstance(obstacle, Hang) else obstacle.delay_ms / 1000
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        if isinstance(obstacle, Unreachable | Hang):
            _reset(connection)
        return _refusal(obstacle if isinstance(obstacle, Refuse) else Refuse())

    async def _serve(self, connection: ServerConnection) -> None:
        admitted = self._admitted.pop(connection)
        if admitted.way is None:
            session = self._realtime(connection, admitted.scenario)
            self.sessions.append(session)
            await _carry(connection, session)
        else:
            live = LiveSession(
                admitted.scenario,
                _now_ms(),
                serial=len(self.live_sessions),
                unix_s=time.time(),
                stored=admitted.stored,
            )
            self.live_sessions.append(live)
            await _carry(connection, live)

    def _realtime(self, connection: ServerConnection, scenario: Scenario) -> ModelSession:
        request = connection.request
        assert request is not None  # the handshake is over
        return ModelSession(
            scenario,
            _now_ms(),
            model=parse_qs(urlsplit(request.path).query)["model"][0],
            serial=len(self.sessions),
            unix_s=time.time(),
            beta="OpenAI-Beta" in request.headers,
        )


async def _carry(connection: ServerConnection, session: ModelSession | LiveSession) -> None:
    channel = Channel(session, _now_ms())
    wake = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_deliver(connection, channel, wake))
            await _listen(connection, channel, wake)
            sender.cancel()
    except* Exception as failures:  # a script's mistake: it must fail the run, not only the connection
        session.errors += [f"the simulation failed: {failure!r}" for failure in failures.exceptions]
        raise
    session.client_closed = (connection.close_code, connection.close_reason)


async def _listen(connection: ServerConnection, channel: Channel[SessionT], wake: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionClosed):  # however the client goes, the session is over
        async for frame in connection:
            await asyncio.sleep(max(0.0, channel.deaf_until_ms - _now_ms()) / 1000)
            if isinstance(frame, str):
                channel.receive(frame, _now_ms())
            else:
                channel.receive_binary(frame, _now_ms())
            wake.set()


async def _deliver(connection: ServerConnection, channel: Channel[SessionT], wake: asyncio.Event) -> None:
    """Send what is due, then sleep until the next deadline or client event; close when the session does."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionClosed):
        while True:
            wake.clear()
            for frame in channel.poll(_now_ms()):
                await connection.send(frame)
            if channel.closed is not None:
                await _close(connection, *channel.closed)
                return
            due_ms = channel.next_due_ms()
            timer = loop.call_at(due_ms / 1000, wake.set) if due_ms is not None else None
            await wake.wait()
            if timer is not None:
                timer.cancel()


async def _close(connection: ServerConnection, code: int, reason: str) -> None:
    if code == NO_CLOSE_FRAME:
        _reset(connection)
    else:
        await connection.close(code, reason)


def _reset(connection: ServerConnection) -> None:
    """End the TCP connection with RST."""
    raw = connection.transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000


def _credentials(scenario: Scenario, headers: Headers) -> Refuse | None:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        return Refuse(401, message="Missing bearer authentication in header")
    if scenario.api_key is not None and key != scenario.api_key:
        return Refuse(401, "invalid_api_key", "Incorrect API key provided.")
    return None


def _query(query: str) -> Refuse | None:
    if "model" in parse_qs(query):
        return None
    return Refuse(400, "missing_required_parameter", "You must provide a model parameter.")


def _refusal(refuse: Refuse) -> Response:
    kind = "invalid_request_error" if refuse.status < 500 else "server_error"
    return _answer(
        refuse.status, {"error": {"message": refuse.message, "type": kind, "param": None, "code": refuse.code}}
    )


def _answer(status: int, value: Json) -> Response:
    body = json.dumps(value, indent=2).encode()
    headers = Headers(
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
