"""Errors of the API, as RFC 9457 has them: a type, a title, a sentence that says what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


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
