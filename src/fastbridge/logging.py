"""The logging policy. Nobody else configures logging.

Owns levels, formats and what may not be in a line: no record, whatever a peer put into it, breaks out of its line or
shows a telephone number, a card's or an identity's (`masking`), a stream token or one of our secrets. What is worth a
line is decided where it happens; macro events go through `event`, to a logger of their own that no rule for noisy
modules silences. Lines are made here and written by a thread (`logwriter`): nobody who logs waits. Nothing here raises,
and nothing here is for every frame.

Any service may use it: `configure()` goes by the environment, and the standard library is all that it needs.
"""

import atexit
import functools
import json
import logging
import math
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from fastbridge.loglimits import EVENTS, EveryNth, OncePerCall, RateLimiter, Repeats, log_every, log_every_n
from fastbridge.logwriter import CLOSE_SECONDS, LineWriter
from fastbridge.masking import BUILT_IN, Mask

if TYPE_CHECKING:
    from fastbridge.config import Settings

__all__ = [
    "NOISY",
    "EveryNth",
    "OncePerCall",
    "RateLimiter",
    "configure",
    "configure_from",
    "counters",
    "event",
    "flush",
    "log_every",
    "log_every_n",
    "log_uncaught",
    "mask_phone",
]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEDIA_PATH = tuple(
    f"fastbridge.{module}" for module in ("call", "greeting", "realtime", "responses", "sockets", "tools")
)
NOISY = (
    *("websockets", "httpx2", "httpcore2", "httpx", "urllib3", "openai", "uvicorn", "twilio", "asyncio", "sqlalchemy"),
    *MEDIA_PATH,
)
"""WARNING in production, INFO in development. The media path's macro events have their own logger and stay."""
STATEMENTS = ("sqlalchemy.engine", "sqlalchemy.pool")
"""At INFO these write every statement: never below WARNING."""
MAX_VALUE_CHARS = 120
MAX_TRACE_CHARS = 65_536
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

_own = logging.getLogger("fastbridge")
_events = logging.getLogger(EVENTS)
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


def configure(
    level: str | int | None = None,
    json: bool | None = None,
    noisy: Iterable[str] = NOISY,
    *,
    secrets: Iterable[str] = (),
    lock: Path | None = None,
) -> None:
    """Send all logging of this process to stdout by the policy. May be called again: the new rules replace the old.

    level: DEBUG, INFO, WARNING or ERROR; None for what LOG_LEVEL and DEBUG say. json: one JSON object a line; None for
    what LOG_JSON says. noisy: loggers that are at WARNING in production and at INFO in development. secrets: what no
    line may show. lock: a file by which several processes that share stdout take turns.
    """
    if isinstance(level, int):
        level = logging.getLevelName(level)
    number, complaints = resolve_level(level or os.environ.get("LOG_LEVEL"), os.environ.get("DEBUG"))
    if json is None:
        word = os.environ.get("LOG_JSON", "").strip().lower()
        json = word in TRUE
        if word and word not in TRUE | FALSE:
            complaints.append(f"LOG_JSON must be 1 or 0, not {clean(word)!r}; using 0.")
    _apply(number, complaints, as_json=json, noisy=noisy, secrets=secrets, lock=lock)


def configure_from(settings: "Settings", *, lock: Path | None = None) -> None:
    """The same for a node: by its settings, none of whose secrets any line shows."""
    from fastbridge.mask_patterns import mask_of  # who has no settings has none of this

    level, complaints = resolve_level(settings.log_level, settings.debug)
    values = (getattr(settings, name) for name in type(settings).model_fields)
    secrets = [value.get_secret_value() for value in values if hasattr(value, "get_secret_value")]
    _apply(
        level,
        complaints,
        as_json=settings.log_json,
        noisy=NOISY,
        secrets=secrets,
        lock=lock,
        mask=mask_of(settings),
    )


def _apply(
    level: int,
    complaints: list[str],
    *,
    as_json: bool,
    noisy: Iterable[str],
    secrets: Iterable[str],
    lock: Path | None,
    mask: Mask = BUILT_IN,
) -> None:
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    scrub = Scrubber(list(secrets), mask)
    handler = QueuedHandler(sys.stdout, JsonFormatter(scrub) if as_json else HumanFormatter(scrub), lock=lock)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, QueuedHandler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    quiet = logging.INFO if level == logging.DEBUG else max(level, logging.WARNING)
    for name in noisy:
        logging.getLogger(name).setLevel(quiet)
    for name in STATEMENTS:
        logging.getLogger(name).setLevel(max(quiet, logging.WARNING))
    first = f"LOGGING CONFIGURED: level={logging.getLevelName(level)}, json={int(as_json)}"
    # Straight to the handler: the first line says how to read the rest, so no level hides it.
    handler.handle(logging.LogRecord(__name__, logging.INFO, __file__, 0, first, None, None))


def flush(timeout: float = CLOSE_SECONDS) -> bool:
    """Wait until all lines so far are written; False if that took longer. Done by itself at the process's end."""
    return not [handler for handler in _handlers() if not handler.writer.flush(timeout)]


def counters() -> dict[str, int]:
    """Lines by level (`DEBUG` … `CRITICAL`), `dropped` for want of room and `suppressed` as repeats, so far."""
    return dict(_counts) | {"dropped": _gone + sum(handler.writer.dropped for handler in _handlers())}


def log_uncaught() -> None:
    """From now on what nobody catches is logged, in the same format and scrubbed, not printed by the interpreter."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        event("SERVER_ERROR", "uncaught", level=logging.CRITICAL, exc_info=error)
        flush()

    sys.excepthook = uncaught
    threading.excepthook = lambda hook: (
        uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback) if hook.exc_value is not None else None
    )
    logging.captureWarnings(True)


def take_over_uvicorn() -> None:
    """A uvicorn that was not started by us brought handlers of its own: they go, its lines come by our policy, and it
    writes no access log."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access"):
        theirs = logging.getLogger(name)
        theirs.handlers.clear()
        theirs.propagate = name != "uvicorn.access"
        if name != "uvicorn":
            theirs.setLevel(logging.NOTSET)


def resolve_level(log_level: str | None, debug: str | None) -> tuple[int, list[str]]:
    """The level and complaints about bad values. LOG_LEVEL wins; else DEBUG=1 or unset is production (INFO) and DEBUG=0
    is development (DEBUG), in that order since operators know it so; a bad value means INFO."""
    name = (log_level or "").strip().upper()
    if name in LEVELS:
        return logging.getLevelNamesMapping()[name], []
    if name:
        return logging.INFO, [f"LOG_LEVEL must be one of {', '.join(LEVELS)}, not {clean(log_level)!r}; using INFO."]
    word = (debug or "").strip().lower() or "1"
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
    exc_info: bool | BaseException = False,
    stacklevel: int = 1,
    **fields: object,
) -> None:
    """Log a macro event: `[TAG] message, k=v, call_sid=CA…`. In JSON the fields are keys as well.

    Values are cleaned and cut to 120 characters; a message that ends with a colon introduces them. A call's first line
    leads with its sid; in all others the sid comes last. `exc_info`: the traceback of this exception, or of the one
    being handled.
    """
    if not _events.isEnabledFor(level):
        return
    sid = {} if call_sid is None else {"call_sid": call_sid}
    named = sid | fields if tag == "CALL_START" else fields | sid
    safe = {name: _plain(value) for name, value in named.items()}
    pairs = ", ".join(f"{name}={_quoted(value)}" for name, value in safe.items())
    comma = "," if message and pairs and not message.endswith(":") else ""
    text = " ".join(part for part in (f"[{tag}]" if tag else "", f"{message}{comma}", pairs) if part)
    handlers = logging.getLogger().handlers
    others = len(handlers) > 1 or _own.handlers or _events.handlers
    # What is wrong goes the library's way, where services that report errors have put themselves.
    if level < logging.WARNING and not others and handlers and isinstance(handlers[0], QueuedHandler) and not exc_info:
        handlers[0].handle(_EventRecord(level, text, safe, sys._getframe(stacklevel).f_code.co_filename))
        return
    _events.log(level, "%s", text, extra={"fields": safe}, exc_info=exc_info or None, stacklevel=stacklevel + 1)


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


def _plain(value: object) -> object:
    """A value as JSON takes it: numbers and truth as they are, the rest as clean text."""
    if value is None or (isinstance(value, int) and abs(value) < 1 << 64):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return clean(value)


def _quoted(value: object) -> str:
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


class _EventRecord(logging.LogRecord):
    """What our own handler asks of a record, and no more: where nobody else listens, the library's way from a logger to
    its handlers would cost more than the line."""

    def __init__(self, level: int, text: str, fields: dict[str, object], pathname: str) -> None:
        self.name = _events.name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.module = _stem(pathname)
        self.msg = text
        self.args = self.exc_info = self.stack_info = None
        self.fields = fields
        self.created = time.time()


@functools.cache
def _stem(pathname: str) -> str:
    return Path(pathname).stem


def _module(record: logging.LogRecord) -> str:
    """The file's name for our own code, the logger's for libraries, where `server` or `client` would say nothing."""
    return record.module if record.name.split(".", 1)[0] in ("fastbridge", "root") else record.name


def _message(record: logging.LogRecord) -> str:
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
        message = escape(self._scrub(_message(record)))
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
            "message": self._scrub(_message(record)),
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


class QueuedHandler(logging.Handler):
    """Makes the line at once, since what it tells of may change, and leaves the writing to a LineWriter."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter, *, lock: Path | None = None) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.writer = LineWriter(stream, self._lost_line, lock=lock)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            more = self._repeats.judge(record)
            if more is None:
                _counts["suppressed"] += 1
                return
            if more:
                record.msg, record.args = f"{_message(record)} (and {more} more like it)", None
            _counts[record.levelname] += 1
            self.writer.put(self.format(record), urgent=record.levelno >= logging.WARNING)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        global _gone
        self.writer.close()
        _gone += self.writer.dropped
        super().close()

    def _lost_line(self, count: int) -> str:
        text = f"{count} log lines were dropped: they were not read as fast as they came"
        return self.format(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None))


def _handlers() -> list[QueuedHandler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, QueuedHandler)]


_counts: Counter[str] = Counter(dict.fromkeys((*LEVELS, "CRITICAL", "suppressed"), 0))
_gone = 0
"""Lines that handlers dropped which are no more."""
atexit.register(flush)
