"""The way in to an API of ours: who has a key for it, or what else lets him in; and that what goes wrong behind it is a
problem document, never a traceback."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fastbridge.base.api_keys import ApiKeys
from fastbridge.net.problems import Problem
from fastbridge.observe.limits import RateLimiter

BODY_SECONDS = 5.0
SAY_SECONDS = 10.0
_logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]


class ApiDoor:
    """scope: what a key must be for. tag: of its lines in the log."""

    def __init__(self, keys: ApiKeys, scope: str, tag: str) -> None:
        self._keys = keys
        self._scope = scope
        self._tag = tag
        self._lines = RateLimiter()

    def guarded(self, handler: Handler, let_in: Callable[[Request], bool] | None = None) -> Handler:
        """let_in(request): True if it needs no key. May raise a Problem."""

        async def answer(request: Request) -> Response:
            try:
                if let_in is None or not let_in(request):
                    self._authorise(request)
                return await handler(request)
            except Problem as problem:
                return problem.response()
            except ClientDisconnect:
                return Problem(400, "The request was not finished.").response()
            except (SQLAlchemyError, OSError) as error:
                if self._lines.every("database", SAY_SECONDS):
                    _logger.error("[%s] the database does not answer: %s", self._tag, type(error).__name__)
                return Problem(503, "The database does not answer.", headers={"Retry-After": "5"}).response()
            except Exception:
                _logger.exception("the API failed")
                return Problem(500, "This is a fault of ours, and in the log.").response()

        return answer

    def _authorise(self, request: Request) -> None:
        scopes = self._keys.scopes(request.headers.get("authorization", ""))
        if scopes is None:
            if self._lines.every("key", SAY_SECONDS):
                _logger.warning("[%s] a request without a key of ours was refused", self._tag)
            raise Problem(
                401,
                "Give a key of FASTBRIDGE_API_KEYS, as Authorization: Bearer KEY.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if self._scope not in scopes:
            scope = self._scope
            raise Problem(403, f"This key is not for {scope}: give it the scope {scope} in FASTBRIDGE_API_KEYS.")


async def json_body(request: Request, example: str) -> dict[str, Any]:
    """The object in its body. Problem, if that is none. example: one."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = json.loads(await request.body())
    except TimeoutError:
        raise Problem(408, "The body came too slowly.") from None
    except (ValueError, RecursionError):
        raise Problem(400, f"The body must be JSON, such as {example}.") from None
    if not isinstance(body, dict):
        raise Problem(400, f"The body must be a JSON object, such as {example}.")
    return body


def invalid(found: list[dict[str, str]]) -> Problem:
    """What is wrong with what was asked: field and words each."""
    first = found[0]
    return Problem(422, f"{first['field']} {first['problem']}".rstrip(".") + ".", errors=found)
