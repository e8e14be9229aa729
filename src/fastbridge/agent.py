"""What a user writes: an Agent, its instructions and its tools.

An agent is shared by all calls and never changed by one: what belongs to a call is in its CallContext. This file knows
no transport, no session and no call; the session runs the tools.
"""

from __future__ import annotations

import asyncio
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from fastbridge.errors import ConfigError

if TYPE_CHECKING:
    from fastbridge.config import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}


@dataclass(frozen=True)
class CallContext:
    """What a tool may know of the call it serves: declare a parameter of this type to get it."""

    call_sid: str
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    direction: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Tool:
    """A function the model may call. `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    timeout_seconds: float = 10.0
    context_parameter: str | None = None

    def definition(self) -> dict[str, Any]:
        """The tool as `session.update` wants it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }

    async def call(self, arguments: Mapping[str, Any], context: CallContext) -> Any:
        """Run it: an async function as it is, a plain one in a thread, so that it never blocks the audio."""
        given = dict(arguments)
        if self.context_parameter is not None:
            given[self.context_parameter] = context
        async with asyncio.timeout(self.timeout_seconds):
            if inspect.iscoroutinefunction(self.function):
                return await self.function(**given)
            return await asyncio.to_thread(self.function, **given)


@dataclass
class Agent:
    """Who answers the phone.

    instructions: the system prompt. greeting: what is said first, in these words; empty for none. voice: the model's
    voice. greeting_lock: while the greeting plays the caller is not listened to; None takes the setting. dsp: the
    caller's audio goes through a high-pass and a limiter; None takes the setting.
    """

    instructions: str = "You are a friendly, brief voice assistant on a phone call."
    greeting: str = ""
    voice: str = "marin"
    language: str = ""
    greeting_lock: bool | None = None
    dsp: bool | None = None
    tools: list[Tool] = field(default_factory=list)

    @overload
    def tool(self, function: _F) -> _F: ...
    @overload
    def tool(self, *, timeout_seconds: float = ...) -> Callable[[_F], _F]: ...
    def tool(self, function: _F | None = None, *, timeout_seconds: float = 10.0) -> _F | Callable[[_F], _F]:
        """Register a function as a tool: name, description and schema come from its name, docstring and annotations."""

        def register(target: _F) -> _F:
            tool = tool_from(target, timeout_seconds)
            if any(known.name == tool.name for known in self.tools):
                raise ConfigError(f"The agent already has a tool named {tool.name!r}: give this one another name.")
            self.tools.append(tool)
            return target

        return register(function) if function is not None else register

    def find_tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)


def default_agent(settings: Settings) -> Agent:
    """The agent that answers when the user gives none: what the environment says."""
    return Agent(instructions=settings.instructions, greeting=settings.greeting, voice=settings.voice)


def tool_from(function: Callable[..., Any], timeout_seconds: float = 10.0) -> Tool:
    """A Tool from a typed function. ConfigError where a parameter has no usable annotation."""
    name = function.__name__
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError) as error:
        raise ConfigError(f"Tool {name!r}: its annotations cannot be resolved: {error}.") from error
    properties: dict[str, Any] = {}
    required: list[str] = []
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"Tool {name!r}: parameter {parameter.name!r} must be passable by name.")
        if parameter.name not in hints:
            raise ConfigError(f"Tool {name!r}: give parameter {parameter.name!r} a type, such as str or int.")
        hint = hints[parameter.name]
        if hint is CallContext:
            context_parameter = parameter.name
            continue
        properties[parameter.name] = _schema(hint, f"Tool {name!r}, parameter {parameter.name!r}")
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    schema = {"type": "object", "properties": properties, "required": required}
    description = inspect.getdoc(function) or name.replace("_", " ")
    return Tool(name, description, schema, function, timeout_seconds, context_parameter)


def _schema(hint: Any, where: str) -> dict[str, Any]:
    """JSON schema of an annotation: str, int, float, bool, list[X], dict, Literal[...], X | None."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if hint in _JSON_TYPES:
        return {"type": _JSON_TYPES[hint]}
    if origin is Literal and type(arguments[0]) in _JSON_TYPES:
        return {"type": _JSON_TYPES[type(arguments[0])], "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], where)} if arguments else {"type": "array"}
    if origin is dict:
        return {"type": "object"}
    if origin in (typing.Union, types.UnionType):
        options = [_schema(option, where) for option in arguments if option is not type(None)]
        return options[0] if len(options) == 1 else {"anyOf": options}
    raise ConfigError(f"{where}: {hint!r} is no type a model can fill in: use str, int, float, bool, list or Literal.")
