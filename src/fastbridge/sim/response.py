"""One response: from `response.created` to `response.done`, as a stream of timed events.

It owns its output items while they are made, the uneven cut of audio into deltas, and the tail of events with which
a response ends, early or not. It never decides to exist or to be cancelled: the session does.
"""

import random
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from . import audio_format, wire
from .items import OUTPUT_MS_PER_AUDIO_TOKEN, Conversation, Item
from .scenario import CallTool, Cancelled, Ending, Ends, Fail, Incomplete, Output, Say, Scenario, Stuck
from .timeline import Steps, Timeline
from .wire import CALL_ID_LENGTH, MULAW_BYTES_PER_MS, Event, Ids, Json

FIRST_DELTA_BYTES = 800
STEADY_DELTA_BYTES = 2000
TRANSCRIPT_LEAD = 0.6
"""The transcript is complete after this share of the audio deltas."""
FOREVER_MS = 1e12
WORD_MS = 20.0
"""Between two deltas of text or of function call arguments."""
ARGUMENT_DELTA_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class ResponseSettings:
    """What a response takes from the session and from its `response.create`."""

    modalities: list[str]
    max_output_tokens: int | str
    audio_format: Json
    voice: Any
    metadata: Json | None
    in_conversation: bool

    @classmethod
    def merged(cls, session: Json, params: Json) -> "ResponseSettings":
        """The session's settings, with what `response.create` says instead."""
        output = {**session["audio"]["output"], **params.get("audio", {}).get("output", {})}
        merged = {**session, **params}
        return cls(
            modalities=merged["output_modalities"],
            max_output_tokens=merged["max_output_tokens"],
            audio_format=output["format"],
            voice=output["voice"],
            metadata=params.get("metadata"),
            in_conversation=params.get("conversation", "auto") == "auto",
        )


class ResponseRun:
    """A response. `status` and `details` (status_details) are those of the wire; `done_ms` is None while it is made."""

    def __init__(
        self,
        turn: tuple[Output | Ending, ...],
        settings: ResponseSettings,
        conversation: Conversation,
        scenario: Scenario,
        ids: Ids,
        shape: random.Random,
        now_ms: float,
    ) -> None:
        self.id = ids.new("resp")
        self.settings = settings
        self.status = "in_progress"
        self.details: Json | None = None
        self.items: list[Item] = []
        self.created_ms = now_ms
        self.done_ms: float | None = None
        self._conversation = conversation
        self._scenario = scenario
        self._ids = ids
        self._shape = shape
        self._input_tokens = conversation.tokens()
        self._open: Item | None = None
        self._cancel_at_ms: float | None = None
        self._timeline = Timeline(now_ms, self._course(turn))

    # What the session asks and does.

    @property
    def due_ms(self) -> float | None:
        """When `take` has something, None once the response is done."""
        dues = [due for due in (self._timeline.due_ms, self._cancel_at_ms) if due is not None]
        return min(dues, default=None)

    @property
    def cancellable(self) -> bool:
        """Still being made, and no cancellation under way."""
        return self.done_ms is None and self._cancel_at_ms is None

    @property
    def audio_was_sent(self) -> bool:
        """Whether any audio of it went out."""
        return any(item.audio for item in self.items)

    @property
    def audio_ms(self) -> float:
        """How long what was sent of it plays."""
        return sum(len(item.audio) for item in self.items) / MULAW_BYTES_PER_MS

    def take(self) -> Iterator[Event]:
        """The event that is due, or the whole tail when it is the cancellation that is due."""
        now_ms = self.due_ms
        if now_ms is None:
            return
        if self._cancel_at_ms == now_ms:
            yield from self.cut("client_cancelled", now_ms)
            return
        yield from self._timeline.take()
        if self._timeline.due_ms is None:
            self.done_ms = now_ms
            self._cancel_at_ms = None

    def cancel(self, at_ms: float) -> None:
        """The client's wish: it ends at `at_ms`, unless it completes before."""
        self._cancel_at_ms = at_ms

    def cut(self, reason: Literal["client_cancelled", "turn_detected"], now_ms: float) -> list[Event]:
        """End it now as cancelled; the tail of events that follows."""
        self._timeline.stop()
        self._cancel_at_ms = None
        self.done_ms = now_ms
        return self._end("cancelled", {"type": "cancelled", "reason": reason})

    def view(self) -> Json:
        """The response object on the wire, as of now."""
        ended = self.status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self.details,
            "output": [item.view() for item in self.items] if ended else [],
            "conversation_id": self._conversation.id if self.settings.in_conversation else None,
            "output_modalities": self.settings.modalities,
            "max_output_tokens": self.settings.max_output_tokens,
            "audio": {"output": {"format": self.settings.audio_format, "voice": self.settings.voice}},
            "usage": wire.usage(self._input_tokens, self._output_tokens()) if ended else None,
            "metadata": self.settings.metadata,
        }

    # The course of events.

    def _course(self, turn: tuple[Output | Ending, ...]) -> Steps:
        yield 0.0, Event("response.created", {"response": self.view()})
        outputs = [part for part in turn if isinstance(part, Say | CallTool)]
        ending = next((part for part in turn if not isinstance(part, Say | CallTool)), None)
        yield self._scenario.first_delta_ms / 2, None
        for index, output in enumerate(outputs):
            lead_ms = 0.0 if index else self._scenario.first_delta_ms / 2
            yield from self._speak(output, lead_ms) if isinstance(output, Say) else self._call(output, lead_ms)
            if ending is None or index + 1 < len(outputs):
                yield from _at_once(self._close_item("completed"))
        if isinstance(ending, Stuck):
            yield FOREVER_MS, None
        else:
            yield from _at_once(self._end("completed", None) if ending is None else self._end(*_outcome(ending)))

    def _speak(self, say: Say, lead_ms: float) -> Steps:
        item = Item(self._ids.new("item"), "message", {"role": "assistant", "content": []}, "in_progress")
        yield from self._open_item(item)
        is_text = self.settings.modalities == ["text"]
        part = {"type": "text", "text": ""} if is_text else {"type": "audio", "transcript": ""}
        yield 0.0, Event("response.content_part.added", {**self._where(item), "content_index": 0, "part": part})
        item.fields["content"].append({**part, "type": f"output_{part['type']}"})
        yield lead_ms, None
        yield from self._write(item, say.transcript) if is_text else self._voice(item, say)

    def _write(self, item: Item, text: str) -> Steps:
        for word in words(text):
            yield WORD_MS, self._delta("output_text", item, self._ids.obfuscated(word))
            item.part["text"] += word

    def _voice(self, item: Item, say: Say) -> Steps:
        pieces = cut(say.sound(), self._shape)
        pending = words(say.transcript)
        per_piece = -(-len(pending) // max(1, int(len(pieces) * TRANSCRIPT_LEAD)))
        gap_ms = 0.0
        for piece in pieces:
            for word in pending[:per_piece]:
                yield gap_ms, self._delta("output_audio_transcript", item, self._ids.obfuscated(word))
                self._heard(item, word)
                gap_ms = 0.0
            del pending[:per_piece]
            sent = audio_format.encode(piece, self._scenario.speaks or self.settings.audio_format)
            payload = b64encode(sent).decode()
            yield gap_ms, self._delta("output_audio", item, {"delta": payload})
            item.audio += piece
            gap_ms = len(piece) / MULAW_BYTES_PER_MS / self._scenario.speed * self._shape.uniform(0.5, 1.5)
        for word in pending:
            yield 0.0, self._delta("output_audio_transcript", item, self._ids.obfuscated(word))
            self._heard(item, word)

    def _heard(self, item: Item, word: str) -> None:
        if item.part["transcript"] is not None:  # else the client has truncated it by now
            item.part["transcript"] += word

    def _call(self, call: CallTool, lead_ms: float) -> Steps:
        call_id = self._scenario.call_id or self._ids.new("call", CALL_ID_LENGTH)
        item = Item(
            self._ids.new("item"),
            "function_call",
            {"name": call.name, "call_id": call_id, "arguments": ""},
            "in_progress",
        )
        yield from self._open_item(item)
        yield lead_ms, None
        text = call.arguments_text()
        for at in range(0, len(text), ARGUMENT_DELTA_CHARACTERS):
            piece = text[at : at + ARGUMENT_DELTA_CHARACTERS]
            body = {**self._where(item), "call_id": call_id, **self._ids.obfuscated(piece)}
            yield WORD_MS, Event("response.function_call_arguments.delta", body)
            item.fields["arguments"] += piece

    # Items and ends. These change the state and return the events that tell.

    def _open_item(self, item: Item) -> Steps:
        self.items.append(item)
        self._open = item
        view = item.view()
        if self.settings.in_conversation:
            self._conversation.add(item)
        else:
            self._conversation.items[item.id] = item
        yield 0.0, Event("response.output_item.added", {**self._at(item), "item": view})
        if self.settings.in_conversation:
            yield 0.0, wire.item_event("added", view, item.previous_item_id)

    def _close_item(self, status: str) -> list[Event]:
        item, self._open = self._open, None
        if item is None:
            return []
        events = self._call_tail(item) if item.type == "function_call" else self._message_tail(item)
        item.status = status
        events.append(Event("response.output_item.done", {**self._at(item), "item": item.view()}))
        if self.settings.in_conversation:
            events.append(wire.item_event("done", item.view(), item.previous_item_id))
        return events

    def _message_tail(self, item: Item) -> list[Event]:
        if not item.fields["content"]:
            return []
        where = {**self._where(item), "content_index": 0}
        if item.part["type"] == "output_text":
            text = item.part["text"]
            events = [Event("response.output_text.done", {**where, "text": text})]
            part = {"type": "text", "text": text}
        else:
            transcript = item.part["transcript"] or ""
            events = [
                Event("response.output_audio.done", where),
                Event("response.output_audio_transcript.done", {**where, "transcript": transcript}),
            ]
            part = {"type": "audio", "transcript": transcript}
        return [*events, Event("response.content_part.done", {**where, "part": part})]

    def _call_tail(self, item: Item) -> list[Event]:
        fields = item.fields
        call = {"call_id": fields["call_id"], "name": fields["name"], "arguments": fields["arguments"]}
        return [Event("response.function_call_arguments.done", {**self._where(item), **call})]

    def _end(self, status: str, details: Json | None) -> list[Event]:
        events = self._close_item("completed" if status == "completed" else "incomplete")
        self.status = status
        self.details = details
        view = self.view()
        return [*events, Event("response.done", {"response": view}), wire.rate_limits(view["usage"]["total_tokens"])]

    def _output_tokens(self) -> tuple[int, int]:
        spoken_ms = sum(len(item.audio) // MULAW_BYTES_PER_MS for item in self.items)
        written = sum(item.tokens()[0] for item in self.items)
        return written, spoken_ms // OUTPUT_MS_PER_AUDIO_TOKEN

    # Where an event belongs, in the service's key order.

    def _at(self, item: Item) -> Json:
        return {"response_id": self.id, "output_index": self.items.index(item)}

    def _where(self, item: Item) -> Json:
        return {"response_id": self.id, "item_id": item.id, "output_index": self.items.index(item)}

    def _delta(self, kind: str, item: Item, payload: Json) -> Event:
        return Event(f"response.{kind}.delta", {**self._where(item), "content_index": 0, **payload})


def words(text: str) -> list[str]:
    """The text cut before each space: joined again it is the text."""
    pieces = text.split(" ")
    return [piece if index == 0 else f" {piece}" for index, piece in enumerate(pieces)] if text else []


def cut(audio: bytes, shape: random.Random) -> list[bytes]:
    """Deltas as uneven as the service's and more: mostly 250 ms, at times empty, odd, tiny or huge."""
    pieces: list[bytes] = []
    at = 0
    while at < len(audio):
        size = FIRST_DELTA_BYTES if at == 0 else _delta_bytes(shape)
        pieces.append(audio[at : at + size])
        at += size
    return pieces


def _delta_bytes(shape: random.Random) -> int:
    kind = shape.choices(("steady", "odd", "empty", "tiny", "huge"), weights=(60, 25, 6, 6, 3))[0]
    sizes = {
        "steady": STEADY_DELTA_BYTES,
        "odd": shape.randrange(1, 4000) | 1,
        "empty": 0,
        "tiny": shape.randrange(1, 160),
        "huge": shape.randrange(4000, 12_000),
    }
    return sizes[kind]


def _at_once(events: Iterable[Event]) -> Steps:
    for event in events:
        yield 0.0, event


def _outcome(ending: Fail | Incomplete | Cancelled | Ends) -> tuple[str, Json | None]:
    if isinstance(ending, Fail):
        error = {"type": ending.type, "code": ending.code, "message": ending.message}
        return "failed", {"type": "failed", "error": error}
    if isinstance(ending, Ends):
        return ending.status, None
    status = "incomplete" if isinstance(ending, Incomplete) else "cancelled"
    return status, {"type": status, "reason": ending.reason}
