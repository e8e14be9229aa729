"""A typed function as a model sees it: the JSON schema of its arguments, and the check of what the model sends.

Types are pydantic's: str, int, float, bool, list, dict, Literal, Enum, X | None, dates, dataclasses, pydantic models,
Annotated. The check is strict ("3" is no int, an unknown argument is an error), and an error is a sentence the model
can act on. Nothing here calls the function.
"""

import enum
import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError

from fastbridge.errors import ConfigError

MAX_COMPLAINTS = 5
"""Of one wrong call: a model mends what it is told, and more than this it does not read."""

_ARGS_HEADING = re.compile(r"(?m)^(?:Args|Arguments|Parameters):[ \t]*\n")
_ARGS_ENTRY = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)")
_PARAM_FIELD = re.compile(r"(?m)^:param\s+(?:[\w\[\], |.]+\s+)?(\w+):[ \t]*(.*(?:\n[ \t]+.*)*)\n?")
_OTHER_FIELDS = re.compile(r"(?m)^:(?:returns?|rtype|raises?|type)\b.*(?:\n[ \t]+.*)*\n?")


class ArgumentError(ValueError):
    """What the model sent cannot be the function's arguments. The message is for the model."""


class Arguments:
    """What `function` takes. `schema` is JSON schema; `description` the docstring without its parameters.

    Parameters annotated with `injected` are none of the model's: their names are in `injected_names`. ConfigError where
    a parameter has no usable annotation; `where` begins its message.
    """

    def __init__(self, function: Callable[..., Any], where: str, injected: type) -> None:
        self.description, notes = _read_docstring(inspect.getdoc(function) or "")
        self.injected_names: list[str] = []
        self._fields: dict[str, str] = {}  # pydantic's name -> the parameter's
        fields: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for name, hint, default in _parameters(function, where):
            if hint is injected:
                self.injected_names.append(name)
                continue
            field_name = f"p{len(fields)}"  # a name of ours: a parameter may be called `copy` or `_x`
            self._fields[field_name] = name
            required = default is inspect.Parameter.empty
            annotation, note = _annotation(hint, f"{where}, parameter {name!r}")
            description = note or notes.get(name)
            fields[field_name] = (annotation, Field(... if required else None, alias=name, description=description))
            if not required:
                defaults[name] = default
        self._model = _model(fields, where)
        self.schema = _schema(self._model, defaults)

    def read(self, text: str) -> dict[str, Any]:
        """The arguments in the model's JSON text, as the function takes them. ArgumentError says what is wrong."""
        try:
            given = self._model.model_validate_json(text.strip() or "{}", strict=True)
        except ValidationError as error:
            raise ArgumentError(_complaint(error)) from None
        return {self._fields[name]: getattr(given, name) for name in given.model_fields_set}


def _parameters(function: Callable[..., Any], where: str) -> list[tuple[str, Any, Any]]:
    """(name, annotation, default) of each."""
    bound: Mapping[str, Any] = {}
    target: Any = function
    while isinstance(target, functools.partial):
        target, bound = target.func, {**target.keywords, **bound}
    try:
        target = target if inspect.isroutine(target) else type(target).__call__
        hints = typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(f"{where}: its annotations cannot be resolved: {error}.") from error
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"{where}: parameter {parameter.name!r} must be passable by name.")
        if parameter.name not in hints:
            raise ConfigError(f"{where}: give parameter {parameter.name!r} a type, such as str or int.")
        found.append((parameter.name, hints[parameter.name], parameter.default))
    return found


def _annotation(hint: Any, where: str) -> tuple[Any, str]:
    """The annotation for pydantic, and the text of an `Annotated[X, "text"]`."""
    note = ""
    if typing.get_origin(hint) is typing.Annotated:
        texts = [extra for extra in hint.__metadata__ if isinstance(extra, str)]
        note = texts[0] if texts else ""
    _refuse_what_no_model_can_fill_in(hint, where)
    return hint, note


def _refuse_what_no_model_can_fill_in(hint: Any, where: str) -> None:
    """Types that pydantic would take, but whose JSON no model could know, or would be nobody's wish."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        inner = inner[:1]
    if origin is typing.Literal:
        usable = all(isinstance(value, (str, int, bool)) for value in inner)
    else:
        usable = hint not in (Any, object, bytes, bytearray, set, frozenset) and origin not in (set, frozenset)
        for each in inner:
            if isinstance(each, type) or typing.get_origin(each) is not None:
                _refuse_what_no_model_can_fill_in(each, where)
    if not usable:
        raise ConfigError(f"{where}: {hint!r} is no type a model can fill in: use str, int, list, Literal or the like.")


def _model(fields: dict[str, Any], where: str) -> type[BaseModel]:
    try:
        return create_model("Arguments", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)
    except (PydanticUserError, TypeError) as error:
        first = str(error).partition("\n")[0]
        raise ConfigError(f"{where}: a parameter's type is none a model can fill in: {first}") from error


def _schema(model: type[BaseModel], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """As small as it can be said: titles go, `$ref`s are put where they point, and an optional X is an X."""
    full = model.model_json_schema(by_alias=True)
    shared = full.get("$defs", {})
    recursive: set[str] = set()
    properties = {}
    for name, part in full.get("properties", {}).items():
        part = _plain(part, shared, (), recursive)
        if name in defaults:
            part.pop("default", None)
            part = _without_null(part)
            default = defaults[name].value if isinstance(defaults[name], enum.Enum) else defaults[name]
            if isinstance(default, (str, int, float)) and default != "":
                part["default"] = default
        properties[name] = part
    schema = {"type": "object", "properties": properties, "required": full.get("required", [])}
    if recursive:
        schema["$defs"] = {name: _plain(shared[name], {}, (), recursive) for name in shared}
    return {**schema, "additionalProperties": False}


def _plain(part: Any, shared: Mapping[str, Any], inside: tuple[str, ...], recursive: set[str]) -> Any:
    """A schema without titles, its `$ref`s resolved; one that refers to itself keeps the reference."""
    if isinstance(part, list):
        return [_plain(each, shared, inside, recursive) for each in part]
    if not isinstance(part, dict):
        return part
    target = str(part.get("$ref", "")).rpartition("/")[2]
    if target in shared:
        if target in inside:
            recursive.add(target)
            return dict(part)
        here = {name: value for name, value in part.items() if name != "$ref"}
        return {**_plain(shared[target], shared, (*inside, target), recursive), **here}
    kept: dict[str, Any] = {}
    for name, value in part.items():
        if name == "properties":
            kept[name] = {each: _plain(schema, shared, inside, recursive) for each, schema in value.items()}
        elif name == "additionalProperties" and value is True:
            continue  # says nothing
        elif name != "title" and not (name == "items" and value == {}):
            kept[name] = _plain(value, shared, inside, recursive)
    return kept


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """An argument that may be left out need not be null as well."""
    options = [option for option in part.get("anyOf", []) if option != {"type": "null"}]
    if not options:
        return part
    rest = {name: value for name, value in part.items() if name != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else {"anyOf": options, **rest}


def _complaint(error: ValidationError) -> str:
    """What is wrong with the arguments, a line a model can act on."""
    lines = []
    for each in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_COMPLAINTS]:
        place = ".".join(str(step) for step in each["loc"])
        message = "there is no such argument" if each["type"] == "extra_forbidden" else each["msg"]
        if each["type"] == "model_type":
            message = "the arguments must be a JSON object"
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and what is said of each parameter under `Args:` (Google) or `:param x:` (Sphinx)."""
    notes = {name: " ".join(note.split()) for name, note in _PARAM_FIELD.findall(text)}
    text = _OTHER_FIELDS.sub("", _PARAM_FIELD.sub("", text))
    heading = _ARGS_HEADING.search(text)
    if heading is None:
        return text.strip(), notes
    lines = text[heading.end() :].split("\n")
    rest = next((at for at, line in enumerate(lines) if line and not line.startswith((" ", "\t"))), len(lines))
    latest = ""
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    for line in lines[:rest]:
        entry = _ARGS_ENTRY.match(line.strip())
        if entry and len(line) - len(line.lstrip()) <= indent:
            latest = entry[1]
            notes[latest] = entry[2].strip()
        elif latest and line.strip():
            notes[latest] = f"{notes[latest]} {line.strip()}".strip()
    description = text[: heading.start()].rstrip() + "\n\n" + "\n".join(lines[rest:])
    return description.strip(), notes
