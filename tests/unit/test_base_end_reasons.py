"""fastbridge.base.end_reasons: the words that records, logs and metrics are read by."""

from fastbridge.base.end_reasons import OURS_TO_EXPLAIN, EndReason

WANTED = {"customer_hangup", "agent_hangup", "transferred", "silence", "line_noise", "carrier_status", "max_duration"}
WANTED |= {"budget", "answering_machine"}
NOBODY_THERE = {"busy", "no_answer", "failed", "canceled", "node_lost"}


def test_what_nobody_wanted_is_explained_to_the_caller_and_nothing_else():
    assert set(EndReason) - OURS_TO_EXPLAIN == WANTED | NOBODY_THERE


def test_they_read_as_words():
    assert str(EndReason.AGENT_HANGUP) == "agent_hangup"
    assert len(set(EndReason)) == len(list(EndReason))
