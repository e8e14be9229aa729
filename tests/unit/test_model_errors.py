"""fastbridge.model_errors: what the model says of errors, whatever it says."""

import pytest

from fastbridge.errors import ModelError
from fastbridge.model_errors import ALREADY_ACTIVE_WORDS, means_active, read_error, response_error


def read(error: object) -> tuple[object, ...]:
    found = read_error(error, "it failed")
    assert found.message == "it failed"
    return found.code, found.kind, found.param, found.words


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (
            {
                "type": "invalid_request_error",
                "code": "invalid_value",
                "message": "No.",
                "param": "session.tools[0].name",
            },
            ("invalid_value", "invalid_request_error", "session.tools[0].name", "No."),
        ),
        (
            {"type": "server_error", "code": None, "message": "Sorry.", "param": None},
            (None, "server_error", "", "Sorry."),
        ),
        ({"type": None, "code": 7, "message": None}, (None, "error", "", "")),
        ({"type": "words are no type", "code": "nor a code!", "param": "x" * 81}, (None, "error", "", "")),
        ({}, (None, "error", "", "")),
        (None, (None, "error", "", "")),
        ([], (None, "error", "", "")),
        ("boom", (None, "error", "", "boom")),
    ],
)
def test_whatever_an_error_is(error, found):
    assert read(error) == found


def test_nothing_is_called_none():
    for error in (None, {"type": None, "code": None, "message": None, "param": None}):
        assert "None" not in str(read_error(error, "it failed"))


@pytest.mark.parametrize("details", [None, {}, [], {"error": None}, {"error": {"code": "x"}}])
def test_why_a_response_failed(details):
    error = response_error({"status": "failed", "status_details": details})
    assert error is not None
    assert error.message == "a response failed"
    assert error.code == ("x" if details and details.get("error") else None)


@pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete", None, 7])
def test_others_have_not(status):
    assert response_error({"status": status, "status_details": {"error": {"code": "x"}}}) is None


def test_a_response_already_active_by_code_or_by_words():
    assert means_active(ModelError("", "conversation_already_has_active_response"))
    assert means_active(ModelError("", words=f"{ALREADY_ACTIVE_WORDS} in progress: resp_1"))
    assert not means_active(ModelError("", "other", words=ALREADY_ACTIVE_WORDS))
    assert not means_active(ModelError(""))
