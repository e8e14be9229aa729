"""A tool runner alone: its loop is virtual, and what it answers and reports is written down."""

import asyncio
from typing import Any

from fastbridge.agent import Agent
from fastbridge.agent.tools import ToolRunner
from fastbridge.base.conversation import ToolCall
from spawning import Spawning
from virtual import call_context


class ToolRig(Spawning):
    def __init__(self) -> None:
        super().__init__()
        self.agent = Agent()
        self.journal: list[tuple[str, ...]] = []
        """Answers and proceeds, in order."""
        self.reports: list[tuple[str, str, int]] = []
        self.outputs: list[str] = []
        self.late: list[tuple[Any, ...]] = []
        self.runner = ToolRunner(
            agent=self.agent,
            context=call_context(parameters={"business_id": "7"}),
            clock=self.loop.clock,
            spawn=self.spawn,
            answer=lambda call, output: self.journal.append((call.call_id, output)),
            proceed=lambda answered: self.journal.append(("proceed",)),
            overrun=lambda: self.journal.append(("overrun",)),
            report=self._report,
            late=lambda *ended: self.late.append(ended),
        )

    def close(self) -> None:
        self.shut(self.runner.close)
        assert self.runner.running == 0

    def _report(self, name: str, arguments: str, outcome: str, elapsed_ms: int, output: str) -> int:
        """The entry is its number."""
        self.reports.append((name, outcome, elapsed_ms))
        self.outputs.append(output)
        return len(self.reports) - 1

    def start(self, call_id: str, name: str, arguments: str = "{}", response_id: str = "resp_1") -> None:
        self.loop.do(self.runner.start, ToolCall(call_id, name, arguments, 0), response_id)

    def done(self, response_id: str = "resp_1") -> None:
        self.loop.do(self.runner.response_done, response_id)

    def call(self, name: str, arguments: str = "{}", seconds: float = 0) -> str:
        """One call alone, to its answer."""
        self.start("call_1", name, arguments)
        self.done()
        self.loop.advance(seconds)
        (call_id, output), last = self.journal
        assert (call_id, last) == ("call_1", ("proceed",))
        return output

    @property
    def answered(self) -> list[str]:
        return [entry[0] for entry in self.journal]


def quick_and_slow(greeting: str, lock: bool) -> Agent:
    """An agent with a tool that is quick and one that is given up."""
    made = Agent(greeting=greeting, greeting_lock=lock)

    @made.tool
    async def quick() -> str:
        return "quick"

    @made.tool(timeout_seconds=2)
    async def slow() -> None:
        await asyncio.sleep(3)

    return made
