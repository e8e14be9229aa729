"""One call: its two lanes, its session, and what one means for the other. Sans-I/O; time and tasks are injected.

A call has one owner for each fact and asks it: frames the lanes, responses the controller, playback the assistant
lane's playout clock. `close` is a transition: the first reason wins, every counter is settled, sockets last.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, Protocol

from fastbridge import record, stats
from fastbridge._bargein import Detector
from fastbridge._dsp import HighpassLimiter
from fastbridge._lanes import AssistantLane, CallerLane
from fastbridge._pacing import Pacer
from fastbridge.agent import Agent, CallContext
from fastbridge.clock import Clock, Deadline
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.greeting import Greeting
from fastbridge.interruption import Interruption
from fastbridge.log import event
from fastbridge.realtime import Session, Turn, parse_event
from fastbridge.stats import CallStats
from fastbridge.tools import ToolRunner
from fastbridge.twilio import TERMINAL_STATUSES, parse_dtmf

logger = logging.getLogger(__name__)

MEDIA_GAP_SECONDS = 0.75
"""No caller audio for this long while the caller speaks: the model can end the turn only on silence it is sent."""
GAP_SILENCE_FRAMES = 50
DEAD_STREAM_SECONDS = 5.0
"""Twilio sends audio 50 times a second, silence too: without any for this long the line is dead."""
SLOW_CARRIER_SECONDS = 2.0
WATCH_SECONDS = 1.0


class EndReason(StrEnum):
    """Why a call ended: a closed set, for records, logs and metrics."""

    CUSTOMER_HANGUP = "customer_hangup"
    CARRIER_STATUS = "carrier_status"
    STREAM_DEAD = "stream_dead"
    CARRIER_SLOW = "carrier_slow"
    CARRIER_PROTOCOL = "carrier_protocol"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_LOST = "model_lost"
    MAX_DURATION = "max_duration"
    SHUTDOWN = "shutdown"


class CarrierLink(Protocol):
    """The carrier's socket, as its call sees it."""

    def write(self, frame: bytes) -> object: ...
    def close(self, code: int, reason: str) -> None: ...


class ModelLink(Protocol):
    """The model's socket, as its call sees it."""

    def write(self, frame: bytes) -> object: ...
    def send_text(self, message: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def hang_up(self) -> None: ...


class CallState(StrEnum):
    LIVE = "live"
    ENDED = "ended"


class Call:
    """dial(call): start connecting the model's socket; it ends in on_model_connected or on_model_failed.
    spawn(coroutine): run a task beside the audio. ended(call): all is settled, take the call off the books."""

    def __init__(
        self,
        *,
        settings: Settings,
        agent: Agent,
        context: CallContext,
        stream_sid: str,
        carrier: CarrierLink,
        pacer: Pacer,
        clock: Clock,
        dial: Callable[["Call"], object],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        ended: Callable[["Call"], object],
    ) -> None:
        self.settings = settings
        self.agent = agent
        self.context = context
        self.call_sid = context.call_sid
        self.stream_sid = stream_sid
        self.clock = clock
        self.started_ns = clock.now_ns()
        self.stats = CallStats()
        self.state = CallState.LIVE
        self.end_reason: str | None = None
        self._carrier = carrier
        self._model: ModelLink | None = None
        self._dial = dial
        self._ended = ended
        self._speech_stopped_ns = 0
        self._carrier_paused_ns = 0
        self.assistant = AssistantLane(
            pacer=pacer,
            clock=clock.now_ns,
            on_event=self._guarded(self._on_model_event),
            on_first_frame=self._guarded(self._on_first_frame),
            on_played=self._guarded(self._on_played),
            on_full=self._guarded(self._on_ring_full),
            on_bad_frame=self._guarded(self._on_bad_frame),
            lead_ms=settings.lead_ms,
        )
        self._dsp = settings.enable_min_dsp if agent.dsp is None else agent.dsp
        self.detector = Detector(
            min_level_dbfs=settings.barge_in_threshold_dbfs,
            sensitivity_db=settings.barge_in_sensitivity_db,
            frames=settings.barge_in_frames,
            echo=settings.barge_in_echo,
        )
        self.interruption = Interruption(self, confirm_ms=settings.barge_in_confirm_ms)
        self.caller = CallerLane(
            clock=clock.now_ns,
            playing=self.assistant,
            detector=self.detector,
            dsp=HighpassLimiter() if self._dsp else None,
            on_message=self._guarded(self._on_carrier_message),
            on_edge=self._guarded(self.interruption.on_edge),
        )
        self.session = Session(
            agent=agent,
            transcription_model=settings.transcription_model,
            lane=self.assistant,
            clock=clock,
            listener=self,
        )
        self.tools = ToolRunner(
            agent=agent,
            context=context,
            clock=clock,
            spawn=spawn,
            answer=self.session.tool_result,
            proceed=lambda: self.session.responses.create("tool_result"),
            report=self._on_tool_ended,
        )
        lock = settings.greeting_lock if agent.greeting_lock is None else agent.greeting_lock
        self.greeting = Greeting(agent.greeting, lock=lock, call=self)
        self._media_gap = Deadline(clock, self._check_media_gap)
        self._watch = Deadline(clock, self._check_carrier)
        self._max_duration = Deadline(clock, lambda: self.close(EndReason.MAX_DURATION))

    def _guarded(self, callback: Callable[..., object]) -> Callable[..., None]:
        """For a lane: a bug of ours must not cost a caller the line, nor others their tick, as an exception that left a
        socket's callback or the pacer would."""

        def run(*arguments: object) -> None:
            try:
                callback(*arguments)
            except Exception:
                self.stats.errors.append("internal")
                logger.exception("[SERVER_ERROR] call_sid=%s", self.call_sid)

        return run

    @property
    def live(self) -> bool:
        return self.state is CallState.LIVE

    def now_ms(self) -> int:
        """Milliseconds since the call began."""
        return self.clock.elapsed_ms(self.started_ns)

    def log(self, tag: str, message: str = "", *, level: int = logging.INFO, **fields: Any) -> None:
        event(tag, message, call_sid=self.call_sid, level=level, **fields)

    # --- beginning ---

    def start(self) -> None:
        """The stream has started: both lanes run, the model is being dialled."""
        self.log(
            "CALL_START", business_id=self.context.parameters.get("business_id", ""), direction=self.context.direction
        )
        if self._dsp:
            self.log("DSP", "enabled: highpass+limiter")
        sid = self.stream_sid.encode()
        self.caller.start(sid)
        self.assistant.start(sid, self._carrier.write)
        self.greeting.begin()
        self._watch.set(WATCH_SECONDS)
        self._max_duration.set(self.settings.max_call_seconds)
        self._dial(self)

    def on_model_connected(self, link: ModelLink) -> None:
        """The model's socket is open; the gate for audio is not (see on_session_ready)."""
        if not self.live:
            link.hang_up()
            return
        self._model = link
        self.stats.connect_ms = self.now_ms()
        self.log("REALTIME", f"OpenAI connected in {self.stats.connect_ms}ms")
        self.session.connected(link.send_text)

    def on_model_failed(self, error: ModelError) -> None:
        """The model's socket could not be opened."""
        if self.live:
            self._model_error(error)
            self.close(EndReason.MODEL_UNAVAILABLE)

    def on_model_lost(self, code: int, reason: str) -> None:
        """The model's socket is gone."""
        if self.live:
            self._model_error(ModelUnavailable(f"the model closed the session: {code} {reason}".rstrip()))
            self.close(EndReason.MODEL_LOST)

    # --- the carrier's side ---

    def on_carrier_closed(self) -> None:
        """The media socket is gone, with or without `stop`."""
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_status(self, status: str) -> None:
        if status in TERMINAL_STATUSES and self.live:
            self.close(EndReason.CARRIER_STATUS)

    def on_stream_ended(self) -> None:
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_paused(self, paused: bool) -> None:
        """Back-pressure of the carrier's transport: frames stay in the ring."""
        if paused:
            self._carrier_paused_ns = self.clock.now_ns()
            self.assistant.pause()
        else:
            self._carrier_paused_ns = 0
            self.assistant.unpause()

    def _on_carrier_message(self, message: bytes) -> None:
        parsed = parse_event(message)
        if parsed is None:
            self.on_carrier_violation()
            return
        kind = parsed.get("event")
        if kind == "media":
            self._on_odd_media(parsed)
        elif kind == "mark":
            self._on_odd_mark(parsed)
        elif kind == "dtmf":
            self._on_dtmf(parsed)
        elif kind == "stop":
            self.close(EndReason.CUSTOMER_HANGUP)
        elif kind == "start":
            self.log("SERVER_ERROR", "a second start on one stream was ignored", level=logging.WARNING)

    def on_carrier_violation(self) -> None:
        """The carrier sent what is no message: counted, and after three the stream is closed."""
        self.stats.errors.append("carrier_malformed")
        if self.stats.errors.count("carrier_malformed") > 3:
            self.close(EndReason.CARRIER_PROTOCOL)

    def _on_odd_media(self, message: dict[str, Any]) -> None:
        """A media message in a layout the scanner does not know: the same audio, the slow way."""
        media = message.get("media")
        payload = media.get("payload") if isinstance(media, dict) else None
        if not isinstance(media, dict) or not isinstance(payload, str) or media.get("track", "inbound") != "inbound":
            self.caller.reject_media()
            return
        sid = str(message.get("streamSid", "")).encode("utf-8", "replace")
        chunk, timestamp_ms = (_number(media.get(name)) for name in ("chunk", "timestamp"))
        self.caller.feed_media(sid, chunk, timestamp_ms, payload.encode("utf-8", "replace"))

    def _on_odd_mark(self, message: dict[str, Any]) -> None:
        mark = message.get("mark")
        if isinstance(mark, dict) and message.get("streamSid") == self.stream_sid:
            self.assistant.mark(str(mark.get("name", "")).encode("utf-8", "replace"))

    def _on_dtmf(self, message: dict[str, Any]) -> None:
        digit = parse_dtmf(message)
        if digit is not None and len(self.stats.dtmf) < 128:
            self.stats.dtmf += digit
            logger.debug("[DTMF] key pressed")

    def _check_carrier(self) -> None:
        """Once a second: is the line alive, and does it take what we send?"""
        now = self.clock.now_ns()
        silent_since = self.caller.last_media_ns or self.started_ns
        if now - silent_since > DEAD_STREAM_SECONDS * 1e9:
            self.close(EndReason.STREAM_DEAD)
        elif self._carrier_paused_ns and now - self._carrier_paused_ns > SLOW_CARRIER_SECONDS * 1e9:
            self.close(EndReason.CARRIER_SLOW)
        else:
            self._watch.set(WATCH_SECONDS)

    # --- the model's side ---

    def _on_model_event(self, message: bytes) -> None:
        self.session.on_event(message)

    def on_model_paused(self, paused: bool) -> None:
        """Back-pressure of the model's transport: caller frames wait, the oldest give way."""
        if paused:
            self.caller.pause()
        else:
            self.caller.resume()

    def _on_ring_full(self, full: bool) -> None:
        if self._model is not None:
            if full:
                self._model.pause_reading()
            else:
                self._model.resume_reading()

    def on_session_ready(self) -> None:
        self.stats.ready_ms = self.now_ms()
        if self._model is not None:
            self.caller.open(self._model.write)
        self.greeting.ready()

    def on_session_failed(self, error: ModelUnavailable) -> None:
        self._model_error(error)
        self.close(EndReason.MODEL_UNAVAILABLE)

    def on_speech_started(self) -> None:
        if self.stats.first_speech_ms is None:
            self.stats.first_speech_ms = self.now_ms()
        self._media_gap.set(MEDIA_GAP_SECONDS)
        self.interruption.on_speech_started()

    def on_speech_stopped(self) -> None:
        self._speech_stopped_ns = self.clock.now_ns()
        self._media_gap.clear()
        self.interruption.on_speech_stopped()

    def _check_media_gap(self) -> None:
        if self.clock.now_ns() - self.caller.last_media_ns >= MEDIA_GAP_SECONDS * 1e9:
            self.caller.send_silence(GAP_SILENCE_FRAMES)
        self._media_gap.set(MEDIA_GAP_SECONDS)

    def on_caller_turn(self) -> None:
        self.interruption.on_caller_turn()

    def on_response_beginning(self) -> None:
        self.interruption.on_new_response()

    def on_response_created(self, response_id: str, purpose: str) -> None:
        self.stats.responses += 1
        self.log("RESPONSE_CREATED", response_id=response_id, type=purpose)
        self.greeting.response_created(response_id, purpose)

    def on_response_done(self, response_id: str, status: str, code: str | None) -> None:
        self.tools.response_done(response_id)
        if status == "failed":
            self._model_error(ModelError("a response failed", code))
        self.greeting.response_done(response_id, status)

    def on_transcript(self, turn: Turn) -> None:
        if turn.role == "caller":
            self.stats.turns += 1
            if turn.text:
                self.interruption.on_caller_turn()
        if turn.text:
            text = turn.text if self.settings.log_transcripts else f"({len(turn.text)} characters)"
            self.log("TRANSCRIPT", f'{"Customer" if turn.role == "caller" else "AI"}: "{text}"')

    def on_tool_call(self, call_id: str, name: str, arguments: str, response_id: str) -> None:
        self.log("TOOL_CALL", tool=name)
        self.tools.start(call_id, name, arguments, response_id)
        responses = self.session.responses
        if not responses.generating or response_id != responses.response_id:
            self.tools.response_done(response_id)  # it has ended already: no event will say so

    def _on_tool_ended(self, name: str, arguments: str, outcome: str, elapsed_ms: int) -> None:
        self.log("TOOL_RESULT", tool=name, outcome=outcome, elapsed_ms=elapsed_ms)
        self.stats.tool_calls.append({"name": name, "outcome": outcome, "elapsed_ms": elapsed_ms})

    def _model_error(self, error: ModelError) -> None:
        self.stats.errors.append(error.code or type(error).__name__)
        self.log("SERVER_ERROR", str(error), level=logging.ERROR)

    # --- playback and barge-in ---

    def _on_first_frame(self, response_id: str) -> None:
        if self.assistant.frames_sent == 1:
            logger.info("FIRST_CHUNK bytes=160, call_sid=%s", self.call_sid)
        if self._speech_stopped_ns:
            self.stats.response_ms.append(self.clock.elapsed_ms(self._speech_stopped_ns))
            self._speech_stopped_ns = 0
        self.greeting.playing(response_id)
        self.interruption.on_first_frame()

    def _on_played(self, response_id: str) -> None:
        self.greeting.played(response_id)

    def _on_bad_frame(self, number: int, size: int) -> None:
        self.log("TX_VALIDATION", f"Frame {number} is {size} bytes (expected 160)!", level=logging.ERROR)

    # --- end ---

    def close(self, reason: str) -> None:
        """End the call, once. The first reason wins."""
        if not self.live:
            return
        self.state = CallState.ENDED
        self.end_reason = str(reason)
        for deadline in (self._media_gap, self._watch, self._max_duration):
            deadline.clear()
        self.interruption.close()
        self.greeting.close()
        self.tools.close()
        self.session.close()
        self.caller.close()
        self.assistant.close()
        self._report()
        self._ended(self)
        if self._model is not None:
            self._model.hang_up()
        self._carrier.close(1000, "")

    def _report(self) -> None:
        for is_error, line in stats.accounting_lines(self.caller):
            logger.log(logging.ERROR if is_error else logging.INFO, "%s, call_sid=%s", line, self.call_sid)
        document = self.record()
        self.log("CALL_METRICS", **record.metrics(document))
        self.log("CALL_END", duration=f"{document['duration_ms'] // 1000}s", reason=self.end_reason)

    def record(self) -> dict[str, Any]:
        """The call as one JSON document."""
        return record.record(self)


def _number(value: object) -> int:
    """A decimal string of a message, 0 where it is anything else."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else 0
