"""A call as one picture: both lanes, what happened, and how evenly the audio was paced.

Drawn from a `CallReport` alone, so that it shows what the caller's ear got and not what anybody meant to send.
matplotlib is imported when something is drawn, never before.
"""

import importlib.util
import textwrap
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastbridge.errors import ConfigError
from fastbridge.sim.audio import RATE_HZ, Samples, from_ulaw
from fastbridge.sim.report import FRAME_SPACING_MS, SPURT_MS, CallReport, Event, Interruption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

INK, FAINT, PAPER, RULE = "#1f2933", "#7b8794", "#ffffff", "#e4e7eb"
CALLER, ASSISTANT, UNHEARD, ALARM, TOOL, GOOD = "#0b7285", "#d9480f", "#ced4da", "#c92a2a", "#7048e8", "#2b8a3e"
COLUMN_MS = 15
CLOSE_UP_MS = (-600, 900)
CAPTION_CHARACTERS = 30
UNHEARD_SHOWN_MS = 2600
EVENT_LEVELS = (0.42, -0.42, 1.0, -1.0)
LABEL_CHARACTERS = 46
BELOW_CAPTIONS = 0.72
"""Share of a lane's height that waveforms need."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": PAPER,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "ytick.left": False,
}

_LANE_EVENTS = {
    "tool_call": (TOOL, "tool"),
    "tool_result": (TOOL, "result"),
    "clear": (ALARM, "clear"),
    "dtmf": (CALLER, "key"),
    "hang_up": (INK, "hangs up"),
    "closed": (INK, "closed"),
    "error": (ALARM, "error"),
}


class Fact(NamedTuple):
    """One line of the verdict: what was expected, what was measured, whether it holds."""

    name: str
    measured: str
    holds: bool


class Unheard(NamedTuple):
    """Audio that the assistant meant to say and did not: where it would have begun, in ms, and the mu-law."""

    at_ms: float
    audio: bytes


def require(what: str = "the timeline") -> None:
    """ConfigError, in one sentence, when there is nothing to draw with."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(f"Drawing {what} needs matplotlib: pip install 'fastbridge[demo]'.") from None


def available() -> bool:
    """Whether there is something to draw with."""
    return importlib.util.find_spec("matplotlib") is not None


def timeline(
    path: str | PathLike[str], report: CallReport, *, facts: Sequence[Fact] = (), unheard: Sequence[Unheard] = ()
) -> None:
    """Draw the call into a PNG file. ConfigError without matplotlib.

    facts: a verdict to print beside the measures. unheard: what interruptions cut off, where the model is known; by
    default what `clear` threw away at Twilio, which is less.
    """
    require()
    import matplotlib

    with matplotlib.rc_context(STYLE):
        _figure(report, facts, unheard or _thrown_away(report)).savefig(path, format="png", dpi=120)


def _figure(report: CallReport, facts: Sequence[Fact], unheard: Sequence[Unheard]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 10.4))
    FigureCanvasAgg(figure)
    upper = figure.add_gridspec(
        3, 1, height_ratios=(2.4, 2.4, 1.1), hspace=0.2, left=0.045, right=0.98, top=0.88, bottom=0.4
    )
    lower = figure.add_gridspec(1, 1, left=0.045, right=0.98, top=0.31, bottom=0.055)
    seconds = max(report.duration_ms / 1000, 1.0)
    said = figure.add_subplot(upper[0])
    heard = figure.add_subplot(upper[1], sharex=said)
    lane = figure.add_subplot(upper[2], sharex=said)
    said.set_xlim(-0.15, seconds + 0.15)
    _head(figure, report)
    _voice(said, report.said, CALLER, "The caller said")
    _voice(heard, report.heard, ASSISTANT, "The caller heard")
    _captions(said, [event for event in report.events if event.kind == "speak"], CALLER)
    _captions(heard, _onsets(report), ASSISTANT)
    _unheard(heard, unheard)
    _overlaps((said, heard), report.interruptions())
    _events(lane, report)
    _lower_row(figure, lower[0], report, facts)
    return figure


def _head(figure: "Figure", report: CallReport) -> None:
    spacing, found = report.spacing(), report.interruptions()
    tiles = [
        (f"{report.duration_ms / 1000:.1f} s", "call"),
        (f"{len(report.frames)}", "frames of 160 bytes" if not report.wrong_sizes else "frames, NOT all 160 bytes"),
        (f"{spacing.min_ms:.1f} ms", "closest two frames"),
        (f"{len(report.gaps())}", "gaps over 40 ms in a response"),
        (f"{max(each.latency_ms for each in found):.0f} ms" if found else "none", "interruption to silence"),
    ]
    figure.text(0.045, 0.962, "A call through fastbridge", size=17, weight="bold", va="center")
    figure.text(0.045, 0.934, report.call_sid, size=8, color=FAINT, va="center", family="DejaVu Sans Mono")
    for index, (value, label) in enumerate(tiles):
        x = 0.40 + index * 0.12
        figure.text(x, 0.964, value, size=16, weight="bold", va="center")
        figure.text(x, 0.935, label, size=8, color=FAINT, va="center")


def _voice(axes: "Axes", ulaw: bytes, colour: str, title: str) -> None:
    """A waveform as loudness: a band of the peaks and, denser, of the RMS."""
    at, peak, rms = _envelope(ulaw)
    axes.fill_between(at, -peak, peak, color=colour, alpha=0.28, lw=0)
    axes.fill_between(at, -rms, rms, color=colour, alpha=0.95, lw=0)
    axes.axhline(0, color=colour, lw=0.6, alpha=0.6)
    axes.set(ylim=(-0.85, 1.5), yticks=[])
    axes.set_title(title, color=colour)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(labelbottom=False, length=0)
    axes.grid(axis="x", color=RULE, lw=0.7)
    axes.set_axisbelow(True)


def _envelope(ulaw: bytes) -> tuple[Samples, Samples, Samples]:
    """(seconds, peak, RMS) for columns of COLUMN_MS, on a square-root scale that shows quiet speech too."""
    width = RATE_HZ * COLUMN_MS // 1000
    columns = from_ulaw(ulaw[: len(ulaw) // width * width]).reshape(-1, width)
    at = (np.arange(len(columns)) + 0.5) * COLUMN_MS / 1000
    return at, np.sqrt(np.abs(columns).max(axis=1, initial=0)), np.sqrt(np.sqrt((columns**2).mean(axis=1)))


def _captions(axes: "Axes", events: Sequence[Event], colour: str) -> None:
    for event in events:
        text = "\n".join(textwrap.wrap(event.text, CAPTION_CHARACTERS, max_lines=4, placeholder=" …"))
        axes.text(event.at_ms / 1000, 1.48, text, color=colour, size=8, va="top", linespacing=1.15)


def _onsets(report: CallReport) -> list[Event]:
    """What the assistant says, moved from when it was decided to when it is first heard."""
    onsets = []
    for event in report.events:
        if event.kind != "response":
            continue
        after = [span.ear / 8 for span in report.spans if span.ear / 8 >= event.at_ms]
        onsets.append(event._replace(at_ms=after[0] if after else event.at_ms))
    return onsets


def _thrown_away(report: CallReport) -> list[Unheard]:
    """What was at Twilio already when `clear` came."""
    found = []
    for clear in report.clears:
        ends = [span.ear + span.length for span in report.spans if span.position + span.length <= clear.start]
        if clear.end > clear.start and ends:
            found.append(Unheard(ends[-1] / 8, report.received[clear.start : clear.end]))
    return found


def _unheard(axes: "Axes", unheard: Sequence[Unheard]) -> None:
    """What was cut off, in grey, where it would have been heard; the start of it, if it is long."""
    for each in unheard:
        at, peak, _ = _envelope(each.audio[: UNHEARD_SHOWN_MS * 8])
        fading = np.linspace(1.0, 0.0, at.size) if len(each.audio) > UNHEARD_SHOWN_MS * 8 else 1.0
        axes.fill_between(at + each.at_ms / 1000, -peak * fading, peak * fading, color=UNHEARD, lw=0, zorder=0.5)
        note = f"{len(each.audio) / RATE_HZ:.1f} s never heard"
        axes.text(each.at_ms / 1000 + 0.08, -0.83, note, size=8, color=FAINT, va="bottom")


def _overlaps(lanes: Sequence["Axes"], found: Sequence[Interruption]) -> None:
    for each in found:
        for axes in lanes:
            axes.axvspan(each.at_ms / 1000, each.silent_ms / 1000, ymax=BELOW_CAPTIONS, color=ALARM, alpha=0.16, lw=0)
            axes.axvline(each.silent_ms / 1000, ymax=BELOW_CAPTIONS, color=ALARM, lw=1, ls=(0, (3, 2)))


def _events(axes: "Axes", report: CallReport) -> None:
    """One line of time: marks as ticks, the rest by name, on levels so that neighbours can be read."""
    axes.axhline(0, color=RULE, lw=2, zorder=0)
    for cleared, colour in ((False, GOOD), (True, ALARM)):
        marks = [mark for mark in report.marks if mark.cleared is cleared and mark.echoed_ms is not None]
        axes.vlines([(mark.echoed_ms or 0) / 1000 for mark in marks], -0.2, 0.2, color=colour, lw=0.9, alpha=0.75)
    shown = [event for event in report.events if event.kind in _LANE_EVENTS]
    second_a_character = report.duration_ms / 1000 / 220
    until = [-1.0] * len(EVENT_LEVELS)
    for event in shown:
        colour, name = _LANE_EVENTS[event.kind]
        at = event.at_ms / 1000
        text = textwrap.shorten(f"{name} {event.text}".rstrip(), LABEL_CHARACTERS, placeholder="…")
        level = next((level for level, end in enumerate(until) if at >= end), 0)
        until[level] = at + (len(text) + 3) * second_a_character
        height = EVENT_LEVELS[level]
        axes.plot([at, at], [0, height], color=colour, lw=0.8)
        axes.plot(at, 0, "o", color=colour, ms=6, mec=PAPER)
        late = at > 0.9 * report.duration_ms / 1000
        shifted, side = (f"{text}  ", "right") if late else (f"  {text}", "left")
        axes.text(at, height, shifted, size=8, color=colour, va="center", ha=side)
    axes.set(ylim=(-1.3, 1.3), yticks=[], xlabel="seconds")
    axes.set_title("Events (green ticks: marks that came back played, red: cleared)")
    axes.spines["left"].set_visible(False)


def _lower_row(figure: "Figure", place: "SubplotSpec", report: CallReport, facts: Sequence[Fact]) -> None:
    columns = place.subgridspec(1, 4 if facts else 3, width_ratios=(3, 3, 3, 4.4) if facts else (1, 1, 1), wspace=0.16)
    _spacing(figure.add_subplot(columns[0]), report)
    _depth(figure.add_subplot(columns[1]), report)
    _close_up(figure.add_subplot(columns[2]), report)
    if facts:
        _verdict(figure.add_subplot(columns[3]), facts)


def _spacing(axes: "Axes", report: CallReport) -> None:
    intervals = [(at, interval) for at, interval in report.intervals() if interval < SPURT_MS]
    axes.axhspan(0, FRAME_SPACING_MS, color=ALARM, alpha=0.07, lw=0)
    axes.axhline(FRAME_SPACING_MS, color=ALARM, lw=1)
    axes.plot([at / 1000 for at, _ in intervals], [each for _, each in intervals], ".", ms=2.5, color=ASSISTANT)
    top = max([25.0, *(interval + 1 for _, interval in intervals)])
    axes.set(ylim=(min(15.0, *(each - 1 for _, each in intervals)) if intervals else 15, top), xlabel="seconds")
    axes.set_title("ms between frames (law: never under 18)")
    axes.grid(axis="y", color=RULE, lw=0.7)


def _depth(axes: "Axes", report: CallReport) -> None:
    at = np.arange(len(report.depth_ms)) * 0.02
    axes.fill_between(at, report.depth_ms, step="post", color=CALLER, alpha=0.25, lw=0)
    axes.step(at, report.depth_ms, where="post", color=CALLER, lw=0.9)
    axes.set(ylim=(0, None), xlabel="seconds", title="ms of audio waiting at Twilio (the lead)")
    axes.grid(axis="y", color=RULE, lw=0.7)


def _close_up(axes: "Axes", report: CallReport) -> None:
    """The first interruption, frame by frame."""
    found = report.interruptions()
    axes.set_title("The interruption, close up" if found else "No interruption")
    axes.set(yticks=[])
    axes.spines["left"].set_visible(False)
    if not found:
        axes.set(xticks=[])
        return
    first = found[0]
    low, high = (first.fifth_loud_ms + offset for offset in CLOSE_UP_MS)
    for ulaw, colour, base in ((report.said, CALLER, 1.1), (report.heard, ASSISTANT, -1.1)):
        begin = max(0, int(low) * 8)
        samples = from_ulaw(ulaw[begin : int(high) * 8])
        at = begin / 8 + np.arange(samples.size) / 8 - first.fifth_loud_ms
        axes.plot(at, base + np.sign(samples) * np.sqrt(np.abs(samples)), color=colour, lw=0.5)
    until = first.silent_ms - first.fifth_loud_ms
    axes.axvspan(0, until, color=ALARM, alpha=0.16, lw=0)
    axes.axvline(0, color=INK, lw=0.9)
    axes.axvline(until, color=ALARM, lw=1, ls=(0, (3, 2)))
    axes.text(until + 20, 2.2, f"silent after {first.latency_ms:.0f} ms", color=ALARM, weight="bold", va="top")
    axes.text(-12, -2.2, "5th loud frame", size=8, ha="right", va="bottom")
    axes.set(xlim=CLOSE_UP_MS, ylim=(-2.3, 2.3), xlabel="ms")


def _verdict(axes: "Axes", facts: Sequence[Fact]) -> None:
    axes.set_title("What must hold")
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(max(len(facts), 10), 0))
    for row, fact in enumerate(facts):
        colour = GOOD if fact.holds else ALARM
        _line(axes, 0.0, row + 0.5, "✓" if fact.holds else "✗", color=colour, weight="bold", size=9.5)
        _line(axes, 0.05, row + 0.5, fact.name, size=8, color=INK if fact.holds else ALARM)
        measured = textwrap.shorten(fact.measured, 36, placeholder="…")
        _line(axes, 1.0, row + 0.5, measured, size=6.8, color=FAINT, ha="right")


def _line(axes: "Axes", x: float, y: float, text: str, **style: Any) -> None:
    axes.text(x, y, text, va="center", **style)
