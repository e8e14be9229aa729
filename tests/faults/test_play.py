"""The play without a fault: what the fault tests take for granted."""

import pytest

from plays import ANSWER, GREETING, LAST, SECOND, assert_answered


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("greeting", [GREETING, ANSWER]),
        ("answer", [GREETING, ANSWER, SECOND]),
        ("idle", [GREETING, ANSWER, SECOND]),
        ("barge_in", [GREETING, ANSWER, SECOND, LAST]),
        ("tool", [GREETING, ANSWER, SECOND]),
    ],
)
def test_a_good_call(perform, phase, words):
    stage = perform(None, phase)
    assert_answered(stage)
    said = stage.ear.answers
    assert said == [line.transcript for line in words]
    assert max((wait.length_ms for wait in stage.ear.waits), default=0) < 1500 or phase == "tool"
