"""The dialler: a socket for each attempt, at the model it is for; what fails is the attempt's."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.errors import ModelError
from fastbridge.model.socket import RealtimeSocket
from fastbridge.node.dialler import Dialler


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


class Caller:
    """An attempt."""

    def __init__(self, model: str = "") -> None:
        self.model = model
        self.continues = ""
        self.told: list[Any] = []
        self.sink = self.feed_message = lambda message: None
        self.on_model_failed = self.told.append
        self.on_model_connected: Callable[[Any], Any] = lambda link: self.told.append(type(link))

    def on_model_lost(self, code: int, reason: str) -> None:
        self.told.append("lost")


def dial(caller: Caller, model: str = "", port: int | None = None) -> tuple[list[str], list[tuple[object, ...]]]:
    """The paths that were asked for, and what was left of the sockets."""
    paths: list[str] = []
    retired: list[tuple[object, ...]] = []

    async def listens(connection: ServerConnection) -> None:
        paths.append(connection.request.path if connection.request is not None else "")
        await asyncio.sleep(0.02)

    async def scene() -> None:
        async with serve(listens, "127.0.0.1", 0) as server:
            there = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port or there}/v1"
            settings = load_settings(public_url="https://voice.example.com", openai_base_url=url, database_url="none")
            dialler = Dialler(settings, None, lambda *parts: retired.append(parts))
            await dialler.dial(caller, model)  # type: ignore[arg-type]
            await dialler.close()

    asyncio.run(scene())
    return paths, retired


def test_a_socket_is_opened_and_stayed_with_until_it_is_closed() -> None:
    caller = Caller()
    paths, retired = dial(caller)
    assert caller.told == [RealtimeSocket, "lost"]
    assert len(paths) == len(retired) == 1
    assert any(isinstance(part, RealtimeSocket) for part in retired[0])


@pytest.mark.parametrize(
    ("attempt", "call", "asked"),
    [("", "", "gpt-realtime"), ("", "gpt-realtime-mini", "gpt-realtime-mini"), ("own", "gpt-realtime-mini", "own")],
)
def test_the_attempts_own_model_goes_before_the_calls_and_that_before_the_nodes(
    attempt: str, call: str, asked: str
) -> None:
    ((path,), _) = dial(Caller(attempt), call)
    assert path.partition("model=")[2].startswith(asked)


def test_what_cannot_be_reached_is_told_to_the_attempt_and_raises_nothing() -> None:
    caller = Caller()
    assert dial(caller, port=9) == ([], [])
    (error,) = caller.told
    assert isinstance(error, ModelError)


def test_one_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbridge.node.dialler.CONNECT_SECONDS", 0.05)
    caller = Caller()

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it is connected to, and says nothing
        dial(caller, port=silent.getsockname()[1])
    (error,) = caller.told
    assert (error.code, isinstance(error, ModelError)) == ("connect_timeout", True)
