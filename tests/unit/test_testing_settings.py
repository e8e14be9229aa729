"""Settings of a call in a test: what is named counts, and the machine does not."""

from pathlib import Path

import pytest

from fastbridge.errors import ConfigError
from fastbridge.testing.settings import settings_of


def test_what_is_named_is_read_as_of_the_environment() -> None:
    settings = settings_of({"FASTBRIDGE_SILENCE_SECONDS": "7", "ENABLE_MIN_DSP": "0"})
    assert settings.silence_seconds == 7
    assert settings.enable_min_dsp is False
    settings.require_serving()


def test_the_machine_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FASTBRIDGE_SILENCE_SECONDS=8\nOPENAI_API_KEY=sk-of-my-own\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTBRIDGE_SILENCE_SECONDS", "9")
    monkeypatch.setenv("FASTBRIDGE_SILENCE_SECOND", "9")
    settings = settings_of({})
    assert settings.silence_seconds == settings_of({}).silence_seconds not in (8, 9)
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-simulated"


def test_a_value_that_cannot_work_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"^FASTBRIDGE_SILENCE_SECONDS must be .*, not 'soon'\.$"):
        settings_of({"FASTBRIDGE_SILENCE_SECONDS": "soon"})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "FASTBRIDGE_SILENCE_SECOND",
            "FASTBRIDGE_SILENCE_SECOND is no setting: did you mean FASTBRIDGE_SILENCE_SECONDS?",
        ),
        ("silence_seconds", "silence_seconds is no setting"),
        ("xyzzy", "xyzzy is no setting."),
    ],
)
def test_a_slip_of_the_pen_is_told(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_of({name: "1"})
    assert str(refused.value).startswith(sentence)
