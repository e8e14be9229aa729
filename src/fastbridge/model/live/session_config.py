"""What a session is told of itself when it starts: all of it in one message, for nothing of it can be changed later.

A Live model has a voice and no hands. What is to be done or looked up it hands on, to another model behind it that has
the agent's tools; and it has to be told so, or it says that things are done which nobody did.
"""

from typing import Any

from fastbridge.agent.definition import Agent
from fastbridge.agent.tool import Tool
from fastbridge.config import Settings
from fastbridge.model.instructions import ASK_CONSENT_WITHOUT_HANDS

PCMU = {"type": "audio/pcmu", "rate": 8000}
"""With its rate, which the other dialect refuses."""
NO_HANDS = (
    "You have a voice and no hands: by yourself you can neither look anything up nor do anything. Whatever has to be "
    "looked up, checked, booked, changed, sent, or done to this phone call (ending it, connecting the caller to "
    "somebody else) you delegate, each time, at once. Until that work has told you its result, say only that you are "
    "seeing to it: never that it is done, and never what came of it."
)
BEHIND_THE_VOICE = (
    "You do the work behind a voice assistant that is on a phone call. It speaks; you have the tools. Use them for "
    "what is asked, and answer with what came of it in one or two plain sentences, to be said aloud. Where something "
    "cannot be done, say so."
)


def session_config(agent: Agent, settings: Settings, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The `session` of `session.start`. settings: the agent's own. items: what was said before."""
    session: dict[str, Any] = {
        "model": settings.model,
        "instructions": "\n\n".join(_told(agent)),
        "store": settings.live_store,
        "audio": {"format": PCMU, "output": {"voice": agent.voice}},
        "delegation": {"type": "responses", "responses": _backend(agent, settings)},
    }
    return {**session, "input": items} if items else session


def _told(agent: Agent) -> list[str]:
    """What the voice is told, in paragraphs."""
    return [agent.instructions, *([ASK_CONSENT_WITHOUT_HANDS] if agent.asks_consent else []), NO_HANDS]


def fork_config() -> dict[str, Any]:
    """The same for a session that continues a stored one, and has its settings from there."""
    return {"audio": {"format": PCMU}}


def _backend(agent: Agent, settings: Settings) -> dict[str, Any]:
    effort = settings.reasoning_effort
    return {
        "model": settings.live_backend_model,
        "instructions": f"{agent.instructions}\n\n{BEHIND_THE_VOICE}",
        "parallel_tool_calls": True,
        "tools": [_definition(tool) for tool in agent.all_tools],
        **({"reasoning": {"effort": effort}} if effort is not None else {}),
    }


def _definition(tool: Tool) -> dict[str, Any]:
    return dict(tool.definition())
