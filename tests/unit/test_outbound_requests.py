"""outbound.requests: what may be asked for. (What is said to whoever asks otherwise: test_outbound_api.)"""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from fastbridge.outbound.requests import _MUST_BE, MAX_PARAMETERS, CallRequest, faults

TO = "+14155550101"


def test_the_digest_is_of_the_call_and_not_of_its_key() -> None:
    one = CallRequest.model_validate({"to": TO, "parameters": {"a": "1", "b": "2"}, "idempotency_key": "x"})
    same = CallRequest.model_validate({"parameters": {"b": "2", "a": "1"}, "to": f" {TO} ", "idempotency_key": "y"})
    other = CallRequest.model_validate({"to": TO, "parameters": {"a": "1"}})
    assert one.digest() == same.digest() != other.digest()
    assert "idempotency_key" not in one.document()


def test_what_is_kept_is_what_was_asked() -> None:
    when = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    asked = {"to": TO, "from": "+14155550100", "business_id": "7", "machine": True, "timeout": 20}
    kept = CallRequest.model_validate({**asked, "schedule_at": when.isoformat()}).document()
    assert datetime.fromisoformat(kept.pop("schedule_at")) == when
    assert kept == {**asked, "parameters": {}}
    assert CallRequest.model_validate({**kept, "schedule_at": when.isoformat()}).document() == {
        **kept,
        "schedule_at": CallRequest.model_validate({"to": TO, "schedule_at": when.isoformat()}).document()[
            "schedule_at"
        ],
    }


def test_there_are_words_for_each_field() -> None:
    names = {info.alias or name for name, info in CallRequest.model_fields.items()}
    assert set(_MUST_BE) == names


def test_as_many_parameters_as_a_webhook_can_carry() -> None:
    CallRequest.model_validate({"to": TO, "parameters": {f"n{n}": "x" for n in range(MAX_PARAMETERS)}})
    with pytest.raises(ValidationError):
        CallRequest.model_validate({"to": TO, "parameters": {f"n{n}": "x" for n in range(MAX_PARAMETERS + 1)}})


def test_faults_name_the_field_and_repeat_nothing_that_was_given() -> None:
    with pytest.raises(ValidationError) as error:
        CallRequest.model_validate({"to": "SECRET1", "from": "SECRET2", "parameters": {"name": "SECRET3\nx"}})
    found = faults(error.value)
    assert [each["field"] for each in found] == ["to", "from", "parameters"]
    assert "SECRET" not in str(found)
