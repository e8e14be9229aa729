"""What the barge-in detector makes of a recording: its edges and reasons as text, its levels as one picture.

The recording goes through the detector of the node, frame by frame, as a call's audio does. matplotlib is imported when
the picture is drawn, never before.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbridge._bargein import WHY, Detector
from fastbridge.errors import ConfigError
from fastbridge.sim.audio import FRAME_MS, SILENCE, level_dbfs, read_channels, read_wav, to_frames
from fastbridge.sim.render import ALARM, ASSISTANT, CALLER, FAINT, GOOD, INK, STYLE, TOOL, UNHEARD, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAYING_DBFS = -60.0
PAUSE_FRAMES = 25
"""The assistant plays from a frame as loud as that until as many frames after the last one."""
COLOURS = {"quiet": UNHEARD, "floor": FAINT, "echo": ASSISTANT, "tone": TOOL, "unvoiced": "#f08c00", "noise": ALARM,
           "voice": GOOD}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame, as the detector saw it. Levels are dBFS."""

    playing: bool
    level: float
    floor: float
    echo: float
    threshold: float
    confidence: float
    why: str
    speaking: bool
    edge: bool


def run(recording: Path, assistant: Path | None, out: Path | None, **settings: Any) -> None:
    """Print what `report` says and draw the picture into `out`, if given. ConfigError for a file that is no use."""
    if out is not None:
        require("the picture")
    moments = examine(*sides(recording, assistant), **settings)
    print("\n".join(report(moments)))
    if out is not None:
        draw(moments, out, title=recording.name)
        print(f"drawn in {out}")


def sides(recording: Path, assistant: Path | None) -> tuple[bytes, bytes | None]:
    """Mu-law of the caller and, if there is any, of the assistant."""
    if assistant is not None:
        return read_wav(recording), read_wav(assistant)
    channels = read_channels(recording)
    if len(channels) > 2:
        raise ConfigError(f"{recording} has {len(channels)} channels: one is the caller, two are caller and assistant.")
    return channels[0], channels[1] if len(channels) == 2 else None


def examine(caller: bytes, assistant: bytes | None, **settings: Any) -> list[Moment]:
    """Every frame through a new detector. Without an assistant it is taken to play all the time, and silence."""
    frames = to_frames(caller)
    heard = to_frames((assistant or b"").ljust(len(frames) * 160, SILENCE))[: len(frames)]
    playing = plays(heard) if assistant is not None else [True] * len(frames)
    detector = Detector(**settings)
    moments = []
    for frame, other, is_playing in zip(frames, heard, playing, strict=True):
        edge = detector.feed(frame, other if is_playing else None)
        moments.append(
            Moment(
                playing=is_playing,
                level=detector.level_dbfs,
                floor=detector.floor_dbfs,
                echo=detector.echo_dbfs,
                threshold=detector.threshold_dbfs,
                confidence=detector.confidence,
                why=detector.why,
                speaking=detector.speaking,
                edge=edge,
            )
        )
    return moments


def plays(heard: list[bytes]) -> list[bool]:
    """Whether the assistant plays, frame by frame: its pauses between words count, those between answers do not."""
    playing, left = [], 0
    for frame in heard:
        left = PAUSE_FRAMES if level_dbfs(frame) > PLAYING_DBFS else max(left - 1, 0)
        playing.append(left > 0)
    return playing


def report(moments: list[Moment]) -> list[str]:
    """Lines for a terminal: the edges, and how many frames counted and did not, by reason."""
    seconds = FRAME_MS / 1000
    playing = [moment for moment in moments if moment.playing]
    edges = [(at, moment) for at, moment in enumerate(moments) if moment.edge]
    lines = [
        f"{len(moments) * seconds:.2f} s of the caller, the assistant playing in {len(playing) * seconds:.2f} s, "
        f"{len(edges)} edge{'' if len(edges) == 1 else 's'}"
    ]
    for at, moment in edges:
        lines.append(
            f"edge at {(at + 1) * seconds:.2f} s: level {moment.level:.1f} dBFS, threshold {moment.threshold:.1f} "
            f"(floor {moment.floor:.1f}, echo {moment.echo:.1f}), confidence {moment.confidence:+.1f}"
        )
    for name, group in (("while playing", playing), ("else", [m for m in moments if not m.playing])):
        counts = Counter(moment.why for moment in group)
        lines.append(f"frames {name}: " + ", ".join(f"{why} {counts[why]}" for why in WHY))
    return lines


def draw(moments: list[Moment], out: Path, *, title: str) -> None:
    """Levels, floor, echo and threshold over time, the frames' reasons below, an arrow at each edge; as a PNG file."""
    require("the picture")
    import matplotlib

    with matplotlib.rc_context(STYLE):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = _figure(moments, title)
        FigureCanvasAgg(figure)
        try:
            figure.savefig(out, format="png", dpi=110)
        except OSError as error:
            raise ConfigError(f"Cannot write {out}: {error.strerror or error}.") from error


def _figure(moments: list[Moment], title: str) -> "Figure":
    from matplotlib.figure import Figure

    width = min(60.0, max(10.0, len(moments) * FRAME_MS / 1000 * 0.9))
    figure = Figure(figsize=(width, 7), layout="constrained")
    upper, middle, lower = figure.subplots(3, 1, sharex=True, height_ratios=(5, 2, 1))
    _levels(upper, moments)
    upper.set_title(f"{title}: what the barge-in detector heard")
    _confidence(middle, moments)
    _reasons(lower, moments)
    return figure


def _times(moments: list[Moment]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.arange(1, len(moments) + 1) * FRAME_MS / 1000


def _levels(axes: "Axes", moments: list[Moment]) -> None:
    at = _times(moments)
    axes.fill_between(at, -95, [m.level for m in moments], step="pre", color=CALLER, alpha=0.35, lw=0, label="caller")
    axes.step(at, [m.echo for m in moments], where="pre", color=ASSISTANT, lw=1, label="expected echo")
    axes.step(at, [m.floor for m in moments], where="pre", color=FAINT, lw=1.2, label="floor")
    axes.step(at, [m.threshold for m in moments], where="pre", color=INK, lw=1.2, label="threshold")
    for time, moment in zip(at, moments, strict=True):
        if moment.edge:
            axes.annotate(f"{time:.2f} s", (time, moment.level), (time, 2), color=ALARM, ha="center",
                          arrowprops={"arrowstyle": "->", "color": ALARM})  # fmt: skip
    axes.set(ylim=(-92, 8), ylabel="dBFS")
    axes.legend(loc="upper left", ncols=4, frameon=False)


def _confidence(axes: "Axes", moments: list[Moment]) -> None:
    at = _times(moments)
    values = np.clip([m.confidence for m in moments], -10, 10)
    axes.axhline(0, color=INK, lw=0.8)
    axes.fill_between(at, 0, values, where=values > 0, step="pre", color=GOOD, alpha=0.5, lw=0)
    axes.fill_between(at, 0, values, where=values <= 0, step="pre", color=UNHEARD, lw=0)
    axes.set(ylim=(-10, 10), yticks=[], title="A voice (above the line) or not")


def _reasons(axes: "Axes", moments: list[Moment]) -> None:
    """One bar of the frames' reasons, one of the assistant playing."""
    begin = _times(moments) - FRAME_MS / 1000
    for why, colour in COLOURS.items():
        spans = [(time, FRAME_MS / 1000) for time, m in zip(begin, moments, strict=True) if m.why == why]
        axes.broken_barh(spans, (0.55, 0.45), color=colour, label=why)
    spans = [(time, FRAME_MS / 1000) for time, m in zip(begin, moments, strict=True) if m.playing]
    axes.broken_barh(spans, (0.0, 0.35), color=ASSISTANT, alpha=0.5, label="assistant plays")
    axes.set(yticks=[], xlabel="seconds")
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5), ncols=8, frameon=False)
