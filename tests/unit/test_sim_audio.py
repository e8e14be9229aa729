"""WAV files of every kind become the telephone's 8 kHz mu-law; a tone stays where it is and nothing folds back."""

import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from fastbridge._mulaw import decode
from fastbridge.errors import ConfigError
from fastbridge.sim import audio

EXTENSIBLE_TAIL = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def tone(rate_hz: int, hz: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def pack(samples: np.ndarray, code: int, bits: int) -> bytes:
    if code == 3:
        return samples.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (samples * 127 + 128).astype(np.uint8).tobytes()
    whole = np.rint(samples * (2 ** (bits - 1) - 1)).astype(np.int64)
    return b"".join(int(value).to_bytes(bits // 8, "little", signed=True) for value in whole)


def wav(data: bytes, code: int, bits: int, rate_hz: int, channels: int = 1, *, extensible: bool = False) -> bytes:
    shown = 0xFFFE if extensible else code
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", shown, channels, rate_hz, rate_hz * block, block, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, code) + EXTENSIBLE_TAIL
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\x00"  # an odd chunk, padded, between the two that matter
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "sound.wav"
    path.write_bytes(content)
    return path


def power_at(samples: np.ndarray, hz: float) -> float:
    """Share of the energy within 30 Hz of a frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    at = np.fft.rfftfreq(samples.size, 1 / audio.RATE_HZ)
    return float(spectrum[np.abs(at - hz) < 30].sum() / spectrum.sum())


@pytest.mark.parametrize(("code", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
@pytest.mark.parametrize("extensible", [False, True])
def test_every_sample_format_keeps_the_tone(tmp_path: Path, code: int, bits: int, extensible: bool) -> None:
    content = wav(pack(tone(16_000), code, bits), code, bits, 16_000, extensible=extensible)
    ulaw = audio.read_wav(saved(tmp_path, content))
    assert len(ulaw) == 4000
    assert audio.level_dbfs(ulaw[400:-400]) == pytest.approx(-9.03, abs=0.2)
    assert power_at(audio.from_ulaw(ulaw), 440) > 0.99


@pytest.mark.parametrize("rate_hz", [6000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 44_101])
def test_every_rate_keeps_length_and_pitch(tmp_path: Path, rate_hz: int) -> None:
    content = wav(pack(tone(rate_hz), 1, 16), 1, 16, rate_hz)
    ulaw = audio.read_wav(saved(tmp_path, content))
    assert len(ulaw) == pytest.approx(4000, abs=1)
    assert power_at(audio.from_ulaw(ulaw), 440) > 0.99


@pytest.mark.parametrize("hz", [4800.0, 6100.0, 9000.0])
def test_what_the_telephone_cannot_carry_is_removed_not_folded(hz: float) -> None:
    kept = audio.resample(tone(48_000, hz), 48_000, audio.RATE_HZ)
    assert np.abs(kept[200:-200]).max() < 0.5 * 10 ** (-60 / 20)


@pytest.mark.parametrize("hz", [300.0, 1000.0, 3400.0])
def test_the_telephone_band_passes_unchanged(hz: float) -> None:
    kept = audio.resample(tone(44_100, hz), 44_100, audio.RATE_HZ)
    assert np.abs(kept[200:-200] - tone(8000, hz)[200:-200]).max() < 0.002


def test_stereo_is_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(8000), np.zeros(4000)], axis=1).reshape(-1)
    ulaw = audio.read_wav(saved(tmp_path, wav(pack(both, 1, 16), 1, 16, 8000, channels=2)))
    assert len(ulaw) == 4000
    assert audio.level_dbfs(ulaw) == pytest.approx(-15.05, abs=0.2)


def test_mulaw_at_8_khz_is_not_touched(tmp_path: Path) -> None:
    codes = bytes(range(256))
    assert audio.read_wav(saved(tmp_path, wav(codes, 7, 8, 8000))) == codes


def test_a_recorder_that_was_cut_off_is_read_to_its_end(tmp_path: Path) -> None:
    content = wav(bytes(range(256)), 7, 8, 8000).replace(struct.pack("<I", 256), b"\xff\xff\xff\xff")
    assert audio.read_wav(saved(tmp_path, content)) == bytes(range(256))


def test_not_a_number_is_silence(tmp_path: Path) -> None:
    data = struct.pack("<4f", math.nan, math.inf, -math.inf, 0.0)
    assert audio.read_wav(saved(tmp_path, wav(data, 3, 32, 8000))) == b"\xff" * 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04" + bytes(100), "not a WAV file"),
        (wav(bytes(16), 1, 16, 8000)[:30], "no complete format chunk"),
        (wav(bytes(16), 85, 16, 8000), "WAV format 85"),
        (wav(bytes(16), 1, 12, 8000), "with 12 bits"),
        (wav(bytes(16), 1, 16, 8000, channels=0), "0 channels"),
        (wav(bytes(16), 1, 16, 2_000_000), "2000000 Hz"),
        (wav(b"", 1, 16, 8000), "no sound"),
        (wav(b"\x01", 1, 16, 8000), "no sound"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        audio.read_wav(saved(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read .*nothing\.wav: No such file"):
        audio.read_wav(tmp_path / "nothing.wav")


def test_stereo_recording_holds_both_sides_sample_for_sample(tmp_path: Path) -> None:
    left, right = bytes(range(256)), bytes(range(128))
    audio.write_wav_stereo(tmp_path / "call.wav", left, right)
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(256), "<i2").reshape(-1, 2)
    assert both[:, 0].tobytes() == decode(left)
    assert both[:, 1].tobytes() == decode(right + b"\xff" * 128)


def test_level_of_full_scale_and_of_silence() -> None:
    assert audio.level_dbfs(b"\x00\x80" * 80) == pytest.approx(-0.17, abs=0.01)
    assert audio.level_dbfs(b"\xff" * 160) == audio.LEVEL_FLOOR_DBFS
    assert audio.level_dbfs(b"") == audio.LEVEL_FLOOR_DBFS


def test_frames_are_160_bytes_and_the_last_is_filled_up() -> None:
    frames = audio.to_frames(b"\x01" * 330)
    assert [len(frame) for frame in frames] == [160, 160, 160]
    assert frames[2] == b"\x01" * 10 + b"\xff" * 150


def test_shipped_clips_are_speech_at_a_telephone_level() -> None:
    names = audio.clips()
    assert {name.split("_")[0] for name in names} == {"caller", "callee", "assistant"}
    assert len(names) >= 7
    for name in names:
        sound = audio.speech(name)
        assert -26 < audio.level_dbfs(sound) < -14, name
        assert 2 < len(sound) / audio.RATE_HZ < 20, name


def test_an_unknown_clip_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="no clip 'nobody'; there are assistant_"):
        audio.speech("nobody")
    with pytest.raises(ValueError, match="no clip"):
        audio.speech("../clips/caller_accepts")
