"""One real Call on virtual time (`fastbridge.testing.loop`) with recorded links. Nothing ever sleeps."""

import json
from base64 import b64decode
from collections.abc import Callable
from functools import cached_property
from typing import Any

from websockets.frames import Opcode

from fastbridge._caller import GREETING_LOCK
from fastbridge.agent import Agent, CallContext
from fastbridge.call.call import Call
from fastbridge.config import Settings
from fastbridge.errors import ModelUnavailable
from fastbridge.model.attempt import Attempt
from fastbridge.observe import stats
from fastbridge.testing.loop import SECOND_NS, START_NS, VirtualLoop
from helpers import MS, QUIET, SID, base64_text, delta_json, mark_json, media_json, read_frames

__all__ = ["SECOND_NS", "START_NS", "Rig", "VirtualLoop", "call_context"]


class Entry:
    """One message that the call wrote. `at_ms` counts from the call's making."""

    def __init__(self, at_ms: float, to: str, raw: bytes, *, framed: bool) -> None:
        self.at_ms = at_ms
        self.to = to
        self._raw = raw
        self._framed = framed

    @cached_property
    def text(self) -> str:
        """As it was on the wire, unframed: exactly one text message."""
        if not self._framed:
            return self._raw.decode()
        (frame,) = read_frames(self._raw, masked=self.to == "model")
        assert frame.opcode is Opcode.TEXT
        return bytes(frame.data).decode()

    @cached_property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.text)
        return message

    @property
    def kind(self) -> str:
        return str(self.message.get("type") or self.message["event"])


class RecordingCarrier:
    """The carrier's socket: writes things down."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig
        self.closed: list[tuple[int, str]] = []

    def write(self, frame: bytes) -> None:
        assert not self.closed, "written after the close"
        self._rig.record("carrier", frame, framed=True)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


class RecordingModel:
    """The model's socket: writes things down."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig
        self.hang_ups = 0
        self.reading = True
        self.untaken = 0
        self.feed: Callable[[bytes], object] | None = None
        """Where its messages go, if not to the attempt any more."""

    def write(self, frame: bytes) -> None:
        assert not self.hang_ups, "written after the hang-up"
        self._rig.record("model", frame, framed=True)

    def send_text(self, message: bytes) -> None:
        assert not self.hang_ups, "sent after the hang-up"
        self._rig.record("model", message, framed=False)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def untaken_bytes(self) -> int:
        return self.untaken

    def redirect(self, sink: Any, feed_message: Callable[[bytes], object]) -> None:
        self.feed = feed_message

    @property
    def redirected(self) -> bool:
        return self.feed is not None

    def hang_up(self) -> None:
        self.hang_ups += 1


def call_context(**changes: Any) -> CallContext:
    given = {
        "call_sid": "CA" + "0123456789abcdef" * 2,
        "from_number": "+14155550100",
        "to_number": "+14155550123",
        "direction": "inbound",
        "parameters": {},
    }
    return CallContext(**{**given, **changes})


class Rig:
    """One real Call. Settings' fields are keyword arguments; an agent without a greeting is the default. DSP is
    off, so that what the model hears is what the caller said, byte for byte."""

    farewell_seconds = 0.0
    """For which its socket may outlive a call."""

    def __init__(self, agent: Agent | None = None, *, loop: VirtualLoop | None = None, **settings: Any) -> None:
        self.loop = loop or VirtualLoop()
        self.began_ns = self.loop.now_ns
        self.journal: list[Entry] = []
        """Everything written to either side, in order."""
        self.carrier_link = RecordingCarrier(self)
        self.model_link = RecordingModel(self)
        """Of the connection made last."""
        self.model_links: list[RecordingModel] = []
        """Every one that was connected."""
        self.dialled: list[Attempt] = []
        self.ended: list[Call] = []
        self.tasks = self.loop.tasks
        self.chunk = 0
        self._echoed = 0
        self.call = self.make_call(
            settings=Settings.model_construct(**{"enable_min_dsp": False, **settings}),
            agent=agent or Agent(),
            context=call_context(),
        )

    def make_call(self, **given: Any) -> Call:
        """A call between this rig's parties."""
        return Call(
            stream_sid=SID.decode(),
            carrier=self.carrier_link,
            pacer=self.loop.pacer,
            clock=self.loop.clock,
            dial=self.dialled.append,
            spawn=self.loop.spawn,
            ended=self.ended.append,
            **given,
        )

    def shut(self) -> None:
        """End of the test: the call must leave nothing behind, however it went."""
        try:
            self.do(self.call.close, "shutdown")
            self.loop.advance(self.farewell_seconds)
            self.assert_settled()
        finally:
            self.loop.close()

    # --- time and what was written ---

    @property
    def now_ms(self) -> float:
        return (self.loop.now_ns - self.began_ns) / MS

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.loop.do(function, *arguments)

    def record(self, to: str, raw: bytes, *, framed: bool) -> None:
        self.journal.append(Entry(self.now_ms, to, raw, framed=framed))

    @property
    def to_carrier(self) -> list[Entry]:
        return [entry for entry in self.journal if entry.to == "carrier"]

    @property
    def to_model(self) -> list[dict[str, Any]]:
        """Client events but for audio."""
        return [
            entry.message for entry in self.journal if entry.to == "model" and entry.kind != "input_audio_buffer.append"
        ]

    @property
    def uplink(self) -> bytes:
        """The caller's audio as the model has got it."""
        appends = (entry.message for entry in self.journal if entry.to == "model")
        return b"".join(b64decode(message["audio"]) for message in appends if "audio" in message)

    @property
    def downlink(self) -> bytes:
        """The assistant's audio as the carrier has got it."""
        messages = (entry.message for entry in self.to_carrier)
        return b"".join(b64decode(message["media"]["payload"]) for message in messages if message["event"] == "media")

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """Client events of a type."""
        return [message for message in self.to_model if message["type"] == kind]

    def written(self, event: str) -> list[Entry]:
        """Messages to the carrier of a kind."""
        return [entry for entry in self.to_carrier if entry.kind == event]

    # --- the beginning ---

    def started(self) -> "Rig":
        if not self.dialled:
            self.do(self.call.start)
        return self

    def connected(self) -> "Rig":
        self.started()
        if not self.model_links:
            self.connect()
        return self

    def up(self) -> "Rig":
        """A live call whose session is ready."""
        self.connected()
        self.model({"type": "session.created", "session": {"id": "sess_1"}})
        self.confirm()
        return self

    @property
    def attempt(self) -> Attempt:
        """The one dialled last."""
        return self.dialled[-1]

    def connect(self) -> RecordingModel:
        """The model answers what was dialled last: with a socket of its own."""
        if self.model_links:
            self.model_link = RecordingModel(self)
        self.model_links.append(self.model_link)
        self.do(self.attempt.on_model_connected, self.model_link)
        return self.model_link

    def refuse(self, code: str = "connect_failed") -> None:
        """It does not."""
        self.do(self.attempt.on_model_failed, ModelUnavailable("no", code))

    def lose_model(self, code: int = 1006, reason: str = "") -> None:
        """The connection made last breaks."""
        self.do(self.attempt.on_model_lost, code, reason)

    def open_session(self, number: int = 1) -> None:
        """The session of the connection made last is created and confirmed."""
        self.model({"type": "session.created", "session": {"id": f"sess_{number}"}})
        self.confirm()

    def confirm(self, audio_format: str = "audio/pcmu") -> None:
        both = {side: {"format": {"type": audio_format}} for side in ("input", "output")}
        self.model({"type": "session.updated", "session": {"audio": both}})

    # --- the caller's side ---

    def advance(self, seconds: float, *, line: bool = True) -> None:
        """Let time pass. On a live `line` the carrier goes on sending silence."""
        until_ns = self.loop.now_ns + round(seconds * SECOND_NS)
        while line and self.call.live and self.loop.now_ns + 20 * MS <= until_ns:
            self.caller_says(QUIET)
        self.loop.advance((until_ns - self.loop.now_ns) / SECOND_NS)

    def caller_says(self, *frames: bytes) -> None:
        """Frames from the carrier, each followed by its 20 ms."""
        for frame in frames:
            self.chunk += 1
            self.do(self.call.caller.feed_message, media_json(self.chunk, base64_text(frame)))
            self.loop.advance(0.02)

    def lose(self, frames: int) -> None:
        """Frames that the network lost."""
        self.chunk += frames

    def carrier(self, message: dict[str, Any] | bytes) -> None:
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.do(self.call.caller.feed_message, text)

    def echo_marks(self) -> int:
        """Echo the marks that were not yet echoed."""
        marks = self.written("mark")
        for entry in marks[self._echoed :]:
            self.do(self.call.caller.feed_message, mark_json(entry.message["mark"]["name"].encode()))
        echoed, self._echoed = len(marks) - self._echoed, len(marks)
        return echoed

    # --- the model's side ---

    def model(self, event: dict[str, Any] | bytes) -> None:
        text = event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()
        sink = self.call.trace.sink
        self.do(sink if callable(sink) else self.call.assistant.feed_message, text)

    def begin(self, response_id: str, item_id: str | None = None) -> None:
        self.model({"type": "response.created", "response": {"id": response_id}})
        if item_id is not None:
            self.model(
                {
                    "type": "response.output_item.added",
                    "response_id": response_id,
                    "item": {"id": item_id, "type": "message", "role": "assistant"},
                }
            )

    def begin_ours(self, response_id: str, item_id: str | None = None) -> None:
        """What the node asked for last, with the mark that tells."""
        metadata = self.sent("response.create")[-1]["response"]["metadata"]
        self.model({"type": "response.created", "response": {"id": response_id, "metadata": metadata}})
        if item_id is not None:
            item = {"id": item_id, "type": "message", "role": "assistant"}
            self.model({"type": "response.output_item.added", "response_id": response_id, "item": item})

    def delta(self, audio: bytes, response_id: str, item_id: str) -> None:
        self.model(delta_json(response_id, item_id, base64_text(audio)))

    def transcript(self, text: str, response_id: str, item_id: str) -> None:
        self.model(
            {
                "type": "response.output_audio_transcript.done",
                "response_id": response_id,
                "item_id": item_id,
                "transcript": text,
            }
        )

    def done(self, response_id: str, status: str = "completed", **response: Any) -> None:
        self.model({"type": "response.done", "response": {"id": response_id, "status": status, **response}})

    def respond(self, audio: bytes, number: int = 1, text: str = "") -> None:
        """A whole response at once, as fast as the model can."""
        response_id, item_id = f"resp_{number}", f"item_{number}"
        self.begin(response_id, item_id)
        self.delta(audio, response_id, item_id)
        self.transcript(text, response_id, item_id)
        self.done(response_id)

    def tool_call(self, call_id: str, name: str, arguments: str = "{}", response_id: str = "resp_1") -> None:
        """One that is whole."""
        item = self.tool_call_begins(call_id, name, response_id)
        self.tool_call_ends(item, arguments, "completed", response_id)

    def tool_call_begins(self, call_id: str, name: str, response_id: str) -> dict[str, Any]:
        item = {"id": f"item_{call_id}_{response_id}", "type": "function_call", "name": name, "call_id": call_id}
        self.model({"type": "response.output_item.added", "response_id": response_id, "item": item})
        return item

    def tool_call_ends(self, item: dict[str, Any], arguments: str, status: str, response_id: str) -> None:
        where = {"response_id": response_id, "item_id": item["id"], "call_id": item["call_id"]}
        self.model({"type": "response.function_call_arguments.done", **where, "arguments": arguments})
        done = {**item, "arguments": arguments, "status": status}
        self.model({"type": "response.output_item.done", "response_id": response_id, "item": done})

    # --- what must hold ---

    def assert_sound(self) -> None:
        """What holds at every moment of a call."""
        lane, caller = self.call.assistant, self.call.caller
        assert self.loop.failures == []
        assert "internal" not in self.call.stats.errors
        assert caller.frames_in == sum(caller.outcomes) + caller.waiting
        assert caller.locked_frames == caller.outcomes[GREETING_LOCK]
        books = lane.frames_sent - lane.frames_rewound + sum(lane.frames_flushed.values()) + lane.frames_unsent
        assert lane.frames_enqueued == books
        assert lane.heard_bytes <= lane.sent_bytes <= lane.received_bytes
        assert all(heard_ms <= received_ms for _, _, heard_ms, received_ms in lane.items())

    def assert_settled(self) -> None:
        """The call is over and has left nothing behind."""
        call = self.call
        self.assert_sound()
        assert not call.live
        assert call.end_reason is not None
        assert self.ended == [call]
        assert len(self.carrier_link.closed) == 1
        assert [link.hang_ups for link in self.model_links] == [1] * len(self.model_links)
        assert (call.caller.waiting, call.assistant.frames_unsent, self.loop.pacer.active) == (0, 0, 0)
        assert not call.assistant.playing
        assert stats.complaints(stats.pacing(call.assistant), {}) == []
        untold = call.session.history.untold.values()
        assert [turn for turn in untold if turn.role == "assistant" or turn.ended] == []
        assert self.loop.pending_timers() == []
        assert self.tasks == set()
