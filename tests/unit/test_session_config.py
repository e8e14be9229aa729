"""fastbridge.session_config: everything, in one message."""

import pytest

from fastbridge.agent import Agent
from fastbridge.session_config import session_config


def test_everything_in_one_message():
    agent = Agent(instructions="Be brief.", voice="cedar", language="he")

    @agent.tool
    def hours(day: str) -> str:
        """When we are open."""
        return day

    assert session_config(agent, "gpt-transcribe") == {
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


@pytest.mark.parametrize(
    ("model", "language", "expected"),
    [
        ("gpt-transcribe", "", {"model": "gpt-transcribe"}),
        ("gpt-transcribe", "he-IL", {"model": "gpt-transcribe", "language": "he"}),
        ("", "", None),
        ("", "he", None),
    ],
)
def test_transcription_knows_the_language_or_may_be_off(model, language, expected):
    config = session_config(Agent(language=language), model)
    assert config["audio"]["input"]["transcription"] == expected
