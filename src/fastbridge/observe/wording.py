"""How what people, tools and the model said reads in a line of the log: short, and the numbers in it masked.

Pure. Lengths are in characters. Whether words may be in a line at all is `LOG_TRANSCRIPTS`, and the caller's affair.
"""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from fastbridge.masking.mask import BUILT_IN, Mask, spoken_numbers
from fastbridge.observe.log_format import clean

MAX_WORDS = 200
"""Characters of a turn, or of an error's words, that a line shows."""
LOOKED_AT_CHARS = 1000
"""No more of a text is looked through for what must be masked: no more of it can be seen."""
MASKED_CHARS = 4 * LOOKED_AT_CHARS
"""The same before the mask has made it shorter: a number that is cut in two is none."""

# With a plus, digits in a row, with a trunk prefix, or as America groups them. Dates, times and ids are none of these.
_NUMBER = re.compile(
    r"(?<![\w.+-])(?:"
    r"\+\d(?:[ ().-]{0,2}\d){6,14}"
    r"|\d{7,15}"
    r"|\(?0\d{1,3}\)?[ -]\d{3,4}[ -]?\d{3,4}"
    r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"
    r")(?![\d])"
)
SPOKEN_DIGITS = 7
"""As many as make a telephone number of words."""
_KEY = re.compile(r"\bsk-\S+")


def masked(text: str, mask: Mask = BUILT_IN) -> str:
    """The beginning of a text without what `mask` finds, and with the telephone numbers in it as `+9725****12`."""
    return _phones_masked(mask(text[:MASKED_CHARS]))


def _phones_masked(text: str) -> str:
    """However they are grouped, written or spoken."""
    parts, at = [], 0
    text = text[:LOOKED_AT_CHARS]
    for start, end, digits in spoken_numbers(text):
        if len(digits) >= SPOKEN_DIGITS:
            parts += [text[at:start], _masked_digits(digits)]
            at = end
    return _NUMBER.sub(_masked_number, "".join([*parts, text[at:]]))


def _masked_number(found: re.Match[str]) -> str:
    return _masked_digits(re.sub(r"[ ().-]", "", found[0]))


def _masked_digits(digits: str) -> str:
    return f"{digits[:5] if len(digits) > 8 else ''}****{digits[-2:]}"


def said(text: str, *, words: bool, hide: Callable[[str], str] = BUILT_IN) -> str:
    """A turn, or a piece of one. words: whether it may be shown. hide: for what may not even then."""
    return clean(_phones_masked(hide(text[:MASKED_CHARS])), MAX_WORDS) if words else length(text)


def redacted(text: str, mask: Mask = BUILT_IN) -> str:
    """What somebody says of an error, without keys and numbers."""
    return clean(masked(_KEY.sub("sk-****", text[:LOOKED_AT_CHARS]), mask), MAX_WORDS)


def given(arguments: str, *, words: bool, mask: Mask = BUILT_IN) -> str:
    """The values of a tool's arguments, as one reads them: `2024-01-25 14:00`."""
    if not words:
        return length(arguments)
    found = _parsed(arguments or "{}")
    fields = found if isinstance(found, dict) else {"": arguments if found is None else found}
    # Each by itself: two dates, or a card and the guests, are not one number.
    shown = mask.fields({name: _shown(value)[:MASKED_CHARS] for name, value in fields.items() if value is not None})
    return clean(_phones_masked(" ".join(shown)))


def returned(output: str, *, words: bool, mask: Mask = BUILT_IN) -> str:
    """What a tool gave back: text as it is, of a list how many, of an object each of its fields in this way, so that
    `{"available_slots": [1, 2, 3]}` reads `Available slots: 3`."""
    if not words:
        return length(output)
    text = output.strip()
    found = _parsed(text) if text[:1] in ("[", "{") else None
    if isinstance(found, list):
        text = f"{len(found)} item{'' if len(found) == 1 else 's'}"
    elif isinstance(found, dict):
        text = "; ".join(f"{str(name).replace('_', ' ')}: {_brief(value)}" for name, value in found.items())
        text = text[:1].upper() + text[1:]
    return clean(masked(text if text not in ("", "null") else "nothing", mask))


def length(text: str) -> str:
    return f"({len(text)} characters)"


def silent(error: BaseException) -> Exception:
    """An exception of that name, and the way that this one came, which says nothing."""
    kind = _silent_type(type(error).__module__, type(error).__qualname__)
    return kind().with_traceback(error.__traceback__)


@functools.lru_cache(maxsize=256)
def _silent_type(module: str, name: str) -> type[Exception]:
    return type(name, (Exception,), {"__module__": module})


def _brief(value: Any) -> str:
    return str(len(value)) if isinstance(value, list | dict) else _shown(value)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """JSON, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
