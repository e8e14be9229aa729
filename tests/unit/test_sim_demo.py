"""The demo around the call: what it refuses, what it writes, what it says. No call is made here."""

import json
import wave
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.errors import ConfigError
from fastbridge.sim import demo, render
from fastbridge.sim.audio import RATE_HZ, speech, write_wav_stereo
from fastbridge.sim.carrier import Clear, Frame, Span
from fastbridge.sim.demo_play import CALLER_WORDS, INTERRUPT_AFTER_MS, Play
from fastbridge.sim.live_verdict import Followed
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.script import Interrupt, Speak
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


@pytest.mark.parametrize(("holds", "late_ms", "said"), [(False, 30.0, True), (False, 10.0, False), (True, 30.0, False)])
def test_a_busy_machine_is_told_where_something_did_not_hold(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str], holds: bool, late_ms: float, said: bool
) -> None:
    performed[0] = replace(performance(holds=holds), late_ms=late_ms)
    demo.run(tmp_path)
    assert ("kept the demo itself waiting up to 30 ms" in capsys.readouterr().out) == said


def test_who_did_not_mean_to_interrupt_did_not(tmp_path: Path) -> None:
    assert "silenced" not in demo.closing_sentence(replace(performance(), interrupted=False), tmp_path)


def test_of_a_stream_is_told_how_much_of_it_was_silence(tmp_path: Path) -> None:
    followed = Followed([], 34_300.0, {320: 12_000.0, 640: 3900.0}, {8000: b""})
    said = demo.closing_sentence(replace(performance(), followed=followed), tmp_path)
    assert "of 34.3 s that never paused 15.9 s were silence left out, the interruption" in said


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


def test_recordings_become_the_lines_in_their_order(tmp_path: Path, performed: list[Any]) -> None:
    mine = [tmp_path / "one.wav", tmp_path / "two.wav"]
    for path, name in zip(mine, ("caller_accepts", "caller_appointment"), strict=True):
        write_wav_stereo(path, speech(name), speech(name))
    demo.run(tmp_path / "out", mine)
    recordings = performed[1][1]
    assert recordings == [speech("caller_accepts"), speech("caller_appointment")]
    first, second, third, _ = Play(recordings, lambda: 0.0).script
    assert first == Speak(recordings[0], text="(your recording)")
    assert second == Interrupt(recordings[1], INTERRUPT_AFTER_MS, "(your recording)")
    assert third == Speak("caller_accepts", text=CALLER_WORDS["caller_accepts"])
    with pytest.raises(ConfigError, match="has 3 lines of the caller's, not 4"):
        demo.run(tmp_path / "out", mine * 2)
    assert demo.run(tmp_path / "out", mine * 2, "my_agent:agent") == 0


def test_an_agent_of_the_users_is_called_and_what_the_model_made_up_is_said(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(tmp_path, (), "my_agent:agent", greeted=False, live=True) == 0
    assert performed[1][1:5] == ([], "my_agent:agent", False, True)
    assert "The model was simulated: it said what your agent wants said" in capsys.readouterr().out


def test_without_matplotlib_there_is_all_but_the_picture(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "available", lambda: False)
    monkeypatch.setattr(render, "timeline", None)
    (tmp_path / "timeline.png").write_text("of an earlier call")
    assert demo.run(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.json", "call.wav", "node.log"]
    out = capsys.readouterr().out
    assert "timeline.png" not in out
    assert "There is no picture: that needs matplotlib" in out


@pytest.mark.parametrize(
    ("audio", "sentence"),
    [(b"\xff" * RATE_HZ, "nothing as loud as speech"), (b"\x10" * RATE_HZ * 61, "longer than 60 s")],
)
def test_a_recording_that_cannot_be_used_is_refused_before_anything_starts(
    tmp_path: Path, performed: list[Any], audio: bytes, sentence: str
) -> None:
    write_wav_stereo(tmp_path / "mine.wav", audio, audio)
    with pytest.raises(ConfigError, match=sentence):
        demo.run(tmp_path / "out", [tmp_path / "mine.wav"])
    assert len(performed) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, performed: list[Any]) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="Cannot write to"):
        demo.run(tmp_path / "out")


def test_levels_and_events_of_a_running_call_are_on_the_streams_clock() -> None:
    carrier = SimpleNamespace(said=b"\x10" * 1600, heard=b"\xff" * 1600, start_ms=1000.0)
    caller: Any = SimpleNamespace(carrier=carrier, events=lambda: [Event(50, "speak", "hi")])
    moment = demo._moment(caller, [Event(1020, "response", "hello")])
    assert moment.elapsed_ms == 200
    assert moment.said_dbfs > -20
    assert moment.heard_dbfs == -96
    assert moment.events == [Event(20, "response", "hello"), Event(50, "speak", "hi")]
