"""What is counted: each number once, under closed labels, and as documented."""

import json
import re
from pathlib import Path

import pytest

from fastbridge.base.end_reasons import EndReason
from fastbridge.errors import ModelError
from fastbridge.node import metrics
from fastbridge.node.metrics import CATALOGUE, Metrics
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from helpers import LOUD, QUIET
from virtual import Rig, call_context

ROOT = Path(__file__).parents[2]
SECOND = bytes(8000)


def series(snapshot):
    return {(name, *labels) for name, samples in snapshot.items() for labels, _ in samples}


def a_call(**settings):
    rig = Rig(barge_in_confirm_ms=0, **settings).up()
    rig.model({"type": "input_audio_buffer.speech_started"})
    rig.model({"type": "input_audio_buffer.speech_stopped"})
    rig.advance(0.3)
    rig.respond(SECOND * 2)
    rig.advance(0.5)
    return rig


def test_what_a_caller_waits_is_from_the_last_of_his_voice():
    rig, process = Rig().up(), Metrics()
    rig.caller_says(*[LOUD] * 10)
    rig.model({"type": "input_audio_buffer.speech_started"})
    rig.caller_says(*[QUIET] * 25)
    rig.model({"type": "input_audio_buffer.speech_stopped"})
    rig.caller_says(*[QUIET] * 15)
    rig.respond(SECOND)
    rig.advance(0.1)
    for _ in range(2):
        process.fold(rig.call)
    pauses, latencies = (process.histograms[name] for name in ("answer_pause_seconds", "response_latency_seconds"))
    assert (sum(pauses.counts), pauses.total) == (1, pytest.approx(0.8, abs=0.03))
    assert latencies.total == pytest.approx(0.3, abs=0.03)
    rig.shut()


def test_a_calls_numbers_are_taken_once_however_often_one_looks():
    rig, process = a_call(), Metrics()
    for _ in range(3):
        process.fold(rig.call)
    assert process.value("caller_frames", "forwarded") == rig.call.caller.frames_in > 0
    assert process.value("assistant_frames", "sent") == rig.call.assistant.frames_sent > 0
    assert process.histograms["pacing_lateness_seconds"].counts[0] == rig.call.assistant.frames_sent
    assert sum(process.histograms["uplink_latency_seconds"].counts) == rig.call.caller.frames_in
    assert sum(process.histograms["response_latency_seconds"].counts) == 1
    assert process.histograms["response_latency_seconds"].total == pytest.approx(0.3, abs=0.03)
    assert sum(process.histograms["answer_pause_seconds"].counts) == 0, "our ear has heard nobody"
    rig.caller_says(*[LOUD] * 5)
    rig.shut()
    process.fold(rig.call)
    process.end(rig.call, rig.call.document)
    assert process.value("caller_frames", "forwarded") == rig.call.caller.frames_in
    assert process.value("assistant_frames", "flushed_barge_in") == rig.call.assistant.frames_flushed["barge_in"] > 0
    assert process.value("calls", "inbound", "shutdown") == 1
    assert process.value("barge_ins", "local", "committed") == 1
    assert process.value("responses") == 1
    assert sum(process.histograms["call_duration_seconds"].counts) == 1
    assert process._cursors == {}


def test_a_thousand_callers_are_no_new_series():
    process = Metrics()
    before = series(process.snapshot())
    for number in range(1000):
        rig = Rig()
        rig.call.context = call_context(
            call_sid=f"CA{number:032x}",
            from_number=f"+1415{number:07}",
            direction=f"direction {number}",
            parameters={"business_id": str(number)},
        )
        rig.call.stats.errors += [f"code {number}", "http_429"]
        rig.call.stats.tool_calls.append({"name": f"tool {number}", "outcome": f"outcome {number}", "elapsed_ms": 1})
        rig.do(rig.call.close, f"reason {number}")
        process.end(rig.call, rig.call.document)
        rig.loop.close()
    assert series(process.snapshot()) == before
    assert process.value("calls", "other", "other") == 1000
    assert process.value("openai_errors", "other") == 1000
    assert process.value("openai_errors", "http_429") == 1000
    assert process.value("tool_calls", "other") == 1000


def test_each_error_of_the_models_is_counted_once():
    rig, process = Rig().up(), Metrics()
    for code in ("response_cancel_not_active", "server_error", "insufficient_quota"):
        rig.model({"type": "error", "error": {"type": "x", "code": code, "message": "Words."}})
    process.fold(rig.call)
    for code in ("response_cancel_not_active", "server_error", "insufficient_quota"):
        assert process.value("openai_errors", code) == 1, code
    assert process.value("openai_errors", "other") == 0
    rig.shut()


def test_errors_that_are_not_the_models_are_not_openais():
    rig, process = a_call(), Metrics()
    rig.call.stats.errors.append("internal")
    process.fold(rig.call)
    assert process.value("call_errors", "internal") == 1
    assert process.value("openai_errors", "other") == 0
    rig.call.stats.errors.clear()
    rig.shut()


def test_tokens_and_cost():
    rig, process = Rig(model="gpt-realtime-2.1").up(), Metrics()
    rig.begin("resp_1")
    usage = {
        "total_tokens": 30,
        "input_tokens": 10,
        "output_tokens": 20,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 6, "cached_tokens_details": {"audio_tokens": 1}},
        "output_token_details": {"audio_tokens": 20},
    }
    rig.done("resp_1", usage=usage)
    rig.shut()
    process.end(rig.call, rig.call.document)
    assert process.value("tokens", "audio_in") == 6
    assert process.value("tokens", "audio_out") == 20
    assert process.value("cost_dollars") == rig.call.document["cost"]["usd"] > 0


def test_a_refused_unknown_reason_is_other():
    process = Metrics()
    process.add("rejections", 1, "made up")
    assert process.value("rejections", "other") == 1
    with pytest.raises(ValueError, match="zip"):
        process.add("calls", 1, "inbound")


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (0.0005, 0), (0.00051, 1), (1.0, 10), (1.1, 11), (1e9, 11)])
def test_buckets_hold_their_upper_bound(value, bucket):
    histogram = metrics.Histogram(metrics.LAG_SECONDS)
    histogram.observe(value)
    assert histogram.counts.index(1) == bucket
    assert histogram.total == value


def test_several_processes_are_summed_and_what_is_gone_keeps_its_counts():
    one, two = Metrics(), Metrics()
    one.add("responses", 3)
    one.set("calls_live", 5)
    one.observe("loop_lag_seconds", 0.1)
    two.add("responses", 4)
    two.set("calls_live", 6)
    two.observe("loop_lag_seconds", 0.3)
    merged = metrics.merge(json.loads(json.dumps([one.snapshot(), two.snapshot()])))
    assert merged["responses"] == [([], 7)]
    assert merged["calls_live"] == [([], 11)]
    assert merged["loop_lag_seconds"][0][1][-1] == pytest.approx(0.4)
    assert sum(merged["loop_lag_seconds"][0][1][:-1]) == 2
    after = metrics.merge([metrics.retired(one.snapshot()), two.snapshot()])
    assert (after["responses"], after["calls_live"]) == ([([], 7)], [([], 6)])


def test_every_end_reason_and_outcome_has_its_series():
    process = Metrics()
    for reason in EndReason:
        assert process.value("calls", "inbound", reason) == 0


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric):
    assert re.fullmatch(r"fastbridge(_[a-z]+)+", metric.name)
    assert not metric.name.endswith("_total")
    assert metric.help.endswith(".")
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_the_document_describes_every_metric():
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(fastbridge_\w+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE)
    assert rows == [
        (metric.exposed, metric.kind, ", ".join(f"`{label}`" for label in metric.labels))
        for metric in CATALOGUE.values()
    ]


def test_lines_that_calls_held_back_are_counted():
    process = Metrics()
    process.take_log()
    before = {level: process.value("log_held_back", level) for level in ("INFO", "WARNING")}
    log = CallLog("CA1")
    for _ in range(100):
        events.realtime_lost(log, ModelError("the connection broke", "closed_1006"), tries=1)
    process.take_log()
    assert process.value("log_held_back", "WARNING") - before["WARNING"] == log.held_back.total() == 97
    assert process.value("log_held_back", "INFO") == before["INFO"]


def test_the_dashboard_asks_for_nothing_that_there_is_not():
    board = json.loads((ROOT / "deploy" / "grafana" / "fastbridge.json").read_text())
    known = {"process_cpu_seconds_total"}
    for metric in CATALOGUE.values():
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known |= {metric.exposed + suffix for suffix in suffixes}
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"\b(?:fastbridge|process)_\w+", " ".join(expressions)))
    assert asked <= known
    shown = {name.removesuffix("_bucket") for name in asked}
    assert {metric.exposed for metric in CATALOGUE.values()} <= shown
    labels = {label for metric in CATALOGUE.values() for label in metric.labels} | {"le"}
    for by in re.findall(r"by \(([^)]*)\)", " ".join(expressions)):
        assert set(by.replace(" ", "").split(",")) <= labels
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_held_frame_is_no_uplink_latency():
    rig, process = Rig().started(), Metrics()
    rig.caller_says(*[QUIET] * 10)
    process.fold(rig.call)
    assert sum(process.histograms["uplink_latency_seconds"].counts) == 0
    rig.shut()
