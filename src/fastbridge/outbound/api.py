"""The API for calls out: `POST /calls`, `GET /calls`, `GET` and `DELETE /calls/{id}`; each for who has a key.

What is asked is checked before anybody is dialled; what is wrong is told as a problem document (RFC 9457), never as a
traceback.
"""

import asyncio
import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastbridge.base.api_keys import ApiKeys
from fastbridge.observe.limits import RateLimiter
from fastbridge.outbound.openapi import document as openapi
from fastbridge.outbound.placer import Busy, NoNumber, OtherCall, Placer
from fastbridge.outbound.problems import Problem
from fastbridge.outbound.requests import CallRequest, faults
from fastbridge.store.outbound import PLACING, SCHEDULED, STATES, OutboundCall

BODY_SECONDS = 5.0
MAX_LISTED = 200
_logger = logging.getLogger(__name__)
_refusals = RateLimiter()

Handler = Callable[[Request], Awaitable[Response]]


class Variants(Protocol):
    """Who may call: an Agent."""

    @property
    def names(self) -> list[str]: ...
    def knows_name(self, name: str) -> bool: ...
    def knows_business(self, business_id: str) -> bool: ...


def routes(placer: Placer, keys: ApiKeys, *, agent: Variants, draining: Callable[[], bool]) -> list[Route]:
    """draining(): whether the node takes no new calls."""
    desk = _Desk(placer, agent, draining)

    def guarded(handler: Handler) -> Handler:
        return _guarded(handler, keys)

    return [
        Route("/calls", guarded(desk.place), methods=["POST"]),
        Route("/calls", guarded(desk.listed), methods=["GET"]),
        Route("/calls/{id}", guarded(desk.one), methods=["GET"]),
        Route("/calls/{id}", guarded(desk.end), methods=["DELETE"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]


def _guarded(handler: Handler, keys: ApiKeys) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            _authorise(request, keys)
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except ClientDisconnect:
            return Problem(400, "The request was not finished.").response()
        except (SQLAlchemyError, OSError) as error:
            if _refusals.every("database", 10.0):
                _logger.error("[OUTBOUND] the database of calls out does not answer: %s", type(error).__name__)
            return Problem(503, "The database does not answer.", headers={"Retry-After": "5"}).response()
        except Exception:
            _logger.exception("the API failed")
            return Problem(500, "This is a fault of ours, and in the log.").response()

    return answer


def _authorise(request: Request, keys: ApiKeys) -> None:
    scopes = keys.scopes(request.headers.get("authorization", ""))
    if scopes is None:
        if _refusals.every("key", 10.0):
            _logger.warning("[OUTBOUND] a request without a key of ours was refused")
        raise Problem(
            401,
            "Give a key of FASTBRIDGE_API_KEYS, as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if "calls" not in scopes:
        raise Problem(403, "This key is not for calls: give it the scope calls in FASTBRIDGE_API_KEYS.")


class _Desk:
    def __init__(self, placer: Placer, agent: Variants, draining: Callable[[], bool]) -> None:
        self._placer = placer
        self._agent = agent
        self._draining = draining

    async def place(self, request: Request) -> Response:
        asked = await _asked(request)
        self._look_who_calls(asked)
        if self._draining():
            raise Problem(503, "The node is about to stop: ask again.", headers={"Retry-After": "5"})
        try:
            row, new = await self._placer.ask(asked)
        except Busy as busy:
            after = {"Retry-After": str(max(round(busy.seconds), 1))}
            raise Problem(503, f"{busy} Nothing was placed: ask again.", headers=after) from None
        except OtherCall:
            raise Problem(409, "This idempotency_key is another call's: take another, or ask for the same.") from None
        except NoNumber:
            raise _invalid([{"field": "from", "problem": "is missing: give it, or set TWILIO_PHONE_NUMBER"}]) from None
        if new and row.state == "failed":
            raise Problem(422, row.reason or "The carrier refused the call.", code=row.code, call=shown(row))
        status = 200 if not new else 202 if row.state in (SCHEDULED, PLACING) else 201
        return JSONResponse(shown(row), status, {"Location": f"/calls/{row.id}"})

    def _look_who_calls(self, asked: CallRequest) -> None:
        """Another would call in silence."""
        if asked.agent is not None and not self._agent.knows_name(asked.agent):
            known = f"one of {', '.join(self._agent.names)}" if self._agent.names else "left out: for_name names nobody"
            raise _invalid([{"field": "agent", "problem": f"must be {known}"}])
        if asked.business_id is not None and not self._agent.knows_business(asked.business_id):
            raise _invalid([{"field": "business_id", "problem": "is none that the agent knows"}])

    async def one(self, request: Request) -> Response:
        return JSONResponse(shown(await self._found(request)))

    async def end(self, request: Request) -> Response:
        row = await self._found(request)
        if row.state == PLACING:
            raise Problem(409, "The call is being placed: ask again in a moment.", headers={"Retry-After": "5"})
        if not await self._placer.cancel(row):
            raise Problem(502, "The carrier did not end the call: ask again.")
        return JSONResponse(shown(await self._found(request)), 200 if row.over else 202)

    async def listed(self, request: Request) -> Response:
        asked = request.query_params
        state, limit = asked.get("state"), asked.get("limit", "50")
        if state is not None and state not in STATES:
            raise _invalid([{"field": "state", "problem": f"must be one of {', '.join(STATES)}"}])
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:5]) <= MAX_LISTED):
            raise _invalid([{"field": "limit", "problem": f"must be a number from 1 to {MAX_LISTED}"}])
        ids = asked["id"].split(",") if "id" in asked else None
        if ids is not None and len(ids) > MAX_LISTED:
            raise _invalid([{"field": "id", "problem": f"must be at most {MAX_LISTED}, with commas between"}])
        before = _before(asked.get("cursor"))
        rows = await self._placer.listed(state=state, ids=ids, limit=int(limit) + 1, before=before)
        page = rows[: int(limit)]
        cursor = _cursor(page[-1]) if len(rows) > len(page) else None
        return JSONResponse({"calls": [shown(row) for row in page], "next": cursor})

    async def _found(self, request: Request) -> OutboundCall:
        row = await self._placer.get(request.path_params["id"][:64])
        if row is None:
            raise Problem(404, "There is no such call.")
        return row


async def _asked(request: Request) -> CallRequest:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = json.loads(await request.body())
    except TimeoutError:
        raise Problem(408, "The body came too slowly.") from None
    except (ValueError, RecursionError):
        raise Problem(400, 'The body must be JSON, such as {"to": "+14155550123"}.') from None
    if not isinstance(body, dict):
        raise Problem(400, 'The body must be a JSON object, such as {"to": "+14155550123"}.')
    key = request.headers.get("idempotency-key")
    if key is not None:
        body.setdefault("idempotency_key", key)
    try:
        return CallRequest.model_validate(body)
    except ValidationError as error:
        raise _invalid(faults(error)) from None


def _invalid(found: list[dict[str, str]]) -> Problem:
    first = found[0]
    return Problem(422, f"{first['field']} {first['problem']}.", errors=found)


def shown(row: OutboundCall) -> dict[str, Any]:
    """A call as it is told."""
    request = {
        name: row.request.get(name) for name in ("to", "from", "business_id", "agent", "parameters", "schedule_at")
    }
    return {
        "id": row.id,
        "call_sid": row.call_sid,
        "state": row.state,
        **{name: value for name, value in request.items() if value is not None},
        "idempotency_key": row.idempotency_key,
        "created_at": _time(row.created_s),
        "ended_at": _time(row.ended_s),
        "duration_seconds": row.duration_seconds,
        "answered_by": row.answered_by,
        "code": row.code,
        "reason": row.reason,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _cursor(row: OutboundCall) -> str:
    return urlsafe_b64encode(f"{row.created_s!r} {row.id}".encode()).decode()


def _before(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    try:
        created_s, call_id = urlsafe_b64decode(cursor).decode().split(" ")
        return float(created_s), call_id
    except ValueError:
        raise _invalid([{"field": "cursor", "problem": "must be the `next` of another answer"}]) from None


async def _openapi(request: Request) -> Response:
    return JSONResponse(openapi())
