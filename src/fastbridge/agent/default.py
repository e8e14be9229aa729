"""The agent that answers when the user gives none."""

from fastbridge.agent.definition import Agent
from fastbridge.base import languages
from fastbridge.config import DEFAULT_INSTRUCTIONS, Settings


def default_agent(settings: Settings) -> Agent:
    """The agent that answers when the user gives none: what the environment says, else its own words in the
    environment's language."""
    instructions, greeting, spoken = settings.instructions, settings.greeting, languages.known(settings.language)
    if settings.language and instructions == DEFAULT_INSTRUCTIONS:
        instructions += f" Speak {languages.name(settings.language)}, unless the caller speaks another language."
    if spoken is not None and "greeting" not in settings.model_fields_set:
        greeting = spoken.greeting
    return Agent(instructions=instructions, greeting=greeting, voice=settings.voice, language=settings.language)
