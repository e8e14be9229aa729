"""The states of a warm transfer: where the caller and the human who is called may be, and for how long.

The caller is with the assistant until MOVING, and between the two in LEAVING and JOINING. Every state but the last four
has a deadline; those four are the ends: the caller is with the human (CONNECTED), with the assistant (RETURNED), has
hung up (GONE), or has had a goodbye (LOST). What the table does not have came late, or twice, and changes nothing.
"""

from enum import StrEnum


class State(StrEnum):
    PLACING = "placing"
    FINDING = "finding"
    RINGING = "ringing"
    BRIEFING = "briefing"
    MOVING = "moving"
    LEAVING = "leaving"
    ALONE = "alone"
    JOINING = "joining"
    CONNECTED = "connected"
    RETURNED = "returned"
    GONE = "gone"
    LOST = "lost"


class Event(StrEnum):
    PLACED = "placed"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"
    STREAM_OVER = "stream_over"
    CALLER_OVER = "caller_over"
    JOINED = "joined"
    NOT_MOVED = "not_moved"
    TOGETHER = "together"
    APART = "apart"
    EXPIRED = "expired"


_BEFORE = {
    Event.ENDED: State.RETURNED,
    Event.WITHDRAWN: State.RETURNED,
    Event.STREAM_OVER: State.GONE,
}
"""While the human's call is being made: it ends, nobody wants it any more, or the caller hangs up."""

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.PLACING: {
        **_BEFORE,
        Event.PLACED: State.RINGING,
        Event.ANSWERED: State.BRIEFING,
        Event.REFUSED: State.RETURNED,
        Event.UNCERTAIN: State.FINDING,
        Event.EXPIRED: State.FINDING,
    },
    State.FINDING: {
        **_BEFORE,
        Event.PLACED: State.RINGING,
        Event.ANSWERED: State.BRIEFING,
        Event.REFUSED: State.RETURNED,
        Event.EXPIRED: State.RETURNED,
    },
    State.RINGING: {
        **_BEFORE,
        Event.ANSWERED: State.BRIEFING,
        Event.DECLINED: State.RETURNED,
        Event.EXPIRED: State.RETURNED,
    },
    State.BRIEFING: {
        **_BEFORE,
        Event.ACCEPTED: State.MOVING,
        Event.DECLINED: State.RETURNED,
        Event.EXPIRED: State.RETURNED,
    },
    # The human has said yes, and the carrier is asked to lead the caller to him. The stream may end for that, or since
    # the caller has hung up: who comes to join was led there.
    State.MOVING: {
        Event.JOINED: State.JOINING,
        Event.NOT_MOVED: State.RETURNED,
        Event.ENDED: State.ALONE,
        Event.STREAM_OVER: State.LEAVING,
        Event.CALLER_OVER: State.GONE,
        Event.EXPIRED: State.RETURNED,
    },
    State.LEAVING: {
        Event.JOINED: State.JOINING,
        Event.NOT_MOVED: State.GONE,
        Event.ENDED: State.LOST,
        Event.CALLER_OVER: State.GONE,
        Event.EXPIRED: State.GONE,
    },
    # The human has gone, and the caller is on his way all the same, or still with the assistant.
    State.ALONE: {
        Event.JOINED: State.LOST,
        Event.NOT_MOVED: State.RETURNED,
        Event.STREAM_OVER: State.LOST,
        Event.CALLER_OVER: State.GONE,
        Event.EXPIRED: State.RETURNED,
    },
    State.JOINING: {
        Event.TOGETHER: State.CONNECTED,
        Event.APART: State.LOST,
        Event.ENDED: State.LOST,
        Event.CALLER_OVER: State.GONE,
        Event.EXPIRED: State.CONNECTED,
    },
    State.CONNECTED: {},
    State.RETURNED: {},
    State.GONE: {},
    State.LOST: {},
}
DEADLINES_SECONDS = {
    State.PLACING: 12.0,
    State.FINDING: 20.0,
    State.RINGING: 45.0,
    State.BRIEFING: 80.0,
    State.MOVING: 7.0,
    State.LEAVING: 4.0,
    State.ALONE: 7.0,
    State.JOINING: 30.0,
}
"""MOVING and LEAVING together: what the human waits for after his yes, within the 15 s that Twilio waits for an answer.
JOINING expires where nobody can say how the human is: then nothing is broken off that may be a conversation."""
RING_SECONDS = 25

OUTCOMES = ("connected", "declined", "busy", "no_answer", "machine", "failed", "withdrawn", "caller_gone", "lost")
"""What a transfer comes to; `lost`: the human went before the caller had come to him."""
BY_EVENT = {
    Event.REFUSED: "failed",
    Event.NOT_MOVED: "failed",
    Event.WITHDRAWN: "withdrawn",
    Event.DECLINED: "declined",
    Event.ENDED: "no_answer",
}
BY_STATE = {State.CONNECTED: "connected", State.GONE: "caller_gone", State.LOST: "lost"}
EXPIRED = {State.FINDING: "failed", State.RINGING: "no_answer", State.BRIEFING: "no_answer"}
"""Of a state that has; `failed` for the others."""


def outcome_of(state: State, before: State, event: Event) -> str:
    """Of a final state, by how it was reached, where nobody has said more."""
    if state in BY_STATE:
        return BY_STATE[state]
    return EXPIRED.get(before, "failed") if event is Event.EXPIRED else BY_EVENT.get(event, "failed")
