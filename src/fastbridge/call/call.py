"""One call: its two lanes, its session, and what one means for the other. Sans-I/O; time and tasks are injected.

A call has one owner for each fact and asks it: frames the lanes, responses the controller, playback the assistant
lane's playout clock. `close` is a transition: the first reason wins, every counter is settled, sockets last.
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge._caller import CallerLane
from fastbridge._dsp import HighpassLimiter
from fastbridge._pacing import Pacer
from fastbridge._wire import Outbox
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.lookup import Lookup
from fastbridge.base.clock import Beat, Clock, Deadline, GuardedClock
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.base.end_reasons import EndReason
from fastbridge.call import record
from fastbridge.call.barge_in import Interruption
from fastbridge.call.conduct import Conduct
from fastbridge.call.dead_air import Waiting
from fastbridge.call.facts import MEDIA_GAP_SECONDS, Facts
from fastbridge.call.fallback import Ladder
from fastbridge.call.greeting import Greeting
from fastbridge.call.late_tools import Aftermath
from fastbridge.call.turns import Answers
from fastbridge.call.upload_watch import Hearing
from fastbridge.carrier.port import CarrierControl, CarrierLink
from fastbridge.carrier.twilio.dialect import TERMINAL_STATUSES, parse_dtmf, parse_mark, parse_media
from fastbridge.carrier.watch import CarrierWatch
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.attempt import Attempt
from fastbridge.model.breaker import Breaker
from fastbridge.model.line import ModelLine
from fastbridge.model.realtime.responses import Create
from fastbridge.model.realtime.session import LOCAL_ID, Session
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trace import Trace
from fastbridge.observe.trouble import Trouble

GAP_SILENCE_FRAMES = 50
"""In a gap while the caller speaks: the model can end the turn only on silence it is sent."""
GOODBYE_SECONDS = 10.0
"""What a call that is being left, or apologised for, may last longer than any other."""


class CallState(StrEnum):
    LIVE = "live"
    ENDED = "ended"


class Call:
    """dial(attempt): start connecting the model's socket; the attempt is told how that ends. spawn(coroutine): run a
    task beside the audio. ended(call): all is settled, take the call off the books. breaker: shared by all calls.
    tool_done_late: see Aftermath."""

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
        dial: Callable[[Attempt], object],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        ended: Callable[["Call"], object],
        outbox: Outbox | None = None,
        breaker: Breaker | None = None,
        control: CarrierControl | None = None,
        lookup: Lookup | None = None,
        tool_done_late: Callable[[str, dict[str, Any] | None], object] = lambda outcome, document: None,
    ) -> None:
        self.settings = settings
        self.agent = agent = agent.in_language(settings.language)
        self.context = context
        self.call_sid = context.call_sid
        self.stream_sid = stream_sid
        self.clock: Clock = GuardedClock(clock, self._guarded)
        self.started_ns = clock.now_ns()
        self.stats = CallStats()
        self.state = CallState.LIVE
        self.end_reason: str | None = None
        self.spawn = spawn
        self.log = context.call_log or CallLog(self.call_sid, settings, lambda: clock.now_ns() / 1e9)
        self.document: dict[str, Any] | None = None
        """The record, once the call has ended."""
        self.facts = Facts(self)
        self.trouble = Trouble(self.log, self.stats)
        self.aftermath = Aftermath(self.log, self.stats, words=settings.record_transcripts, told=tool_done_late)
        self._carrier = carrier
        self._ended = ended
        self._speech_stopped_ns = 0
        self.assistant = AssistantLane(
            pacer=pacer,
            clock=clock.now_ns,
            on_event=self._guarded(self._on_model_event),
            on_words=self._guarded(lambda item_id, words: self.session.on_words(item_id, words)),
            on_first_delta=self._guarded(lambda response_id: self.ladder.give_way(response_id)),
            on_first_frame=self._guarded(self._on_first_frame),
            on_played=self._guarded(self._on_played),
            on_full=self._guarded(lambda full: self.line.ring_full(full)),
            on_bad_frame=self._guarded(self._on_bad_frame),
            on_pcm=self._guarded(lambda item_id: self.answers.noise(item_id)),
            on_stalled=self._guarded(lambda stalled: self.carrier_watch.stalled(stalled)),
            lead_ms=settings.lead_ms,
        )
        filtered = settings.enable_min_dsp if agent.dsp is None else agent.dsp
        self.dsp = HighpassLimiter() if filtered else None
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
            dsp=self.dsp,
            outbox=outbox,
            on_message=self._guarded(self._on_carrier_message),
            on_edge=self._guarded(self.interruption.on_edge),
        )
        self.trace = Trace(self.log, settings, self.caller, self.assistant, self.detector, self.dsp)
        self.session = Session(
            agent=agent, settings=settings, lane=self.assistant, clock=clock, listener=self, trouble=self.trouble
        )
        self.conduct = Conduct(self, agent=agent, control=control, lookup=lookup, spawn=spawn)
        self.tools = self.conduct.tools
        lock = settings.greeting_lock if agent.greeting_lock is None else agent.greeting_lock
        self.greeting = Greeting(agent.greeting, lock=lock, call=self)
        self.line = ModelLine(self, dial, breaker or Breaker(clock.now_ns))
        self.answers = Answers(self)
        self.hearing = Hearing(self)
        self.ladder = Ladder(self)
        self.waiting = Waiting(self)
        self.carrier_watch = CarrierWatch(self)
        self._media_gap = Deadline(clock, self._check_media_gap)
        self._beat: Beat | None = None
        self._max_duration = Deadline(clock, self._lasted_too_long)
        self._overtime = False

    def _guarded(self, callback: Callable[..., object]) -> Callable[..., None]:
        """For a lane: a bug of ours must not cost a caller the line, nor others their tick, as an exception that left a
        socket's callback or the pacer would."""

        def run(*arguments: object) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.stats.note_error("internal", "internal")
                events.call_failed(self.log, error)

        return run

    @property
    def live(self) -> bool:
        return self.state is CallState.LIVE

    @property
    def apologised(self) -> bool:
        return self.ladder.apologised

    @property
    def safety_fuses(self) -> dict[str, int]:
        """How often states of ours outlived their deadlines, by whose they were."""
        counters = {"responses": self.session.responses.counters, "model_line": self.line.counters}
        return {owner: counts["safety_fuse"] for owner, counts in counters.items()}

    def now_ms(self) -> int:
        """Milliseconds since the call began."""
        return self.clock.elapsed_ms(self.started_ns)

    # --- beginning ---

    def start(self) -> None:
        """The stream has started: both lanes run, the model is being dialled."""
        business_id = self.context.parameters.get("business_id", "")
        events.call_start(self.log, business_id=business_id, direction=self.context.direction)
        if self.dsp is not None:
            events.dsp_enabled(self.log)
        sid = self.stream_sid.encode()
        self.caller.start(sid)
        self.assistant.start(sid, self._carrier.write)
        self.conduct.begin()
        self.greeting.begin()
        self._beat = self.clock.every_second(self._second)
        self._max_duration.set(self.settings.max_call_seconds)
        self.line.start()
        self.waiting.review()

    # --- the carrier's side ---

    def on_carrier_closed(self) -> None:
        """The media socket is gone, with or without `stop`."""
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_status(self, status: str) -> None:
        if status in TERMINAL_STATUSES and self.live:
            events.webhook_close(self.log, source="call_status", status=status)
            self.close(EndReason.CARRIER_STATUS)

    def on_stream_ended(self) -> None:
        if self.live:
            events.webhook_close(self.log, source="stream_ended")
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_paused(self, paused: bool) -> None:
        self.carrier_watch.paused(paused)

    def _on_carrier_message(self, message: bytes) -> None:
        parsed = self.carrier_watch.read(message)
        if parsed is None:
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
            events.second_start(self.log)

    def _on_odd_media(self, message: dict[str, Any]) -> None:
        """A media message in a layout the scanner does not know: the same audio, the slow way."""
        media = parse_media(message)
        if media is None:
            self.caller.reject_media()
        else:
            self.caller.feed_media(*media)

    def _on_odd_mark(self, message: dict[str, Any]) -> None:
        name = parse_mark(message)
        if name is not None and message.get("streamSid") == self.stream_sid:
            self.assistant.mark(name)

    def _on_dtmf(self, message: dict[str, Any]) -> None:
        digit = parse_dtmf(message)
        if digit is not None:
            self.conduct.key(digit)

    def _second(self) -> None:
        """Once a second: whoever wants to look at something, and whatever becomes of the others."""
        media = (self.trace.second, self.line.check, self.answers.listen, self.hearing.check, self.carrier_watch.check)
        told = (self.conduct.said.review, lambda: self.trouble.look(self.safety_fuses))
        for look in (*media, self.conduct.silence.look, *told):
            if self.live:
                self._guarded(look)()

    # --- the model's side ---

    def _on_model_event(self, message: bytes) -> None:
        self.trace.model_event(message)
        self.session.on_event(message)

    def on_session_ready(self) -> None:
        self.line.ready()
        self.conduct.ready()

    def on_session_failed(self, error: ModelUnavailable) -> None:
        self.line.session_failed(error)

    def on_speech_started(self) -> None:
        if self.stats.first_speech_ms is None:
            self.stats.first_speech_ms = self.now_ms()
        self._media_gap.set(MEDIA_GAP_SECONDS)
        self.hearing.noticed()
        self.interruption.on_speech_started()
        self.conduct.speech_started()
        self.answers.speech_started()
        self.waiting.review()

    def on_speech_stopped(self) -> None:
        self._speech_stopped_ns = self.clock.now_ns()
        self.hearing.noticed()
        self.speech_is_over()
        self.waiting.review(self.answers.speech_stopped())

    def speech_is_over(self) -> None:
        """The caller has stopped, or whatever the model said of it counts no more."""
        self._media_gap.clear()
        self.conduct.speech_stopped()
        self.interruption.on_speech_stopped()

    def _check_media_gap(self) -> None:
        if self.clock.now_ns() - self.caller.last_media_ns >= MEDIA_GAP_SECONDS * 1e9:
            self.caller.send_silence(GAP_SILENCE_FRAMES)
        self._media_gap.set(MEDIA_GAP_SECONDS)

    def on_model_sign(self) -> None:
        self.hearing.sign()

    def on_caller_turn(self) -> None:
        self.hearing.noticed()
        self.interruption.on_caller_turn()
        self.answers.committed()
        self.waiting.review()

    def on_model_idle(self) -> None:
        self.conduct.model_idle()

    def on_response_beginning(self) -> None:
        self.interruption.on_new_response()

    def on_response_created(self, response_id: str, purpose: str) -> None:
        self.stats.responses += 1
        events.response_created(self.log, response_id, purpose)
        self.greeting.response_created(response_id, purpose)
        self.answers.response_created()
        self.waiting.response_created(response_id, purpose)

    def on_message_begun(self) -> None:
        self.conduct.said.review()

    def on_response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        events.response_done(self.log, response_id, status)
        self.tools.response_done(response_id)
        if status == "failed" and error is not None:
            self.trouble.failed(error, response_id=response_id)
        self.greeting.response_done(response_id, status)
        self.answers.response_done(response_id, status, error.code if error is not None else None)
        self.waiting.review()
        self.conduct.said.review()

    def on_response_stuck(self, response_id: str, create: Create) -> None:
        self.answers.response_stuck(response_id, create)

    def on_create_failed(self, create: Create, error: ModelError) -> None:
        self.model_error(error)
        self.answers.create_failed(create, error.code or error.kind)

    def on_transcript(self, turn: Turn) -> None:
        if turn.role == "caller":
            self.stats.turns += 1
            if turn.text:
                self.interruption.on_caller_turn()
        self.conduct.transcript(turn)

    def on_tool_call(self, call: ToolCall, response_id: str) -> None:
        self.answers.tool_called(response_id)
        self.conduct.tool_call(call, response_id)

    def on_tool_not_run(self, name: str, why: str) -> None:
        self.conduct.tool_not_run(name, why)

    def model_error(self, error: ModelError) -> None:
        self.trouble.failed(error)

    # --- playback and barge-in ---

    def _on_first_frame(self, response_id: str) -> None:
        if self.assistant.frames_sent == 1:
            events.first_chunk(self.log, self.assistant.first_frame_bytes)
        self.waiting.sound(response_id)
        if self._speech_stopped_ns and not response_id.startswith(LOCAL_ID):
            self.stats.response_ms.append(self.clock.elapsed_ms(self._speech_stopped_ns))
            self._speech_stopped_ns = 0
        self.greeting.playing(response_id)
        self.interruption.on_first_frame()

    def _on_played(self, response_id: str) -> None:
        self.greeting.played(response_id)
        self.ladder.played(response_id)
        self.conduct.said.review()

    def _lasted_too_long(self) -> None:
        """As long as a call may; but a goodbye that is being said is said to its end."""
        if self.facts.leaving and not self._overtime:
            self._overtime = True
            self._max_duration.set(GOODBYE_SECONDS)
        else:
            self.close(EndReason.MAX_DURATION)

    def _on_bad_frame(self, number: int, size: int) -> None:
        events.tx_validation(self.log, number, size)

    # --- end ---

    def hang_up(self) -> None:
        """End the call when all that was said has been heard."""
        self.conduct.hang_up()

    async def transfer(self, number: str) -> bool:
        """Connect the caller to this number (E.164) when all that was said has been heard. False if that fails."""
        return await self.conduct.transfer_now(number)

    def close(self, reason: str) -> None:
        """End the call, once. The first reason wins. What fails on the way out stops nobody behind it."""
        if not self.live:
            return
        self.state = CallState.ENDED
        self.end_reason = str(reason)
        for step in (
            self._name_reason,
            self._stop_timers,
            self.waiting.close,
            self.hearing.close,
            self.ladder.close,
            self.answers.close,
            self.interruption.close,
            self.greeting.close,
            self.conduct.close,
            self.session.close,
            self.caller.close,
            self.assistant.close,
            self._report,
            lambda: self.conduct.ended(lambda: self.document or self.record()),
            lambda: self._ended(self),
            self.line.close,
            lambda: self._carrier.close(1000, ""),
        ):
            self._guarded(step)()

    def _name_reason(self) -> None:
        self.end_reason = str(self.conduct.end_reason(self.end_reason or ""))

    def _stop_timers(self) -> None:
        self._media_gap.clear()
        self._max_duration.clear()
        if self._beat is not None:
            self._beat.cancel()

    def _report(self) -> None:
        self.document = self.aftermath.document = self.record()
        self._guarded(self.log.finish)()
        record.report(self, self.document)

    def record(self) -> dict[str, Any]:
        """The call as one JSON document."""
        return record.record(self)
