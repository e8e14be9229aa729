"""Who is called: what SIP says, and what detection finds."""

import pytest

from fastbridge.sim.callee import Callee, Verdict

MACHINE = Callee(answered_by="machine_end_silence", amd_seconds=2, message_seconds=9)


@pytest.mark.parametrize(
    ("callee", "code"),
    [
        (Callee(), 200),
        (Callee(outcome="busy"), 486),
        (Callee(outcome="no-answer"), 480),
        (Callee(outcome="failed"), 404),
        (Callee(outcome="failed", sip_code=503), 503),
    ],
)
def test_the_last_word_of_sip(callee: Callee, code: int) -> None:
    assert callee.sip == code


@pytest.mark.parametrize(
    ("callee", "detection", "timeout", "verdict"),
    [
        (Callee(), "Enable", 30, Verdict("human", 3)),
        (Callee(), "DetectMessageEnd", 30, Verdict("human", 3)),
        (MACHINE, "Enable", 30, Verdict("machine_start", 2)),
        (MACHINE, "DetectMessageEnd", 30, Verdict("machine_end_silence", 9)),
        (MACHINE, "DetectMessageEnd", 5, Verdict("unknown", 5)),
        (MACHINE, "Enable", 2, Verdict("machine_start", 2)),
    ],
)
def test_what_detection_finds(callee: Callee, detection: str, timeout: float, verdict: Verdict) -> None:
    assert callee.verdict(detection, timeout) == verdict
