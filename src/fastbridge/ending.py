"""Why a call ended: a closed set, for records, logs and metrics."""

from enum import StrEnum


class EndReason(StrEnum):
    """One of these is in every record. Those that begin with `model_` earn the caller an apology, and so do those of a
    call that never began."""

    CUSTOMER_HANGUP = "customer_hangup"
    AGENT_HANGUP = "agent_hangup"
    TRANSFERRED = "transferred"
    SILENCE = "silence"
    LINE_NOISE = "line_noise"
    CARRIER_STATUS = "carrier_status"
    STREAM_DEAD = "stream_dead"
    CARRIER_SLOW = "carrier_slow"
    CARRIER_PROTOCOL = "carrier_protocol"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_LOST = "model_lost"
    MAX_DURATION = "max_duration"
    SHUTDOWN = "shutdown"
    NO_STREAM = "no_stream"
    STREAM_REFUSED = "stream_refused"


UNBEGUN = frozenset({EndReason.NO_STREAM, EndReason.STREAM_REFUSED})
"""The call was let in, and no conversation came of it."""
