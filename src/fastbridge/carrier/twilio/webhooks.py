"""The HTTP routes: Twilio's webhooks, the recordings it fetches, and the two health checks."""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fastbridge.agent.definition import CallContext
from fastbridge.base.end_reasons import OURS_TO_EXPLAIN, EndReason
from fastbridge.base.languages import Message
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.carrier.admission import LOOK_AT, TERMINAL_STATUSES, Admission, Direction, Refusal
from fastbridge.carrier.port import RecordingTold
from fastbridge.carrier.twilio.announcements import PATH, Announcer
from fastbridge.carrier.twilio.error_codes import explained
from fastbridge.carrier.twilio.messages import ANSWERED_BY, CALL_STATUSES, RECORDING_SID, RECORDING_STATUSES
from fastbridge.carrier.twilio.recordings import STATUS_PATH
from fastbridge.carrier.twilio.transfer_webhooks import TransferDesk
from fastbridge.carrier.twilio.transfers import TwilioTransfers
from fastbridge.carrier.twilio.twiml import connect_twiml, dial_twiml, hangup_twiml, reject_twiml
from fastbridge.carrier.twilio.webhook import MAX_PARAMETER_CHARS, SAY_SECONDS, XML, Door, Handler, Webhook, client_ip
from fastbridge.carrier.twilio.webhook import Node as DoorNode
from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter

PROBE = "FastbridgeProbe"
"""The parameter of `fastbridge doctor`'s own webhook, signed like Twilio's: a token is given, nobody is looked up."""
NO_UPGRADE = "a media stream needs Upgrade: websocket and Connection: Upgrade; missing: "
KEEP_RECORDINGS = {"Cache-Control": "public, max-age=31536000, immutable"}

_logger = logging.getLogger(__name__)


class Node(DoorNode, Protocol):
    """What the routes need of the node, beside what their door does."""

    @property
    def draining(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    @property
    def successor(self) -> bool:
        """Of a process that died, and its calls with it."""

    @property
    def transfers(self) -> TwilioTransfers | None: ...
    def announce(self, admission: Admission) -> None:
        """A call was admitted; its stream will follow."""

    def on_answered_by(self, call_sid: str, verdict: str) -> None:
        """human, machine, fax or unknown: as the carrier has it."""

    async def on_recording_status(self, told: RecordingTold) -> bool:
        """A recording's callback, in any order, and twice. False if it could not be kept: it is to come again."""

    def on_call_status(self, call_sid: str, state: str, sequence: int | None, params: Mapping[str, str]) -> None:
        """A status callback: in any order, and twice. params: the operator's own, and `duration_seconds`."""


def routes(node: Node) -> list[Route]:
    """Every HTTP route of the node."""
    refusals = RateLimiter()
    desk, door = _Desk(node, refusals), Door(node, refusals)
    transfers = TransferDesk(node)

    def webhook(path: str, handler: Handler, fallback: Callable[[], Response]) -> Route:
        return Route(f"/webhook/{path}", door.endpoint(handler, fallback), methods=["GET", "POST"])

    return [
        webhook("incoming_call", functools.partial(desk.connect, "inbound"), desk.apology),
        webhook("outbound_call", functools.partial(desk.connect, "outbound"), desk.apology),
        webhook("stream_ended", desk.stream_ended, _hang_up),
        webhook("call_status", desk.call_status, _nothing),
        Route(STATUS_PATH, door.endpoint(desk.recording_status, _again), methods=["POST"]),
        webhook("transfer_answer", transfers.answer, transfers.failed),
        webhook("transfer_key", transfers.key, transfers.failed),
        webhook("transfer_status", transfers.status, _nothing),
        webhook("transfer_join", transfers.join, transfers.failed),
        webhook("transfer_over", transfers.over, transfers.failed),
        Route(f"{PATH}{{name}}", desk.recording, methods=["GET"]),
        Route(f"{MEDIA_PATH}{{token:path}}", desk.plain_stream, methods=["GET"]),
        Route("/healthz", desk.healthz, methods=["GET"]),
        Route("/readyz", desk.readyz, methods=["GET"]),
    ]


class _Desk:
    """The front desk: does what webhooks ask."""

    def __init__(self, node: Node, refusals: RateLimiter) -> None:
        self._node = node
        self._refusals = refusals
        self._announcer = Announcer(node.settings)

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

    async def recording_status(self, webhook: Webhook) -> Response:
        """A recording's callback: kept before it is answered. What is no recording's is nobody's."""
        sid, status = (webhook.params.get(name, "") for name in ("RecordingSid", "RecordingStatus"))
        if not RECORDING_SID.match(sid) or status not in RECORDING_STATUSES:
            return _nothing()
        return _nothing() if await self._node.on_recording_status(_recording_told(webhook)) else _again()

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
            address = client_ip(request) or "-"
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


def _sequence_number(params: Mapping[str, str]) -> int | None:
    return _count(params.get("SequenceNumber", ""))


def _recording_told(webhook: Webhook) -> RecordingTold:
    told = webhook.params
    numbers = (_count(told.get(name, "")) for name in ("RecordingChannels", "RecordingDuration"))
    return RecordingTold(webhook.account_sid, webhook.call_sid, told["RecordingSid"], told["RecordingStatus"], *numbers)


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _told(webhook: Webhook) -> dict[str, str]:
    """What else a status callback says, in words of ours."""
    named = {"CallDuration": "duration_seconds", "AnsweredBy": "answered_by", "ErrorCode": "code"}
    told = {ours: webhook.params[theirs] for theirs, ours in named.items() if theirs in webhook.params}
    reason = explained(told.get("code", ""))
    return {**webhook.own, **told, **({"reason": reason} if reason is not None else {})}


def _twiml(text: str) -> Response:
    return Response(text, media_type=XML)


def _hang_up() -> Response:
    return _twiml(hangup_twiml())


def _nothing() -> Response:
    return Response(status_code=204)


def _again() -> Response:
    """Twilio asks again."""
    return PlainTextResponse("Service Unavailable", 503, headers={"Retry-After": "5"})
