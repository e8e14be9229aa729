"""What a load run found: as a mapping that is JSON as it stands, as a verdict, and as a table for a terminal.

The schema is documented in `bench/README.md`. A quantile of nothing is null. Times are in milliseconds, CPU time per
call and second of its window; shares are of one core.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rich.table import Table

from fastbridge.sim import load_lag
from fastbridge.sim.load_usage import CoreTime, Usage, foreign_share

if TYPE_CHECKING:
    from fastbridge._measure import Histogram

Result = dict[str, Any]

SCHEMA = 1
PARTS: dict[str, dict[str, bool]] = {
    "fastbridge": {"dsp": True, "tls": True},
    "baseline": {"dsp": False, "tls": True},
}
"""What each bridge of ours does unless it is told otherwise. The baseline has no DSP."""
PART_NAMES = {"dsp": "DSP", "tls": "TLS"}
BUSY_GENERATOR = 0.7
"""Share of its core above which the players may be what is measured."""
NOISY = 0.1
CURVE_POINTS = 160
QUANTILES = {"p0.1": 0.001, "p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Moment(Protocol):
    """Everybody's clocks, at the beginning and at the end of the window."""

    @property
    def at_s(self) -> float: ...
    @property
    def bridge(self) -> Usage: ...
    @property
    def relay(self) -> Usage: ...
    @property
    def own_ms(self) -> float: ...
    @property
    def bridge_core(self) -> CoreTime: ...
    @property
    def players_core(self) -> CoreTime: ...
    @property
    def lag(self) -> load_lag.Buckets: ...


def quantiles(histogram: "Histogram") -> dict[str, float | int | None]:
    """Count, least, the QUANTILES and greatest, in milliseconds."""
    found: dict[str, float | int | None] = {"count": histogram.count, "min": _ms(histogram.min_ns)}
    found |= {name: _ms(histogram.quantile_ns(share)) for name, share in QUANTILES.items()}
    return found | {"max": _ms(histogram.max_ns)}


def curve(histogram: "Histogram") -> list[tuple[float, float]]:
    """The distribution, for a plot: (milliseconds, share of values up to there), at most CURVE_POINTS and the last."""
    total, seen, points = histogram.count, 0, list[tuple[float, float]]()
    last = -1.0
    for value_ns, count in histogram.counts():
        seen += count
        # Evenly spread in what is shown: the share, and how far the tail is from its end.
        shown = seen / total - 0.2 * math.log10(max(1.0 - seen / total, 0.1 / total))
        if shown - last >= 2.0 / CURVE_POINTS or seen == total:
            points.append((round(value_ns / 1e6, 5), round(seen / total, 7)))
            last = shown
    return points


def summary(
    facts: Result,
    *,
    counts: Mapping[str, int],
    integrity: Mapping[str, int],
    histograms: Mapping[str, "Histogram"],
    idle: Usage,
    before: Moment,
    after: Moment,
    has_pid: bool,
    shared_core: bool,
) -> Result:
    """All of one run. facts: what was asked for, with `calls`, `held` and `setup_failures`."""
    times = {name: quantiles(histogram) for name, histogram in histograms.items()}
    seconds = after.at_s - before.at_s
    result: Result = {
        "schema": SCHEMA,
        **facts,
        "seconds": round(seconds, 3),
        "bridge_cost": _cost(idle, before, after, facts["held"], seconds) if has_pid else None,
        "generator": _generator(before, after, seconds, counts, shared_core)
        | {"send_lateness": times["send_lateness"]},
        "uplink": _uplink(counts, integrity, exact=not facts["dsp"]) | {"latency": times["uplink"]},
        "downlink": _downlink(counts) | {name: times[name] for name in ("spacing", "lead", "late")},
        "integrity": {name: integrity[name] for name in _INTEGRITY},
        "first_audio": {name: times[name] for name in ("start_to_first_frame", "response_to_first_frame")},
        "barge_in": {
            "events": counts["barges"],
            "early": counts["barges_early"],
            "missed": counts["barges_missed"],
            "stale_frames": counts["stale_frames"],
            "latency": times["barge_in"],
            "truncate_error": times["truncate_error"],
        },
        "loop_lag": {
            name: load_lag.quantile_ms(before.lag, after.lag, share) for name, share in (("p50", 0.5), ("p99", 0.99))
        },
        "events": {name: counts[name] for name in _EVENTS},
        "curves": {name: curve(histograms[name]) for name in ("uplink", "spacing", "barge_in")},
    }
    result["broken"] = broken(result)
    result["doubts"] = doubts(result)
    return result


_INTEGRITY = (
    "faults",
    "lost",
    "altered",
    "repeated",
    "foreign",
    "undelivered",
    "padding",
    "silence",
    "resumed",
    "marks_overflowed",
)
_EVENTS = (
    "responses",
    "requests",
    "cancels",
    "truncates",
    "clears",
    "clears_unasked",
    "marks",
    "marks_echoed",
    "malformed",
    "wrong_stream",
    "other_carrier",
    "other_model",
    "broken",
    "early_closes",
    "model_closes",
    "relinked",
    "unlinked_bytes",
    "queued_peak",
)


def _cost(idle: Usage, before: Moment, after: Moment, held: int, seconds: float) -> Result:
    cpu_ms = after.bridge.cpu_ms - before.bridge.cpu_ms
    call_seconds = held * seconds
    return {
        "cpu_ms_per_call_second": round(cpu_ms / call_seconds, 4) if call_seconds else None,
        "core_share": round(cpu_ms / 1000 / seconds, 4),
        "user_ms": round(after.bridge.user_ms - before.bridge.user_ms),
        "system_ms": round(after.bridge.system_ms - before.bridge.system_ms),
        "rss_mb": round(after.bridge.rss_kb / 1024, 1),
        "rss_kb_per_call": round((after.bridge.rss_kb - idle.rss_kb) / held, 1) if held else None,
        "rss_growth_kb": after.bridge.rss_kb - before.bridge.rss_kb,
        "voluntary_switches_per_second": round((after.bridge.voluntary - before.bridge.voluntary) / seconds, 1),
        "involuntary_switches_per_second": round((after.bridge.involuntary - before.bridge.involuntary) / seconds, 1),
        "tasks": after.bridge.tasks,
        "foreign_share": round(foreign_share(before.bridge_core, after.bridge_core, cpu_ms), 4),
        "steal_share": round((after.bridge_core.steal_ms - before.bridge_core.steal_ms) / 1000 / seconds, 4),
    }


def _generator(before: Moment, after: Moment, seconds: float, counts: Mapping[str, int], shared_core: bool) -> Result:
    own_ms = after.own_ms - before.own_ms
    relay_ms = after.relay.cpu_ms - before.relay.cpu_ms
    share = (own_ms + relay_ms) / 1000 / seconds
    return {
        "core_share": round(share, 4),
        "tls_share": round(relay_ms / 1000 / seconds, 4),
        "foreign_share": round(foreign_share(before.players_core, after.players_core, own_ms + relay_ms), 4),
        "stalls": counts["stalls"],
        "shares_the_bridges_core": shared_core,
    }


def _uplink(counts: Mapping[str, int], integrity: Mapping[str, int], *, exact: bool) -> Result:
    """exact: frames are to come as they were sent. Else that is nobody's to say."""
    return {
        "sent": counts["frames_sent"],
        "arrived": counts["frames_arrived"],
        "lost": counts["frames_sent"] - counts["frames_arrived"],
        "altered": counts["frames_altered"] if exact else None,
        "repeated": counts["frames_repeated"],
        "reordered": counts["frames_reordered"],
        "unknown": counts["frames_unknown"],
        "inserted": counts["frames_inserted"],
        "skipped_bytes": integrity["uplink_skipped"],
        "appends": counts["appends"],
    }


def _downlink(counts: Mapping[str, int]) -> Result:
    return {
        "frames": counts["media"],
        "bytes": counts["media_bytes"],
        "odd_size": counts["media_odd_size"],
        "short": counts["spacing_short"],
        "long": counts["spacing_long"],
        "unjudged": counts["spacing_unjudged"],
        "underruns_2ms": counts["underruns_2ms"],
        "underruns_20ms": counts["underruns_20ms"],
    }


def broken(result: Result) -> list[str]:
    """What a bridge must never do and did, one sentence each."""
    up, down, whole, barge, events = (
        result[name] for name in ("uplink", "downlink", "integrity", "barge_in", "events")
    )
    found = [
        (result["calls"] - result["held"], "calls of {calls} were not up all the time"),
        (up["lost"], "caller frames of {sent} were lost"),
        (up["altered"] or 0, "caller frames came altered"),
        (up["repeated"] + up["reordered"], "caller frames came twice or out of order"),
        (up["inserted"], "frames came that no caller had sent"),
        (up["skipped_bytes"], "bytes came that were of no caller's frame"),
        (down["short"], "frames left less than 18 ms after the one before"),
        (down["odd_size"], "media messages did not hold 160 bytes"),
        (whole["lost"] + whole["undelivered"], "bytes of the model's speech never came"),
        (whole["altered"], "bytes of the model's speech came altered"),
        (whole["repeated"], "bytes of the model's speech came twice"),
        (whole["foreign"] + events["unlinked_bytes"], "bytes came that the model had not said to this caller"),
        (barge["missed"], "interruptions of {barges} were not followed by clear"),
        (barge["stale_frames"], "frames of an interrupted response came after its clear"),
        (events["malformed"] + events["broken"], "messages were malformed"),
        (events["wrong_stream"], "messages named another stream"),
    ]
    words = {"calls": result["calls"], "sent": up["sent"], "barges": barge["events"]}
    return [f"{count} {text.format(**words)}" for count, text in found if count]


def doubts(result: Result) -> list[str]:
    """Why the figures of a run may not be the bridge's."""
    generator, cost = result["generator"], result["bridge_cost"] or {"foreign_share": 0.0}
    found = []
    if generator["core_share"] > BUSY_GENERATOR:
        found.append(f"the players used {generator['core_share']:.0%} of their core: they may be what was measured")
    if generator["shares_the_bridges_core"]:
        found.append("the players had no core of their own")
    if max(cost["foreign_share"], generator["foreign_share"]) > NOISY:
        used = max(cost["foreign_share"], generator["foreign_share"])
        found.append(f"the machine was not quiet: others used {used:.0%} of a core")
    if generator["stalls"]:
        found.append(f"the players were kept from looking for over 10 ms, {generator['stalls']} times")
    return found


def bridge_of(result: Result) -> str:
    """The bridge, and the model where it is not the usual one."""
    return f"{result['bridge']} live" if result.get("model") == "live" else str(result["bridge"])


def name_of(result: Result) -> str:
    """The bridge with its model, and what was other than it is by itself."""
    usual = PARTS.get(result["bridge"], {})
    without = [PART_NAMES[part] for part, on in usual.items() if on and not result[part]]
    name = f"{bridge_of(result)} without {' and '.join(without)}" if without else bridge_of(result)
    return f"{name} + interruptions" if result["barge"] else name


def verdict(result: Result) -> str:
    """One line: which parts were on, whether the bridge did what it must, and whether to believe it."""
    whole = "" if result["dsp"] else " whole,"
    said = "; ".join(result["broken"]) or f"every frame came,{whole} in order and in time"
    mark = "✗" if result["broken"] else "✓"
    doubt = f" (in doubt: {'; '.join(result['doubts'])})" if result["doubts"] else ""
    ours = result["bridge"] in PARTS  # of others we know nothing
    parts = [f", {name} {_shown(result[part], part)}" for part, name in PART_NAMES.items() if ours]
    return f"{mark} {bridge_of(result)}, {result['calls']} calls{''.join(parts)}: {said}{doubt}"


_ROWS: Sequence[tuple[str, str]] = (
    ("the model", "model"),
    ("DSP on the caller's audio", "dsp"),
    ("TLS to the model", "tls"),
    ("calls held", "held"),
    ("CPU-ms per call-second", "bridge_cost.cpu_ms_per_call_second"),
    ("bridge, share of a core", "bridge_cost.core_share"),
    ("RSS, KB per call", "bridge_cost.rss_kb_per_call"),
    ("context switches per second", "bridge_cost.voluntary_switches_per_second"),
    ("uplink p50", "uplink.latency.p50"),
    ("uplink p99", "uplink.latency.p99"),
    ("uplink p99.9", "uplink.latency.p99.9"),
    ("uplink max", "uplink.latency.max"),
    ("caller frames lost", "uplink.lost"),
    ("caller frames altered", "uplink.altered"),
    ("spacing p0.1", "downlink.spacing.p0.1"),
    ("spacing p50", "downlink.spacing.p50"),
    ("spacing p99", "downlink.spacing.p99"),
    ("spacing p99.9", "downlink.spacing.p99.9"),
    ("spacing max", "downlink.spacing.max"),
    ("frames under 18 ms", "downlink.short"),
    ("lead p50", "downlink.lead.p50"),
    ("late p99.9", "downlink.late.p99.9"),
    ("underruns over 2 ms", "downlink.underruns_2ms"),
    ("underruns over 20 ms", "downlink.underruns_20ms"),
    ("start to first frame p50", "first_audio.start_to_first_frame.p50"),
    ("response to first frame p50", "first_audio.response_to_first_frame.p50"),
    ("response to first frame p99", "first_audio.response_to_first_frame.p99"),
    ("interruptions", "barge_in.events"),
    ("5th loud frame to clear p50", "barge_in.latency.p50"),
    ("5th loud frame to clear p99", "barge_in.latency.p99"),
    ("loop lag p99", "loop_lag.p99"),
    ("faults in the model's speech", "integrity.faults"),
    ("bytes undelivered", "integrity.undelivered"),
    ("players, share of a core", "generator.core_share"),
    ("players' send lateness p99", "generator.send_lateness.p99"),
)
_SHARES = {"bridge_cost.core_share", "generator.core_share"}


def value(result: Result, path: str) -> Any:
    """`uplink.latency.p99.9` of a result; None where it has no such thing."""
    found: Any = result
    while path and isinstance(found, dict):
        name = max((key for key in found if f"{path}.".startswith(f"{key}.")), key=len, default=None)
        if name is None:
            return None
        found, path = found[name], path[len(name) + 1 :]
    return found


def table(results: Sequence[Result]) -> Table:
    """All runs beside each other. Times in milliseconds."""
    shown = Table(title="Load (times in ms)", title_justify="left", pad_edge=False)
    shown.add_column("")
    for result in results:
        shown.add_column(f"{bridge_of(result)} {result['calls']}", justify="right")
    for label, path in _ROWS:
        values = [value(result, path) for result in results]
        if any(each is not None for each in values):
            shown.add_row(label, *(_shown(each, path) for each in values))
    return shown


def _shown(found: Any, path: str) -> str:
    if found is None:
        return "-"
    if isinstance(found, bool):
        return "on" if found else "off"
    if path in _SHARES:
        return f"{found:.0%}"
    return f"{found:.2f}" if isinstance(found, float) else str(found)


def _ms(value_ns: float) -> float | None:
    return None if math.isnan(value_ns) else round(value_ns / 1e6, 5)
