"""fastbridge.model.realtime.session_config: everything, in one message."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.config import Settings
from fastbridge.model.realtime.session_config import session_config
from fastbridge.sim import grammar


def settings(**given: Any) -> Settings:
    return Settings.model_construct(**given)


def test_everything_in_one_message():
    agent = Agent(instructions="Be brief.", voice="cedar", language="he")

    @agent.tool
    def hours(day: str) -> str:
        """When we are open."""
        return day

    assert session_config(agent, settings()) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-transcribe", "language": "he"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    "interrupt_response": False,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "cedar"},
        },
        "tools": [
            {
                "type": "function",
                "name": "hours",
                "description": "When we are open.",
                "parameters": {
                    "type": "object",
                    "properties": {"day": {"type": "string"}},
                    "required": ["day"],
                    "additionalProperties": False,
                },
            }
        ],
        "tool_choice": "auto",
    }


def detection(**given: Any) -> Any:
    return session_config(Agent(), settings(**given))["audio"]["input"]["turn_detection"]


def test_server_vad_with_all_its_settings():
    assert detection(vad_threshold=0.72, vad_prefix_ms=200, vad_silence_ms=700, vad_idle_ms=9000) == {
        "type": "server_vad",
        "threshold": 0.72,
        "prefix_padding_ms": 200,
        "silence_duration_ms": 700,
        "idle_timeout_ms": 9000,
        "create_response": True,
        "interrupt_response": False,
    }


@pytest.mark.parametrize(("eagerness", "expected"), [(None, "auto"), ("low", "low"), ("high", "high")])
def test_semantic_vad_has_nothing_of_the_others_settings(eagerness, expected):
    found = detection(turn_detection="semantic_vad", vad_eagerness=eagerness, vad_threshold=0.9, vad_silence_ms=900)
    assert found == {
        "type": "semantic_vad",
        "eagerness": expected,
        "create_response": True,
        "interrupt_response": False,
    }


def test_what_was_not_asked_for_is_left_to_the_service():
    session = session_config(Agent(), settings())
    assert session.keys() & {"max_output_tokens", "reasoning"} == set()
    assert session["audio"]["input"].keys() == {"format", "transcription", "turn_detection"}
    assert session["audio"]["output"].keys() == {"format", "voice"}


def test_the_rest_of_them():
    session = session_config(
        Agent(), settings(noise_reduction="near_field", speed=1.2, max_output_tokens=500, reasoning_effort="low")
    )
    assert session["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
    assert session["audio"]["output"]["speed"] == 1.2
    assert (session["max_output_tokens"], session["reasoning"]) == (500, {"effort": "low"})


@pytest.mark.parametrize(
    ("given", "language", "expected"),
    [
        ({}, "", {"model": "gpt-transcribe"}),
        ({}, "he-IL", {"model": "gpt-transcribe", "language": "he"}),
        ({"transcription_language": "de"}, "he", {"model": "gpt-transcribe", "language": "de"}),
        ({"transcription_prompt": "Rosa's"}, "", {"model": "gpt-transcribe", "prompt": "Rosa's"}),
        ({"transcription_model": "x", "transcription_prompt": None}, "", {"model": "x"}),
        ({"transcription_model": "", "transcription_language": "de"}, "he", None),
    ],
)
def test_transcription(given, language, expected):
    assert session_config(Agent(language=language), settings(**given))["audio"]["input"]["transcription"] == expected


LIMITS: dict[str, tuple[Any, ...]] = {
    "turn_detection": ("server_vad", "semantic_vad"),
    "vad_threshold": (0.0, 1.0),
    "vad_prefix_ms": (0, 5000),
    "vad_silence_ms": (50, 10_000),
    "vad_idle_ms": (0, 5000, 30_000),
    "noise_reduction": ("none", "near_field", "far_field"),
    "speed": (0.25, 1.0, 1.5),
    "max_output_tokens": (0, 1, 4096),
    "reasoning_effort": (None, "minimal", "low", "medium", "high", "xhigh"),
    "transcription_language": (None, "he"),
    "transcription_prompt": (None, "x"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in LIMITS.items() for value in values])
def test_the_service_takes_every_value_that_a_setting_may_have(name, value):
    session = session_config(Agent(settings={name: value}), settings(**{name: value}))
    assert grammar.check({"type": "session.update", "session": session}) is None
