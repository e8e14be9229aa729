"""The seam between a call and its model: what a call asks of a session, and what a session tells."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fastbridge.agent.definition import Agent
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.history import History
from fastbridge.model.usage import Usage

LOCAL_ID = "local_"
"""What the ids of our own recordings begin with: the model never hears of those."""


@dataclass(frozen=True)
class Wish:
    """How a response is to differ from the model's own. words_only: it calls no tool. words: what is to be said, where
    it is known to the word; the instructions then say the same. told: it was asked for before, and something else was
    said first; a model that says all it was asked for in its turn is not asked once more, unless it says nothing."""

    instructions: str = ""
    words_only: bool = True
    words: str = ""
    told: bool = False


@dataclass(frozen=True)
class Create:
    """A response somebody asked for: why, and how it is to be. firm: whoever speaks."""

    purpose: str
    wish: Wish | None = None
    firm: bool = False


OWN_TURN = Create("turn")
"""What the model's own response serves: a turn of the caller's."""


def exactly(words: str) -> str:
    """Instructions to say this."""
    return f"Say exactly this, and nothing else: {words}"


def saying(words: str, before: str = "") -> Wish:
    """The wish that exactly this is said. before: what is told the model beside it."""
    return Wish(f"{before}{exactly(words)}", words=words)


WORDS_ONLY = Wish()

# What happens in a session, each an event with its fields. Who is told of it, and in which order, is the call's table.


class SessionReady(NamedTuple):
    """Its settings are confirmed: it listens."""


class SessionFailed(NamedTuple):
    error: ModelError


class ModelSign(NamedTuple):
    """It has answered what every session answers at once."""


class AudioTooFast(NamedTuple):
    """More audio comes than time passes, of a model that speaks in real time: it is not what it is taken for."""


class SpeechStarted(NamedTuple):
    """The model hears the caller."""


class SpeechStopped(NamedTuple):
    pass


class TurnCommitted(NamedTuple):
    """The model has taken a turn of the caller's."""


class ModelIdle(NamedTuple):
    """The model has waited for the caller as long as it was told to, and speaks next, by itself."""


class ResponseAsked(NamedTuple):
    """One was asked of the model, or waits until it can be."""


class ResponseBeginning(NamedTuple):
    """One that was not known begins. Told before the lane is."""


class ResponseCreated(NamedTuple):
    response_id: str
    purpose: str


class MessageBegun(NamedTuple):
    """A message of the assistant's, in the response under way."""


class ResponseDone(NamedTuple):
    """status: the model's word, or `lost`."""

    response_id: str
    status: str
    error: ModelError | None


class UsageTold(NamedTuple):
    """What a response has cost, told after its end was."""

    response_id: str


class ResponseStuck(NamedTuple):
    """It makes no progress and is being cancelled; its end is still to come."""

    response_id: str
    create: Create


class CreateFailed(NamedTuple):
    """A response of ours never began."""

    create: Create
    error: ModelError


class Transcribed(NamedTuple):
    """A turn is written down, or never will be."""

    turn: Turn


class ToolCalled(NamedTuple):
    """A function call is whole and to be run. more: others may be called with it; `ToolsAsked` tells when none will."""

    response_id: str
    call: ToolCall
    more: bool = False


class ToolsAsked(NamedTuple):
    """All that was to be called with this response has been."""

    response_id: str


class ToolNotRun(NamedTuple):
    name: str
    why: str


class Accounted(NamedTuple):
    """A session that we have closed has told what it has lasted, all told."""


class LineLost(NamedTuple):
    """The session that was up is no more."""


class LineUp(NamedTuple):
    """A session is there, and knows what was said: audio passes."""


class LineChanged(NamedTuple):
    """Another try follows. overdue_seconds: how long the caller has waited already."""

    overdue_seconds: float


class ModelGivenUp(NamedTuple):
    """The model will not serve this call any more. reason: why the call ends."""

    reason: str
    error: ModelError


class ModelChanged(NamedTuple):
    """The call goes on with another model, from here on. Told before it has moved."""

    model: str


Tell = Callable[[Any], object]
"""tell(event): to whoever the table of the call names, in its order, at once."""


class Responses(Protocol):
    """The one creator of a session's responses, as a call sees it."""

    serving: Create
    refused_by_us: bool
    counters: Counter[str]

    @property
    def response_id(self) -> str | None: ...
    @property
    def resting(self) -> bool: ...
    @property
    def generating(self) -> bool: ...
    @property
    def running(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    @property
    def wanted(self) -> bool: ...
    @property
    def says_last_word(self) -> bool: ...
    def awaits(self, *purposes: str) -> bool: ...
    def create(self, purpose: str, wish: Wish | None = None, *, firm: bool = False) -> None: ...
    def drop(self, *purposes: str) -> None: ...
    def answer_turn(self) -> None: ...
    def speech_started(self) -> None: ...
    def speech_stopped(self) -> None: ...
    def cancel(self) -> bool: ...
    def give_way(self) -> None: ...
    def suspend(self) -> Create | None: ...
    def resume(self) -> None: ...


class Opening(Protocol):
    """The opening of one session on one connection, as the line and a renewal see it."""

    def connected(self, send: Callable[[dict[str, Any]], object]) -> None: ...
    def feed(self, event: dict[str, Any]) -> None:
        """An event of a session that is not in use yet. Malformed for one that lacks what it must have."""

    def fail(self, error: ModelError) -> None:
        """Its connection could not be had, or is no more."""

    def close(self) -> None: ...


class Session(Protocol):
    """What the line asks of the dialect: to be opened, moved, lost, and told again what was said."""

    @property
    def expires_at_s(self) -> float | None: ...
    @property
    def stored_id(self) -> str:
        """Of the session under way, where the service has stored it and another may continue it; else empty."""

    def new_opening(
        self, ready: Callable[[], object], failed: Callable[[ModelError], object], model: str = ""
    ) -> Opening:
        """model: whose settings these are to be; empty: those of the model in use."""

    def use_model(self, model: str) -> None:
        """From here on it is this one: what is opened by and by is its."""

    def connected(self, send: Callable[[bytes], object]) -> None: ...
    def disconnected(self) -> None: ...
    def move(self, opening: Any, send: Callable[[bytes], object]) -> None: ...
    def parting(self) -> Callable[[bytes], bool] | None:
        """Who reads what the session just closed still says: True when that was all. None: nothing is awaited."""

    def replay(self) -> int: ...
    def malformed(self, kind: str, cause: str) -> None: ...


class Model(Protocol):
    """A conversation with the model over one session after another, as a call sees it."""

    history: History
    usage: Usage
    counters: Counter[str]
    local_deltas: int
    speech_start_ms: int | None

    @property
    def billed_seconds(self) -> float | None:
        """Of all its sessions, where it is billed by time and has said for how long; else None."""

    @property
    def responses(self) -> Responses: ...
    @property
    def ready(self) -> bool: ...
    @property
    def handed_on(self) -> bool: ...
    @property
    def late_item(self) -> str:
        """The turn of the caller's that is over, and of which words may still come; empty where there is none."""

    @property
    def turn_end_seconds(self) -> float: ...
    @property
    def turn_told_seconds(self) -> float: ...
    @property
    def turns(self) -> dict[str, Turn]: ...
    def on_words(self, item_id: str, words: str) -> None: ...
    def on_event(self, message: bytes) -> None: ...
    def hold(self) -> None: ...
    def configure(self, agent: Agent, settings: Settings) -> None: ...
    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool: ...
    def break_off(self, *, question_lost: bool = False) -> Wish: ...
    def unsay(self, response_id: str) -> None: ...
    def stalled(self) -> None: ...
    def ask_for_a_sign(self) -> None: ...
    def settle(self) -> None: ...
    def take_turn(self) -> None: ...
    def note(self, role: str, text: str, *, lasting: bool = False) -> None:
        """Something that nobody spoke: role `user` for what the caller did, or `system`. lasting: the sessions to come
        are told, too, as they are of all that he did; else whoever notes it sees to that."""

    def tool_result(self, call: ToolCall, output: str) -> None: ...
    def close(self) -> None: ...
