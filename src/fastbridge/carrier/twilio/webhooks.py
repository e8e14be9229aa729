"""The HTTP routes: Twilio's webhooks, the recordings it fetches, and the two health checks.

A request is judged in order of cost: signature header, size and type, body (64 KiB, 5 s), signature, sids; only then
does anybody hear of it. Signatures are checked whenever there is an auth token, against the configured public URL: Host
and X-Forwarded-* are never read here. Never a 500 and never a traceback to a client:
what breaks is logged, and Twilio gets an answer that ends well for the caller.
"""

import asyncio
import functools
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.end_reasons import OURS_TO_EXPLAIN, EndReason
from fastbridge.base.languages import Message
from fastbridge.base.refusals import Reason
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.carrier.admission import LOOK_AT, TERMINAL_STATUSES, Admission, Direction, Directory, Refusal
from fastbridge.carrier.twilio.announcements import PATH, Announcer
from fastbridge.carrier.twilio.error_codes import explained
from fastbridge.carrier.twilio.messages import ACCOUNT_SID, ANSWERED_BY, CALL_SID, CALL_STATUSES
from fastbridge.carrier.twilio.signature import Params, valid_webhook
from fastbridge.carrier.twilio.twiml import connect_twiml, dial_twiml, hangup_twiml, reject_twiml
from fastbridge.config import Settings
from fastbridge.net.arrival import Arrival
from fastbridge.net.http_gate import MAX_BODY_BYTES
from fastbridge.observe import events, notices
from fastbridge.observe.limits import RateLimiter

MAX_PARAMS = 256
BODY_DEADLINE_S = 5.0
MAX_PARAMETER_CHARS = 400
MAX_PARAMETERS = 16
PROBE = "FastbridgeProbe"
"""The parameter of `fastbridge doctor`'s own webhook, signed like Twilio's: a token is given, nobody is looked up."""
NO_UPGRADE = "a media stream needs Upgrade: websocket and Connection: Upgrade; missing: "
SAY_SECONDS = 10.0
KEEP_RECORDINGS = {"Cache-Control": "public, max-age=31536000, immutable"}

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_XML = "text/xml"
_OWN_NAME = re.compile(r"[a-z][A-Za-z0-9_.-]{0,63}\Z")
_BUSINESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_logger = logging.getLogger(__name__)


class Node(Protocol):
    """What the routes need of the node."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def draining(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def successor(self) -> bool:
        """Of a process that died, and its calls with it."""

    @property
    def agent(self) -> Agent: ...
    def announce(self, admission: Admission) -> None:
        """A call was admitted; its stream will follow."""

    def on_answered_by(self, call_sid: str, verdict: str) -> None:
        """human, machine, fax or unknown: as the carrier has it."""

    def on_call_status(self, call_sid: str, state: str, sequence: int | None, params: Mapping[str, str]) -> None:
        """A status callback: in any order, and twice. params: the operator's own, and `duration_seconds`."""


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


Handler = Callable[[Webhook], Response]


def routes(node: Node) -> list[Route]:
    """Every HTTP route of the node."""
    desk = _Desk(node)

    def webhook(path: str, handler: Handler, fallback: Callable[[], Response]) -> Route:
        return Route(f"/webhook/{path}", desk.endpoint(handler, fallback), methods=["GET", "POST"])

    return [
        webhook("incoming_call", functools.partial(desk.connect, "inbound"), desk.apology),
        webhook("outbound_call", functools.partial(desk.connect, "outbound"), desk.apology),
        webhook("stream_ended", desk.stream_ended, _hang_up),
        webhook("call_status", desk.call_status, _nothing),
        Route(f"{PATH}{{name}}", desk.recording, methods=["GET"]),
        Route(f"{MEDIA_PATH}{{token:path}}", desk.plain_stream, methods=["GET"]),
        Route("/healthz", desk.healthz, methods=["GET"]),
        Route("/readyz", desk.readyz, methods=["GET"]),
    ]


class _Desk:
    """The front desk: lets webhooks in, and does what they ask."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._refusals = RateLimiter()
        self._announcer = Announcer(node.settings)

    def endpoint(self, handler: Handler, fallback: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
        """`handler` behind the checks; `fallback` answers if our own code fails."""

        async def answer(request: Request) -> Response:
            if request.method not in ("GET", "POST"):  # Starlette adds HEAD to GET, and Twilio never sends it
                return PlainTextResponse("Method Not Allowed", 405, headers={"Allow": "GET, POST"})
            arrival: Arrival = request.scope.get("state", {}).get("arrival") or Arrival()
            try:
                webhook = await self._authentic(request, arrival)
                response = handler(webhook)
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

    # Judgement

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
        if response.media_type == _XML:
            took_ms, parts = arrival.waits_ms()
            if took_ms > limit_ms:
                events.sla(webhook.call_sid, took_ms, limit_ms, **parts)

    def _refused(self, request: Request, refused: RequestError) -> Response:
        """Count every refusal, log one a second for each reason: the rest would be the attacker's log, not ours."""
        directory = self._node.directory
        directory.refuse(refused.reason)
        if self._refusals.every(refused.reason, 1.0):
            total = directory.counters[refused.reason]
            _logger.warning("webhook refused: %s (%d so far), from %s", refused.reason, total, _client_ip(request))
        headers = {"Retry-After": "1"} if refused.status == 503 else None
        return PlainTextResponse(_STATUS_TEXT[refused.status], refused.status, headers=headers)

    # What webhooks ask for

    def connect(self, direction: Direction, webhook: Webhook) -> Response:
        """A call waits for its TwiML: connect it to a media stream, or tell it that we are busy."""
        from_number = webhook.params.get("From", "")[:MAX_PARAMETER_CHARS]
        probing = PROBE in webhook.params
        if direction == "inbound" and not probing and not self._node.agent.answers(from_number):
            return self._unwelcome(webhook)
        admission = self._node.directory.admit(
            webhook.call_sid,
            webhook.account_sid,
            from_number=from_number,
            to_number=webhook.params.get("To", "")[:MAX_PARAMETER_CHARS],
            direction=direction,
            parameters=webhook.own,
        )
        if isinstance(admission, Admission) and not probing:
            self._node.announce(admission)
        response = _twiml(self._answer(webhook, admission))
        if isinstance(admission, Refusal) and self._refusals.every(admission.reason, 1.0):
            self._log_refusal(admission, webhook)
        return response

    def _answer(self, webhook: Webhook, admission: Admission | Refusal) -> str:
        settings = self._node.settings
        if isinstance(admission, Admission):
            stream_url = f"{settings.stream_url}{MEDIA_PATH}{admission.token}"
            return connect_twiml(stream_url, f"{settings.public_url}/webhook/stream_ended", admission.parameters)
        if admission.reason == "model_down":
            return self._excuse(webhook)
        return hangup_twiml() if admission.reason == "replay" else self._spoken("busy", webhook)

    def _excuse(self, webhook: Webhook) -> str:
        """The caller gets somebody else, if there is somebody, or at least an apology."""
        number = self._node.settings.fallback_number
        return self._spoken("apology", webhook) if number is None else dial_twiml(number)

    def _spoken(self, which: Message, webhook: Webhook) -> str:
        """In the language of whoever would have answered, or has."""
        caller, called = (webhook.params.get(name, "")[:MAX_PARAMETER_CHARS] for name in ("From", "To"))
        context = CallContext(webhook.call_sid, caller, called, "inbound", webhook.own)
        return self._announcer.twiml(which, agent=self._node.agent.for_call(context))

    def apology(self) -> Response:
        """Of our own code's failure: it asks nobody."""
        return _twiml(self._announcer.twiml("apology"))

    def _log_refusal(self, refusal: Refusal, webhook: Webhook) -> None:
        if refusal.reason == "replay":  # no line of that call's: whoever has its webhook could fill its log
            total = self._node.directory.counters["replay"]
            _logger.warning("call refused: %s (%d so far)", refusal.reason, total)
        else:
            _logger.warning("call refused: %s, call_sid=%s", refusal.reason, webhook.call_sid)

    def _unwelcome(self, webhook: Webhook) -> Response:
        """Not one of the agent's callers: nothing is looked up, nobody is dialled."""
        self._node.directory.refuse("caller")
        if self._refusals.every("caller", 1.0):
            _logger.warning("call refused: caller, call_sid=%s", webhook.call_sid)
        return _twiml(reject_twiml())

    def stream_ended(self, webhook: Webhook) -> Response:
        """<Connect> is over: hang up. If neither side wanted that, or the process that had the call died, pass the
        caller on first, if there is somebody, or apologise, unless that has been heard."""
        directory = self._node.directory
        call = directory.get(webhook.call_sid)
        if call is None:
            _logger.debug("stream_ended for a call that is not live: %s", webhook.call_sid)
            directory.lose(webhook.call_sid, EndReason.NO_STREAM, f"Twilio could not connect the stream: {LOOK_AT}")
            reason = directory.ended_reason(webhook.call_sid)
        else:
            call.on_stream_ended()
            reason = call.end_reason
        lost = call is None and reason is None and self._node.successor
        if not (lost or reason in OURS_TO_EXPLAIN):
            return _hang_up()
        if self._node.settings.fallback_number is None and directory.was_apologised(webhook.call_sid):
            return _hang_up()
        return _twiml(self._excuse(webhook))

    def call_status(self, webhook: Webhook) -> Response:
        """A status callback. Those of unknown calls, old ones and unknown words are normal, and change nothing."""
        directory = self._node.directory
        status = webhook.params.get("CallStatus", "")
        if status not in CALL_STATUSES:
            self._answered_by(webhook)
            return _nothing()
        self._node.on_call_status(webhook.call_sid, status, _sequence_number(webhook.params), _told(webhook))
        if not directory.is_news(webhook.call_sid, status, _sequence_number(webhook.params)):
            return _nothing()
        terminal = status in TERMINAL_STATUSES
        if terminal:
            directory.abandon(webhook.call_sid)
        call = directory.get(webhook.call_sid)
        if call is None:
            _logger.debug("status %s of a call that is not live: %s", status, webhook.call_sid)
            return _nothing()
        call.on_carrier_status(status)
        return _nothing()

    def _answered_by(self, webhook: Webhook) -> None:
        """Twilio's answering machine detection, which tells what it has found while the call goes on."""
        found = webhook.params.get("AnsweredBy", "")
        if found in ANSWERED_BY:
            self._node.on_answered_by(webhook.call_sid, ANSWERED_BY[found])

    async def recording(self, request: Request) -> Response:
        """A recording of the operator's own, which our TwiML names. What it does not name is not there."""
        audio = self._announcer.recordings.files.get(request.path_params["name"])
        if audio is None:
            return PlainTextResponse("Not Found", 404)
        return Response(audio, media_type="audio/x-wav", headers=KEEP_RECORDINGS)

    async def plain_stream(self, request: Request) -> Response:
        """A stream's address, asked for without an upgrade: what came was no request for a stream any more."""
        headers = request.headers
        asked = {word.strip().lower() for word in headers.get("connection", "").split(",")}
        there = {"Upgrade": headers.get("upgrade", "").lower() == "websocket", "Connection": "upgrade" in asked}
        missing = " ".join(name for name, present in there.items() if not present)
        directory = self._node.directory
        directory.refuse("no_upgrade")
        admitted = isinstance(directory.judge(request.path_params["token"]), Admission)
        more = self._refusals.skipped(("no_upgrade", admitted), SAY_SECONDS)
        if more is not None:
            address = _client_ip(request) or "-"
            notices.upgrade_dropped(missing, admitted="yes" if admitted else "no", more=more, address=address)
        return PlainTextResponse(f"{NO_UPGRADE}{missing}\n", 426, headers={"Upgrade": "websocket"})

    async def healthz(self, request: Request) -> Response:
        """The loop turns. Nothing else: a restart would cure nothing else."""
        return JSONResponse({"alive": True})

    async def readyz(self, request: Request) -> Response:
        """Whether new calls may be sent here. A full node stays ready: it answers with its busy message."""
        node = self._node
        ready = node.ready and not node.draining
        state = {
            "ready": ready,
            "draining": node.draining,
            "calls": node.directory.live,
            "capacity": node.settings.max_calls,
        }
        return JSONResponse(state, 200 if ready else 503)


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


def _client_ip(request: Request) -> str:
    return request.client.host if request.client else ""


def _sequence_number(params: Mapping[str, str]) -> int | None:
    text = params.get("SequenceNumber", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _told(webhook: Webhook) -> dict[str, str]:
    """What else a status callback says, in words of ours."""
    named = {"CallDuration": "duration_seconds", "AnsweredBy": "answered_by", "ErrorCode": "code"}
    told = {ours: webhook.params[theirs] for theirs, ours in named.items() if theirs in webhook.params}
    reason = explained(told.get("code", ""))
    return {**webhook.own, **told, **({"reason": reason} if reason is not None else {})}


def _twiml(text: str) -> Response:
    return Response(text, media_type=_XML)


def _hang_up() -> Response:
    return _twiml(hangup_twiml())


def _nothing() -> Response:
    return Response(status_code=204)


_STATUS_TEXT = {
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}
