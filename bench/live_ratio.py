"""What a call costs with GPT-Live against one with the Realtime API: `python bench/live_ratio.py`.

    python bench/live_ratio.py --calls 50,100,200 --rounds 5

fastbridge as it is by itself, with DSP and TLS. The two models alternate, so that a machine that changes its mind in
between spoils both, and each pair gives one ratio of CPU per call-second: the median counts. Exit code 1 if any run
broke what a bridge must keep.
"""

import argparse
import json
import statistics
from pathlib import Path

from fastbridge.errors import ConfigError
from fastbridge.sim import load
from fastbridge.sim.load import LIVE, REALTIME, Options
from fastbridge.sim.load_command import call_counts, document, perform
from fastbridge.sim.load_report import Result, value, verdict

CPU = "bridge_cost.cpu_ms_per_call_second"
SHOWN = (
    (CPU, "CPU-ms per call-s"),
    ("uplink.latency.p50", "uplink p50"),
    ("uplink.latency.p99", "p99"),
    ("downlink.spacing.p99.9", "spacing p99.9"),
    ("downlink.short", "< 18 ms"),
    ("bridge_cost.rss_kb_per_call", "KB per call"),
)


def plan(arguments: argparse.Namespace) -> list[Options]:
    """Pairs, all numbers of calls once a round."""
    parts = {"tls": not arguments.no_tls, "dsp": not arguments.no_dsp}
    common = {"seconds": arguments.seconds, "warm": not arguments.cold, "realtime": arguments.realtime, **parts}
    return [
        Options(calls=(calls,), model=model, delta_bytes=arguments.delta_bytes if model == LIVE else None, **common)
        for _ in range(arguments.rounds)
        for calls in arguments.calls
        for model in (REALTIME, LIVE)
    ]


def pairs(results: list[Result]) -> dict[int, list[tuple[Result, Result]]]:
    """By the number of calls: (Realtime, Live), one behind the other."""
    found: dict[int, list[tuple[Result, Result]]] = {}
    for usual, live in zip(results[::2], results[1::2], strict=False):
        found.setdefault(usual["calls"], []).append((usual, live))
    return found


def ratio(usual: Result, live: Result) -> float:
    return float(value(live, CPU)) / float(value(usual, CPU))


def table(results: list[Result]) -> str:
    """A line for each number of calls: the median ratio, all of them, and the medians, Realtime / Live."""
    titles = " | ".join(title for _, title in SHOWN)
    lines = [f"| calls | CPU, Live by Realtime | of each pair | {titles} |", "|---" * (3 + len(SHOWN)) + "|"]
    for calls, both in pairs(results).items():
        ratios = [ratio(*pair) for pair in both]
        cells = [f"{calls}", f"{statistics.median(ratios):.2f}", " ".join(f"{each:.2f}" for each in ratios)]
        for path, _ in SHOWN:
            medians = [statistics.median(float(value(pair[side], path)) for pair in both) for side in (0, 1)]
            cells.append(" / ".join(f"{each:.2f}" for each in medians))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=call_counts, default=(50, 100, 200), help="such as 50,100,200")
    parser.add_argument("--rounds", type=int, default=5, help="pairs for each number of calls")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--delta-bytes", type=int, default=None, help="audio in a delta of Live's [default: 160]")
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--no-dsp", action="store_true")
    parser.add_argument("--realtime", action="store_true", help="before all else on their CPUs (needs root)")
    parser.add_argument("--cold", action="store_true", help="do not keep the CPUs awake")
    parser.add_argument("--json", type=Path, default=None, help="write everything measured to this file")
    arguments = parser.parse_args(argv)
    runs = plan(arguments)
    for options in runs:
        load.check(options)
    results, status = perform(runs)
    for result in results:
        print(verdict(result))
    print(table(results))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document(results), indent=1) + "\n")
    return status or int(any(result["broken"] for result in results))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ConfigError as error:
        raise SystemExit(f"bench/live_ratio.py: {error}") from None
