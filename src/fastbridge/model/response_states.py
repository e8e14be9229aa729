"""The states of a response, as a table, and the purposes it may have: at most one is under way, none for ever. And who
is told of what becomes of one."""

from enum import StrEnum
from typing import Protocol

from fastbridge.model.port import Create


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
    REJECTED = "rejected"
    CANCEL = "cancel"
    COMPLETED = "completed"
    WAS_CANCELLED = "was_cancelled"
    WAS_FAILED = "was_failed"
    EXPIRED = "expired"
    LINK_LOST = "link_lost"


_AT_REST = {Event.CREATE: State.REQUESTED, Event.CREATED: State.ACTIVE}
_ENDINGS = {
    Event.COMPLETED: State.DONE,
    Event.WAS_CANCELLED: State.CANCELLED,
    Event.WAS_FAILED: State.FAILED,
    Event.LINK_LOST: State.FAILED,
}

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.IDLE: _AT_REST,
    State.DONE: _AT_REST,
    State.CANCELLED: _AT_REST,
    State.FAILED: _AT_REST,
    State.REQUESTED: {
        Event.CREATED: State.ACTIVE,
        Event.REFUSED: State.IDLE,
        Event.REJECTED: State.FAILED,
        Event.EXPIRED: State.FAILED,
        Event.LINK_LOST: State.FAILED,
    },
    State.ACTIVE: {**_ENDINGS, Event.CANCEL: State.CANCELLING, Event.EXPIRED: State.CANCELLING},
    State.CANCELLING: {**_ENDINGS, Event.EXPIRED: State.FAILED},
}

DEADLINES_SECONDS = {State.REQUESTED: 5.0, State.ACTIVE: 8.0, State.CANCELLING: 3.0}
"""How long each state may last; for ACTIVE, without any sign of progress, which is looked for every LOOK_SECONDS."""
LOOK_SECONDS = 1.0

EXPIRIES = {
    State.REQUESTED: "creates_unanswered",
    State.ACTIVE: "stuck",
    State.CANCELLING: "cancels_unanswered",
}
"""What is counted then: the model owed us something. `safety_fuse` counts what we owed."""

ENDED = {"completed": Event.COMPLETED, "cancelled": Event.WAS_CANCELLED}
"""By `response.done`'s status; any other is a failure."""

ANSWERS = frozenset({"turn", "continuation", "repeat", "reprompt"})
"""Purposes that answer the caller, as a response that the model begins itself does. The rest is said whoever speaks
between."""
REACTIONS = frozenset({"tool_result", "keys"})
"""What has the model react to something it was told: so does any response that begins after it was told."""
LAST_WORDS = frozenset({"goodbye"})
"""What is said before the call is left because a tool has: the model knows, and what it says by itself then is no less,
unless the last word is a firm one."""
MOOT = frozenset({"silence", "filler"})
"""What is not worth saying any more when the caller speaks."""


class Listener(Protocol):
    """Who is told what no event of the model's tells."""

    def on_response_refused(self, response_id: str) -> None:
        """It is being cancelled: nobody wants what it still brings."""

    def on_response_lost(self, response_id: str) -> None:
        """One that had begun has ended without a word; its `response.done` will not count."""

    def on_response_stuck(self, response_id: str, create: Create) -> None:
        """It made no progress and is being cancelled; its end is still to come."""

    def on_asked(self) -> None:
        """A response was asked for, or waits until it can be."""

    def on_create_failed(self, create: Create, code: str) -> None:
        """A response of ours never began. code: `unanswered`, `create_refused`, or the model's own word."""
