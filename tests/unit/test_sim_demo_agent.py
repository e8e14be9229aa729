"""The demo's agent offers the tool that the play calls, and answers with the times that are spoken."""

import asyncio
from typing import Any

from fastbridge.agent import CallContext
from fastbridge.sim import demo_agent
from fastbridge.sim.demo_play import TOOL, TOOL_ARGUMENTS


async def _ask(day: str, part_of_day: str) -> Any:
    context = CallContext("CA", "+1", "+2", "inbound", {})
    return await demo_agent.agent.tools[0].call({"day": day, "part_of_day": part_of_day}, context)


def test_the_demo_agent_offers_the_times_that_are_spoken() -> None:
    assert demo_agent.agent.tools[0].name == TOOL
    assert set(TOOL_ARGUMENTS) == set(demo_agent.agent.tools[0].parameters["properties"])
    assert asyncio.run(_ask("Thursday", "morning")) == "Thursday: 9:00, 10:30"
    assert asyncio.run(_ask("Thursday", "night")) == "Thursday: nothing free"
