"""The record of a call: one JSON document, made when it ends, and the last lines of its log.

Every number is read from its owner; nothing is counted here. The document's fields are described in
docs/call-record.md, which a test holds to them. Whoever called is named as `FASTBRIDGE_RECORD_IDENTITIES` says: masked,
in full, or not at all; what was said is in it, masked, unless `FASTBRIDGE_RECORD_TRANSCRIPTS` is 0.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge._pacing import Pacer
from fastbridge.base.end_reasons import EndReason
from fastbridge.call.parts import Parts
from fastbridge.masking.mask import Mask
from fastbridge.masking.patterns import mask_of
from fastbridge.model.usage import Usage
from fastbridge.observe import events, stats
from fastbridge.observe.log_format import mask_phone

if TYPE_CHECKING:
    from fastbridge.base.conversation import Turn
    from fastbridge.carrier.admission import Admission
    from fastbridge.config import Settings

RECORD_VERSION = 2
"""Rises when a field goes, or means something else; a new field leaves it as it is."""
MAX_ERRORS = 100

_Identities = TypedDict("_Identities", {"from": str | None, "to": str | None, "caller_id": str | None})


class Record(_Identities):
    """What is kept of a call, and what `on_end` is told. docs/call-record.md tells what each field means."""

    version: int
    call_sid: str
    stream_sid: str
    direction: str
    outbound_id: str | None
    business_id: str | None
    started_at: str
    duration_ms: int
    end_reason: str
    transferred_to: str | None
    transfers: list[dict[str, Any]]
    answered_by: dict[str, Any] | None
    timings_ms: dict[str, Any]
    turns: list[dict[str, Any]]
    caller_turns: int
    silences: int
    responses: dict[str, int]
    barge_ins: list[dict[str, Any]]
    accounting: dict[str, Any]
    pacing: dict[str, Any]
    tools: list[dict[str, Any]]
    recording: dict[str, Any] | None
    carrier_recording: dict[str, Any] | None
    consent_ms: int | None
    private: dict[str, int]
    model_line: dict[str, Any]
    model_seconds: dict[str, float | None]
    answers: dict[str, int]
    waiting: dict[str, Any]
    tokens: dict[str, int]
    cost: dict[str, Any]
    model_events: dict[str, int]
    errors: list[str]
    errors_by_type: dict[str, int]
    unlisted: dict[str, int]
    log: dict[str, Any]


def record(call: Parts) -> dict[str, Any]:
    """The call as one JSON document. Times in ms since its start."""
    moments = call.stats
    return {
        "version": RECORD_VERSION,
        "call_sid": call.call_sid,
        "stream_sid": call.stream_sid,
        "direction": call.context.direction,
        "outbound_id": call.context.parameters.get("outbound_id"),
        "business_id": call.context.parameters.get("business_id"),
        **identities(call.settings, call.context.from_number, call.context.to_number),
        "started_at": moments.started_at.isoformat(timespec="milliseconds"),
        "duration_ms": call.clock.now_ms(),
        "end_reason": call.end_reason,
        "transferred_to": call.hangup.transferred_to or call.transfers.transferred_to,
        "transfers": [dict(entry) for entry in call.transfers.entries],
        "answered_by": call.answered_by.summary(),
        "timings_ms": {
            "connect": moments.connect_ms,
            "ready": moments.ready_ms,
            "greeting": moments.greeting_ms,
            "first_speech": moments.first_speech_ms,
            "responses": moments.response_ms,
            "pauses": moments.pause_ms,
        },
        "turns": _turns(call),
        "caller_turns": moments.turns,
        "silences": moments.silences,
        "responses": {"count": moments.responses, **call.session.responses.counters},
        "barge_ins": [vars(barge_in) for barge_in in moments.barge_ins],
        "accounting": stats.accounting(call.caller),
        "pacing": stats.pacing(call.assistant),
        "tools": [dict(tool) for tool in moments.tool_calls],
        "recording": call.local_recording.document,
        "carrier_recording": call.carrier_recording.document,
        "consent_ms": moments.consent_ms,
        "private": {"stretches": moments.private_stretches, "ms": moments.private_ms},
        "model_line": {**call.line.counters, "apologised": call.fallback.apologised},
        "model_seconds": _seconds(call),
        "answers": {**call.turns.counters, **call.answers.counters, **call.format_watch.counters},
        "waiting": call.dead_air.summary(),
        "tokens": vars(call.session.usage),
        "cost": _cost(call),
        "model_events": dict(call.session.counters),
        "errors": moments.errors[:MAX_ERRORS],
        "errors_by_type": dict(moments.error_types),
        "unlisted": dict(moments.unlisted),
        "log": {"lines": call.log.lines, "held_back": dict(call.log.held_back)},
    }


def amended(call: Parts, document: dict[str, Any]) -> dict[str, Any]:
    """The document of a call whose transfer came to its end after it: who has the caller was not known before."""
    entries = [dict(entry) for entry in call.transfers.entries]
    outcome = entries[-1]["outcome"]
    now: dict[str, Any] = {"transfers": entries}
    if document["end_reason"] == EndReason.TRANSFERRED and outcome != "connected":
        now["transferred_to"] = None
        if outcome == "caller_gone":
            now["end_reason"] = str(EndReason.CUSTOMER_HANGUP)
    return document | now


def accounted(call: Parts, document: dict[str, Any]) -> dict[str, Any] | None:
    """The document of a call of whose session the service has told afterwards what it has lasted; None: it knew."""
    now = {"model_seconds": _seconds(call), "cost": _cost(call)}
    return None if now == {name: document[name] for name in now} else document | now


def report(call: Parts, document: dict[str, Any]) -> None:
    """The last lines of a call in the log: its books, its sum, its end."""
    for is_error, line in stats.accounting_lines(call.caller):
        events.accounting(call.log, line, is_error=is_error)
    for line in stats.complaints(document["pacing"], call.safety_fuses):
        events.accounting(call.log, line, is_error=True)
    events.call_metrics(call.log, metrics(document))
    duration_ms, to = document["duration_ms"], document["transferred_to"]
    events.call_end(call.log, duration_ms=duration_ms, reason=document["end_reason"], to=to)


def unbegun(admission: "Admission", settings: "Settings", reason: str, why: str) -> dict[str, Any]:
    """The document of a call that was let in and never began: the same fields, and nothing in them."""
    callbacks: dict[str, Any] = dict.fromkeys(_LANE_CALLBACKS, _nobody)
    lane = AssistantLane(pacer=Pacer(), clock=int, **callbacks)
    caller = CallerLane(clock=int, playing=lane, detector=None, on_message=_nobody, on_edge=_nobody)
    return {
        "version": RECORD_VERSION,
        "call_sid": admission.call_sid,
        "stream_sid": "",
        "direction": admission.direction,
        "outbound_id": admission.parameters.get("outbound_id"),
        "business_id": admission.business_id,
        **identities(settings, admission.from_number, admission.to_number),
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "duration_ms": 0,
        "end_reason": str(reason),
        "transferred_to": None,
        "transfers": [],
        "answered_by": None,
        "timings_ms": dict.fromkeys(("connect", "ready", "greeting", "first_speech")) | {"responses": [], "pauses": []},
        "turns": [],
        "caller_turns": 0,
        "silences": 0,
        "responses": {"count": 0},
        "barge_ins": [],
        "accounting": stats.accounting(caller),
        "pacing": stats.pacing(lane),
        "tools": [],
        "recording": None,
        "carrier_recording": None,
        "consent_ms": None,
        "private": {"stretches": 0, "ms": 0},
        "model_line": {"apologised": False},
        "model_seconds": {"connected": 0.0, "billed": None},
        "answers": {},
        "waiting": {
            "fillers": {},
            "unplanned_ms": {},
            "longest_unplanned_ms": 0,
            "intentional": 0,
            "intentional_ms": 0,
        },
        "tokens": vars(Usage()),
        "cost": {"model": settings.model, "usd": 0.0, "prices": None, "capped_by": None, "models": []},
        "model_events": {},
        "errors": [why],
        "errors_by_type": {"unbegun": 1},
        "unlisted": {},
        "log": {"lines": 1, "held_back": {}},
    }


_LANE_CALLBACKS = ("on_event", "on_first_frame", "on_played", "on_full", "on_bad_frame")


def _nobody(*_: object) -> None:
    """Nothing happens in a call that never began."""


def identities(settings: "Settings", from_number: str, to_number: str) -> dict[str, str | None]:
    """`from` and `to` as the settings want them, and `caller_id`: the same for the same caller, and no number.

    caller_id is keyed with the carrier's auth token, so that nobody without it can find a number by trying them all.
    """
    secret = settings.twilio_auth_token
    caller_id = None
    if secret is not None and from_number:
        key = hmac.digest(secret.get_secret_value().encode(), b"fastbridge caller id", hashlib.sha256)
        caller_id = hmac.new(key, from_number.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]
    if settings.record_identities == "none":
        return {"from": None, "to": None, "caller_id": None}
    if settings.record_identities == "full":
        return {"from": from_number, "to": to_number, "caller_id": caller_id}
    return {"from": _masked(from_number), "to": _masked(to_number), "caller_id": caller_id}


def _masked(number: str) -> str:
    """A number masked; a name or an address (`sip:anna@example.com`) says who it is, and is only said to be one."""
    masked = mask_phone(number)
    return masked if masked != number or number.lower() in ("", "anonymous", "unknown") else "****"


def _turns(call: Parts) -> list[dict[str, Any]]:
    said = [turn for turn in call.session.history.ordered() if turn.text or turn.failed]
    words = call.settings.record_transcripts
    shown = _masked_texts(said, mask_of(call.settings)) if words else {}
    return [
        {"role": turn.role, "text": shown.get(turn.item_id), "heard_ms": turn.heard_ms}
        | ({} if words else {"characters": len(turn.text)})
        | ({"failed": True} if turn.failed else {})
        for turn in said
    ]


def _masked_texts(said: "list[Turn]", mask: Mask) -> dict[str, str]:
    """By item. What one speaker said is looked at as one: a number may be in two turns."""
    texts: dict[str, str] = {}
    for role in {turn.role for turn in said}:
        turns = [turn for turn in said if turn.role == role]
        masked = mask.turns([turn.text for turn in turns])
        texts |= dict(zip((turn.item_id for turn in turns), masked, strict=True))
    return texts


def session_seconds(call: Parts) -> float:
    """How long its sessions have lasted: by the service's account, and by ours where that is behind."""
    return max(call.session.billed_seconds or 0.0, call.line.connected_seconds)


def _seconds(call: Parts) -> dict[str, float | None]:
    return {"connected": round(call.line.connected_seconds, 1), "billed": call.session.billed_seconds}


def _cost(call: Parts) -> dict[str, Any]:
    ledger, used = call.budget.ledger, (call.session.usage, session_seconds(call))
    return {
        "model": call.settings.model,
        "usd": ledger.usd(*used),
        "prices": ledger.source,
        "capped_by": call.budget.capped_by,
        "models": ledger.entries(*used),
    }


def metrics(document: dict[str, Any]) -> dict[str, object]:
    """The fields of the `[CALL_METRICS]` line."""
    timings, pacing, books = document["timings_ms"], document["pacing"], document["accounting"]
    responses, pauses = timings["responses"], [pause for pause in timings["pauses"] if pause is not None]
    outcomes = [barge_in["outcome"] for barge_in in document["barge_ins"]]
    return {
        "greeting_ms": timings["greeting"],
        "first_speech_ms": timings["first_speech"],
        "turns": document["caller_turns"],
        "response_ms": sum(responses) // len(responses) if responses else None,
        "pause_ms": sum(pauses) // len(pauses) if pauses else None,
        "barge_in_events": outcomes.count("committed"),
        "barge_in_false": outcomes.count("resumed"),
        "silences": document["silences"],
        "silence_frames": books["silence"],
        "frames_in": books["frames_in"],
        "frames_enqueued": pacing["frames_enqueued"],
        "tx": pacing["tx"],
        "flushed": sum(pacing["flushed"].values()),
        **{f"flushed_{place}": frames for place, frames in pacing["flushed"].items()},
        "cleared": pacing["cleared"],
        "rewound": pacing["rewound"],
        "tx_late_frames": pacing["tx_late_frames"],
        "tx_schedule_resets": pacing["tx_schedule_resets"],
        "underruns": pacing["underruns"],
        "interval_p99_ms": pacing["interval_p99_ms"],
        "forwarded": books["forwarded"],
        "dropped": books["dropped"],
        "tool_calls": len(document["tools"]),
        "tokens": document["tokens"]["total_tokens"],
        "cost_usd": document["cost"]["usd"],
        "safety_fuse": sum(document[owner].get("safety_fuse", 0) for owner in ("responses", "model_line")),
        "errors": sum(document["errors_by_type"].values()),
    }
