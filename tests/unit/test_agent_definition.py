"""fastbridge.agent."""

import dataclasses
import json
import logging
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.agent.definition import MAX_VARIABLE_CHARS, tool_from
from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.observe.call_log import CallLog
from virtual import VirtualLoop, call_context


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    return lambda: [record.getMessage().partition(", call_sid=")[0] for record in caplog.records]


class TestLog:
    """What a tool or hook says in the log; a context that is no call's has a log of its own."""

    def test_a_line_with_its_fields_and_the_module_it_comes_from(self, said, caplog):
        context = call_context()
        context.log("CRM", "found", orders=3, phone="+972501234512")
        context.log("CRM", "down", level=logging.WARNING)
        assert said()[:2] == ["[CRM] found, orders=3, phone=+972501234512", "[CRM] down"]  # the handler masks
        assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
        assert {record.module for record in caplog.records} == {"test_agent_definition"}
        assert context.call_sid in caplog.records[0].getMessage()

    def test_limiters_keep_what_they_know_in_a_changed_copy_too(self):
        context = call_context(call_log=CallLog("CA1"))
        assert [context.log.once("a"), context.log.every("b", 60), context.log.every_n("c", 2)] == [True] * 3
        other = dataclasses.replace(context, agent=Agent())
        assert [other.log.once("a"), other.log.every("b", 60), other.log.every_n("c", 2)] == [False] * 3
        alone = call_context()
        assert [alone.log.once("a"), alone.log.once("a")] == [True, False]

    def test_a_caller_who_is_known(self, said):
        context = call_context(from_number="+972501234512")
        context.customer_loaded("David")
        context.customer_loaded("Dana", "+14155550123")
        assert said() == [
            "[DB] Customer context loaded: name=David, phone=+9725****12",
            "[DB] Customer context loaded: name=Dana, phone=+1415****23",
        ]

    def test_whose_name_is_not_shown_where_words_are_not(self, said):
        silent = CallLog("CA1", Settings.model_construct(log_transcripts=False))
        call_context(call_log=silent).customer_loaded("David")
        assert "name=(5 characters)" in said()[0]

    def test_an_appointment_that_was_made(self, said):
        call_context().appointment_created(77, "2024-01-25 14:00")
        assert said() == ["[CREATE_APPT] Appointment created successfully, appointment_id=77, start=2024-01-25 14:00"]


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def parameters(function: Any) -> dict[str, Any]:
    return tool_from(function).parameters


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

    def test_the_nodes_language_is_for_an_agent_that_has_none(self):
        agent, polyglot = Agent(), Agent(language="de")
        assert (agent.in_language("he").language, agent.language) == ("he", "")
        assert agent.in_language("") is agent
        assert polyglot.in_language("he") is polyglot

    def test_tools_may_be_given_as_functions(self):
        async def hours() -> str:
            """When we are open."""
            return ""

        assert Agent(tools=[hours]).find_tool("hours").description == "When we are open."

    @pytest.mark.parametrize("name", ["a b", "x" * 65, "תור", "a.b"])
    def test_a_name_that_the_service_would_refuse(self, name):
        with pytest.raises(ConfigError, match="a tool's name is 1 to 64"):
            Agent().tool(name=name)(lambda: None)


class TestBuiltIn:
    def test_there_are_none_unless_asked_for(self):
        assert Agent().all_tools == []

    def test_hanging_up_and_transferring(self):
        agent = Agent(hang_up=True, transfer_to={"sales": "+14155550188", "help": "+14155550199"})
        names = [tool.name for tool in agent.all_tools]
        assert names == ["hang_up", "transfer_call"]
        definition = json.dumps([tool.definition() for tool in agent.all_tools])
        assert '"enum": ["sales", "help"]' in definition
        assert "context" not in definition
        assert "+1" not in definition

    def test_a_warm_transfer_has_a_brief(self):
        (tool,) = Agent(transfer_to={"sales": "+14155550188"}, warm_transfer=True).all_tools
        assert tool.name == "transfer_call"
        assert set(tool.parameters["properties"]) == {"destination", "brief"}
        assert tool.parameters["properties"]["destination"]["enum"] == ["sales"]
        assert Agent(warm_transfer=True).all_tools == []
        with pytest.raises(ConfigError, match="warm_transfer"):
            Agent(warm_transfer="yes")

    def test_ones_own_of_that_name_wins(self):
        agent = Agent(hang_up=True)

        @agent.tool
        async def hang_up() -> str:
            """Mine."""
            return ""

        assert [tool.description for tool in agent.all_tools] == ["Mine."]

    @pytest.mark.parametrize(
        "number", ["", "911", "4155550188", "+0155550188", "+1 415 555", "+1415555018x", None, "+1" * 20]
    )
    def test_a_number_that_is_none(self, number):
        with pytest.raises(ConfigError, match="transfer_to: a number is"):
            Agent(transfer_to={"sales": number})
        with pytest.raises(ConfigError, match="allowed_callers: a number is"):
            Agent(allowed_callers=[number])

    def test_a_destination_is_one_of_its_own_exactly(self):
        agent = Agent(transfer_to={"sales": "+14155550188"})
        assert agent.destination("sales") == agent.destination("+14155550188") == "+14155550188"
        for other in ("", "Sales", "14155550188", "+1415555018", "+141555501888", "+14155550188 "):
            assert agent.destination(other) is None

    def test_a_destination_is_shown_by_its_name_and_never_by_its_number(self):
        agent = Agent(transfer_to={"sales": "+14155550188", "+14155550199": "+14155550199"})
        assert agent.destination_name("sales") == agent.destination_name("+14155550188") == "sales"
        assert agent.destination_name("+14155550199") == "+1415****99"
        assert agent.destination_name("nobody") == ""

    def test_callers_are_let_in_by_their_exact_number(self):
        assert Agent().answers("")
        agent = Agent(allowed_callers=["+14155550100"])
        assert agent.answers("+14155550100")
        for other in ("", "anonymous", "+266696687", "4155550100", "155550100", "+141555501000", "+14155550100,"):
            assert not agent.answers(other)


class TestOverrides:
    def test_a_changed_copy_shares_nothing_that_can_change(self):
        agent = Agent(greeting="Hi.", variables={"a": 1})
        agent.tool(name="one")(lambda: None)
        copy = agent.changed(voice="cedar")
        copy.tool(name="two")(lambda: None)
        copy.on_end(print)
        copy.variables["a"] = 2
        assert ([tool.name for tool in agent.tools], agent.hooks, agent.voice) == (["one"], {}, "marin")
        assert (agent.variables, copy.greeting, copy.voice) == ({"a": 1}, "Hi.", "cedar")

    def test_what_an_agent_does_not_have(self):
        with pytest.raises(ConfigError, match="no 'greting': did you mean 'greeting'"):
            Agent().changed(greting="Hi.")

    def test_settings_are_checked_when_they_are_made(self):
        settings = Settings.model_construct()
        assert Agent().call_settings(settings) is settings
        changed = Agent(settings={"barge_in_frames": 3, "greeting_lock": False}).call_settings(settings)
        assert (changed.barge_in_frames, changed.greeting_lock, changed.silence_seconds) == (3, False, 20)
        assert settings.barge_in_frames == 5

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"openai_api_key": "x"}, "no setting 'openai_api_key' of its own"),
            ({"nonsense": 1}, "no setting 'nonsense'"),
            ({"barge_in_frames": 0}, "barge_in_frames must be a number of 20 ms frames from 1 to 50, not 0"),
            ({"silence_seconds": "long"}, "silence_seconds must be"),
        ],
    )
    def test_settings_that_cannot_be(self, settings, complaint):
        with pytest.raises(ConfigError, match=complaint):
            Agent(settings=settings)

    def test_placeholders(self):
        agent = Agent(instructions='{name} {age} {} {x} {"json": {name}}', greeting="{age}", variables={"age": 7})
        filled = agent.filled({"name": "Dana", "x": None})
        assert (filled.instructions, filled.greeting) == ('Dana 7 {} {x} {"json": Dana}', "7")
        assert agent.filled({"name": "{age}"}).instructions.startswith("{age} 7")
        long = agent.filled({"name": "x" * 100_000}).instructions
        assert long.startswith("x" * MAX_VARIABLE_CHARS + " 7")
