"""outbound.openapi: the document says what the API does."""

import json

from fastbridge.outbound.api import shown
from fastbridge.outbound.openapi import CALL, document
from fastbridge.store.outbound import OutboundCall

ROW = OutboundCall(
    id="OB1",
    idempotency_key="k",
    request={"to": "+1", "from": "+2", "business_id": "7", "agent": "reminder", "parameters": {}, "schedule_at": "x"},
    digest="",
    call_sid="CA1",
    state="busy",
    sequence=3,
    created_s=1.0,
    asked_s=1.0,
    check_s=1.0,
    ended_s=2.0,
    duration_seconds=1,
    answered_by="human",
    code=1,
    reason="x",
)


def test_a_call_has_the_fields_that_it_names() -> None:
    assert set(shown(ROW)) == set(CALL["properties"])


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    for name in ("Call", "Problem"):
        assert f"#/components/schemas/{name}" in text
        assert name in document()["components"]["schemas"]
    assert text.count("$ref") == sum(text.count(f"#/components/schemas/{name}") for name in ("Call", "Problem"))
