"""Settings: the only reader of the environment.

Every setting is one field with its variable, its default and one line that says what it must be. They are read once, at
start-up, from the environment and `.env` (the environment wins), checked, and frozen. Secrets are `SecretStr`: no repr,
error or traceback shows them. A value that cannot work ends in ConfigError: one sentence, never pydantic's report.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    DirectoryPath,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from fastbridge.base import languages, trust, voices
from fastbridge.base.addresses import networks
from fastbridge.base.api_keys import WHAT_KEYS_ARE, checked_keys
from fastbridge.base.complaints import complaints, names_of, what_it_is
from fastbridge.base.urls import is_loopback, normalised_url
from fastbridge.errors import ConfigError
from fastbridge.masking.patterns import WHAT_PATTERNS_ARE, checked_patterns

DEFAULT_INSTRUCTIONS = (
    "You are a friendly assistant on a phone call. Speak naturally and briefly, one or two sentences at a time, in the "
    "caller's language. Ask when you did not understand. Never read out lists, links or markup."
)
DEFAULT_GREETING = "Hello! How can I help you?"
NOT_REASONING = re.compile(r"gpt-(?:4o-)?realtime(?!-2(?!\d))")
"""OpenAI's own that do not. A deployment of Azure's, or another server's model, may have any name."""
LIVE_MODELS = "gpt-live"
"""What the names of models begin with that speak as a stream without end."""
_SPOKEN = "a sentence or two, up to 1000 characters"
_COUNT = "a whole number, at least 1"
LANGUAGE_CODE = r"^([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3})?$"


def speaks_live(model: str) -> bool:
    """Whether a model of this name speaks as a stream without end."""
    return model.lower().startswith(LIVE_MODELS)


def model_name(given: str) -> str:
    """As the service knows it: the names of those that speak so are small letters, however they are typed."""
    return given.lower() if speaks_live(given) else given


def _env(default: Any, *variables: str, what: str, per_call: bool = False, **bounds: Any) -> Any:
    """One setting: its default, its variables (the first one set wins) and what its value must be, for errors.
    per_call: an agent may have its own."""
    extra: dict[str, JsonValue] = {"per_call": per_call}
    return Field(
        default, validation_alias=AliasChoices(*variables), description=what, json_schema_extra=extra, **bounds
    )


def _idle_ms(value: int) -> int:
    if value and not 5000 <= value <= 30_000:
        raise ValueError("neither never nor within what the model takes")
    return value


class Settings(BaseSettings):
    """What this node was told, checked once. Make it with `load_settings`, whose errors are readable."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_file=".env", populate_by_name=True, hide_input_in_errors=True
    )

    # The node. port and dev come first: public_url's default is made of them.
    host: str = _env("", "FASTBRIDGE_HOST", what="an address to listen on")
    port: int = _env(5050, "PORT", what="a port number from 0 to 65535", ge=0, le=65535)
    dev: bool = _env(False, "FASTBRIDGE_DEV", what="1 or 0")
    workers: int = _env(1, "FASTBRIDGE_WORKERS", what="a number of processes from 1 to 64", ge=1, le=64)
    public_url: str = _env(
        "",
        "PUBLIC_URL",
        "PUBLIC_BASE_URL",
        "PUBLIC_HOST",
        what="the address at which Twilio reaches this node, such as https://voice.example.com",
        validate_default=True,
    )

    # The model
    openai_api_key: SecretStr | None = _env(None, "OPENAI_API_KEY", what="an OpenAI API key")
    openai_base_url: str | None = _env(
        None,
        "OPENAI_BASE_URL",
        what="an http or https address such as https://api.openai.com/v1",
        pattern=r"^https?://\S+$",
    )
    model: str = _env(
        "gpt-realtime-2.1", "FASTBRIDGE_MODEL", "OPENAI_REALTIME_MODEL", what="a realtime or live model's name"
    )
    live_backend_model: str = _env("gpt-5.5", "FASTBRIDGE_LIVE_BACKEND_MODEL", what="a model's name")
    live_store: bool = _env(False, "FASTBRIDGE_LIVE_STORE", what="1 or 0")

    azure_openai_endpoint: str | None = _env(
        None,
        "AZURE_OPENAI_ENDPOINT",
        what="an address such as https://my-resource.openai.azure.com",
        pattern=r"^https?://\S+$",
    )
    azure_openai_api_key: SecretStr | None = _env(None, "AZURE_OPENAI_API_KEY", what="an Azure OpenAI key")
    azure_openai_ad_token: SecretStr | None = _env(None, "AZURE_OPENAI_AD_TOKEN", what="a Microsoft Entra token")

    # The model's session. An agent may have its own, and so may a call: they are told when it begins.
    turn_detection: Literal["server_vad", "semantic_vad"] = _env(
        "server_vad", "FASTBRIDGE_TURN_DETECTION", what="server_vad or semantic_vad", per_call=True
    )
    vad_threshold: float = _env(
        0.5,
        "FASTBRIDGE_VAD_THRESHOLD",
        "SERVER_VAD_THRESHOLD",
        what="a number from 0 (hears all) to 1",
        per_call=True,
        ge=0,
        le=1,
    )
    vad_prefix_ms: int = _env(
        300,
        "FASTBRIDGE_VAD_PREFIX_MS",
        "SERVER_VAD_PREFIX_MS",
        "SERVER_VAD_PREFIX_PADDING_MS",
        what="milliseconds from 0 to 5000",
        per_call=True,
        ge=0,
        le=5000,
    )
    vad_silence_ms: int = _env(
        500,
        "FASTBRIDGE_VAD_SILENCE_MS",
        "SERVER_VAD_SILENCE_MS",
        what="milliseconds from 50 to 10000",
        per_call=True,
        ge=50,
        le=10_000,
    )
    vad_idle_ms: Annotated[int, AfterValidator(_idle_ms)] = _env(
        0,
        "FASTBRIDGE_VAD_IDLE_MS",
        "SERVER_VAD_IDLE_TIMEOUT_MS",
        what="milliseconds from 5000 to 30000, or 0 for never",
        per_call=True,
    )
    vad_eagerness: Literal["low", "medium", "high", "auto"] | None = _env(
        None, "FASTBRIDGE_VAD_EAGERNESS", what="low, medium, high or auto", per_call=True
    )
    noise_reduction: Literal["none", "near_field", "far_field"] = _env(
        "none", "FASTBRIDGE_NOISE_REDUCTION", what="none, near_field or far_field", per_call=True
    )
    speed: float = _env(1.0, "FASTBRIDGE_SPEED", what="a number from 0.25 to 1.5", per_call=True, ge=0.25, le=1.5)
    max_output_tokens: int = _env(
        0,
        "FASTBRIDGE_MAX_OUTPUT_TOKENS",
        what="a whole number from 1 to 4096, or 0 for no limit",
        per_call=True,
        ge=0,
        le=4096,
    )
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = _env(
        None, "FASTBRIDGE_REASONING_EFFORT", what="minimal, low, medium, high or xhigh", per_call=True
    )
    transcription_model: Annotated[str, AfterValidator(lambda name: "" if name.lower() == "none" else name)] = _env(
        "gpt-transcribe", "FASTBRIDGE_TRANSCRIPTION_MODEL", what="a transcription model's name, or none", per_call=True
    )
    transcription_language: str | None = _env(
        None,
        "FASTBRIDGE_TRANSCRIPTION_LANGUAGE",
        what="a language's code such as en or he",
        per_call=True,
        pattern=r"^[a-z]{2,3}$",
    )
    transcription_prompt: str | None = _env(
        None, "FASTBRIDGE_TRANSCRIPTION_PROMPT", what="a text", per_call=True, max_length=4000
    )

    session_renew_seconds: float = _env(
        3300, "FASTBRIDGE_SESSION_RENEW_SECONDS", what="a number of seconds from 10 to 3500", ge=10, le=3500
    )
    outage_seconds: float = _env(12, "FASTBRIDGE_OUTAGE_SECONDS", what="a number of seconds from 1 to 60", ge=1, le=60)
    fallback_number: str | None = _env(
        None, "FASTBRIDGE_FALLBACK_NUMBER", what="a number such as +14155550123", pattern=r"^\+[1-9][0-9]{6,14}$"
    )
    prompts_dir: DirectoryPath | None = _env(None, "FASTBRIDGE_PROMPTS_DIR", what="a directory that is there")

    # The carrier
    twilio_account_sid: str | None = _env(
        None, "TWILIO_ACCOUNT_SID", what="AC and 32 hexadecimal digits", pattern=r"^AC[0-9a-f]{32}$"
    )
    twilio_auth_token: SecretStr | None = _env(None, "TWILIO_AUTH_TOKEN", what="the account's primary auth token")
    twilio_api_key: str | None = _env(
        None, "TWILIO_API_KEY", what="SK and 32 hexadecimal digits", pattern=r"^SK[0-9a-f]{32}$"
    )
    twilio_api_secret: SecretStr | None = _env(None, "TWILIO_API_SECRET", what="the API key's secret")
    twilio_region: str | None = _env(None, "TWILIO_REGION", what="a region such as ie1", pattern=r"^[a-z0-9-]+$")
    twilio_edge: str | None = _env(None, "TWILIO_EDGE", what="an edge such as dublin", pattern=r"^[a-z0-9-]+$")
    twilio_api_url: str | None = _env(
        None, "FASTBRIDGE_TWILIO_API_URL", what="an address in place of Twilio's API", pattern=r"^https?://\S+$"
    )
    twilio_phone_number: str | None = _env(
        None, "TWILIO_PHONE_NUMBER", what="a number such as +14155550123", pattern=r"^\+[1-9][0-9]{6,14}$"
    )
    twiml_sla_ms: int = _env(350, "TWIML_SLA_MS", what="a number of milliseconds, at least 1", ge=1)

    agent_spec: str | None = _env(None, "FASTBRIDGE_AGENT", what="module:agent or path/file.py:agent")

    # Of every agent that has none of its own
    language: str = _env(
        "", "FASTBRIDGE_LANGUAGE", what="a language's code, such as he or de-AT", pattern=LANGUAGE_CODE
    )

    # What the carrier says to a caller whom nobody answers. An agent in another language may have its own.
    busy_message: str = _env("", "FASTBRIDGE_BUSY_MESSAGE", what=_SPOKEN, per_call=True, max_length=1000)
    apology_message: str = _env("", "FASTBRIDGE_APOLOGY_MESSAGE", what=_SPOKEN, per_call=True, max_length=1000)
    say_language: str = _env(
        "",
        "FASTBRIDGE_SAY_LANGUAGE",
        what="a language of Twilio's <Say>, such as he-IL",
        per_call=True,
        pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$",
    )
    say_voice: str = _env(
        "",
        "FASTBRIDGE_SAY_VOICE",
        what="a voice of Twilio's <Say>, such as Google.he-IL-Wavenet-A",
        per_call=True,
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
    )

    # The built-in agent, for when none of your own is given
    instructions: str = _env(DEFAULT_INSTRUCTIONS, "FASTBRIDGE_INSTRUCTIONS", what="a text")
    greeting: str = _env(DEFAULT_GREETING, "FASTBRIDGE_GREETING", what="a sentence, or nothing for no greeting")
    voice: str = _env("marin", "FASTBRIDGE_VOICE", what=f"one of {', '.join(voices.VOICES)}")

    # Admission and capacity
    max_calls: int = _env(400, "FASTBRIDGE_MAX_CALLS", what=_COUNT, ge=1)
    max_pending_calls: int = _env(1000, "FASTBRIDGE_MAX_PENDING_CALLS", what=_COUNT, ge=1)
    max_connections: int = _env(2000, "FASTBRIDGE_MAX_CONNECTIONS", what=_COUNT, ge=1)
    # Generous: all of Twilio's media may come from a handful of addresses, or from one proxy.
    max_connections_per_ip: int = _env(2000, "FASTBRIDGE_MAX_CONNECTIONS_PER_IP", what=_COUNT, ge=1)
    max_requests_per_ip: int = _env(200, "FASTBRIDGE_MAX_REQUESTS_PER_IP", what=_COUNT, ge=1)
    trusted_proxies: str = _env(
        "", "FASTBRIDGE_TRUSTED_PROXIES", what="addresses or networks such as 10.0.0.0/8, separated by commas"
    )
    stream_token_seconds: float = _env(
        30, "FASTBRIDGE_STREAM_TOKEN_SECONDS", what="a number of seconds from 1 to 60", ge=1, le=60
    )
    start_deadline_seconds: float = _env(
        5, "FASTBRIDGE_START_DEADLINE_SECONDS", what="a number of seconds up to 60", gt=0, le=60
    )
    max_call_seconds: float = _env(
        600, "FASTBRIDGE_MAX_CALL_SECONDS", what="a number of seconds up to 86400", per_call=True, gt=0, le=86_400
    )
    drain_seconds: float = _env(
        3600, "FASTBRIDGE_DRAIN_SECONDS", what="a number of seconds up to 86400", ge=0, le=86_400
    )

    # The call
    lead_ms: int = _env(160, "LEAD_MS", "FASTBRIDGE_LEAD_MS", what="milliseconds from 0 to 2000", ge=0, le=2000)
    tick_us: int = _env(1870, "FASTBRIDGE_TICK_US", what="microseconds from 100 to 10000", ge=100, le=10_000)
    barge_in_frames: int = _env(
        5, "BARGE_IN_FRAMES", what="a number of 20 ms frames from 1 to 50", per_call=True, ge=1, le=50
    )
    barge_in_confirm_ms: int = _env(
        250, "BARGE_IN_CONFIRM_MS", what="milliseconds from 0 to 2000", per_call=True, ge=0, le=2000
    )
    # Of a detector that adapts, the threshold is its lowest: nothing below it counts, however quiet the line is.
    barge_in_threshold_dbfs: float = _env(
        -54.0, "BARGE_IN_THRESHOLD_DBFS", what="a level from -90 to 0 dBFS", per_call=True, ge=-90, le=0
    )
    barge_in_sensitivity_db: float = _env(
        0.0, "BARGE_IN_SENSITIVITY_DB", what="a number of dB from -20 (deafer) to 20", per_call=True, ge=-20, le=20
    )
    barge_in_echo: bool = _env(True, "BARGE_IN_ECHO", what="1 or 0", per_call=True)
    enable_min_dsp: bool = _env(True, "ENABLE_MIN_DSP", what="1 or 0", per_call=True)
    greeting_lock: bool = _env(True, "FASTBRIDGE_GREETING_LOCK", what="1 or 0", per_call=True)
    detect_machines: bool = _env(False, "FASTBRIDGE_DETECT_MACHINES", what="1 or 0", per_call=True)
    lookup_ms: int = _env(600, "FASTBRIDGE_LOOKUP_MS", what="milliseconds from 0 to 5000", ge=0, le=5000)
    silence_seconds: float = _env(
        20, "FASTBRIDGE_SILENCE_SECONDS", what="a number of seconds, 0 for never", per_call=True, ge=0, le=3600
    )
    silence_prompts: int = _env(
        2, "FASTBRIDGE_SILENCE_PROMPTS", what="a whole number from 0 to 20", per_call=True, ge=0, le=20
    )
    noise_seconds: float = _env(
        120, "FASTBRIDGE_NOISE_SECONDS", what="a number of seconds, 0 for never", per_call=True, ge=0, le=3600
    )

    # Records of calls
    database_url: SecretStr = _env(
        SecretStr("sqlite:///fastbridge.db"),
        "DATABASE_URL",
        what="a database's address such as sqlite:////data/fastbridge.db, or none",
    )
    records_dir: Path | None = _env(None, "FASTBRIDGE_RECORDS_DIR", what="a directory for call records")
    recordings_dir: Path | None = _env(None, "FASTBRIDGE_RECORDINGS_DIR", what="a directory for the node's recordings")
    record_identities: Literal["masked", "full", "none"] = _env(
        "masked", "FASTBRIDGE_RECORD_IDENTITIES", what="masked, full or none"
    )
    record_transcripts: bool = _env(True, "FASTBRIDGE_RECORD_TRANSCRIPTS", what="1 or 0")
    record_days: int = _env(0, "FASTBRIDGE_RECORD_DAYS", what="a number of days, 0 for ever", ge=0, le=36_500)
    prices: str = _env("", "FASTBRIDGE_PRICES", what="a JSON object of models and their prices")

    # What calls may cost
    call_budget_usd: float = _env(
        0.0, "FASTBRIDGE_CALL_BUDGET_USD", what="a number of dollars, 0 for any", per_call=True, ge=0, le=1e6
    )
    call_budget_tokens: int = _env(
        0, "FASTBRIDGE_CALL_BUDGET_TOKENS", what="a number of tokens, 0 for any", per_call=True, ge=0, le=10**12
    )
    budget_model: str = _env("", "FASTBRIDGE_BUDGET_MODEL", what="the name of a cheaper model", per_call=True)
    business_budget_usd: float = _env(
        0.0, "FASTBRIDGE_BUSINESS_BUDGET_USD", what="a number of dollars a day, 0 for any", ge=0, le=1e6
    )
    day_budget_usd: float = _env(
        0.0, "FASTBRIDGE_DAY_BUDGET_USD", what="a number of dollars a day, 0 for any", ge=0, le=1e6
    )

    # Files of recordings
    recordings_url: str | None = _env(
        None,
        "FASTBRIDGE_RECORDINGS_URL",
        what="a folder, or an address such as s3://bucket/recordings, gs://… or az://…",
    )
    recording_days: int = _env(0, "FASTBRIDGE_RECORDING_DAYS", what="a number of days, 0 for ever", ge=0, le=36_500)
    recording_release: bool = _env(False, "FASTBRIDGE_RECORDING_RELEASE", what="1 or 0")
    recording_hosts: str = _env(
        "",
        "FASTBRIDGE_RECORDING_HOSTS",
        what="host names such as recordings.example.com, with commas between",
        pattern=r"^[A-Za-z0-9.,\s-]*$",
    )

    # What no log and no record shows
    mask: Literal["all", "cards", "identities", "none"] = _env(
        "all", "FASTBRIDGE_MASK", what="all, cards, identities or none"
    )
    mask_patterns: Annotated[str, AfterValidator(checked_patterns)] = _env(
        "", "FASTBRIDGE_MASK_PATTERNS", what=WHAT_PATTERNS_ARE
    )

    # Calls out, and whatever else is done by key
    api_keys: Annotated[SecretStr | None, AfterValidator(checked_keys)] = _env(
        None, "FASTBRIDGE_API_KEYS", what=WHAT_KEYS_ARE
    )

    # Metrics
    metrics_host: str = _env("127.0.0.1", "FASTBRIDGE_METRICS_HOST", what="an address to listen on")
    metrics_port: int = _env(
        9464, "FASTBRIDGE_METRICS_PORT", what="a port number from 0 (no metrics) to 65535", ge=0, le=65535
    )
    metrics_public: bool = _env(False, "FASTBRIDGE_METRICS_PUBLIC", what="1 or 0")

    # Logging. The two level words stay text here: a bad one must not stop the node, logging.py warns and takes INFO.
    log_level: str | None = _env(None, "LOG_LEVEL", what="DEBUG, INFO, WARNING or ERROR")
    debug: str | None = _env(None, "DEBUG", what="1 for production or 0 for development")
    log_json: bool = _env(False, "LOG_JSON", what="1 or 0")
    log_realtime_events: bool = _env(False, "LOG_REALTIME_EVENTS", what="1 or 0")
    log_audio_chunks: bool = _env(False, "LOG_AUDIO_CHUNKS", what="1 or 0")
    log_transcript_deltas: bool = _env(False, "LOG_TRANSCRIPT_DELTAS", what="1 or 0")
    log_transcripts: bool = _env(True, "LOG_TRANSCRIPTS", what="1 or 0")
    debug_tx: bool = _env(False, "DEBUG_TX", what="1 or 0")

    @field_validator("*", mode="before")
    @classmethod
    def _strip(cls, value: Any, info: ValidationInfo) -> Any:
        """Compose files set variables to nothing and people paste newlines: empty means unset, but for the greeting."""
        if not isinstance(value, str):
            return value
        value = value.strip()
        if value or info.field_name in ("greeting", "public_url") or info.field_name is None:
            return value
        return cls.model_fields[info.field_name].get_default()

    _name_model = field_validator("model", "budget_model")(model_name)

    @field_validator("voice")
    @classmethod
    def _has_voice(cls, value: str, info: ValidationInfo) -> str:
        live = speaks_live(str(info.data.get("model")))  # whose voices `serving_faults` names
        if not live and not voices.usable(value, info.data.get("openai_base_url"), live=False):
            raise ValueError("not a voice")
        return value

    @field_validator("language")
    @classmethod
    def _is_language(cls, value: str) -> str:
        if not languages.exists(value):
            raise ValueError("not a language")
        return value

    @field_validator("public_url")
    @classmethod
    def _normalise(cls, value: str, info: ValidationInfo) -> str:
        if value:
            return normalised_url(value)
        return f"http://127.0.0.1:{info.data.get('port')}" if info.data.get("dev") else ""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        networks(value)
        return value

    @model_validator(mode="after")
    def _choose_host(self) -> Self:
        """Who checks no signatures is not for the world to find, unless he was told to be."""
        if not self.host:
            self.__dict__["host"] = "127.0.0.1" if self.unsigned else "0.0.0.0"
        return self

    @property
    def unsigned(self) -> bool:
        """Whether anybody may be Twilio."""
        return self.twilio_auth_token is None and self.dev

    @property
    def live(self) -> bool:
        """Whether the model speaks as a stream without end (GPT-Live), by its name."""
        return speaks_live(self.model)

    @property
    def stream_url(self) -> str:
        """The public address for media streams: `public_url` with ws for http, wss for https."""
        return "ws" + self.public_url.removeprefix("http")

    @property
    def media_hosts(self) -> frozenset[str]:
        """Where the carrier's files may be, beside its own."""
        return frozenset(filter(None, (each.strip().lower() for each in self.recording_hosts.split(","))))

    def require_serving(self) -> None:
        """Raise ConfigError unless these settings are enough to answer calls."""
        for fault in self.serving_faults():
            raise ConfigError(fault)

    def serving_faults(self) -> Iterator[str]:
        """What is missing, or wrong together: a sentence each."""
        if self.azure_openai_endpoint is not None:
            yield from self._azure_faults()
        elif self.openai_api_key is None and not is_loopback(self.openai_base_url):
            yield "OPENAI_API_KEY is missing: set it in the environment or in .env."
        if not self.public_url:
            yield f"PUBLIC_URL is missing: set it to {what_it_is(type(self).model_fields['public_url'])}."
        if self.public_url.startswith("http://") and not self.dev and not is_loopback(self.public_url):
            yield f"PUBLIC_URL must start with https://, not {self.public_url!r}: Twilio streams to wss addresses only."
        if self.metrics_port and self.metrics_port == self.port:
            yield f"PORT and FASTBRIDGE_METRICS_PORT are both {self.port}: choose another for metrics, or 0 for none."
        if self.twilio_auth_token is None and not self.dev:
            yield "TWILIO_AUTH_TOKEN is missing: set it, or set FASTBRIDGE_DEV=1 for a machine no stranger reaches."
        if self.api_keys is not None:
            yield from self._outbound_faults()
        if self.recordings_url is not None and self.database_url.get_secret_value() == "none":
            yield "FASTBRIDGE_RECORDINGS_URL keeps recordings, which are listed in DATABASE_URL: set it, or unset one."
        if self.live and not voices.usable(self.voice, self.openai_base_url, live=True):
            yield f"FASTBRIDGE_VOICE must be one of {', '.join(voices.LIVE_VOICES)}, not {self.voice[:80]!r}."
        yield from (*self.session_faults(), *trust.trust_faults())

    def require_session(self) -> None:
        """Raise ConfigError unless the model takes these settings of its session together."""
        for fault in self.session_faults():
            raise ConfigError(fault)

    def session_faults(self) -> Iterator[str]:
        if self.turn_detection == "semantic_vad" and self.vad_idle_ms:
            yield "FASTBRIDGE_VAD_IDLE_MS is for server_vad: unset it, or FASTBRIDGE_TURN_DETECTION."
        if self.turn_detection == "server_vad" and self.vad_eagerness is not None:
            yield "FASTBRIDGE_VAD_EAGERNESS is for FASTBRIDGE_TURN_DETECTION=semantic_vad: set that, too."
        if self.live and self.azure_openai_endpoint is not None:
            yield f"{self.model} is not to be had at AZURE_OPENAI_ENDPOINT: unset that, or FASTBRIDGE_MODEL."
        if self.reasoning_effort is not None and NOT_REASONING.match(self.model):
            yield f"FASTBRIDGE_REASONING_EFFORT is for models that reason, which {self.model} does not: unset one."

    def _outbound_faults(self) -> Iterator[str]:
        if self.database_url.get_secret_value() == "none":
            yield "FASTBRIDGE_API_KEYS lets calls be placed, which are kept in DATABASE_URL: set it, or unset the keys."
        if self.twilio_account_sid is None:
            yield "FASTBRIDGE_API_KEYS lets calls be placed, for which TWILIO_ACCOUNT_SID is needed: set it."
        if self.twilio_auth_token is None and (self.twilio_api_key is None or self.twilio_api_secret is None):
            yield "FASTBRIDGE_API_KEYS lets calls be placed, for which TWILIO_AUTH_TOKEN is needed: set it."

    def _azure_faults(self) -> Iterator[str]:
        if self.openai_base_url is not None:
            yield "AZURE_OPENAI_ENDPOINT and OPENAI_BASE_URL name two places: set one of them."
        if self.azure_openai_api_key is None and self.azure_openai_ad_token is None:
            yield "AZURE_OPENAI_API_KEY is missing: set it, or AZURE_OPENAI_AD_TOKEN."


PER_CALL_SETTINGS = frozenset(
    name
    for name, info in Settings.model_fields.items()
    if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("per_call")
)
"""Those of which an agent may have its own."""
CONVERSATION_SETTINGS = frozenset(
    name
    for name in PER_CALL_SETTINGS
    if name.startswith(
        ("greeting", "turn_detection", "vad_", "noise_reduction", "speed", "max_output", "reasoning", "transcription")
    )
)
"""Of these, what `on_call` may still change; the rest is settled when the stream starts."""


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`; `overrides`, by field name, win.

    Raises ConfigError with one sentence that names the variable, its bad value (never a secret's) and what to do.
    """
    unknown = overrides.keys() - Settings.model_fields.keys()
    if unknown:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigError(complaint(error)) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError("The file .env cannot be read: make it readable UTF-8 text, or remove it.") from None


def complaint(error: ValidationError) -> str:
    """The first complaint of pydantic's report, in words for whoever set the variable."""
    return next(iter(complaints(error, Settings.model_fields).values()))


def variables(field: str) -> list[str]:
    """The names by which the environment may set this one; the first that is set wins."""
    return names_of(Settings.model_fields[field])
