"""A word in between while a tool takes long: a caller who hears nothing thinks that the line is dead.

While any tool runs, nothing is said and the caller does not speak, a filler is asked for after FIRST_SECONDS of quiet
and every `seconds` from then on. The model speaks it, as one more response: in the same voice and language, and open to
interruption like any other. It is never queued: when its moment has passed it is not said.
"""

from collections.abc import Callable
from typing import Protocol

from fastbridge.agent import Tool
from fastbridge.clock import Clock, Deadline

FIRST_SECONDS = 2.0
CHECK_SECONDS = 0.25
ANY_WORDS = (
    "You are still looking something up for the caller. In the language of the conversation, say so in at most eight "
    "words, differently from before. Say nothing else and promise nothing."
)


class Workplace(Protocol):
    """What the filler asks of its call."""

    @property
    def running_tools(self) -> list[Tool]: ...
    @property
    def speechless(self) -> bool:
        """Nothing is being said or about to be, and the caller does not speak."""


class Filler:
    """seconds: between fillers; 0 for none. words: the agent's own (`Agent.filler`). say(instructions): ask for one."""

    def __init__(self, workplace: Workplace, clock: Clock, *, seconds: float, say: Callable[[str], object]) -> None:
        self.words: str | None = None
        self.said = 0
        self._workplace = workplace
        self._clock = clock
        self._seconds = seconds
        self._say = say
        self._quiet_ns: int | None = None
        self._last_ns: int | None = None
        self._check = Deadline(clock, self._look)

    def tool_started(self) -> None:
        if self._seconds and self._quiet_ns is None:
            self._look()

    def close(self) -> None:
        self._check.clear()
        self._quiet_ns = self._last_ns = None

    def _look(self) -> None:
        tools = self._workplace.running_tools
        if not tools:
            self.close()
            return
        now = self._clock.now_ns()
        if not self._workplace.speechless or self._quiet_ns is None:
            self._quiet_ns = now
        elif now - self._quiet_ns >= min(FIRST_SECONDS, self._seconds) * 1e9 and self._due(now):
            instructions = self._instructions(tools)
            if instructions:
                self._last_ns = now
                self.said += 1
                self._say(instructions)
        self._check.set(CHECK_SECONDS)

    def _due(self, now: int) -> bool:
        return self._last_ns is None or now - self._last_ns >= self._seconds * 1e9

    def _instructions(self, tools: list[Tool]) -> str:
        """What to say for these: the words of the first that has its own, else the agent's; empty for silence."""
        for tool in tools:
            if tool.filler:
                return exactly(tool.filler)
        if all(tool.filler == "" for tool in tools) or self.words == "":
            return ""
        return exactly(self.words) if self.words else ANY_WORDS


def exactly(text: str) -> str:
    """Instructions to say this."""
    return f"Say exactly this, and nothing else: {text}"
