"""A webhook of Twilio's, from its bytes to whoever does what it asks: what is read of it, and the checks before.

A request is judged in order of cost: signature header, size and type, body (64 KiB, 5 s), signature, sids; only then
does anybody hear of it. Signatures are checked whenever there is an auth token, against the configured public URL: Host
and X-Forwarded-* are never read here. Never a 500 and never a traceback to a client: what breaks is logged, and Twilio
gets an answer that ends well for the caller.
"""

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from fastbridge.agent.definition import Agent
from fastbridge.base.refusals import Reason
from fastbridge.carrier.admission import Directory
from fastbridge.carrier.twilio.messages import ACCOUNT_SID, CALL_SID
from fastbridge.carrier.twilio.signature import Params, valid_webhook
from fastbridge.config import Settings
from fastbridge.net.arrival import Arrival
from fastbridge.net.http_gate import MAX_BODY_BYTES
from fastbridge.observe import events, notices
from fastbridge.observe.limits import RateLimiter

MAX_PARAMS = 256
BODY_DEADLINE_S = 5.0
MAX_PARAMETER_CHARS = 400
MAX_PARAMETERS = 16
SAY_SECONDS = 10.0
XML = "text/xml"

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_OWN_NAME = re.compile(r"[a-z][A-Za-z0-9_.-]{0,63}\Z")
_BUSINESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_logger = logging.getLogger(__name__)


class Node(Protocol):
    """What the door needs of the node."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def agent(self) -> Agent: ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """An authentic webhook: Twilio's parameters, and those the operator put into the URL."""

    call_sid: str
    account_sid: str
    params: Mapping[str, str]
    own: Mapping[str, str]


class RequestError(Exception):
    """This request goes no further."""

    def __init__(self, reason: Reason, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


Handler = Callable[[Webhook], Response | Awaitable[Response]]


class Door:
    """Lets webhooks in. refusals: how often what is said of those it does not."""

    def __init__(self, node: Node, refusals: RateLimiter) -> None:
        self._node = node
        self._refusals = refusals

    def endpoint(self, handler: Handler, fallback: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
        """`handler` behind the checks; `fallback` answers if our own code fails."""

        async def answer(request: Request) -> Response:
            if request.method not in ("GET", "POST"):  # Starlette adds HEAD to GET, and Twilio never sends it
                return PlainTextResponse("Method Not Allowed", 405, headers={"Allow": "GET, POST"})
            arrival: Arrival = request.scope.get("state", {}).get("arrival") or Arrival()
            try:
                webhook = await self._authentic(request, arrival)
                answered = handler(webhook)
                response = await answered if inspect.isawaitable(answered) else answered
                self._check_time(arrival, webhook, response)
                return response
            except RequestError as refused:
                return self._refused(request, refused)
            except ClientDisconnect:
                return PlainTextResponse("Bad Request", 400)
            except Exception:
                path = request.scope["path"]
                events.webhook_failed(path)
                return fallback()

        return answer

    async def _authentic(self, request: Request, arrival: Arrival) -> Webhook:
        settings = self._node.settings
        signature = request.headers.get("x-twilio-signature", "")
        if settings.twilio_auth_token is not None and not signature:
            raise RequestError("no_signature", 403)
        content_type = _content_type(request)
        body = await self._body(request)
        arrival.read()
        query = _decoded(request.scope.get("query_string", b""))
        signed = _decoded(body) if content_type == _FORM else []
        if settings.twilio_auth_token is not None and not valid_webhook(
            settings.twilio_auth_token.get_secret_value(),
            settings.public_url,
            _target(request),
            signed,
            body,
            content_type,
            signature,
        ):
            raise RequestError("signature", 403)
        params = _json_fields(body) if content_type == _JSON else dict(query if request.method == "GET" else signed)
        call_sid, account_sid = params.get("CallSid", ""), params.get("AccountSid", "")
        if not CALL_SID.match(call_sid) or not ACCOUNT_SID.match(account_sid):
            raise RequestError("bad_sid", 403)
        if settings.twilio_account_sid not in (None, account_sid):
            raise RequestError("bad_sid", 403)
        self._look_at_business(query)
        return Webhook(call_sid, account_sid, params, own_parameters(query))

    def _look_at_business(self, query: Params) -> None:
        """A number that is set up for a business which is not there would be answered by another in silence."""
        for name, value in query:
            known = bool(_BUSINESS_ID.match(value)) and self._node.agent.knows_business(value)
            if name == "business_id" and not known:
                more = self._refusals.skipped("business_id", SAY_SECONDS)
                if more is not None:
                    notices.business_unknown(value, more=more)

    async def _body(self, request: Request) -> bytes:
        """The body, within its bounds."""
        if request.method == "GET":
            return b""
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                return await _read(request)
        except TimeoutError:
            raise RequestError("slow", 408) from None

    def _check_time(self, arrival: Arrival, webhook: Webhook, response: Response) -> None:
        """A caller waits for TwiML, and hears nothing meanwhile."""
        limit_ms = self._node.settings.twiml_sla_ms
        if response.media_type == XML:
            took_ms, parts = arrival.waits_ms()
            if took_ms > limit_ms:
                events.sla(webhook.call_sid, took_ms, limit_ms, **parts)

    def _refused(self, request: Request, refused: RequestError) -> Response:
        """Count every refusal, log one a second for each reason: the rest would be the attacker's log, not ours."""
        directory = self._node.directory
        directory.refuse(refused.reason)
        if self._refusals.every(refused.reason, 1.0):
            total = directory.counters[refused.reason]
            _logger.warning("webhook refused: %s (%d so far), from %s", refused.reason, total, client_ip(request))
        headers = {"Retry-After": "1"} if refused.status == 503 else None
        return PlainTextResponse(_STATUS_TEXT[refused.status], refused.status, headers=headers)


def own_parameters(query: Params) -> dict[str, str]:
    """The operator's own parameters of a webhook's URL (`?business_id=456`), to be passed on to the call.

    Twilio's begin with a capital, so ours begin with a small letter. What does not fit a <Parameter> is left out, and
    so is a business_id that is not 1 to 64 letters, digits, - and _.
    """
    own: dict[str, str] = {}
    for name, value in query:
        fits = len(name) + len(value) <= MAX_PARAMETER_CHARS and value.isprintable()
        if not fits or not _OWN_NAME.match(name) or name == "bodySHA256":
            continue
        if name == "business_id" and not _BUSINESS_ID.match(value):
            continue
        if len(own) < MAX_PARAMETERS:
            own.setdefault(name, value)
    return own


def call_sid_of(fields: bytes, media_type: str = _FORM) -> str:
    """The call that a webhook says it is about, by its query or its body; empty if it says none. Nothing is proven."""
    try:
        named = _json_fields(fields) if media_type == _JSON else dict(_decoded(fields))
    except RequestError:
        return ""
    return named.get("CallSid", "")


def _content_type(request: Request) -> str:
    """The body's media type, if we read such bodies. A GET has none."""
    if request.method == "GET":
        return ""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (_FORM, _JSON) or request.headers.get("content-encoding", "identity") != "identity":
        raise RequestError("content_type", 415)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
        raise RequestError("too_large", 413)
    return media_type


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestError("too_large", 413)
    return bytes(body)


def _decoded(encoded: bytes) -> Params:
    """Form fields as Twilio signs them: blanks, duplicates and white space kept."""
    try:
        return parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_PARAMS)
    except ValueError:
        raise RequestError("too_large", 413) from None


def _json_fields(body: bytes) -> dict[str, str]:
    """The texts of a JSON object; the rest of it is nothing a webhook of ours asks for."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("content_type", 415) from None
    fields = document if isinstance(document, dict) else {}
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _target(request: Request) -> str:
    """The request's path and query, as they came over the wire."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope.get("query_string", b"")
    return (path + b"?" + query if query else path).decode("latin-1")


def client_ip(request: Request) -> str:
    return request.client.host if request.client else ""


_STATUS_TEXT = {
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}
