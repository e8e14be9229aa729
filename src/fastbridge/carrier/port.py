"""The seam between a call and its carrier: what each asks of the other, whoever the carrier is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fastbridge._caller import CallerLane
from fastbridge._reactor import Reactor
from fastbridge.carrier.admission import Admission, Directory
from fastbridge.config import Settings
from fastbridge.net.connections import Connections


class CarrierLink(Protocol):
    """The carrier's media socket, as its call sees it."""

    def write(self, frame: bytes) -> object: ...
    def close(self, code: int, reason: str) -> None: ...


class CarrierControl(Protocol):
    """What can be done to a call at the carrier's. True: it is done."""

    async def hang_up(self, account_sid: str, call_sid: str) -> bool: ...
    async def connect(self, account_sid: str, call_sid: str, number: str) -> bool:
        """To this number (E.164); its media stream ends thereby."""


class Conversation(Protocol):
    """A call, as the carrier's media socket sees it."""

    @property
    def caller(self) -> CallerLane: ...
    def start(self) -> None: ...
    def close(self, reason: str) -> None: ...
    def on_carrier_paused(self, paused: bool) -> None: ...
    def on_carrier_closed(self) -> None: ...


class Host(Protocol):
    """The node, as the carrier's media socket sees it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def reactor(self) -> Reactor | None: ...
    @property
    def begin_call(self) -> Callable[[CarrierLink, Admission, Any], Conversation]:
        """An admitted stream has started, by the dialect's own `start`: its call, to be started."""

    def retire(self, *parts: object, at_once: bool = False) -> None:
        """A socket has closed, and these were it."""


class CarrierKnowsWho(NamedTuple):
    """Who has answered a call out, as the carrier has it: human, machine, fax or unknown."""

    verdict: str


class CarrierPaused(NamedTuple):
    """Back-pressure of the carrier's transport."""

    paused: bool


class CarrierStalled(NamedTuple):
    """Two seconds of audio are under way to the carrier, in our buffers or the kernel's: the lane waits."""

    stalled: bool


# What a message of the carrier's says that is no audio in its usual form.


class CarrierMedia(NamedTuple):
    """Audio in a layout that the scanner does not know. payload: base64."""

    stream_sid: bytes
    chunk: int
    timestamp_ms: int
    payload: bytes


class NoMedia(NamedTuple):
    """It should be audio, and is none."""


class CarrierMark(NamedTuple):
    """A mark of ours has come back: what was sent before it has been played."""

    name: bytes


class KeyPressed(NamedTuple):
    digit: str


class StartedAgain(NamedTuple):
    """A second `start`, which there cannot be."""


class CarrierStopped(NamedTuple):
    """The stream is over."""

    reason: str


# Calls out: what is asked of a carrier, and its answers.


@dataclass(frozen=True, slots=True)
class Placement:
    """A call to be placed. Numbers are E.164. answer_url: asked what to do when it is answered; status_url: told how it
    goes. ring_seconds: how long it may ring. machine: the carrier is to find out who answers, and tells status_url."""

    to_number: str
    from_number: str
    answer_url: str
    status_url: str
    ring_seconds: int
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """It is the carrier's now."""

    call_sid: str
    state: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not placed, and never will be as it stands. code: the carrier's. reason: a sentence."""

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """It was surely not placed, for want of time or place."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The answer was lost: it may have been placed."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """What the carrier says of a call: its state, in its words."""

    call_sid: str
    state: str
    duration_seconds: int | None = None
    answered_by: str | None = None


class CarrierCalls(Protocol):
    """Calls out, by a carrier's API. Nothing raises."""

    async def place(self, placement: Placement) -> Placed | Refused | TryLater | Uncertain: ...
    async def look_up(self, call_sid: str) -> PlacedCall | None:
        """None where nothing is known now."""

    async def find(self, to_number: str, from_number: str, since_s: float) -> list[PlacedCall] | None:
        """Calls between these two that were begun since (seconds since 1970); None where nothing is known now."""

    async def end(self, call_sid: str) -> bool:
        """Cancel it, or hang up. True also where it had ended already."""

    async def close(self) -> None: ...
