"""What goes wrong between the service and the node, as plain data: a moment of a session, and what happens then.

A `Scenario` holds any number of disruptions; each session goes through them anew. Moments are named by the events of
the session itself, not by a clock, so that a script stays true whatever the pace. `fastbridge.sim.channel` carries them
out; `fastbridge.sim.faults` names the common ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

EVERY = 1 << 62
"""A `count` that never ends."""
NO_CLOSE_FRAME = 1006
"""The code of a connection that ended without a word."""


@dataclass(frozen=True, slots=True)
class On:
    """When the `nth` event of this type passes, and for `count` of them in a row; `after_ms` later for what befalls the
    whole connection. The service's events count as they are sent, the client's as they arrive."""

    type: str
    nth: int = 1
    count: int = 1
    after_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Elapsed:
    """So long after the session began."""

    ms: float


Moment: TypeAlias = On | Elapsed

# What befalls the connection.


@dataclass(frozen=True, slots=True)
class Drop:
    """The service closes with this code; with 1006 the connection is reset and nobody says why."""

    code: int = NO_CLOSE_FRAME
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing comes for so long, then all that was held back at once, in order."""

    ms: float


@dataclass(frozen=True, slots=True)
class Gap:
    """No event of this type comes for so long, and what would have come never does. What follows goes on where the
    service is by then."""

    ms: float
    type: str


@dataclass(frozen=True, slots=True)
class Jitter:
    """From then on each event is up to so much late. TCP keeps them in order."""

    ms: float


@dataclass(frozen=True, slots=True)
class StopReading:
    """What the client sends is not taken for so long: its buffers fill."""

    ms: float


@dataclass(frozen=True, slots=True)
class Send:
    """An event out of the blue: a mapping, or the text of the frame itself, sound or not."""

    message: Mapping[str, Any] | str


# What befalls the event that it happens on.


@dataclass(frozen=True, slots=True)
class Lose:
    """It never happened: the service's event is not sent, the client's is not noticed."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """It comes again, so much later. Only for events of the service."""

    after_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Postpone:
    """It comes so much later, and what follows overtakes it. Only for events of the service."""

    ms: float


@dataclass(frozen=True, slots=True)
class Change:
    """It comes with other fields: those given, in place of its own, or what a function makes of the event (an event, or
    the text of the frame itself). Only for events of the service."""

    fields: Mapping[str, Any] | Callable[[Json], Json | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """The client's event is answered with an `error` event of this code, and not carried out."""

    code: str
    message: str
    param: str | None = None


ToConnection: TypeAlias = Drop | Stall | Gap | Jitter | StopReading | Send
ToEvent: TypeAlias = Lose | Repeat | Postpone | Change | Reject


@dataclass(frozen=True, slots=True)
class Disruption:
    """`what` happens at `when`. An event can only be changed `On` itself: ValueError for one that is Elapsed."""

    when: Moment
    what: ToConnection | ToEvent

    def __post_init__(self) -> None:
        if isinstance(self.when, Elapsed) and isinstance(self.what, ToEvent):
            raise ValueError(f"{type(self.what).__name__} needs an event to happen to: say On(type), not Elapsed(ms)")


# What happens to a connection attempt instead of a session.


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a connection attempt with this HTTP status instead of a session, after `delay_ms`."""

    status: int = 503
    code: str | None = None
    message: str = "The server is overloaded or not ready yet."
    delay_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the connection and never answer the handshake."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection comes about. On a real socket it is reset before the handshake; `why` (such as dns, refused or tls)
    is for simulations that replace the dialling itself."""

    why: str = "refused"
    delay_ms: float = 0.0


Obstacle: TypeAlias = Refuse | Hang | Unreachable
