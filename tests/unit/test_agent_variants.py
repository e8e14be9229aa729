"""fastbridge.agent.variants: what differs by number and by business."""

from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.agent.definition import tool_from
from fastbridge.errors import ConfigError
from virtual import call_context


def test_by_number_and_by_business_which_wins() -> None:
    agent = Agent(greeting="Hello.", settings={"silence_seconds": 9})
    agent.for_number("+14155550123", greeting="Number.", voice="cedar", settings={"silence_prompts": 1})
    agent.for_business("7", greeting="Business.", settings={"barge_in_frames": 3})

    def of(number: str, business: str) -> tuple[str, str, dict[str, Any]]:
        parameters = {"business_id": business} if business else {}
        found = agent.for_call(call_context(to_number=number, parameters=parameters))
        return found.greeting, found.voice, dict(found.settings)

    assert of("+14155550199", "") == ("Hello.", "marin", {"silence_seconds": 9})
    assert of("+14155550123", "")[:2] == ("Number.", "cedar")
    assert of("+14155550199", "7")[:2] == ("Business.", "marin")
    both = {"silence_seconds": 9, "silence_prompts": 1, "barge_in_frames": 3}
    assert of("+14155550123", "7") == ("Business.", "cedar", both)
    assert agent.greeting == "Hello."
    assert [each.greeting for each in agent.variants()] == ["Hello.", "Number.", "Business."]


def test_a_name_wins_over_both() -> None:
    agent = Agent(greeting="Hello.")
    agent.for_number("+14155550123", voice="cedar", settings={"silence_prompts": 1, "silence_seconds": 9})
    agent.for_business("7", greeting="Business.", settings={"silence_seconds": 8})
    agent.for_name("reminder", greeting="Name.", settings={"silence_seconds": 7})
    found = agent.for_call(call_context(to_number="+14155550123", parameters={"business_id": "7", "agent": "reminder"}))
    assert (found.greeting, found.voice) == ("Name.", "cedar")
    assert dict(found.settings) == {"silence_prompts": 1, "silence_seconds": 7}
    assert (agent.names, agent.knows_name("reminder"), agent.knows_name("other")) == (["reminder"], True, False)
    assert agent.for_call(call_context(parameters={"agent": "other"})).greeting == "Hello."


def test_a_copy_is_one_and_has_none() -> None:
    agent = Agent(greeting="Hello.")
    agent.for_business("7", greeting="Business.")
    copy = agent.changed(voice="cedar")
    copy.for_business("8", greeting="Other.")
    assert ([each.greeting for each in copy.variants()], len(agent.variants())) == (["Hello.", "Other."], 2)


def test_businesses_that_are_known() -> None:
    agent = Agent()
    assert agent.knows_business("9")
    agent.for_business("7", greeting="Business.")
    assert (agent.knows_business("7"), agent.knows_business("9")) == (True, False)


def test_what_is_wrong_is_told_where_it_is_written() -> None:
    changes: dict[str, Any] = {"greting": "Hi."}
    for wrong in (
        lambda: Agent().for_number("4155550123", greeting="Hi."),
        lambda: Agent().for_business("", greeting="Hi."),
        lambda: Agent().for_name("a b", greeting="Hi."),
        lambda: Agent().for_name("", greeting="Hi."),
        lambda: Agent().for_number("+14155550123", **changes),
        lambda: Agent().for_business("7", **changes),
        lambda: Agent(variables={"name": ""}).for_business("7", greeting="Hi {nmae}."),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_each_call_has_an_agent_of_its_own() -> None:
    agent = Agent()
    first, second = agent.for_call(call_context()), agent.for_call(call_context())
    first.tools.append(tool_from(lambda: None, name="mine"))
    assert (agent.tools, second.tools) == ([], [])
