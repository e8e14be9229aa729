"""The record of a call: one JSON document, made when it ends, and the line that sums it up in the log.

Every number is read from its owner; nothing is counted here.
"""

from typing import TYPE_CHECKING, Any

from fastbridge import stats

if TYPE_CHECKING:
    from fastbridge.call import Call

RECORD_VERSION = 1


def record(call: "Call") -> dict[str, Any]:
    """The call as one JSON document. Times in ms since its start."""
    moments = call.stats
    return {
        "version": RECORD_VERSION,
        "call_sid": call.call_sid,
        "stream_sid": call.stream_sid,
        "direction": call.context.direction,
        "duration_ms": call.now_ms(),
        "end_reason": call.end_reason,
        "timings_ms": {
            "connect": moments.connect_ms,
            "ready": moments.ready_ms,
            "greeting": moments.greeting_ms,
            "first_speech": moments.first_speech_ms,
            "responses": moments.response_ms,
        },
        "turns": [
            {"role": turn.role, "text": turn.text, "heard_ms": turn.heard_ms}
            for turn in call.session.history.ordered()
            if turn.text
        ],
        "caller_turns": moments.turns,
        "silences": moments.silences,
        "responses": {"count": moments.responses, **call.session.responses.counters},
        "barge_ins": [vars(barge_in) for barge_in in moments.barge_ins],
        "accounting": stats.accounting(call.caller),
        "pacing": stats.pacing(call.assistant),
        "tools": moments.tool_calls,
        "model_line": {**call.line.counters, "apologised": call.ladder.apologised},
        "answers": dict(call.answers.counters),
        "waiting": call.waiting.summary(),
        "tokens": vars(call.session.usage),
        "model_events": dict(call.session.counters),
        "errors": moments.errors,
    }


def metrics(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of the `[CALL_METRICS]` line."""
    timings, pacing = document["timings_ms"], document["pacing"]
    responses = timings["responses"]
    outcomes = [barge_in["outcome"] for barge_in in document["barge_ins"]]
    return {
        "greeting_ms": timings["greeting"],
        "first_speech_ms": timings["first_speech"],
        "turns": document["caller_turns"],
        "response_ms": sum(responses) // len(responses) if responses else None,
        "barge_ins": outcomes.count("committed"),
        "barge_in_false": outcomes.count("resumed"),
        "silences": document["silences"],
        "frames_in": document["accounting"]["frames_in"],
        "frames_enqueued": pacing["frames_enqueued"],
        "tx": pacing["tx"],
        "tx_late_frames": pacing["tx_late_frames"],
        "tx_schedule_resets": pacing["tx_schedule_resets"],
        "underruns": pacing["underruns"],
        "tool_calls": len(document["tools"]),
        "tokens": document["tokens"]["total_tokens"],
    }
