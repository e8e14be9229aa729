"""The model's dialect (OpenAI Realtime, GA) and one session in it. Events in, events out; no socket, no audio.

Audio passes below, in the assistant lane; here arrive only the events that need judgement, in order with it. What they
mean for the call is told as events of `model.port`. Unknown events are ignored, expected errors handled and counted.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fastbridge._assistant import AssistantLane
from fastbridge.agent.definition import Agent
from fastbridge.base.clock import Clock
from fastbridge.base.json_text import id_of, id_text, object_of, text_of, within
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model import port
from fastbridge.model.exchange import Exchange, Handler
from fastbridge.model.history import History
from fastbridge.model.port import Create, Tell
from fastbridge.model.realtime.caller_words import CallerWords
from fastbridge.model.realtime.errors import EXPECTED_ERRORS, FATAL_ERRORS, means_active, read_error, response_error
from fastbridge.model.realtime.function_calls import FunctionCall, FunctionCalls, State
from fastbridge.model.realtime.handshake import Opening
from fastbridge.model.realtime.replay import replay_items
from fastbridge.model.realtime.requests import SIGN_ID, Requests
from fastbridge.model.realtime.responses import ResponseController
from fastbridge.model.realtime.session_config import (
    TURN_END_SLACK_SECONDS,
    for_model,
    patience_seconds,
    session_config,
    turn_end_seconds,
)
from fastbridge.model.realtime.turn_events import IDLE, SPEECH_STARTED, SPEECH_STOPPED, TurnEvents
from fastbridge.model.usage import Usage
from fastbridge.observe.trouble import Trouble


class Session(Exchange, Requests):
    """One conversation with the model.

    send(message): one JSON text to the model's socket, set by `connected`. The gate for caller audio opens at
    `SessionReady`, which only a checked `session.updated` tells.
    """

    _opening: Opening

    def __init__(
        self,
        *,
        agent: Agent,
        settings: Settings,
        lane: AssistantLane,
        clock: Clock,
        tell: Tell,
        trouble: Trouble,
    ) -> None:
        self.counters: Counter[str] = Counter()
        super().__init__(History(self.counters), lane, self.send)
        self.usage = Usage()
        self.closed = False
        self.speech_start_ms: int | None = None
        """Where the caller's last speech began, by the model's clock: ms of caller audio in this session."""
        self._trouble = trouble
        self._tell = tell
        self._send: Callable[[bytes], object] | None = None
        self._clock = clock
        self._parsed_words = 0
        self.local_deltas = 0
        """Deltas that were recordings of ours: no progress of the model's."""
        self._rejection: ModelError | None = None  # of a create, while that is dealt with
        self._calls = FunctionCalls()
        self._untold: deque[str] = deque(maxlen=64)  # responses of which it is not known what they have cost
        self._turn_events = TurnEvents(self.counters)
        self._caller_words = CallerWords(self.history, self.counters, trouble, tell)
        self.responses = ResponseController(clock=clock, send=self.send, progress=self._progress, listener=self)
        self._config: dict[str, Any] | None = self._apply(agent, settings)
        self._opening = self._own_opening()

    def _apply(self, agent: Agent, settings: Settings) -> dict[str, Any]:
        self.settings = settings
        self.history.set_speed(settings.speed)
        self.responses.patience_seconds = patience_seconds(settings)
        return session_config(agent, settings)

    # --- the socket's side ---

    def new_opening(
        self, ready: Callable[[], object], failed: Callable[[ModelError], object], model: str = ""
    ) -> Opening:
        """For a connection: this session's settings, to be confirmed there."""
        config = for_model(self._config, model)
        return Opening(clock=self._clock, config=config, ready=ready, failed=failed, trouble=self._trouble)

    def use_model(self, model: str) -> None:
        self._config = for_model(self._config, model)

    def _own_opening(self) -> Opening:
        return self.new_opening(
            lambda: self._tell(port.SessionReady()),
            lambda error: self._tell(port.SessionFailed(error)),
        )

    @property
    def turn_end_seconds(self) -> float:
        """How long after the caller's last sound the model may go on listening before something is wrong with it."""
        return turn_end_seconds(self.settings)

    @property
    def turn_told_seconds(self) -> float:
        """How long after that sound the model tells of the end of the turn; later is late."""
        return self.turn_end_seconds - TURN_END_SLACK_SECONDS / 2

    def connected(self, send: Callable[[bytes], object]) -> None:
        """The socket is open. `session.update` follows the model's `session.created`, which may have come already."""
        self._send = send
        self._opening.connected(self._send_now)

    def disconnected(self) -> None:
        """The connection is gone: the next one will be opened from the beginning, and told what was said here."""
        self._lane.tell_words()
        self.responses.suspend()
        self._opening.close()
        self._opening = self._own_opening()
        self._send = None
        self._forget()

    def move(self, opening: Opening, send: Callable[[bytes], object]) -> None:
        """Go on, at rest, on another connection, which is open and confirmed."""
        self._opening.close()
        self._opening = opening
        self._send = send
        self._forget()

    def _forget(self) -> None:
        """Ids of a session say nothing in the next."""
        self._calls.forget()
        if self.settings.transcription_model:
            self._caller_words.lost()
        self._untold.clear()
        self._telling.forget()
        self._turn_events.forget()
        self.responses.forget()

    def replay(self) -> int:
        """Tell a new session what was said; the number of items."""
        items = replay_items(list(self.turns.values()), self.tool_calls, self.history.notes)
        self._truncation.replayed = {item["id"] for item in items if "id" in item}
        for item in items:
            self.send({"type": "conversation.item.create", "item": item})
        return len(items)

    def hold(self) -> None:
        """`session.update` waits for `configure`: who answers is not known yet."""
        self._config = self._opening.config = None

    def configure(self, agent: Agent, settings: Settings) -> None:
        """This agent answers, with these settings: from here on `session.update` says so."""
        self._config = self._apply(agent, settings)
        self._opening.configure(self._config)

    def close(self) -> None:
        self._lane.tell_words()
        self.closed = True
        self._send = None
        self._opening.close()
        self.responses.close()

    def on_words(self, item_id: str, words: str) -> None:
        """Some of the assistant's words."""
        if not self.closed:
            self.history.add_words(item_id, words)

    # --- events ---

    def _progress(self) -> tuple[int, int, int]:
        words = self._lane.word_deltas + self._parsed_words
        return self._lane.deltas - self.local_deltas, self._lane.ignored_events, words

    def _on_session_created(self, event: dict[str, Any]) -> None:
        self._opening.on_created(event)

    def _on_session_updated(self, event: dict[str, Any]) -> None:
        if self.ready and self._signs:
            self._tell(port.ModelSign())
        before = self._opening.format_mismatches
        self._opening.on_updated(event)
        if self._opening.format_mismatches > before:
            self.counters["format_mismatch"] += 1

    def _on_speech_started(self, event: dict[str, Any]) -> None:
        if not self._turn_events.is_new(event):
            return
        start_ms = event.get("audio_start_ms")
        self.speech_start_ms = start_ms if type(start_ms) is int else None
        self._tell(port.SpeechStarted())

    def _on_speech_stopped(self, event: dict[str, Any]) -> None:
        if self._turn_events.is_new(event):
            self._tell(port.SpeechStopped())

    def _on_committed(self, event: dict[str, Any]) -> None:
        item_id = id_text(event.get("item_id"))
        if not self._turn_events.is_new(event):
            return
        if item_id:
            self.history.follows(item_id, id_text(event.get("previous_item_id")))
            if self._turn_events.nobody_spoke(item_id):
                return
            self.history.turn("caller", item_id)
        self._tell(port.TurnCommitted())

    def _on_idle(self, event: dict[str, Any]) -> None:
        """The model has waited for the caller as long as it was told to, and speaks next, by itself."""
        if self._turn_events.is_new(event):
            self._tell(port.ModelIdle())

    def _on_item_added(self, event: dict[str, Any]) -> None:
        item_id = id_text(object_of(event.get("item")).get("id"))
        if item_id:  # some servers give their items none
            self._telling.confirmed(item_id)
            self.history.follows(item_id, id_text(event.get("previous_item_id")))

    def _on_response_created(self, event: dict[str, Any]) -> None:
        response = within(event, "response")
        response_id = id_of(response.get("id"))
        if not self.ready:  # whatever it says is in a format that nobody has confirmed
            self.counters["unconfirmed_responses"] += 1
            return
        if not self.responses.knows(response_id):
            self._untold.append(response_id)
            self._tell(port.ResponseBeginning())
        purpose = self.responses.created(response_id, response.get("metadata"))
        if purpose is None:  # told before, or not wanted: its audio is refused by its id
            return
        self.history.speaking_item = ""
        self._lane.begin_response(response_id, id_text(event.get("event_id")).encode("ascii", "replace"))
        if purpose in ("turn", "tool_result", "keys"):
            self.responses.took_in(told=self._telling.is_known)
        self._tell(port.ResponseCreated(response_id, purpose))

    def _on_output_item_added(self, event: dict[str, Any]) -> None:
        item = object_of(event.get("item"))
        if item.get("type") == "message":
            self._tell(port.MessageBegun())
            item_id = self.history.speaking_item = id_text(item.get("id"))
            turn = self.history.turn("assistant", item_id) if item_id else None
            if turn is not None:
                turn.response_id = id_text(event.get("response_id"))
        elif item.get("type") == "function_call":
            self._calls.begun(id_of(event.get("response_id")), item)

    def _on_audio_delta(self, event: dict[str, Any]) -> None:
        """A delta whose layout the scanner does not know: the same audio, the slow way."""
        response_id, item_id, event_id = (id_text(event.get(name)) for name in ("response_id", "item_id", "event_id"))
        fields = (response_id, item_id, text_of(event.get("delta")), event_id)
        self._lane.feed_delta(*(value.encode("ascii", "replace") for value in fields))

    def _on_words_event(self, event: dict[str, Any]) -> None:
        """Words with an escape in them."""
        words = text_of(event.get("delta"))
        if words:
            self._parsed_words += 1
            item_id = id_of(event.get("item_id"))
            self._lane.parsed_words(item_id.encode("ascii", "replace"))
            self.on_words(item_id, words)

    def _on_assistant_transcript(self, event: dict[str, Any]) -> None:
        turn = self.history.end_words(id_of(event.get("item_id")), text_of(event.get("transcript")))
        if turn is not None:
            self._tell(port.Transcribed(turn))

    def _on_caller_transcript(self, event: dict[str, Any]) -> None:
        self.usage.add_transcription(event.get("usage"))
        item_id, text = id_of(event.get("item_id")), text_of(event.get("transcript")).strip()
        if not text and self._turn_events.nobody_spoke(item_id):
            return
        self._caller_words.written(item_id, text)

    def _on_caller_transcript_failed(self, event: dict[str, Any]) -> None:
        self._caller_words.failed(id_of(event.get("item_id")), read_error(event.get("error"), "not written down"))

    def _on_arguments_done(self, event: dict[str, Any]) -> None:
        self._settle_calls(self._calls.arguments_done(event))

    def _on_output_item_done(self, event: dict[str, Any]) -> None:
        item = object_of(event.get("item"))
        if item.get("type") == "function_call":
            self._settle_calls(self._calls.item_done(id_of(event.get("response_id")), item))

    def _settle_calls(self, calls: list[FunctionCall]) -> None:
        """Those that are whole are run; of the others the model is told that they were not."""
        for call in calls:
            known = self.history.add_call(call.call_id, call.name, call.arguments or "")
            if call.state is State.WHOLE:
                self._tell(port.ToolCalled(call.response_id, known))
            else:
                self.tool_result(known, json.dumps({"error": f"not run: {call.why}"}))
                self._tell(port.ToolNotRun(call.name, call.why))

    def _on_response_done(self, event: dict[str, Any]) -> None:
        response = within(event, "response")
        response_id, status = id_of(response.get("id")), text_of(response.get("status")) or "unknown"
        self._lane.end_response(response_id)
        self._settle_calls(self._calls.response_ended(response_id, status, response.get("output")))
        wanted, told = self.responses.finished(response_id, status), self._count(response_id, response)
        if not wanted:
            if told:
                self._tell(port.UsageTold(response_id))
            return
        self._telling.answered()
        if status == "completed":
            self.history.learn_speed(self._received_ms())
        self._tell(port.ResponseDone(response_id, status, response_error(response)))

    def _count(self, response_id: str, response: dict[str, Any]) -> bool:
        """What it has cost, once, be it told when nobody waits for its end any more."""
        before = self.usage.total_tokens
        if response_id in self._untold:
            self.usage.add(object_of(response.get("usage")))
        if self.usage.total_tokens != before:
            self._untold.remove(response_id)
        return self.usage.total_tokens != before

    # --- the response controller's side ---

    def on_response_refused(self, response_id: str) -> None:
        self._calls.refuse(response_id)

    def on_response_lost(self, response_id: str) -> None:
        """Whoever waits for its end need not any more. A lost session knows nothing of a call that is not whole."""
        self._lane.end_response(response_id)
        if not self.responses.suspended:
            self._settle_calls(self._calls.response_ended(response_id, "lost"))
        self._tell(port.ResponseDone(response_id, "lost", None))

    def on_response_stuck(self, response_id: str, create: Create) -> None:
        self._tell(port.ResponseStuck(response_id, create))

    def on_asked(self) -> None:
        self._tell(port.ResponseAsked())

    def on_create_failed(self, create: Create, code: str) -> None:
        self._tell(port.CreateFailed(create, self._rejection or ModelError("a response was not begun", code)))

    def _on_error(self, event: dict[str, Any]) -> None:
        event_id = text_of(object_of(event.get("error")).get("event_id")) or None
        if event_id is not None and event_id.startswith(SIGN_ID):
            self._tell(port.ModelSign())
            return
        error = read_error(event.get("error") or event, "the model reports an error")
        code = error.code or ""
        if self._opening.refused(error):
            return
        self.counters[f"error_{code}" if code in EXPECTED_ERRORS | FATAL_ERRORS else "error_other"] += 1
        if code in FATAL_ERRORS:
            error = ModelUnavailable("the model ends the session", code, error.kind, words=error.words)
            self._tell(port.SessionFailed(error))
        elif means_active(error):
            self.responses.refused(event_id)
        elif not self._is_rejected(event_id, event):
            (self._trouble.expected if code in EXPECTED_ERRORS else self._trouble.reported)(error)

    def _is_rejected(self, event_id: str | None, event: dict[str, Any]) -> bool:
        """Whether it means a create of ours, which is being dealt with then."""
        error = self._rejection = read_error(event.get("error"), "a response was rejected")
        rejected = self.responses.rejected(event_id, error.code or error.kind)
        self._rejection = None
        return rejected

    handlers: ClassVar[Mapping[str, Handler]] = {
        "session.created": _on_session_created,
        "session.updated": _on_session_updated,
        SPEECH_STARTED: _on_speech_started,
        SPEECH_STOPPED: _on_speech_stopped,
        IDLE: _on_idle,
        "input_audio_buffer.committed": _on_committed,
        "conversation.item.added": _on_item_added,
        "conversation.item.input_audio_transcription.completed": _on_caller_transcript,
        "conversation.item.input_audio_transcription.failed": _on_caller_transcript_failed,
        "response.created": _on_response_created,
        "response.output_item.added": _on_output_item_added,
        "response.output_audio.delta": _on_audio_delta,
        "response.output_audio_transcript.delta": _on_words_event,
        "response.output_audio_transcript.done": _on_assistant_transcript,
        "response.function_call_arguments.done": _on_arguments_done,
        "response.output_item.done": _on_output_item_done,
        "response.done": _on_response_done,
        "error": _on_error,
        # As the beta called them, and some compatible servers do.
        "conversation.item.created": _on_item_added,
        "response.audio.delta": _on_audio_delta,
        "response.audio_transcript.delta": _on_words_event,
        "response.audio_transcript.done": _on_assistant_transcript,
    }
