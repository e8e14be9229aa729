"""The logging policy. Nobody else configures logging.

Owns levels, formats and what may not be in a line: no record, whatever a peer put into it, breaks out of its line or
shows a telephone number, a stream token or one of our secrets. What is worth a line is decided where it happens; macro
events go through `event`, to a logger of their own that no rule for noisy modules silences. Nothing here raises, and
nothing here is for every frame.
"""

import json
import logging
import math
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from fastbridge.config import Settings

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
NOISY = ("websockets", "httpx2", "httpcore2", "httpx", "urllib3", "openai", "uvicorn", "twilio", "asyncio")
MAX_VALUE_CHARS = 120
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

_events = logging.getLogger("fastbridge.events")
# C0, C1, bidi and other invisible format characters, line and paragraph separators, surrogates: all that can forge or
# hide a line, in a terminal too.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_PHONE = re.compile(r"(?<![0-9A-Za-z_+])\+[0-9]{7,15}(?![0-9])")
_BARE_PHONE = re.compile(r"\+?[0-9]{7,}")
_STREAM_TOKEN = re.compile(r"(/media/)[A-Za-z0-9_-]{8,}")
_API_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")


def configure(settings: "Settings") -> None:
    """Send all logging to stdout by the policy. May be called again: the new settings replace the old."""
    level, complaints = resolve_level(settings.log_level, settings.debug)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    scrub = Scrubber(
        [secret.get_secret_value() for secret in (settings.openai_api_key, settings.twilio_auth_token) if secret]
    )
    handler = _StdoutHandler(_writable(sys.stdout))
    handler.setFormatter(JsonFormatter(scrub) if settings.log_json else HumanFormatter(scrub))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StdoutHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    noisy = logging.INFO if level == logging.DEBUG else max(level, logging.WARNING)
    for name in NOISY:
        logging.getLogger(name).setLevel(noisy)
    first = f"LOGGING CONFIGURED: level={logging.getLevelName(level)}, json={int(settings.log_json)}"
    # Straight to the handler: the first line says how to read the rest, so no level hides it.
    handler.handle(logging.LogRecord(__name__, logging.INFO, __file__, 0, first, None, None))


def resolve_level(log_level: str | None, debug: str | None) -> tuple[int, list[str]]:
    """The level and complaints about bad values. LOG_LEVEL wins; else DEBUG=1 or unset is production (INFO) and DEBUG=0
    is development (DEBUG), in that order since operators know it so; a bad value means INFO."""
    if log_level:
        name = log_level.strip().upper()
        if name in LEVELS:
            return logging.getLevelNamesMapping()[name], []
        return logging.INFO, [f"LOG_LEVEL must be one of {', '.join(LEVELS)}, not {clean(log_level)!r}; using INFO."]
    word = (debug or "1").strip().lower()
    if word in FALSE:
        return logging.DEBUG, []
    if word in TRUE:
        return logging.INFO, []
    return logging.INFO, [f"DEBUG must be 1 (production) or 0 (development), not {clean(word)!r}; using INFO."]


def event(
    tag: str,
    message: str = "",
    *,
    call_sid: str | None = None,
    level: int = logging.INFO,
    exc_info: bool = False,
    **fields: object,
) -> None:
    """Log a macro event: `[TAG] message call_sid=CA…, k=v`. In JSON the fields are keys as well.

    Values are cleaned and cut to 120 characters. `exc_info` adds the traceback of the exception being handled.
    """
    if not _events.isEnabledFor(level):
        return
    named = fields if call_sid is None else {"call_sid": call_sid, **fields}
    safe = {name: _plain(value) for name, value in named.items()}
    pairs = ", ".join(f"{name}={_quoted(value)}" for name, value in safe.items())
    text = " ".join(part for part in (f"[{tag}]", message, pairs) if part)
    _events.log(level, "%s", text, extra={"fields": safe}, exc_info=exc_info, stacklevel=2)


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
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def mask_phone(number: str) -> str:
    """`+972501234512` → `+9725****12`: enough to tell callers apart, too little to ring one. Also in a SIP address."""
    return _BARE_PHONE.sub(lambda found: _masked(found[0]), number)


def _masked(digits: str) -> str:
    return f"{digits[:5]}****{digits[-2:]}"


def _plain(value: object) -> object:
    """A value as JSON takes it: numbers and truth as they are, the rest as clean text."""
    if value is None or (isinstance(value, int) and abs(value) < 1 << 64):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return clean(value)


def _quoted(value: object) -> str:
    """A value that holds a separator is quoted, so that it cannot pose as another field."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',="') else text


class Scrubber:
    """Takes out of any text what no log may hold: our secrets, API keys, stream tokens, telephone numbers."""

    def __init__(self, secrets: list[str]) -> None:
        # A very short "secret" is a test's, and would blank out half the language.
        known = [re.escape(secret) for secret in secrets if len(secret) >= 8]
        self._secrets = re.compile("|".join(known)) if known else None

    def __call__(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub("****", text)
        text = _API_KEY.sub("sk-****", text)
        text = _STREAM_TOKEN.sub(r"\1****", text)
        return _PHONE.sub(lambda found: _masked(found[0]), text)


def _module(record: logging.LogRecord) -> str:
    """The file's name for our own code, the logger's for libraries, where `server` or `client` would say nothing."""
    return record.module if record.name.split(".", 1)[0] in ("fastbridge", "root") else record.name


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit their format: show what there is
        return f"{record.msg!s} {clean(record.args)}"


class HumanFormatter(logging.Formatter):
    """`[2024-01-21 19:30:26] INFO     [module] message`.

    Tracebacks follow, indented, so that no line of theirs poses as a record.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        message = escape(self._scrub(_message(record)))
        line = f"[{self.formatTime(record, self.datefmt)}] {record.levelname:<8} [{_module(record)}] {message}"
        trace = self._scrub(_traceback(self, record))
        return "\n    ".join([line, *(escape(part) for part in trace.split("\n"))]) if trace else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line, pure ASCII: timestamp, level, module, message, the event's fields, exception."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        out: dict[str, object] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "module": _module(record),
            "message": self._scrub(_message(record)),
        }
        fields: dict[str, Any] = getattr(record, "fields", {})
        for name, value in fields.items():
            out.setdefault(name, self._scrub(value) if isinstance(value, str) else value)
        trace = _traceback(self, record)
        if trace:
            out["exception"] = self._scrub(trace)
        return json.dumps(out, default=clean)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    try:
        trace = formatter.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
    except Exception:  # an exception whose own text raises
        trace = f"<no traceback for {record.exc_info[0]}>" if record.exc_info else ""
    return "\n".join(part for part in (trace, record.stack_info or "") if part)


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Ours, to be known again by `configure`."""


def _writable(stream: TextIO) -> TextIO:
    """No character is worth losing a line: on a terminal that is not UTF-8, what it lacks is escaped."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


class RateLimiter:
    """At most one line per key and time: `if limiter.every("tx_slow", 5.0): …`. Monotonic; keeps the last 256 keys."""

    MAX_KEYS = 256

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last_s: OrderedDict[str, float] = OrderedDict()

    def every(self, key: str, seconds: float) -> bool:
        """True for the first time, and once `seconds` have passed since it was last true for this key."""
        now_s = self._now_s()
        last_s = self._last_s.get(key)
        if last_s is not None and now_s - last_s < seconds:
            return False
        self._last_s[key] = now_s
        self._last_s.move_to_end(key)
        if len(self._last_s) > self.MAX_KEYS:
            self._last_s.popitem(last=False)
        return True
