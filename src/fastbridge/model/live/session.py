"""The model's dialect (GPT-Live) and one session in it. Events in, events out; no socket, no audio.

Its audio is a stream that never pauses, and its events name no turn and no response. The lane's gate says where an
utterance begins and ends; here that becomes a response, with all that a call is told of one. A stream that stands still
is a session that is lost. Unknown events are ignored, errors handled and counted.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from fastbridge._assistant import AssistantLane
from fastbridge._livegate import END_FRAMES
from fastbridge.agent.definition import Agent
from fastbridge.base.clock import Clock
from fastbridge.base.conversation import ToolCall
from fastbridge.base.json_text import Malformed, id_of, id_text, object_of, text_of, within
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model import port
from fastbridge.model.errors import FATAL_ERRORS, read_error
from fastbridge.model.exchange import Handler
from fastbridge.model.live.caller_turns import CallerTurns, Ear
from fastbridge.model.live.caller_turns import State as Hearing
from fastbridge.model.live.connected import Connected
from fastbridge.model.live.delegation import GO_ON_ID, Delegation
from fastbridge.model.live.requests import SIGN_ID
from fastbridge.model.live.responses import ResponseController
from fastbridge.model.live.spoken import Spoken
from fastbridge.model.live.stream_watch import StreamWatch
from fastbridge.model.port import Create, Tell
from fastbridge.model.response_states import ANSWERS, REACTIONS, State
from fastbridge.observe.trouble import Trouble

FRAME_MS = 20
TOLD_MS = 1000
"""A voice that has spoken for so long since work ended, in one breath with what it said before, has told of it."""
SAID_FRAMES = 25
"""0.5 s of silence in an utterance over which its session is lost: it was all said."""
NOT_FOUND_OUT = (
    "What you delegated has not come back and will not. Tell the caller in one short sentence that it could not be "
    "done just now."
)


class Session(Connected):
    """One conversation with the model. ear: the caller's lane."""

    def __init__(
        self,
        *,
        agent: Agent,
        settings: Settings,
        lane: AssistantLane,
        ear: Ear,
        clock: Clock,
        tell: Tell,
        trouble: Trouble,
    ) -> None:
        super().__init__(agent=agent, settings=settings, lane=lane, clock=clock, tell=tell, trouble=trouble)
        self.speech_start_ms: int | None = None
        self.local_deltas = 0
        self._utterances = 0
        self._last_turn_utterances = 0  # those before the caller's last turn
        self._done: tuple[int, int] | None = None  # frames and pauses, when work ended in the utterance under way
        self._asked_for = False  # that utterance is the agent's own words, and may tell of work besides
        self.spoken = Spoken(self.history)
        self.caller_turns = CallerTurns(
            clock=clock, ear=ear, history=self.history, counters=self.counters, tell=self._tell_of_caller
        )
        self.caller_turns.writes = bool(settings.transcription_model)
        self._stream = StreamWatch(
            clock=clock,
            streamed_ns=lambda: lane.streamed_ns,
            streamed_ms=lambda: self._stream_ms,
            stalled=self._on_stalled,
            too_fast=lambda: self._tell(port.AudioTooFast()),
        )
        self._delegation = self._make_delegation()
        self.responses = ResponseController(
            clock=clock,
            send=self.send,
            progress=lambda: lane.deltas,
            at_work=lambda: self._delegation.at_work,
            hears=lambda: self.caller_turns.state is Hearing.SPEAKING,
            listener=self,
        )

    def _make_delegation(self) -> Delegation:
        return Delegation(
            clock=self._clock,
            history=self.history,
            counters=self.counters,
            send=self.send,
            called=self._on_called,
            asked=lambda response_id: self._tell(port.ToolsAsked(response_id)),
            not_run=lambda name, why: self._tell(port.ToolNotRun(name, why)),
            gave_up=self._on_work_lost,
            done=self._on_work_done,
            usage=self.usage.add_work,
        )

    def on_words(self, item_id: str, words: str) -> None:
        """Words without an event of their own: this dialect has none."""

    # --- the stream's side: what the lane's gate hears ---

    @property
    def _stream_ms(self) -> int:
        """The place in this session's stream, by its own clock."""
        gate = self._lane.gate
        return self._before_ms + ((gate.frames_in - self._base_frames) * FRAME_MS if gate is not None else 0)

    def _said_chars(self) -> int:
        """Fragments tell where in the stream they are said."""
        turn = self.turns.get(self.history.speaking_item)
        return max(0, len(turn.text) - self.spoken.ahead_chars(self._stream_ms)) if turn is not None else 0

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """Words that are ahead of their sound were not heard."""
        if item_id and item_id == self.spoken.item_id:
            self.history.unsay_behind(item_id, self._said_chars())
        return super().truncate(item_id, heard_ms, received_ms)

    def on_utterance(self, begins: bool) -> None:
        """What a session says that is no more, in the rest of the delta over which it was lost, is nobody's."""
        if self.closed:
            return
        if begins and self.ready:
            self._utterance_begins()
        elif not begins and self._current:
            self._utterance_ends()

    def _utterance_begins(self) -> None:
        self._expect_result()
        if self.responses.awaited:  # it says what it was asked to
            self.caller_turns.settle()
        else:
            self.caller_turns.answered()
        self._utterances += 1
        response_id = self._current = f"live_{self._utterances}"
        self._tell(port.ResponseBeginning())
        purpose = self.responses.created(response_id)
        if purpose is None:  # nobody wants it: what it brings is refused
            self.spoken.begin("", self._stream_ms)
            return
        self._lane.begin_response(response_id)
        if purpose in ANSWERS | REACTIONS:  # it has heard all that was said, and knows what it was told
            self.responses.took_in(told=True)
        self._tell(port.ResponseCreated(response_id, purpose))
        self._tell(port.MessageBegun())
        self.history.speaking_item = response_id
        turn = self.history.turn("assistant", response_id)
        if turn is not None:
            turn.response_id = response_id
        self.spoken.begin(response_id, self._stream_ms)

    def _utterance_ends(self) -> None:
        response_id, self._current = self._current, ""
        self.spoken.end(self._stream_ms - END_FRAMES * FRAME_MS)
        self._lane.end_response(response_id)
        status = "cancelled" if self.responses.state is State.CANCELLING else "completed"
        asked_for, self._asked_for = self._asked_for, False
        if status == "completed" and self._has_told():
            self._delegation.told()
            self.responses.took_in(told=True)
        elif asked_for:
            self._delegation.wait_for_words()
        if not self.responses.finished(response_id, status):
            return
        if status == "completed":
            self.history.learn_speed(self._received_ms())
        if response_id in self.turns:
            turn = self.history.end_words(response_id, self.turns[response_id].text.strip())
            if turn is not None:
                self._tell(port.Transcribed(turn))
        self._tell(port.ResponseDone(response_id, status, None))

    def settle(self) -> None:
        """The line is lost, and nobody has been told yet. What the caller has said, by our ear, and what was said to
        him, by its sound, is over, though not for as long as is waited otherwise."""
        super().settle()
        self.caller_turns.lose(self._lane.streamed_ns)
        gate = self._lane.gate
        if self._current and gate is not None and gate.quiet_frames >= SAID_FRAMES:
            self.responses.suspended = True  # nobody is there to be asked for what waits
            self._utterance_ends()
            self.responses.suspended = False

    def _expect_result(self) -> None:
        """What begins tells of work that has ended; or, where words of the agent's own were asked for, that is told
        before or behind them, in the same breath or another."""
        frames, pauses = self._sounded
        chars = self.responses.awaits_words if self._delegation.untold else 0
        self._asked_for = chars > 0
        if self._asked_for:
            self._done = frames + round(chars / self.history.chars_per_ms / FRAME_MS), pauses
        else:
            self._done = None
            self._delegation.told()

    def _has_told(self) -> bool:
        """Of work that ended while it spoke: it went on for so long, or began anew behind a pause."""
        since, self._done = self._done, None
        if since is None:
            return False
        frames, pauses = self._sounded
        return (frames - since[0]) * FRAME_MS >= TOLD_MS or pauses > since[1]

    @property
    def _sounded(self) -> tuple[int, int]:
        """Frames of the voice, and pauses behind which it went on."""
        gate = self._lane.gate
        return self._lane.frames_enqueued, gate.resumes if gate is not None else 0

    def _on_stalled(self) -> None:
        """The stream stands still, which it never does."""
        self.counters["stalled"] += 1
        self._tell(port.SessionFailed(ModelUnavailable("the model's audio has stopped", "stream_stalled")))

    # --- events ---

    def _tell_of_caller(self, event: Any) -> None:
        if isinstance(event, port.TurnCommitted):
            self._last_turn_utterances = self._utterances
        self._tell(event)
        if isinstance(event, port.TurnCommitted):
            if self.caller_turns.voice_is_over:
                self.responses.turn_taken()
            else:
                self.responses.wait_anew()

    def _on_session_started(self, event: dict[str, Any]) -> None:
        self._opening.on_started(event)
        if self._opening.format_mismatches:
            self.counters["format_mismatch"] = 1

    def _on_session_updated(self, event: dict[str, Any]) -> None:
        if self._signs:
            self._tell(port.ModelSign())

    def _on_closed(self, event: dict[str, Any]) -> None:
        self._seconds.session.tell(object_of(event.get("usage")))
        reason = text_of(event.get("reason"))
        code = "session_expired" if reason == "expired" else f"closed_{reason or 'unsaid'}"
        self._tell(port.SessionFailed(ModelUnavailable("the model ended the session", code, "session_closed")))

    def _on_audio(self, event: dict[str, Any]) -> None:
        """A delta whose layout the scanner does not know: the same audio, the slow way."""
        self.counters["parsed_deltas"] += 1
        self._lane.feed_stream(text_of(event.get("delta")).encode("ascii", "replace"))

    def _on_caller_words(self, event: dict[str, Any]) -> None:
        start_ms, end_ms = _span(event)
        self.caller_turns.heard(text_of(event.get("delta")), start_ms, end_ms, self.spoken.answer_ms)

    def _on_words(self, event: dict[str, Any]) -> None:
        self.spoken.words(text_of(event.get("delta")), *_span(event))

    def _on_delegation(self, event: dict[str, Any]) -> None:
        given = within(event, "delegation")
        self._delegation.created(id_of(given.get("id")), id_text(given.get("response_id")))
        self.on_asked()

    def _on_response_event(self, event: dict[str, Any]) -> None:
        self._delegation.event(text_of(event.get("delegation_id")), within(event, "event"))

    def _on_called(self, call: ToolCall) -> str:
        """Its words are those said since the caller's last turn, if there were any: they were about this."""
        spoken = self._utterances > self._last_turn_utterances
        response_id = f"live_{self._utterances}" if spoken else f"work_{self._utterances}"
        self._tell(port.ToolCalled(response_id, call, more=True))
        return response_id

    def _on_work_done(self) -> None:
        """And is about to be told, unless it failed."""
        self._done = None if self._delegation.failed or not self._current else self._sounded
        self.responses.wait_anew()

    def _on_work_lost(self) -> None:
        """The caller is told. Where that leads to work that is lost as well, this session has nobody to do any."""
        if self._delegation.stalls > 1:
            self.responses.answer_elsewhere()
            self._tell(port.SessionFailed(ModelUnavailable("what is handed on comes to nothing", "work_stalled")))
        else:
            self.responses.tell_instead(port.Wish(NOT_FOUND_OUT))

    def _on_usage(self, event: dict[str, Any]) -> None:
        self._seconds.session.tell(within(event, "usage"))

    def _on_error(self, event: dict[str, Any]) -> None:
        given = object_of(event.get("error"))
        event_id = text_of(given.get("client_event_id")) or text_of(event.get("client_event_id"))
        if event_id.startswith(SIGN_ID):
            self._tell(port.ModelSign())
            return
        if event_id.startswith(GO_ON_ID):
            self._delegation.refused(event_id)
        error = read_error(event.get("error") or event, "the model reports an error")
        code = error.code or ""
        self.counters[f"error_{code}" if code in FATAL_ERRORS else "error_other"] += 1
        if code in FATAL_ERRORS:
            error = ModelUnavailable("the model ends the session", code, error.kind, words=error.words)
        if code in FATAL_ERRORS or not self.ready:
            self._tell(port.SessionFailed(error))
        elif not self.responses.rejected(event_id or None, code or error.kind):
            self._trouble.reported(error)

    # --- the response controller's side ---

    def on_response_refused(self, response_id: str) -> None:
        """Nobody wants what it still brings: the lane knows."""

    def on_response_lost(self, response_id: str) -> None:
        self._lane.end_response(response_id)
        self._tell(port.ResponseDone(response_id, "lost", None))

    def on_response_stuck(self, response_id: str, create: Create) -> None:
        self._tell(port.ResponseStuck(response_id, create))

    def on_asked(self) -> None:
        self._tell(port.ResponseAsked())

    def on_create_failed(self, create: Create, code: str) -> None:
        self._tell(port.CreateFailed(create, ModelError("a response was not begun", code)))

    handlers: ClassVar[Mapping[str, Handler]] = {
        "session.started": _on_session_started,
        "session.updated": _on_session_updated,
        "session.closed": _on_closed,
        "session.output_audio.delta": _on_audio,
        "session.input_transcript.delta": _on_caller_words,
        "session.output_transcript.delta": _on_words,
        "session.delegation.created": _on_delegation,
        "session.usage.updated": _on_usage,
        "response.event": _on_response_event,
        "error": _on_error,
    }


def _span(event: dict[str, Any]) -> tuple[int, int]:
    """A fragment's place by the session's clock, ms."""
    start_ms, end_ms = event.get("start_ms"), event.get("end_ms")
    if type(start_ms) is not int or type(end_ms) is not int or not 0 <= start_ms <= end_ms < 1 << 40:
        raise Malformed("no place in the session")
    return start_ms, end_ms
