"""fastbridge.agent.schema: what a model is told of a function, and what becomes of what it sends."""

import dataclasses
import enum
import functools
from datetime import date, time
from typing import Annotated, Any, List, Literal, Optional  # noqa: UP035 - what users still write

import pytest
from pydantic import BaseModel, Field

from fastbridge.agent.schema import ArgumentError, Arguments
from fastbridge.errors import ConfigError


class Context:
    """What a caller injects."""


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Guest:
    name: str
    age: int = 30


class Order(BaseModel):
    """What somebody wants."""

    dish: str = Field(description="from the menu")
    guests: list[Guest] = []


class Tree(BaseModel):
    name: str
    branches: list["Tree"] = []


def arguments(function: Any) -> Arguments:
    return Arguments(function, "Tool 'it'", Context)


def taking(hint: Any, *default: Any) -> Arguments:
    """A function of one argument, `it`."""

    def function(it): ...

    function.__annotations__["it"] = hint
    function.__defaults__ = default
    return arguments(function)


class TestSchema:
    def test_of_a_whole_function(self):
        def book(day: str, guests: int = 2) -> str:
            """Book a table."""

        assert arguments(book).schema == {
            "type": "object",
            "properties": {"day": {"type": "string"}, "guests": {"type": "integer", "default": 2}},
            "required": ["day"],
            "additionalProperties": False,
        }

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
            (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
            (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
            (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
            (Colour, {"type": "string", "enum": ["red", "blue"]}),
            (date, {"type": "string", "format": "date"}),
            (time, {"type": "string", "format": "time"}),
            (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
            (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
            (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
            (Annotated[int, Field(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
            (Annotated[str | None, "if known"], {
                "anyOf": [{"type": "string"}, {"type": "null"}], "description": "if known",
            }),
        ],
    )  # fmt: skip
    def test_of_an_annotation(self, hint, schema):
        assert taking(hint).schema["properties"] == {"it": schema}

    @pytest.mark.parametrize(
        ("hint", "default", "schema"),
        [
            (str | None, None, {"type": "string"}),
            (Optional[int], 3, {"type": "integer", "default": 3}),  # noqa: UP045
            (int | str | None, None, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
            (Colour, Colour.RED, {"type": "string", "enum": ["red", "blue"], "default": "red"}),
            (list[int], [], {"type": "array", "items": {"type": "integer"}}),
            (date, date(2026, 1, 1), {"type": "string", "format": "date"}),
        ],
    )
    def test_of_one_that_may_be_left_out(self, hint, default, schema):
        it = taking(hint, default)
        assert (it.schema["properties"], it.schema["required"]) == ({"it": schema}, [])

    def test_models_and_dataclasses_are_written_out(self):
        guest = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 30}},
            "required": ["name"],
        }
        schema = taking(Order).schema
        assert "$defs" not in schema
        assert schema["properties"]["it"] == {
            "type": "object",
            "description": "What somebody wants.",
            "properties": {
                "dish": {"type": "string", "description": "from the menu"},
                "guests": {"type": "array", "items": guest, "default": []},
            },
            "required": ["dish"],
        }

    def test_a_type_that_holds_itself_keeps_its_reference(self):
        schema = taking(Tree).schema
        assert schema["$defs"]["Tree"]["properties"]["branches"]["items"] == {"$ref": "#/$defs/Tree"}
        assert taking(Tree).read('{"it": {"name": "a", "branches": [{"name": "b"}]}}')["it"].branches[0].name == "b"

    def test_a_property_may_be_called_title(self):
        @dataclasses.dataclass
        class Book:
            title: str

        assert taking(Book).schema["properties"]["it"]["properties"] == {"title": {"type": "string"}}

    def test_annotations_may_be_text(self):
        assert taking("list[int]").schema["properties"] == {"it": {"type": "array", "items": {"type": "integer"}}}

    def test_without_parameters(self):
        schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
        assert arguments(lambda: None).schema == schema

    def test_what_is_injected_is_no_argument(self):
        def who(context: Context, name: str): ...

        it = arguments(who)
        assert (it.injected_names, list(it.schema["properties"])) == (["context"], ["name"])

    def test_what_a_partial_has_bound_is_none_either(self):
        def book(day: str, room: int): ...

        it = arguments(functools.partial(book, room=7))
        assert list(it.schema["properties"]) == ["day"]


class TestDocstring:
    def test_google(self):
        def book(day: str, guests: int, note: Annotated[str, "mine"] = ""):
            """Book a table.

            Only after a yes.

            Args:
                day (str): a weekday,
                    in English
                guests: how many
                note: not this one

            Returns:
                The time.
            """

        it = arguments(book)
        described = {name: part.get("description") for name, part in it.schema["properties"].items()}
        assert described == {"day": "a weekday, in English", "guests": "how many", "note": "mine"}
        assert it.description == "Book a table.\n\nOnly after a yes.\n\nReturns:\n    The time."

    def test_sphinx(self):
        def book(day: str):
            """Book a table.

            :param day: a weekday,
                in English
            :returns: the time
            """

        it = arguments(book)
        assert it.schema["properties"]["day"]["description"] == "a weekday, in English"
        assert it.description == "Book a table."

    def test_prose_stays(self):
        def book(day: str):
            """Book. day: a weekday."""

        assert arguments(book).description == "Book. day: a weekday."


class TestBadFunctions:
    def test_a_parameter_without_a_type(self):
        def ask(it): ...

        with pytest.raises(ConfigError, match="Tool 'it': give parameter 'it' a type"):
            arguments(ask)

    @pytest.mark.parametrize(
        "hint",
        [object, bytes, set[int], Any, list[bytes], list[Any], Literal[b"x"], Literal[None], "Nowhere", Context()],
    )
    def test_a_type_no_model_can_fill_in(self, hint):
        with pytest.raises(ConfigError, match="Tool 'it'"):
            taking(hint)

    def test_a_class_without_a_schema(self):
        class Own:
            def __init__(self, it): ...

        with pytest.raises(ConfigError, match="none a model can fill in"):
            taking(Own)

    def test_parameters_that_have_no_name(self):
        def positional(it: str, /): ...
        def starred(*it: str): ...
        def double_starred(**it: str): ...

        for function in (positional, starred, double_starred):
            with pytest.raises(ConfigError, match="parameter 'it' must be passable by name"):
                arguments(function)


class TestRead:
    def test_gives_what_the_types_say(self):
        def book(day: date, at: time, colour: Colour, guests: list[Guest], copy: float, _x: bool = False): ...

        text = '{"day":"2026-11-26","at":"10:30","colour":"red","guests":[{"name":"Dana"}],"copy":2,"_x":true}'
        assert arguments(book).read(text) == {
            "day": date(2026, 11, 26),
            "at": time(10, 30),
            "colour": Colour.RED,
            "guests": [Guest("Dana", 30)],
            "copy": 2.0,
            "_x": True,
        }

    @pytest.mark.parametrize("text", ["", " ", "{}"])
    def test_what_is_left_out_is_the_functions_own(self, text):
        assert taking(int, 7).read(text) == {}

    def test_null_may_be_given_where_none_may(self):
        assert taking(int | None, 7).read('{"it": null}') == {"it": None}

    @pytest.mark.parametrize(
        ("hint", "text", "complaint"),
        [
            (int, '{"it": "3"}', "it: Input should be a valid integer"),
            (int, '{"it": 3.5}', "it: "),
            (int, '{"it": true}', "it: "),
            (str, '{"it": 3}', "it: Input should be a valid string"),
            (bool, '{"it": 1}', "it: "),
            (int, "{}", "it: Field required"),
            (int, '{"it": 1, "that": 2}', "that: there is no such argument"),
            (Literal["a", "b"], '{"it": "c"}', "it: Input should be 'a' or 'b'"),
            (Colour, '{"it": "green"}', "it: Input should be 'red' or 'blue'"),
            (date, '{"it": "tomorrow"}', "it: Input should be a valid date"),
            (list[Guest], '{"it": [{"name": "a"}, {"age": "old"}]}', "it.1.name: Field required; it.1.age: "),
            (Annotated[int, Field(le=9)], '{"it": 10}', "it: Input should be less than or equal to 9"),
            (int, "[]", "the arguments must be a JSON object"),
            (int, "null", "the arguments must be a JSON object"),
            (int, "{", "Invalid JSON"),
            (int, "[" * 100_000, "Invalid JSON"),
            (int, '{"it": "\\ud800"}', ""),
        ],
    )
    def test_says_what_is_wrong(self, hint, text, complaint):
        with pytest.raises(ArgumentError) as error:
            taking(hint).read(text)
        assert str(error.value).startswith(complaint)
        assert len(str(error.value)) < 400

    def test_says_a_few_things_at_most(self):
        text = "{" + ", ".join(f'"x{number}": 1' for number in range(100)) + "}"
        with pytest.raises(ArgumentError) as error:
            taking(int, 7).read(text)
        assert str(error.value).count("there is no such argument") == 5
