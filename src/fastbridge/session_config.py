"""What a session is told of itself: audio formats, turn detection, instructions, voice, tools."""

from typing import Any

from fastbridge.agent import Agent
from fastbridge.languages import short
from fastbridge.opening import PCMU


def session_config(agent: Agent, transcription_model: str) -> dict[str, Any]:
    """The `session` of `session.update`: everything, in one message."""
    transcription: dict[str, Any] | None = {"model": transcription_model} if transcription_model else None
    if transcription is not None and agent.language:
        transcription["language"] = short(agent.language) or agent.language
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": agent.instructions,
        "audio": {
            "input": {
                "format": PCMU,
                "transcription": transcription,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    # The caller's ear is here, not there: only we know what was heard, so only we interrupt.
                    "interrupt_response": False,
                },
            },
            "output": {"format": PCMU, "voice": agent.voice},
        },
        "tools": [tool.definition() for tool in agent.all_tools],
        "tool_choice": "auto",
    }
