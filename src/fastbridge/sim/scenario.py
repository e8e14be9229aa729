"""What the simulated model does: the scripted side of a session, as plain data.

A `Scenario` names the greeting, the turns that follow it and the pace at which audio arrives. Everything that
decides a response goes through `Scenario.turn_for`; a script of your own replaces it. Scenarios are immutable and
may serve many sessions at once: what has been said so far is kept by the session, never here.
"""

import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

from fastbridge import _mulaw

from .disruption import Disruption, Obstacle
from .live_script import Live

SAMPLE_RATE_HZ = 8000
BABBLE_MS_PER_CHARACTER = 60
MIN_BABBLE_MS = 400


@dataclass(frozen=True, slots=True)
class Say:
    """The assistant speaks: 8 kHz mu-law `audio` with its `transcript`.

    Without `audio` (None) it babbles for as long as the transcript takes to say; `b""` is a reply without sound.
    """

    transcript: str
    audio: bytes | None = None

    def sound(self) -> bytes:
        """The mu-law bytes to deliver."""
        return babble(self.transcript) if self.audio is None else self.audio


@dataclass(frozen=True, slots=True)
class CallTool:
    """The assistant calls a function; `arguments` may be a mapping or the JSON text itself, valid or not."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)

    def arguments_text(self) -> str:
        """The arguments as they go over the wire."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Fail:
    """The response ends as `failed`. After a `Say` in the same turn, that audio was delivered and is incomplete."""

    code: str | None = None
    message: str = "The server had an error while processing your request. Sorry about that!"
    type: str = "server_error"


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The response ends as `incomplete`, for example cut by the content filter."""

    reason: Literal["max_output_tokens", "content_filter"] = "content_filter"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The response ends as `cancelled`, and nobody has asked for it: the service itself thought better of it."""

    reason: str = "turn_detected"


@dataclass(frozen=True, slots=True)
class Ends:
    """The response ends with a status that the protocol does not know."""

    status: str = "paused"


@dataclass(frozen=True, slots=True)
class Stuck:
    """The response is never done: after its outputs nothing more comes of it, unless it is cancelled."""


Output: TypeAlias = Say | CallTool
Ending: TypeAlias = Fail | Incomplete | Cancelled | Ends | Stuck
Turn: TypeAlias = Output | Ending | tuple[Output | Ending, ...]
"""One response: an output, several in order (as two tool calls at once), or a failure, alone or after outputs."""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """Why the model is about to answer, and what a script may look at to decide.

    `index` counts the session's responses from 0, `reply_index` those that were no greeting. `conversation` is the
    items so far, in the shapes of the wire; `params` is what `response.create` carried.
    """

    index: int
    reply_index: int
    is_greeting: bool
    trigger: Literal["client", "vad", "idle"]
    params: Mapping[str, Any]
    conversation: Sequence[Mapping[str, Any]]


DEFAULT_GREETING = Say("Hello, thank you for calling. How can I help you?")
DEFAULT_TURNS: tuple[Turn, ...] = (
    Say("Of course. Could you tell me a little more about that?"),
    Say("Thank you, I have made a note of it. Is there anything else I can do for you?"),
)
DEFAULT_CALLER_TRANSCRIPTS = ("Hi, I have a question.", "Yes, please.")


@dataclass(frozen=True, slots=True)
class Scenario:
    """The script of a session.

    The first `response.create` of a conversation in which the assistant has not spoken yet gets the `greeting`,
    every other response the next of `turns`, over and over. `script` decides instead when given.
    `caller_transcripts` are what the service hears the caller say, turn by turn, when transcription is on.
    """

    greeting: Turn = DEFAULT_GREETING
    turns: Sequence[Turn] = DEFAULT_TURNS
    script: Callable[[ResponseRequest], Turn] | None = None
    caller_transcripts: Sequence[str] = DEFAULT_CALLER_TRANSCRIPTS

    speed: float = 6.0
    """Audio arrives this many times faster than it plays."""
    first_delta_ms: float = 150.0
    """From `response.created` to the first audio."""
    update_ms: float = 25.0
    """From `session.update` to `session.updated`; later client events wait for it, as a real session does."""
    cancel_ms: float = 20.0
    """From `response.cancel` to the end of the response: deltas go on meanwhile, and it may complete first."""
    transcription_ms: float = 300.0
    """From the end of a caller turn to its transcript."""
    max_session_ms: float = 3_600_000.0
    seed: int = 1
    call_id: str | None = None
    """The id of every function call, as some servers give it; None: one of its own for each, as the service does."""

    speaks: Mapping[str, Any] | None = None
    """The format of the audio it sends, such as `{"type": "audio/pcm", "rate": 24000}`; None: as the session says."""
    hears: Mapping[str, Any] | None = None
    """What it takes the caller's audio for; None: what the session says."""

    live: Live = field(default_factory=Live)
    """The habits of a GPT-Live session. Of the fields above, `speed`, `cancel_ms` and `max_session_ms` are the Realtime
    API's alone."""

    api_key: str | None = None
    """The only key the server accepts; None accepts any."""
    on_connect: Callable[[int], Obstacle | None] | None = None
    """Called with the number of the connection attempt, from 0; a `Refuse`, `Hang` or `Unreachable` ends it there."""
    disruptions: Sequence[Disruption] = ()
    """What goes wrong in a session, and when."""
    endless_turns: Collection[int] = ()
    """The caller's turns, from 0, whose end the service does not notice: only a commit of the client's ends them."""
    unanswered_turns: Collection[int] = ()
    """The caller's turns, from 0, to which the service makes no response of its own."""

    def turn_for(self, request: ResponseRequest) -> tuple[Output | Ending, ...]:
        """What the model answers: outputs in order, possibly with an ending that is no success."""
        if self.script is not None:
            turn = self.script(request)
        elif request.is_greeting:
            turn = self.greeting
        else:
            turn = self.turns[request.reply_index % len(self.turns)]
        return turn if isinstance(turn, tuple) else (turn,)

    def caller_transcript(self, index: int) -> str:
        """What the service understood of the caller's turn `index`."""
        return self.caller_transcripts[index % len(self.caller_transcripts)] if self.caller_transcripts else ""


@lru_cache(maxsize=64)
def babble(transcript: str) -> bytes:
    """Speech-like mu-law, as long as the text takes to say: a buzz with syllables. Its pitch tells texts apart."""
    duration_ms = max(MIN_BABBLE_MS, BABBLE_MS_PER_CHARACTER * len(transcript))
    seconds = np.arange(duration_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    pitch_hz = 110 + zlib.crc32(transcript.encode()) % 120
    buzz = sum(np.sin(2 * np.pi * pitch_hz * n * seconds) / n for n in range(1, 9))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * seconds)
    return _mulaw.encode((buzz * syllables * 4000).astype(np.int16).tobytes())
