"""The record: what a call left behind, read from its owners, as JSON."""

import json
import re
import typing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from fastbridge.agent import Agent
from fastbridge.base.end_reasons import EndReason
from fastbridge.call import record
from fastbridge.carrier.admission import Admission
from fastbridge.config import Settings
from fastbridge.store import records as store
from helpers import LOUD, QUIET
from virtual import Rig

DOCUMENT = (Path(__file__).parents[2] / "docs" / "call-record.md").read_text()


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
        document["timings_ms"] |= {"responses": [100, 201], "pauses": [700, None, 801]}
        fields = record.metrics(document)
        assert (fields["response_ms"], fields["pause_ms"]) == (150, 750)
        assert fields["tx"] == document["pacing"]["tx"]
        document["timings_ms"] |= {"responses": [], "pauses": [None]}
        fields = record.metrics(document)
        assert (fields["response_ms"], fields["pause_ms"]) == (None, None)
    finally:
        rig.shut()


def test_what_is_too_much_for_a_list_is_counted(monkeypatch):
    """The first ones stay; what is not listed happens all the same."""
    monkeypatch.setattr("fastbridge.observe.stats.MAX_LISTED", 1)
    agent = Agent()

    @agent.tool
    async def hours() -> str:
        """When we are open."""
        return "9 to 5"

    rig = Rig(agent, silence_seconds=0, barge_in_confirm_ms=0).up()
    try:
        for number in (1, 2, 3):
            response_id, item_id = f"resp_{number}", f"item_{number}"
            rig.model({"type": "input_audio_buffer.speech_started", "item_id": f"item_u{number}"})
            rig.model({"type": "input_audio_buffer.speech_stopped", "item_id": f"item_u{number}"})
            rig.begin(response_id, item_id)
            rig.tool_call(f"call_{number}", "hours", "{}", response_id)
            rig.delta(bytes(range(160)) * 100, response_id, item_id)
            rig.advance(0.5)
            rig.caller_says(*[LOUD] * 5)
            rig.done(response_id, "cancelled")
            rig.caller_says(*[QUIET] * 50)
        document = rig.call.record()
    finally:
        rig.shut()
    times = document["timings_ms"]
    lists = (times["responses"], times["pauses"], document["barge_ins"], document["tools"])
    assert [len(each) for each in lists] == [1, 1, 1, 1]
    assert document["unlisted"] == {"responses": 2, "pauses": 2, "barge_ins": 2, "tools": 2}
    assert document["errors"] == []


def test_the_document_describes_every_field():
    rig = Rig().up()
    rig.shut()
    table = DOCUMENT.partition("## Fields")[2].partition("## End reasons")[0]
    cells = re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE)
    described = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert described == list(rig.call.document)
    assert sorted(described) == sorted(typing.get_type_hints(record.Record))
    assert f"version {record.RECORD_VERSION}" in DOCUMENT


def test_the_document_knows_every_end_reason():
    table = DOCUMENT.partition("## End reasons")[2].partition("## What it cost")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [str(reason) for reason in EndReason]


@pytest.mark.parametrize("reason", EndReason)
def test_every_way_to_end_leaves_one_record(reason, caplog):
    caplog.set_level("INFO")
    rig = Rig().up()
    rig.do(rig.call.close, reason)
    first = rig.call.document
    rig.do(rig.call.close, "shutdown")
    rig.shut()
    assert rig.call.document is first
    assert first["end_reason"] == reason
    for words in ("[CALL_METRICS]", "[CALL_END]", "Frame accounting OK", "Greeting lock accounting OK"):
        assert caplog.text.count(words) == 1


def test_a_record_that_cannot_be_made_costs_neither_the_end_nor_the_sockets(monkeypatch, caplog):
    rig = Rig().up()
    monkeypatch.setattr(record, "record", lambda call: 1 / 0)
    rig.do(rig.call.close, "max_duration")
    assert (rig.call.document, rig.ended, rig.model_link.hang_ups) == (None, [rig.call], 1)
    assert "ZeroDivisionError" in caplog.text
    rig.call.stats.errors.clear()
    rig.shut()


NUMBER = "+972501234512"


@pytest.mark.parametrize(
    ("how", "number", "shown"),
    [
        ("masked", NUMBER, "+9725****12"),
        ("masked", "", ""),
        ("masked", "anonymous", "anonymous"),
        ("masked", "sip:anna@example.com", "****"),
        ("masked", "Anna Example", "****"),
        ("full", NUMBER, NUMBER),
        ("none", NUMBER, None),
    ],
)
def test_identities_are_kept_as_the_settings_say(how, number, shown):
    settings = Settings.model_construct(record_identities=how, twilio_auth_token=SecretStr("a" * 32))
    kept = record.identities(settings, number, number)
    assert (kept["from"], kept["to"]) == (shown, shown)
    if number and how != "none":
        assert re.fullmatch("[0-9a-f]{16}", kept["caller_id"])


def test_the_caller_id_tells_callers_apart_and_needs_the_key():
    def of(number, key="a" * 32):
        return record.identities(Settings.model_construct(twilio_auth_token=SecretStr(key)), number, "")["caller_id"]

    assert of(NUMBER) == of(NUMBER)
    assert len({of(NUMBER), of("+972501234513"), of(NUMBER, "b" * 32)}) == 3
    assert record.identities(Settings.model_construct(), NUMBER, "")["caller_id"] is None


def test_without_transcripts_the_record_has_no_words():
    rig = Rig(record_transcripts=False).up()
    rig.respond(bytes(800), text="MARKER")
    rig.advance(0.5)
    rig.shut()
    assert "MARKER" not in json.dumps(rig.call.document)
    assert rig.call.document["turns"] == [{"role": "assistant", "text": None, "heard_ms": None, "characters": 6}]


def said_by_the_caller(rig, *texts):
    for number, text in enumerate(texts):
        item = {"item_id": f"said_{number}"}
        rig.model({"type": "input_audio_buffer.committed", **item})
        rig.model({"type": "conversation.item.input_audio_transcription.completed", **item, "transcript": text})


def test_what_both_sides_said_is_masked_and_the_agents_own_code_is_told_it_as_it_was():
    rig = Rig().up()
    told = []
    rig.call.hooks.agent.hooks["on_transcript"] = told.append
    rig.respond(bytes(800), text="So that is 4242 4242 4242 4242?")
    rig.advance(0.5)
    said_by_the_caller(rig, "my card is 4242 4242", "4242 4242", "My ID is 123456782")
    rig.advance(0.5)
    rig.shut()
    assert {turn["text"] for turn in rig.call.document["turns"]} == {
        "my card is [card]",
        "[card]",
        "My ID is [id]",
        "So that is [card …4242]?",
    }
    assert "4242 4242" in [turn.text for turn in told]
    assert "4242 4242" in [turn.text for turn in rig.call.session.history.turns.values()]


def test_a_record_is_masked_as_the_settings_say():
    rig = Rig(mask="none", mask_patterns='{"policy": "POL-[0-9]+"}').up()
    said_by_the_caller(rig, "4242 4242 4242 4242 POL-17")
    rig.shut()
    assert rig.call.document["turns"][0]["text"] == "4242 4242 4242 4242 [policy]"


def test_a_turn_that_nobody_could_write_down_is_a_turn_without_words():
    rig = Rig().up()
    for number in range(2):
        rig.model({"type": "input_audio_buffer.committed", "item_id": f"item_{number}"})
        failed = {"item_id": f"item_{number}", "error": {"type": "x", "code": "audio_unintelligible", "message": "?"}}
        rig.model({"type": "conversation.item.input_audio_transcription.failed", **failed})
    rig.shut()
    document = rig.call.document
    assert document["turns"] == [{"role": "caller", "text": "", "heard_ms": None, "failed": True}] * 2
    assert (document["caller_turns"], document["model_events"]["transcription_failed"]) == (2, 2)
    assert (document["errors"], document["errors_by_type"]) == (["audio_unintelligible"], {"transcription_failed": 2})


def test_so_many_errors_are_in_the_record():
    rig = Rig().up()
    rig.call.stats.errors += ["x"] * (record.MAX_ERRORS + 5)
    assert rig.call.record()["errors"] == ["x"] * record.MAX_ERRORS
    rig.call.stats.errors.clear()
    rig.shut()


def test_the_sum_balances_by_itself_also_when_a_hold_was_resumed(caplog):
    caplog.set_level("INFO")
    rig = Rig().up()
    rig.respond(bytes(24_000))
    rig.advance(0.5)
    rig.caller_says(*[LOUD] * 5)
    rig.advance(0.8)
    rig.caller_says(*[LOUD] * 20)
    rig.respond(bytes(24_000), 2)
    rig.advance(0.3)
    rig.shut()
    (line,) = [record.getMessage() for record in caplog.records if "[CALL_METRICS]" in record.getMessage()]
    found = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)(?=,)", line)}
    assert (found["barge_in_false"], found["barge_in_events"]) == (1, 1)
    assert found["frames_enqueued"] == found["tx"] + found["flushed"]
    assert found["flushed"] == found["flushed_barge_in"] + found["flushed_close"]
    assert found["tx"] == len(rig.written("media"))
    places = ("flushed_barge_in", "flushed_close", "cleared", "rewound")
    assert min(found[name] for name in places) > 0
    assert found["frames_enqueued"] == 300 + found["rewound"]


@pytest.mark.parametrize("owner", ["responses", "model_line"])
def test_a_safety_fuse_is_in_the_sum_and_has_lines_of_its_own(owner, caplog):
    caplog.set_level("INFO")
    rig = Rig().up()
    counters = {"responses": rig.call.session.responses.counters, "model_line": rig.call.line.counters}
    counters[owner]["safety_fuse"] += 1
    rig.advance(1.1)
    rig.shut()
    lines = {record.getMessage(): record.levelname for record in caplog.records if "SAFETY_FUSE" in record.getMessage()}
    at_once, at_the_end = lines
    assert at_once.startswith("[SAFETY_FUSE] a state outlived its deadline, responses=")
    assert at_the_end.startswith("[SAFETY_FUSE] responses=")
    assert set(lines.values()) == {"ERROR"}
    assert f"{owner}=1" in at_the_end
    assert "safety_fuse=1" in caplog.text


def test_books_that_do_not_balance_are_errors(monkeypatch, caplog):
    caplog.set_level("INFO")
    rig = Rig().up()
    made = record.stats.pacing
    with monkeypatch.context() as patch:
        patch.setattr(record.stats, "pacing", lambda lane: made(lane) | {"tx": lane.frames_sent + 1})
        rig.do(rig.call.close, "shutdown")
    rig.shut()
    lines = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert [line.partition(", call_sid")[0] for line in lines] == [
        "[FRAME_ACCOUNTING_ERROR] frames_enqueued=0 != tx=1 + flushed=0"
    ]


def test_it_began_when_the_wall_clock_says():
    rig = Rig().up()
    rig.shut()
    began = datetime.fromisoformat(rig.call.document["started_at"])
    assert timedelta(0) <= datetime.now(UTC) - began < timedelta(minutes=5)


def test_a_call_that_never_began_has_the_same_document():
    """With nothing in it: whoever reads records reads both."""
    rig = Rig().up()
    rig.shut()
    begun = rig.call.document
    admission = Admission(
        "CA" + "1" * 32, "AC" + "2" * 32, "+14155550100", "+1", "inbound", {"business_id": "7"}, 0, "t"
    )
    document = record.unbegun(admission, Settings.model_construct(), "stream_refused", "no mu-law")
    assert document.keys() == begun.keys()
    for name in ("timings_ms", "accounting", "pacing", "waiting", "tokens", "cost"):
        assert document[name].keys() == begun[name].keys(), name
    assert (document["business_id"], document["end_reason"]) == ("7", "stream_refused")
    assert document["errors"] == ["no mu-law"]
    assert document["from"] == "+1415****00"
    assert json.loads(json.dumps(document)) == document
    assert record.metrics(document)["frames_in"] == 0
    assert store.row_of(document)["end_reason"] == "stream_refused"
