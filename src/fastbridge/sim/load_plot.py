"""The figures of load runs as one picture: what a call costs over the number of calls, and how latency is distributed.

matplotlib (of the `demo` extra) is imported when something is drawn, never before.
"""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from fastbridge.sim.load_report import Result, name_of, value
from fastbridge.sim.render import FAINT, INK, RULE, STYLE, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0b7285", "#d9480f", "#7048e8", "#2b8a3e", "#c92a2a")
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4)), (0, (12, 4)))
"""Of the runs of one bridge: as many as a session has."""
SPACING_MS = (14, 32)


def plot(path: str | PathLike[str], results: Sequence[Result]) -> None:
    """Write the picture; its format is that of the name. ConfigError without matplotlib. No results: no picture."""
    require()
    import matplotlib
    from matplotlib.figure import Figure

    if not results:
        return
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 7.2), layout="constrained")
        upper, lower = figure.subplots(2, 2)
        _over_calls(upper[0], results, "bridge_cost.cpu_ms_per_call_second", "CPU-ms per call and second")
        _over_calls(upper[1], results, "uplink.latency.p99", "uplink latency p99, ms")
        _distribution(lower[0], results, "uplink", "uplink latency, ms: share of frames above")
        lower[0].set_xscale("log")
        _distribution(lower[1], results, "spacing", "spacing of frames to the caller, ms: share above")
        lower[1].set_xlim(*SPACING_MS)
        lower[1].axvline(18, color=COLOURS[4], lw=0.8)
        figure.suptitle(_title(results), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
        figure.savefig(path, dpi=130)


def _title(results: Sequence[Result]) -> str:
    return "Load through " + ", ".join(dict.fromkeys(name_of(each) for each in results))


def _style(axes: "Axes", title: str, label_colour: str) -> None:
    axes.set_title(title)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, labelcolor=label_colour)
    axes.grid(color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _by_bridge(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for each in results:
        found.setdefault(name_of(each), []).append(each)
    return found


def _over_calls(axes: "Axes", results: Sequence[Result], path: str, title: str) -> None:
    for (bridge, runs), colour in zip(_by_bridge(results).items(), COLOURS * 9, strict=False):
        points = sorted((run["calls"], value(run, path)) for run in runs if value(run, path) is not None)
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=colour, label=bridge, ms=4, lw=1.6)
    axes.set_xlim(left=0)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
    axes.set_xlabel("calls")
    _style(axes, title, INK)


def _distribution(axes: "Axes", results: Sequence[Result], curve: str, title: str) -> None:
    """The share of values above each one, so that the tail is seen."""
    for (bridge, runs), colour in zip(_by_bridge(results).items(), COLOURS * 9, strict=False):
        for run, line in zip(runs, LINES * 9, strict=False):
            points: list[Any] = run["curves"][curve]
            if points:
                at = [each[0] for each in points]
                above = [max(1 - each[1], 1e-6) for each in points]
                label = f"{bridge} {run['calls']}"
                axes.plot(at, above, ls=line, color=colour, label=label, lw=1.3, drawstyle="steps-post")
    axes.set_yscale("log")
    axes.set_ylim(1e-5, 1.2)
    _style(axes, title, FAINT)
