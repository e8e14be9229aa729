"""What may be said of an agent: the mistakes that people make, and what they are told."""

import dataclasses
import functools
from typing import Any

import pytest

from fastbridge.agent import Agent, CallContext
from fastbridge.agent import fields as agent_fields
from fastbridge.agent.definition import tool_from
from fastbridge.agent.fields import FIELDS, HOOKS, TOOL_OPTIONS, AgentChanges, where
from fastbridge.base import voices
from fastbridge.config import Settings
from fastbridge.errors import ConfigError, short_path
from virtual import call_context

ALL = ", ".join(voices.VOICES)
OWN_FIELDS = [each.name for each in dataclasses.fields(Agent) if not each.name.startswith("_")]


@pytest.fixture(autouse=True)
def openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_fields, "_node", lambda: (None, ""))


def complaint(work: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        work()
    return str(caught.value)


def test_every_field_has_its_check_and_its_type_for_an_editor() -> None:
    assert list(FIELDS) == OWN_FIELDS
    assert list(AgentChanges.__annotations__) == OWN_FIELDS


@pytest.mark.parametrize("name", OWN_FIELDS)
def test_no_field_takes_just_anything(name: str) -> None:
    assert complaint(lambda: Agent(**{name: object()})).startswith(f"an Agent: {name} must be ")
    for change in (Agent().changed, functools.partial(Agent().for_business, "456")):
        assert complaint(lambda change=change: change(**{name: object()})).startswith(f"an Agent: {name} must be ")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("greeting", None, "an Agent: greeting must be a text, empty for none, not None."),
        ("voice", "marine", f"an Agent: voice must be one of {ALL}, not 'marine': did you mean 'marin'?"),
        ("voice", "Cedar", f"an Agent: voice must be one of {ALL}, not 'Cedar': did you mean 'cedar'?"),
        ("voice", "nobody", f"an Agent: voice must be one of {ALL}, not 'nobody'."),
        (
            "language",
            "Hebrew",
            "an Agent: language must be a language's code such as he or de-AT, empty for the node's, not 'Hebrew': did "
            "you mean 'he'?",
        ),
        ("keys_end_seconds", -1, "an Agent: keys_end_seconds must be a number of seconds from 0 to 3600, not -1."),
        ("keys_end", "##", "an Agent: keys_end must be one key, or empty, not '##'."),
        ("hang_up", "yes", "an Agent: hang_up must be True or False, not 'yes'."),
        ("max_tool_calls", True, "an Agent: max_tool_calls must be a whole number, 0 or more, not True."),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_is_allowed(field: str, value: object, sentence: str) -> None:
    assert complaint(lambda: Agent(**{field: value})) == sentence


@pytest.mark.parametrize(
    "given",
    [
        {"language": "zz"}, {"language": "e"}, {"keys_end": "x"}, {"keys_end_seconds": float("nan")}, {"voice": ""},
        {"keys_end_seconds": float("inf")}, {"keys_end_seconds": "2"}, {"max_tool_calls": -1}, {"max_tool_calls": 1.5},
        {"transfer_to": ["+14155550188"]}, {"allowed_callers": "+14155550100"}, {"tools": len}, {"tools": ["x"]},
        {"variables": {"a b": 1}}, {"hooks": {"on_cal": len}}, {"greeting_lock": 1}, {"instructions": b"x"},
        {"allowed_callers": [None]}, {"transfer_to": {"desk": None}}, {"settings": {"silence_second": 3}},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_of_this_is_taken(given: dict[str, Any]) -> None:
    complaint(lambda: Agent(**given))


def test_all_of_this_is() -> None:
    Agent(language="iw", keys_end="", keys_end_seconds=0, filler="", voice="voice_x", allowed_callers=("+14155550100",))
    Agent(language="gsw-CH", keys_end="*", filler=None, max_tool_calls=0, dsp=False, variables={"name": None})


def test_a_name_that_is_none() -> None:
    words = complaint(lambda: Agent(instruction="x"))
    assert words.startswith(
        "an Agent takes no 'instruction': did you mean 'instructions'? It takes instructions, greeting"
    )
    assert complaint(lambda: Agent(zzz=1)).startswith("an Agent takes no 'zzz'. It takes ")
    words = complaint(lambda: Agent().tool(timeout=3))
    assert words == (
        "@agent.tool takes no 'timeout': did you mean 'timeout_seconds'? It takes name, timeout_seconds, filler, "
        "max_calls."
    )
    assert complaint(lambda: Agent().for_number("+14155550123", greting="x")).startswith("an Agent takes no 'greting'")


@pytest.mark.parametrize(
    "options",
    [{"timeout_seconds": 0}, {"timeout_seconds": -1}, {"max_calls": 0}, {"filler": 3}, {"name": None}],
    ids=str,
)
def test_a_tools_options(options: dict[str, Any]) -> None:
    assert options.keys() <= TOOL_OPTIONS.keys()
    assert complaint(lambda: Agent().tool(**options)(lambda: None)).startswith(f"a tool: {next(iter(options))} must be")


def test_a_tool_is_a_function() -> None:
    assert "before a function" in complaint(lambda: Agent().tool("look_up"))


class TestPlaceholders:
    def test_a_misspelt_variable(self) -> None:
        sentence = (
            "an Agent: greeting has {nmae}, which is no variable: did you mean 'name'? One that on_call finds needs a "
            "default in variables."
        )
        assert complaint(lambda: Agent(greeting="Hello {nmae}.", variables={"name": "there"})) == sentence
        agent = Agent(variables={"name": "there"})
        assert complaint(lambda: agent.for_business("456", greeting="Hello {nmae}.")) == sentence
        assert complaint(lambda: agent.for_number("+14155550123", greeting="Hello {nmae}.")) == sentence

    def test_what_a_caller_is_called_is_no_mistake_of_the_agents(self) -> None:
        agent = Agent(greeting="Hello {name}.", variables={"name": "there"})
        assert agent.filled({"name": "{nmae}"}).greeting == "Hello {nmae}."
        assert agent.changed(greeting="Hello {nmae}.").for_call(call_context()).greeting == "Hello {nmae}."

    def test_braces_that_are_nothing_like_a_variable_stay(self) -> None:
        agent = Agent(instructions='Say {ok} or {"a": 1}, {business_id}.', variables={"business": "Rosa's"})
        assert agent.filled({}).instructions == 'Say {ok} or {"a": 1}, {business_id}.'


class TestHooks:
    @pytest.mark.parametrize("name", HOOKS)
    def test_no_parameter_and_one_too_many(self, name: str) -> None:
        for function in (lambda: None, lambda one, two: None):
            words = complaint(lambda function=function: getattr(Agent(), name)(function))
            assert words.startswith(f"{name} is a function of ({HOOKS[name]})")
            assert complaint(lambda function=function: Agent(hooks={name: function})) == words
        assert complaint(lambda: getattr(Agent(), name)("on")) == f"{name} takes a function, not 'on'."

    @pytest.mark.parametrize("name", HOOKS)
    def test_all_that_can_be_called(self, name: str) -> None:
        def beside(value: object, context: CallContext) -> None: ...
        def by_type(value: object, the_call: CallContext) -> None: ...
        def with_default(value: object, more: int = 3) -> None: ...
        def anything(*values: object, **named: object) -> None: ...

        class Method:
            def hook(self, value: object) -> None: ...

        for function in (with_default, anything, Method().hook, functools.partial(with_default, more=1)):
            getattr(Agent(), name)(function)
        if HOOKS[name] != "context":
            for function in (beside, by_type, lambda context: None):
                getattr(Agent(), name)(function)


class TestAdvice:
    def test_a_tool_without_a_docstring_says_where(self) -> None:
        def look_up(name: str) -> str:
            return name

        [sentence] = Agent(tools=[look_up]).advice()
        line = look_up.__code__.co_firstlineno
        no_words = "tool 'look_up' has no docstring, so the model knows no more than its name."
        assert sentence == f"{short_path(__file__)}, line {line}: {no_words}"
        assert where(functools.partial(look_up, name="x")).endswith(f"line {line}: ")
        assert where(len) == ""

    def test_a_placeholder_without_a_default(self) -> None:
        [sentence] = Agent(greeting="Hello {caller}.", variables={"name": ""}).advice()
        assert sentence.startswith("{caller} in the agent's greeting has no default in variables")

    def test_an_agent_that_is_well_has_none(self) -> None:
        def look_up(name: str) -> str:
            """Look somebody up."""
            return name

        assert Agent(greeting="Hello {name}.", variables={"name": ""}, tools=[look_up], hang_up=True).advice() == []


@pytest.mark.parametrize(
    ("model", "node", "known"),
    [
        ("gpt-live-1", "", voices.LIVE_VOICES),
        ("gpt-realtime-2.1", "", voices.VOICES),
        ("", "gpt-live-1", voices.LIVE_VOICES),
        ("", "gpt-realtime-2.1", voices.VOICES),
    ],
)
def test_a_wrong_voice_is_told_those_of_its_dialect(
    monkeypatch: pytest.MonkeyPatch, model: str, node: str, known: tuple[str, ...]
) -> None:
    monkeypatch.setattr(agent_fields, "_node", lambda: (None, node))
    sentence = f"an Agent: voice must be one of {', '.join(known)}, not 'nobody'."
    assert complaint(lambda: Agent(voice="nobody", model=model)) == sentence


def test_each_dialect_has_its_own_voices() -> None:
    """Whose agent's model is the node's is told at the start."""
    assert Agent(voice="vesper", model="gpt-live-1").voice == "vesper"
    assert Agent(voice="vesper").voice == "vesper"
    assert "one of alloy" in complaint(lambda: Agent(voice="vesper", model="gpt-realtime-2.1"))


def test_a_voice_of_another_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_fields, "_node", lambda: ("https://realtime.example.com/v1", ""))
    assert Agent(voice="Ara").voice == "Ara"
    complaint(lambda: Agent(voice=""))


def test_where_the_model_is_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = agent_fields.__dict__["load_settings"]
    assert asked
    monkeypatch.undo()
    agent_fields._node.cache_clear()
    monkeypatch.setattr(
        agent_fields, "load_settings", lambda: Settings.model_construct(openai_base_url="http://there/v1")
    )
    assert agent_fields._node()[0] == "http://there/v1"
    agent_fields._node.cache_clear()

    def broken() -> Settings:
        raise ConfigError("PORT")

    monkeypatch.setattr(agent_fields, "load_settings", broken)
    assert agent_fields._node() == (None, "")
    agent_fields._node.cache_clear()


def test_the_context_has_an_agent_always() -> None:
    assert call_context().agent.changed(greeting="Hi.").greeting == "Hi."
    assert tool_from(lambda: None).timeout_seconds == 10.0
