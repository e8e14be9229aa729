"""Settings of a call in a test: those that are named, and no environment and no `.env` besides."""

import difflib
from collections.abc import Mapping
from contextvars import ContextVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from fastbridge.config import Settings, complaint, variables
from fastbridge.errors import ConfigError

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "simulated-auth-token"
OURS = {
    "DATABASE_URL": "none",
    "OPENAI_API_KEY": "sk-simulated",
    "PUBLIC_URL": "https://node.example",
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
}
_given: ContextVar[Mapping[str, str]] = ContextVar("given")


class _Source(EnvSettingsSource):
    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in _given.get().items()}


class _Settings(Settings):
    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_Source(settings_cls),)


def settings_of(given: Mapping[str, str]) -> Settings:
    """By the variables' names. ConfigError with one sentence, as at a node's start."""
    known = [name for field in Settings.model_fields for name in variables(field)]
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name.upper(), known, 1)
            raise ConfigError(f"{name} is no setting" + (f": did you mean {nearest[0]}?" if nearest else "."))
    token = _given.set({**OURS, **given})
    try:
        return _Settings()
    except ValidationError as error:
        raise ConfigError(complaint(error)) from None
    finally:
        _given.reset(token)
