"""Checks for JSON values that answer like the service does: the first problem, with its code and parameter path.

A check is a function of a value and its path (`session.tools[0].name`); it returns None or a `Problem`. Larger
checks are made of smaller ones. Wording and codes follow the service's own errors. Nothing here knows an event.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .wire import Problem

Check: TypeAlias = Callable[[Any, str], Problem | None]

_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def text(*, max_length: int | None = None, pattern: str | None = None) -> Check:
    """A string, at most `max_length` long, that matches `pattern` as a whole."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, str):
            return _wrong_type(value, path, "a string")
        if max_length is not None and len(value) > max_length:
            return Problem(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {max_length}, "
                f"but got a string with length {len(value)} instead.",
                path,
            )
        if pattern is not None and re.fullmatch(pattern, value) is None:
            return Problem(
                "invalid_value",
                f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
                f"'^{pattern}$'.",
                path,
            )
        return None

    return check


def integer(low: int | None = None, high: int | None = None) -> Check:
    """An integer within the bounds, both inclusive."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return _wrong_type(value, path, "an integer")
        return _outside(value, path, low, high, "integer")

    return check


def number(low: float | None = None, high: float | None = None) -> Check:
    """An integer or a decimal within the bounds, both inclusive."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return _wrong_type(value, path, "a decimal")
        return _outside(value, path, low, high, "decimal")

    return check


def boolean(value: Any, path: str) -> Problem | None:
    """true or false."""
    return None if isinstance(value, bool) else _wrong_type(value, path, "a boolean")


def anything(value: Any, path: str) -> Problem | None:
    """Any JSON value."""
    return None


def choice(*values: str) -> Check:
    """One of these strings."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, str):
            return _wrong_type(value, path, "one of " + _listing(values))
        return None if value in values else _unsupported(value, path, values)

    return check


def nullable(inner: Check) -> Check:
    """null, or what `inner` accepts."""
    return lambda value, path: None if value is None else inner(value, path)


def either(*checks: Check) -> Check:
    """What any of the checks accepts; the last one words the problem."""

    def check(value: Any, path: str) -> Problem | None:
        problem: Problem | None = None
        for each in checks:
            problem = each(value, path)
            if problem is None:
                return None
        return problem

    return check


def array(inner: Check, max_length: int | None = None) -> Check:
    """An array of what `inner` accepts."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, list):
            return _wrong_type(value, path, "an array")
        if max_length is not None and len(value) > max_length:
            return Problem(
                "array_above_max_length",
                f"Invalid '{path}': array too long. Expected an array with maximum length {max_length}, "
                f"but got an array with length {len(value)} instead.",
                path,
            )
        return _first(inner(each, f"{path}[{index}]") for index, each in enumerate(value))

    return check


def table(inner: Check, max_size: int, max_key_length: int) -> Check:
    """An object with free keys, as metadata."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, dict):
            return _wrong_type(value, path, "an object")
        if len(value) > max_size:
            return Problem(
                "object_above_max_properties",
                f"Invalid '{path}': too many properties. Expected an object with at most {max_size} properties, "
                f"but got an object with {len(value)} properties instead.",
                path,
            )
        long_key = next((key for key in value if len(key) > max_key_length), None)
        if long_key is not None:
            message = f"Invalid '{path}': property name too long. Expected at most {max_key_length} characters."
            return Problem("invalid_value", message, path)
        return _first(inner(each, f"{path}.{key}") for key, each in value.items())

    return check


def record(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Check:
    """An object with exactly these keys: missing ones first, then unknown ones, then each value."""
    required = required or {}
    known = {**required, **(optional or {})}

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, dict):
            return _wrong_type(value, path, "an object")
        missing = next((key for key in required if key not in value), None)
        if missing is not None:
            return missing_parameter(_join(path, missing))
        unknown = next((key for key in value if key not in known), None)
        if unknown is not None:
            where = _join(path, unknown)
            return Problem("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        return _first(known[key](each, _join(path, key)) for key, each in value.items())

    return check


def tagged(key: str, variants: Mapping[str, Check]) -> Check:
    """An object whose `key` says which of the variants it is."""

    def check(value: Any, path: str) -> Problem | None:
        if not isinstance(value, dict):
            return _wrong_type(value, path, "an object")
        if key not in value:
            return missing_parameter(_join(path, key))
        problem = choice(*variants)(value[key], _join(path, key))
        return problem or variants[value[key]](value, path)

    return check


def missing_parameter(path: str) -> Problem:
    """The problem of a parameter that must be there."""
    return Problem("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def _wrong_type(value: Any, path: str, expected: str) -> Problem:
    got = _KINDS.get(type(value), "an unknown type")
    return Problem("invalid_type", f"Invalid type for '{path}': expected {expected}, but got {got} instead.", path)


def _unsupported(value: str, path: str, values: tuple[str, ...]) -> Problem:
    return Problem("invalid_value", f"Invalid value: '{value}'. Supported values are: {_listing(values)}.", path)


def _outside(value: float, path: str, low: float | None, high: float | None, kind: str) -> Problem | None:
    for bound, side, sign, outside in (
        (low, "below minimum", ">=", low is not None and value < low),
        (high, "above maximum", "<=", high is not None and value > high),
    ):
        if outside:
            code = f"{kind}_{'below_min' if side.startswith('below') else 'above_max'}_value"
            message = (
                f"Invalid '{path}': {kind} {side} value. Expected a value {sign} {bound}, but got {value} instead."
            )
            return Problem(code, message, path)
    return None


def _listing(values: tuple[str, ...]) -> str:
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return ", ".join(quoted[:-1]) + f", and {quoted[-1]}"


def _first(problems: Any) -> Problem | None:
    return next((problem for problem in problems if problem is not None), None)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
