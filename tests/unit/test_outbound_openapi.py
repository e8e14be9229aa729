"""outbound.openapi: the document says what the API does."""

import json

import pytest

from fastbridge.outbound.api import TOLD, shown
from fastbridge.outbound.openapi import CALL, RECORDING, document
from fastbridge.recordings.api import shown as shown_recording
from fastbridge.store.outbound import OutboundCall
from fastbridge.store.recordings import RecordingRow

NAMES = ("Call", "Problem", "Recording", "Link")

ROW = OutboundCall(
    id="OB1",
    idempotency_key="k",
    request=dict.fromkeys(TOLD, "x"),
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


def test_a_recording_has_the_fields_that_it_names() -> None:
    row = RecordingRow(**dict.fromkeys(RecordingRow.__dataclass_fields__, None) | {"created_s": 1.0})  # type: ignore[arg-type]
    assert set(shown_recording(row)) == set(RECORDING["properties"])


@pytest.mark.parametrize(("recordings", "used"), [(False, ("Call", "Problem")), (True, NAMES)])
def test_every_reference_leads_somewhere(recordings: bool, used: tuple[str, ...]) -> None:
    text = json.dumps(document(recordings=recordings))
    for name in used:
        assert f'#/components/schemas/{name}"' in text
        assert name in document()["components"]["schemas"]
    assert text.count("$ref") == sum(text.count(f'#/components/schemas/{name}"') for name in used)


def test_recordings_are_described_where_there_are_some() -> None:
    there = {"/recordings", "/recordings/{sid}", "/recordings/{sid}/link"}
    assert set(document(recordings=True)["paths"]) - set(document()["paths"]) == there
