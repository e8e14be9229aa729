"""Assembling a call: each part made, once, with what it stands on. Nothing runs yet."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge._caller import CallerLane
from fastbridge._dsp import HighpassLimiter
from fastbridge._pacing import Pacer
from fastbridge._wire import Outbox
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import Hooks
from fastbridge.agent.lookup import Lookup
from fastbridge.agent.remote import Remote
from fastbridge.base.clock import Beat, CallClock, Clock
from fastbridge.base.spending import Spending
from fastbridge.call.answered_by import WhoAnswered
from fastbridge.call.answering import Answering
from fastbridge.call.answers import Answers
from fastbridge.call.barge_in import BargeIn
from fastbridge.call.books import Books
from fastbridge.call.budget import Budget
from fastbridge.call.carrier_recording import CarrierRecording
from fastbridge.call.dead_air import DeadAir
from fastbridge.call.dtmf import Dtmf
from fastbridge.call.facts import Facts
from fastbridge.call.fallback import Fallback
from fastbridge.call.format_watch import FormatWatch
from fastbridge.call.greeting import Greeting
from fastbridge.call.hangup import Hangup
from fastbridge.call.happenings import FirstDelta, FirstFrame, NoMulaw, Played, RingFull
from fastbridge.call.idle import Idle
from fastbridge.call.late_tools import Aftermath
from fastbridge.call.local_recording import LocalRecorder, LocalRecording
from fastbridge.call.media_gap import MediaGap
from fastbridge.call.order import Dispatcher
from fastbridge.call.parts import CallState, Parts
from fastbridge.call.privacy import Privacy
from fastbridge.call.record import amended, session_seconds
from fastbridge.call.time_limit import TimeLimit
from fastbridge.call.tool_calls import ToolCalls
from fastbridge.call.tool_filler import ToolFiller
from fastbridge.call.transcripts import Transcripts
from fastbridge.call.transfers import Transfers
from fastbridge.call.turns import Turns
from fastbridge.call.upload_watch import UploadWatch
from fastbridge.carrier.port import CarrierControl, CarrierLegs, CarrierLink, CarrierRecorder, CarrierStalled
from fastbridge.carrier.twilio.messages import read_message
from fastbridge.carrier.watch import CarrierWatch
from fastbridge.config import Settings
from fastbridge.model.attempt import Attempt
from fastbridge.model.breaker import Breaker
from fastbridge.model.line import ModelLine
from fastbridge.model.live.session import Session as LiveSession
from fastbridge.model.port import Model
from fastbridge.model.realtime.session import Session
from fastbridge.model.realtime.trace import Trace
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble

LIVE_GREETING = {"heard_seconds": 0.1}
"""Where the end of an utterance is only known by a long silence, in which the caller may have begun to answer. Behind
the 0.2 s of a pause that are played."""
LIVE_LANE: dict[str, Any] = {"live": True, "preroll_frames": 150}
"""The caller's lane to a model that listens in real time: what waits for it more than 3 s would be heard so much later
for the rest of the call."""
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Assembly(Parts):
    """dial(attempt): start connecting the model's socket; the attempt is told how that ends. spawn(coroutine): run a
    task beside the audio. ended(call): all is settled, take the call off the books. breaker: shared by all calls.
    recorder: the carrier's recordings, local_recorder: the node's own; None: there are none to be had.
    tool_done_late: see Aftermath. legs: who calls a human for a caller. transfer_done(outcome, document): such a
    transfer is over; the document is the record with that in it, None while the call lives. accounted(document,
    more_usd): the service has told what the call's last session has lasted, and this is the record now."""

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
        spawn: Spawn,
        ended: Callable[[Any], object],
        outbox: Outbox | None = None,
        breaker: Breaker | None = None,
        control: CarrierControl | None = None,
        recorder: CarrierRecorder | None = None,
        local_recorder: LocalRecorder | None = None,
        legs: CarrierLegs | None = None,
        transfer_done: Callable[[str, dict[str, Any] | None], object] = lambda outcome, document: None,
        lookup: Lookup | None = None,
        spending: Spending | None = None,
        tool_done_late: Callable[[str, dict[str, Any] | None], object] = lambda outcome, document: None,
        accounted: Callable[[dict[str, Any], float], object] = lambda document, more_usd: None,
    ) -> None:
        self.settings = settings
        self.agent = agent.in_language(settings.language)
        self.context = context
        self.call_sid = context.call_sid
        self.stream_sid = stream_sid
        self.state = CallState.LIVE
        self.end_reason = None
        self.document = None
        self.clock = CallClock(clock, self._guarded)
        self.stats = CallStats()
        self.log = context.call_log or CallLog(self.call_sid, settings, lambda: clock.now_ns() / 1e9)
        self.trouble = Trouble(self.log, self.stats)
        self.facts = Facts(self)
        self._carrier = carrier
        self._ended = ended
        self._accounted = accounted
        self._spawn = spawn
        self._beat: Beat | None = None
        self._tell = Dispatcher(self, self._failed)
        self._make_lanes(pacer, outbox)
        self._make_model(dial, breaker or Breaker(self.clock.now_ns))
        self._make_user_side(lookup, tool_done_late)
        self._make_speech()
        self._make_watches()
        self._transfer_done = transfer_done
        self._make_budget(spending)
        self._make_ways_out(control, legs)
        self._make_recordings(recorder, local_recorder)

    def _make_lanes(self, pacer: Pacer, outbox: Outbox | None) -> None:
        """None of their callbacks raises: a bug of ours must not cost a caller the line, nor others their tick, as an
        exception that left a socket's callback or the pacer would."""
        tell, settings, now_ns = self._tell, self.settings, self.clock.now_ns
        self.assistant = AssistantLane(
            pacer=pacer,
            clock=now_ns,
            on_event=self._guarded(self._on_model_event),
            on_words=self._guarded(lambda item_id, words: self.session.on_words(item_id, words)),
            on_first_delta=lambda response_id: tell(FirstDelta(response_id)),
            on_first_frame=lambda response_id: tell(FirstFrame(response_id)),
            on_played=lambda response_id: tell(Played(response_id)),
            on_full=lambda full: tell(RingFull(full)),
            on_bad_frame=self._guarded(lambda number, size: events.tx_validation(self.log, number, size)),
            on_pcm=lambda item_id: tell(NoMulaw(item_id)),
            on_stalled=lambda stalled: tell(CarrierStalled(stalled)),
            on_utterance=self._guarded(self._on_utterance) if settings.live else None,
            lead_ms=settings.lead_ms,
        )
        filtered = settings.enable_min_dsp if self.agent.dsp is None else self.agent.dsp
        self.dsp = HighpassLimiter() if filtered else None
        self.detector = Detector(
            min_level_dbfs=settings.barge_in_threshold_dbfs,
            sensitivity_db=settings.barge_in_sensitivity_db,
            frames=settings.barge_in_frames,
            echo=settings.barge_in_echo,
        )
        self.caller = CallerLane(
            clock=now_ns,
            playing=self.assistant,
            detector=self.detector,
            dsp=self.dsp,
            outbox=outbox,
            on_message=self._guarded(lambda message: self.carrier_watch.message(message)),
            on_edge=self._guarded(lambda: self.barge_in.on_edge()),  # not by the table: it has no time to lose
            **(LIVE_LANE if settings.live else {}),
        )
        self.trace = Trace(self.log, settings, self.caller, self.assistant, self.detector, self.dsp)
        self.carrier_watch = CarrierWatch(
            clock=self.clock,
            assistant=self.assistant,
            caller=self.caller,
            read=lambda message: read_message(message, self.stream_sid),
            log=self.log,
            trouble=self.trouble,
            tell=tell,
        )

    def _make_model(self, dial: Callable[[Attempt], object], breaker: Breaker) -> None:
        given: dict[str, Any] = {
            "agent": self.agent,
            "settings": self.settings,
            "lane": self.assistant,
            "clock": self.clock,
            "tell": self._tell,
            "trouble": self.trouble,
        }
        session = LiveSession(**given, ear=self.caller) if self.settings.live else Session(**given)
        self.session: Model = session
        self.line = ModelLine(
            clock=self.clock,
            settings=self.settings,
            session=session,
            caller=self.caller,
            assistant=self.assistant,
            sink=self.trace.sink,
            stats=self.stats,
            log=self.log,
            trouble=self.trouble,
            facts=self.facts,
            tell=self._tell,
            dial=dial,
            breaker=breaker,
        )

    def _make_user_side(
        self, lookup: Lookup | None, tool_done_late: Callable[[str, dict[str, Any] | None], object]
    ) -> None:
        """The agent's code, and what it holds of its call."""
        self.remote = Remote()
        context = replace(self.context, agent=self.agent, control=self.remote, call_log=self.log)
        self.hooks = Hooks(self.agent, context, self.clock, self._spawn)
        self.answering = Answering(
            self.agent,
            context,
            clock=self.clock,
            settings=self.settings,
            lookup=lookup,
            hooks=self.hooks,
            session=self.session,
            log=self.log,
            spawn=self._spawn,
            tell=self._tell,
        )
        self.hooks.context = context = self.answering.context
        self.answered_by = WhoAnswered(
            self.agent,
            context,
            settings=self.settings,
            clock=self.clock,
            assistant=self.assistant,
            caller=self.caller,
            session=self.session,
            hooks=self.hooks,
            log=self.log,
            tell=self._tell,
        )
        words = self.settings.record_transcripts
        self.late_tools = Aftermath(self.log, self.stats, words=words, told=tool_done_late)
        self.tools = ToolCalls(
            self.agent,
            context,
            clock=self.clock,
            facts=self.facts,
            assistant=self.assistant,
            session=self.session,
            stats=self.stats,
            log=self.log,
            spawn=self._spawn,
            late=self.late_tools.tool_ended,
            tell=self._tell,
        )
        self.tool_filler = ToolFiller(self.agent.filler, workplace=self.facts, session=self.session, tell=self._tell)
        self.dtmf = Dtmf(
            self.agent, clock=self.clock, facts=self.facts, hooks=self.hooks, session=self.session, tell=self._tell
        )

    def _make_speech(self) -> None:
        """Who speaks: the turns of both sides, and where they meet."""
        agent, settings = self.agent, self.settings
        clock, facts, session, log, tell = self.clock, self.facts, self.session, self.log, self._tell
        assistant, caller, stats = self.assistant, self.caller, self.stats
        self.barge_in = BargeIn(
            clock=clock,
            confirm_ms=settings.barge_in_confirm_ms,
            yields=settings.live,
            stream_sid=self.stream_sid,
            facts=facts,
            assistant=assistant,
            detector=self.detector,
            session=session,
            stats=stats,
            log=log,
            tell=tell,
        )
        self.greeting = Greeting(
            agent.greeting,
            lock=settings.greeting_lock if agent.greeting_lock is None else agent.greeting_lock,
            clock=clock,
            facts=facts,
            assistant=assistant,
            caller=caller,
            session=session,
            stats=stats,
            log=log,
            **(LIVE_GREETING if settings.live else {}),
        )
        self.turns = Turns(clock=clock, facts=facts, caller=caller, session=session, log=log, tell=tell)
        self.answers = Answers(clock=clock, facts=facts, assistant=assistant, session=session, log=log, tell=tell)
        self.transcripts = Transcripts(
            clock=clock,
            facts=facts,
            assistant=assistant,
            session=session,
            settings=settings,
            log=log,
            tell=lambda turn: self.hooks.emit("on_transcript", turn),
        )

    def _make_watches(self) -> None:
        """Who looks whether all is well, and for how long it has not been; and the books of it."""
        language, settings, stats = self.agent.language, self.settings, self.stats
        clock, facts, session, log, tell = self.clock, self.facts, self.session, self.log, self._tell
        assistant, caller = self.assistant, self.caller
        self.format_watch = FormatWatch(assistant=assistant, caller=caller, session=session, log=log, tell=tell)
        self.upload_watch = UploadWatch(clock=clock, facts=facts, caller=caller, session=session, tell=tell)
        self.media_gap = MediaGap(clock=clock, caller=caller, always=settings.live)
        self.dead_air = DeadAir(clock=clock, facts=facts, assistant=assistant, log=log, tell=tell)
        self.idle = Idle(
            language, clock=clock, facts=facts, settings=settings, session=session, stats=stats, log=log, tell=tell
        )
        self.time_limit = TimeLimit(
            language, clock=clock, facts=facts, settings=settings, session=session, log=log, tell=tell
        )
        self.books = Books(
            clock=clock,
            facts=facts,
            assistant=assistant,
            detector=self.detector,
            stats=stats,
            log=log,
            trouble=self.trouble,
            fuses=lambda: self.safety_fuses,
        )

    def _make_budget(self, spending: Spending | None) -> None:
        self.budget = Budget(
            self.agent,
            self.context,
            clock=self.clock,
            facts=self.facts,
            settings=self.settings,
            session=self.session,
            assistant=self.assistant,
            seconds=lambda: session_seconds(self),
            spending=spending,
            log=self.log,
            tell=self._tell,
        )

    def _make_ways_out(self, control: CarrierControl | None, legs: CarrierLegs | None) -> None:
        """The ends of a call: one that was wanted, and that of a call which its model fails."""
        clock, session, log, tell = self.clock, self.session, self.log, self._tell
        self.hangup = Hangup(
            self.agent,
            clock=clock,
            facts=self.facts,
            context=self.context,
            control=control,
            session=session,
            log=log,
            spawn=self._spawn,
            tell=tell,
        )
        self.transfers = Transfers(
            self.agent,
            clock=clock,
            facts=self.facts,
            context=self.context,
            settings=self.settings,
            legs=legs,
            assistant=self.assistant,
            caller=self.caller,
            session=session,
            log=log,
            spawn=self._spawn,
            done=self._transfer_over,
            tell=tell,
        )
        self.fallback = Fallback(
            self.agent.language,
            clock=clock,
            settings=self.settings,
            assistant=self.assistant,
            session=session,
            log=log,
            spawn=self._spawn,
            transfer=self.hangup.transfer_now,
            tell=tell,
        )

    def _make_recordings(self, recorder: CarrierRecorder | None, local_recorder: LocalRecorder | None) -> None:
        """Who keeps what is said, and what is kept by nobody."""
        clock, log, tell = self.clock, self.log, self._tell
        self.privacy = Privacy(
            clock=clock, caller=self.caller, session=self.session, stats=self.stats, log=log, tell=tell
        )
        self.local_recording = LocalRecording(
            clock=clock,
            call_sid=self.call_sid,
            stream_sid=self.stream_sid,
            facts=self.facts,
            assistant=self.assistant,
            caller=self.caller,
            recorder=local_recorder,
            log=log,
        )
        self.carrier_recording = CarrierRecording(
            clock=clock,
            facts=self.facts,
            context=self.context,
            recorder=recorder,
            log=log,
            spawn=self._spawn,
            tell=tell,
        )

    def _transfer_over(self, outcome: str) -> None:
        """It may be so after the call, whose record is then another one: a thread may be writing the old one."""
        if self.document is not None:
            self.document = self.late_tools.document = amended(self, self.late_tools.document or self.document)
        self._transfer_done(outcome, self.document)

    def _guarded(self, callback: Callable[..., object]) -> Callable[..., None]:
        """A callback that raises nothing."""

        def run(*arguments: object) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self._failed(error)

        return run

    def _failed(self, error: Exception) -> None:
        """A bug of ours: booked, and nobody else is the worse for it."""
        self.stats.note_error("internal", "internal")
        events.call_failed(self.log, error)

    def _on_utterance(self, begins: bool) -> None:
        if isinstance(self.session, LiveSession):
            self.session.on_utterance(begins)

    def _on_model_event(self, message: bytes) -> None:
        self.trace.model_event(message)
        self.session.on_event(message)
