"""fastbridge._answering: a person, a machine, a beep and a fax are told, and what is none of them is not."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.sim.audio import RATE_HZ, Samples, from_ulaw, speech, to_ulaw
from sounds import chords, keys, noise, tone
from twins import Twin

FRAME = 160
QUIET_DBFS = -90.3
NO_ECHO = -90.3


@pytest.fixture
def ear(twin):
    return twin.answering.AnswerEar()


def level_of(frame: bytes) -> float:
    power = float((from_ulaw(frame) ** 2).mean())
    return max(10 * np.log10(max(power, 1e-12)), QUIET_DBFS)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ))


def said(seconds: float) -> Samples:
    """Somebody speaks for so long, and does not pause."""
    whole = from_ulaw(speech("caller_appointment"))
    frames = whole[: whole.size // FRAME * FRAME].reshape(-1, FRAME)
    loud = frames[(frames**2).mean(axis=1) > 1e-4].reshape(-1)
    return np.resize(loud, int(seconds * RATE_HZ))


def listen(ear: Any, *parts: Samples, echo: float = NO_ECHO) -> list[tuple[str, float]]:
    """What is told, each with its time in seconds. On a line with a little noise."""
    samples = np.concatenate(parts)
    samples = samples + np.random.default_rng(3).standard_normal(samples.size) * 0.0005
    told = []
    for number in range(samples.size // FRAME):
        frame = to_ulaw(samples[number * FRAME : (number + 1) * FRAME])
        sign = ear.feed(frame, level_of(frame), echo)
        if sign:
            told.append((SIGNS[sign], (number + 1) * 0.02))
    return told


SIGNS = ("", "human", "machine", "beep", "fax")


def kinds(told: list[tuple[str, float]]) -> list[str]:
    return [kind for kind, _ in told]


class TestSomebody:
    def test_who_says_a_word_and_waits_is_a_person(self, ear):
        ((kind, at),) = listen(ear, silence(0.5), said(0.4), silence(4))
        assert kind == "human"
        assert 0.9 + 0.5 <= at <= 0.9 + 0.65

    def test_who_says_a_sentence_and_waits_is_one_too(self, ear):
        ((kind, at),) = listen(ear, silence(0.5), said(2.0), silence(4))
        assert kind == "human"
        assert at <= 2.5 + 0.85

    def test_who_talks_on_is_a_machine(self, ear):
        ((kind, at),) = listen(ear, silence(0.5), said(6.0), silence(4))
        assert kind == "machine"
        assert 3.4 <= at <= 3.7

    def test_with_short_pauses_it_is_still_one(self, ear):
        pause = silence(0.4)
        assert kinds(listen(ear, said(1.2), pause, said(1.2), pause, said(2.0), silence(4))) == ["machine"]

    def test_is_told_once(self, ear):
        assert kinds(listen(ear, said(0.4), silence(2), said(5), silence(2), said(0.4), silence(2))) == ["human"]

    def test_whose_echo_it_may_be_is_nobody(self, ear):
        assert listen(ear, said(4.0), silence(2), echo=-3.0) == []

    def test_who_clicks_is_nobody(self, ear):
        assert listen(ear, silence(0.5), said(0.06), silence(3)) == []

    @pytest.mark.parametrize("sound", [silence(8), noise(0.003, 8.0), np.tile(chords(), 4)], ids=["no", "hiss", "song"])
    def test_is_needed(self, ear, sound):
        assert listen(ear, sound) == []


class TestABeep:
    @pytest.mark.parametrize("hertz", [400, 440, 650, 1000, 1400, 2000])
    @pytest.mark.parametrize("seconds", [0.16, 0.4, 1.5])
    def test_is_told_soon_behind_its_end(self, ear, hertz, seconds):
        told = listen(ear, said(4), silence(0.5), tone(hertz, 0.1, seconds), silence(1))
        assert kinds(told) == ["machine", "beep"]
        assert 0.0 < told[1][1] - (4.5 + seconds) <= 0.14
        assert ear.beep_hz == pytest.approx(hertz, abs=8)
        assert ear.beep_frames * 0.02 == pytest.approx(seconds, abs=0.05)

    def test_follows_a_word_as_well(self, ear):
        assert kinds(listen(ear, said(0.5), silence(1), tone(1000, 0.1, 0.5), silence(1))) == ["human", "beep"]

    def test_has_silence_behind_it(self, ear):
        assert "beep" not in kinds(listen(ear, said(4), silence(0.5), tone(1000, 0.1, 0.4), said(2), silence(1)))

    def test_lasts(self, ear):
        assert "beep" not in kinds(listen(ear, said(4), silence(0.5), tone(1000, 0.1, 0.08), silence(1)))

    @pytest.mark.parametrize("hertz", [200, 2600, 3400])
    def test_is_neither_too_low_nor_too_high(self, ear, hertz):
        assert "beep" not in kinds(listen(ear, said(4), silence(0.5), tone(hertz, 0.1, 0.5), silence(1)))

    def test_is_no_key(self, ear):
        assert "beep" not in kinds(listen(ear, said(4), silence(0.5), keys(), silence(1)))

    def test_is_no_ringing(self, ear):
        rings = (tone(425, 0.1), silence(4))
        assert listen(ear, *rings, *rings) == []
        both = tone(440, 0.1, 2.0) + tone(480, 0.1, 2.0)
        assert listen(ear, both, silence(4), both, silence(4)) == []


class TestAFax:
    def test_answers_with_a_long_tone(self, ear):
        ((kind, at),) = listen(ear, silence(1), tone(2100, 0.1, 3.0), silence(3))
        assert kind == "fax"
        assert at <= 2.0

    def test_calls_with_short_ones(self, ear):
        calls = (tone(1100, 0.1, 0.5), silence(3))
        assert kinds(listen(ear, *calls, *calls, *calls)) == ["fax"]


def test_the_networks_announcement_is_a_machine(ear):
    tones = [tone(hertz, 0.1, 0.33) for hertz in (950, 1400, 1800)]
    assert kinds(listen(ear, silence(0.3), *tones, silence(0.5), said(3.5), silence(2))) == ["machine"]


def test_three_tones_that_fall_are_none(ear):
    tones = [tone(hertz, 0.1, 0.33) for hertz in (1800, 1400, 950)]
    assert listen(ear, silence(0.3), *tones, silence(1)) == []


def test_how_long_nobody_was_heard(ear):
    listen(ear, silence(1))
    assert ear.quiet_frames == 50
    listen(ear, said(1), silence(1))
    assert 48 <= ear.quiet_frames <= 53
    assert ear.frames == 150


def test_reset_forgets(ear):
    assert kinds(listen(ear, said(0.4), silence(2))) == ["human"]
    ear.reset()
    assert (ear.frames, ear.quiet_frames, ear.beep_hz, ear.beep_frames) == (0, 0, 0.0, 0)
    assert kinds(listen(ear, said(0.4), silence(2))) == ["human"]


def test_frames_may_be_cut_anywhere(twin):
    samples = np.concatenate([said(0.4), silence(1.5), tone(1000, 0.1, 0.5), silence(1)])
    audio = to_ulaw(samples)
    told = []
    for size in (160, 53, 320):
        ear = twin.answering.AnswerEar()
        loud = len(to_ulaw(said(0.4)))
        pieces = ((start, audio[start : start + size]) for start in range(0, len(audio), size))
        signs = [ear.feed(piece, -20.0 if start < loud else -80.0, NO_ECHO) for start, piece in pieces]
        told.append([sign for sign in signs if sign])
    assert told[0] == told[1] == told[2] != []


@given(st.lists(st.tuples(st.binary(max_size=400), st.floats(-95, 3), st.floats(-95, 0)), max_size=60))
def test_any_bytes_give_both_twins_the_same_signs(fed):
    fast, slow = (Twin(kind).answering.AnswerEar() for kind in ("compiled", "oracle"))
    for frame, level, echo in fed:
        assert fast.feed(frame, level, echo) == slow.feed(frame, level, echo)
    assert (fast.frames, fast.quiet_frames) == (slow.frames, slow.quiet_frames)


@given(st.lists(st.tuples(st.sampled_from(["speech", "silence", "tone", "other"]), st.integers(1, 60)), max_size=8))
def test_and_so_does_any_sequence_of_sounds(parts):
    sounds = {"speech": said(1.2), "silence": silence(1.2), "tone": tone(1100, 0.1, 1.2), "other": tone(1400, 0.1, 1.2)}
    samples = [sounds[name][: frames * FRAME] for name, frames in parts]
    fast, slow = (Twin(kind).answering.AnswerEar() for kind in ("compiled", "oracle"))
    assert listen(fast, silence(0.02), *samples) == listen(slow, silence(0.02), *samples)
    assert (fast.beep_hz, fast.beep_frames) == (slow.beep_hz, slow.beep_frames)
