"""fastbridge.model.errors: errors of any dialect, whatever is in them."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.errors import ModelUnavailable
from fastbridge.model.errors import FATAL_ERRORS, NO_KIND, model_error, name_of, read_error, refusal


def test_its_own_words_are_kept_apart_from_ours():
    given = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "No x.", "param": "session.x"}
    error = read_error(given, "refused")
    assert (error.message, error.code, error.kind) == ("refused", "unknown_parameter", "invalid_request_error")
    assert (error.param, error.words) == ("session.x", "No x.")


@pytest.mark.parametrize("given", [None, [], 7, {}, {"code": 7, "type": None, "message": []}])
def test_what_is_missing_is_nothing(given):
    error = read_error(given)
    assert (error.code, error.kind, error.param, error.words) == (None, NO_KIND, "", "")


@pytest.mark.parametrize(("value", "name"), [("a.b_c-1[0]", "a.b_c-1[0]"), ("two words", ""), ("x" * 81, ""), (7, "")])
def test_a_name_is_no_place_for_words(value, name):
    assert name_of(value) == name


@pytest.mark.parametrize("code", [*sorted(FATAL_ERRORS), "slow_down"])
def test_a_refusal_that_no_retry_cures_is_known_by_its_code(code):
    body = json.dumps({"error": {"code": code, "message": "no"}}).encode()
    assert refusal(403, body).code == (code if code in FATAL_ERRORS else "http_403")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "connect_timeout"),
        (OSError("no route"), "connect_failed"),
        (type("Refused", (Exception,), {"response": SimpleNamespace(status_code=503, body=b"")})(), "http_503"),
    ],
)
def test_what_stopped_a_connection(error: Any, code: str):
    found = model_error(error)
    assert isinstance(found, ModelUnavailable)
    assert found.code == code
