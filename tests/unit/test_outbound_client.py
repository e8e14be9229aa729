"""outbound.client: what a node answers, and what is made of it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.errors import ConfigError
from fastbridge.outbound.client import PAGE, ApiClient, Asked, key_of

CALL = {"id": "OB1", "state": "queued"}


def asked(answer: Any, step: Callable[[ApiClient], Any], seen: list[httpx2.Request] | None = None) -> Any:
    def respond(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        status, document, headers = answer(request) if callable(answer) else answer
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return httpx2.Response(status, content=content, headers=headers)

    async def live() -> Any:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
        async with ApiClient("http://node/", "KEY", http) as api:
            return await step(api)

    return asyncio.run(live())


def place(answer: Any) -> Asked:
    found: Asked = asked(answer, lambda api: api.place({"to": "+1"}))
    return found


def test_a_call_is_asked_for_with_the_key() -> None:
    seen: list[httpx2.Request] = []
    assert asked((201, CALL, {}), lambda api: api.place({"to": "+1"}), seen) == Asked(CALL)
    (request,) = seen
    assert (str(request.url), request.headers["authorization"]) == ("http://node/calls", "Bearer KEY")
    assert json.loads(request.content) == {"to": "+1"}


@pytest.mark.parametrize("status", [200, 201, 202])
def test_whatever_is_well_is_a_call(status: int) -> None:
    assert place((status, CALL, {})).call == CALL


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_for_later(status: int) -> None:
    assert place((status, {"detail": "x"}, {"Retry-After": "7"})) == Asked(problem="x", after_seconds=7.0)
    assert place((status, b"<html>", {})).after_seconds == 2.0


def test_a_node_that_is_away_may_be_back() -> None:
    assert place(httpx2.ConnectError("no")).after_seconds == 5.0


def test_what_will_not_pass_is_told_and_the_call_that_came_of_it() -> None:
    assert place((422, {"detail": "to is none."}, {})) == Asked(problem="to is none.")
    failed = {"id": "OB1", "state": "failed"}
    assert place((422, {"detail": "x", "call": failed}, {})) == Asked(failed, "x")
    assert place((409, b"", {})) == Asked(problem="the node answered with HTTP 409")


@pytest.mark.parametrize(("status", "words"), [(401, "our key"), (403, "our key"), (404, "places no calls")])
def test_what_no_asking_mends_is_a_sentence(status: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        place((status, {}, {}))


def test_states_are_asked_for_in_pages() -> None:
    ids = [f"OB{number}" for number in range(PAGE + 1)]

    def answer(request: httpx2.Request) -> Any:
        return 200, {"calls": [{"id": each} for each in request.url.params["id"].split(",")], "next": None}, {}

    seen: list[httpx2.Request] = []
    found = asked(answer, lambda api: api.states(ids), seen)
    assert ([call["id"] for call in found], len(seen)) == (ids, 2)


@pytest.mark.parametrize("answer", [(503, {}, {}), httpx2.ReadTimeout("x")])
def test_a_node_that_does_not_answer_says_nothing_of_them(answer: Any) -> None:
    assert asked(answer, lambda api: api.states(["OB1"])) is None


def test_a_call_is_ended() -> None:
    assert asked((202, CALL, {}), lambda api: api.end("OB1")) is True
    assert asked((502, {}, {}), lambda api: api.end("OB1")) is False
    assert asked(httpx2.ReadTimeout("x"), lambda api: api.end("OB1")) is False


def test_the_key_is_our_own_or_one_of_the_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    clear_environment(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match="FASTBRIDGE_API_KEY is missing"):
        key_of(load_settings())
    monkeypatch.setenv("FASTBRIDGE_API_KEYS", "r" * 20 + ":recordings," + "c" * 20 + ":calls")
    assert key_of(load_settings()) == "c" * 20
    monkeypatch.setenv("FASTBRIDGE_API_KEY", " mine ")
    assert key_of(load_settings()) == "mine"
