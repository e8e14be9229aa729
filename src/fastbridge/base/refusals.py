"""Why somebody is turned away: a closed set, for counters and log lines."""

from typing import Literal, get_args

Reason = Literal[
    # webhook
    "no_signature",
    "signature",
    "content_type",
    "too_large",
    "no_length",
    "pipelined",
    "slow",
    "too_many_readers",
    "bad_sid",
    # admission
    "caller",
    "draining",
    "capacity",
    "pending",
    "replay",
    "model_down",
    "budget",
    # media socket
    "connections",
    "connections_per_ip",
    "no_upgrade",
    "token_unknown",
    "token_spent",
    "token_expired",
    "token_mismatch",
    "handshake_signature",
    "start_deadline",
    "bad_start",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
