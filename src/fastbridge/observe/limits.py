"""How often a line may come: by time, by number, once; and how many were not written meanwhile.

Every limiter is bounded, and may be used from several threads; time is monotonic. They only count: what is written, and
where, is their caller's affair. The standard library alone, so that any service may use them.
"""

import logging
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

MAX_WORDING_CHARS = 120
REPEATS = 5
REPEAT_SECONDS = 10.0
"""Of one warning (same logger, same wording) so many are written in this time; the next one says how many more."""
EVENTS = "fastbridge.events"
"""The logger of macro events."""

State = TypeVar("State")


def _remember(table: "OrderedDict[Hashable, State]", key: Hashable, state: State, most: int) -> None:
    table[key] = state
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)


class RateLimiter:
    """At most one line per key and time: `if limiter.every("tx_slow", 5.0): …`. Monotonic; keeps the last 256 keys."""

    MAX_KEYS = 256

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # last let through, not let through since

    def every(self, key: Hashable, seconds: float) -> bool:
        """True for the first time, and once `seconds` have passed since it was last true for this key."""
        return self.skipped(key, seconds) is not None

    def skipped(self, key: Hashable, seconds: float) -> int | None:
        """The same, with the number of those in between that were not let through; None for one that is not."""
        with self._lock:
            now_s = self._now_s()
            last_s, count = self._seen.get(key, (-math.inf, 0))
            if now_s - last_s < seconds:
                self._seen[key] = last_s, count + 1
                return None
            _remember(self._seen, key, (now_s, 0), self.MAX_KEYS)
            return count

    def __len__(self) -> int:
        return len(self._seen)


class EveryNth:
    """One line in so many, per key: `if often.every_n("frames", 100): …`. Keeps the last 256 keys."""

    MAX_KEYS = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, int] = OrderedDict()

    def every_n(self, key: Hashable, n: int) -> bool:
        """True for the first, the (n + 1)th, the (2n + 1)th …"""
        return self.skipped(key, n) is not None

    def skipped(self, key: Hashable, n: int) -> int | None:
        """The same, with the number of those in between; None for one of them."""
        n = max(n, 1)
        with self._lock:
            seen = self._seen.get(key, 0)
            _remember(self._seen, key, seen + 1, self.MAX_KEYS)
        if seen % n:
            return None
        return n - 1 if seen else 0

    def __len__(self) -> int:
        return len(self._seen)


class OncePerCall:
    """Each key once: `if once.once("dsp_enabled"): …`. Keeps 256 keys; a further one is not news any more."""

    MAX_KEYS = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[Hashable] = set()

    def once(self, key: Hashable) -> bool:
        """True for the first time."""
        with self._lock:
            if key in self._seen or len(self._seen) >= self.MAX_KEYS:
                return False
            self._seen.add(key)
            return True


class Repeats:
    """Warnings and errors that a peer can cause again and again: the first few are written, the rest counted.

    Of macro events only those of no call are judged: a call limits its own. Keeps the last 256 wordings.
    """

    MAX_KEYS = 256

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # since when, how many

    def judge(self, record: logging.LogRecord) -> int | None:
        """None: not to be written. Else how many like it were not, since the last that was."""
        if record.levelno < logging.WARNING:
            return 0
        wording = str(record.msg)
        if record.name == EVENTS:
            if "call_sid" in getattr(record, "fields", {}):
                return 0
            wording = record.getMessage()
        key = (record.name, record.levelno, wording[:MAX_WORDING_CHARS])
        since_s, count = self._seen.get(key, (-math.inf, 0))
        expired = self._now_s() - since_s >= REPEAT_SECONDS
        _remember(self._seen, key, (self._now_s(), 1) if expired else (since_s, count + 1), self.MAX_KEYS)
        if expired:
            return max(0, count - REPEATS)
        return 0 if count < REPEATS else None


def log_every(logger: logging.Logger, key: Hashable, seconds: float, level: int, message: str, *args: object) -> None:
    """`logger.log(level, message, *args)`, at most once in so many seconds; the next one says how many were not
    written: `(and 812 more like it)`. Within an `except` an ERROR has its traceback. Keys are the logger's own."""
    if logger.isEnabledFor(level):
        _log(logger, level, message, args, _limiter.skipped((logger.name, key), seconds))


def log_every_n(logger: logging.Logger, key: Hashable, n: int, level: int, message: str, *args: object) -> None:
    """`logger.log(level, message, *args)`, for the first and then for every nth time; else as `log_every`."""
    if logger.isEnabledFor(level):
        _log(logger, level, message, args, _counter.skipped((logger.name, key), n))


def _log(logger: logging.Logger, level: int, message: str, args: tuple[object, ...], skipped: int | None) -> None:
    if skipped is None:
        return
    if skipped:
        text = message if args else message.replace("%", "%%")
        message, args = f"{text} (and %d more like it)", (*args, skipped)
    failing = level >= logging.ERROR and sys.exc_info()[0] is not None
    logger.log(level, message, *args, exc_info=failing, stacklevel=3)


_limiter = RateLimiter()
_counter = EveryNth()
