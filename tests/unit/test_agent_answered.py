"""fastbridge.agent.answered."""

import dataclasses

import pytest

import fastbridge
from fastbridge.agent.answered import AnsweredBy


def test_it_is_public_and_nobody_changes_it():
    answered = AnsweredBy("machine", 3.0, "sound")
    assert fastbridge.AnsweredBy is AnsweredBy
    assert not answered.beep
    with pytest.raises(dataclasses.FrozenInstanceError):
        answered.kind = "human"  # type: ignore[misc]
