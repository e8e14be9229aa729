"""The demo as it runs, in the terminal: who speaks, how loud, what happens. Plain lines where there is no terminal."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fastbridge.sim.report import Event

METER_CELLS = 32
METER_FLOOR_DBFS = -54.0
SHOWN_EVENTS = 9
_STEPS = " ▏▎▍▌▋▊▉█"
_COLOURS = {
    "speak": "cyan",
    "response": "yellow",
    "tool_call": "magenta",
    "tool_result": "magenta",
    "clear": "bold red",
    "error": "bold red",
    "hang_up": "green",
}
_WORDS = {
    "speak": "caller",
    "response": "assistant",
    "tool_call": "calls tool",
    "tool_result": "tool says",
    "clear": "interrupted",
    "hang_up": "hangs up",
    "connected": "media stream",
}
_HIDDEN = {"speak_end"}


class Moment(NamedTuple):
    """The call at one moment. Levels in dBFS; events are all so far, in order, counted from the start of the stream."""

    elapsed_ms: float
    said_dbfs: float
    heard_dbfs: float
    events: Sequence[Event]


class Progress(Protocol):
    """Shows a call while it runs: a context manager that is given moments."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, moment: Moment) -> None: ...


def progress() -> Progress:
    """The one that suits standard output."""
    console = Console()
    return LiveProgress(console) if console.is_terminal and not console.is_dumb_terminal else PlainProgress()


def describe(event: Event) -> str:
    """An event as a line, without its time."""
    return f"{_WORDS.get(event.kind, event.kind):<12} {event.text}".rstrip()


class PlainProgress:
    """One line for each event, as it happens."""

    def __init__(self) -> None:
        self._shown: set[Event] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def show(self, moment: Moment) -> None:
        for event in moment.events:
            if event.kind not in _HIDDEN and event not in self._shown:
                print(f"{event.at_ms / 1000:6.2f} s  {describe(event)}", flush=True)
        self._shown.update(moment.events)


class LiveProgress:
    """Two level meters, the clock and the last events, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, moment: Moment) -> None:
        self._live.update(picture(moment), refresh=True)


def picture(moment: Moment) -> RenderableType:
    """The whole display for one moment."""
    meters = Table.grid(padding=(0, 1))
    meters.add_row(Text("caller   ", "bold cyan"), meter(moment.said_dbfs), _level(moment.said_dbfs))
    meters.add_row(Text("assistant", "bold yellow"), meter(moment.heard_dbfs), _level(moment.heard_dbfs))
    events = Table.grid(padding=(0, 1))
    shown = [event for event in moment.events if event.kind not in _HIDDEN][-SHOWN_EVENTS:]
    for event in shown:
        events.add_row(
            Text(f"{event.at_ms / 1000:6.2f} s", "dim"),
            Text(_WORDS.get(event.kind, event.kind), _COLOURS.get(event.kind, "dim")),
            Text(event.text, overflow="ellipsis", no_wrap=True),
        )
    for _ in range(SHOWN_EVENTS - len(shown)):
        events.add_row("", "", "")
    clock = f"{moment.elapsed_ms / 1000:5.1f} s"
    return Panel(Group(meters, Text(), events), title=f"a call · {clock}", title_align="left", border_style="dim")


def meter(dbfs: float) -> Text:
    """A bar for a level: green, yellow towards full scale, red at it."""
    share = min(1.0, max(0.0, 1 - dbfs / METER_FLOOR_DBFS))
    eighths = round(share * METER_CELLS * 8)
    bar = "█" * (eighths // 8) + (_STEPS[eighths % 8] if eighths % 8 else "")
    text = Text(bar.ljust(METER_CELLS, "·"), "dim")
    for start, end, colour in ((0, 22, "green"), (22, 28, "yellow"), (28, METER_CELLS, "red")):
        text.stylize(f"not dim {colour}", start, min(end, len(bar)))
    return text


def _level(dbfs: float) -> Text:
    return Text(f"{dbfs:5.0f} dB" if dbfs > METER_FLOOR_DBFS else "  quiet ", "dim")
