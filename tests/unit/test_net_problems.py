"""net.problems: what RFC 9457 asks for."""

import asyncio
import json

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fastbridge.net.problems import MEDIA_TYPE, Problem, on_http_exception, refusal


def test_a_document_with_its_own_members() -> None:
    response = Problem(503, "Ask again.", headers={"Retry-After": "5"}, code=7).response()
    assert (response.status_code, response.headers["content-type"]) == (503, MEDIA_TYPE)
    assert response.headers["retry-after"] == "5"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Ask again.",
        "code": 7,
    }


@pytest.mark.parametrize(
    "path", ["/calls", "/calls/x/y", "/recordings", "/recordings/x", "/openapi.json", "/calls?x=1"]
)
def test_who_speaks_the_api_is_answered_in_its_words(path: str) -> None:
    body, kind = refusal(path, 413, "Content Too Large\n")
    assert kind == MEDIA_TYPE
    assert json.loads(body)["detail"] == "The body is too long: 64 KB at most."


@pytest.mark.parametrize("path", ["/", "/webhook/incoming_call", "/callsign", "/recording", ""])
def test_who_does_not_is_answered_in_plain_text(path: str) -> None:
    assert refusal(path, 413, "Content Too Large\n") == (b"Content Too Large\n", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [("PUT", "/calls", 405, "GET"), ("GET", "/calls/a/b", 404, None), ("GET", "/recordings/", 404, None)],
)
def test_what_no_route_takes(method: str, path: str, status: int, allow: str | None) -> None:
    async def answer(request: Request) -> Response:
        return Response()

    app = Starlette(
        routes=[Route("/calls", answer, methods=["GET"])], exception_handlers={HTTPException: on_http_exception}
    )
    app.router.redirect_slashes = False

    async def ask(path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://node") as http:
            return await http.request(method, path)

    found = asyncio.run(ask(path))
    assert (found.status_code, found.headers["content-type"]) == (status, MEDIA_TYPE)
    assert (found.json()["status"], "GET" in found.headers.get("allow", "")) == (status, allow is not None)
    assert asyncio.run(ask("/elsewhere")).headers["content-type"].startswith("text/plain")
