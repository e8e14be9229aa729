"""A client of the simulated Realtime service on a virtual clock, for tests.

Every event it takes is checked against the types of the official SDK, so a test that runs anything proves shapes too.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import pydantic
from openai.types.realtime import RealtimeServerEvent

from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Scenario

FRAME_BYTES = 160
SILENT_FRAME = b"\xff" * FRAME_BYTES
PCMU = {"type": "audio/pcmu"}

KEYS_THE_SDK_LACKS = {"obfuscation", "session.id", "session.object", "session.expires_at", "status_details.type"}
"""Captured from the real service, absent from the SDK's models. `type` of status_details is in some versions."""

_server_event: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeServerEvent)


def unknown_keys(value: Any, path: str = "") -> set[str]:
    """The keys of a validated model that its class does not declare, as `parent.key`."""
    if isinstance(value, list):
        return set().union(*(unknown_keys(each, path) for each in value))
    if not isinstance(value, pydantic.BaseModel):
        return set()
    found = {f"{path}.{key}" if path else key for key in value.model_extra or ()}
    for name in value.model_fields_set - set(value.model_extra or ()):
        found |= unknown_keys(getattr(value, name), name)
    return found


def assert_valid(frame: str) -> dict[str, Any]:
    """The event in a frame, proven to be one that the SDK knows, compact and in the service's key order."""
    event: dict[str, Any] = json.loads(frame)
    assert frame == json.dumps(event, separators=(",", ":"))
    assert list(event)[:2] == ["type", "event_id"]
    member = _server_event.validate_python(event)
    assert get_args(type(member).model_fields["type"].annotation) == (event["type"],), "the union chose another event"
    assert unknown_keys(member) <= KEYS_THE_SDK_LACKS
    return event


class EventClient:
    """Drives a simulated session. `events` is what came so far, `times_ms` when each was due. check(frame): the event
    in it, proven to be one of the service's."""

    APPEND: ClassVar[str]
    session: Any
    now_ms: float

    def __init__(self, check: Callable[[str], dict[str, Any]]) -> None:
        self.events: list[dict[str, Any]] = []
        self.times_ms: list[float] = []
        self._check = check

    def send(self, kind: str, **body: Any) -> None:
        self.session.receive(json.dumps({"type": kind, **body}), self.now_ms)

    def send_text(self, text: str) -> None:
        self.session.receive(text, self.now_ms)

    def run(self, ms: float) -> list[dict[str, Any]]:
        """Let time pass; the events of that time."""
        end_ms = self.now_ms + ms
        mark = len(self.events)
        while (due_ms := self.session.next_due_ms()) is not None and due_ms <= end_ms:
            for frame in self.session.poll(due_ms):
                self.events.append(self._check(frame))
                self.times_ms.append(due_ms)
        self.now_ms = end_ms
        return self.events[mark:]

    def hear(self, ulaw: bytes) -> list[dict[str, Any]]:
        """Append audio in real time, frame by frame; the events of that time."""
        mark = len(self.events)
        for at in range(0, len(ulaw), FRAME_BYTES):
            self.send(self.APPEND, audio=b64encode(ulaw[at : at + FRAME_BYTES]).decode())
            self.run(20)
        return self.events[mark:]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        return self.of(kind)[-1]


class VirtualClient(EventClient):
    """Of a `ModelSession`."""

    APPEND = "input_audio_buffer.append"

    def __init__(self, scenario: Scenario | None = None, **options: Any) -> None:
        super().__init__(assert_valid)
        self.now_ms = 1000.0
        self.session = ModelSession(scenario or Scenario(), self.now_ms, **options)
        self.run(0)

    def run(self, ms: float = 60_000) -> list[dict[str, Any]]:
        return super().run(ms)

    def run_until(self, kind: str) -> dict[str, Any]:
        """Let time pass up to the first new event of this type."""
        while (due_ms := self.session.next_due_ms()) is not None:
            new = self.run(max(0.0, due_ms - self.now_ms))
            for event in new:
                if event["type"] == kind:
                    return event
        raise AssertionError(f"no {kind} ever came")

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Agree on mu-law both ways and on these further settings of `audio.input`."""
        audio = {"input": {"format": PCMU, **settings}, "output": {"format": PCMU, "voice": "marin"}}
        self.send("session.update", session={"type": "realtime", "audio": audio})
        return self.run_until("session.updated")

    def audio(self) -> bytes:
        """All the assistant audio that came."""
        return b"".join(b64decode(event["delta"]) for event in self.of("response.output_audio.delta"))


def types(events: list[dict[str, Any]]) -> list[str]:
    """The types in order, deltas in a row counted once."""
    kinds = [event["type"] for event in events]
    return [
        kind
        for index, kind in enumerate(kinds)
        if index == 0 or kind != kinds[index - 1] or not kind.endswith(".delta")
    ]


def configured(scenario: Scenario | None = None, *, input_settings: dict[str, Any] | None = None) -> VirtualClient:
    """A client with a configured session: the client decides on turns unless told otherwise."""
    made = VirtualClient(scenario)
    made.configure(**(input_settings or {"turn_detection": None}))
    return made


def errors(made: EventClient) -> list[tuple[str, str | None]]:
    """Code and parameter of every error event that came."""
    return [(event["error"]["code"], event["error"]["param"]) for event in made.of("error")]
