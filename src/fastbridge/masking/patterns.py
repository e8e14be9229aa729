"""The operator's own patterns of what to keep secret (`FASTBRIDGE_MASK_PATTERNS`), and a node's mask by its settings.

Patterns are RE2's: its time is linear in the text, whatever a pattern and a caller say, so that none can stop the loop
of all calls. Python's `re` knows no such bound and no timeout, and a thread would not help, since it keeps the
interpreter to itself. What RE2 cannot do, look-around and back-references, is refused at the start.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from fastbridge.errors import ConfigError
from fastbridge.masking.mask import KINDS, Mask, Replace

VARIABLE = "FASTBRIDGE_MASK_PATTERNS"
WHAT_PATTERNS_ARE = 'a JSON object of up to 20 names and patterns such as {"policy": "POL-[0-9]{8}"}'
MAX_PATTERNS = 20
MAX_PATTERN_CHARS = 500
_NAME = re.compile(r"[^\W\d][\w -]{0,19}")
_CHOSEN = {"all": KINDS, "cards": ("cards",), "identities": ("identities",), "none": ()}


class MaskSettings(Protocol):
    """What a node's settings say of it."""

    @property
    def mask(self) -> str: ...
    @property
    def mask_patterns(self) -> str: ...


def mask_of(settings: MaskSettings) -> Mask:
    """What stands between words and wherever they are kept."""
    return _mask(settings.mask, settings.mask_patterns)


@functools.lru_cache(maxsize=16)
def _mask(kinds: str, patterns: str) -> Mask:
    return Mask(_CHOSEN[kinds], _replace(patterns))


def checked_patterns(text: str) -> str:
    """The setting's text as it is. ValueError: it is no such object; ConfigError: a pattern of it cannot be used."""
    _replace(text)
    return text


def _replace(text: str) -> Replace | None:
    patterns = json.loads(text or "{}")
    if not isinstance(patterns, dict) or len(patterns) > MAX_PATTERNS:
        raise ValueError("no object, or too many")
    for name, pattern in patterns.items():
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARS or not _NAME.fullmatch(name):
            raise ValueError("no name, or no pattern")
    if not patterns:
        return None
    compiled = {f"[{name}]": _compiled(name, pattern) for name, pattern in patterns.items()}
    return functools.partial(_replaced, compiled)


def _compiled(name: str, pattern: str) -> Any:
    try:
        import re2  # type: ignore[import-untyped] # who has no patterns needs it not
    except ImportError:
        raise ConfigError(f'{VARIABLE} needs google-re2: pip install "fastbridge[patterns]".') from None
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else "it is no text"
        raise ConfigError(f"{VARIABLE}: the pattern of {name!r} is none of RE2's ({why}): mend it.") from None
    if found.search("") is not None:
        raise ConfigError(f"{VARIABLE}: the pattern of {name!r} finds nothing, too: let it ask for a character.")
    return found


def _replaced(compiled: Mapping[str, Any], text: str) -> str:
    for mask, pattern in compiled.items():
        try:
            text = pattern.sub(lambda _, mask=mask: mask, text)
        except UnicodeError:  # half a character, as JSON can have it and UTF-8 cannot
            text = pattern.sub(lambda _, mask=mask: mask, text.encode("utf-8", "replace").decode())
    return text
