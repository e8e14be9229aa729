"""The API for calls out: `POST /calls`, `GET /calls`, `GET` and `DELETE /calls/{id}`; each for who has a key.

What is asked is checked before anybody is dialled; what is wrong is told as a problem document (RFC 9457), never as a
traceback.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastbridge.base.api_keys import ApiKeys
from fastbridge.net.api_door import ApiDoor, invalid, json_body
from fastbridge.net.problems import Problem
from fastbridge.outbound.openapi import document as openapi
from fastbridge.outbound.placer import Busy, NoNumber, OtherCall, Placer
from fastbridge.outbound.requests import CallRequest, faults
from fastbridge.store.outbound import PLACING, SCHEDULED, STATES, OutboundCall

MAX_LISTED = 200
TOLD = ("to", "from", "business_id", "agent", "record", "parameters", "schedule_at")
"""Of what was asked for."""


class Variants(Protocol):
    """Who may call: an Agent."""

    @property
    def names(self) -> list[str]: ...
    def knows_name(self, name: str) -> bool: ...
    def knows_business(self, business_id: str) -> bool: ...


def routes(
    placer: Placer,
    keys: ApiKeys,
    *,
    agent: Variants,
    draining: Callable[[], bool],
    recordings: bool = False,
    records: Callable[[str], bool] = lambda how: True,
) -> list[Route]:
    """draining(): whether the node takes no new calls. recordings: whether it has their API, too. records(how): whether
    it can record so."""
    desk, guarded = _Desk(placer, agent, draining, records), ApiDoor(keys, "calls", "OUTBOUND").guarded

    async def described(request: Request) -> Response:
        return JSONResponse(openapi(recordings=recordings))

    return [
        Route("/calls", guarded(desk.place), methods=["POST"]),
        Route("/calls", guarded(desk.listed), methods=["GET"]),
        Route("/calls/{id}", guarded(desk.one), methods=["GET"]),
        Route("/calls/{id}", guarded(desk.end), methods=["DELETE"]),
        Route("/openapi.json", described, methods=["GET"]),
    ]


class _Desk:
    def __init__(
        self, placer: Placer, agent: Variants, draining: Callable[[], bool], records: Callable[[str], bool]
    ) -> None:
        self._records = records
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
            raise invalid([{"field": "from", "problem": "is missing: give it, or set TWILIO_PHONE_NUMBER"}]) from None
        if new and row.state == "failed":
            raise Problem(422, row.reason or "The carrier refused the call.", code=row.code, call=shown(row))
        status = 200 if not new else 202 if row.state in (SCHEDULED, PLACING) else 201
        return JSONResponse(shown(row), status, {"Location": f"/calls/{row.id}"})

    def _look_who_calls(self, asked: CallRequest) -> None:
        """Another would call in silence."""
        if asked.agent is not None and not self._agent.knows_name(asked.agent):
            known = f"one of {', '.join(self._agent.names)}" if self._agent.names else "left out: for_name names nobody"
            raise invalid([{"field": "agent", "problem": f"must be {known}"}])
        if asked.business_id is not None and not self._agent.knows_business(asked.business_id):
            raise invalid([{"field": "business_id", "problem": "is none that the agent knows"}])
        if asked.record and not self._records(asked.record):
            raise invalid([{"field": "record", "problem": "is nothing that this node can do: it lacks a setting"}])

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
            raise invalid([{"field": "state", "problem": f"must be one of {', '.join(STATES)}"}])
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:5]) <= MAX_LISTED):
            raise invalid([{"field": "limit", "problem": f"must be a number from 1 to {MAX_LISTED}"}])
        ids = asked["id"].split(",") if "id" in asked else None
        if ids is not None and len(ids) > MAX_LISTED:
            raise invalid([{"field": "id", "problem": f"must be at most {MAX_LISTED}, with commas between"}])
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
    body = await json_body(request, '{"to": "+14155550123"}')
    key = request.headers.get("idempotency-key")
    if key is not None:
        body.setdefault("idempotency_key", key)
    try:
        return CallRequest.model_validate(body)
    except ValidationError as error:
        raise invalid(faults(error)) from None


def shown(row: OutboundCall) -> dict[str, Any]:
    """A call as it is told."""
    request = {name: row.request.get(name) for name in TOLD}
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
        "outcome": row.outcome,
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
        raise invalid([{"field": "cursor", "problem": "must be the `next` of another answer"}]) from None
