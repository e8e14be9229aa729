"""Which model a call has: the node's, or its agent's own; and what it makes of the call."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.call.answering import KEPT_FIELDS
from fastbridge.config import Settings, load_settings
from fastbridge.errors import ConfigError
from fastbridge.model.live.session import Session as LiveSession
from fastbridge.model.realtime.session import Session
from live_rig import LiveRig
from virtual import Rig


def settings(**given: Any) -> Settings:
    return Settings.model_construct(**given)


@pytest.mark.parametrize(
    ("own", "node", "model"),
    [("", "gpt-x", "gpt-x"), ("gpt-live-1", "gpt-x", "gpt-live-1"), ("gpt-y", "gpt-live-1", "gpt-y")],
)
def test_an_agents_own_comes_first(own, node, model):
    assert Agent(model=own).call_settings(settings(model=node)).model == model


def test_a_number_may_have_its_own():
    agent = Agent()
    agent.for_number("+14155550123", model="gpt-live-1")
    assert [each.model for each in agent.variants()] == ["", "gpt-live-1"]


@pytest.mark.parametrize(
    ("name", "live"), [("gpt-live-1", True), ("gpt-live-1.1-2026-09-10", True), ("gpt-realtime-2.1", False)]
)
def test_its_name_says_which_dialect_it_speaks(name, live):
    assert settings(model=name).live is live


@pytest.mark.parametrize("variable", ["FASTBRIDGE_MODEL", "OPENAI_REALTIME_MODEL"])
def test_either_name_of_the_setting_will_do(monkeypatch, tmp_path, variable):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "gpt-live-1")
    assert load_settings().model == "gpt-live-1"


def test_the_newer_name_wins(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_REALTIME_MODEL", "gpt-realtime-2.1")
    monkeypatch.setenv("FASTBRIDGE_MODEL", "gpt-live-1")
    assert load_settings().model == "gpt-live-1"


def test_azure_has_none():
    azure = settings(model="gpt-live-1", azure_openai_endpoint="https://x.openai.azure.com")
    with pytest.raises(ConfigError, match="gpt-live-1 is not to be had at AZURE_OPENAI_ENDPOINT"):
        azure.require_session()


def test_a_call_speaks_its_models_dialect():
    for rig, kind in ((Rig(), Session), (LiveRig(), LiveSession)):
        assert type(rig.call.session) is kind
        assert (rig.call.assistant.gate is not None) is (kind is LiveSession)
        rig.shut()


def test_on_call_is_too_late_to_change_it():
    assert "model" in KEPT_FIELDS
    rig = LiveRig()
    found = rig.call.answering._session_settings(Agent(model="gpt-realtime-2.1", settings={"speed": 1.2}))
    assert (found.model, found.speed) == ("gpt-live-1", 1.2)
    rig.shut()


def test_whom_only_the_model_hears_interrupts_nothing_where_it_stops_by_itself():
    for rig, yields in ((Rig(), False), (LiveRig(), True)):
        assert rig.call.barge_in._yields is yields
        rig.shut()
