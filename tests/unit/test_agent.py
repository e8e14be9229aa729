"""fastbridge.agent."""

import asyncio
import functools
import json
import threading
from typing import Any

import pytest

from fastbridge.agent import Agent, Tool, default_agent, tool_from
from fastbridge.agent import CallContext as Context
from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.schema import ArgumentError
from virtual import VirtualLoop, call_context


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def parameters(function: Any) -> dict[str, Any]:
    return tool_from(function).parameters


class TestCall:
    def run(self, loop: VirtualLoop, tool: Tool, **arguments: Any) -> Any:
        return loop.run_until_complete(tool.call(json.dumps(arguments), call_context()))

    def test_an_async_function(self, loop):
        async def double(number: int) -> int:
            return 2 * number

        assert self.run(loop, tool_from(double), number=4) == 8

    def test_a_plain_function_runs_in_a_thread(self, loop):
        def where() -> int:
            return threading.get_ident()

        assert self.run(loop, tool_from(where)) != threading.get_ident()

    def test_gets_the_context_where_it_asks_for_it(self, loop):
        def who(context: Context, greeting: str) -> str:
            return f"{greeting} {context.from_number}"

        assert self.run(loop, tool_from(who), greeting="Hi") == "Hi +14155550100"

    def test_the_model_cannot_give_the_context(self, loop):
        def who(context: Context) -> str:
            return context.from_number

        with pytest.raises(ArgumentError, match="context: there is no such argument"):
            self.run(loop, tool_from(who), context="forged")

    def test_takes_arguments_as_a_mapping_too(self, loop):
        async def double(number: int) -> int:
            return 2 * number

        assert loop.run_until_complete(tool_from(double).call({"number": 4}, call_context())) == 8

    def test_a_plain_function_around_an_async_one_is_awaited(self, loop):
        async def inner(number: int) -> int:
            await asyncio.sleep(1)
            return 2 * number

        def outer(number: int):
            return inner(number)

        class Callable:
            async def __call__(self, number: int) -> int:
                return await inner(number)

        for function in (outer, Callable(), functools.partial(inner)):
            assert self.run(loop, tool_from(function, name="double"), number=4) == 8

    def test_takes_no_longer_than_its_timeout(self, loop):
        async def slow() -> None:
            await asyncio.sleep(60)

        began = loop.time()
        with pytest.raises(TimeoutError):
            self.run(loop, tool_from(slow, timeout_seconds=3))
        assert loop.time() - began == pytest.approx(3)

    def test_takes_no_longer_in_a_thread_either(self, loop):
        finish = threading.Event()
        loop.threads_hold_time = False
        with pytest.raises(TimeoutError):
            self.run(loop, tool_from(lambda: finish.wait(10), timeout_seconds=3, name="slow"))
        finish.set()


class TestAgent:
    def test_registers_functions_and_gives_them_back(self):
        agent = Agent()

        @agent.tool
        def hours(day: str) -> str:
            """When we are open."""
            return day

        @agent.tool(timeout_seconds=2)
        async def book(day: str) -> str:
            """Book."""
            return day

        assert hours("Monday") == "Monday"
        assert [(tool.name, tool.timeout_seconds) for tool in agent.tools] == [("hours", 10.0), ("book", 2)]
        assert agent.find_tool("book").function is book
        assert agent.find_tool("nothing") is None

    def test_two_tools_of_one_name_are_refused(self):
        agent = Agent()
        agent.tool(lambda: None)
        with pytest.raises(ConfigError, match="already has a tool named '<lambda>'"):
            agent.tool(lambda: None)

    def test_agents_do_not_share_tools(self):
        Agent().tool(lambda: None)
        assert Agent().tools == []

    def test_the_default_agent_is_what_the_environment_says(self):
        settings = Settings.model_construct(instructions="Be brief.", greeting="Hi.", voice="cedar")
        agent = default_agent(settings)
        assert (agent.instructions, agent.greeting, agent.voice, agent.tools) == ("Be brief.", "Hi.", "cedar", [])
        assert agent.greeting_lock is None
