"""fastbridge.call.late_tools: what a tool did for which nobody waited any more."""

import json
import logging

import pytest

from fastbridge.call.late_tools import MAX_RESULT_CHARS, Aftermath
from fastbridge.config import Settings
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats


class Scene:
    def __init__(self, caplog, *, words=True):
        caplog.set_level("INFO", "fastbridge.events")
        self.stats = CallStats()
        self.entry = {"name": "book", "outcome": "abandoned", "elapsed_ms": 100}
        self.stats.tool_calls += [{"name": "look", "outcome": "ok", "elapsed_ms": 1}, self.entry]
        self.told = []
        log = CallLog("CA123", Settings.model_construct(log_transcripts=words), lambda: 0.0)
        self.aftermath = Aftermath(log, self.stats, words=words, told=lambda *what: self.told.append(what))


@pytest.fixture
def scene(caplog):
    return Scene(caplog)


def test_it_is_in_the_log_and_in_the_record_that_was_made_before(scene, caplog):
    made = scene.aftermath.document = {"end_reason": "customer_hangup", "tools": [dict(scene.entry)]}
    before = json.dumps(made)
    scene.aftermath.tool_ended(scene.entry, "ok", "Booked for 14:00", 9400, None)
    ((outcome, document),) = scene.told
    assert (outcome, document["end_reason"]) == ("ok", "customer_hangup")
    late = {"outcome": "ok", "elapsed_ms": 9400, "result": "Booked for 14:00"}
    assert document["tools"][1] == {"name": "book", "outcome": "abandoned", "elapsed_ms": 100, "done_late": late}
    assert json.dumps(made) == before  # a thread may be writing it
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("[TOOL_RESULT] done late: Booked for 14:00, tool=book, outcome=ok")


def test_its_result_is_masked_before_it_is_cut(scene):
    words = "x" * (MAX_RESULT_CHARS - 10) + " 4242 4242 4242 4242"
    scene.aftermath.tool_ended(scene.entry, "ok", words, 1, None)
    assert scene.entry["done_late"]["result"] == ("x" * (MAX_RESULT_CHARS - 10) + " [card …4242]")[:MAX_RESULT_CHARS]


def test_two_of_them_are_both_in_the_last_document(scene):
    scene.aftermath.document = {"tools": []}
    for entry in scene.stats.tool_calls:
        scene.aftermath.tool_ended(entry, "ok", "x", 1, None)
    assert ["done_late" in tool for tool in scene.told[-1][1]["tools"]] == [True, True]


def test_while_the_call_lives_there_is_no_document_yet(scene):
    scene.aftermath.tool_ended(scene.entry, "ok", "late", 12_000, None)
    assert scene.told == [("ok", None)]
    assert scene.entry["done_late"]["result"] == "late"


def test_a_failure_has_its_trace(scene, caplog):
    scene.aftermath.tool_ended(scene.entry, "error", "ValueError: no", 1, ValueError("no"))
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert scene.entry["done_late"]["outcome"] == "error"


def test_long_results_are_cut_and_without_words_there_are_none(scene, caplog):
    scene.aftermath.tool_ended(scene.entry, "ok", "x" * 5000, 1, None)
    assert len(scene.entry["done_late"]["result"]) == MAX_RESULT_CHARS
    silent = Scene(caplog, words=False)
    silent.aftermath.tool_ended(silent.entry, "ok", "MARKER", 1, None)
    assert silent.entry["done_late"] == {"outcome": "ok", "elapsed_ms": 1, "characters": 6}
    assert "MARKER" not in caplog.text
