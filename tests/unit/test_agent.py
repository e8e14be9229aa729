"""fastbridge.agent."""

import asyncio
import threading
from typing import Any, List, Literal, Optional  # noqa: UP035 - what users still write

import pytest

from fastbridge.agent import Agent, Tool, default_agent, tool_from
from fastbridge.agent import CallContext as Context
from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from virtual import VirtualLoop, call_context


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def parameters(function: Any) -> dict[str, Any]:
    return tool_from(function).parameters


class TestSchema:
    def test_of_a_whole_function(self):
        def book(day: str, guests: int = 2) -> str:
            """Book a table."""

        tool = tool_from(book)
        assert tool.definition() == {
            "type": "function",
            "name": "book",
            "description": "Book a table.",
            "parameters": {
                "type": "object",
                "properties": {"day": {"type": "string"}, "guests": {"type": "integer"}},
                "required": ["day"],
            },
        }
        assert (tool.timeout_seconds, tool.context_parameter, tool.function) == (10.0, None, book)

    @pytest.mark.parametrize(
        ("hint", "schema"),
        [
            (str, {"type": "string"}),
            (int, {"type": "integer"}),
            (float, {"type": "number"}),
            (bool, {"type": "boolean"}),
            (list, {"type": "array"}),
            (dict, {"type": "object"}),
            (list[int], {"type": "array", "items": {"type": "integer"}}),
            (list[list[str]], {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
            (List, {"type": "array"}),  # noqa: UP006
            (dict[str, int], {"type": "object"}),
            (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
            (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
            (str | None, {"type": "string"}),
            (Optional[int], {"type": "integer"}),  # noqa: UP045
            (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ],
    )
    def test_of_an_annotation(self, hint, schema):
        def ask(it):
            """Ask."""

        ask.__annotations__["it"] = hint
        assert parameters(ask)["properties"] == {"it": schema}

    def test_annotations_may_be_text(self):
        def ask(it: "list[int]") -> "str":
            """Ask."""

        assert parameters(ask)["properties"] == {"it": {"type": "array", "items": {"type": "integer"}}}

    def test_without_parameters(self):
        assert parameters(lambda: None) == {"type": "object", "properties": {}, "required": []}

    def test_without_a_docstring_the_name_describes_it(self):
        def opening_hours(): ...

        assert tool_from(opening_hours).description == "opening hours"

    def test_the_context_is_no_argument_of_the_models(self):
        def who(context: Context, name: str): ...

        tool = tool_from(who)
        assert tool.context_parameter == "context"
        assert tool.parameters["properties"] == {"name": {"type": "string"}}
        assert tool.parameters["required"] == ["name"]


class TestBadFunctions:
    def test_a_parameter_without_a_type(self):
        def ask(it): ...

        with pytest.raises(ConfigError, match="Tool 'ask': give parameter 'it' a type"):
            tool_from(ask)

    @pytest.mark.parametrize(
        "hint", [object, bytes, set[int], Any, list[bytes], Literal[b"x"], Literal[None], "Nowhere"]
    )
    def test_a_type_no_model_can_fill_in(self, hint):
        def ask(it): ...

        ask.__annotations__["it"] = hint
        with pytest.raises(ConfigError, match="Tool 'ask'"):
            tool_from(ask)

    def test_parameters_that_have_no_name(self):
        def positional(it: str, /): ...
        def starred(*it: str): ...
        def double_starred(**it: str): ...

        for function in (positional, starred, double_starred):
            with pytest.raises(ConfigError, match="parameter 'it' must be passable by name"):
                tool_from(function)


class TestCall:
    def run(self, loop: VirtualLoop, tool: Tool, **arguments: Any) -> Any:
        return loop.run_until_complete(tool.call(arguments, call_context()))

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

        assert self.run(loop, tool_from(who), context="forged") == "+14155550100"

    def test_the_arguments_given_are_not_changed(self, loop):
        async def who(context: Context) -> None: ...

        arguments: dict[str, Any] = {}
        loop.run_until_complete(tool_from(who).call(arguments, call_context()))
        assert arguments == {}

    def test_takes_no_longer_than_its_timeout(self, loop):
        async def slow() -> None:
            await asyncio.sleep(60)

        began = loop.time()
        with pytest.raises(TimeoutError):
            self.run(loop, tool_from(slow, timeout_seconds=3))
        assert loop.time() - began == pytest.approx(3)

    def test_an_argument_it_does_not_know_is_its_error(self, loop):
        async def nothing() -> None: ...

        with pytest.raises(TypeError, match="unexpected keyword argument"):
            self.run(loop, tool_from(nothing), surprise=1)


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
