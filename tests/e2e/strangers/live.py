"""The model's other side: GPT-Live on a WebSocket, as the SDK's types (`openai.types.live`) have it, led by the same
scenarios.

Its voice is one stream that begins with the session and never pauses; what a scenario says is put into it, and words
follow the sound, in fragments. It listens all the time, stops by itself when the caller speaks, and answers his turns.
Each event of the client's is held to the SDK's types, extra fields included; `refused` has what no client should cause.
"""

import asyncio
import base64
import itertools
import json
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from openai.types.live import ClientEvent, ForkClientEvent
from pydantic import BaseModel, TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from e2e.strangers.live_answer import Answer, Utterance, Work
from e2e.strangers.sound import FRAME, FRAME_MS, QUIET, is_loud
from e2e.strangers.wire import Wire

if TYPE_CHECKING:
    from e2e.strangers.service import Case, Service

Event = dict[str, Any]
PATH = re.compile(r"/v1/live/sessions(?:/(\w+)/fork)?")
LOUD_FRAMES = 4
TURN_END_MS = 500
STOPS_SECONDS = 0.2
"""From the caller's first words until the voice gives way."""
SPOKEN_ABOUT_SECONDS = 0.4
"""From a commentary to what is said of it."""
FRAGMENT_FRAMES = 12
USAGE_SECONDS = 2.0
CROSSED = {"response_in_progress"}
"""Errors that mean only that two events crossed on their way, or that work is slow."""
MOST_CHARS = 4000
"""Of 500 tokens, in any language: what is longer is surely too long."""
CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(ClientEvent)
FORK_EVENTS: TypeAdapter[Any] = TypeAdapter(ForkClientEvent)
OUTPUT = {"type": "function_call_output", "call_id": "1", "output": ""}
for adapter in (CLIENT_EVENTS, FORK_EVENTS):  # the first time takes half a second, which no scene should wait for
    adapter.validate_python({"type": "response.item.create", "item": OUTPUT})
APPENDED = {"commentary": True, "instructions": True, "thinking": False}
"""What may be appended, and whether something is said of it."""


class LiveSession(Wire):
    """One connection. `events` is what the client sent, but for audio, with `at`: when it came (monotonic). fork: the
    stored session that this one goes on from."""

    def __init__(self, service: "Service", socket: ServerConnection, case: "Case", fork: "LiveSession | None") -> None:
        super().__init__(socket)
        self._service = service
        self.fork = fork
        self._ids = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self.id = self.name("live")
        self.case = case
        self.events: list[Event] = []
        self.sent: list[Event] = []
        self.refused: list[str] = []
        self.settings: Event = dict(fork.settings) if fork is not None else {}
        self.items: dict[str, Event] = {}
        self.response: Answer | None = None
        self.speaking = self.muted = False
        self.turns = 0
        self.works: list[Work] = []
        self.voice: deque[Utterance] = deque()
        self._wishes: deque[tuple[str, Event, Work | None]] = deque()
        self._began = 0.0
        self._pending = b""
        self._partial = b""
        self._words: deque[str] = deque()
        self._fragment = 0
        self._frames = self._heard_frames = self._loud = self._quiet = 0

    # --- the socket ---

    async def run(self) -> None:
        self._tasks.append(asyncio.create_task(self._write()))
        try:
            async for text in self._socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            if self.response is not None:
                self.response.abandon()

    async def close(self, reason: str) -> None:
        """The session ends, and says why."""
        self.emit("session.closed", reason=reason, session=self._public(), usage=self._usage())
        self._tasks[1].cancel()  # the stream
        await asyncio.sleep(0.05)
        await self._socket.close(1000, reason)

    def name(self, kind: str) -> str:
        return f"{kind}_{id(self):x}{next(self._ids):06}"

    def emit(self, kind: str, **body: Any) -> None:
        event = {"type": kind, "event_id": self.name("event"), **body}
        self.sent.append({**event, "at": time.monotonic()})
        for delay in self.case.mangle(kind):
            if delay:
                asyncio.get_running_loop().call_later(delay, self._outgoing.put_nowait, event)
            else:
                self._outgoing.put_nowait(event)

    def error(self, code: str | None, message: str, cause: Event | None = None, param: str | None = None) -> None:
        if cause is not None and code not in CROSSED:
            self.refused.append(f"{code}: {message} ({json.dumps(cause)[:200]})")
        error = {"type": "invalid_request_error", "code": code or "", "message": message, "param": param}
        self.emit("error", error=error | {"client_event_id": (cause or {}).get("event_id")})

    # --- the client's events ---

    def _take(self, event: Event) -> None:
        kind = str(event.get("type", ""))
        if kind == "session.input_audio.append":
            self._hear(event)
            return
        self.events.append({**event, "at": time.monotonic()})
        fault = unknown_in(event, FORK_EVENTS if self.fork is not None else CLIENT_EVENTS)
        handle = getattr(self, "_on_" + kind.replace(".", "_"), None)
        appended = re.fullmatch(r"session\.(commentary|instructions|thinking)\.append", kind)
        if fault or (handle is None and appended is None):
            self.error("invalid_value", f"Invalid event: {kind} {fault}", event, "type")
        elif not self._began and kind != "session.start":
            self.error("session_not_started", "Send session.start first.", event)
        elif appended:
            self._append(appended[1], event)
        elif handle is not None:
            handle(event)

    def _on_session_start(self, event: Event) -> None:
        given = event["session"]
        if self._began:
            self.error("session_already_started", "The session has started.", event)
            return
        self.settings = {**self.settings, **given}
        named = re.search(r"case=(\S+)", self.settings.get("instructions", ""))
        if named and named[1] in self._service.cases:
            self.case = self._service.cases[named[1]]
            self.case.sessions.append(self)
        given_format = (given.get("audio") or {}).get("format")
        if given_format != {"type": "audio/pcmu", "rate": 8000}:
            self.error("invalid_value", f"These scenes are in mu-law, not {given_format}", event)
        self._began = time.monotonic()
        self._service.stored[self.id] = self
        self.emit("session.started", session=self._public(), client_event_id=event.get("event_id"))
        self._tasks += [asyncio.create_task(self._stream()), asyncio.create_task(self._count())]

    def _on_session_update(self, event: Event) -> None:
        self.emit("session.updated", session=self._public(), client_event_id=event.get("event_id"))

    def _on_session_close(self, event: Event) -> None:
        self._tasks.append(asyncio.create_task(self.close("close_requested")))

    def _on_session_input_audio_mute(self, event: Event) -> None:
        self.muted = True
        self.emit("session.input_audio.muted", start_ms=self.ms, end_ms=self.ms)

    def _on_session_input_audio_unmute(self, event: Event) -> None:
        self.muted = False
        self.emit("session.input_audio.unmuted", start_ms=self.ms, end_ms=self.ms)

    def _append(self, what: str, event: Event) -> None:
        if "delegation_id" not in event or event["delegation_id"] is not None:
            self.error("invalid_value", "delegation_id must be null with Responses delegation", event, "delegation_id")
        elif len(event["content"]) > MOST_CHARS:
            self.error("string_above_max_length", "content has more than 500 tokens", event, "content")
        else:
            at = {"start_ms": self.ms, "end_ms": self.ms, "client_event_id": event.get("event_id")}
            self.emit(f"session.{what}.appended", **at)
            if APPENDED[what]:
                self.later(SPOKEN_ABOUT_SECONDS, lambda: self.owe("create", {"content": event["content"]}))

    def _on_response_item_create(self, event: Event) -> None:
        item = event["item"]
        work = next((work for work in self.works if item.get("call_id") in work.open_calls), None)
        if item["type"] != "function_call_output":
            return
        if work is None:
            self.error("invalid_tool_call_id", f"No tool call {item['call_id']} waits for its output.", event)
        else:
            work.open_calls.discard(item["call_id"])

    def _on_response_create(self, event: Event) -> None:
        if any(work.open_calls for work in self.works):
            self.error("missing_tool_output", "A function call has no output yet.", event)
            return
        if any(not work.ended for work in self.works):
            self.error("response_in_progress", "A response is in progress.", event)
            return
        work = Work(self, self.works[-1].delegation_id if self.works else self.name("dlg"))
        work.begin()
        self.owe("work", {}, work)

    def calls(self) -> list[Event]:
        """The function calls of this conversation, whole or not."""
        return [item for item in self.items.values() if item["type"] == "function_call"]

    # --- the voice: one stream ---

    @property
    def ms(self) -> int:
        """The session's clock."""
        return self._frames * FRAME_MS

    async def _stream(self) -> None:
        sent = 0
        while True:
            size = self.case.delta_bytes()
            sent += size
            await asyncio.sleep(self._began + sent / 8000 + self.case.late() - time.monotonic())
            while len(self._pending) < size:
                self._pending += self._next_frame()
            audio, self._pending = self._pending[:size], self._pending[size:]
            delta = base64.b64encode(audio).decode()
            self._outgoing.put_nowait({"type": "session.output_audio.delta", "delta": delta})

    def _next_frame(self) -> bytes:
        self._frames += 1
        while self.voice and self.voice[0].over:
            self.voice.popleft().done.set()
        if not self.voice:
            return QUIET
        utterance = self.voice[0]
        frame, words = utterance.next()
        if words:
            end_ms = self.ms
            body = {"delta": words, "start_ms": max(0, end_ms - 200), "end_ms": end_ms}
            self.later(self.case.words_late, lambda: self.emit("session.output_transcript.delta", **body))
        return frame

    def hush(self) -> None:
        """The voice stops, and what was to be said is not."""
        for utterance in self.voice:
            utterance.done.set()
        self.voice.clear()
        if self.response is not None:
            self.response.cancel()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(USAGE_SECONDS)
            self.emit("session.usage.updated", usage=self._usage(), context_window={"usage_ratio": 0.01})

    def _usage(self) -> Event:
        return {"seconds": float(round(time.monotonic() - self._began))}

    def _public(self) -> Event:
        kept = {key: value for key, value in self.settings.items() if key != "input"}
        return {"id": self.id, "expires_at": int(time.time()) + 7200, "status": "active", **kept}

    # --- the ear ---

    def _hear(self, event: Event) -> None:
        if set(event) - {"event_id"} != {"type", "audio"} or not self._began:
            self.refused.append(f"audio with {sorted(event)}, {'after' if self._began else 'before'} the start")
        self._partial += base64.b64decode(event["audio"], validate=True)
        while len(self._partial) >= FRAME:
            frame, self._partial = self._partial[:FRAME], self._partial[FRAME:]
            self._heard_frames += 1
            if self.case.hears:
                self._listen(is_loud(frame) and not self.muted)
            elif self.speaking:
                self._tell_words()

    def _listen(self, loud: bool) -> None:
        self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
        if not self.speaking and self._loud >= LOUD_FRAMES:
            self.speech_started()
        elif self.speaking and self._quiet * FRAME_MS >= TURN_END_MS:
            self.speech_stopped()
        elif self.speaking:
            self._tell_words()

    def speech_started(self) -> None:
        """The caller speaks: his words come while he does, and the voice gives way."""
        self.speaking, self._fragment = True, 0
        self.case.began.append(time.monotonic())
        words = self.case.words[self.turns] if self.turns < len(self.case.words) else f"turn {self.turns + 1}"
        self._words = deque((words or "").split(" ") if words else [])
        self.turns += 1
        self._tell_words()
        self.later(STOPS_SECONDS, lambda: self.hush() if self.speaking else None)

    def _tell_words(self) -> None:
        if self._words and self._fragment % FRAGMENT_FRAMES == 0:
            first = self._fragment == 0
            self._tell(("" if first else " ") + self._words.popleft())
        self._fragment += 1

    def _tell(self, words: str) -> None:
        end_ms = self._heard_frames * FRAME_MS
        body = {"delta": words, "start_ms": max(0, end_ms - 100), "end_ms": end_ms}
        self.later(self.case.words_late, lambda: self.emit("session.input_transcript.delta", **body))

    def speech_stopped(self) -> None:
        if self._words:
            self._tell(" " + " ".join(self._words))
            self._words.clear()
        self.speaking = False
        self.case.ended.append(time.monotonic())
        if self.case.answers_turns:
            self._wishes = deque(wish for wish in self._wishes if wish[0] != "turn")
            self._wishes.appendleft(("turn", {}, None))
            self.hush()
        self._next()

    # --- what it says ---

    def later(self, seconds: float, what: Any) -> None:
        """Done then, if the session lasts."""
        if not seconds:
            what()
        else:
            asyncio.get_running_loop().call_later(seconds, what)

    def speak_up(self) -> None:
        """It has something to say that nobody asked for."""
        self.owe("turn", {})

    def owe(self, cause: str, request: Event, work: Work | None = None) -> None:
        """Something will be said, when it is its turn."""
        self._wishes.append((cause, request, work))
        self._next()

    def _next(self) -> None:
        if self._wishes and self.response is None and not self.speaking:
            cause, request, work = self._wishes.popleft()
            self.response = Answer(self, next(self.case.numbers), cause, request, work)
            self.response.begin()

    def ended(self, answer: Answer) -> None:
        if self.response is answer:
            self.response = None
            self._next()


def unknown_in(event: Event, known: TypeAdapter[Any]) -> str:
    """What the SDK's types do not know of an event of the client's."""
    try:
        read = known.validate_python(event, strict=True)
    except ValidationError as error:
        return str(error)[:300]
    if read.type != event["type"]:
        return f"read as {read.type}"
    return ", ".join(extras_of(read))


def extras_of(model: Any, path: str = "") -> list[str]:
    """The fields that no type of the SDK's has, at any depth."""
    if isinstance(model, list):
        return [found for each in model for found in extras_of(each, f"{path}[]")]
    if not isinstance(model, BaseModel):
        return []
    own = [f"{path}.{name}" for name in model.model_extra or {}]
    parts = [(getattr(model, name), f"{path}.{name}") for name in type(model).model_fields]
    return own + [each for part, at in parts for each in extras_of(part, at)]
