import traceback

import pytest
from pydantic import SecretStr, ValidationError

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.base.voices import LIVE_VOICES, VOICES
from fastbridge.config import DEFAULT_GREETING, Settings, load_settings
from fastbridge.errors import ConfigError

SECRET = "sk-very-secret-value"
BAD_SECRET = 12345678


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


def complaint(**overrides):
    with pytest.raises(ConfigError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def test_defaults():
    settings = load_settings()
    assert settings.model == "gpt-realtime-2.1"
    assert (settings.host, settings.port, settings.dev) == ("0.0.0.0", 5050, False)
    assert (settings.lead_ms, settings.barge_in_frames, settings.barge_in_threshold_dbfs) == (160, 5, -54)
    assert (settings.twiml_sla_ms, settings.stream_token_seconds, settings.start_deadline_seconds) == (350, 30, 5)
    assert (settings.max_calls, settings.max_call_seconds, settings.drain_seconds) == (400, 600, 3600)
    assert settings.greeting_lock
    assert settings.enable_min_dsp
    assert settings.log_transcripts
    assert (settings.mask, settings.mask_patterns) == ("all", "")
    flags = ("log_json", "log_realtime_events", "log_audio_chunks", "log_transcript_deltas", "debug_tx")
    assert not any(getattr(settings, flag) for flag in flags)
    assert (settings.public_url, settings.openai_api_key, settings.records_dir) == ("", None, None)


def test_every_setting_is_described():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.validation_alias.choices, name


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1", "openai_base_url", "http://127.0.0.1:9/v1"),
        ("OPENAI_REALTIME_MODEL", "gpt-x", "model", "gpt-x"),
        ("TWILIO_ACCOUNT_SID", "AC" + "0" * 32, "twilio_account_sid", "AC" + "0" * 32),
        ("TWILIO_PHONE_NUMBER", "+972501234512", "twilio_phone_number", "+972501234512"),
        ("FASTBRIDGE_HOST", "127.0.0.1", "host", "127.0.0.1"),
        ("PORT", " 8080 ", "port", 8080),
        ("FASTBRIDGE_INSTRUCTIONS", "שלום", "instructions", "שלום"),
        ("FASTBRIDGE_TURN_DETECTION", "semantic_vad", "turn_detection", "semantic_vad"),
        ("FASTBRIDGE_VAD_THRESHOLD", "0.7", "vad_threshold", 0.7),
        ("SERVER_VAD_THRESHOLD", "0.72", "vad_threshold", 0.72),
        ("FASTBRIDGE_VAD_PREFIX_MS", "200", "vad_prefix_ms", 200),
        ("SERVER_VAD_PREFIX_MS", "250", "vad_prefix_ms", 250),
        ("SERVER_VAD_PREFIX_PADDING_MS", "260", "vad_prefix_ms", 260),
        ("FASTBRIDGE_VAD_SILENCE_MS", "900", "vad_silence_ms", 900),
        ("SERVER_VAD_SILENCE_MS", "700", "vad_silence_ms", 700),
        ("FASTBRIDGE_VAD_IDLE_MS", "6000", "vad_idle_ms", 6000),
        ("SERVER_VAD_IDLE_TIMEOUT_MS", "7000", "vad_idle_ms", 7000),
        ("FASTBRIDGE_VAD_EAGERNESS", "low", "vad_eagerness", "low"),
        ("FASTBRIDGE_NOISE_REDUCTION", "far_field", "noise_reduction", "far_field"),
        ("FASTBRIDGE_SPEED", "1.1", "speed", 1.1),
        ("FASTBRIDGE_MAX_OUTPUT_TOKENS", "400", "max_output_tokens", 400),
        ("FASTBRIDGE_REASONING_EFFORT", "low", "reasoning_effort", "low"),
        ("FASTBRIDGE_TRANSCRIPTION_LANGUAGE", "he", "transcription_language", "he"),
        ("FASTBRIDGE_TRANSCRIPTION_PROMPT", "Names: Rosa", "transcription_prompt", "Names: Rosa"),
        ("FASTBRIDGE_AGENT", "my_agent:agent", "agent_spec", "my_agent:agent"),
        ("FASTBRIDGE_VOICE", "cedar", "voice", "cedar"),
        ("FASTBRIDGE_LANGUAGE", "he_IL", "language", "he_IL"),
        ("FASTBRIDGE_SAY_LANGUAGE", "he-IL", "say_language", "he-IL"),
        ("FASTBRIDGE_SAY_VOICE", "Google.he-IL-Wavenet-B", "say_voice", "Google.he-IL-Wavenet-B"),
        ("FASTBRIDGE_BUSY_MESSAGE", "תפוס", "busy_message", "תפוס"),
        ("FASTBRIDGE_APOLOGY_MESSAGE", "", "apology_message", ""),
        ("FASTBRIDGE_MAX_CALLS", "7", "max_calls", 7),
        ("FASTBRIDGE_MAX_PENDING_CALLS", "8", "max_pending_calls", 8),
        ("FASTBRIDGE_MAX_CONNECTIONS", "9", "max_connections", 9),
        ("FASTBRIDGE_MAX_CONNECTIONS_PER_IP", "3", "max_connections_per_ip", 3),
        ("LEAD_MS", "0", "lead_ms", 0),
        ("FASTBRIDGE_LEAD_MS", "200", "lead_ms", 200),
        ("BARGE_IN_FRAMES", "4", "barge_in_frames", 4),
        ("BARGE_IN_THRESHOLD_DBFS", "-42.5", "barge_in_threshold_dbfs", -42.5),
        ("ENABLE_MIN_DSP", "0", "enable_min_dsp", False),
        ("FASTBRIDGE_GREETING_LOCK", "0", "greeting_lock", False),
        ("TWIML_SLA_MS", "200", "twiml_sla_ms", 200),
        ("FASTBRIDGE_TICK_US", "2000", "tick_us", 2000),
        ("LOG_LEVEL", "whatever", "log_level", "whatever"),
        ("DEBUG", "0", "debug", "0"),
        ("LOG_JSON", "1", "log_json", True),
        ("LOG_REALTIME_EVENTS", "1", "log_realtime_events", True),
        ("LOG_AUDIO_CHUNKS", "1", "log_audio_chunks", True),
        ("LOG_TRANSCRIPT_DELTAS", "1", "log_transcript_deltas", True),
        ("LOG_TRANSCRIPTS", "0", "log_transcripts", False),
        ("DEBUG_TX", "1", "debug_tx", True),
        ("FASTBRIDGE_MASK", "cards", "mask", "cards"),
        ("FASTBRIDGE_MASK_PATTERNS", '{"p": "POL-[0-9]+"}', "mask_patterns", '{"p": "POL-[0-9]+"}'),
    ],
)
def test_a_setting_comes_from_its_variable(monkeypatch, variable, text, field, value):
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == value


def test_our_own_names_beat_the_borrowed_ones(monkeypatch):
    monkeypatch.setenv("SERVER_VAD_THRESHOLD", "0.3")
    monkeypatch.setenv("FASTBRIDGE_VAD_THRESHOLD", "0.6")
    assert load_settings().vad_threshold == 0.6


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("SERVER_VAD_THRESHOLD", "1.5", "SERVER_VAD_THRESHOLD must be a number from 0 (hears all) to 1, not '1.5'."),
        (
            "FASTBRIDGE_VAD_SILENCE_MS",
            "20",
            "FASTBRIDGE_VAD_SILENCE_MS must be milliseconds from 50 to 10000, not '20'.",
        ),
        (
            "FASTBRIDGE_VAD_IDLE_MS",
            "4999",
            "FASTBRIDGE_VAD_IDLE_MS must be milliseconds from 5000 to 30000, or 0 for never, not '4999'.",
        ),
        (
            "FASTBRIDGE_TURN_DETECTION",
            "none",
            "FASTBRIDGE_TURN_DETECTION must be server_vad or semantic_vad, not 'none'.",
        ),
        (
            "FASTBRIDGE_NOISE_REDUCTION",
            "on",
            "FASTBRIDGE_NOISE_REDUCTION must be none, near_field or far_field, not 'on'.",
        ),
        ("FASTBRIDGE_SPEED", "2", "FASTBRIDGE_SPEED must be a number from 0.25 to 1.5, not '2'."),
        (
            "FASTBRIDGE_MAX_OUTPUT_TOKENS",
            "inf",
            "FASTBRIDGE_MAX_OUTPUT_TOKENS must be a whole number from 1 to 4096, or 0 for no limit, not 'inf'.",
        ),
        (
            "FASTBRIDGE_REASONING_EFFORT",
            "none",
            "FASTBRIDGE_REASONING_EFFORT must be minimal, low, medium, high or xhigh, not 'none'.",
        ),
        (
            "FASTBRIDGE_TRANSCRIPTION_LANGUAGE",
            "Hebrew",
            "FASTBRIDGE_TRANSCRIPTION_LANGUAGE must be a language's code such as en or he, not 'Hebrew'.",
        ),
    ],
)
def test_what_the_model_would_not_take_is_one_sentence(monkeypatch, variable, text, sentence):
    monkeypatch.setenv(variable, text)
    assert complaint() == sentence


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"turn_detection": "semantic_vad", "vad_idle_ms": 6000}, "FASTBRIDGE_VAD_IDLE_MS"),
        ({"vad_eagerness": "low"}, "FASTBRIDGE_VAD_EAGERNESS"),
        ({"reasoning_effort": "low", "model": "gpt-realtime-1.5"}, "FASTBRIDGE_REASONING_EFFORT"),
        ({"reasoning_effort": "low", "model": "gpt-realtime-2025-08-28"}, "FASTBRIDGE_REASONING_EFFORT"),
        ({"reasoning_effort": "low", "model": "gpt-4o-realtime-preview"}, "FASTBRIDGE_REASONING_EFFORT"),
        ({"reasoning_effort": "low", "model": "gpt-realtime-2.1-mini"}, None),
        ({"reasoning_effort": "low", "model": "my-deployment"}, None),
        ({"turn_detection": "semantic_vad", "vad_eagerness": "low", "vad_threshold": 0.9}, None),
        ({"vad_idle_ms": 6000}, None),
    ],
)
def test_what_the_model_takes_together(settings, name):
    given = load_settings(public_url="https://x.example", openai_api_key="sk-x", twilio_auth_token="x" * 32, **settings)
    if name is None:
        given.require_serving()
        return
    with pytest.raises(ConfigError, match=f"^{name} is for "):
        given.require_serving()


def test_overrides_beat_the_environment_which_beats_dot_env(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=1111\nFASTBRIDGE_VOICE=cedar\nUNKNOWN_OF_SOMEBODY=1\n")
    assert load_settings().port == 1111
    monkeypatch.setenv("PORT", "2222")
    assert load_settings().port == 2222
    assert load_settings(port=3333).port == 3333
    assert load_settings().voice == "cedar"


def test_an_unknown_override_is_a_bug_not_a_no_op():
    with pytest.raises(TypeError, match="prot"):
        load_settings(prot=1)


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_words_for_true(monkeypatch, word):
    monkeypatch.setenv("FASTBRIDGE_DEV", word)
    assert load_settings().dev is True


@pytest.mark.parametrize("word", ["0", "false", "No", "OFF", "", "  "])
def test_words_for_false(monkeypatch, word):
    monkeypatch.setenv("FASTBRIDGE_DEV", word)
    assert load_settings().dev is False


@pytest.mark.parametrize("value", ["none", "None"])
def test_none_writes_nothing_down(monkeypatch, value):
    """Empty would be unset, as everywhere."""
    monkeypatch.setenv("FASTBRIDGE_TRANSCRIPTION_MODEL", value)
    assert load_settings().transcription_model == ""
    monkeypatch.setenv("FASTBRIDGE_TRANSCRIPTION_MODEL", "")
    assert load_settings().transcription_model == "gpt-transcribe"
    assert Agent(settings={"transcription_model": value}).settings == {"transcription_model": ""}


def test_empty_means_unset_but_for_the_greeting(monkeypatch):
    for variable in (
        "PORT",
        "OPENAI_API_KEY",
        "TWILIO_ACCOUNT_SID",
        "FASTBRIDGE_INSTRUCTIONS",
        "FASTBRIDGE_RECORDS_DIR",
    ):
        monkeypatch.setenv(variable, "")
    settings = load_settings()
    assert (settings.port, settings.openai_api_key, settings.twilio_account_sid) == (5050, None, None)
    assert settings.records_dir is None
    assert settings.instructions
    assert settings.greeting == DEFAULT_GREETING
    monkeypatch.setenv("FASTBRIDGE_GREETING", "")
    assert load_settings().greeting == ""


def test_settings_are_frozen():
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1


def test_secrets_do_not_show(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {SECRET}\n")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", SECRET)
    settings = load_settings()
    assert settings.openai_api_key.get_secret_value() == SECRET
    assert SECRET not in repr(settings) + str(settings)
    monkeypatch.setenv("PORT", "abc")
    assert SECRET not in complaint()


def test_a_bad_secret_is_not_shown():
    with pytest.raises(ConfigError, match=r"^OPENAI_API_KEY must be an OpenAI API key\.$") as caught:
        load_settings(openai_api_key=BAD_SECRET)
    assert str(BAD_SECRET) not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ValidationError) as bare:
        Settings(openai_api_key=BAD_SECRET)
    assert str(BAD_SECRET) not in str(bare.value)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PORT", "abc", "PORT must be a port number from 0 to 65535, not 'abc'."),
        ("PORT", "65536", "PORT must be a port number from 0 to 65535, not '65536'."),
        ("FASTBRIDGE_DEV", "maybe", "FASTBRIDGE_DEV must be 1 or 0, not 'maybe'."),
        ("FASTBRIDGE_LEAD_MS", "-1", "FASTBRIDGE_LEAD_MS must be milliseconds from 0 to 2000, not '-1'."),
        ("TWILIO_ACCOUNT_SID", "AC12", "TWILIO_ACCOUNT_SID must be AC and 32 hexadecimal digits, not 'AC12'."),
        ("TWILIO_PHONE_NUMBER", "0501234", "TWILIO_PHONE_NUMBER must be a number such as +14155550123, not '0501234'."),
        ("FASTBRIDGE_STREAM_TOKEN_SECONDS", "61", None),
        ("FASTBRIDGE_MASK", "0", "FASTBRIDGE_MASK must be all, cards, identities or none, not '0'."),
        ("FASTBRIDGE_MASK_PATTERNS", "POL-[0-9]+", None),
        ("FASTBRIDGE_MAX_CALLS", "0", None),
        ("BARGE_IN_THRESHOLD_DBFS", "nan", None),
        ("OPENAI_BASE_URL", "api.openai.com", None),
        ("PUBLIC_HOST", "voice example com", None),
        (
            "FASTBRIDGE_LANGUAGE",
            "Hebrew",
            "FASTBRIDGE_LANGUAGE must be a language's code, such as he or de-AT, not 'Hebrew'.",
        ),
        ("FASTBRIDGE_LANGUAGE", "../he", None),
        ("FASTBRIDGE_SAY_LANGUAGE", "he IL", None),
        ("FASTBRIDGE_SAY_VOICE", 'Polly.Amy"/>', None),
        ("FASTBRIDGE_BUSY_MESSAGE", "x" * 1001, None),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_it(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    text = complaint()
    assert text.startswith(f"{variable} must be ")
    assert repr(value[:80]) in text
    assert text.endswith(".")
    assert "\n" not in text
    assert sentence in (None, text)


def test_an_unreadable_dot_env_is_one_sentence(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    assert complaint().startswith("The file .env cannot be read")


@pytest.mark.parametrize("url", ["wss://voice.example.com", "https://voice.example.com?x=1", "https://שלום.example"])
def test_what_is_no_public_url(monkeypatch, url):
    monkeypatch.setenv("PUBLIC_URL", url)
    assert complaint().startswith("PUBLIC_URL must be the address at which Twilio reaches this node")


@pytest.mark.parametrize("variable", ["PUBLIC_URL", "PUBLIC_BASE_URL", "PUBLIC_HOST"])
def test_the_names_of_the_public_url(monkeypatch, variable):
    monkeypatch.setenv(variable, "voice.example.com")
    settings = load_settings()
    assert settings.public_url == "https://voice.example.com"
    assert settings.stream_url == "wss://voice.example.com"


def test_dev_without_a_public_url_is_this_machine():
    settings = load_settings(dev=True, port=6000)
    assert settings.public_url == "http://127.0.0.1:6000"
    assert settings.stream_url == "ws://127.0.0.1:6000"
    assert load_settings(dev=True, public_url="https://x.example").public_url == "https://x.example"


def test_who_checks_no_signatures_is_not_for_the_world_to_find(monkeypatch):
    token = SecretStr(SECRET)
    assert load_settings(dev=True).host == "127.0.0.1"
    assert load_settings(dev=True, twilio_auth_token=token).host == "0.0.0.0"
    assert load_settings(dev=True, host="0.0.0.0").host == "0.0.0.0"
    monkeypatch.setenv("FASTBRIDGE_HOST", "")
    assert load_settings(dev=True).host == "127.0.0.1"
    monkeypatch.setenv("FASTBRIDGE_HOST", "::")
    assert load_settings(dev=True).host == "::"
    assert [load_settings(dev=dev).unsigned for dev in (True, False)] == [True, False]


def test_proxies_are_addresses_or_networks():
    assert load_settings(trusted_proxies="10.0.0.0/8, ::1").trusted_proxies == "10.0.0.0/8, ::1"
    assert "FASTBRIDGE_TRUSTED_PROXIES must be addresses or networks" in complaint(trusted_proxies="10.0.0.1, nginx")


def serving(**changes):
    complete = {
        "openai_api_key": SecretStr(SECRET),
        "public_url": "https://voice.example.com",
        "twilio_auth_token": SecretStr(SECRET),
    }
    load_settings(**(complete | changes)).require_serving()


def test_what_serving_needs():
    serving()
    with pytest.raises(ConfigError, match=r"^PORT and FASTBRIDGE_METRICS_PORT are both 9464: choose another"):
        serving(port=9464)
    serving(port=9464, metrics_port=0)
    serving(port=0, metrics_port=0)
    with pytest.raises(ConfigError, match=r"^OPENAI_API_KEY is missing: set it"):
        serving(openai_api_key=None)
    with pytest.raises(ConfigError, match=r"^PUBLIC_URL is missing: set it to the address"):
        serving(public_url="")
    with pytest.raises(ConfigError, match=r"^TWILIO_AUTH_TOKEN is missing: set it, or set FASTBRIDGE_DEV=1"):
        serving(twilio_auth_token=None)
    with pytest.raises(ConfigError, match=r"^PUBLIC_URL must start with https"):
        serving(public_url="http://voice.example.com")


def test_serving_needs_somebody_to_trust(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(ConfigError, match=r"^SSL_CERT_FILE: '/nowhere.pem' cannot be used"):
        serving()


def test_what_a_machine_that_no_stranger_reaches_may_do_without():
    serving(twilio_auth_token=None, dev=True)
    serving(public_url="http://127.0.0.1:5050")
    serving(public_url="http://voice.example.com", dev=True)
    for base in ("http://127.0.0.1:9/v1", "http://localhost:9/v1", "http://[::1]:9/v1"):
        serving(openai_api_key=None, openai_base_url=base)
    for base in ("https://api.example.com/v1", "http://127.0.0.1.example.com/v1"):
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
            serving(openai_api_key=None, openai_base_url=base)


def test_a_database_address_is_a_secret(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{SECRET}@db/calls")
    settings = load_settings()
    assert SECRET in settings.database_url.get_secret_value()
    assert SECRET not in repr(settings)
    monkeypatch.setenv("DATABASE_URL", "")
    assert load_settings().database_url.get_secret_value() == "sqlite:///fastbridge.db"


@pytest.mark.parametrize(
    ("variable", "word"),
    [
        ("FASTBRIDGE_RECORD_IDENTITIES", "hashed"),
        ("FASTBRIDGE_RECORD_DAYS", "-1"),
        ("FASTBRIDGE_METRICS_PORT", "65536"),
        ("FASTBRIDGE_METRICS_PUBLIC", "perhaps"),
    ],
)
def test_settings_of_records_and_metrics_are_checked(monkeypatch, variable, word):
    monkeypatch.setenv(variable, word)
    with pytest.raises(ConfigError, match=f"{variable} must be .*, not '{word}'"):
        load_settings()


class TestWhatUsedToStartSilently:
    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("FASTBRIDGE_PROMPTS_DIR", "/no/such", "must be a directory that is there, not '/no/such'."),
            ("FASTBRIDGE_VOICE", "marine", f"must be one of {', '.join(VOICES)}, not 'marine'."),
            ("FASTBRIDGE_LANGUAGE", "zz", "must be a language's code, such as he or de-AT, not 'zz'."),
        ],
    )
    def test_a_value_that_is_none(self, monkeypatch, tmp_path, name, value, sentence):
        clear_environment(monkeypatch, tmp_path)
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError) as caught:
            load_settings()
        assert str(caught.value) == f"{name} {sentence}"

    def test_each_dialect_has_its_own(self, monkeypatch, tmp_path):
        clear_environment(monkeypatch, tmp_path)
        monkeypatch.setenv("FASTBRIDGE_VOICE", "vesper")
        assert complaint() == f"FASTBRIDGE_VOICE must be one of {', '.join(VOICES)}, not 'vesper'."
        monkeypatch.setenv("FASTBRIDGE_MODEL", "gpt-live-1")
        assert load_settings().voice == "vesper"
        monkeypatch.setenv("FASTBRIDGE_VOICE", "nobody")
        faults = [fault for fault in load_settings().serving_faults() if "VOICE" in fault]
        assert faults == [f"FASTBRIDGE_VOICE must be one of {', '.join(LIVE_VOICES)}, not 'nobody'."]

    def test_another_service_has_voices_of_its_own(self, monkeypatch, tmp_path):
        clear_environment(monkeypatch, tmp_path)
        monkeypatch.setenv("FASTBRIDGE_VOICE", "Ara")
        monkeypatch.setenv("OPENAI_BASE_URL", "https://realtime.example.com/v1")
        assert load_settings().voice == "Ara"


@pytest.mark.parametrize(
    ("given", "model", "live"),
    [
        ("GPT-Live-1", "gpt-live-1", True),
        ("Gpt-LIVE-1-Mini", "gpt-live-1-mini", True),
        ("gpt-live-1", "gpt-live-1", True),
        ("My-Deployment", "My-Deployment", False),
    ],
)
def test_a_live_model_is_one_however_its_name_is_typed(monkeypatch, given, model, live):
    monkeypatch.setenv("FASTBRIDGE_MODEL", given)
    monkeypatch.setenv("FASTBRIDGE_BUDGET_MODEL", given)
    settings = load_settings()
    assert (settings.model, settings.budget_model, settings.live) == (model, model, live)


@pytest.mark.parametrize("given", ["", "  "])
def test_without_a_name_the_model_behind_a_live_one_is_the_default(monkeypatch, given):
    monkeypatch.setenv("FASTBRIDGE_LIVE_BACKEND_MODEL", given)
    assert load_settings().live_backend_model == "gpt-5.5"
