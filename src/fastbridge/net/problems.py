"""Errors of the API, as RFC 9457 has them: a type, a title, a sentence that says what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

MEDIA_TYPE = "application/problem+json"
API_PATHS = ("/calls", "/recordings", "/openapi.json")
DETAILS = {
    404: "There is no such address in this API.",
    405: "This address takes another method: see Allow.",
    411: "Say how long the body is, in Content-Length.",
    413: "The body is too long: 64 KB at most.",
}


class Problem(Exception):  # noqa: N818 - the standard's word
    """One answer. more: other members of the document."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> JSONResponse:
        document = {"type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status}
        document |= {"detail": self.detail, **self.more}
        return JSONResponse(document, self.status, self.headers, MEDIA_TYPE)


def is_of_api(path: str) -> bool:
    """Whether who asks for this speaks the API, whatever comes of it."""
    return any(path == each or path.startswith((f"{each}/", f"{each}?")) for each in API_PATHS)


def refusal(path: str, status: int, text: str) -> tuple[bytes, str]:
    """The body of an answer that no route gave, and what it is. text: for those who do not speak the API."""
    if not is_of_api(path):
        return text.encode(), "text/plain; charset=utf-8"
    return bytes(Problem(status, DETAILS.get(status, f"{text.strip()}.")).response().body), MEDIA_TYPE


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the router says where there is no route, or none for this method."""
    if not isinstance(error, HTTPException):
        raise error
    if not is_of_api(request.url.path):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    detail = DETAILS.get(error.status_code, f"{error.detail}.")
    return Problem(error.status_code, detail, headers=error.headers).response()
