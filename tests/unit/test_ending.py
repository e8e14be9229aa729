"""fastbridge.ending: the words that records, logs and metrics are read by."""

from fastbridge.ending import EndReason
from fastbridge.webhooks import MODEL_FAILURE


def test_a_caller_is_owed_an_apology_for_the_models_failures_alone():
    owed = {reason for reason in EndReason if reason.startswith(MODEL_FAILURE)}
    assert owed == {EndReason.MODEL_UNAVAILABLE, EndReason.MODEL_LOST}


def test_they_read_as_words():
    assert str(EndReason.AGENT_HANGUP) == "agent_hangup"
    assert len(set(EndReason)) == len(list(EndReason))
