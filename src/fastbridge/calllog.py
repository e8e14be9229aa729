"""What one call may say, and how often: a call of ten minutes is worth no more lines than one of thirty seconds.

Owned by its call. In production the lines of the dialogue (what was said, responses, tools, interruptions) are written
as they come until there were FREE_LINES of them; then they are summed up, `+16 turns`, at ever longer intervals. All
other lines are bounded by the minute. In development there is more of both. What must be in every log (a call's
beginning, its metrics, its end and its accounts) is never held back. Nothing here is for every frame.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastbridge import logging as log

if TYPE_CHECKING:
    from fastbridge.config import Settings

DIALOGUE = frozenset({"TRANSCRIPT", "RESPONSE_CREATED", "TOOL_CALL", "TOOL_RESULT", "BARGE-IN"})
ESSENTIAL = frozenset({"", "CALL_START", "CALL_METRICS", "CALL_END", "FRAME_ACCOUNTING_ERROR", "GREETING_LOCK_ERROR"})
SUMMARY_LINES = 48
"""Lines in the first sum: about 16 turns. Each sum is twice as long as the one before."""
MINUTE_SECONDS = 60.0
FAILURE_SECONDS = 30.0
"""Of an error that comes again and again the first is written with its traceback, then a count this often."""
_events = logging.getLogger("fastbridge.events")


@dataclass(frozen=True)
class Allowance:
    """Lines of dialogue and lines of detail before they are summed up, and all other lines in a minute."""

    dialogue: int
    detail: int
    minute: int


PRODUCTION = Allowance(dialogue=16, detail=0, minute=22)
"""With the essential lines this is under 50 in any minute, of which a window of ours may cut two."""
DEVELOPMENT = Allowance(dialogue=130, detail=220, minute=100)


class CallLog:
    """`log("HANGUP", "the caller said goodbye", after_ms=300)`: a line of this call.

    rate and once are the call's limiters, for whoever logs for it. words: whether what people say may be in the log.
    """

    def __init__(self, call_sid: str, settings: "Settings", now_s: Callable[[], float] = time.monotonic) -> None:
        self.call_sid = call_sid
        self.settings = settings
        self.words = settings.log_transcripts
        self.rate = log.RateLimiter(now_s)
        self.once = log.OncePerCall()
        self.lines = 0
        self.held_back = 0
        """Lines that no sum tells of: more than a minute may have."""
        self._now_s = now_s
        self._dialogue = _Sums()
        self._detail = _Sums()
        self._failures: Counter[str] = Counter()
        self._minute_began_s = now_s()
        self._in_minute = 0

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
        free: bool = False,
        depth: int = 0,
        **fields: Any,
    ) -> None:
        """turn: this line begins a turn of the dialogue. free: asked for by a flag, so no allowance counts.
        depth: callers between this line and where it was thought of."""
        if not _events.isEnabledFor(level):
            return
        if not (free or tag in ESSENTIAL or self._allowed(tag, level, turn)):
            return
        self.lines += 1
        log.event(tag, message, call_sid=self.call_sid, level=level, exc_info=exc_info, stacklevel=depth + 2, **fields)

    def debug(self, tag: str, message: str = "", *, depth: int = 0, **fields: Any) -> None:
        """A line for development."""
        self(tag, message, level=logging.DEBUG, depth=depth + 1, **fields)

    def failure(
        self, key: str, tag: str, message: str, error: BaseException | bool, *, first: str = "", depth: int = 0
    ) -> None:
        """An error that may come again and again: first with its traceback, then how often, every 30 s.

        first: what the first line says, where that is not `message`.
        """
        self._failures[key] += 1
        count = self._failures[key]
        if count == 1:
            self(tag, first or message, level=logging.ERROR, exc_info=error, depth=depth + 1)
            self.rate.every(f"failure:{key}", FAILURE_SECONDS)
        elif self.rate.every(f"failure:{key}", FAILURE_SECONDS):
            self(tag, f"{message} repeating (count={count})", level=logging.WARNING, depth=depth + 1)

    def finish(self) -> None:
        """The call ends: sum up what was not written yet."""
        self._sum_up(self._dialogue)
        self._sum_up_detail()

    def _allowed(self, tag: str, level: int, turn: bool) -> bool:
        allowance = DEVELOPMENT if self.detailed else PRODUCTION
        if level <= logging.DEBUG:
            return self._spend(self._detail, allowance.detail, tag, turn, self._sum_up_detail)
        if tag in DIALOGUE and level == logging.INFO:
            return self._spend(self._dialogue, allowance.dialogue, tag, turn, lambda: self._sum_up(self._dialogue))
        now_s = self._now_s()
        if now_s - self._minute_began_s >= MINUTE_SECONDS:
            self._minute_began_s, self._in_minute = now_s, 0
        self._in_minute += 1
        if self._in_minute <= allowance.minute:
            return True
        self.held_back += 1
        return False

    def _spend(self, sums: "_Sums", allowance: int, tag: str, turn: bool, sum_up: Callable[[], None]) -> bool:
        if sums.written < allowance:
            sums.written += 1
            return True
        sums.waiting[tag] += 1
        sums.turns += turn
        if sums.waiting.total() >= sums.step:
            sums.step *= 2
            sum_up()
        return False

    def _sum_up(self, sums: "_Sums") -> None:
        if not sums.waiting:
            return
        names = {"TOOL_CALL": "tool_calls", "BARGE-IN": "barge_ins"}
        more: dict[str, Any] = {name: sums.waiting[tag] for tag, name in names.items() if sums.waiting[tag]}
        lines = sums.waiting.total()
        what, count = ("turn", sums.turns) if sums.turns else ("line", lines)
        self._summary("TRANSCRIPT", f"+{count} {what}{'' if count == 1 else 's'}", lines=lines, **more)
        sums.clear()

    def _sum_up_detail(self) -> None:
        if self._detail.waiting:
            self._summary("DETAIL", f"+{self._detail.waiting.total()} lines", level=logging.DEBUG)
            self._detail.clear()

    def _summary(self, tag: str, message: str, *, level: int = logging.INFO, **fields: Any) -> None:
        self.lines += 1
        log.event(tag, message, call_sid=self.call_sid, level=level, stacklevel=2, **fields)


class _Sums:
    """Lines of one kind: how many were written, and what waits to be summed up."""

    def __init__(self) -> None:
        self.written = 0
        self.step = SUMMARY_LINES
        self.turns = 0
        self.waiting: Counter[str] = Counter()

    def clear(self) -> None:
        self.waiting.clear()
        self.turns = 0
