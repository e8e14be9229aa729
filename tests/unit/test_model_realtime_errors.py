"""fastbridge.model.realtime.errors: what the model says of errors, whatever it says."""

from types import SimpleNamespace

import pytest

from fastbridge.errors import ModelUnavailable
from fastbridge.model.realtime.errors import (
    ALREADY_ACTIVE_WORDS,
    EXPECTED_ERRORS,
    FATAL_ERRORS,
    means_active,
    model_error,
    read_error,
    response_error,
)


def test_no_error_is_both_a_race_and_an_end():
    assert set() == EXPECTED_ERRORS & FATAL_ERRORS


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
@pytest.mark.parametrize(
    ("details", "code"),
    [
        ({"reason": "content_filter"}, "content_filter"),
        ({"error": {"code": "x"}}, "x"),
        ({"reason": "y", "error": {"code": "x"}}, "x"),
        ({"reason": "no name!"}, None),
        ({"error": {"message": "x"}}, None),
        ({"reason": None, "error": None}, None),
        ([], None),
        (None, None),
    ],
)
def test_why_another_was_cut_short(status, details, code):
    error = response_error({"status": status, "status_details": details})
    assert (None if error is None else (error.message, error.code)) == (code and ("a response was cut short", code))


WORDS = f"{ALREADY_ACTIVE_WORDS} in progress: resp_1. Wait until the response is finished."


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
    assert means_active(read_error(error)) is active


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "connect_timeout"),
        (OSError("refused"), "connect_failed"),
        (SimpleNamespace(response=SimpleNamespace(status_code=401)), "http_401"),
    ],
)
def test_why_the_model_could_not_be_reached(error, code):
    found = model_error(error)
    assert isinstance(found, ModelUnavailable)
    assert found.code == code


def test_its_type_and_its_words():
    assert model_error(TimeoutError()).kind == "TimeoutError"
    refused = model_error(ConnectionRefusedError(111, "Connect call failed"))
    assert (refused.kind, refused.words) == ("ConnectionRefusedError", "")
    assert "ConnectionRefusedError: [Errno 111] Connect call failed" in refused.message


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b'{"error":{"type":"requests","code":"rate_limit_exceeded","message":"Slow down."}}',
            ("http_429", "requests", "Slow down."),
        ),
        (
            b'{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"Pay."}}',
            ("insufficient_quota", "insufficient_quota", "Pay."),
        ),
        (b'{"error":{"code":null,"message":null}}', ("http_429", "error", "")),
        (b'{"error":"Too many"}', ("http_429", "error", "Too many")),
        (b"<html>", ("http_429", "error", "")),
        (None, ("http_429", "error", "")),
    ],
)
def test_a_refusal_says_what_the_model_said(body, found):
    error = model_error(SimpleNamespace(response=SimpleNamespace(status_code=429, body=body)))
    assert error.message == "OpenAI refused the connection with HTTP 429"
    assert (error.code, error.kind, error.words) == found


# Records and metrics
