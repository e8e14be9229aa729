"""The sound of a recording."""

import io
import wave

import numpy as np

from fastbridge.sim.audio import SILENCE, from_ulaw
from fastbridge.sim.recorded import Span, cut, mp3, wav

SOUND = bytes(range(1, 101)) * 80
"""A second."""


def test_the_recorded_times_one_after_the_other() -> None:
    assert cut(SOUND, 500.0, [Span(600, 700), Span(900, 1000)]) == SOUND[800:1600] + SOUND[3200:4000]


def test_silence_around_the_stream_and_where_it_was_asked_for() -> None:
    assert cut(SOUND, 500.0, [Span(400, 600)]) == SILENCE * 800 + SOUND[:800]
    assert cut(SOUND, 500.0, [Span(1400, 1600)]) == SOUND[-800:] + SILENCE * 800
    assert cut(SOUND, 500.0, [Span(0, 100)]) == SILENCE * 800
    assert cut(SOUND, 500.0, [Span(600, 700, silent=True)]) == SILENCE * 800
    assert cut(b"", 0.0, []) == b""


def read(file: bytes) -> tuple[int, int, "np.ndarray[tuple[int, int], np.dtype[np.int16]]"]:
    with wave.open(io.BytesIO(file)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())
        return sound.getframerate(), sound.getnchannels(), samples


def test_two_channels() -> None:
    rate, channels, samples = read(wav([SOUND, SILENCE * len(SOUND)], mixed=False))
    assert (rate, channels, len(samples)) == (8000, 2, 8000)
    assert np.array_equal(samples[:, 0], (from_ulaw(SOUND) * 32768).astype(np.int16))
    assert not samples[:, 1].any()


def test_one_channel_is_both_together_and_does_not_overflow() -> None:
    _, channels, samples = read(wav([SOUND, SOUND], mixed=True))
    assert channels == 1
    both = np.clip(from_ulaw(SOUND) * 2 * 32768, -32768, 32767).astype(np.int16)
    assert np.array_equal(samples[:, 0], both)


def test_an_mp3_has_its_length() -> None:
    assert mp3(7.2).count(b"\xff\xe3\x18\xc0") == 100
    assert len(mp3(0)) == 72
