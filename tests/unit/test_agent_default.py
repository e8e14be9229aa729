"""fastbridge.agent.default: who answers when the user gives nobody."""

import pytest

from fastbridge.agent.default import default_agent
from fastbridge.base.languages import LANGUAGES
from fastbridge.config import DEFAULT_GREETING, DEFAULT_INSTRUCTIONS, Settings


def test_the_default_agent_is_what_the_environment_says():
    settings = Settings.model_construct(instructions="Be brief.", greeting="Hi.", voice="cedar")
    agent = default_agent(settings)
    assert (agent.instructions, agent.greeting, agent.voice, agent.tools) == ("Be brief.", "Hi.", "cedar", [])
    assert agent.greeting_lock is None


@pytest.mark.parametrize(
    ("given", "greeting", "speaks"),
    [
        ({}, DEFAULT_GREETING, ""),
        ({"language": "he-IL"}, LANGUAGES["he"].greeting, "Speak Hebrew, unless"),
        ({"language": "pt"}, DEFAULT_GREETING, "Speak pt, unless"),
        ({"language": "he", "greeting": DEFAULT_GREETING}, DEFAULT_GREETING, "Speak Hebrew, unless"),
        ({"language": "he", "greeting": ""}, "", "Speak Hebrew, unless"),
        ({"language": "he", "instructions": "Be brief."}, LANGUAGES["he"].greeting, ""),
    ],
)
def test_the_default_agent_has_a_language(given, greeting, speaks):
    agent = default_agent(Settings.model_construct(**given))
    assert (agent.language, agent.greeting) == (given.get("language", ""), greeting)
    own = given.get("instructions", DEFAULT_INSTRUCTIONS)
    assert agent.instructions.startswith(own)
    assert agent.instructions.removeprefix(own).strip().startswith(speaks)
    assert speaks or agent.instructions == own
