"""fastbridge.base.prompts: which recording is taken, and that those of the package are all there and are speech."""

from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

from fastbridge.base.prompts import FOLDER, NAMES, load_prompts

LANGUAGES = ["ar", "de", "en", "es", "fr", "he"]
SILENCE = b"\xff" * 1600


@pytest.fixture(autouse=True)
def _fresh():
    load_prompts.cache_clear()
    yield
    load_prompts.cache_clear()


def audio(name: str, language: str = "", folder: Path | None = None) -> bytes:
    prompt = load_prompts(language, folder).get(name)
    assert prompt is not None
    assert prompt.seconds == len(b64decode(prompt.base64)) / 8000
    return b64decode(prompt.base64)


def shipped(language: str, name: str) -> bytes:
    return (FOLDER / language / f"{name}.ulaw").read_bytes()


class TestShipped:
    def test_the_languages_are_these(self):
        assert sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) == LANGUAGES

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("name", NAMES)
    def test_each_is_speech_of_a_sensible_length_and_level(self, language, name):
        recording = shipped(language, name)
        assert audio(name, language) == recording
        assert 0.4 < len(recording) / 8000 < (4 if name.startswith(("filler", "hold")) else 9)
        codes = np.frombuffer(recording, np.uint8)
        loudness = np.abs(((~codes & 0x0F).astype(int) * 2 + 33) * 2.0 ** ((~codes >> 4) & 7) - 33)
        assert 200 < np.sqrt(np.mean(loudness**2)) < 6000, "14 bit: neither a whisper nor clipped"


class TestChoice:
    @pytest.mark.parametrize(
        ("language", "taken"),
        [("", "en"), ("en", "en"), ("de", "de"), ("de-AT", "de"), ("he_IL", "he"), ("DE", "de"), ("xx", "en")],
    )
    def test_by_language(self, language, taken):
        assert audio("apology", language) == shipped(taken, "apology")

    @pytest.mark.parametrize("language", ["../../etc", "/etc", "..", "a/b", "\0", "en/../de"])
    def test_a_language_is_no_path(self, language):
        assert audio("apology", language) == shipped("en", "apology")

    def test_the_users_own_win_file_by_file(self, tmp_path):
        (tmp_path / "de").mkdir()
        (tmp_path / "de" / "apology.ulaw").write_bytes(SILENCE)
        (tmp_path / "hold.ulaw").write_bytes(SILENCE * 2)
        assert audio("apology", "de", tmp_path) == SILENCE
        assert audio("hold", "de", tmp_path) == SILENCE * 2
        assert audio("filler_1", "de", tmp_path) == shipped("de", "filler_1")
        assert audio("apology", "fr", tmp_path) == shipped("fr", "apology")

    @pytest.mark.parametrize("content", [b"", bytes(8000 * 21)])
    def test_one_that_cannot_be_is_passed_over_and_said(self, tmp_path, content, caplog):
        (tmp_path / "apology.ulaw").write_bytes(content)
        assert audio("apology", "en", tmp_path) == shipped("en", "apology")
        assert "empty or longer" in caplog.text

    def test_one_that_cannot_be_read_is_passed_over_and_said(self, tmp_path, caplog):
        (tmp_path / "apology.ulaw").mkdir()
        assert audio("apology", "en", tmp_path) == shipped("en", "apology")
        assert "cannot be read" in caplog.text

    def test_they_are_read_once(self, tmp_path):
        assert load_prompts("de", tmp_path) is load_prompts("de", tmp_path)

    def test_an_unknown_name_is_none(self):
        assert load_prompts("en").get("song") is None
