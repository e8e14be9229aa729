"""The settings of a GPT-Live session: what `session.started` shows, and what an update or a fork changes of them.

Shapes have been checked before (live_grammar); here are the rules that need to know the session: what may no longer
change, how long a text may be, and what this simulator does not simulate. Most of a session is fixed once it started.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .live_refusals import (
    DELEGATION_TYPE_IS_FIXED,
    MAX_INPUT_TOKENS,
    MAX_INSTRUCTIONS_TOKENS,
    not_simulated,
    too_many_tokens,
    unknown_model,
)
from .wire import Json, Problem, text_tokens

DEFAULT_LIVE_MODEL = "gpt-live-1"
MODEL_PREFIX = "gpt-live"
DEFAULT_FORMAT: Json = {"type": "audio/pcm", "rate": 24_000}


class LiveSettings:
    """The settings of one session. `settings` is the object on the wire."""

    def __init__(self, session_id: str, expires_at_s: int, stored: "LiveSettings | None" = None) -> None:
        self.settings: Json = deepcopy(stored.settings) if stored is not None else {"input": []}
        self.settings |= {"id": session_id, "expires_at": expires_at_s, "status": "active"}
        self._forked = stored is not None

    def view(self) -> Json:
        """The settings as they are now."""
        return deepcopy(self.settings)

    @property
    def audio_format(self) -> Json:
        """Of both directions."""
        value: Json = self.settings["audio"]["format"]
        return value

    @property
    def delegation(self) -> str:
        """Whose the tasks are: client, responses or decisions."""
        value: str = self.settings["delegation"]["type"]
        return value

    @property
    def acknowledgement_delay_ms(self) -> int:
        """How long the model waits before it says that it has delegated."""
        value: int = self.settings["delegation"].get("acknowledgement_delay_ms", 0)
        return value

    @property
    def tools(self) -> list[Json]:
        """What the backend may call."""
        value: list[Json] = self.settings["delegation"].get("responses", {}).get("tools", [])
        return value

    @property
    def stored(self) -> bool:
        """Whether the session may be forked."""
        return bool(self.settings.get("store"))

    def start(self, config: Json) -> Problem | None:
        """Take a checked `session` object, or what a fork overrides. A problem changes nothing."""
        problem = self._fork_refusal(config) if self._forked else _start_refusal(config)
        if problem is not None:
            return problem
        if self._forked:
            self._override(deepcopy(config))
        else:
            self._begin(deepcopy(config))
        return None

    def update(self, patch: Json) -> Problem | None:
        """Take a checked `session.update`. A problem changes nothing."""
        if patch.get("triggers"):
            return not_simulated("session.triggers")
        if "delegation" in patch:
            delegation = patch["delegation"]
            if delegation is None and self.delegation == "client":
                return None
            if delegation is None or delegation["type"] != self.delegation:
                return DELEGATION_TYPE_IS_FIXED
            self._merge(deepcopy(delegation))
        return None

    def _begin(self, config: Json) -> None:
        audio = config.get("audio", {})
        self.settings |= config
        self.settings["audio"] = {
            "format": audio.get("format", dict(DEFAULT_FORMAT)),
            "output": {"voice": "marin", **audio.get("output", {})},
        }
        self.settings["delegation"] = config.get("delegation") or {"type": "client"}

    def _override(self, config: Json) -> None:
        if "format" in config.get("audio", {}):
            self.settings["audio"]["format"] = config["audio"]["format"]
        if "store" in config:
            self.settings["store"] = config["store"]
        if "delegation" in config:
            self._merge(config["delegation"])

    def _merge(self, delegation: Json) -> None:
        mine = self.settings["delegation"]
        backend = {**mine.get("responses", {}), **delegation.get("responses", {})}
        mine |= delegation
        if backend:
            mine["responses"] = backend

    def _fork_refusal(self, config: Json) -> Problem | None:
        if "client" in config:
            return not_simulated("session.client")
        if "delegation" in config and self.delegation != "responses":
            return DELEGATION_TYPE_IS_FIXED
        return _format_refusal(config)


def _start_refusal(config: Mapping[str, Any]) -> Problem | None:
    model = config["model"]
    if not model.startswith(MODEL_PREFIX):
        return unknown_model(model)
    return _length_refusal(config) or _format_refusal(config) or _not_simulated(config)


def _length_refusal(config: Mapping[str, Any]) -> Problem | None:
    tokens = text_tokens(config.get("instructions") or "")
    if tokens > MAX_INSTRUCTIONS_TOKENS:
        return too_many_tokens("session.instructions", tokens, MAX_INSTRUCTIONS_TOKENS)
    tokens = sum(text_tokens(message["content"][0]["text"]) for message in config.get("input", ()))
    return too_many_tokens("session.input", tokens, MAX_INPUT_TOKENS) if tokens > MAX_INPUT_TOKENS else None


def _format_refusal(config: Mapping[str, Any]) -> Problem | None:
    is_alaw = config.get("audio", {}).get("format", {}).get("type") == "audio/pcma"
    return not_simulated("session.audio.format.type") if is_alaw else None


def _not_simulated(config: Mapping[str, Any]) -> Problem | None:
    delegation = config.get("delegation") or {}
    if delegation.get("type") == "decisions":
        return not_simulated("session.delegation.type")
    if config.get("triggers"):
        return not_simulated("session.triggers")
    tools = delegation.get("responses", {}).get("tools", ())
    if any(tool["type"] != "function" for tool in tools):
        return not_simulated("session.delegation.responses.tools")
    return None
