"""What may be said of an agent, a tool, a hook: each checked where it is written, so that a mistake is found when the
module is imported and not when the telephone rings. A complaint is one sentence: what was wrong, and what is allowed.
"""

import difflib
import functools
import inspect
import math
import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypedDict

from pydantic import TypeAdapter, ValidationError

from fastbridge.agent.tool import Tool
from fastbridge.base import languages, voices
from fastbridge.config import LANGUAGE_CODE, PER_CALL_SETTINGS, Settings, load_settings, speaks_live
from fastbridge.errors import ConfigError, short_path

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
LONGEST_SECONDS = 3600.0
HOOKS = {
    "on_call": "context", "on_start": "context", "on_machine": "machine", "on_transcript": "turn", "on_dtmf": "digits",
    "on_end": "record",
}  # fmt: skip
"""What each is called with."""
RECORD_NOT = ""
RECORD_LOCAL = "local"
RECORD_LOCAL_AFTER_CONSENT = "local_after_consent"
RECORD_CARRIER = "carrier"
RECORD_AFTER_CONSENT = "after_consent"
RECORDS = (RECORD_NOT, RECORD_LOCAL, RECORD_LOCAL_AFTER_CONSENT, RECORD_CARRIER, RECORD_AFTER_CONSENT)
"""Who records a call: nobody, the node, the carrier; and whether the caller is asked first."""
AFTER_CONSENT = (RECORD_LOCAL_AFTER_CONSENT, RECORD_AFTER_CONSENT)
BY_THE_NODE = (RECORD_LOCAL, RECORD_LOCAL_AFTER_CONSENT)
BY_THE_CARRIER = (RECORD_CARRIER, RECORD_AFTER_CONSENT)


class AgentChanges(TypedDict, total=False):
    """What a changed copy of an Agent may be given: its fields."""

    instructions: str
    greeting: str
    voice: str
    model: str
    language: str
    greeting_lock: bool | None
    dsp: bool | None
    tools: Sequence[Tool | Callable[..., Any]]
    hang_up: bool
    transfer_to: Mapping[str, str]
    warm_transfer: bool
    allowed_callers: Collection[str]
    filler: str | None
    max_tool_calls: int
    record: str
    record_transfers: bool
    keys_to_model: bool
    keys_end_seconds: float
    keys_end: str
    variables: Mapping[str, Any]
    settings: Mapping[str, Any]
    hooks: dict[str, Callable[..., Any]]


Check = tuple[Callable[[Any], bool], str]
"""Whether a value will do, and what it must be."""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _flag_or_none(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _seconds(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= LONGEST_SECONDS


def _language(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(LANGUAGE_CODE, value) is not None and languages.exists(value)


def _voice(value: Any) -> bool:
    """In any dialect: which one is spoken is known at the start."""
    return isinstance(value, str) and any(voices.usable(value, each, live=True) for each in (None, _node()[0]))


@functools.cache
def _node() -> tuple[str | None, str]:
    """Where the model of this process is, and its name."""
    try:
        settings = load_settings()
    except ConfigError:
        return None, ""  # whoever starts the node will say what is wrong
    return settings.openai_base_url, settings.model


def check_voice(voice: str, model: str, base_url: str | None, whose: str = "an Agent") -> None:
    """ConfigError for one that this model does not have."""
    live = speaks_live(model)
    if not voices.usable(voice, base_url, live=live):
        known = voices.voices_of(live=live)
        nearest = did_you_mean(voice, known) or "."
        raise ConfigError(f"{whose}: voice must be one of {', '.join(known)}, not {shown(voice)}{nearest}")


def _functions(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(callable(each) or hasattr(each, "function") for each in value)


def _numbers_by_name(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and name for name in value)


def _values_by_name(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and name.isidentifier() for name in value)


FIELDS: dict[str, Check] = {
    "instructions": (_text, "a text"),
    "greeting": (_text, "a text, empty for none"),
    "voice": (_voice, f"one of {', '.join(voices.VOICES)}"),
    "model": (_text, "a model's name, empty for the node's"),
    "language": (_language, "a language's code such as he or de-AT, empty for the node's"),
    "greeting_lock": (_flag_or_none, "True, False, or None for the node's"),
    "dsp": (_flag_or_none, "True, False, or None for the node's"),
    "tools": (_functions, "a list of functions"),
    "hang_up": (_flag, "True or False"),
    "transfer_to": (_numbers_by_name, 'numbers by name, such as {"reception": "+14155550188"}'),
    "warm_transfer": (_flag, "True or False"),
    "allowed_callers": (
        lambda value: isinstance(value, (list, tuple, set, frozenset)),
        'a list of numbers, such as ["+14155550100"]',
    ),
    "filler": (lambda value: value is None or _text(value), "a text, empty for silence, or None for a recording"),
    "max_tool_calls": (_count, "a whole number, 0 or more"),
    "record": (lambda value: value in RECORDS, f"one of {', '.join(RECORDS[1:])}, or empty for no recording"),
    "record_transfers": (_flag, "True or False"),
    "keys_to_model": (_flag, "True or False"),
    "keys_end_seconds": (_seconds, f"a number of seconds from 0 to {LONGEST_SECONDS:g}"),
    "keys_end": (lambda value: _text(value) and re.fullmatch("[0-9A-D*#]?", value) is not None, "one key, or empty"),
    "variables": (_values_by_name, 'values by name, such as {"name": "there"}'),
    "settings": (_numbers_by_name, 'values by the setting\'s name, such as {"silence_seconds": 30}'),
    "hooks": (lambda value: isinstance(value, Mapping) and HOOKS.keys() >= value.keys(), f"of {', '.join(HOOKS)}"),
}
TOOL_OPTIONS: dict[str, Check] = {
    "name": (_text, "a text"),
    "timeout_seconds": (lambda value: _seconds(value) and value > 0, f"seconds, over 0 and up to {LONGEST_SECONDS:g}"),
    "filler": FIELDS["filler"],
    "max_calls": (lambda value: value is None or (_count(value) and value > 0), "a whole number, 1 or more, or None"),
}


def known_names(given: Iterable[str], known: Collection[str], whose: str) -> None:
    """ConfigError for a name that is none."""
    for name in given:
        if name not in known:
            nearest = did_you_mean(name, known) or "."
            raise ConfigError(f"{whose} takes no {name!r}{nearest} It takes {', '.join(known)}.")


def check_values(given: Mapping[str, Any], checks: Mapping[str, Check], whose: str) -> None:
    """ConfigError for the first value that will not do."""
    voice, model = given.get("voice"), str(given.get("model") or "")
    if checks is FIELDS and isinstance(voice, str) and (model or not _voice(voice)):
        check_voice(voice, model or _node()[1], _node()[0], whose)
    for name, (will_do, what) in checks.items():
        if name in given and not will_do(given[name]):
            nearest = _meant(name, given[name]) or "."
            raise ConfigError(f"{whose}: {name} must be {what}, not {shown(given[name])}{nearest}")


def own_setting(name: str, value: Any) -> Any:
    """A setting of the agent's own, checked as the node's is."""
    if name not in PER_CALL_SETTINGS:
        nearest = did_you_mean(name, PER_CALL_SETTINGS) or ":"
        known = ", ".join(sorted(PER_CALL_SETTINGS))
        raise ConfigError(f"An agent has no setting {name!r} of its own{nearest} it may have {known}.")
    try:
        return _setting_checker(name).validate_python(value)
    except ValidationError:
        what = Settings.model_fields[name].description
        raise ConfigError(f"settings: {name} must be {what}, not {value!r}.") from None


@functools.cache
def _setting_checker(name: str) -> TypeAdapter[Any]:
    """For a setting's type with its bounds. Kept: making one takes longer than a call's start may."""
    info = Settings.model_fields[name]
    hint: Any = info.annotation
    return TypeAdapter(Annotated[(hint, *info.metadata)] if info.metadata else hint)


def phone_number(number: str, where: str) -> str:
    """Itself; ConfigError if it is none."""
    if not isinstance(number, str) or not E164.fullmatch(number):
        raise ConfigError(f"{where}: a number is + and 7 to 15 digits, such as +14155550123, not {number!r}.")
    return number


def check_placeholders(texts: Mapping[str, str], variables: Collection[str]) -> None:
    """ConfigError for a placeholder that looks like a variable's misspelt name."""
    for name, text in texts.items():
        for found in PLACEHOLDER.findall(text):
            nearest = did_you_mean(found, [each for each in variables if f"{{{each}}}" not in text])
            if found not in (*variables, "business_id") and nearest:
                raise ConfigError(
                    f"an Agent: {name} has {{{found}}}, which is no variable{nearest} One that on_call finds needs a "
                    "default in variables."
                )


def where(function: Callable[..., Any]) -> str:
    """`my_agent.py, line 12: `, or nothing."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    code = getattr(inspect.unwrap(target), "__code__", None)
    return f"{short_path(code.co_filename)}, line {code.co_firstlineno}: " if code is not None else ""


def context_parameter(function: Callable[..., Any], context: type) -> str | None:
    """The parameter that wants the call's context, if any: by its type, or by the name `context`."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        hints = {}
    for name in inspect.signature(function).parameters:
        if hints.get(name) is context or name == "context":
            return name
    return None


def check_hook(name: str, function: Any, context: type) -> None:
    """ConfigError where it cannot be called as this hook is."""
    if not callable(function):
        raise ConfigError(f"{name} takes a function, not {shown(function)}.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # one of C's, which does not say
    value = HOOKS[name]
    wanted = context_parameter(function, context) if value != "context" else None
    others = [each for each in signature.parameters if each != wanted]
    try:
        if wanted is None:
            signature.bind(None)
        else:
            signature.bind(**{wanted: None}, **({others[0]: None} if others else {}))
    except TypeError:
        also = "" if value == "context" else ", and, if it likes, (…, context: CallContext)"
        called = getattr(function, "__name__", type(function).__name__)
        raise ConfigError(f"{name} is a function of ({value}){also}; {called} takes {signature}.") from None


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`: did you mean 'this'?`, or nothing: for a slip, another case, or a part of the name."""
    by_letters = {each.lower(): each for each in known if each != name}
    found = difflib.get_close_matches(name.lower(), by_letters, 1, 0.7)
    found = found or [each for each in by_letters if len(name) > 3 and name.lower() in each]
    return f": did you mean {by_letters[found[0]]!r}?" if found else ""


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _meant(name: str, value: Any) -> str:
    if name == "voice" and isinstance(value, str):
        return did_you_mean(value, voices.VOICES)
    code = languages.code(value) if name == "language" and isinstance(value, str) else ""
    return f": did you mean {code!r}?" if code else ""
