"""The service cannot be reached, or will not have us: what the caller hears instead of an answer."""

import pytest

from fastbridge.sim import faults
from fastbridge.sim.faults import ALWAYS
from plays import assert_answered, assert_apologised, assert_never_left_alone, counted

APOLOGY_MS = 2000
"""A refusal that no patience mends: the caller is told this soon."""
PASSING = [
    faults.unreachable("refused"),
    faults.unreachable("dns"),
    faults.unreachable("tls"),
    faults.unreachable("refused", times=2),
    faults.connect_hangs(),
    faults.refused(429, "rate_limit_exceeded"),
    faults.refused(429, "rate_limit_exceeded", times=2),
    faults.refused(500),
    faults.refused(503, times=2),
    faults.closed_at_once(1008),
    faults.closed_at_once(1011),
    faults.closed_at_once(1008, times=2),
]
LASTING = [
    faults.unreachable("refused", ALWAYS),
    faults.unreachable("dns", ALWAYS),
    faults.unreachable("tls", ALWAYS),
    faults.connect_hangs(ALWAYS),
    faults.refused(429, "rate_limit_exceeded", ALWAYS),
    faults.refused(500, times=ALWAYS),
    faults.closed_at_once(1008, ALWAYS),
    faults.never_ready(ALWAYS),
    faults.wrong_format(ALWAYS),
]
FATAL = [
    faults.refused(401, "invalid_api_key", ALWAYS),
    faults.refused(403, "account_deactivated", ALWAYS),
    faults.refused(429, "insufficient_quota", ALWAYS),
    faults.refused(429, "billing_hard_limit_reached", ALWAYS),
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_is_not_even_mentioned(perform, fault, caplog):
    stage = perform(fault, "answer")
    assert_answered(stage)
    assert len(stage.attempts) == 1 + counted(stage, "model_line.dial_failures") + counted(stage, "model_line.losses")
    assert len(stage.attempts) > 1
    assert "[REALTIME] connection lost" in caplog.text


@pytest.mark.parametrize("fault", LASTING, ids=str)
def test_what_lasts_is_told_and_the_call_goes_elsewhere(perform, fault, caplog):
    stage = perform(fault, "answer")
    assert_apologised(stage)
    assert len(stage.attempts) <= 4, "no endless loop"
    assert stage.closed[0][0] < 25_000
    assert "[SERVER_ERROR]" in caplog.text


@pytest.mark.parametrize("fault", FATAL, ids=str)
def test_what_no_retry_mends_is_not_retried(perform, fault, caplog):
    stage = perform(fault, "answer")
    assert_apologised(stage)
    assert len(stage.attempts) == 1
    assert stage.ear.sounds[0].start_ms <= APOLOGY_MS
    assert "[SERVER_ERROR]" in caplog.text


@pytest.mark.parametrize("fault", [faults.never_ready(), faults.wrong_format()], ids=str)
def test_a_session_that_is_never_confirmed(perform, fault):
    """Audio in another format would be noise in somebody's ear: none of it is heard."""
    stage = perform(fault, "answer")
    assert_never_left_alone(stage)
    if stage.over:
        assert_apologised(stage)
    else:
        assert_answered(stage)
    assert counted(stage, "accounting.forwarded") == 0 or stage.session is not stage.sessions[0]


def test_the_caller_speaks_before_anybody_is_there(perform):
    """What is said while the node still dials is answered when the service is there."""
    stage = perform(faults.unreachable(times=2), "answer", greeting="")
    assert_answered(stage)
