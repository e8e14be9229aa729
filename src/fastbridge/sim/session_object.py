"""The session's settings: what `session.created` and `session.updated` show, and how an update changes them.

Only keys present in an update change; within `audio.input` and `audio.output` that holds per key as well. Shapes
have been checked before (grammar); here are the rules that need to know the session: what may no longer change,
what the model at hand cannot do, and what this simulator does not simulate.
"""

import re
from copy import deepcopy

from .refusals import VOICE_IS_FIXED
from .vad import ServerVad
from .wire import Json, Problem

REASONING = re.compile(r"gpt-realtime-2(?!\d)")
"""Models that do; gpt-realtime-2025-08-28 is an older one, by its date."""
SEMANTIC_VAD_SILENCE_MS = 500
"""Semantic turn detection is simulated by silence, too."""

_SERVER_VAD: Json = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


class SessionObject:
    """The settings of one session. `settings` is the object on the wire."""

    def __init__(self, session_id: str, model: str, expires_at_s: int) -> None:
        self.settings: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "You are a helpful, witty, and friendly AI.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at_s,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(_SERVER_VAD),
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.0},
            },
            "include": None,
        }

    @property
    def input(self) -> Json:
        """`audio.input`."""
        value: Json = self.settings["audio"]["input"]
        return value

    @property
    def output(self) -> Json:
        """`audio.output`."""
        value: Json = self.settings["audio"]["output"]
        return value

    @property
    def turn_detection(self) -> Json:
        """The turn detection, empty when the client does it itself."""
        return self.input["turn_detection"] or {}

    def view(self) -> Json:
        """The settings as they are now."""
        return deepcopy(self.settings)

    def update(self, patch: Json, *, audio_was_sent: bool) -> Problem | None:
        """Merge a checked `session` object. A problem changes nothing."""
        problem = self._refusal(patch, audio_was_sent)
        if problem is not None:
            return problem
        patch = deepcopy(patch)
        audio = patch.pop("audio", {})
        self.settings.update(patch)
        self.input.update(_complete(audio.get("input", {})))
        self.output.update(_complete(audio.get("output", {})))
        return None

    def voice_activity(self, start_ms: int) -> ServerVad | None:
        """A fresh detector with these settings, or None when the client decides on turns."""
        settings = self.turn_detection
        if not settings:
            return None
        if settings["type"] == "semantic_vad":
            return ServerVad(silence_duration_ms=SEMANTIC_VAD_SILENCE_MS, start_ms=start_ms)
        return ServerVad(
            threshold=settings["threshold"],
            prefix_padding_ms=settings["prefix_padding_ms"],
            silence_duration_ms=settings["silence_duration_ms"],
            start_ms=start_ms,
        )

    def _refusal(self, patch: Json, audio_was_sent: bool) -> Problem | None:
        audio: Json = patch.get("audio", {})
        voice = audio.get("output", {}).get("voice", self.output["voice"])
        if audio_was_sent and voice != self.output["voice"]:
            return VOICE_IS_FIXED
        if patch.get("model", self.settings["model"]) != self.settings["model"]:
            return Problem("invalid_value", "Cannot update the model of a session.", "session.model")
        if not REASONING.match(self.settings["model"]):
            for key in ("reasoning", "parallel_tool_calls"):
                if key in patch:
                    message = f"Unsupported parameter: '{key}' is not supported with this model."
                    return Problem("unsupported_parameter", message, f"session.{key}")
        return _not_simulated(patch, audio)


def _complete(audio: Json) -> Json:
    """The defaults the service fills in where an update leaves them out."""
    detection = audio.get("turn_detection")
    if detection:
        defaults = _SERVER_VAD if detection["type"] == "server_vad" else _SEMANTIC_VAD
        audio["turn_detection"] = {**defaults, **detection}
    if audio.get("format", {}).get("type") == "audio/pcm":
        audio["format"]["rate"] = 24_000
    return audio


def _not_simulated(patch: Json, audio: Json) -> Problem | None:
    def problem(path: str) -> Problem:
        return Problem("not_simulated", f"The simulator does not do this: '{path}'.", path)

    for side in ("input", "output"):
        if audio.get(side, {}).get("format", {}).get("type") == "audio/pcma":
            return problem(f"session.audio.{side}.format.type")
    if any(tool["type"] == "mcp" for tool in patch.get("tools", ())):
        return problem("session.tools")
    return None
