"""One real Call to a model that streams without end, on virtual time: both directions send a frame every 20 ms."""

from base64 import b64encode
from typing import Any

from openai.types.live import ClientEvent, ForkSessionStartEvent
from pydantic import BaseModel, TypeAdapter

from call_rig import CallRig, Control
from fastbridge.agent import Agent
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.model.live.words import MAX_TOKENS, tokens_of
from helpers import LOUD, QUIET

FRAME_SECONDS = 0.02
SILENT = b"\xff" * 160


class LiveRig(CallRig):
    """`speech`: what the model is about to say, frame by frame; without any it streams silence."""

    farewell_seconds = FAREWELL_SECONDS

    def __init__(self, agent: Agent | None = None, *, control: Control | None = None, **settings: Any) -> None:
        super().__init__(agent, control=control, **{"model": "gpt-live-1", **settings})
        self.streaming = False
        self.voice: list[bytes] = []
        self.line: list[bytes] = []
        self.stream_ms = 0

    # --- the wire ---

    @property
    def to_model(self) -> list[dict[str, Any]]:
        kinds = (entry for entry in self.journal if entry.to == "model")
        return [entry.message for entry in kinds if entry.kind != "session.input_audio.append"]

    def appended(self, kind: str) -> list[str]:
        """The contents of the messages `session.<kind>.append`."""
        return [message["content"] for message in self.sent(f"session.{kind}.append")]

    @property
    def worked(self) -> list[dict[str, Any]]:
        """What was sent to the model behind the voice."""
        return [message for message in self.to_model if message["type"].startswith("response.")]

    def up(self) -> "LiveRig":
        """A live call whose session has started."""
        self.connected()
        self.started_session()
        return self

    def started_session(self, number: int = 1, **session: Any) -> None:
        audio = {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}}
        given = {"id": f"live_sess_{number}", "expires_at": 0, "status": "active", "audio": audio, **session}
        self.model({"type": "session.started", "event_id": "ev_1", "session": given})
        self.streaming = True
        self.stream_ms = 0

    # --- time ---

    def advance(self, seconds: float, *, line: bool = True) -> None:
        """Both directions go on. What the caller says is in `line`, what the model says in `voice`."""
        for _ in range(round(seconds / FRAME_SECONDS)):
            if self.streaming and self.call.live:
                self.delta_of(self.voice.pop(0) if self.voice else SILENT)
            if line and self.call.live:
                self.caller_says(self.line.pop(0) if self.line else QUIET)
            else:
                self.loop.advance(FRAME_SECONDS)

    def delta_of(self, audio: bytes) -> None:
        self.stream_ms += len(audio) // 8
        self.model(b'{"type":"session.output_audio.delta","delta":"%s"}' % b64encode(audio))

    # --- what the model does ---

    def says(self, seconds: float, text: str = "") -> None:
        """It begins to say this now; its words come with its first sound."""
        self.voice += [LOUD] * round(seconds / FRAME_SECONDS)
        if text:
            self.advance(FRAME_SECONDS)
            self.words(text, round(seconds * 1000))

    def words(self, text: str, length_ms: int = 200) -> None:
        place = {"start_ms": self.stream_ms, "end_ms": self.stream_ms + length_ms}
        self.model({"type": "session.output_transcript.delta", "event_id": "ev_2", "delta": text, **place})

    def hears(self, text: str, length_ms: int = 400) -> None:
        """It writes down what the caller has just said."""
        place = {"start_ms": max(self.stream_ms - length_ms, 0), "end_ms": self.stream_ms}
        self.model({"type": "session.input_transcript.delta", "event_id": "ev_3", "delta": text, **place})

    def delegates(self, *calls: tuple[str, str, str], work: str = "dlg_1", ends: bool = True) -> None:
        """It hands work on, which comes to these calls: (call id, name, arguments)."""
        delegation = {"id": work, "type": "delegation", "target": "responses", "response_id": f"resp_{work}"}
        event = {"type": "session.delegation.created", "event_id": "ev_4", "offset_ms": 0, "delegation": delegation}
        self.model(event)
        self.works("response.created", work, response={"id": f"resp_{work}"})
        for call_id, name, arguments in calls:
            item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name}
            item |= {"arguments": arguments, "status": "completed"}
            self.works("response.output_item.done", work, item=item)
        if ends:
            self.works("response.completed", work, response={"id": f"resp_{work}"})

    def works(self, kind: str, work: str = "dlg_1", **event: Any) -> None:
        """An event of the model behind the voice."""
        inner = {"type": kind, **event}
        self.model({"type": "response.event", "event_id": "ev_5", "delegation_id": work, "event": inner})

    def shut(self) -> None:
        super().shut()
        for entry in self.journal:
            if entry.to == "model":
                check_client_event(entry.message)


_CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(ClientEvent)


def check_client_event(message: dict[str, Any]) -> None:
    """What the SDK knows of the service: the types of what it takes, and no field beside them."""
    is_fork = message["type"] == "session.start" and "model" not in message["session"]
    event = ForkSessionStartEvent.model_validate(message) if is_fork else _CLIENT_EVENTS.validate_python(message)
    assert strangers(event) == []
    if message["type"].endswith(".append") and "content" in message:
        assert "delegation_id" in message
        assert 0 < tokens_of(message["content"]) <= MAX_TOKENS


def strangers(model: Any, path: str = "") -> list[str]:
    """Fields that the SDK has no name for."""
    if isinstance(model, list):
        return [found for each in model for found in strangers(each, f"{path}[]")]
    if not isinstance(model, BaseModel):
        return []
    found = [f"{path}.{name}" for name in model.model_extra or {}]
    return found + [
        each for name in type(model).model_fields for each in strangers(getattr(model, name), f"{path}.{name}")
    ]
