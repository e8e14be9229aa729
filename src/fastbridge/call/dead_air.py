"""Dead air: how long the caller has been waiting for sound that is owed to them, and why.

Silence is intentional while the caller has the floor, and counted as that. It is not while the connection is down, an
answer is due or a tool is at work: then a filler is played, and again until there is something better. This file only
watches: it is told when anything changes, asks the owners of the facts, and keeps one timer.
"""

from collections import Counter
from typing import Any, Protocol

from fastbridge._assistant import AssistantLane
from fastbridge.base.clock import CallClock, Deadline
from fastbridge.call.happenings import FillerDue
from fastbridge.model.port import LOCAL_ID, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

LIMIT_SECONDS = {
    "connecting": 2.0,  # a healthy call hears its greeting before that
    "lost": 0.8,
    "idle": 2.0,  # lost, while it was the caller's turn: most often nobody notices
    "answer": 1.5,
    "response": 1.5,
    "tool": 1.5,
    "question": 4.0,  # whether he is there: nothing is owed to him, but nobody is to hear nothing for long
}
"""Silence before the first filler, by what the caller waits for."""
AGAIN_SECONDS = 2.6
"""Silence between two fillers."""
POSTPONE_SECONDS = 0.3
MAX_POSTPONED = 6
"""A caller who speaks is not talked over; noise does not speak for ever. The bound of an interruption that only our
ear hears is in `turns`."""


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def live(self) -> bool: ...
    @property
    def waits_for(self) -> str | None: ...
    @property
    def caller_may_be_speaking(self) -> bool: ...
    @property
    def interrupts_unnoticed(self) -> bool: ...


class DeadAir:
    """One call's. Times are ms; a cause is one of LIMIT_SECONDS."""

    def __init__(self, *, clock: CallClock, facts: Moment, assistant: AssistantLane, log: CallLog, tell: Tell) -> None:
        self.fillers: Counter[str] = Counter()
        self.unplanned_ms: Counter[str] = Counter()
        self.longest_unplanned_ms = 0
        self.intentional = 0
        self.intentional_ms = 0
        self._clock = clock
        self._facts = facts
        self._assistant = assistant
        self._log = log
        self._tell = tell
        self._cause: str | None = None
        self._since_ns = self._begun_ns = self._accounted_ns = clock.began_ns
        self._in_row = 0
        self._last = (0, 0, 0)  # the last wait: when it ended, since when, and the fillers in a row
        self._spoken_filler = ""
        self._tried_ns = 0
        self._postponed = 0
        self._deadline = Deadline(clock, self._due)

    def review(self, *_: object) -> None:
        """Something has changed that the caller's waiting depends on."""
        self.late(0.0)

    def late(self, overdue_seconds: float) -> None:
        """The same, and it has been so for a while."""
        if not self._facts.live:
            return
        self._account()
        cause, since_ns = self._facts.waits_for, self._clock.now_ns() - int(overdue_seconds * 1e9)
        if cause is None and self._cause is not None:
            self._ends()
        elif cause is not None and self._cause is None:
            self._begins(since_ns)
        elif self._begun_ns == self._clock.now_ns():  # one of those who were told was told for how long
            self._since_ns = min(self._since_ns, since_ns)
        self._cause = cause
        self._arm()

    def _begins(self, since_ns: int) -> None:
        """A wait that ended in this very moment has not ended: two of the parts were told one after the other."""
        ended_ns, old_since_ns, in_row = self._last
        if ended_ns == self._clock.now_ns():
            since_ns, self._in_row = min(since_ns, old_since_ns), in_row
            self.intentional -= 1
        self._since_ns = since_ns
        self._begun_ns = self._clock.now_ns()

    def _ends(self) -> None:
        self._last = self._clock.now_ns(), self._since_ns, self._in_row
        self._in_row = 0
        self.intentional += 1

    def response_created(self, response_id: str, purpose: str) -> None:
        """A filler may be the model's own voice."""
        if purpose == "filler":
            self._spoken_filler = response_id
        self.review()

    def sound(self, response_id: str) -> None:
        """The first frame of a response has left. Where it is no filler, the wait is over."""
        self._account()
        if not response_id.startswith(LOCAL_ID) and response_id != self._spoken_filler:
            self._in_row = 0
            self._arm()  # where it breaks off, the next wait is a first one

    def close(self) -> None:
        self._account()
        self._deadline.clear()

    def summary(self) -> dict[str, Any]:
        return {
            "fillers": dict(self.fillers),
            "unplanned_ms": dict(self.unplanned_ms),
            "longest_unplanned_ms": self.longest_unplanned_ms,
            "intentional": self.intentional,
            "intentional_ms": self.intentional_ms,
        }

    # --- what is owed ---

    def _silent_since_ns(self) -> int:
        return max(self._since_ns, self._assistant.schedule.play_end_ns)

    def _limit_ns(self) -> int:
        seconds = AGAIN_SECONDS if self._in_row else LIMIT_SECONDS[self._cause or "answer"]
        return int(seconds * 1e9)

    def _arm(self) -> None:
        if self._cause is None:
            self._deadline.clear()
            return
        now = self._clock.now_ns()
        lane = self._assistant
        begins = now + lane.unheard_ms * 1_000_000 if lane.playing else max(self._silent_since_ns(), self._tried_ns)
        self._deadline.set(max(begins + self._limit_ns() - now, 0) / 1e9 + 0.001)

    def _due(self) -> None:
        now = self._clock.now_ns()
        silent = not self._assistant.playing and now - self._silent_since_ns() >= self._limit_ns()
        if self._facts.waits_for != self._cause or not silent:
            self._postponed = 0
            self.review()
            return
        speaking = self._facts.caller_may_be_speaking and self._postponed < MAX_POSTPONED
        if self._facts.interrupts_unnoticed or speaking:
            self._postponed += 1
            self._deadline.set(POSTPONE_SECONDS)
            return
        self._postponed = 0
        self._fill(now)

    def _fill(self, now: int) -> None:
        self._account()
        silent_ms = (now - self._silent_since_ns()) // 1_000_000
        self._tell(FillerDue(self._cause or "answer", self._in_row, silent_ms))
        self._in_row += 1
        self._tried_ns = now  # without a recording: look again later, not at once
        self._arm()

    def filled(self, cause: str, silent_ms: int) -> None:
        """A recording plays."""
        self.fillers[cause] += 1
        events.filler(self._log, cause=cause, silent_ms=silent_ms)

    # --- the books ---

    def _account(self) -> None:
        """The silence since it was last looked at, to its cause."""
        now = self._clock.now_ns()
        since, self._accounted_ns = self._accounted_ns, now
        if self._assistant.playing:
            return
        silent_ms = max(now - max(since, self._assistant.schedule.play_end_ns), 0) // 1_000_000
        if self._cause is None:
            self.intentional_ms += silent_ms
        elif silent_ms:
            self.unplanned_ms[self._cause] += silent_ms
            stretch_ms = max(now - self._silent_since_ns(), 0) // 1_000_000
            self.longest_unplanned_ms = max(self.longest_unplanned_ms, stretch_ms)
