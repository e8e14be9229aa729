"""The picture of a call: drawn from any report, also an empty one, and refused clearly without matplotlib."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from fastbridge.errors import ConfigError
from fastbridge.sim import render
from fastbridge.sim.audio import speech
from fastbridge.sim.carrier import Clear, Frame, Mark, Span
from fastbridge.sim.report import CallReport, Event


def busy_call() -> CallReport:
    """A greeting that is interrupted at once, an answer, a tool call, keys, a hang-up."""
    voice = speech("assistant_greeting")[:24_000]
    said = b"\xff" * 8000 + speech("caller_interrupts")[:16_000]
    heard = voice[:9600] + b"\xff" * 9600 + voice[:4800]
    return CallReport(
        "CA" + "1" * 32,
        said=said,
        heard=heard,
        received=voice + voice[:4800],
        frames=[Frame(n * 19.0, 160, n * 160) for n in range(180)],
        spans=[Span(0, 0, 9600), Span(24_000, 19_200, 4800)],
        marks=[
            Mark("0:a:160", 1280, 0, 160),
            Mark("0:a:3000", 24_000, 5, 1200, cleared=True),
            Mark("1:b:1", 25_000, 6),
        ],
        clears=[Clear(1200, 9600, 24_000)],
        depth_ms=[0, 20, 40, 160] * 40,
        events=[
            Event(-20, "webhook", "/webhook/incoming_call 200 in 3 ms"),
            Event(10, "response", "Maple Street Dental, good morning! " * 12),
            Event(900, "tool_call", "check_availability(Thursday, afternoon)"),
            Event(950, "tool_result", "Thursday: 13:00, 13:45, 14:15, 15:00, 15:30, 15:50"),
            Event(1000, "speak", "Wait, sorry! Is there anything in the morning?"),
            Event(1200, "clear"),
            Event(1300, "dtmf", "4"),
            Event(1400, "error", "31951 unknown event"),
            Event(2990, "hang_up"),
        ],
    )


def colours(path: Path) -> set[tuple[int, int, int]]:
    with Image.open(path) as image:
        return {colour[:3] for _, colour in image.convert("RGB").getcolors(1 << 24)}  # type: ignore[misc]


def rgb(hexadecimal: str) -> tuple[int, int, int]:
    return (int(hexadecimal[1:3], 16), int(hexadecimal[3:5], 16), int(hexadecimal[5:7], 16))


def test_a_busy_call_shows_both_voices_the_cut_and_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    facts = [render.Fact("every frame is 160 bytes", "180 frames", True), render.Fact("no gaps", "1 gap " * 20, False)]
    render.timeline(path, busy_call(), facts=facts)
    with Image.open(path) as image:
        assert image.size[0] >= 1600
    shown = colours(path)
    for colour in (render.CALLER, render.ASSISTANT, render.ALARM, render.TOOL, render.GOOD, render.UNHEARD):
        assert rgb(colour) in shown, colour


def test_without_an_interruption_nothing_is_alarming(tmp_path: Path) -> None:
    report = CallReport("CA", said=b"\xff" * 16_000, heard=speech("assistant_greeting")[:16_000])
    render.timeline(tmp_path / "timeline.png", report)
    shown = colours(tmp_path / "timeline.png")
    assert rgb(render.ASSISTANT) in shown
    assert rgb(render.UNHEARD) not in shown


def test_a_call_that_never_was_can_be_drawn(tmp_path: Path) -> None:
    report = CallReport("CA", errors=["11200"], events=[Event(0, "error", "11200 no answer")])
    render.timeline(tmp_path / "timeline.png", report, facts=[render.Fact("it ran", "no", False)])
    assert (tmp_path / "timeline.png").stat().st_size > 10_000


def test_what_the_model_meant_to_say_can_be_shown_in_full(tmp_path: Path) -> None:
    report = busy_call()
    report.clears = []
    render.timeline(tmp_path / "timeline.png", report, unheard=[render.Unheard(1200, speech("assistant_morning"))])
    assert rgb(render.UNHEARD) in colours(tmp_path / "timeline.png")


def test_without_matplotlib_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastbridge\[demo\]'") as caught:
        render.timeline(tmp_path / "timeline.png", CallReport("CA"))
    assert "\n" not in str(caught.value)


def test_importing_the_renderer_does_not_import_matplotlib() -> None:
    import subprocess

    code = "import sys, fastbridge.sim.render; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
