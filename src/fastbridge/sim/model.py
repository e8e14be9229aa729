"""The simulated OpenAI Realtime service: one session, without sockets and without a clock of its own.

Text frames of the client go in with `receive`, those of the service come out of `poll` when they are due; time is a
number the caller passes in, in milliseconds, never going back. The session is strict: what the real service would
refuse is refused with the same error and kept in `errors`, so that a test run can fail on it. Refusals that are part
of a healthy conversation (cancelling what has just ended, and the like) are kept apart in `benign_errors`.
"""

import json
import random
from base64 import b64decode
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

from . import grammar, refusals, wire
from .idle import idle_due_ms, triggered
from .input_buffer import InputBuffer
from .items import Conversation, Item
from .refusals import (
    BETA_DISABLED,
    EARLY_AUDIO,
    EXPIRED,
    NOT_ACTIVE,
    NOT_BASE64,
    NOT_JSON,
    VOICE_IS_FIXED,
    already_active,
    buffer_too_small,
)
from .response import ResponseRun, ResponseSettings
from .scenario import CallTool, ResponseRequest, Scenario
from .session_object import SessionObject
from .timeline import Steps, Timeline
from .transcription import transcription
from .wire import Event, Ids, Json, Problem

DEFAULT_MODEL = "gpt-realtime-2.1"
MIN_COMMIT_MS = 100
IDLE = -1
"""Among the timelines: the caller's silence."""


class ModelSession:
    """One session, from `session.created` on.

    `serial` tells the sessions of one scenario apart: their ids differ, their course is reproducible. `unix_s` is
    the wall clock at `now_ms`, shown in `expires_at`. With `beta` the client asked for the shape that is no more.
    """

    def __init__(
        self,
        scenario: Scenario,
        now_ms: float,
        *,
        model: str = DEFAULT_MODEL,
        serial: int = 0,
        unix_s: float = 1_800_000_000.0,
        beta: bool = False,
    ) -> None:
        self.scenario = scenario
        self.errors: list[str] = []
        """What the real service would have refused, in words. Empty after a good run."""
        self.benign_errors: list[str] = []
        """Refusals that a correct client can run into."""
        self.closed: tuple[int, str] | None = None
        """Close code and reason, once the service wants to close."""
        self.client_closed: tuple[int | None, str | None] | None = None
        """Close code and reason of the connection, once it is gone; set by the server around the session."""
        self.responses: list[ResponseRun] = []
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        """Events by type."""
        self.requests: list[Json] = []
        """Every client event but audio, in order."""

        self._ids = Ids(f"{scenario.seed}/{serial}/ids")
        self._shape = random.Random(f"{scenario.seed}/{serial}/shape")
        self._now_ms = now_ms
        self._outbox: list[str] = []
        self._timelines: list[Timeline | ResponseRun] = []
        self._conversation = Conversation(self._ids.new("conv"))
        expires_at_s = int(unix_s + scenario.max_session_ms / 1000)
        self.session = SessionObject(self._ids.new("sess"), model, expires_at_s)
        self.configured = False
        """Whether `session.updated` has gone out."""
        self._updating = False
        self._backlog: deque[Json] = deque()
        self._input = InputBuffer(self.session, scenario.hears)
        self._speech_item_id: str | None = None
        self._caller_turns = 0
        self._last_turn_ms = now_ms
        self._endless = False  # the end of the caller's turn was not noticed
        self._replies = 0
        if beta:
            self._refuse_beta()
        else:
            self._send(Event("session.created", {"session": self.session.view()}))
            self._timelines.append(Timeline(now_ms, self._expiry()))

    # The three verbs.

    def receive(self, text: str, now_ms: float) -> None:
        """Take one text frame of the client. Nothing raises, whatever it holds."""
        self._advance(now_ms)
        if self.closed is not None:
            return
        event = self._parsed(text)
        if event is None:
            return
        self.received[event["type"]] += 1
        if event["type"] != "input_audio_buffer.append":
            self.requests.append(event)
        if event["type"] == "input_audio_buffer.append" and not self.configured and EARLY_AUDIO not in self.errors:
            self.errors.append(EARLY_AUDIO)
        if self._updating:
            self._backlog.append(event)
        else:
            self._handle(event)

    def receive_binary(self, data: bytes, now_ms: float) -> None:
        """Take one binary frame: always refused."""
        self._advance(now_ms)
        if self.closed is None:
            self._refuse(Problem("invalid_event", f"Expected a text frame, got {len(data)} bytes of binary."), None)

    def refuse(self, problem: Problem, event: Json, now_ms: float) -> None:
        """Answer a client event with an error, whatever it holds: a disruption's doing, and so benign."""
        self._advance(now_ms)
        if self.closed is None:
            self.received[str(event.get("type"))] += 1
            self.requests.append(event)
            self.benign_errors.append(f"{event.get('type')}: {problem.code}: {problem.message}")
            self._send(wire.error(problem, event.get("event_id")))

    def poll(self, now_ms: float) -> list[str]:
        """The text frames that are due by now, in order."""
        self._advance(now_ms)
        frames, self._outbox = self._outbox, []
        return frames

    def next_due_ms(self) -> float | None:
        """When to poll next; None when only the client can bring anything about."""
        if self._outbox:
            return self._now_ms
        if self.closed is not None:
            return None
        return min((at_ms for at_ms, _ in self._dues()), default=None)

    # What a test reads.

    @property
    def items(self) -> dict[str, Item]:
        """Every item there ever was, deleted ones too."""
        return self._conversation.items

    @property
    def input_audio(self) -> bytes:
        """All the caller's audio, as 8 kHz mu-law."""
        return bytes(self._input.audio)

    @property
    def conversation(self) -> list[Item]:
        """The items of the conversation now, in order."""
        return self._conversation.present()

    @property
    def active(self) -> ResponseRun | None:
        """The response that is being made for the conversation."""
        return next((run for run in self.responses if run.done_ms is None and run.settings.in_conversation), None)

    @property
    def tool_outputs(self) -> dict[str, str]:
        """What the client answered to each call id."""
        outputs = (item for item in self.items.values() if item.type == "function_call_output")
        return {item.fields["call_id"]: item.fields["output"] for item in outputs}

    # Time and the way out.

    def _advance(self, now_ms: float) -> None:
        while self.closed is None:
            at_ms, index = min(self._dues(), default=(now_ms + 1, 0))
            if at_ms > now_ms:
                break
            self._now_ms = max(self._now_ms, at_ms)
            if index == IDLE:
                self._on_idle()
                continue
            self._send_all(self._timelines[index].take())
            self._timelines = [each for each in self._timelines if each.due_ms is not None]
        self._now_ms = max(self._now_ms, now_ms)

    def _dues(self) -> list[tuple[float, int]]:
        """When something is due, and which of the timelines it is; IDLE for the caller's silence."""
        dues = [(at, index) for index, each in enumerate(self._timelines) if (at := each.due_ms) is not None]
        timeout_ms = self.session.turn_detection.get("idle_timeout_ms")
        idle_ms = None if self._speech_item_id else idle_due_ms(timeout_ms, self.responses, self._last_turn_ms)
        return dues if idle_ms is None else [*dues, (idle_ms, IDLE)]

    def _send(self, event: Event) -> None:
        self.sent[event.type] += 1
        self._outbox.append(wire.encode(event, self._ids.new("event")))

    def _send_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self._send(event)

    def _refuse(self, problem: Problem, event: Json | None) -> None:
        """Send the error event and keep a note of it in the list it belongs to."""
        kind = str((event or {}).get("type", "session"))
        notes = self.benign_errors if refusals.is_benign(problem, kind) else self.errors
        notes.append(f"{kind}: {problem.code}: {problem.message}")
        event_id = (event or {}).get("event_id")
        self._send(wire.error(problem, event_id if isinstance(event_id, str) else None))

    def _refuse_beta(self) -> None:
        self._refuse(BETA_DISABLED, None)
        self.closed = (4000, f"{BETA_DISABLED.type}.{BETA_DISABLED.code}")

    def _expiry(self) -> Steps:
        yield self.scenario.max_session_ms, wire.error(EXPIRED)
        self.closed = (1001, EXPIRED.message)

    # The way in.

    def _parsed(self, text: str) -> Json | None:
        try:
            event = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            self._refuse(NOT_JSON, None)
            return None
        problem = grammar.check(event)
        if problem is not None:
            self._refuse(problem, event if isinstance(event, dict) else None)
            return None
        checked: Json = event
        return checked

    def _handle(self, event: Json) -> None:
        problem = _HANDLERS[event["type"]](self, event)
        if problem is not None:
            self._refuse(problem, event)

    def _on_session_update(self, event: Json) -> Problem | None:
        problem = self.session.update(event["session"], audio_was_sent=self._audio_was_sent)
        if problem is None:
            self._updating = True
            self._timelines.append(Timeline(self._now_ms, self._update()))
        return problem

    def _update(self) -> Steps:
        yield self.scenario.update_ms, Event("session.updated", {"session": self.session.view()})
        self.configured = True
        self._updating = False
        self._input.configure(self.session)
        while self._backlog and not self._updating:
            self._handle(self._backlog.popleft())

    # The caller's audio.

    def _on_append(self, event: Json) -> Problem | None:
        try:
            audio = b64decode(event["audio"], validate=True)
        except ValueError:
            return NOT_BASE64
        for edge in self._input.append(audio):
            self._endless = self._endless or (
                edge.kind == "stopped" and self._caller_turns in self.scenario.endless_turns
            )
            if self._endless:
                continue
            if edge.kind == "started":
                self._on_speech_started(edge.at_ms)
            else:
                self._on_speech_stopped(edge.at_ms)
        return None

    def _on_speech_started(self, at_ms: int) -> None:
        self._input.begin(at_ms)
        item_id = self._speech_item_id = self._ids.new("item")
        self._send(Event("input_audio_buffer.speech_started", {"audio_start_ms": at_ms, "item_id": item_id}))
        if self.session.turn_detection.get("interrupt_response") and self.active is not None:
            self._send_all(self.active.cut("turn_detected", self._now_ms))

    def _on_speech_stopped(self, at_ms: int) -> None:
        body = {"audio_end_ms": at_ms, "item_id": self._speech_item_id}
        self._send(Event("input_audio_buffer.speech_stopped", body))
        answered = self._caller_turns not in self.scenario.unanswered_turns
        self._commit(self._input.take(at_ms))
        if not answered or not self.session.turn_detection.get("create_response"):
            return
        if self.active is None:
            self._respond("vad", {}, ResponseSettings.merged(self.session.settings, {}))
        else:
            self._refuse(already_active(self.active.id), None)

    def _on_idle(self) -> None:
        """Nobody has spoken for long: the model does."""
        self._speech_item_id = self._ids.new("item")
        timeout_ms = self.session.turn_detection["idle_timeout_ms"]
        self._send(triggered(self._speech_item_id, self._input.end_ms, timeout_ms))
        self._commit(self._input.cut(), spoken=False)
        self._respond("idle", {}, ResponseSettings.merged(self.session.settings, {}))

    def _on_commit(self, event: Json) -> Problem | None:
        if self._input.pending_ms < MIN_COMMIT_MS:
            return buffer_too_small(self._input.pending_ms, MIN_COMMIT_MS)
        self._endless = False
        self._commit(self._input.cut())
        return None

    def _on_clear(self, event: Json) -> Problem | None:
        self._input.cut()
        self._endless = False
        self._speech_item_id = None
        self._send(Event("input_audio_buffer.cleared", {}))
        return None

    def _commit(self, audio: bytes, *, spoken: bool = True) -> None:
        self._last_turn_ms = self._now_ms
        item_id = self._speech_item_id or self._ids.new("item")
        self._speech_item_id = None
        content = [{"type": "input_audio", "transcript": None}]
        item = Item(item_id, "message", {"role": "user", "content": content}, audio=bytearray(audio))
        self._conversation.add(item)
        body = {"previous_item_id": item.previous_item_id, "item_id": item_id}
        self._send(Event("input_audio_buffer.committed", body))
        self._announce(item)
        self._transcribe(item, spoken)

    def _transcribe(self, item: Item, spoken: bool) -> None:
        transcript = self.scenario.caller_transcript(self._caller_turns) if spoken else ""
        self._caller_turns += spoken
        settings = self.session.input["transcription"]
        if settings is not None:
            by_duration = settings.get("model") == "whisper-1"
            delay_ms = self.scenario.transcription_ms
            steps = transcription(item, transcript, delay_ms, self._ids, by_duration=by_duration)
            self._timelines.append(Timeline(self._now_ms, steps))

    # Items.

    def _announce(self, item: Item) -> None:
        for kind in ("added", "done"):
            self._send(wire.item_event(kind, item.view(), item.previous_item_id))

    def _on_item_create(self, event: Json) -> Problem | None:
        item = Item.of_client(event["item"], self._ids)
        answered = item.type == "function_call_output" and self._is_answered(item.fields["call_id"])
        problem = self._conversation.create(item, event.get("previous_item_id"))
        if problem is None:
            self._announce(item)
        if problem is None and answered:  # the service takes it, but the client promised one output a call
            self.errors.append(f"conversation.item.create: a second output for call id '{item.fields['call_id']}'")
        return problem

    def _is_answered(self, call_id: str) -> bool:
        """Whether each call of this id has its output."""
        kinds = [item.type for item in self.items.values() if item.fields.get("call_id") == call_id]
        return kinds.count("function_call_output") >= kinds.count("function_call")

    def _on_item_retrieve(self, event: Json) -> Problem | None:
        item = self._conversation.find(event["item_id"], "retrieve")
        if isinstance(item, Problem):
            return item
        self._send(Event("conversation.item.retrieved", {"item": item.full_view()}))
        return None

    def _on_item_truncate(self, event: Json) -> Problem | None:
        item = self._conversation.find(event["item_id"], "truncate")
        problem = item if isinstance(item, Problem) else item.truncate(event["content_index"], event["audio_end_ms"])
        if problem is None:
            body = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
            self._send(Event("conversation.item.truncated", body))
        return problem

    def _on_item_delete(self, event: Json) -> Problem | None:
        item = self._conversation.find(event["item_id"], "delete")
        if isinstance(item, Problem):
            return item
        self._conversation.delete(item)
        self._send(Event("conversation.item.deleted", {"item_id": item.id}))
        return None

    # Responses.

    def _on_response_create(self, event: Json) -> Problem | None:
        params: Json = event.get("response", {})
        settings = ResponseSettings.merged(self.session.settings, params)
        if settings.in_conversation and self.active is not None:
            return already_active(self.active.id)
        for index, each in enumerate(params.get("input", ())):
            if each["type"] == "item_reference" and each["id"] not in self._conversation.order:
                return Problem("invalid_value", f"Item '{each['id']}' not found.", f"response.input[{index}].id")
        if settings.voice != self.session.output["voice"] and self._audio_was_sent:
            return VOICE_IS_FIXED
        self._respond("client", params, settings)
        return None

    def _on_response_cancel(self, event: Json) -> Problem | None:
        run = self.active
        if "response_id" in event:
            run = next((each for each in self.responses if each.id == event["response_id"]), None)
        if run is None or not run.cancellable:
            return NOT_ACTIVE
        run.cancel(self._now_ms + self.scenario.cancel_ms)
        return None

    @property
    def _audio_was_sent(self) -> bool:
        return any(run.audio_was_sent for run in self.responses)

    def _respond(self, trigger: Literal["client", "vad", "idle"], params: Json, settings: ResponseSettings) -> None:
        request = ResponseRequest(
            index=len(self.responses),
            reply_index=self._replies,
            is_greeting=trigger == "client" and settings.in_conversation and not self._conversation.spoken,
            trigger=trigger,
            params=params,
            conversation=[item.view() for item in self.conversation],
        )
        self._replies += not request.is_greeting
        turn = self.scenario.turn_for(request)
        tools = params["tools"] if "tools" in params else self.session.settings["tools"]
        offered = {tool.get("name") for tool in tools}
        for part in turn:
            if isinstance(part, CallTool) and part.name not in offered:
                self.errors.append(f"the script calls '{part.name}', a tool that the session does not offer")
        run = ResponseRun(turn, settings, self._conversation, self.scenario, self._ids, self._shape, self._now_ms)
        self.responses.append(run)
        self._timelines.append(run)


_HANDLERS: dict[str, Callable[[ModelSession, Json], Problem | None]] = {
    "session.update": ModelSession._on_session_update,
    "input_audio_buffer.append": ModelSession._on_append,
    "input_audio_buffer.commit": ModelSession._on_commit,
    "input_audio_buffer.clear": ModelSession._on_clear,
    "conversation.item.create": ModelSession._on_item_create,
    "conversation.item.retrieve": ModelSession._on_item_retrieve,
    "conversation.item.truncate": ModelSession._on_item_truncate,
    "conversation.item.delete": ModelSession._on_item_delete,
    "response.create": ModelSession._on_response_create,
    "response.cancel": ModelSession._on_response_cancel,
}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
