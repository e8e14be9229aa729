"""The seam between a call and its carrier: what each asks of the other, whoever the carrier is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
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


# Recordings: what is asked of a carrier of a live call, its files, and its answers, of which `Refused` (it never will
# be), `TryLater` (it surely does not record) and `Uncertain` (it may) are those above.


class RecordingChange(StrEnum):
    PAUSE = "pause"
    """Silence in place of what is said; time goes on."""
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RecordingBegun:
    """The carrier records the call, under this sid."""

    recording_sid: str


@dataclass(frozen=True, slots=True)
class RecordingTold:
    """What the carrier tells of a recording. status: in-progress, completed, absent or failed."""

    account_sid: str
    call_sid: str
    recording_sid: str
    status: str
    channels: int | None = None
    duration_seconds: int | None = None


class CarrierRecorder(Protocol):
    """Recordings of a live call, by a carrier's API. Nothing raises."""

    async def begin(self, account_sid: str, call_sid: str) -> RecordingBegun | Refused | TryLater | Uncertain:
        """Both sides, a channel each. Looks first whether one is under way, which is it then: there are never two."""

    async def change(self, account_sid: str, call_sid: str, recording_sid: str, to: RecordingChange) -> bool:
        """A pause is silence of the same length. True: it is so now, or was before."""


@dataclass(frozen=True, slots=True)
class FileDetails:
    """What the carrier says of a recording. state: in-progress, processing, completed, absent or gone."""

    state: str
    call_sid: str | None = None
    channels: int | None = None
    duration_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole file is in the sink, and looks like one."""

    size_bytes: int
    channels: int


@dataclass(frozen=True, slots=True)
class NotThere:
    """The carrier has no such file: not yet, or not any more."""


@dataclass(frozen=True, slots=True)
class NotFetched:
    """What is in the sink is worth nothing. reason: in words."""

    reason: str


class CarrierFiles(Protocol):
    """Files of recordings, by a carrier's API. Nothing raises, but what the sink raises."""

    async def details(self, account_sid: str, recording_sid: str) -> FileDetails | None:
        """None where nothing is known now."""

    async def fetch(
        self, account_sid: str, recording_sid: str, sink: Callable[[bytes], object]
    ) -> Fetched | NotThere | NotFetched:
        """A WAV file, in pieces."""

    async def delete(self, account_sid: str, recording_sid: str) -> bool:
        """True also where there was none."""

    async def close(self) -> None: ...


# A warm transfer: a human is called, and the caller led to him. What is asked of a carrier, and what it tells.

LEG_OVER = {
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "no_answer",
    "failed": "failed",
    "completed": "declined",
}
"""The states in which a human's call is over, in the carriers' words, and what a transfer came to by that: one who
answered and hung up has declined."""


@dataclass(frozen=True, slots=True)
class LegTerms:
    """Whom to call, for which call, and what to tell him. Numbers are E.164. brief: in `language`; one that is an
    https address is a recording."""

    account_sid: str
    call_sid: str
    to_number: str
    from_number: str
    brief: str
    language: str
    ring_seconds: int


class LegListener(Protocol):
    """Who is told of the human's call, in any order, and twice. Nothing raises."""

    def answered(self) -> bool:
        """Somebody has answered: whether he is to be told the brief."""

    async def accepted(self) -> bool:
        """He has said yes: whether he is to go where the caller is, once that is known."""

    def declined(self, outcome: str) -> None:
        """He has said no, or it is a machine."""

    def ended(self, outcome: str) -> None:
        """His call is over: one of LEG_OVER's outcomes."""

    def joined(self) -> bool:
        """The caller has been led away: whether he is to go where the human is."""

    def parted(self) -> bool:
        """The caller is alone again: whether he has talked to the human."""

    def caller_over(self) -> None:
        """The caller's call is over."""


class CarrierLeg(Protocol):
    """The human's call. What comes back: True is done, False is surely not, None is not known. Nothing raises."""

    async def place(self) -> bool | None: ...
    async def is_there(self) -> bool | None:
        """Whether there is any call that may be this one."""

    async def look(self) -> str | None:
        """Its state, in the carrier's words."""

    async def look_at_caller(self) -> str | None:
        """The same of the caller's call."""

    async def move(self) -> bool | None:
        """Lead the caller away from his media stream; he is then asked about by `joined`."""

    def release(self) -> None:
        """Nobody waits for the human any more: he is told so, and let go, now or as soon as he is found."""

    def excuse(self) -> None:
        """The caller has been led to nobody: he is told so."""

    def close(self) -> None:
        """The listener is done: what still comes is answered with a goodbye."""


class CarrierLegs(Protocol):
    def open(self, terms: LegTerms, listener: LegListener) -> CarrierLeg | None:
        """None where there are too many."""
