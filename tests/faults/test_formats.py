"""Audio taken for what it is not, though the session was confirmed: noise in somebody's ear, and not for long."""

import pytest

from fastbridge.sim import faults
from fastbridge.sim.disruption import On
from fastbridge.sim.ear import VOICE_MS, sounds
from fastbridge.sim.faults import ALWAYS
from plays import ANSWER, GREETING, SECOND, assert_answered, assert_apologised, counted
from witness import NOISE

NOISE_MS = 2100
"""Of two sessions."""


def noise_ms(stage) -> int:
    """How long the caller has heard what was none of the model's lines."""
    return sum(sound.end_ms - sound.start_ms for sound in stage.ear.sounds if sound.name == NOISE)


@pytest.mark.speeds(1.0, 2.0, 50.0)
@pytest.mark.parametrize("greeting", [GREETING.transcript, ""], ids=["greeting", "no greeting"])
def test_a_service_that_speaks_pcm(perform, caplog, greeting, speed):
    """The noise is cut off, and a new session says all of it."""
    stage = perform(faults.speaks_pcm(), "answer", greeting=greeting, speed=speed)
    assert_answered(stage)
    assert noise_ms(stage) <= NOISE_MS
    assert len(stage.wires) == 2
    assert counted(stage, "answers.format_mismatch") == 1
    assert "[WATCHDOG] format_mismatch" in caplog.text
    if greeting:
        assert stage.ear.answers[-3:] == [GREETING.transcript, ANSWER.transcript, SECOND.transcript]


@pytest.mark.parametrize("phase", ["answer", "barge_in", "tool", "idle"])
def test_wherever_the_call_is(perform, phase):
    stage = perform(faults.speaks_pcm(), phase)
    assert_answered(stage)
    assert noise_ms(stage) <= NOISE_MS


def test_a_service_that_speaks_nothing_else_is_given_up(perform):
    stage = perform(faults.speaks_pcm(ALWAYS), "answer")
    assert_apologised(stage)
    assert len(stage.attempts) == 2
    assert noise_ms(stage) <= NOISE_MS


NOTICED_MS = 2000


@pytest.mark.parametrize("greeting_lock", [False, True], ids=["no lock", "lock"])
def test_a_service_that_takes_what_it_hears_for_pcm(perform, greeting_lock):
    """Its clock of the caller's audio runs slow. Behind a greeting that was not locked the first word shows it; behind
    one that was, not enough of the session's audio is past, and the second turn does."""
    stage = perform(faults.hears_pcm(), "answer", settings={"greeting_lock": greeting_lock})
    assert_answered(stage)
    assert len(stage.wires) == 2
    assert counted(stage, "answers.format_mismatch") == 1
    spoke_ms = [line.start_ms for line in sounds(bytes(stage.carrier.said)) if line.length_ms >= VOICE_MS]
    assert stage.wires[0].over_ms - spoke_ms[1 if greeting_lock else 0] <= NOTICED_MS


@pytest.mark.parametrize("at", [faults.CALLER_SPEAKING, On("input_audio_buffer.speech_started")], ids=str)
@pytest.mark.parametrize("kind", [faults.stalled, faults.upload_blocked])
@pytest.mark.parametrize("ms", [1500.0, 3000.0, 5000.0])
def test_what_only_comes_late_is_no_other_format(perform, kind, at, ms):
    """The caller says "hello?" again while the line stands still."""
    stage = perform(kind(at, ms), "hello", greeting="")
    assert counted(stage, "answers.format_mismatch") == 0
