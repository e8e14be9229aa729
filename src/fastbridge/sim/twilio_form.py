"""What may stand in a form: a rule for each parameter, and Twilio's code where it is broken.

Strict: a parameter that the resource does not have is refused, not passed over as by Twilio, since it is a spelling
mistake of the client.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastbridge.sim.twilio_reply import (
    BAD_REQUEST,
    INVALID_METHOD,
    INVALID_STATUS_CALLBACK,
    INVALID_URL,
    bad,
)

MAX_TWIML_CHARS = 4000
MAX_URL_CHARS = 4000
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_BOOLEANS = frozenset({"true", "false"})

Form = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One parameter. valid: each of its values. repeated: it may be."""

    valid: Callable[[str], bool]
    code: int = BAD_REQUEST
    repeated: bool = False


Rules = Mapping[str, Rule]


def check(form: Form, rules: Rules) -> dict[str, str]:
    """Each parameter; one that is repeated has spaces between its values. RefusedError where one is unknown, repeated
    without need, or not what it should be."""
    for name, values in form.items():
        rule = rules.get(name)
        if rule is None:
            raise bad(BAD_REQUEST, f"Unknown parameter {name}")
        if len(values) > 1 and not rule.repeated:
            raise bad(BAD_REQUEST, f"{name} was given {len(values)} times")
        for value in values:
            if not rule.valid(value):
                raise bad(rule.code, f"Invalid {name}: {value[:80]}")
    return {name: " ".join(values) for name, values in form.items()}


def is_number(value: str) -> bool:
    """E.164."""
    return _E164.fullmatch(value) is not None


def is_url(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(value) <= MAX_URL_CHARS


def is_callback(value: str) -> bool:
    """https, or http to this machine, and no underscore in the host's name."""
    parts = urlsplit(value)
    if not is_url(value) or "_" in (parts.hostname or ""):
        return False
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def number(code: int) -> Rule:
    return Rule(is_number, code)


def text(max_chars: int = 1000, code: int = BAD_REQUEST) -> Rule:
    return Rule(lambda value: 0 < len(value) <= max_chars, code)


def matching(pattern: str, code: int = BAD_REQUEST) -> Rule:
    compiled = re.compile(pattern)
    return Rule(lambda value: compiled.fullmatch(value) is not None, code)


def whole(low: int, high: int, code: int = BAD_REQUEST) -> Rule:
    return Rule(lambda value: value.isascii() and value.isdigit() and low <= int(value) <= high, code)


def one_of(*values: str, code: int = BAD_REQUEST, repeated: bool = False) -> Rule:
    known = frozenset(values)
    return Rule(lambda value: value in known, code, repeated)


def words_of(*words: str) -> Rule:
    """Several in one value, with spaces between; or repeated, as the SDKs do."""
    return Rule(lambda value: is_words(value, frozenset(words)), repeated=True)


def is_words(value: str, known: Collection[str]) -> bool:
    return bool(value.split()) and set(value.split()) <= set(known)


BOOLEAN = Rule(lambda value: value.lower() in _BOOLEANS)
METHOD = one_of("GET", "POST", code=INVALID_METHOD)
TWIML_URL = Rule(is_url, INVALID_URL)
CALLBACK = Rule(is_callback, INVALID_STATUS_CALLBACK)
TWIML = text(MAX_TWIML_CHARS)


def is_true(fields: Mapping[str, str], name: str, default: str = "false") -> bool:
    return fields.get(name, default).lower() == "true"
