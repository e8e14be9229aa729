import typing

import pytest
from openai.types.live.built_in_voice import BuiltInVoice
from openai.types.realtime.realtime_audio_config_output import RealtimeAudioConfigOutput

from fastbridge.base.voices import LIVE_VOICES, VOICES, usable, voices_of


def test_they_are_those_of_openais_own_library() -> None:
    assert sorted(typing.get_args(BuiltInVoice)) == list(LIVE_VOICES)
    assert set(VOICES) < set(LIVE_VOICES)
    assert (voices_of(live=False), voices_of(live=True)) == (VOICES, LIVE_VOICES)
    hint = RealtimeAudioConfigOutput.model_fields["voice"].annotation
    literal = next(each for each in typing.get_args(hint) if typing.get_origin(each) is typing.Literal)
    assert set(typing.get_args(literal)) == set(VOICES)


@pytest.mark.parametrize(
    "base_url", [None, "", "https://api.openai.com/v1", "https://eu.openai.com", "https://x.openai.azure.com/openai/v1"]
)
def test_openai_has_these_and_voices_of_ones_own(base_url: str | None) -> None:
    for live, voices in ((False, VOICES), (True, LIVE_VOICES)):
        assert all(usable(voice, base_url, live=live) for voice in (*voices, "voice_123"))
        assert not any(usable(voice, base_url, live=live) for voice in ("", "Marin", "marine", "voice_"))
    assert not usable("vesper", base_url, live=False)


def test_another_service_has_its_own() -> None:
    assert usable("Ara", "https://api.x.example/v1", live=False)
    assert usable("Ara", "http://127.0.0.1:8000/v1", live=False)
    assert not usable("", "http://127.0.0.1:8000/v1", live=False)
