"""The filler while a tool takes long: a word in between, of its author's choice.

When it is time is not decided here but by who watches the caller's waiting. Where the agent or the tool has words of
its own, the model speaks them, in its own voice and open to interruption like all it says; where one wants silence
there is silence; else a recording is played. It is never queued: when its moment has passed it is not said.
"""

from typing import Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.tool import Tool
from fastbridge.call.happenings import RecordingDue
from fastbridge.config import Settings
from fastbridge.model.port import Model, Tell, saying


class Workplace(Protocol):
    """What the filler asks of its call."""

    @property
    def running_tools(self) -> list[Tool]: ...
    @property
    def speechless(self) -> bool:
        """The model has nothing else to say, and could."""


class ToolFiller:
    """words: the agent's own; None for a recording, empty for silence. tell: to whoever plays recordings."""

    def __init__(self, words: str | None, *, workplace: Workplace, session: Model, tell: Tell) -> None:
        self.words = words
        self._workplace = workplace
        self._session = session
        self._tell = tell

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self.words = agent.filler

    def due(self, cause: str, in_row: int, silent_ms: int) -> None:
        """The caller has waited long enough, for whatever it was."""
        if cause != "tool" or not self.fill():
            self._tell(RecordingDue(cause, in_row, silent_ms))

    def fill(self) -> bool:
        """The caller has waited for a tool long enough. True: it is seen to; False: a recording is wanted."""
        tools = self._workplace.running_tools
        words = self._words(tools)
        if words == "":
            return True
        if words is None or not self._workplace.speechless:
            return False
        if self._session.ready:
            self._session.responses.create("filler", saying(words))
        return True

    def _words(self, tools: list[Tool]) -> str | None:
        """Those of the first tool that has any; silence only where all want it."""
        own = [self.words if tool.filler is None else tool.filler for tool in tools]
        spoken = [words for words in own if words != ""]
        return next((words for words in spoken if words), None) if spoken or not own else ""
