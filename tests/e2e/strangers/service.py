"""The model's side: the OpenAI Realtime API on a WebSocket, as its reference has it, led by a scenario. GPT-Live is
at the same door (`live.py`), and a call is told the same of both (`Case`).

A scenario is a coroutine that is given each `Response` of a call and says what is in it. Turn detection listens to the
audio itself, or, with `hears=False`, leaves it to the scenario. What the API would refuse is refused with its errors;
`refused` has those that no client should cause.
"""

import asyncio
import base64
import itertools
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from e2e.strangers.live import PATH, LiveSession
from e2e.strangers.response import Response
from e2e.strangers.sound import FRAME, FRAME_MS, is_loud
from e2e.strangers.wire import Wire

Event = dict[str, Any]
LOUD_FRAMES = 4
CROSSED = {"response_cancel_not_active", "conversation_already_has_active_response", "input_audio_buffer_commit_empty"}
"""Errors that mean only that two events crossed on their way."""
ITEMS = {"message", "function_call", "function_call_output"}


@dataclass
class Case:
    """One call as the model plays it. answers: what each response says, from the greeting (number 0) on, which is said
    for it. words: what the caller is heard to say, turn by turn; None: no transcript. hears: detect turns by ear.
    answers_turns: do so by itself where the session asks for it. greets: say the greeting. lag: seconds from a
    cancellation to its end, in which the response goes on. mangle: after how many seconds an event of that type is
    sent, once for each; none: never. Of a stream, delta_bytes: how much is in the next delta, late: by how many seconds
    it is late, words_late: how many the words are behind the sound. began, ended: when the caller's turns did."""

    answer: Callable[[Any], Awaitable[None]]
    words: list[str | None] = field(default_factory=list)
    hears: bool = True
    answers_turns: bool = True
    greets: bool = True
    lag: float = 0.0
    mangle: Callable[[str], list[float]] = lambda kind: [0.0]
    delta_bytes: Callable[[], int] = lambda: 3 * FRAME
    late: Callable[[], float] = lambda: 0.0
    words_late: float = 0.0
    numbers: Any = field(default_factory=itertools.count)
    sessions: list[Any] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    @property
    def session(self) -> Any:
        return self.sessions[-1]

    @property
    def live(self) -> bool:
        """Its model streams."""
        return any(isinstance(session, LiveSession) for session in self.sessions)

    def events(self, kind: str) -> list[Event]:
        """What clients sent of that type, in all sessions of this call."""
        return [event for session in self.sessions for event in session.events if event["type"] == kind]

    def outputs(self, call_id: str = "") -> list[str]:
        """What function calls were answered, of one call or all."""
        created = [event["item"] for event in self.events("conversation.item.create")]
        created += [event["item"] for event in self.events("response.item.create")]
        found = [item for item in created if item["type"] == "function_call_output"]
        return [item["output"] for item in found if item["call_id"] == call_id or not call_id]

    @property
    def creates(self) -> list[Event]:
        """The responses that were asked for, in a stream the words, but for the greeting."""
        if not self.live:
            return self.events("response.create")[1:]
        asked = [*self.events("session.commentary.append"), *self.events("session.instructions.append")]
        return sorted((event for event in asked if event.get("event_id")), key=lambda event: event["at"])[1:]

    @property
    def notes(self) -> list[tuple[float, str]]:
        """What the model was told that nobody said, and when."""
        created = [(event["at"], event["item"]) for event in self.events("conversation.item.create")]
        told = [(at, json.dumps(item["content"])) for at, item in created if item["type"] == "message"]
        return told + [(event["at"], event["content"]) for event in self.events("session.thinking.append")]


class Service:
    """The listener. Calls find their case by `case=NAME` in the instructions of their session."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.stored: dict[str, LiveSession] = {}
        self.refuse = 0
        self._server: Server | None = None

    async def start(self) -> int:
        self._server = await serve(
            self._talk, "127.0.0.1", 0, process_request=self._admit, compression=None, max_size=None, ping_interval=None
        )
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _admit(self, socket: ServerConnection, request: Any) -> Any:
        if self.refuse:
            return socket.respond(self.refuse, json.dumps({"error": {"code": "refused", "message": "refused"}}))
        known = request.path.startswith("/v1/realtime?model=") or PATH.fullmatch(request.path)
        if not known or "Bearer sk-" not in request.headers["Authorization"]:
            return socket.respond(401, "no key, or no such path")
        return None

    async def _talk(self, socket: ServerConnection) -> None:
        live = PATH.fullmatch(socket.request.path if socket.request is not None else "")
        nobody = Case(Response.nothing)
        if live is None:
            await Session(self, socket).run()
        elif live[1] is None or live[1] in self.stored:
            await LiveSession(self, socket, nobody, self.stored.get(live[1])).run()
        else:
            await socket.close(1008, "no such session")


class Session(Wire):
    """One connection. `events` is what the client sent, but for audio, with `at`: when it came (monotonic)."""

    def __init__(self, service: Service, socket: ServerConnection) -> None:
        super().__init__(socket)
        self._service = service
        self._ids = itertools.count(1)
        self.case = Case(Response.nothing)
        self.events: list[Event] = []
        self.sent: list[Event] = []
        self.refused: list[str] = []
        self.items: dict[str, Event] = {}
        self.settings = opening()
        self.response: Response | None = None
        self.speaking = False
        self.turns = 0
        self._owed = 0
        self._item = ""
        self._partial = b""
        self._loud = self._quiet = self._audio_ms = self._uncommitted_ms = 0

    # --- the socket ---

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        self.emit("session.created", session=self.settings)
        try:
            async for text in self._socket:
                await self._take(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            if self.response is not None:
                self.response.abandon()

    def name(self, kind: str) -> str:
        return f"{kind}_{id(self):x}{next(self._ids):06}"

    def emit(self, kind: str, **body: Any) -> None:
        event = {"type": kind, "event_id": self.name("event"), **body}
        self.sent.append({**event, "at": time.monotonic()} if "audio.delta" not in kind else {"type": kind})
        for delay in self.case.mangle(kind):
            if delay:
                asyncio.get_running_loop().call_later(delay, self._outgoing.put_nowait, event)
            else:
                self._outgoing.put_nowait(event)

    def error(self, code: str | None, message: str, cause: Event | None = None, param: str | None = None) -> None:
        """An `error` event; its cause is the client's event, if there is one."""
        if cause is not None and code not in CROSSED:
            self.refused.append(f"{code}: {message} ({json.dumps(cause)[:200]})")
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": param}
        self.emit("error", error=error | {"event_id": (cause or {}).get("event_id")})

    # --- the client's events ---

    async def _take(self, event: Event) -> None:
        kind = event.get("type", "")
        handle = getattr(self, "_on_" + kind.replace(".", "_"), None)
        if kind != "input_audio_buffer.append":
            self.events.append({**event, "at": time.monotonic()})
        if handle is None:
            self.error("invalid_value", f"Invalid value: '{kind}'.", event, "type")
        else:
            handle(event)

    def _on_session_update(self, event: Event) -> None:
        given = event["session"]
        if given.get("type") != "realtime":
            self.error(
                "missing_required_parameter", "Missing required parameter: 'session.type'.", event, "session.type"
            )
            return
        if unknown := set(given) - set(self.settings):
            self.error("unknown_parameter", f"Unknown parameter: 'session.{unknown.pop()}'.", event)
            return
        merge(self.settings, given)
        named = re.search(r"case=(\S+)", self.settings["instructions"])
        if named and named[1] in self._service.cases and self not in self._service.cases[named[1]].sessions:
            self.case = self._service.cases[named[1]]
            self.case.sessions.append(self)
        self.emit("session.updated", session=self.settings)

    def _on_input_audio_buffer_append(self, event: Event) -> None:
        self._partial += base64.b64decode(event["audio"], validate=True)
        while len(self._partial) >= FRAME:
            frame, self._partial = self._partial[:FRAME], self._partial[FRAME:]
            self._audio_ms += FRAME_MS
            self._uncommitted_ms += FRAME_MS
            if self.case.hears and self.settings["audio"]["input"]["turn_detection"]:
                self._listen(is_loud(frame))

    def _on_input_audio_buffer_commit(self, event: Event) -> None:
        if self._uncommitted_ms < 100:
            self.error("input_audio_buffer_commit_empty", "Expected at least 100ms of audio.", event)
        else:
            self.commit(answered=False)

    def _on_input_audio_buffer_clear(self, event: Event) -> None:
        self._uncommitted_ms = 0
        self.emit("input_audio_buffer.cleared")

    def _on_response_create(self, event: Event) -> None:
        if self.response is not None:
            active = f"Conversation already has an active response in progress: {self.response.id}. Wait until the "
            message = active + "response is finished before creating a new one."
            self.error("conversation_already_has_active_response", message, event)
        else:
            self._begin("create", event.get("response") or {})

    def _on_response_cancel(self, event: Event) -> None:
        named = event.get("response_id")
        if self.response is None or named not in (None, self.response.id):
            message = "Cancellation failed: no active response found"
            self.error("response_cancel_not_active", message, event)
        else:
            self.response.cancel()

    def _on_conversation_item_create(self, event: Event) -> None:
        item = dict(event["item"])
        known = {i["call_id"] for i in self.items.values() if i["type"] == "function_call"}
        if item.get("type") not in ITEMS:
            self.error("invalid_value", f"Invalid value: '{item.get('type')}'.", event, "item.type")
        elif item["type"] == "function_call_output" and item["call_id"] not in known:
            message = f"Tool call ID '{item['call_id']}' not found in conversation."
            self.error("invalid_tool_call_id", message, event, "item.call_id")
        elif item["type"] == "function_call_output" and not isinstance(item.get("output"), str):
            self.error("missing_required_parameter", "Missing required parameter: 'item.output'.", event)
        else:
            self.add(item)

    def _on_conversation_item_truncate(self, event: Event) -> None:
        item = self.items.get(event["item_id"])
        generated = (item or {}).get("audio_ms", 0)
        if item is None:
            self.error("item_truncate_invalid_item_id", f"Item {event['item_id']} not found", event)
        elif not generated:
            message = "Only model output audio messages can be truncated"
            self.error("unsupported_content_type", message, event)
        elif event["audio_end_ms"] > generated:
            message = f"Audio content of {generated}ms is already shorter than {event['audio_end_ms']}ms"
            self.error("invalid_value", message, event)
        else:
            item["truncated_ms"] = event["audio_end_ms"]
            kept = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
            self.emit("conversation.item.truncated", **kept)

    def _on_conversation_item_delete(self, event: Event) -> None:
        if self.items.pop(event["item_id"], None) is None:
            self.error("item_delete_invalid_item_id", f"Item {event['item_id']} not found", event)
        else:
            self.emit("conversation.item.deleted", item_id=event["item_id"])

    # --- the conversation ---

    def add(self, item: Event, done: bool = True) -> str:
        """Put an item at the conversation's end; its id."""
        item["id"] = item.get("id") or self.name("item")
        previous = next(reversed(self.items), None)
        self.items[item["id"]] = item
        public = {"object": "realtime.item", "status": "completed", **item}
        self.emit("conversation.item.added", previous_item_id=previous, item=public)
        if done:
            self.emit("conversation.item.done", previous_item_id=previous, item=public)
        return str(item["id"])

    # --- turns ---

    def _listen(self, loud: bool) -> None:
        self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
        silence_ms = self.settings["audio"]["input"]["turn_detection"].get("silence_duration_ms", 500)
        if not self.speaking and self._loud >= LOUD_FRAMES:
            self.speech_started()
        elif self.speaking and self._quiet * FRAME_MS >= silence_ms:
            self.speech_stopped()

    def speech_started(self) -> None:
        self.speaking, self._item = True, self.name("item")
        self.case.began.append(time.monotonic())
        start = max(0, self._audio_ms - 300)
        self.emit("input_audio_buffer.speech_started", audio_start_ms=start, item_id=self._item)
        detection = self.settings["audio"]["input"]["turn_detection"] or {}
        if self.response is not None and detection.get("interrupt_response", True):
            self.response.cancel("turn_detected")

    def speech_stopped(self) -> None:
        self.case.ended.append(time.monotonic())
        self.emit("input_audio_buffer.speech_stopped", audio_end_ms=self._audio_ms, item_id=self._item)
        detection = self.settings["audio"]["input"]["turn_detection"] or {}
        self.commit(answered=detection.get("create_response", True) and self.case.answers_turns)

    def commit(self, *, answered: bool) -> None:
        """Make an item of what was said; `answered` by a response of the service's own."""
        item_id, self.speaking, self._item, self._uncommitted_ms = self._item or self.name("item"), False, "", 0
        self.emit("input_audio_buffer.committed", previous_item_id=next(reversed(self.items), None), item_id=item_id)
        content = [{"type": "input_audio", "transcript": None}]
        self.add({"id": item_id, "type": "message", "role": "user", "content": content})
        words = self.case.words[self.turns] if self.turns < len(self.case.words) else f"turn {self.turns + 1}"
        self.turns += 1
        if words is not None and self.settings["audio"]["input"].get("transcription"):
            self._transcribe(item_id, words)
        if answered:
            self.speak_up()

    def _transcribe(self, item_id: str, words: str | None) -> None:
        done = "conversation.item.input_audio_transcription.completed"
        usage = {"type": "duration", "seconds": 1}
        self.emit(done, item_id=item_id, content_index=0, transcript=words, usage=usage)

    def speak_up(self) -> None:
        """A response that nobody asked for: now, or behind the one that is being made."""
        self._owed += 1
        self._next()

    def _next(self) -> None:
        if self._owed and self.response is None:
            self._owed = 0
            self._begin("turn", {})

    def _begin(self, cause: str, request: Event) -> None:
        self.response = Response(self, next(self.case.numbers), cause, request)
        self.response.begin()

    def ended(self, response: Response) -> None:
        """A response's end, told by itself."""
        if self.response is response:
            self.response = None
            self._next()

    def calls(self) -> list[Event]:
        """The function calls of this conversation, whole or not."""
        return [item for item in self.items.values() if item["type"] == "function_call"]


def opening() -> Event:
    """A new session's settings: those of the API's own `session.created`."""
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    detection |= {"idle_timeout_ms": None, "create_response": True, "interrupt_response": True}
    pcm = {"type": "audio/pcm", "rate": 24000}
    heard = {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": detection}
    audio = {"input": heard, "output": {"format": pcm, "voice": "alloy", "speed": 1.0}}
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime"}
    session |= {"output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto"}
    session |= {"max_output_tokens": "inf", "tracing": None, "truncation": "auto", "prompt": None, "include": None}
    session |= {"reasoning": None, "parallel_tool_calls": True}
    return session | {"expires_at": int(time.time()) + 3600, "audio": audio}


def merge(into: Event, given: Event) -> None:
    """Only what is present changes, at any depth; a union that changes its type is replaced."""
    for key, value in given.items():
        old = into.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("type") == old.get("type"):
            merge(old, value)
        else:
            into[key] = value
