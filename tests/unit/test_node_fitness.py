import json

import pytest

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.config import load_settings
from fastbridge.errors import ConfigError
from fastbridge.model.usage import KINDS
from fastbridge.node import fitness
from fastbridge.node.node import Node


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    for name, value in {"OPENAI_API_KEY": "sk-x", "TWILIO_AUTH_TOKEN": "x", "PUBLIC_URL": "https://a.example"}.items():
        monkeypatch.setenv(name, value)


def test_what_works_is_loaded():
    settings, wrong = fitness.load_what_works()
    assert (settings, wrong) == (load_settings(), {})
    assert list(fitness.faults(settings)) == []


def test_what_cannot_work_is_told_whole_and_the_rest_is_loaded(monkeypatch):
    for name, value in {"PORT": "abc", "LEAD_MS": "-1", "FASTBRIDGE_VOICE": "nobody"}.items():
        monkeypatch.setenv(name, value)
    settings, wrong = fitness.load_what_works()
    assert wrong["port"] == "PORT must be a port number from 0 to 65535, not 'abc'."
    assert list(wrong) == ["port", "voice", "lead_ms"]
    assert [sentence.split()[0] for sentence in wrong.values()] == ["PORT", "FASTBRIDGE_VOICE", "LEAD_MS"]
    assert (settings.port, settings.lead_ms, settings.public_url) == (5050, 160, "https://a.example")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value) == wrong["port"], "the start says the first of them"


def test_a_file_that_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    settings, wrong = fitness.load_what_works()
    [sentence] = wrong.values()
    assert settings is None
    assert sentence.startswith("The file .env cannot be read")


def test_all_faults_are_told(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    wrong = {"workers": 2, "metrics_port": 5050, "prices": "{", "database_url": "nothing", "vad_eagerness": "low"}
    settings = load_settings(**wrong).model_copy(update={"openai_api_key": None, "twilio_auth_token": None})
    found = list(fitness.faults(settings))
    words = ("OPENAI_API_KEY", "FASTBRIDGE_METRICS_PORT", "TWILIO_AUTH_TOKEN", "FASTBRIDGE_VAD_EAGERNESS")
    words += ("Several workers need Linux", "FASTBRIDGE_PRICES", "DATABASE_URL")
    assert [word in sentence for word, sentence in zip(words, found, strict=True)] == [True] * 7
    with pytest.raises(ConfigError) as caught:
        settings.require_serving()
    assert str(caught.value) == found[0]


def test_where_recordings_are_to_go_is_looked_at_and_not_made(tmp_path):
    assert list(fitness.faults(load_settings(recordings_url=str(tmp_path / "files")))) == []
    assert not (tmp_path / "files").exists()
    (sentence,) = fitness.faults(load_settings(recordings_url="ftp://x"))
    assert sentence.startswith("FASTBRIDGE_RECORDINGS_URL must be a folder")
    for url in ("http://x/y", "s3://"):
        with pytest.raises(ConfigError, match=r"^FASTBRIDGE_RECORDINGS_URL "):
            fitness.require_fit(load_settings(recordings_url=url), Agent())
    (sentence,) = fitness.faults(load_settings(recordings_url="x", database_url="none"))
    assert "DATABASE_URL" in sentence


def test_nothing_is_opened_or_made(tmp_path):
    list(fitness.faults(load_settings(database_url="sqlite:///calls.db")))
    assert list(fitness.faults(load_settings(database_url="none"))) == []
    assert list(tmp_path.iterdir()) == []


def test_an_agent_whose_settings_do_not_go_with_the_nodes():
    agent = Agent(settings={"turn_detection": "semantic_vad"})
    agent.for_number("+14155550123", settings={"vad_idle_ms": 6000})
    agent.for_business("456", settings={"turn_detection": "server_vad", "vad_eagerness": "low"})
    settings = load_settings(database_url="none", metrics_port=0)
    found = list(fitness.agent_faults(settings, agent))
    assert [sentence.split()[0] for sentence in found] == ["FASTBRIDGE_VAD_IDLE_MS", "FASTBRIDGE_VAD_EAGERNESS"]
    with pytest.raises(ConfigError) as caught:
        Node(settings, agent)
    assert str(caught.value) == found[0], "the start says the same"
    assert list(fitness.agent_faults(settings, Agent())) == []


def test_what_is_wrong_with_the_node_is_not_the_agents_fault():
    settings = load_settings(vad_eagerness="low")
    assert list(fitness.faults(settings)) != []
    assert list(fitness.agent_faults(settings, Agent())) == []


def test_advice_is_of_the_environment_the_records_and_the_agent(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTBRIDGE_VOIEC", "marin")
    (tmp_path / "file").touch()
    agent = Agent()
    agent.tool(lambda: "x")
    found = fitness.advice(load_settings(database_url="none", records_dir=tmp_path / "file"), agent)
    assert [sentence.split()[0] for sentence in found[:2]] == ["FASTBRIDGE_VOIEC", "FASTBRIDGE_RECORDS_DIR:"]
    assert found[2:] == agent.advice() != []
    assert fitness.record_faults(load_settings(database_url="none")) == []


def test_what_gpt_live_is_not_told_of_is_advice(monkeypatch):
    """Who moves an agent there finds out which settings stay behind."""
    monkeypatch.setenv("FASTBRIDGE_SPEED", "1.2")
    monkeypatch.setenv("SERVER_VAD_SILENCE_MS", "900")
    own = Agent(settings={"noise_reduction": "far_field", "barge_in_frames": 4})
    assert list(fitness.unheeded(load_settings(), own)) == []
    live = load_settings(model="gpt-live-1")
    sentence = "FASTBRIDGE_NOISE_REDUCTION, FASTBRIDGE_SPEED, FASTBRIDGE_VAD_SILENCE_MS: of no effect with gpt-live-1."
    assert list(fitness.unheeded(live, own)) == [sentence]
    assert sentence in fitness.advice(live, own)
    own.for_number("+14155550123", model="gpt-realtime-2.1")  # whose they are
    assert list(fitness.unheeded(live, own)) == ["FASTBRIDGE_NOISE_REDUCTION: of no effect with gpt-live-1."]
    assert list(fitness.unheeded(live, Agent(model="gpt-realtime-2.1"))) == []


def test_a_folder_for_files_that_cannot_be_is_told_and_is_the_workers_affair(tmp_path):
    (tmp_path / "file").touch()
    settings = load_settings(recordings_url=str(tmp_path / "file" / "x"), database_url="sqlite:///x.db")
    fitness.require_fit(settings, Agent())
    (sentence,) = fitness.files_advice(settings)
    assert sentence.startswith(f"FASTBRIDGE_RECORDINGS_URL: '{tmp_path}/file/x' cannot be made or written (Not a dir")
    assert sentence in fitness.advice(settings, Agent())
    for url in (str(tmp_path / "x"), "s3://bucket/x", "http://x/y", None):
        assert list(fitness.files_advice(load_settings(recordings_url=url))) == []


def test_a_bad_price_list_ends_at_the_start():
    with pytest.raises(ConfigError, match="FASTBRIDGE_PRICES"):
        fitness.require_fit(load_settings(prices="{"), Agent())


@pytest.mark.parametrize("variable", ["call_budget_usd", "business_budget_usd", "day_budget_usd"])
def test_dollars_of_a_model_without_a_price_cannot_be_counted(variable):
    settings = load_settings(model="my-model", **{variable: 1.0})
    with pytest.raises(ConfigError, match=rf"FASTBRIDGE_{variable.upper()} needs the price of my-model"):
        fitness.require_fit(settings, Agent())
    prices = dict.fromkeys(("text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out"), 1)
    fitness.require_fit(settings.model_copy(update={"prices": json.dumps({"my-model": prices})}), Agent())


def test_nor_those_of_an_agents_own_budget():
    with pytest.raises(ConfigError, match="needs the price"):
        fitness.require_fit(load_settings(model="my-model"), Agent(settings={"call_budget_usd": 1.0}))
    fitness.require_fit(load_settings(model="my-model", call_budget_tokens=5), Agent())


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ("local", "record='local' needs FASTBRIDGE_RECORDINGS_DIR: set it to a directory."),
        ("local_after_consent", "record='local_after_consent' needs FASTBRIDGE_RECORDINGS_DIR: set it to a directory."),
        ("carrier", "record='carrier' needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: set them"),
        ("after_consent", "record='after_consent' needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: set them"),
    ],
)
def test_a_recording_needs_its_place(record, sentence, tmp_path):
    agent = Agent()
    agent.for_business("7", record=record)
    (found,) = fitness.agent_faults(load_settings(), agent)
    assert found.startswith(sentence)
    with pytest.raises(ConfigError) as caught:
        fitness.require_fit(load_settings(), agent)
    assert str(caught.value) == found
    enough = load_settings(recordings_dir=tmp_path, twilio_account_sid="AC" + "0" * 32)
    fitness.require_fit(enough, agent)
    assert list(fitness.agent_faults(enough, agent)) == []


def test_a_folder_for_recordings_that_cannot_be_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    settings = load_settings(recordings_dir=tmp_path / "file")
    with pytest.raises(ConfigError, match=r"FASTBRIDGE_RECORDINGS_DIR: .* cannot be made or written"):
        fitness.require_fit(settings, Agent(record="local"))
    fitness.require_fit(settings, Agent())
    fitness.require_fit(load_settings(recordings_dir=tmp_path / "new" / "folder"), Agent(record="local"))
    assert not (tmp_path / "new").exists()


def test_tokens_are_no_limit_for_a_model_that_is_billed_by_the_minute():
    with pytest.raises(ConfigError, match="FASTBRIDGE_CALL_BUDGET_TOKENS is no limit for gpt-live-1"):
        fitness.require_fit(load_settings(model="gpt-live-1", call_budget_tokens=400), Agent())
    with pytest.raises(ConfigError, match="is no limit for gpt-live-1"):
        fitness.require_fit(load_settings(call_budget_tokens=400), Agent(model="gpt-live-1"))


def test_nor_is_such_a_model_billed_by_the_token():
    prices = json.dumps({"gpt-live-1": dict.fromkeys(KINDS, 1)})
    with pytest.raises(ConfigError, match="FASTBRIDGE_PRICES has gpt-live-1 by the token"):
        fitness.require_fit(load_settings(model="GPT-Live-1", prices=prices), Agent())


MINUTES = json.dumps({"gpt-live-1": {"minute": 0.05}, "gpt-live-mini": {"minute": 0.02}, "my-model": {"minute": 0.02}})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "FASTBRIDGE_BUDGET_MODEL=gpt-realtime-mini is for a budget's end: set a budget, too, or unset it."),
        (
            {"day_budget_usd": 1, "budget_model": "gpt-live-1", "prices": MINUTES},
            "FASTBRIDGE_BUDGET_MODEL=gpt-live-1 is spoken to otherwise than gpt-realtime-2.1: take one of its kind.",
        ),
        (
            {"day_budget_usd": 1, "model": "gpt-live-1", "prices": MINUTES},
            "FASTBRIDGE_BUDGET_MODEL=gpt-realtime-mini is spoken to otherwise than gpt-live-1: take one of its kind.",
        ),
        (
            {"day_budget_usd": 1, "budget_model": "mine"},
            "FASTBRIDGE_BUDGET_MODEL needs the price of mine: give it in FASTBRIDGE_PRICES.",
        ),
        (
            {"call_budget_tokens": 9, "model": "mine"},
            "FASTBRIDGE_BUDGET_MODEL needs the price of mine: give it in FASTBRIDGE_PRICES.",
        ),
        (
            {"call_budget_usd": 1, "model": "gpt-realtime-mini", "budget_model": "gpt-realtime-2"},
            "FASTBRIDGE_BUDGET_MODEL=gpt-realtime-2 is not cheaper than gpt-realtime-mini: take another, or unset it.",
        ),
        (
            {"call_budget_usd": 1, "budget_model": "my-model", "prices": MINUTES},
            "FASTBRIDGE_BUDGET_MODEL=my-model is not cheaper than gpt-realtime-2.1: take another, or unset it.",
        ),
    ],
)
def test_a_model_at_a_budgets_end_that_is_none(given, sentence):
    given = {"budget_model": "gpt-realtime-mini", **given}
    agents = {name: given[name] for name in ("budget_model", "call_budget_usd", "call_budget_tokens") if name in given}
    nodes = {name: value for name, value in given.items() if name not in agents}
    for settings, agent in ((load_settings(**given), Agent()), (load_settings(**nodes), Agent(settings=agents))):
        with pytest.raises(ConfigError) as caught:
            fitness.require_fit(settings, agent)
        assert str(caught.value) == sentence


def test_a_model_at_a_budgets_end():
    fitness.require_fit(load_settings(call_budget_usd=1, budget_model="gpt-realtime-2.1-mini"), Agent())
    fitness.require_fit(
        load_settings(model="gpt-live-1", business_budget_usd=1, budget_model="gpt-live-mini", prices=MINUTES), Agent()
    )


def test_a_voice_that_the_model_does_not_have():
    live, realtime = load_settings(model="gpt-live-1"), load_settings()
    fitness.require_fit(live, Agent(voice="vesper"))
    with pytest.raises(ConfigError, match=r"voice must be one of alloy, ash, ballad, cedar, .*, not 'vesper'"):
        fitness.require_fit(realtime, Agent(voice="vesper"))
    (found,) = fitness.agent_faults(realtime, Agent(voice="vesper"))
    assert "beacon" not in found
    assert list(fitness.agent_faults(live, Agent(voice="vesper"))) == []
