"""A word in between while a tool takes long, in the words its author chose.

When it is time is not decided here but by who watches the caller's waiting. Where the agent or the tool has words of
its own, the model speaks them, in its own voice and open to interruption like all it says; where one wants silence
there is silence; else a recording is played. It is never queued: when its moment has passed it is not said.
"""

from collections.abc import Callable
from typing import Protocol

from fastbridge.agent.tool import Tool


class Workplace(Protocol):
    """What the filler asks of its call."""

    @property
    def running_tools(self) -> list[Tool]: ...
    @property
    def speechless(self) -> bool:
        """The model has nothing else to say, and could."""


class Filler:
    """words: the agent's own; None for a recording, empty for silence. say(instructions): have the model say it."""

    def __init__(self, workplace: Workplace, say: Callable[[str], object]) -> None:
        self.words: str | None = None
        self.said = 0
        self._workplace = workplace
        self._say = say

    def fill(self) -> bool:
        """The caller has waited for a tool long enough. True: it is seen to; False: a recording is wanted."""
        tools = self._workplace.running_tools
        words = self._words(tools)
        if words == "":
            return True
        if words is None or not self._workplace.speechless:
            return False
        self.said += 1
        self._say(exactly(words))
        return True

    def _words(self, tools: list[Tool]) -> str | None:
        """Those of the first tool that has any; silence only where all want it."""
        own = [self.words if tool.filler is None else tool.filler for tool in tools]
        spoken = [words for words in own if words != ""]
        return next((words for words in spoken if words), None) if spoken or not own else ""


def exactly(text: str) -> str:
    """Instructions to say this."""
    return f"Say exactly this, and nothing else: {text}"
