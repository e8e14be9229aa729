from typing import Any

import pytest

from fastbridge.sim.session_object import SessionObject

PCMU = {"type": "audio/pcmu"}


def session(model: str = "gpt-realtime-2.1") -> SessionObject:
    return SessionObject("sess_1", model, 1_800_000_000)


def updated(patch: dict[str, Any], *, audio_was_sent: bool = False, model: str = "gpt-realtime-2.1") -> SessionObject:
    made = session(model)
    assert made.update(patch, audio_was_sent=audio_was_sent) is None
    return made


def test_the_keys_stand_in_the_order_of_the_service() -> None:
    view = session().view()
    assert list(view)[:6] == ["type", "object", "id", "model", "output_modalities", "instructions"]
    assert list(view["audio"]["input"]) == ["format", "transcription", "noise_reduction", "turn_detection"]
    assert list(view["audio"]["output"]) == ["format", "voice", "speed"]
    assert list(view)[-1] == "include"


def test_only_what_is_present_changes() -> None:
    made = updated({"type": "realtime", "audio": {"input": {"format": PCMU}}, "instructions": "Be brief."})
    assert made.input["format"] == PCMU
    assert made.input["turn_detection"]["silence_duration_ms"] == 200
    assert made.output["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert made.settings["instructions"] == "Be brief."
    assert made.settings["id"] == "sess_1"


def test_turn_detection_is_filled_with_defaults_or_turned_off() -> None:
    made = updated({"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 700}}}})
    assert made.turn_detection["silence_duration_ms"] == 700
    assert made.turn_detection["create_response"] is True
    assert made.update({"audio": {"input": {"turn_detection": None}}}, audio_was_sent=False) is None
    assert made.turn_detection == {}
    assert made.voice_activity(0) is None


def test_semantic_detection_has_its_own_defaults_and_a_detector() -> None:
    made = updated({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert made.turn_detection["eagerness"] == "auto"
    assert "threshold" not in made.turn_detection
    assert made.voice_activity(0) is not None


def test_a_view_and_a_patch_are_copies() -> None:
    patch: dict[str, Any] = {"tools": [{"type": "function", "name": "f"}], "audio": {"input": {"format": PCMU}}}
    made = updated(patch)
    view = made.view()
    patch["tools"][0]["name"] = "changed"
    view["audio"]["input"]["format"]["type"] = "changed"
    assert made.settings["tools"][0]["name"] == "f"
    assert made.input["format"] == {"type": "audio/pcmu"}
    assert patch["audio"] == {"input": {"format": PCMU}}


def test_pcm_without_a_rate_is_24_khz() -> None:
    made = updated({"audio": {"output": {"format": {"type": "audio/pcm"}}}})
    assert made.output["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_the_voice_may_change_until_the_first_audio() -> None:
    patch = {"audio": {"output": {"voice": "marin"}}}
    assert updated(patch).output["voice"] == "marin"
    made = session()
    problem = made.update({**patch, "instructions": "new"}, audio_was_sent=True)
    assert problem is not None
    assert problem.code == "cannot_update_voice"
    assert made.settings["instructions"] != "new"
    assert made.update({"audio": {"output": {"voice": "alloy"}}}, audio_was_sent=True) is None


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"model": "gpt-realtime"}, "invalid_value"),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}}}, "not_simulated"),
        ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, "not_simulated"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "not_simulated"),
    ],
)
def test_what_cannot_be_had(patch: dict[str, Any], code: str) -> None:
    problem = session().update(patch, audio_was_sent=False)
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize("model", ["gpt-realtime-1.5", "gpt-realtime-2025-08-28"])
@pytest.mark.parametrize("key", ["reasoning", "parallel_tool_calls"])
def test_only_reasoning_models_reason(key: str, model: str) -> None:
    problem = session(model).update({key: None}, audio_was_sent=False)
    assert problem is not None
    assert (problem.code, problem.param) == ("unsupported_parameter", f"session.{key}")
    assert updated({key: None}).settings[key] is None
