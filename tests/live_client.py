"""A client of the simulated GPT-Live service on a virtual clock, for tests.

Every event it takes is checked against the types of the official SDK, the nested ones of the Responses API, too; so a
test that runs anything proves shapes.
"""

import json
from base64 import b64decode
from typing import Any, get_args

import pydantic
from openai.types.live import ClientEvent, ForkClientEvent, ServerEvent
from openai.types.responses import ResponseStreamEvent

from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.scenario import Scenario
from model_client import SILENT_FRAME, EventClient, unknown_keys

PCMU = {"type": "audio/pcmu", "rate": 8000}
AUDIO = "session.output_audio.delta"
RESPONSES = {"type": "responses", "responses": {"model": "gpt-5.5"}}

NESTED_KEYS_THE_SDK_LACKS = {"obfuscation", "input_tokens_details.cache_write_tokens"}

_server_event: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ServerEvent)
_nested_event: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
_client_event: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ClientEvent)
_fork_event: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ForkClientEvent)


def assert_valid(frame: str) -> dict[str, Any]:
    """The event in a frame, proven to be one that the SDK knows, compact and in the service's key order."""
    event: dict[str, Any] = json.loads(frame)
    assert frame == json.dumps(event, separators=(",", ":"))
    assert list(event)[:2] == (["type", "delta"] if event["type"] == AUDIO else ["type", "event_id"])
    member = _server_event.validate_python(event)
    assert get_args(type(member).model_fields["type"].annotation) == (event["type"],), "the union chose another event"
    assert unknown_keys(member) == set()
    if event["type"] == "response.event":
        nested = _nested_event.validate_python(event["event"])
        assert nested.type == event["event"]["type"]
        assert unknown_keys(nested) <= NESTED_KEYS_THE_SDK_LACKS
    return event


def sdk_takes(event: dict[str, Any], *, fork: bool = False) -> bool:
    """Whether the SDK's type of this client event holds it, with no key that the type lacks."""
    try:
        member = (_fork_event if fork else _client_event).validate_python(event)
    except pydantic.ValidationError:
        return False
    return member.type == event["type"] and unknown_keys(member) == set()


class LiveClient(EventClient):
    """Of a `LiveSession`."""

    APPEND = "session.input_audio.append"

    def __init__(self, scenario: Scenario | None = None, **options: Any) -> None:
        super().__init__(assert_valid)
        self.now_ms = 1000.0
        self.session = LiveSession(scenario or Scenario(), self.now_ms, **options)

    def run(self, ms: float = 1000.0) -> list[dict[str, Any]]:
        """Let time pass without a sound of the caller's; the events of that time."""
        return super().run(ms)

    def start(self, **settings: Any) -> dict[str, Any]:
        """Start with mu-law and these further settings, up to `session.started`."""
        self.send("session.start", session={"model": "gpt-live-1", "audio": {"format": PCMU}, **settings})
        self.run(50)
        return self.last("session.started")

    def listen(self, ms: float) -> list[dict[str, Any]]:
        """Say nothing for so long, frame by frame; the events of that time."""
        return self.hear(SILENT_FRAME * int(ms / 20))

    def append(self, kind: str, content: str, delegation_id: str | None = None, **more: Any) -> None:
        self.send(f"session.{kind}.append", content=content, delegation_id=delegation_id, **more)

    def nested(self, kind: str) -> list[dict[str, Any]]:
        """The events of this type within `response.event`."""
        return [event["event"] for event in self.of("response.event") if event["event"]["type"] == kind]

    def audio(self) -> bytes:
        """All the audio that came."""
        return b"".join(b64decode(event["delta"]) for event in self.of(AUDIO))

    def said(self) -> str:
        """What the model was heard to say, by its transcripts."""
        return "".join(event["delta"] for event in self.of("session.output_transcript.delta"))

    def understood(self) -> str:
        """What the model heard the caller say."""
        return "".join(event["delta"] for event in self.of("session.input_transcript.delta"))


def started(scenario: Scenario | None = None, **settings: Any) -> LiveClient:
    """A client whose session has started and hears."""
    made = LiveClient(scenario)
    made.start(**settings)
    made.listen(20)
    return made
