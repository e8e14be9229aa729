"""The demo around the call: what it refuses, what it writes, what it says; the play; the display. No call is made."""

import json
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from fastbridge.agent import CallContext
from fastbridge.errors import ConfigError
from fastbridge.sim import demo, demo_agent, render
from fastbridge.sim.audio import RATE_HZ, speech, write_wav_stereo
from fastbridge.sim.carrier import Clear, Frame, Span
from fastbridge.sim.demo_play import ASSISTANT_WORDS, CALLER_WORDS, TOOL, TOOL_ARGUMENTS, Play
from fastbridge.sim.progress import METER_CELLS, LiveProgress, Moment, PlainProgress, meter, progress
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.scenario import CallTool, ResponseRequest, Say
from fastbridge.sim.script import Conversation, HangUp, Interrupt, Speak
from fastbridge.sim.verdict import Check


def performance(*, holds: bool = True) -> demo.Performance:
    heard = speech("assistant_greeting")[:16_000]
    report = CallReport(
        "CA1",
        said=b"\xff" * 4800 + b"\x10" * 1600 + b"\xff" * 9600,
        heard=heard[:8000] + b"\xff" * 8000,
        received=heard,
        frames=[Frame(n * 19.0, 160, n * 160) for n in range(100)],
        spans=[Span(0, 0, 8000)],
        clears=[Clear(1000, 8000, 16_000)],
    )
    record = {"accounting": {"frames_in": 100}}
    return demo.Performance(report, [Check("it held", holds, "measured")], record, [render.Unheard(1000, heard[8000:])])


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """`demo.run` without the call: what it would have performed with, and one given result."""
    calls: list[Any] = [performance()]

    async def perform(*arguments: Any) -> demo.Performance:
        calls.append(arguments)
        result = calls[0]
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    monkeypatch.setattr(demo, "_perform", perform)
    return calls


def test_the_folder_holds_the_recording_the_picture_the_record_and_the_log(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(tmp_path / "new" / "folder") == 0
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == ["call.json", "call.wav", "node.log", "timeline.png"]
    with wave.open(str(folder / "call.wav")) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 16_000)
    assert json.loads((folder / "call.json").read_text())["accounting"]["frames_in"] == 100
    assert (folder / "timeline.png").stat().st_size > 10_000
    [sentence] = capsys.readouterr().out.splitlines()
    assert sentence.startswith(
        "1 of 1 invariants held in a call of 2.0 s: 100 frames to the caller, none closer than 19.0 ms"
    )
    assert "silenced the assistant in 320 ms" in sentence


def test_one_broken_invariant_is_told_and_fails_the_run(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    performed[0] = performance(holds=False)
    assert demo.run(tmp_path) == 1
    assert capsys.readouterr().out.startswith("✗ it held: measured\n0 of 1 invariants held")


def test_a_call_that_never_was_is_told_without_a_traceback(tmp_path: Path, performed: list[Any]) -> None:
    performed[0] = demo.Performance(CallReport("CA1", errors=["11200"]), [Check("it ran", False, "no")], None, [])
    assert demo.run(tmp_path) == 1
    assert (tmp_path / "call.json").read_text() == "null\n"


def test_a_node_that_does_not_start_is_one_sentence(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    performed[0] = demo.FastbridgeError("The node ended with status 1")
    assert demo.run(tmp_path) == 1
    assert capsys.readouterr().err == "fastbridge: The node ended with status 1\n"


def test_a_recording_becomes_the_first_line(tmp_path: Path, performed: list[Any]) -> None:
    write_wav_stereo(tmp_path / "mine.wav", speech("caller_accepts"), speech("caller_accepts"))
    demo.run(tmp_path / "out", tmp_path / "mine.wav")
    recording = performed[1][1]
    assert recording == speech("caller_accepts")
    assert Play(recording, lambda: 0.0).script[0] == Speak(recording, text="(your recording)")


@pytest.mark.parametrize(
    ("audio", "sentence"),
    [(b"\xff" * RATE_HZ, "nothing as loud as speech"), (b"\x10" * RATE_HZ * 61, "longer than 60 s")],
)
def test_a_recording_that_cannot_be_used_is_refused_before_anything_starts(
    tmp_path: Path, performed: list[Any], audio: bytes, sentence: str
) -> None:
    write_wav_stereo(tmp_path / "mine.wav", audio, audio)
    with pytest.raises(ConfigError, match=sentence):
        demo.run(tmp_path / "out", tmp_path / "mine.wav")
    assert len(performed) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, performed: list[Any]) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="Cannot write to"):
        demo.run(tmp_path / "out")


def test_the_node_gets_its_own_environment_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_PHONE_NUMBER", "FASTBRIDGE_DEV", "OPENAI_REALTIME_MODEL", "LOG_JSON", "DEBUG", "LEAD_MS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", "src")
    given = demo._environment("http://127.0.0.1:7000", "http://127.0.0.1:8000/v1", "AC1", "secret", "/records")
    assert (given["PORT"], given["PUBLIC_URL"], given["TWILIO_AUTH_TOKEN"]) == (
        "7000",
        "http://127.0.0.1:7000",
        "secret",
    )
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert given["PYTHONPATH"] == str(Path("src").resolve())
    strangers = {"TWILIO_PHONE_NUMBER", "FASTBRIDGE_DEV", "OPENAI_REALTIME_MODEL", "LOG_JSON", "DEBUG", "LEAD_MS"}
    assert not strangers & given.keys()


def test_the_environment_is_prepared_for_every_setting_a_node_reads() -> None:
    from fastbridge.config import Settings

    names: set[str] = set()
    for name, info in Settings.model_fields.items():
        alias = info.validation_alias
        names |= {str(each) for each in getattr(alias, "choices", [alias or name])}
    kept = [name for name in names if not name.upper().startswith(demo.OWN_VARIABLES)]
    assert kept == []


def request(*, greeting: bool = False, last: dict[str, Any] | None = None) -> ResponseRequest:
    return ResponseRequest(0, 0, greeting, "vad", {}, [last or {"type": "message"}])


def play_at_line(lines: int) -> Play:
    play = Play(None, lambda: 5.0)
    play.caller = Conversation([])
    play.caller.events += [(0, "speak", ""), (1, "speak_end", "")] * lines
    return play


def test_the_play_greets_looks_up_answers_and_says_goodbye() -> None:
    play = play_at_line(1)
    assert play.scenario.script is not None
    answer = play.scenario.script
    assert answer(request(greeting=True)) == Say(ASSISTANT_WORDS["assistant_greeting"], speech("assistant_greeting"))
    assert answer(request()) == CallTool(TOOL, TOOL_ARGUMENTS)
    result = answer(request(last={"type": "function_call_output", "output": "13:00"}))
    assert result == Say(ASSISTANT_WORDS["assistant_times"], speech("assistant_times"))
    kinds = [event.kind for event in play.events]
    assert kinds == ["response", "tool_call", "tool_result", "response"]
    assert play.events[1] == Event(5.0, "tool_call", "check_availability(Thursday, afternoon)")
    for line, name in ((2, "assistant_morning"), (3, "assistant_goodbye")):
        play = play_at_line(line)
        assert play.scenario.script is not None
        assert play.scenario.script(request()) == Say(ASSISTANT_WORDS[name], speech(name))


def test_a_caller_who_pauses_gets_the_times_again_and_no_second_look_up() -> None:
    play = play_at_line(1)
    assert play.scenario.script is not None
    assert isinstance(play.scenario.script(request()), CallTool)
    again = play.scenario.script(request())
    assert isinstance(again, Say)
    assert again.transcript == ASSISTANT_WORDS["assistant_times"]


def test_the_caller_interrupts_once_and_hangs_up_at_the_end() -> None:
    script = Play(None, lambda: 0.0).script
    assert [type(step) for step in script] == [Speak, Interrupt, Speak, HangUp]
    assert [step.text for step in script[:3] if not isinstance(step, HangUp)] == list(CALLER_WORDS.values())  # type: ignore[union-attr]


async def _ask(day: str, part_of_day: str) -> Any:
    context = CallContext("CA", "+1", "+2", "inbound", {})
    return await demo_agent.agent.tools[0].call({"day": day, "part_of_day": part_of_day}, context)


def test_the_demo_agent_offers_the_times_that_are_spoken() -> None:
    import asyncio

    assert demo_agent.agent.tools[0].name == TOOL
    assert set(TOOL_ARGUMENTS) == set(demo_agent.agent.tools[0].parameters["properties"])
    assert asyncio.run(_ask("Thursday", "morning")) == "Thursday: 9:00, 10:30"
    assert asyncio.run(_ask("Thursday", "night")) == "Thursday: nothing free"


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


def test_levels_and_events_of_a_running_call_are_on_the_streams_clock() -> None:
    carrier = SimpleNamespace(said=b"\x10" * 1600, heard=b"\xff" * 1600, start_ms=1000.0)
    caller: Any = SimpleNamespace(carrier=carrier, events=lambda: [Event(50, "speak", "hi")])
    moment = demo._moment(caller, [Event(1020, "response", "hello")])
    assert moment.elapsed_ms == 200
    assert moment.said_dbfs > -20
    assert moment.heard_dbfs == -96
    assert moment.events == [Event(20, "response", "hello"), Event(50, "speak", "hi")]
