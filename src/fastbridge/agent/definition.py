"""What a user writes: an Agent, its tools, and what is to happen before, during and after its calls.

An agent is shared by all calls and never changed by one. What belongs to a call is in its CallContext; what is
different for one is a changed copy of the agent. This file knows no transport, no session and no call.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, Unpack, overload

from fastbridge.agent import fields as agent_fields
from fastbridge.agent.fields import PLACEHOLDER, AgentChanges, phone_number
from fastbridge.agent.hook_points import WithHooks
from fastbridge.agent.job import WithJobs
from fastbridge.agent.privacy import PrivateControl, WithPrivacy
from fastbridge.agent.schema import Arguments
from fastbridge.agent.tool import Tool
from fastbridge.agent.variants import WithVariants
from fastbridge.config import Settings, model_name
from fastbridge.errors import ConfigError
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog, OwnLog
from fastbridge.observe.log_format import mask_phone

if TYPE_CHECKING:
    from typing import Self

_F = TypeVar("_F", bound=Callable[..., Any])
_S = TypeVar("_S", bound=Settings)

MAX_VARIABLE_CHARS = 1000
MAX_BRIEF_CHARS = 400
HANG_UP_TOOL = "hang_up"
TRANSFER_TOOL = "transfer_call"
RECORD_TOOL = "record_call"

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class CallControl(PrivateControl, Protocol):
    """What a tool or hook may do to its call. From any thread."""

    def hang_up(self) -> None: ...
    def transfer(self, destination: str, brief: str | None = None) -> bool: ...
    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class CallContext(WithPrivacy):
    """The call that a tool or hook serves: declare a parameter of this type to get it.

    parameters: what the webhook's URL carried (`business_id`). variables: yours, for this call alone; what `on_call`
    puts there fills the agent's placeholders. agent: who answers this call.
    """

    call_sid: str
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    direction: str
    parameters: Mapping[str, str] = field(repr=False)
    account_sid: str = ""
    variables: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    agent: Agent = field(default_factory=lambda: Agent(), repr=False, compare=False)
    control: CallControl | None = field(default=None, repr=False, compare=False)
    call_log: CallLog | None = field(default=None, repr=False, compare=False)

    @property
    def business_id(self) -> str:
        """Whose call it is, where one node serves several businesses; empty if the webhook's URL did not say."""
        return self.parameters.get("business_id", "")

    def hang_up(self) -> None:
        """End the call when the caller has heard everything that was said. Does not wait for it."""
        self._live().hang_up()

    def transfer(self, destination: str, brief: str | None = None) -> bool:
        """Connect the caller to one of the agent's `transfer_to`, by its name or number, when all was heard.
        False for any other number. brief: call them first and tell them this, of at most 400 characters; the caller
        waits, and is connected if they say yes. False while somebody is being called already."""
        if brief is not None and len(brief) > MAX_BRIEF_CHARS:
            raise ValueError(f"A brief has at most {MAX_BRIEF_CHARS} characters, not {len(brief)}: shorten it.")
        return self._live().transfer(destination, brief)

    def say(self, text: str) -> None:
        """Have the assistant say this, in these words, as soon as nothing else is being said."""
        self._live().say(text)

    @property
    def log(self) -> OwnLog:
        """`context.log("CRM", "found", orders=3)`: one line in the log, `[CRM] found, orders=3, call_sid=CA…`, one of
        the 30 of its call. `level=logging.ERROR`, `exc_info=True`: as with any logger. Telephone numbers are masked.

        `if context.log.every("stock", 5.0): …` is true at most once in 5 s, `.once("stock")` once in the call,
        `.every_n("stock", 100)` the first time and then every hundredth."""
        return self.journal.own

    def customer_loaded(self, name: str, phone: str = "") -> None:
        """Say in the log that this caller is known: `[DB] Customer context loaded: name=David, phone=+9725****12`.

        phone: the caller's, where none is given; masked. The name is not shown where words may not be in the log."""
        events.context_loaded(self.journal, name=name, phone=phone or self.from_number)

    def appointment_created(self, appointment_id: object, start: object) -> None:
        """Say in the log that an appointment was made: `[CREATE_APPT] Appointment created successfully, …`."""
        events.create_appt(self.journal, appointment_id=appointment_id, start=start)

    @functools.cached_property
    def journal(self) -> CallLog:
        """All lines of the call. A context that is no call's (a test's) has one of its own."""
        return self.call_log or CallLog(self.call_sid)

    def _live(self) -> CallControl:
        if self.control is None:
            raise RuntimeError("the call has not begun: before it, a hook can only look things up")
        return self.control


@dataclass
class Agent(WithHooks, WithJobs, WithVariants):
    """Who answers the phone.

    instructions: the system prompt. greeting: what is said first, in these words; empty for none. In both, `{name}`
    stands for a variable of the call; `variables` are the defaults. voice: the model's voice. model: who speaks, such
    as `gpt-live-1`; empty takes the setting. language: of the caller, such as `he`, for transcripts, for recordings and
    for what the carrier says; empty takes the setting. tools: functions the model may call. greeting_lock: while the
    greeting plays the caller is not listened to; None takes the setting. dsp: the caller's audio goes through a
    high-pass and a limiter; None takes the setting.

    hang_up: the model may end the call. transfer_to: {name: number} of those it may connect the caller to; nobody else
    can ever be dialled. warm_transfer: they are called first, and told why. allowed_callers: numbers that are
    answered; empty for all. filler: what the model says while a tool takes long; empty for silence, None for a
    recording. max_tool_calls: in one phone call. record: who records the call: local (this node), carrier,
    local_after_consent, after_consent (the carrier); the last two once the caller has agreed. record_transfers: the
    carrier's recording goes on when the caller is transferred. keys_to_model: the model is told which keys the caller
    pressed, keys_end_seconds after the last one or at keys_end. settings: those of the node that differ for this
    agent's calls, by field name, such as {"silence_seconds": 30}.
    """

    instructions: str = "You are a friendly, brief voice assistant on a phone call."
    greeting: str = ""
    voice: str = "marin"
    model: str = ""
    language: str = ""
    greeting_lock: bool | None = None
    dsp: bool | None = None
    tools: list[Tool] = field(default_factory=list)
    hang_up: bool = False
    transfer_to: Mapping[str, str] = field(default_factory=dict)
    warm_transfer: bool = False
    allowed_callers: Collection[str] = ()
    filler: str | None = None
    max_tool_calls: int = 50
    record: str = ""
    record_transfers: bool = True
    keys_to_model: bool = True
    keys_end_seconds: float = 2.0
    keys_end: str = "#"
    variables: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    hooks: dict[str, Callable[..., Any]] = field(default_factory=dict, repr=False)
    _copied: bool = field(default=False, repr=False, compare=False)
    _context: ClassVar[type] = CallContext

    if TYPE_CHECKING:  # for the eyes of an editor: a tool may be given as the function that it is

        def __init__(self, **fields: Unpack[AgentChanges]) -> None: ...

    else:

        def __new__(cls, *_: Any, **given: Any) -> Self:
            if cls.__init__ is Agent.__init__:
                agent_fields.known_names(given.keys() - {"_copied"}, _field_names(cls), "an Agent")
            return super().__new__(cls)

    def __post_init__(self) -> None:
        agent_fields.check_values(vars(self), agent_fields.FIELDS, "an Agent")
        if not self._copied:  # a copy's texts may hold a caller's name, whatever that is
            self._check_placeholders()
        for name, function in self.hooks.items():
            agent_fields.check_hook(name, function, CallContext)
        given, self.tools = self.tools, []
        for tool in given:
            self._add(tool if isinstance(tool, Tool) else tool_from(tool))
        self.hooks = dict(self.hooks)
        self.variables = dict(self.variables)
        self.transfer_to = {str(name): phone_number(number, "transfer_to") for name, number in self.transfer_to.items()}
        self.allowed_callers = frozenset(phone_number(number, "allowed_callers") for number in self.allowed_callers)
        self.settings = {name: agent_fields.own_setting(name, value) for name, value in self.settings.items()}

    # --- tools ---

    @overload
    def tool(self, function: _F) -> _F: ...
    @overload
    def tool(
        self,
        *,
        name: str = ...,
        timeout_seconds: float = ...,
        filler: str | None = ...,
        max_calls: int | None = ...,
    ) -> Callable[[_F], _F]: ...
    def tool(self, function: _F | None = None, **options: Any) -> _F | Callable[[_F], _F]:
        """Register a function as a tool: name, description and schema come from its name, docstring and annotations."""

        agent_fields.known_names(options, agent_fields.TOOL_OPTIONS, "@agent.tool")
        if function is not None and not callable(function):
            raise ConfigError(f"@agent.tool stands before a function, not before {function!r}.")

        def register(target: _F) -> _F:
            self._add(tool_from(target, **options))
            return target

        return register(function) if function is not None else register

    def find_tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.all_tools if tool.name == name), None)

    @property
    def all_tools(self) -> list[Tool]:
        """Those of `tools`, and those that `hang_up`, `transfer_to` and `record` bring."""
        built_in = [_hang_up_tool()] if self.hang_up else []
        transfer = _warm_transfer_tool if self.warm_transfer else _transfer_tool
        built_in += [transfer(tuple(self.transfer_to))] if self.transfer_to else []
        built_in += [_record_tool()] if self.asks_consent else []
        own = {tool.name for tool in self.tools}
        return [*self.tools, *(tool for tool in built_in if tool.name not in own)]

    @property
    def asks_consent(self) -> bool:
        """Whether the caller is recorded only if he agrees."""
        return self.record in agent_fields.AFTER_CONSENT

    def _add(self, tool: Tool) -> None:
        if any(known.name == tool.name for known in self.tools):
            raise ConfigError(f"The agent already has a tool named {tool.name!r}: give this one another name.")
        self.tools.append(tool)

    # --- what differs from call to call ---

    def changed(self, **changes: Unpack[AgentChanges]) -> Self:
        """A copy in which these fields differ. Neither ever changes the other."""
        given: dict[str, Any] = dict(changes)
        agent_fields.known_names(given, _field_names(type(self)), "an Agent")
        agent_fields.check_values(given, agent_fields.FIELDS, "an Agent")
        if "settings" in given:
            given["settings"] = {**self.settings, **given["settings"]}
        return dataclasses.replace(self, **{"tools": list(self.tools), **given, "_copied": True})

    def advice(self) -> list[str]:
        """What works, and is hardly what was meant: a sentence each, which says where if it can."""
        found = []
        for tool in self.tools:
            if not inspect.getdoc(tool.function):
                place = agent_fields.where(tool.function)
                found.append(f"{place}tool {tool.name!r} has no docstring, so the model knows no more than its name.")
        for name, text in (("instructions", self.instructions), ("greeting", self.greeting)):
            for placeholder in dict.fromkeys(PLACEHOLDER.findall(text)):
                if placeholder not in (*self.variables, "business_id"):
                    found.append(
                        f"{{{placeholder}}} in the agent's {name} has no default in variables: where on_call does "
                        "not find it in time, it is said as it stands."
                    )
        return found

    def _check_placeholders(self) -> None:
        agent_fields.check_placeholders({"instructions": self.instructions, "greeting": self.greeting}, self.variables)

    def filled(self, variables: Mapping[str, Any]) -> Self:
        """A copy whose placeholders are filled. Braces that name no variable stay as they are."""
        values = {
            name: _one_line(value) for name, value in {**self.variables, **variables}.items() if value is not None
        }

        def fill(text: str) -> str:
            return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)

        return self.changed(instructions=fill(self.instructions), greeting=fill(self.greeting))

    def in_language(self, default: str) -> Self:
        """A copy whose language is this one, if it has none of its own."""
        return self if self.language or not default else self.changed(language=default)

    def call_settings(self, settings: _S) -> _S:
        """The node's settings with this agent's own."""
        own = {**self.settings, **({"model": model_name(self.model)} if self.model else {})}
        return settings.model_copy(update=own) if own else settings

    def answers(self, from_number: str) -> bool:
        """Whether this caller is let in. Exactly its number, or not at all: a hidden one is nobody's."""
        return not self.allowed_callers or from_number in self.allowed_callers

    def destination(self, wanted: str) -> str | None:
        """The number behind a name or number of `transfer_to`; None for any other."""
        return self.transfer_to.get(wanted) or (wanted if wanted in self.transfer_to.values() else None)

    def destination_name(self, wanted: str) -> str:
        """The name of a destination, which may be shown; its number may not."""
        return mask_phone(next((name for name, number in self.transfer_to.items() if wanted in (name, number)), ""))


def _field_names(cls: type[Agent]) -> list[str]:
    """What may be given."""
    return [each.name for each in dataclasses.fields(cls) if not each.name.startswith("_")]


def tool_from(
    function: Callable[..., Any],
    timeout_seconds: float = 10.0,
    *,
    name: str = "",
    filler: str | None = None,
    max_calls: int | None = None,
) -> Tool:
    """A Tool from a typed function. ConfigError where a parameter has no usable annotation."""
    given = {"name": name, "timeout_seconds": timeout_seconds, "filler": filler, "max_calls": max_calls}
    agent_fields.check_values(given, agent_fields.TOOL_OPTIONS, "a tool")
    name = name or getattr(function, "__name__", type(function).__name__)
    arguments = Arguments(function, f"Tool {name!r}", CallContext)
    if not _TOOL_NAME.fullmatch(name.replace("<lambda>", "lambda")):
        raise ConfigError(f"Tool {name!r}: a tool's name is 1 to 64 letters, digits, _ and -: give it one by name=.")
    description = arguments.description or name.replace("_", " ")
    return Tool(name, description, arguments.schema, function, arguments, timeout_seconds, filler, max_calls)


@functools.cache
def _hang_up_tool() -> Tool:
    def hang_up(context: CallContext) -> str:
        """End the call. Use it only when the conversation is over; say goodbye first."""
        context.hang_up()
        return "The call ends as soon as the caller has heard you."

    return tool_from(hang_up, name=HANG_UP_TOOL, filler="")


@functools.lru_cache(maxsize=256)
def _transfer_tool(destinations: tuple[str, ...]) -> Tool:
    def transfer(context: CallContext, destination: str) -> str:
        """Connect the caller to somebody else, which ends your part in the call. Tell the caller so first."""
        if context.transfer(destination):
            return "The caller is connected as soon as they have heard you."
        return f"There is nobody of that name to connect to. There are: {', '.join(destinations)}."

    return _choosing(tool_from(transfer, name=TRANSFER_TOOL, filler=""), destinations)


@functools.lru_cache(maxsize=256)
def _warm_transfer_tool(destinations: tuple[str, ...]) -> Tool:
    def transfer(context: CallContext, destination: str, brief: str) -> str:
        """Call somebody, tell them the brief (who calls, and what for: one or two sentences), and connect the caller if
        they take the call. Ask the caller to hold the line first."""
        if context.transfer(destination, brief.replace("://", " ")[:MAX_BRIEF_CHARS]):
            return "They are being called, and the caller waits. Say no more until you are told how it went."
        return f"That cannot be done now, or there is nobody of that name. There are: {', '.join(destinations)}."

    return _choosing(tool_from(transfer, name=TRANSFER_TOOL, filler=""), destinations)


def _choosing(tool: Tool, destinations: tuple[str, ...]) -> Tool:
    tool.parameters["properties"]["destination"]["enum"] = list(destinations)  # names, never numbers
    return tool


@functools.cache
def _record_tool() -> Tool:
    def record_call(context: CallContext) -> str:
        """Record the call from now on. Use it only when the caller has clearly agreed to be recorded."""
        context.consent()
        return "The call is being recorded."

    return tool_from(record_call, name=RECORD_TOOL, filler="")


def _one_line(value: Any) -> str:
    """A value as it may stand in a prompt: whatever a database holds, it begins no line of its own there."""
    return _CONTROL.sub(" ", str(value))[:MAX_VARIABLE_CHARS]
