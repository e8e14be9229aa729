"""The display of a running call, in a terminal and without one."""

import pytest
from rich.console import Console

from fastbridge.sim.progress import METER_CELLS, LiveProgress, Moment, PlainProgress, meter, progress
from fastbridge.sim.report import Event

EVENTS = [Event(100, "response", "Good morning!"), Event(900, "speak", "Hello"), Event(1200, "speak_end")]


def test_without_a_terminal_each_event_is_one_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress() as display:
        display.show(Moment(1000, -20, -96, EVENTS[:1]))
        display.show(Moment(2000, -20, -96, [Event(-10, "connected", "host"), *EVENTS]))
    assert capsys.readouterr().out.splitlines() == [
        "  0.10 s  assistant    Good morning!",
        " -0.01 s  media stream host",
        "  0.90 s  caller       Hello",
    ]


def test_in_a_terminal_meters_and_events_are_drawn_in_place() -> None:
    console = Console(force_terminal=True, width=100, height=40, record=True, file=_Nowhere())
    with LiveProgress(console) as display:
        display.show(Moment(12_340, -12, -96, EVENTS))
    text = console.export_text()
    assert "12.3 s" in text
    assert "-12 dB" in text
    assert "quiet" in text
    assert "Good morning!" in text
    assert "speak_end" not in text


def test_the_display_suits_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(progress(), PlainProgress)


@pytest.mark.parametrize(("dbfs", "cells"), [(-96.0, 0), (-54.0, 0), (-27.0, METER_CELLS // 2), (0.0, METER_CELLS)])
def test_a_meter_is_as_long_as_the_level_is_high(dbfs: float, cells: int) -> None:
    assert meter(dbfs).plain == "█" * cells + "·" * (METER_CELLS - cells)


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None
