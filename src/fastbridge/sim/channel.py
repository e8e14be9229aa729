"""A session as its client meets it: what the session sends and takes, with the scenario's disruptions on the way.

The same three verbs as a session, and like it without sockets and without a clock of its own. Without disruptions
every frame passes at once, unchanged. What is due at the same moment keeps its order; the session never learns what
became of its events.
"""

import heapq
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from .disruption import (
    Change,
    Disruption,
    Drop,
    Elapsed,
    Gap,
    Jitter,
    Json,
    Lose,
    On,
    Postpone,
    Reject,
    Repeat,
    Send,
    Stall,
    StopReading,
    ToConnection,
    ToEvent,
)
from .scenario import Scenario
from .wire import Problem


class _Passing(NamedTuple):
    """Something on its way to the client: a frame, or the end."""

    due_ms: float
    number: int
    what: str | Drop


class _Due(NamedTuple):
    due_ms: float
    number: int
    what: ToConnection


class Session(Protocol):
    """What a channel carries, in either dialect."""

    scenario: Scenario
    client_closed: tuple[int | None, str | None] | None

    @property
    def closed(self) -> tuple[int, str] | None: ...
    def receive(self, text: str, now_ms: float) -> None: ...
    def receive_binary(self, data: bytes, now_ms: float) -> None: ...
    def refuse(self, problem: Problem, event: Json, now_ms: float) -> None: ...
    def poll(self, now_ms: float) -> list[str]: ...
    def next_due_ms(self) -> float | None: ...


SessionT = TypeVar("SessionT", bound=Session)


class Channel(Generic[SessionT]):
    """`closed` is the code and reason of the close, once the client has been told; 1006 is a reset without a word.
    `deaf_until_ms`: up to then whoever carries the client's frames must hold them back."""

    def __init__(self, session: SessionT, now_ms: float) -> None:
        self.session = session
        self.closed: tuple[int, str] | None = None
        self.deaf_until_ms = 0.0
        self._now_ms = now_ms
        self._disruptions: tuple[Disruption, ...] = tuple(session.scenario.disruptions)
        self._seen: Counter[str] = Counter()
        self._passing: list[_Passing] = []
        self._pending: list[_Due] = []
        self._number = 0
        self._held_until_ms = 0.0
        self._gaps: dict[str, float] = {}
        self._jitter_ms = 0.0
        self._latest_ms = 0.0
        self._ending = False
        self._random = random.Random(f"{session.scenario.seed}/channel")
        for each in self._disruptions:
            if isinstance(each.when, Elapsed):
                self._schedule(now_ms + each.when.ms, each.what)

    # The three verbs.

    def receive(self, text: str, now_ms: float) -> None:
        """Take one text frame of the client."""
        self._advance(now_ms)
        if self._ending:
            return
        event = _loads(text) if self._disruptions else {}
        found = list(self._befalling(str(event.get("type"))))
        reject = next((each for _, each in found if isinstance(each, Reject)), None)
        if reject is not None:
            self.session.refuse(Problem(reject.code, reject.message, reject.param), event, now_ms)
        elif not any(isinstance(each, Lose) for _, each in found):
            self.session.receive(text, now_ms)
        self._strike(found)

    def receive_binary(self, data: bytes, now_ms: float) -> None:
        """Take one binary frame: always refused."""
        self._advance(now_ms)
        if not self._ending:
            self.session.receive_binary(data, now_ms)

    def poll(self, now_ms: float) -> list[str]:
        """The text frames that are due by now, in order. Then look at `closed`."""
        self._advance(now_ms)
        frames: list[str] = []
        while self._passing and self._passing[0].due_ms <= now_ms and self.closed is None:
            what = heapq.heappop(self._passing).what
            if isinstance(what, Drop):
                self.closed = (what.code, what.reason)
            else:
                frames.append(what)
        return frames

    def next_due_ms(self) -> float | None:
        """When to poll next; None when only the client can bring anything about."""
        if self.closed is not None:
            return None
        dues = [self._passing[0].due_ms] if self._passing else []
        if not self._ending:  # else nothing befalls it any more
            dues += [self._pending[0].due_ms] if self._pending else []
            session_ms = self.session.next_due_ms()
            dues += [session_ms] if session_ms is not None else []
        return min(dues, default=None)

    # Time.

    def _advance(self, now_ms: float) -> None:
        while not self._ending:
            session_ms = self.session.next_due_ms()
            pending_ms = self._pending[0].due_ms if self._pending else None
            due_ms = min((due for due in (session_ms, pending_ms) if due is not None), default=None)
            if due_ms is None or due_ms > now_ms:
                break
            self._now_ms = max(self._now_ms, due_ms)
            if due_ms == pending_ms:
                self._befall(heapq.heappop(self._pending).what)
            else:
                for frame in self.session.poll(self._now_ms):
                    self._send(frame)
        self._now_ms = max(self._now_ms, now_ms)
        if self.session.closed is not None and not self._ending:
            self._end(Drop(*self.session.closed))

    def _schedule(self, due_ms: float, what: ToConnection | ToEvent) -> None:
        assert isinstance(what, ToConnection)
        self._number += 1
        heapq.heappush(self._pending, _Due(due_ms, self._number, what))

    # Events on their way.

    def _send(self, frame: str) -> None:
        """One frame of the session, with whatever befalls it."""
        if self._ending:
            return
        if not self._disruptions:
            self._push(frame)
            return
        event = _loads(frame)
        found = list(self._befalling(str(event.get("type"))))
        late_ms = 0.0
        lost = self._now_ms < self._gaps.get(str(event.get("type")), 0.0)
        again_ms = []
        for _, each in found:
            if isinstance(each, Change):
                frame = _changed(event, each)
            elif isinstance(each, Postpone):
                late_ms = each.ms
            elif isinstance(each, Repeat):
                again_ms.append(each.after_ms)
            lost = lost or isinstance(each, Lose)
        if not lost:
            self._push(frame, late_ms)
        for after_ms in again_ms:
            self._push(frame, after_ms)
        self._strike(found)

    def _push(self, frame: str, late_ms: float = 0.0) -> None:
        due_ms = max(self._now_ms, self._held_until_ms)
        if late_ms:
            due_ms += late_ms
        else:
            due_ms = self._latest_ms = max(due_ms + self._random.uniform(0, self._jitter_ms), self._latest_ms)
        self._number += 1
        heapq.heappush(self._passing, _Passing(due_ms, self._number, frame))

    def _end(self, drop: Drop) -> None:
        self._ending = True
        self._number += 1
        due_ms = self._now_ms if drop.code == Drop().code else max(self._now_ms, self._latest_ms)
        heapq.heappush(self._passing, _Passing(due_ms, self._number, drop))

    # Disruptions.

    def _befalling(self, kind: str) -> Iterator[tuple[On, ToConnection | ToEvent]]:
        """What happens on this event, which is counted hereby."""
        self._seen[kind] += 1
        number = self._seen[kind]
        for when, what in ((each.when, each.what) for each in self._disruptions):
            if isinstance(when, On) and when.type == kind and when.nth <= number < when.nth + when.count:
                yield when, what

    def _strike(self, found: list[tuple[On, ToConnection | ToEvent]]) -> None:
        for when, what in found:
            if isinstance(what, ToConnection) and when.after_ms:
                self._schedule(self._now_ms + when.after_ms, what)
            elif isinstance(what, ToConnection):
                self._befall(what)

    def _befall(self, what: ToConnection) -> None:
        if isinstance(what, Drop):
            self._end(what)
        elif isinstance(what, Stall):
            self._held_until_ms = max(self._held_until_ms, self._now_ms + what.ms)
        elif isinstance(what, Gap):
            self._gaps[what.type] = self._now_ms + what.ms
        elif isinstance(what, Jitter):
            self._jitter_ms = what.ms
        elif isinstance(what, StopReading):
            self.deaf_until_ms = self._now_ms + what.ms
        else:
            self._push(_dumps(what, f"event_injected_{self._number}"))


def _loads(text: str) -> Json:
    """The event of a frame, empty for what is none."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _dumps(send: Send, event_id: str) -> str:
    if isinstance(send.message, str):
        return send.message
    kind = {"type": send.message["type"]} if "type" in send.message else {}
    return json.dumps({**kind, "event_id": event_id, **send.message}, separators=(",", ":"))


def _changed(event: Json, change: Change) -> str:
    made = change.fields(event) if callable(change.fields) else {**event, **change.fields}
    return made if isinstance(made, str) else json.dumps(made, separators=(",", ":"))
