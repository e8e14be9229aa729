"""The one creator of responses: at most one is under way, and every state that is not at rest has a deadline.

The model creates a response after a caller's turn; greeting, tool results and the like are created here, one by one,
each when the last has ended. Whatever arrives late, twice or out of order finds its row in the table or is counted.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastbridge.clock import Clock, Deadline
from fastbridge.errors import IllegalEvent


class State(StrEnum):
    IDLE = "idle"
    REQUESTED = "requested"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Event(StrEnum):
    CREATE = "create"
    CREATED = "created"
    REFUSED = "refused"
    CANCEL = "cancel"
    COMPLETED = "completed"
    WAS_CANCELLED = "was_cancelled"
    WAS_FAILED = "was_failed"
    EXPIRED = "expired"


_AT_REST = {Event.CREATE: State.REQUESTED, Event.CREATED: State.ACTIVE}
_ENDINGS = {
    Event.COMPLETED: State.DONE,
    Event.WAS_CANCELLED: State.CANCELLED,
    Event.WAS_FAILED: State.FAILED,
}

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.IDLE: _AT_REST,
    State.DONE: _AT_REST,
    State.CANCELLED: _AT_REST,
    State.FAILED: _AT_REST,
    State.REQUESTED: {Event.CREATED: State.ACTIVE, Event.REFUSED: State.IDLE, Event.EXPIRED: State.FAILED},
    State.ACTIVE: {**_ENDINGS, Event.CANCEL: State.CANCELLING, Event.EXPIRED: State.CANCELLING},
    State.CANCELLING: {**_ENDINGS, Event.EXPIRED: State.FAILED},
}

DEADLINES_SECONDS = {State.REQUESTED: 5.0, State.ACTIVE: 8.0, State.CANCELLING: 3.0}
"""How long each state may last; for ACTIVE, without any sign of progress."""

RETRY_SECONDS = 0.25
MAX_WAITING = 8
"""Creates that wait for their turn; one more is dropped and counted as create_overflow."""

_STATUS_EVENTS = {"completed": Event.COMPLETED, "cancelled": Event.WAS_CANCELLED}


@dataclass(frozen=True)
class Create:
    """A response somebody asked for: why, and the `response` object of `response.create`."""

    purpose: str
    response: dict[str, Any] | None = None


class ResponseController:
    """send(event): a client event to the model. progress(): any number that changes while a response makes headway.
    lost(response_id): one that had begun has ended without a word; its `response.done` will not count."""

    def __init__(
        self,
        *,
        clock: Clock,
        send: Callable[[dict[str, Any]], object],
        progress: Callable[[], object],
        lost: Callable[[str], object],
    ) -> None:
        self.state = State.IDLE
        self.response_id: str | None = None
        self.purpose: str | None = None
        self.counters: Counter[str] = Counter()
        self._send = send
        self._progress = progress
        self._lost = lost
        self._last_progress: object = None
        self._waiting: deque[Create] = deque()
        self._requested: Create | None = None
        self._request_id = 0
        self._deadline = Deadline(clock, self._expired)
        self._retry = Deadline(clock, self._pump)

    @property
    def resting(self) -> bool:
        return self.state not in DEADLINES_SECONDS

    @property
    def generating(self) -> bool:
        """The model has begun a response and not ended it: `response_id`."""
        return self.state in (State.ACTIVE, State.CANCELLING)

    @property
    def busy(self) -> bool:
        """A response is under way or waits for its turn."""
        return not self.resting or bool(self._waiting)

    def create(self, purpose: str, response: dict[str, Any] | None = None) -> None:
        """Ask for a response; it is requested when the one under way has ended."""
        if len(self._waiting) >= MAX_WAITING:
            self.counters["create_overflow"] += 1
            return
        self._waiting.append(Create(purpose, response))
        self._pump()

    def created(self, response_id: str) -> str:
        """The model has begun a response: the purpose it serves (`turn`: the model's own)."""
        unannounced = self.response_id if self.generating else None
        if unannounced is not None:
            # The one before ended without a word: the model runs at most one at a time.
            self.counters["unannounced_end"] += 1
            self._requested = None
            self._to(Event.WAS_FAILED)
        self.purpose = self._requested.purpose if self._requested is not None else "turn"
        self._to(Event.CREATED)
        self.response_id = response_id
        if unannounced is not None:
            self._lost(unannounced)
        return self.purpose

    def finished(self, response_id: str, status: str) -> bool:
        """`response.done`. False for one that is not under way (late, duplicate or unknown)."""
        if response_id != self.response_id or not self.generating:
            self.counters["stray_done"] += 1
            return False
        self._requested = None
        self._to(_STATUS_EVENTS.get(status, Event.WAS_FAILED))
        self._pump()
        return True

    def cancel(self) -> bool:
        """Cancel the response under way, if it is still being generated: once, by its id."""
        if self.state is not State.ACTIVE:
            return False
        self._to(Event.CANCEL)
        self._send({"type": "response.cancel", "response_id": self.response_id})
        self.counters["cancels"] += 1
        return True

    def refused(self, event_id: str | None) -> None:
        """A create met a response already active. Ours waits for that one to end; so does the model's own, which it
        gives up: a caller's turn that was committed while the assistant still spoke gets its answer from us."""
        self.counters["create_refused"] += 1
        ours = self._requested is not None and event_id == self._event_id()
        if self.state is State.REQUESTED and (ours or event_id is None):
            self._to(Event.REFUSED)
            self._retry.set(RETRY_SECONDS)
            ours = True
        if ours and self._requested is not None:
            # Where another's `created` had come before this refusal, that one was the model's own.
            self._waiting.appendleft(self._requested)
            self._requested = None
            self.purpose = "turn"
        elif event_id is None and not any(create.purpose == "turn" for create in self._waiting):
            self.create("turn")

    def close(self) -> None:
        self._waiting.clear()
        self._deadline.clear()
        self._retry.clear()

    def _event_id(self) -> str:
        return f"create_{self._request_id}"

    def _pump(self) -> None:
        if not self._waiting or not self.resting:
            return
        self._requested = self._waiting.popleft()
        self._request_id += 1
        self._to(Event.CREATE)
        event: dict[str, Any] = {"type": "response.create", "event_id": self._event_id()}
        if self._requested.response is not None:
            event["response"] = self._requested.response
        self._send(event)
        self.counters["creates"] += 1

    def _to(self, event: Event) -> None:
        row = TRANSITIONS[self.state]
        if event not in row:
            raise IllegalEvent(f"response controller: {event} in state {self.state}")
        self.state = row[event]
        self._retry.clear()
        self._deadline.clear()
        if self.state in DEADLINES_SECONDS:
            self._last_progress = self._progress()
            self._deadline.set(DEADLINES_SECONDS[self.state])

    def _expired(self) -> None:
        if self.state is State.ACTIVE and self._progress() != self._last_progress:
            self._last_progress = self._progress()
            self._deadline.set(DEADLINES_SECONDS[self.state])
            return
        self.counters["safety_fuse"] += 1
        expired = self.state
        self._to(Event.EXPIRED)
        if expired is State.ACTIVE:
            self._send({"type": "response.cancel", "response_id": self.response_id})
            return
        self._requested = None
        if expired is State.CANCELLING and self.response_id is not None:
            self._lost(self.response_id)
        self._pump()
