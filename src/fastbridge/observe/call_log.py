"""What one call may write: 30 lines, whatever happens in it; the others are counted, and summed up at its end.

Owned by its call: every line of a call passes here, but for one of the 30, which is for what a webhook says before
there is a call. There is one budget for all. What every log must have (ESSENTIAL) has its places reserved, and so have
some warnings and errors that are new; what is left goes by the table RULES, which says what gives way first. A warning
is new if nothing like it was written: the same tag and the same words, numbers aside; of an exception, its type and the
way it came. So each is written once, with its traceback if it has one, and then counted. At the end each kind has one
line for those that were held back; where there is no room for so many, one line has them all.

A line that a flag asked for is outside of all this. Nothing here is for every frame. Any thread may log.
"""

import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastbridge.masking.mask import BUILT_IN, Dialogue
from fastbridge.masking.patterns import mask_of
from fastbridge.observe import log_policy as log
from fastbridge.observe.limits import EVENTS, EveryNth, OncePerCall, RateLimiter
from fastbridge.observe.line_rules import (
    DETAIL,
    DEVELOPMENT,
    ESSENTIAL,
    OTHERS,
    OWN,
    PRODUCTION,
    RULES,
    Budget,
    Rank,
    Rule,
)
from fastbridge.observe.log_format import clean

if TYPE_CHECKING:
    from fastbridge.config import Settings


MAX_NEW = 8
"""Warnings that are new, by tag: one source of ever new ones is not to silence the others."""
MAX_TALLIES = 16
MAX_TALLY_CHARS = 40
MAX_WORDING_CHARS = 120
MAX_SUM_CHARS = 2000
MAX_FRAMES = 64
"""Bounds on what is remembered of lines; what goes beyond is counted as `other`."""
AFTERWARDS = 1
"""Lines kept for a hook that goes wrong when the call has ended."""
FAILURE_SECONDS = 30.0
"""Of a failure that comes again and again, how long after its last line another one may say how often it came."""
_FIELDS_OF_OURS = frozenset({"tag", "message", "call_sid", "level", "exc_info", "stacklevel"})
_NO_WORD = re.compile(r"[\W\d_]+")
_events = logging.getLogger(EVENTS)
_lock = threading.Lock()
_held_back: Counter[str] = Counter()


def held_back() -> dict[str, int]:
    """Lines that the calls of this process held back so far, by level."""
    return dict(_held_back)


@dataclass(frozen=True)
class _Line:
    """What is to be decided on. fingerprint: of a warning. heads: a sum counts it by itself, not with others."""

    tag: str
    message: str
    level: int
    rule: Rule
    tally: str | None
    fingerprint: str
    pause_s: float = 0.0
    heads: bool = True
    reserved: bool = False


class CallLog:
    """`log("HANGUP", "the caller said goodbye", after_ms=300)`: a line of this call.

    rate and once: limiters of the call, for whoever logs for it. private: what is said now is a secret.
    mask, dialogue: through which it goes then.
    lines: written so far. held_back: those that were not, by kind.
    """

    def __init__(
        self, call_sid: str, settings: "Settings | None" = None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.call_sid = call_sid
        self.private = False
        self._words = settings is None or settings.log_transcripts
        self.mask = BUILT_IN if settings is None else mask_of(settings)
        self.dialogue = Dialogue(self.mask)
        self.rate = RateLimiter(now_s)
        self.once = OncePerCall()
        self._own_limiters = RateLimiter(now_s), OncePerCall(), EveryNth()
        self.lines = 0
        self.held_back: Counter[str] = Counter()
        self._spent = 0
        self._reserved = dict(ESSENTIAL)
        self._written: Counter[str] = Counter()  # by tag
        self._new: Counter[str] = Counter()  # of these warnings that were new
        self._known: set[str] = set()  # their fingerprints
        self._failures: Counter[str] = Counter()  # by fingerprint
        self._waiting: dict[str, _Held] = {}  # by kind
        self._ended = False

    @property
    def words(self) -> bool:
        """Whether what people say may be in the log."""
        return self._words and not self.private

    @property
    def own(self) -> "OwnLog":
        """What an agent's author gets to log with. Not kept: the two would keep each other."""
        return OwnLog(self, *self._own_limiters)

    @property
    def detailed(self) -> bool:
        """Whether lines at DEBUG are written at all: ask before you make one at some cost."""
        return _events.isEnabledFor(logging.DEBUG)

    def __call__(
        self,
        tag: str,
        message: str = "",
        *,
        level: int = logging.INFO,
        exc_info: bool | BaseException = False,
        turn: bool = False,
        tally: str | None = None,
        fingerprint: str = "",
        pause_s: float = 0.0,
        free: bool = False,
        reserved: bool = False,
        depth: int = 0,
        **fields: Any,
    ) -> None:
        """turn: this line begins a turn of the dialogue. tally: what a sum calls it. fingerprint: what makes a warning
        the same as an earlier one, where that is not its words. pause_s: how long after one another may follow. free:
        asked for by a flag, so nothing is counted. reserved: it has the place that `reserve` has kept.
        depth: callers between this line and where it was thought of."""
        if not _events.isEnabledFor(level):
            return
        rule = DETAIL if level <= logging.DEBUG else RULES.get(tag, OTHERS)
        heads = turn if rule.kind == "TRANSCRIPT" else rule.kind in ("", tag, "DETAIL")
        line = _Line(tag, message, level, rule, tally, fingerprint, pause_s, heads, reserved)
        if free or self._admits(line):
            self._write(tag, message, level, fields, exc_info=exc_info, depth=depth + 1)

    def reserve(self, tag: str) -> None:
        """A line with this tag, should it come, is worth a place whatever else is written."""
        self._reserved[tag] = 1

    def debug(self, tag: str, message: str = "", *, depth: int = 0, **fields: Any) -> None:
        """A line for development."""
        self(tag, message, level=logging.DEBUG, depth=depth + 1, **fields)

    def failure(
        self, key: str, tag: str, message: str, error: BaseException | bool, *, first: str = "", depth: int = 0
    ) -> None:
        """An error that may come again and again: first with its traceback, then, if there is room, how often it came.

        key, and the type and place of the error: what makes it the same. first: what the first line says, where that is
        not `message`.
        """
        fingerprint = f"{tag} {key} {_path(error)}"
        with _lock:
            counted = fingerprint if len(self._failures) < RateLimiter.MAX_KEYS else "other"
            self._failures[counted] += 1
            count, known = self._failures[counted], fingerprint in self._known
        common: dict[str, Any] = {"fingerprint": fingerprint, "tally": _name(message), "depth": depth + 1}
        if known:
            text = f"{message} repeating (count={count})"
            self(tag, text, level=logging.WARNING, pause_s=FAILURE_SECONDS, **common)
        else:
            self(tag, first or message, level=logging.ERROR, exc_info=error, **common)

    def say(
        self,
        tag: str,
        message: str,
        fields: Mapping[str, Any],
        *,
        level: int,
        exc_info: bool | BaseException,
        depth: int,
    ) -> None:
        """A line of the agent's author's: whatever its tag is, it takes no place of ours."""
        if not _events.isEnabledFor(level):
            return
        if self.private:
            message, fields, exc_info = "(private)", {}, False
        error = sys.exc_info()[1] or False if exc_info is True else exc_info
        rule = DETAIL if level <= logging.DEBUG else OWN
        fingerprint = f"own {tag} {_path(error)}" if error else f"own {tag} {_wording(message)}"
        known = fingerprint in self._known
        if self._admits(_Line("OWN", message, level, rule, clean(tag, MAX_TALLY_CHARS), fingerprint)):
            safe = {f"{name}_" if name in _FIELDS_OF_OURS else name: value for name, value in fields.items()}
            self._write(tag, message, level, safe, exc_info=False if known else error, depth=depth + 1)

    def finish(self) -> None:
        """The call has ended: sum up what was held back. Again when its last hook is done."""
        with _lock:
            sums = self._sums()
            self._ended = True
            self._spent += len(sums)
        for tag, text, level, more in sums:
            self._write(tag, text, level, more, depth=1)

    # --- the budget ---

    @property
    def _budget(self) -> Budget:
        return DEVELOPMENT if self.detailed else PRODUCTION

    def _left(self) -> int:
        """Lines that may still be written, and are not reserved."""
        return self._budget.lines - self._spent - sum(self._reserved.values())

    def _admits(self, line: _Line) -> bool:
        """Whether it is written; counted in any case."""
        with _lock:
            if line.tag in ESSENTIAL or (line.reserved and self._reserved.get(line.tag)):
                self._reserved[line.tag] = max(0, self._reserved[line.tag] - 1)
            elif not self._is_due(line):
                self._hold(line)
                return False
            self._spent += 1
            return True

    def _is_due(self, line: _Line) -> bool:
        budget, tag = self._budget, line.tag
        left = self._left() - (0 if self._ended else budget.sums)
        for_others = 0 if self._ended else left - budget.new
        if line.level >= logging.WARNING:
            fingerprint = line.fingerprint or f"{line.tag} {_wording(line.message)}"
            if self._is_new(tag, fingerprint, for_others if line.rule is OWN else left):
                self.rate.every(fingerprint, 0.0)
                return True
            if not self.rate.every(fingerprint, line.pause_s):
                return False
        rank = Rank.FIRST if line.rule.first and not self._written[tag] else line.rule.rank
        if for_others <= budget.margins[rank] or self._written[tag] >= line.rule.lines * budget.times:
            return False
        self._written[tag] += 1
        return True

    def _is_new(self, tag: str, fingerprint: str, left: int) -> bool:
        """Whether this warning is one that must be written, and can."""
        if fingerprint in self._known or left <= 0 or self._new[tag] >= MAX_NEW * self._budget.times:
            return False
        self._known.add(fingerprint)
        self._new[tag] += 1
        self._written[tag] += 1
        return True

    def _hold(self, line: _Line) -> None:
        kind = line.rule.kind or line.tag
        self.held_back[kind] += 1
        self._waiting.setdefault(kind, _Held()).add(line)
        _held_back[logging.getLevelName(line.level)] += 1

    def _sums(self) -> "list[tuple[str, str, int, dict[str, int]]]":
        """Tag, text, level and fields of each kind's sum, taken; those for which there is no line more are in one."""
        places = min(self._left(), 1) if self._ended else self._left() - AFTERWARDS
        if places <= 0:
            return []
        waiting = sorted(self._waiting.items(), key=lambda item: -item[1].level)  # what is wrong comes first
        self._waiting = {}
        alone = len(waiting) if len(waiting) <= places else places - 1
        sums = [(kind, held.text(kind), held.sum_level, held.more) for kind, held in waiting[:alone]]
        crowd = waiting[alone:]
        if crowd:
            text = clean("; ".join(f"{kind} {held.text(kind)}" for kind, held in crowd), MAX_SUM_CHARS)
            level = max(held.sum_level for _, held in crowd)
            sums.append(("HELD_BACK", text, level, {"lines": sum(held.lines for _, held in crowd)}))
        return sums

    def _write(
        self,
        tag: str,
        message: str,
        level: int,
        fields: Mapping[str, Any],
        *,
        exc_info: bool | BaseException = False,
        depth: int,
    ) -> None:
        self.lines += 1
        log.event(tag, message, call_sid=self.call_sid, level=level, exc_info=exc_info, stacklevel=depth + 2, **fields)


class OwnLog:
    """What an agent's author logs of a call: `context.log("CRM", "found", orders=3)`; and limiters for that, the call's
    own and on its clock: `if context.log.every("stock", 5.0): context.log(…)`."""

    def __init__(self, call_log: CallLog, rate: RateLimiter, once: OncePerCall, nth: EveryNth) -> None:
        self._log, self._rate, self._once, self._nth = call_log, rate, once, nth

    def __call__(
        self,
        tag: str,
        message: str = "",
        *,
        level: int = logging.INFO,
        exc_info: bool | BaseException = False,
        **fields: Any,
    ) -> None:
        """One line in the log: `[TAG] message, field=value, call_sid=CA…`. Telephone numbers are masked. exc_info: with
        the traceback of this exception, or of the one being handled."""
        self._log.say(tag, message, fields, level=level, exc_info=exc_info, depth=1)

    def every(self, key: str, seconds: float) -> bool:
        """True at most once in so many seconds."""
        return self._rate.every(key, seconds)

    def once(self, key: str) -> bool:
        """True once in this call."""
        return self._once.once(key)

    def every_n(self, key: str, n: int) -> bool:
        """True the first time, and then every nth time."""
        return self._nth.every_n(key, n)


class _Held:
    """Lines of one kind that were not written since its last sum."""

    def __init__(self) -> None:
        self.lines = 0
        self.level = logging.DEBUG
        self._heads = 0
        self._tallies: Counter[str] = Counter()

    @property
    def sum_level(self) -> int:
        """An error was an ERROR once, with its traceback; that there were more of it is a WARNING."""
        return min(self.level, logging.WARNING)

    @property
    def more(self) -> dict[str, int]:
        """How many lines, where the text does not begin with that."""
        return {"lines": self.lines} if self._heads not in (0, self.lines) else {}

    def add(self, line: _Line) -> None:
        self.lines += 1
        self.level = max(self.level, line.level)
        self._heads += line.heads
        named = line.tally
        if named is None and line.level < logging.WARNING:
            named = line.rule.tally
        name = _name(line.message) if named is None else named
        if name:
            known = name in self._tallies or len(self._tallies) < MAX_TALLIES
            self._tallies[name if known else "other"] += 1

    def text(self, kind: str) -> str:
        """`+12, ok=11, failed=1`."""
        count, unit = self._heads, ""
        if not count:
            count, unit = self.lines, " lines"
        elif kind == "TRANSCRIPT":
            unit = " turn" if count == 1 else " turns"
        return ", ".join([f"+{count}{unit}", *(f"{name}={number}" for name, number in self._tallies.items())])


def _path(error: BaseException | bool) -> str:
    """What an exception is, and the way it came: the same for the same error. (No file is read for this.)"""
    if not isinstance(error, BaseException):
        return ""
    steps, trace = [type(error).__name__], error.__traceback__
    while trace is not None and len(steps) < MAX_FRAMES:
        steps.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(steps)


def _wording(message: str) -> str:
    """What a message says, without its numbers."""
    return _NO_WORD.sub(" ", message[:MAX_WORDING_CHARS])


def _name(message: str) -> str:
    """The same as a name: `no_media_for_s`."""
    return _NO_WORD.sub("_", message[:MAX_WORDING_CHARS])[:MAX_TALLY_CHARS].strip("_").lower()
