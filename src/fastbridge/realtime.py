"""The model's dialect (OpenAI Realtime, GA) and one session in it. Events in, events out; no socket, no audio.

Audio passes below, in the assistant lane; here arrive only the events that need judgement, in order with it. What they
mean for the call goes to a SessionListener. Unknown events are ignored, expected errors are handled and counted.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastbridge._lanes import AssistantLane
from fastbridge.agent import Agent
from fastbridge.clock import Clock, Deadline
from fastbridge.errors import ModelUnavailable
from fastbridge.responses import ResponseController
from fastbridge.transcript import Transcript, Turn

logger = logging.getLogger(__name__)

UPDATE_RETRY_SECONDS = 3.0
UPDATE_DEADLINE_SECONDS = 8.0
EXPECTED_ERRORS = frozenset(
    {
        "response_cancel_not_active",
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "invalid_value",
        "unsupported_content_type",
        "item_truncate_invalid_item_id",
    }
)
"""Races between two machines, not faults: the model's state is what we wanted."""

FATAL_ERRORS = frozenset(
    {
        "insufficient_quota",
        "invalid_api_key",
        "account_deactivated",
        "billing_hard_limit_reached",
        "beta_api_shape_disabled",
        "session_expired",
    }
)

PCMU = {"type": "audio/pcmu"}


class SessionListener(Protocol):
    """What a session tells its call."""

    def on_session_ready(self) -> None: ...
    def on_session_failed(self, error: ModelUnavailable) -> None: ...
    def on_speech_started(self) -> None: ...
    def on_speech_stopped(self) -> None: ...
    def on_caller_turn(self) -> None: ...
    def on_response_beginning(self) -> None: ...
    def on_response_created(self, response_id: str, purpose: str) -> None: ...
    def on_response_done(self, response_id: str, status: str, code: str | None) -> None: ...
    def on_transcript(self, turn: Turn) -> None: ...
    def on_tool_call(self, call_id: str, name: str, arguments: str, response_id: str) -> None: ...


@dataclass
class Usage:
    """Tokens, summed over the session's responses."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0

    def add(self, usage: dict[str, Any]) -> None:
        for name in ("input_tokens", "output_tokens", "total_tokens"):
            count = usage.get(name)
            if isinstance(count, int):
                setattr(self, name, getattr(self, name) + count)


def session_config(agent: Agent, transcription_model: str) -> dict[str, Any]:
    """The `session` of `session.update`: everything, in one message."""
    transcription: dict[str, Any] | None = {"model": transcription_model} if transcription_model else None
    if transcription is not None and agent.language:
        transcription["language"] = agent.language
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": agent.instructions,
        "audio": {
            "input": {
                "format": PCMU,
                "transcription": transcription,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    # The caller's ear is here, not there: only we know what was heard, so only we interrupt.
                    "interrupt_response": False,
                },
            },
            "output": {"format": PCMU, "voice": agent.voice},
        },
        "tools": [tool.definition() for tool in agent.all_tools],
        "tool_choice": "auto",
    }


def parse_event(message: bytes) -> dict[str, Any] | None:
    """A peer's JSON object, or None for anything else. Never raises."""
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


class Session:
    """One conversation with the model.

    send(message): one JSON text to the model's socket, set by `connected`. The gate for caller audio is the listener's:
    it opens at on_session_ready, which only a checked `session.updated` calls.
    """

    def __init__(
        self, *, agent: Agent, transcription_model: str, lane: AssistantLane, clock: Clock, listener: SessionListener
    ) -> None:
        self.usage = Usage()
        self.counters: Counter[str] = Counter()
        self.transcript = Transcript(self.counters)
        self.turns = self.transcript.turns
        self.session_id = ""
        self.ready = False
        self.closed = False
        self._transcription_model = transcription_model
        self._config = session_config(agent, transcription_model)
        self._held = False
        self._lane = lane
        self._listener = listener
        self._send: Callable[[bytes], object] | None = None
        self._text_deltas = 0
        self._call_names: dict[str, str] = {}  # of function calls whose arguments are still coming
        self.responses = ResponseController(
            clock=clock, send=self.send, progress=self._progress, lost=self._on_response_lost
        )
        self._update_retry = Deadline(clock, self._send_update)
        self._update_deadline = Deadline(clock, self._update_expired)

    # --- the socket's side ---

    def connected(self, send: Callable[[bytes], object]) -> None:
        """The socket is open. `session.update` follows the model's `session.created`, which may have come already."""
        self._send = send
        self._update_deadline.set(UPDATE_DEADLINE_SECONDS)
        if self.session_id:
            self._send_update()

    def hold(self) -> None:
        """`session.update` waits for `configure`: who answers is not known yet."""
        self._held = True

    def configure(self, agent: Agent) -> None:
        """This agent answers: from here on `session.update` says so."""
        self._config = session_config(agent, self._transcription_model)
        self._held = False
        if self._send is not None and self.session_id:
            self._send_update()

    def send(self, event: dict[str, Any]) -> None:
        """A client event to the model; after the end of the session, to nobody."""
        if self._send is not None and not self.closed:
            self._send(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))

    def close(self) -> None:
        self.closed = True
        self._send = None
        self._update_retry.clear()
        self._update_deadline.clear()
        self.responses.close()

    def on_event(self, message: bytes) -> None:
        """One message of the model's that is not audio. Never raises on what it holds."""
        if self.closed:
            return
        event = parse_event(message)
        handler = _HANDLERS.get(str(event.get("type"))) if event is not None else None
        if event is None or handler is None:
            self.counters["malformed_events" if event is None else "other_events"] += 1
            return
        try:
            handler(self, event)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
            # A known event without the fields it must have: the model's fault, and not worth a call.
            self.counters["malformed_events"] += 1
            logger.warning("[REALTIME] %s event is malformed", event.get("type"), exc_info=True)

    # --- what the call asks for ---

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """Tell the model, once an item, what was heard of one that was cut off. Nothing heard: it was never said.
        False if it was told before."""
        turn = self.transcript.turn("assistant", item_id)
        if turn is not None and turn.heard_ms is not None:
            return False
        heard_ms = max(0, min(heard_ms, received_ms))
        if heard_ms:
            cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
            self.send({**cut, "audio_end_ms": heard_ms})
        else:
            self.send({"type": "conversation.item.delete", "item_id": item_id})
        self.transcript.cut(turn, heard_ms, received_ms)
        return True

    def tool_result(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self.send({"type": "conversation.item.create", "item": item})

    def note(self, role: str, text: str) -> None:
        """A message in the conversation that nobody spoke: role `user` or `system`."""
        content = [{"type": "input_text", "text": text}]
        self.send({"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": content}})

    # --- events ---

    def _progress(self) -> tuple[int, int, int]:
        return self._lane.deltas, self._lane.ignored_events, self._text_deltas

    def _send_update(self) -> None:
        if self._held:
            return
        self.send({"type": "session.update", "session": self._config})
        self._update_retry.set(UPDATE_RETRY_SECONDS)

    def _update_expired(self) -> None:
        self._fail("the model did not confirm the session's settings", "session_update_timeout")

    def _fail(self, message: str, code: str | None) -> None:
        self._listener.on_session_failed(ModelUnavailable(message, code))

    def _on_session_created(self, event: dict[str, Any]) -> None:
        self.session_id = str(event["session"].get("id") or "unnamed")
        if self._send is not None:
            self._send_update()

    def _on_session_updated(self, event: dict[str, Any]) -> None:
        audio = event["session"]["audio"]
        formats = (audio["input"]["format"]["type"], audio["output"]["format"]["type"])
        if formats != ("audio/pcmu", "audio/pcmu"):
            # Audio in the wrong format is noise in somebody's ear: wait for the retry or the deadline.
            self.counters["format_mismatch"] += 1
            logger.warning("[REALTIME] session has audio formats %s instead of audio/pcmu", formats)
            return
        self._update_retry.clear()
        self._update_deadline.clear()
        if not self.ready:
            self.ready = True
            self._listener.on_session_ready()

    def _on_speech_started(self, event: dict[str, Any]) -> None:
        self._listener.on_speech_started()

    def _on_speech_stopped(self, event: dict[str, Any]) -> None:
        self._listener.on_speech_stopped()

    def _on_committed(self, event: dict[str, Any]) -> None:
        item_id = str(event["item_id"])
        self.transcript.follows(item_id, event.get("previous_item_id"))
        self.transcript.turn("caller", item_id)
        self._listener.on_caller_turn()

    def _on_item_added(self, event: dict[str, Any]) -> None:
        self.transcript.follows(str(event["item"]["id"]), event.get("previous_item_id"))

    def _on_response_created(self, event: dict[str, Any]) -> None:
        response_id = str(event["response"]["id"])
        self._listener.on_response_beginning()
        purpose = self.responses.created(response_id)
        self._lane.begin_response(response_id)
        self._listener.on_response_created(response_id, purpose)

    def _on_output_item_added(self, event: dict[str, Any]) -> None:
        item = event["item"]
        if item.get("type") == "message":
            turn = self.transcript.turn("assistant", str(item["id"]))
            if turn is not None:
                turn.response_id = str(event.get("response_id", ""))
        elif item.get("type") == "function_call":
            self._call_names[str(item["call_id"])] = str(item["name"])

    def _on_audio_delta(self, event: dict[str, Any]) -> None:
        """A delta whose layout the scanner does not know: the same audio, the slow way."""
        fields = (event["response_id"], event["item_id"], event["delta"])
        self._lane.feed_delta(*(str(value).encode("ascii", "replace") for value in fields))

    def _on_assistant_words(self, event: dict[str, Any]) -> None:
        """Kept as they come: what is cut off is not said again in whole."""
        self._text_deltas += 1
        self.transcript.words(self.transcript.turn("assistant", str(event["item_id"])), str(event["delta"]))

    def _on_assistant_transcript(self, event: dict[str, Any]) -> None:
        turn = self.transcript.turn("assistant", str(event["item_id"]))
        if turn is not None and self.transcript.whole(turn, str(event["transcript"])):
            self._listener.on_transcript(turn)

    def _on_caller_transcript(self, event: dict[str, Any]) -> None:
        turn = self.transcript.turn("caller", str(event["item_id"]))
        if turn is not None and not turn.ended:
            turn.ended = True
            turn.text = str(event["transcript"]).strip()
            self._listener.on_transcript(turn)

    def _on_caller_transcript_failed(self, event: dict[str, Any]) -> None:
        """Something was said that nobody could write down: the turn stands, with what there is of its words."""
        turn = self.transcript.turn("caller", str(event["item_id"]))
        self.counters["transcription_failed"] += 1
        if turn is not None and not turn.ended:
            turn.ended = turn.failed = True
            self._listener.on_transcript(turn)

    def _on_arguments_done(self, event: dict[str, Any]) -> None:
        call_id = str(event["call_id"])
        name = self._call_names.pop(call_id, None) or str(event.get("name"))
        self._listener.on_tool_call(call_id, name, str(event.get("arguments", "")), str(event["response_id"]))

    def _on_response_done(self, event: dict[str, Any]) -> None:
        response = event["response"]
        response_id, status = str(response["id"]), str(response.get("status"))
        self._lane.end_response(response_id)
        if not self.responses.finished(response_id, status):
            return
        self.usage.add(response.get("usage") or {})
        error = (response.get("status_details") or {}).get("error") or {}
        self._listener.on_response_done(response_id, status, error.get("code"))

    def _on_response_lost(self, response_id: str) -> None:
        """Whoever waits for its end need not any more."""
        self._lane.end_response(response_id)
        self._listener.on_response_done(response_id, "lost", None)

    def _on_error(self, event: dict[str, Any]) -> None:
        error = event.get("error") or {}
        code = str(error.get("code"))
        self.counters[f"error_{code}" if code in EXPECTED_ERRORS | FATAL_ERRORS else "error_other"] += 1
        if code in FATAL_ERRORS:
            self._fail(str(error.get("message", "")), code)
        elif code == "conversation_already_has_active_response":
            self.responses.refused(error.get("event_id"))
        elif code in EXPECTED_ERRORS:
            logger.debug("[REALTIME] %s", code)
        else:
            logger.warning("[REALTIME] the model reports %s (%s)", code, error.get("param"))


_HANDLERS: dict[str, Callable[[Session, dict[str, Any]], None]] = {
    "session.created": Session._on_session_created,
    "session.updated": Session._on_session_updated,
    "input_audio_buffer.speech_started": Session._on_speech_started,
    "input_audio_buffer.speech_stopped": Session._on_speech_stopped,
    "input_audio_buffer.committed": Session._on_committed,
    "conversation.item.added": Session._on_item_added,
    "conversation.item.input_audio_transcription.completed": Session._on_caller_transcript,
    "conversation.item.input_audio_transcription.failed": Session._on_caller_transcript_failed,
    "response.created": Session._on_response_created,
    "response.output_item.added": Session._on_output_item_added,
    "response.output_audio.delta": Session._on_audio_delta,
    "response.output_audio_transcript.delta": Session._on_assistant_words,
    "response.output_audio_transcript.done": Session._on_assistant_transcript,
    "response.function_call_arguments.done": Session._on_arguments_done,
    "response.done": Session._on_response_done,
    "error": Session._on_error,
}
