"""The published figures: `python bench/load.py` measures fastbridge and the baseline in one session.

First fastbridge as it is by itself, with DSP and with TLS to the model, and the baseline beside it; then, at one number
of calls, what each part costs: without DSP, without TLS, without either; last, interruptions. Runs that are compared
alternate, so that a machine that changes its mind in between spoils both. With `--rounds` each is made several times,
and the one with the middle CPU kept: a shared machine's speed drifts by a third. Above `--tls-up-to` calls there is no
TLS, whose end at the model costs more than all the players. All that is measured goes to `bench/results.json`, the
table into `bench/README.md` between its markers, the plot beside it. `--table` and `--plot` make those two again from
the results there are; `--out` puts all three elsewhere. What is measured and how: `bench/README.md`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fastbridge.errors import ConfigError
from fastbridge.sim import load, load_plot, render
from fastbridge.sim.load import Options
from fastbridge.sim.load_command import call_counts, document, perform
from fastbridge.sim.load_report import PARTS, Result, name_of, value, verdict

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS, PLOT, TABLE = "results.json", "load.png", "table.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"

COLUMNS = (
    ("bridge", "bridge", "{}"),
    ("calls", "calls", "{}"),
    ("CPU-ms per call-s", "bridge_cost.cpu_ms_per_call_second", "{:.2f}"),
    ("KB per call", "bridge_cost.rss_kb_per_call", "{:.0f}"),
    ("switches per s", "bridge_cost.voluntary_switches_per_second", "{:.0f}"),
    ("uplink p50", "uplink.latency.p50", "{:.2f}"),
    ("p99", "uplink.latency.p99", "{:.2f}"),
    ("p99.9", "uplink.latency.p99.9", "{:.2f}"),
    ("spacing p0.1", "downlink.spacing.p0.1", "{:.2f}"),
    ("p99.9", "downlink.spacing.p99.9", "{:.2f}"),
    ("< 18 ms", "downlink.short", "{}"),
    ("underruns > 20 ms", "downlink.underruns_20ms", "{}"),
    ("first audio p50", "first_audio.response_to_first_frame.p50", "{:.1f}"),
    ("barge-in p50", "barge_in.latency.p50", "{:.2f}"),
    ("p99", "barge_in.latency.p99", "{:.2f}"),
    ("lost", "uplink.lost", "{}"),
    ("faults", "integrity.faults", "{}"),
    ("players' core", "generator.core_share", "{:.0%}"),
)


WITHOUT: tuple[dict[str, bool], ...] = ({"dsp": False}, {"tls": False}, {"dsp": False, "tls": False})
"""What the runs that show the cost of a part leave out."""


def plan(arguments: argparse.Namespace) -> list[Options]:
    """The runs in their order. Few enough calls of the baseline that it can hold them."""
    common: dict[str, Any] = {
        "seconds": arguments.seconds,
        "warm": not arguments.cold,
        "realtime": arguments.realtime,
        "eager": arguments.eager,
    }

    def run(calls: int, **changes: Any) -> Options:
        if calls > arguments.tls_up_to:
            changes["tls"] = False
        return Options(calls=(calls,), **common, **changes)

    runs = []
    for calls in arguments.calls:
        runs.append(run(calls))
        if calls <= arguments.baseline_up_to:
            runs.append(run(calls, bridge="baseline"))
    runs *= arguments.rounds
    if arguments.only_default:
        return runs
    middle = arguments.calls[min(1, len(arguments.calls) - 1)]
    parts = [run(middle, **without) for without in WITHOUT if without.get("tls", True) or middle <= arguments.tls_up_to]
    again = [run(middle)] if arguments.rounds > 1 else []
    return [*runs, *([*again, *parts] * arguments.rounds), run(middle, barge=True)]


def middle_of(results: list[Result]) -> list[Result]:
    """Of the runs that were made several times, the one with the middle CPU; with two, the dearer."""
    kinds: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        kinds.setdefault((name_of(result), result["calls"]), []).append(result)
    return [sorted(each, key=cpu_of)[len(each) // 2] for each in kinds.values()]


def cpu_of(result: Result) -> float:
    return float(value(result, "bridge_cost.cpu_ms_per_call_second") or 0.0)


def table(report: dict[str, Any]) -> str:
    """The README's part between the markers. Times in milliseconds."""
    machine = report["machine"]
    lines = [
        f"Measured {machine['date']} on {machine['cpu']} ({machine['cpus']} CPUs), Linux {machine['kernel']}, "
        f"Python {machine['python']}; each run {report['runs'][0]['seconds']:.0f} s.",
        "",
        "| " + " | ".join(title for title, _, _ in COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for result in report["runs"]:
        cells = []
        for _, path, form in COLUMNS:
            found = name_of(result) if path == "bridge" else value(result, path)
            cells.append("-" if found is None else form.format(found))
        lines.append("| " + " | ".join(cells) + " |")
    costs = costs_of_parts(report["runs"])
    lines += ["", *costs] if costs else []
    shown = ", ".join(f"{ratio:.1f} at {name.split('_')[1]} calls" for name, ratio in report["ratios"].items())
    lines += ["", f"The baseline takes this many times fastbridge's CPU: {shown}." if shown else "", ""]
    lines += [f"- {name_of(run)}, {run['calls']} calls: {doubt}." for run in report["runs"] for doubt in run["doubts"]]
    return "\n".join(lines).rstrip() + "\n"


def is_default(run: Result) -> bool:
    """Whether the bridge ran as it does by itself."""
    return name_of(run) == run["bridge"]


def is_drawn(run: Result) -> bool:
    """The bridges as they are by themselves, and without TLS where there are too many calls for it."""
    return not run["barge"] and run["dsp"] == PARTS.get(run["bridge"], {}).get("dsp", run["dsp"])


def costs_of_parts(runs: list[Result]) -> list[str]:
    """What a part adds to the CPU of a call, in a sentence for each that was left out in a run of its own."""
    default = {run["calls"]: cpu_of(run) for run in runs if run["bridge"] == "fastbridge" and is_default(run)}
    lines = []
    for run in runs:
        whole, name = default.get(run["calls"]), name_of(run)
        if whole and run["bridge"] == "fastbridge" and " without " in name and not run["barge"]:
            part, costs = name.partition(" without ")[2], whole - cpu_of(run)
            lines.append(f"- At {run['calls']} calls {part} takes {costs:.2f} of {whole:.2f} CPU-ms per call-second.")
    return lines


def ratios(runs: list[Result]) -> dict[str, float]:
    """How many times fastbridge's CPU the baseline takes, at each number of calls that both were given, each as it is
    by itself: fastbridge has DSP, the baseline none."""
    plain = [run for run in runs if is_default(run) and run["bridge_cost"]]
    cost = {(run["bridge"], run["calls"]): run["bridge_cost"]["cpu_ms_per_call_second"] for run in plain}
    both = sorted(calls for bridge, calls in cost if bridge == "baseline" and cost.get(("fastbridge", calls)))
    return {f"cpu_{calls}_calls": round(cost["baseline", calls] / cost["fastbridge", calls], 2) for calls in both}


def write_table(report: dict[str, Any], out: Path) -> None:
    """Into the README, or beside the results. ValueError when the README has lost its markers."""
    if out != HERE:
        (out / TABLE).write_text(table(report))
        return
    text = README.read_text()
    head, found_begin, rest = text.partition(BEGIN)
    _, found_end, tail = rest.partition(END)
    if not found_begin or not found_end:
        raise ValueError(f"{README} has no {BEGIN.strip()} ... {END.strip()} to write between")
    README.write_text(head + BEGIN + table(report) + END + tail)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=call_counts, default=(50, 100, 200), help="such as 50,100,200,400")
    parser.add_argument("--baseline-up-to", type=int, default=100, help="the most calls given to the baseline")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--tls-up-to", type=int, default=300, help="the most calls with TLS to the model")
    parser.add_argument("--rounds", type=at_least_one, default=1, help="make each run so often, keep the middle one")
    parser.add_argument("--realtime", action="store_true", help="before all else on their CPUs (needs root)")
    parser.add_argument("--eager", action="store_true", help="the players wait for each message")
    parser.add_argument("--cold", action="store_true", help="do not keep the CPUs awake")
    parser.add_argument("--only-default", action="store_true", help="no runs without a part or with interruptions")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder for what it writes")
    parser.add_argument("--table", action="store_true", help="only write the table, from the results there are")
    parser.add_argument("--plot", action="store_true", help="only draw the plot, from the results there are")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = parse(argv)
    out, status = arguments.out.resolve(), 0
    if not (arguments.table or arguments.plot):
        status = measure(arguments, out)
    if not (out / RESULTS).is_file():
        raise ConfigError(f"There is no {RESULTS} in {out} yet: run python bench/load.py.")
    report = json.loads((out / RESULTS).read_text())
    if not arguments.plot:
        write_table(report, out)
    if not arguments.table:
        load_plot.plot(out / PLOT, [run for run in report["runs"] if is_drawn(run)])
    return status


def measure(arguments: argparse.Namespace, out: Path) -> int:
    """Run them all, and keep what was measured. 1 if fastbridge broke what it must keep."""
    runs = plan(arguments)
    for options in runs:
        load.check(options)
    render.require()
    results, status = perform(runs)
    for result in results:
        print(verdict(result))
    if status or not results:
        raise SystemExit(status or 1)
    kept = middle_of(results)
    report = {**document(kept), "ratios": ratios(kept)}
    (out / RESULTS).write_text(json.dumps(report, indent=1) + "\n")
    # Pacing and loss are judged where they can be kept: the baseline is the yardstick, not the product.
    return int(any(run["broken"] for run in results if run["bridge"] == "fastbridge"))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ConfigError as error:
        print(f"bench/load.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
