"""What a session, and a response, is told of itself: audio formats, turn detection, instructions, voice, tools.

What nobody has asked for is left to the service. Two things are always ours: the service answers a caller's turn by
itself, since nobody does it sooner, and it does not interrupt, since only we know what was heard.
"""

from typing import Any

from fastbridge.agent.definition import Agent
from fastbridge.base.languages import short
from fastbridge.config import NOT_REASONING, Settings
from fastbridge.model.instructions import ASK_CONSENT
from fastbridge.model.port import Wish
from fastbridge.model.realtime.handshake import PCMU
from fastbridge.model.response_states import DEADLINES_SECONDS, State

EAGERNESS_SECONDS = {"low": 8.0, "medium": 4.0, "auto": 4.0, "high": 2.0}
"""How long semantic turn detection may wait for more, by OpenAI's account."""
TURN_END_SLACK_SECONDS = 1.0
PATIENCE_SECONDS = {"medium": 16.0, "high": 24.0, "xhigh": 40.0}
"""A response without a sign of progress, by how hard the model was told to think; else as long as usual."""


def session_config(agent: Agent, settings: Settings) -> dict[str, Any]:
    """The `session` of `session.update`: everything, in one message. settings: the agent's own."""
    given: dict[str, Any] = {
        "format": PCMU,
        "transcription": _transcription(agent, settings),
        "turn_detection": _turn_detection(settings),
    }
    if settings.noise_reduction != "none":
        given["noise_reduction"] = {"type": settings.noise_reduction}
    taken: dict[str, Any] = {"format": PCMU, "voice": agent.voice}
    if settings.speed != 1:
        taken["speed"] = settings.speed
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": _instructions(agent),
        "audio": {"input": given, "output": taken},
        "tools": [tool.definition() for tool in agent.all_tools],
        "tool_choice": "auto",
    }
    if settings.max_output_tokens:
        session["max_output_tokens"] = settings.max_output_tokens
    if settings.reasoning_effort is not None:
        session["reasoning"] = {"effort": settings.reasoning_effort}
    return session


def for_model(session: dict[str, Any] | None, model: str) -> dict[str, Any] | None:
    """The same settings for another model, which may not reason."""
    if session is None or not NOT_REASONING.match(model):
        return session
    return {name: value for name, value in session.items() if name != "reasoning"}


def _instructions(agent: Agent) -> str:
    return f"{agent.instructions}\n\n{ASK_CONSENT}" if agent.asks_consent else agent.instructions


def turn_end_seconds(settings: Settings) -> float:
    """How long after the caller's last sound the model may go on listening before something is wrong with it."""
    if settings.turn_detection == "semantic_vad":
        return EAGERNESS_SECONDS[settings.vad_eagerness or "auto"] + TURN_END_SLACK_SECONDS
    return settings.vad_silence_ms / 1000 + TURN_END_SLACK_SECONDS


def patience_seconds(settings: Settings) -> float:
    """How long a response may make no progress."""
    return PATIENCE_SECONDS.get(settings.reasoning_effort or "", DEADLINES_SECONDS[State.ACTIVE])


def _turn_detection(settings: Settings) -> dict[str, Any]:
    ours = {"create_response": True, "interrupt_response": False}
    if settings.turn_detection == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": settings.vad_eagerness or "auto", **ours}
    idle = {"idle_timeout_ms": settings.vad_idle_ms} if settings.vad_idle_ms else {}
    return {
        "type": "server_vad",
        "threshold": settings.vad_threshold,
        "prefix_padding_ms": settings.vad_prefix_ms,
        "silence_duration_ms": settings.vad_silence_ms,
        **idle,
        **ours,
    }


def _transcription(agent: Agent, settings: Settings) -> dict[str, Any] | None:
    if not settings.transcription_model:
        return None
    language = settings.transcription_language or short(agent.language) or agent.language
    more = {"language": language, "prompt": settings.transcription_prompt}
    return {"model": settings.transcription_model, **{name: value for name, value in more.items() if value}}


def response_config(wish: Wish | None) -> dict[str, Any]:
    """The `response` of `response.create`, as far as it differs from the session's."""
    if wish is None:
        return {}
    told = {"instructions": wish.instructions} if wish.instructions else {}
    return {**told, "tool_choice": "none"} if wish.words_only else told
