"""Why a call ended: a closed set, for records, logs and metrics."""

from enum import StrEnum


class EndReason(StrEnum):
    """One of these is in every record."""

    CUSTOMER_HANGUP = "customer_hangup"
    AGENT_HANGUP = "agent_hangup"
    TRANSFERRED = "transferred"
    SILENCE = "silence"
    LINE_NOISE = "line_noise"
    ANSWERING_MACHINE = "answering_machine"
    CARRIER_STATUS = "carrier_status"
    STREAM_DEAD = "stream_dead"
    CARRIER_SLOW = "carrier_slow"
    CARRIER_PROTOCOL = "carrier_protocol"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_LOST = "model_lost"
    MAX_DURATION = "max_duration"
    BUDGET = "budget"
    SHUTDOWN = "shutdown"
    NO_STREAM = "no_stream"
    STREAM_REFUSED = "stream_refused"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CANCELED = "canceled"
    NODE_LOST = "node_lost"


UNBEGUN = frozenset({EndReason.NO_STREAM, EndReason.STREAM_REFUSED})
"""The call was let in, and no conversation came of it."""
UNANSWERED = {"busy": EndReason.BUSY, "no-answer": EndReason.NO_ANSWER, "failed": EndReason.FAILED}
UNANSWERED |= {"canceled": EndReason.CANCELED}
"""Why a call out came to nothing, by the carrier's word for it."""
OURS_TO_EXPLAIN = UNBEGUN | {
    EndReason.STREAM_DEAD,
    EndReason.CARRIER_SLOW,
    EndReason.CARRIER_PROTOCOL,
    EndReason.MODEL_UNAVAILABLE,
    EndReason.MODEL_LOST,
    EndReason.SHUTDOWN,
}
"""Neither side wanted the call to end so. A caller who is still there hears somebody else, or an apology."""
