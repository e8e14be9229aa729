"""The logging policy: levels, where lines go, and what becomes of one. Nobody else configures logging.

What is worth a line is decided where it happens; macro events go through `event`, to a logger of their own that no
rule for noisy modules silences. Lines are made at once (`log_format`) and written by a thread (`writer`): nobody who
logs waits. Nothing here raises, and nothing here is for every frame.
"""

import atexit
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from fastbridge.masking.mask import BUILT_IN, Mask
from fastbridge.observe.limits import EVENTS, Repeats
from fastbridge.observe.log_format import (
    HumanFormatter,
    JsonFormatter,
    Scrubber,
    clean,
    message_of,
    plain,
    quoted,
    stem,
)
from fastbridge.observe.writer import CLOSE_SECONDS, LineWriter

if TYPE_CHECKING:
    from fastbridge.config import Settings

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEDIA_PATH = ("fastbridge.call", "fastbridge.model", "fastbridge.carrier.twilio.media_socket", "fastbridge.agent.tools")
NOISY = (
    *("websockets", "httpx2", "httpcore2", "httpx", "urllib3", "openai", "uvicorn", "twilio", "asyncio", "sqlalchemy"),
    *MEDIA_PATH,
)
"""WARNING in production, INFO in development. The media path's macro events have their own logger and stay."""
STATEMENTS = ("sqlalchemy.engine", "sqlalchemy.pool")
"""At INFO these write every statement: never below WARNING."""
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

_own = logging.getLogger("fastbridge")
_events = logging.getLogger(EVENTS)


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
    from fastbridge.masking.patterns import mask_of  # who has no settings has none of this

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
    safe = {name: plain(value) for name, value in named.items()}
    pairs = ", ".join(f"{name}={quoted(value)}" for name, value in safe.items())
    comma = "," if message and pairs and not message.endswith(":") else ""
    text = " ".join(part for part in (f"[{tag}]" if tag else "", f"{message}{comma}", pairs) if part)
    handlers = logging.getLogger().handlers
    others = len(handlers) > 1 or _own.handlers or _events.handlers
    # What is wrong goes the library's way, where services that report errors have put themselves.
    if level < logging.WARNING and not others and handlers and isinstance(handlers[0], QueuedHandler) and not exc_info:
        handlers[0].handle(_EventRecord(level, text, safe, sys._getframe(stacklevel).f_code.co_filename))
        return
    _events.log(level, "%s", text, extra={"fields": safe}, exc_info=exc_info or None, stacklevel=stacklevel + 1)


class _EventRecord(logging.LogRecord):
    """What our own handler asks of a record, and no more: where nobody else listens, the library's way from a logger to
    its handlers would cost more than the line."""

    def __init__(self, level: int, text: str, fields: dict[str, object], pathname: str) -> None:
        self.name = _events.name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.module = stem(pathname)
        self.msg = text
        self.args = self.exc_info = self.stack_info = None
        self.fields = fields
        self.created = time.time()


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
                record.msg, record.args = f"{message_of(record)} (and {more} more like it)", None
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
