"""fastbridge.observe.notices: how each line reads, and that the documentation shows these very lines."""

import inspect
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from fastbridge.observe import notices
from tunnels import CLOUDFLARED_URL

DOCUMENT = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
EXAMPLES = {
    "crowded": (
        ("the oldest silent one made room",),
        {"reason": "connections", "more": 0, "connections": 3000, "address": "192.0.2.7"},
    ),
    "no_http": (("Invalid HTTP request received",), {"more": 0, "address": "192.0.2.7"}),
    "stream_refused": (
        ("its token is unknown: it is none of this process's",),
        {"more": 0, "address": "192.0.2.7"},
    ),
    "upgrade_dropped": (("Upgrade Connection",), {"admitted": "yes", "more": 0, "address": "192.0.2.7"}),
    "business_unknown": (("457",), {"more": 0}),
    "advice": (("FASTBRIDGE_PROMTS_DIR is no setting: did you mean FASTBRIDGE_PROMPTS_DIR?",), {}),
    "unsigned": (("127.0.0.1", 5050), {}),
    "standard_descriptors": (("0 2",), {}),
    "worker_ended": ((1, -9), {}),
    "tunnel_ended": (("cloudflared", CLOUDFLARED_URL), {}),
    "worker_silent": ((1,), {}),
    "worker_ready": ((1,), {}),
    "draining": ((3,), {"at_most_seconds": 3600.0}),
    "calls_cut": ((3,), {}),
    "spending_unknown": ((OperationalError("x", {}, Exception()),), {}),
    "records_lost": ((3,), {}),
    "recording_unwritten": (("No space left on device",), {}),
    "recordings_mended": ((2,), {}),
    "recording_missed": (("RE123", "CA123"), {}),
    "recording_fetched": (("RE123", "CA123"), {"took_ms": 412, "size_bytes": 320_044}),
    "recording_not_fetched": (("RE123", "CA123", "HTTP 503"), {"attempt": 2, "tries": 83}),
    "recording_lost": (("RE123", "CA123", "the carrier has deleted it"), {}),
    "recording_deleted": (("RE123", "CA123"), {"where": "our store"}),
    "recording_not_deleted": (("RE123", "CA123", "the carrier did not delete it"), {"attempt": 1, "tries": 83}),
    "recording_untold": (("RE123", "CA123", OperationalError("x", {}, Exception())), {}),
    "recording_store_away": ((PermissionError(),), {}),
    "outbound_placed": (("CA123", "OB123"), {}),
    "outbound_uncertain": (("OB123", "ReadTimeout"), {}),
    "outbound_ended": (("CA123", "OB123"), {"outcome": "busy", "reason": None}),
    "outbound_unswept": ((OperationalError("x", {}, Exception()),), {}),
    "worker_started": (("fastbridge",), {"jobs": "follow_up", "pid": 4711}),
    "job_enqueued": (("follow_up", "CA123"), {}),
    "job_completed": (("follow_up", "CA123"), {"duration_ms": 412}),
    "job_failed": (("follow_up", "CA123", ValueError("x")), {"attempt": 1, "tries": 5, "words": False}),
    "job_without_record": (("follow_up", "CA123"), {}),
    "job_unknown": (("follow_up",), {}),
    "outbox_away": ((OperationalError("x", {}, Exception()),), {}),
    "too_few_descriptors": ((400,), {"needed": 1264, "limit": 1024}),
}
FUNCTIONS = [name for name, member in inspect.getmembers(notices, inspect.isfunction) if not name.startswith("_")]


def test_every_function_has_an_example():
    assert sorted(EXAMPLES) == [name for name in FUNCTIONS if name != "event"]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_document_shows_the_line_as_it_is(caplog, name):
    caplog.set_level("INFO")
    arguments, named = EXAMPLES[name]
    getattr(notices, name)(*arguments, **named)
    (record,) = caplog.records
    (row,) = (row for row in DOCUMENT.splitlines() if row.startswith(f"| `{name}` |"))
    assert row.endswith(f"| {record.levelname} | `{record.getMessage()}` |")
    assert (record.name, record.filename) == ("fastbridge.events", "test_observe_notices.py")
