"""fastbridge.model_errors: what an error's code means."""

import pytest

from fastbridge.model_errors import EXPECTED_ERRORS, FATAL_ERRORS, means_active

WORDS = "Conversation already has an active response in progress: resp_1. Wait until the response is finished."


def test_no_error_is_both_a_race_and_an_end():
    assert set() == EXPECTED_ERRORS & FATAL_ERRORS


@pytest.mark.parametrize(
    ("error", "active"),
    [
        ({"code": "conversation_already_has_active_response"}, True),
        ({"code": None, "message": WORDS}, True),
        ({"message": WORDS}, True),
        ({"code": "other", "message": WORDS}, False),
        ({"code": None, "message": f"No: {WORDS}"}, False),
        ({}, False),
    ],
)
def test_a_create_that_met_another_response(error, active):
    assert means_active(error) is active
