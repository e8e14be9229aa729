"""Lines of the log: what may be in one, and how it looks, as text or as JSON.

No record, whatever a peer put into it, breaks out of its line or shows a telephone number, a card's or an identity's
(`masking`), a stream token or one of our secrets. Nothing here raises, and nothing here is for every frame.
"""

import functools
import json
import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastbridge.masking.mask import BUILT_IN, Mask

MAX_VALUE_CHARS = 120
MAX_TRACE_CHARS = 65_536

# C0, C1, bidi and other invisible format characters, line and paragraph separators, surrogates: all that can forge or
# hide a line, in a terminal too.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_PHONE = re.compile(r"(?<![0-9A-Za-z_+])\+[0-9]{7,15}(?![0-9])")
# Without a plus: with a trunk prefix, or as America groups them. No counter begins with 0, and none has such signs.
_LOCAL_PHONE = re.compile(
    r"(?<![\w.+*…-])(?:"
    r"0[0-9]{8,10}|00[1-9][0-9]{8,12}"
    r"|\(?0[0-9]{1,3}\)?[ -][0-9]{3,4}[ -]?[0-9]{3,4}"
    r"|\([2-9][0-9]{2}\) ?[0-9]{3}[ .-][0-9]{4}|[2-9][0-9]{2}([.-])[0-9]{3}\1[0-9]{4}"
    r")(?![\w*]|[.:-][0-9])"
)
_local_phones_masked = functools.partial(_LOCAL_PHONE.sub, lambda found: _masked(found[0]))
_BARE_PHONE = re.compile(r"\+?[0-9]{7,}")
_STREAM_TOKEN = re.compile(r"(/media/)[A-Za-z0-9_-]{8,}")
_API_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")


def clean(value: object, limit: int = MAX_VALUE_CHARS) -> str:
    """`value` as text that stays on its line, at most `limit` characters."""
    try:
        # Cut first: escaping a megabyte to show 120 characters of it would be a gift to whoever sent it.
        text = escape(str(value)[: limit + 1])
    except Exception:  # a broken __str__ is no reason to lose the line
        text = f"<unprintable {type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str) -> str:
    """`text` with every control, bidi, separator and surrogate character written as its Python escape."""
    if text.isprintable():  # as most is; none of them are
        return text
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def mask_phone(number: str) -> str:
    """`+972501234512` → `+9725****12`: enough to tell callers apart, too little to ring one. Also in a SIP address."""
    return _BARE_PHONE.sub(lambda found: _masked(found[0]), number)


def _masked(number: str) -> str:
    digits = re.sub("[ ().-]", "", number)
    return f"{digits[:5]}****{digits[-2:]}"


def plain(value: object) -> object:
    """A value as JSON takes it: numbers and truth as they are, the rest as clean text."""
    if value is None or (isinstance(value, int) and abs(value) < 1 << 64):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return clean(value)


def quoted(value: object) -> str:
    """A value that holds a separator is quoted, so that it cannot pose as another field; none at all is a dash."""
    text = "-" if value is None else str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',="') else text


class Scrubber:
    """Takes out of any text what no log may hold: our secrets, API keys, stream tokens, telephone numbers, and what
    `mask` finds.

    For lines that hold none the patterns are not even tried: between two of a node's lines they leave the caches.
    """

    def __init__(self, secrets: list[str], mask: Mask = BUILT_IN) -> None:
        self._mask = mask
        # A very short "secret" is a test's, and would blank out half the language.
        self._secrets = sorted((secret for secret in secrets if len(secret) >= 8), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:  # a longer one first, which may hold a shorter one
            if secret in text:
                text = text.replace(secret, "****")
        if "sk-" in text:
            text = _API_KEY.sub("sk-****", text)
        if "/media/" in text:
            text = _STREAM_TOKEN.sub(r"\1****", text)
        if "+" in text:
            text = _PHONE.sub(lambda found: _masked(found[0]), text)
        return self._mask.written(text, _local_phones_masked)

    def value(self, value: object) -> object:
        """A field's, as JSON takes it. A number that is a card's is text then."""
        if isinstance(value, str):
            return self(value)
        if type(value) is int and value > 9_999_999:
            text = self(str(value))
            return value if text == str(value) else text
        return value


@functools.cache
def stem(pathname: str) -> str:
    return Path(pathname).stem


def _module(record: logging.LogRecord) -> str:
    """The file's name for our own code, the logger's for libraries, where `server` or `client` would say nothing."""
    return record.module if record.name.split(".", 1)[0] in ("fastbridge", "root") else record.name


def message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit their format: show what there is
        return f"{record.msg!s} {clean(record.args)}"


class _Stamped(logging.Formatter):
    """Makes a time stamp once for all lines of a second."""

    _stamp = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the library's
        second, text = self._stamp
        if second != int(record.created):
            text = super().formatTime(record, datefmt)
            self._stamp = int(record.created), text  # at once: lines come from several threads
        return text


class HumanFormatter(_Stamped):
    """`[2024-01-21 19:30:26] INFO     [module] message`.

    Tracebacks follow, indented, so that no line of theirs poses as a record.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        message = escape(self._scrub(message_of(record)))
        line = f"[{self.formatTime(record, self.datefmt)}] {record.levelname:<8} [{_module(record)}] {message}"
        trace = self._scrub(_traceback(self, record))
        return "\n    ".join([line, *(escape(part) for part in trace.split("\n"))]) if trace else line


class JsonFormatter(_Stamped):
    """One JSON object a line, pure ASCII: timestamp, level, module, message, the event's fields, exception."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        out: dict[str, object] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "module": _module(record),
            "message": self._scrub(message_of(record)),
        }
        fields: dict[str, Any] = getattr(record, "fields", {})
        for name, value in fields.items():
            out.setdefault(name, self._scrub.value(value))
        trace = _traceback(self, record)
        if trace:
            out["exception"] = self._scrub(trace)
        return json.dumps(out, default=clean)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    try:
        trace = formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
    except Exception:  # an exception whose own text raises
        trace = f"<no traceback for {record.exc_info[0]}>" if record.exc_info else ""
    if len(trace) > MAX_TRACE_CHARS:
        trace = f"{trace[: MAX_TRACE_CHARS // 2]}\n…\n{trace[-MAX_TRACE_CHARS // 2 :]}"
    return "\n".join(part for part in (trace, record.stack_info or "") if part)
