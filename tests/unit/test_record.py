"""The record: what a call left behind, read from its owners, as JSON."""

import json

from fastbridge import record
from virtual import Rig


def test_the_record_is_json_and_holds_what_the_call_did():
    rig = Rig()
    try:
        rig.up()
        document = json.loads(json.dumps(rig.call.record()))
        assert document["version"] == record.RECORD_VERSION
        assert document["call_sid"] == rig.call.call_sid
        assert document["end_reason"] is None
        rig.call.close("shutdown")
        document = rig.call.record()
        assert document["end_reason"] == "shutdown"
        books = document["accounting"]
        assert books["frames_in"] == books["forwarded"] + books["dropped"]
    finally:
        rig.shut()


def test_the_metrics_line_sums_the_record_up():
    rig = Rig()
    try:
        rig.up()
        document = rig.call.record()
        document["timings_ms"]["responses"] = [100, 201]
        fields = record.metrics(document)
        assert fields["response_ms"] == 150
        assert fields["tx"] == document["pacing"]["tx"]
        document["timings_ms"]["responses"] = []
        assert record.metrics(document)["response_ms"] is None
    finally:
        rig.shut()
