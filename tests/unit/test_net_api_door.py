"""net.api_door: who is let in, and that nothing that breaks behind it is told as a traceback."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastbridge.base.api_keys import ApiKeys
from fastbridge.net.api_door import ApiDoor, invalid, json_body
from fastbridge.net.problems import Problem

KEY, OTHER = "k" * 24, "c" * 24
DOOR = ApiDoor(ApiKeys(f"{KEY}:recordings,{OTHER}:calls"), "recordings", "TAG")


async def well(request: Request) -> Response:
    return JSONResponse({})


def ask(handler: Any = well, let_in: Callable[[Request], bool] | None = None, **options: Any) -> httpx2.Response:
    app = Starlette(routes=[Route("/x", DOOR.guarded(handler, let_in), methods=["POST"])])
    options.setdefault("headers", {"Authorization": f"Bearer {KEY}"})

    async def live() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
            return await http.post("/x", **options)

    return asyncio.run(live())


@pytest.mark.parametrize(
    ("given", "status"),
    [(f"Bearer {KEY}", 200), (f"bearer {KEY}", 200), (f"Bearer {OTHER}", 403), ("", 401), (f"Basic {KEY}", 401)],
)
def test_a_key_is_for_its_scope(given: str, status: int) -> None:
    answer = ask(headers={"Authorization": given})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["detail"].startswith("This key is not for recordings: give it the scope recordings")
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


def test_something_else_may_let_in_and_its_problem_is_the_answer() -> None:
    def refuse(request: Request) -> bool:
        raise Problem(403, "Expired.")

    assert ask(let_in=lambda request: True, headers={}).status_code == 200
    assert ask(let_in=lambda request: False, headers={}).status_code == 401
    assert ask(let_in=refuse).json()["detail"] == "Expired."


@pytest.mark.parametrize(
    ("error", "status"),
    [(OperationalError("secret", {}, Exception()), 503), (OSError("secret"), 503), (KeyError("x"), 500)],
)
def test_what_breaks_is_a_problem(error: Exception, status: int) -> None:
    async def breaks(request: Request) -> Response:
        raise error

    answer = ask(breaks)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"7", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_said_to_be_none(body: bytes) -> None:
    async def reads(request: Request) -> Response:
        return JSONResponse(await json_body(request, '{"x": 1}'))

    assert '{"x": 1}' in ask(reads, content=body).json()["detail"]
    assert ask(reads, json={"y": 2}).json() == {"y": 2}


def test_what_is_wrong_is_named() -> None:
    problem = invalid([{"field": "x", "problem": "must be y"}, {"field": "z", "problem": "is missing"}])
    assert (problem.status, problem.detail, len(problem.more["errors"])) == (422, "x must be y.", 2)
