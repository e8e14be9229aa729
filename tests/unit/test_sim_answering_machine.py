"""fastbridge.sim.answering_machine: what it says is what our ear takes for a machine, and its beep for a beep."""

import pytest

from fastbridge._answering import SIGNS, AnswerEar
from fastbridge._bargein import Detector
from fastbridge.sim.answering_machine import answering_machine, beep, machine_audio
from fastbridge.sim.audio import SILENCE, level_dbfs, speech, to_frames
from fastbridge.sim.script import HangUp, Speak


def told(audio: bytes) -> list[str]:
    detector, ear, signs = Detector(), AnswerEar(), []
    for frame in to_frames(audio + SILENCE * 8000):
        detector.feed(frame, None)
        signs.append(SIGNS[ear.feed(frame, detector.level_dbfs, detector.echo_dbfs)])
    return [sign for sign in signs if sign]


@pytest.mark.parametrize("hertz", [440.0, 1000.0, 1800.0])
@pytest.mark.parametrize("ms", [160, 400, 1000])
def test_its_greeting_and_its_beep_are_heard(hertz: float, ms: int) -> None:
    assert told(machine_audio(beep_audio=beep(hertz, ms))) == ["machine", "beep"]


def test_it_may_have_no_beep_and_another_greeting() -> None:
    assert told(machine_audio("caller_appointment", beep_audio=b"")) == ["machine"]


def test_a_beep_is_as_loud_and_long_as_it_is_said_to_be() -> None:
    audio = beep(1000, 400, -20)
    assert len(audio) == 3200
    assert level_dbfs(audio) == pytest.approx(-20, abs=0.5)


def test_it_is_a_callee_who_records_and_hangs_up() -> None:
    callee = answering_machine(records_ms=9000)
    said, leaves = callee.script
    assert isinstance(said, Speak)
    assert isinstance(leaves, HangUp)
    assert said.audio == machine_audio() != speech("callee_machine")
    assert callee.verdict("DetectMessageEnd", 30).answered_by == "machine_end_beep"
    assert callee.verdict("Enable", 30).answered_by == "machine_start"
