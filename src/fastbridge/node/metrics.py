"""What is counted of a process, under Prometheus names: the catalogue, and the numbers.

Labels come from closed sets, declared here with their metric; any other value becomes `other`, so no peer can add a
series. Nothing is counted twice: the numbers of a call stay with their owners, and `fold` takes what has been added
since it last looked, at a scrape and when the call ends. No lock, no thread, no I/O; how it is written out is
`exporter`'s affair. docs/metrics.md describes every metric; a test holds the two together.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from fastbridge._caller import OUTCOMES
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.refusals import REASONS
from fastbridge.call.transfer_states import OUTCOMES as TRANSFER_OUTCOMES
from fastbridge.model.realtime.errors import EXPECTED_ERRORS, FATAL_ERRORS
from fastbridge.net.connections import EVICTED
from fastbridge.observe import call_log as calllog
from fastbridge.observe import log_policy as log

if TYPE_CHECKING:
    from fastbridge.call.call import Call

Value = float | list[float]
"""A number; of a histogram the counts of its buckets, the last without bound, and then the sum."""
Snapshot = dict[str, list[tuple[list[str], Value]]]
"""Metric to (label values, value): plain data, so that it can go from process to process."""

OTHER = "other"
ERROR_CODES = (
    *sorted(EXPECTED_ERRORS | FATAL_ERRORS),
    *("rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"),
    *(f"closed_{code}" for code in (1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013)),
    *("connect_timeout", "connect_failed", "session_update_timeout", "outage", "invalid_request_error"),
    *("session_start_timeout", "stream_stalled", "malformed_event", "transcription_failed"),
    *(f"http_{status}" for status in (400, 401, 403, 404, 429, 500, 502, 503)),
)
LINE_EVENTS = ("dials", "dial_failures", "losses", "reconnects", "renewals", "renewal_failures")
OWN_ERRORS = ("internal", "carrier_malformed")
SECONDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LAG_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Metric:
    """One of the catalogue. labels: each with all its values, `other` aside."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    @property
    def exposed(self) -> str:
        return f"{self.name}_total" if self.kind == "counter" else self.name


def _counter(name: str, text: str, **labels: Iterable[str]) -> Metric:
    return Metric(f"fastbridge_{name}", "counter", text, {key: (*values, OTHER) for key, values in labels.items()})


def _gauge(name: str, text: str) -> Metric:
    return Metric(f"fastbridge_{name}", "gauge", text)


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(f"fastbridge_{name}", "histogram", text, buckets=buckets)


_LIST = (
    _gauge("calls_live", "Calls whose media stream has begun."),
    _gauge("calls_pending", "Calls admitted whose stream has not begun."),
    _gauge("calls_capacity", "Calls there may be at once."),
    _gauge("draining", "1 while no new calls are taken."),
    _gauge("workers", "Worker processes that answered this scrape."),
    _counter("calls", "Calls that have ended.", direction=("inbound", "outbound"), reason=[str(r) for r in EndReason]),
    _counter("amd", "Calls out of which it was asked who answers, by what was found at last.",
             verdict=("human", "machine", "fax", "unknown")),
    _histogram("call_duration_seconds", "Length of calls.", (5, 15, 30, 60, 120, 180, 300, 600, 1800, 3600)),
    _counter("rejections", "Webhooks, calls and media sockets refused.", reason=REASONS),
    _gauge("connections_open", "Connections on the public port."),
    _gauge("connections_capacity", "Connections there may be on it at once."),
    _counter("connections_evicted", "Connections closed since newer ones had no room, by what they were doing.",
             doing=EVICTED),
    _counter("caller_frames", "Audio frames of callers, by what became of them.", outcome=OUTCOMES),
    _counter("assistant_frames", "Audio frames of the assistant, by what became of them.",
             outcome=("sent", "flushed_barge_in", "flushed_close")),
    _histogram("uplink_latency_seconds", "From a caller's frame being read to its being written to the model.",
               (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005)),
    _histogram("pacing_lateness_seconds", "How long after it was due a frame left for the caller.",
               (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
    _counter("schedule_resets", "Frames so late that the schedule began anew."),
    _counter("underruns", "Times the assistant's audio ran dry within a response."),
    _counter("barge_ins", "Interruptions of the assistant.",
             source=("local", "model", "keys", "budget", "max_duration"), outcome=("committed", "resumed", "held")),
    _histogram("response_latency_seconds", "From the end of a turn, when it is known, to the answer.", SECONDS),
    _histogram("answer_pause_seconds", "From the last of the caller's voice to the answer's first frame.", SECONDS),
    _histogram("model_connect_seconds", "From a stream's start to the model's open socket.", SECONDS),
    _counter("responses", "Responses that the model began."),
    _counter("openai_errors", "Errors of the model's, expected ones included, by code.", code=ERROR_CODES),
    _counter("model_line", "What became of the connections to the model.", event=LINE_EVENTS),
    _counter("model_session_seconds", "Seconds for which calls had a session of the model's."),
    _counter("fillers", "Fillers played while a caller waited."),
    _counter("call_errors", "Errors within calls that were not the model's.", kind=OWN_ERRORS),
    _counter("safety_fuse", "States that outlived their deadline: expected to stay 0."),
    _counter("tool_calls", "Tool calls that have ended.",
             outcome=("ok", "error", "timeout", "unknown", "refused", "broken_off", "abandoned")),
    _counter("tools_done_late", "Tools that ended when nobody waited for them any more.", outcome=("ok", "error")),
    _counter("transfers", "Warm transfers, by what they came to.", outcome=TRANSFER_OUTCOMES),
    _counter("tokens", "Tokens by kind; cached ones are part of the input.",
             kind=("text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out", "transcription")),
    _counter("cost_dollars", "Estimated cost of calls whose model has a known price."),
    _histogram("loop_lag_seconds", "How much longer than it should a turn of the event loop took.", LAG_SECONDS),
    _counter("log_lines", "Lines logged, by level.", level=(*log.LEVELS, "CRITICAL")),
    _counter("log_dropped", "Log lines dropped since they were not read fast enough."),
    _counter("log_suppressed", "Warnings not written since there were many like them."),
    _counter("log_held_back", "Lines of calls that were counted and not written, by level.", level=log.LEVELS),
    _counter("records", "Call records, by what became of them; failed counts attempts.",
             outcome=("stored", "updated", "failed", "lost")),
    _gauge("records_waiting", "Call records that wait to be stored."),
    _counter("local_recordings", "Recordings of the node's own, by what became of them.",
             outcome=("finished", "mended", "failed")),
    _gauge("recordings_waiting", "Pieces of recordings that wait to be written."),
)  # fmt: skip
CATALOGUE: dict[str, Metric] = {metric.name.removeprefix("fastbridge_"): metric for metric in _LIST}


class Histogram:
    """Counts by bucket; bounds are inclusive upper ones."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts: list[float] = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Metrics:
    """The numbers of one process. Names are the catalogue's."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self.histograms: dict[str, Histogram] = {}
        for name, metric in CATALOGUE.items():
            if metric.kind == "histogram":
                self.histograms[name] = Histogram(metric.buckets)
            else:
                self._values[name] = dict.fromkeys(product(*metric.labels.values()), 0)
        self._cursors: dict[Call, dict[tuple[str, ...], float]] = {}

    def add(self, name: str, amount: float = 1, *labels: str) -> None:
        """labels: in the catalogue's order."""
        self._values[name][self._known(name, labels)] += amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """For what somebody else counts."""
        self._values[name][self._known(name, labels)] = value

    def observe(self, name: str, value: float) -> None:
        self.histograms[name].observe(value)

    def value(self, name: str, *labels: str) -> float:
        return self._values[name][labels]

    def take_log(self) -> None:
        """What the log counts of this process."""
        lines = log.counters()
        for name in ("dropped", "suppressed"):
            self.set(f"log_{name}", lines.pop(name))
        for level, count in lines.items():
            self.set("log_lines", count, level)
        for level, count in calllog.held_back().items():
            self.set("log_held_back", count, level)

    def take_histogram(self, name: str, counts: Iterable[int], total: float) -> None:
        """For one that somebody else counts, in its buckets."""
        histogram = self.histograms[name]
        histogram.counts, histogram.total = list(counts), total

    def snapshot(self) -> Snapshot:
        taken: Snapshot = {
            name: [(list(labels), value) for labels, value in values.items()] for name, values in self._values.items()
        }
        for name, histogram in self.histograms.items():
            taken[name] = [([], [*histogram.counts, histogram.total])]
        return taken

    def _known(self, name: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels in self._values[name]:
            return labels
        sets = CATALOGUE[name].labels.values()
        return tuple(label if label in known else OTHER for label, known in zip(labels, sets, strict=True))

    # --- of calls ---

    def fold(self, call: "Call") -> None:
        """Add what this call has come to since it was last looked at."""
        seen = self._cursors.setdefault(call, {})
        for (name, *labels), value in _counts_of(call):
            key = (name, *labels)
            grown = value - seen.get(key, 0)
            if grown:
                seen[key] = value
                self.add(name, grown, *labels)
        for name, counts, total in _histograms_of(call):
            self._fold_counts(seen, name, counts, total)
        moments = call.stats
        for latency_ms in moments.response_ms[self._since(seen, "response_ms", len(moments.response_ms)) :]:
            self.observe("response_latency_seconds", latency_ms / 1000)
        for pause_ms in moments.pause_ms[self._since(seen, "pause_ms", len(moments.pause_ms)) :]:
            if pause_ms is not None:
                self.observe("answer_pause_seconds", pause_ms / 1000)
        for tool in moments.tool_calls[self._since(seen, "tool_calls", len(moments.tool_calls)) :]:
            self.add("tool_calls", 1, tool["outcome"])
        for code in moments.errors[self._since(seen, "errors", len(moments.errors)) :]:
            if code in OWN_ERRORS:
                self.add("call_errors", 1, code)
            else:
                self.add("openai_errors", 1, code)

    def end(self, call: "Call", record: dict[str, Any]) -> None:
        """The call has ended; record: what it left."""
        self.fold(call)
        del self._cursors[call]
        self.add("calls", 1, record["direction"], record["end_reason"])
        if record["answered_by"] is not None:
            self.add("amd", 1, record["answered_by"]["verdict"])
        self.observe("call_duration_seconds", record["duration_ms"] / 1000)
        if record["timings_ms"]["connect"] is not None:
            self.observe("model_connect_seconds", record["timings_ms"]["connect"] / 1000)
        for barge_in in record["barge_ins"]:
            self.add("barge_ins", 1, barge_in["source"], barge_in["outcome"])
        self.add("cost_dollars", record["cost"]["usd"] or 0)

    def unbegun(self, direction: str, reason: str) -> None:
        """A call was let in and never began."""
        self.add("calls", 1, direction, str(reason))

    def _since(self, seen: dict[tuple[str, ...], float], name: str, length: int) -> int:
        before = int(seen.get((name,), 0))
        seen[(name,)] = length
        return before

    def _fold_counts(
        self, seen: dict[tuple[str, ...], float], name: str, counts: tuple[int, ...], total_s: float
    ) -> None:
        histogram = self.histograms[name]
        for bucket, count in enumerate(counts):
            key = (name, str(bucket))
            histogram.counts[bucket] += count - seen.get(key, 0)
            seen[key] = count
        histogram.total += total_s - seen.get((name, "sum"), 0)
        seen[(name, "sum")] = total_s


def _counts_of(call: "Call") -> Iterable[tuple[tuple[str, ...], float]]:
    """Everything of a call that only grows, from its owners."""
    lane, schedule = call.assistant, call.assistant.schedule
    for outcome, count in zip(OUTCOMES, call.caller.outcomes, strict=True):
        yield ("caller_frames", outcome), count
    yield ("assistant_frames", "sent"), lane.frames_sent
    for reason, count in lane.frames_flushed.items():
        yield ("assistant_frames", f"flushed_{reason}"), count
    yield ("schedule_resets",), schedule.tx_schedule_resets
    yield ("underruns",), schedule.underruns
    yield ("responses",), call.stats.responses
    yield ("safety_fuse",), sum(call.safety_fuses.values())
    for event in LINE_EVENTS:
        yield ("model_line", event), call.line.counters[event]
    yield ("model_session_seconds",), call.line.connected_seconds
    yield ("fillers",), sum(call.dead_air.fillers.values())
    for kind, tokens in vars(call.session.usage).items():
        if kind in CATALOGUE["tokens"].labels["kind"]:
            yield ("tokens", kind), tokens
    yield ("tokens", "transcription"), call.session.usage.transcription_tokens
    for code in EXPECTED_ERRORS:  # all others are among the call's errors
        yield ("openai_errors", code), call.session.counters[f"error_{code}"]


def _histograms_of(call: "Call") -> Iterable[tuple[str, tuple[int, ...], float]]:
    """Those that the compiled lanes keep: counts by the catalogue's buckets, and the sum in seconds."""
    schedule = call.assistant.schedule
    yield "pacing_lateness_seconds", schedule.lateness_counts, schedule.lateness_ns / 1e9
    yield "uplink_latency_seconds", call.caller.latency_counts, call.caller.latency_ns / 1e9


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Several processes' numbers as one's: summed. (So capacity and the rest are the node's.)"""
    sums: dict[str, dict[tuple[str, ...], Value]] = {}
    for snapshot in snapshots:
        for name, samples in snapshot.items():
            of_metric = sums.setdefault(name, {})
            for labels, value in samples:
                key = tuple(labels)
                before = of_metric.get(key)
                if isinstance(value, list):
                    base = before if isinstance(before, list) else [0.0] * len(value)
                    of_metric[key] = [a + b for a, b in zip(base, value, strict=True)]
                else:
                    of_metric[key] = value + (before if isinstance(before, int | float) else 0)
    return {name: [(list(labels), value) for labels, value in of.items()] for name, of in sums.items()}


def retired(snapshot: Snapshot) -> Snapshot:
    """What stays of a process that is no more: its counters and histograms."""
    return {name: samples for name, samples in snapshot.items() if CATALOGUE[name].kind != "gauge"}
