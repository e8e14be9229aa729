"""fastbridge.model.live.session_config: what a session is told, as the SDK's own types have it."""

from typing import Any

import pytest
from openai.types.live import ForkSessionConfig, SessionConfig
from pydantic import TypeAdapter

from fastbridge.agent import Agent
from fastbridge.config import Settings
from fastbridge.model.live.session_config import NO_HANDS, fork_config, session_config
from live_rig import strangers


def config(agent: Agent, items: Any = (), **settings: Any) -> dict[str, Any]:
    return session_config(agent, Settings.model_construct(model="gpt-live-1", **settings), list(items))


@pytest.fixture
def agent() -> Agent:
    agent = Agent(instructions="Sell shoes.", voice="cedar", hang_up=True, transfer_to={"boss": "+14155550188"})

    @agent.tool
    def price(size: int) -> int:
        """What a pair costs."""
        return size

    return agent


def test_is_what_the_service_takes(agent):
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    made = TypeAdapter(SessionConfig).validate_python(config(agent, [item]))
    assert strangers(made) == []
    assert made.audio is not None
    assert made.audio.format.rate == 8000
    assert strangers(TypeAdapter(ForkSessionConfig).validate_python(fork_config())) == []


def test_has_the_agents_words_voice_and_tools(agent):
    session = config(agent)
    assert session["instructions"] == f"Sell shoes.\n\n{NO_HANDS}"
    assert session["audio"]["output"] == {"voice": "cedar"}
    behind = session["delegation"]["responses"]
    assert behind["instructions"].startswith("Sell shoes.\n\n")
    assert [tool["name"] for tool in behind["tools"]] == ["price", "hang_up", "transfer_call"]
    assert "input" not in session


def test_is_not_stored_unless_it_is_wanted(agent):
    assert [config(agent)["store"], config(agent, live_store=True)["store"]] == [False, True]


def test_who_works_behind_the_voice_and_how_hard(agent):
    behind = config(agent)["delegation"]["responses"]
    assert (behind["model"], "reasoning" in behind) == ("gpt-5.5", False)
    behind = config(agent, live_backend_model="gpt-x", reasoning_effort="low")["delegation"]["responses"]
    assert (behind["model"], behind["reasoning"]) == ("gpt-x", {"effort": "low"})


@pytest.mark.parametrize("record", ["after_consent", "local_after_consent", "local", ""])
def test_the_voice_is_told_to_ask_where_recording_waits_for_consent(record):
    """As with the Realtime API; and what is to be done then it hands on, for it has no tools."""
    session = config(Agent(instructions="Sell shoes.", record=record))
    behind = session["delegation"]["responses"]
    asks = "recorded only if the caller agrees" in session["instructions"]
    assert asks is (record in ("after_consent", "local_after_consent"))
    assert ("record_call" in [tool["name"] for tool in behind["tools"]]) is asks
    assert "tool" not in session["instructions"]
    assert session["instructions"].endswith(NO_HANDS)
    assert "recorded only if" not in behind["instructions"]  # who has the tools does not ask
