"""The node: all that the calls of one process share, put together, and the calls themselves."""

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fastbridge._pacing import Pacer
from fastbridge._ticker import Ticker
from fastbridge._wire import Outbox
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.lookup import Lookups
from fastbridge.base.addresses import networks
from fastbridge.base.clock import Beat, Clock
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.call.call import Call
from fastbridge.call.record import unbegun
from fastbridge.carrier.admission import TERMINAL_STATUSES, Admission, Directory
from fastbridge.carrier.port import CarrierLink, RecordingTold
from fastbridge.carrier.twilio import rest
from fastbridge.carrier.twilio.calls_out import twilio_calls
from fastbridge.carrier.twilio.messages import Start
from fastbridge.carrier.twilio.recordings import twilio_recordings
from fastbridge.carrier.twilio.transfers import transfers
from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.model.breaker import Breaker
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.net import descriptors
from fastbridge.net.connections import Connections
from fastbridge.net.fragments import CLOSE_GRACE_SECONDS
from fastbridge.node.day_budget import DayBudget
from fastbridge.node.dialler import Dialler
from fastbridge.node.fitness import require_fit
from fastbridge.node.leftovers import Leftovers
from fastbridge.node.metrics import Metrics, Snapshot
from fastbridge.node.recordings import kept
from fastbridge.observe import events, notices
from fastbridge.observe.call_log import CallLog
from fastbridge.outbound.placer import Placer
from fastbridge.recordings.local import LocalRecorder
from fastbridge.store.database import NO_DATABASE
from fastbridge.store.outbound import OutboundStore
from fastbridge.store.recordings import RecordingStore
from fastbridge.store.records import RecordStore

if sys.platform == "linux":
    from fastbridge._reactor import Reactor

logger = logging.getLogger(__name__)

EXPIRY_MARGIN_SECONDS = 0.5
CALLS_PER_FOLD = 20


class TickClock(Clock):
    """The loop's, whose ticks beat the seconds of all calls."""

    def __init__(self, ticker: Ticker) -> None:
        super().__init__()
        self._ticker = ticker

    def every_second(self, callback: Callable[[], object]) -> Beat:
        return self._ticker.every_second(callback)


class Node:
    """One process's calls and what they share."""

    def __init__(self, settings: Settings, agent: Agent, *, token_prefix: str = "", successor: bool = False) -> None:
        """token_prefix: what its stream tokens begin with. successor: of a process that died, and its calls with it."""
        self.settings = settings
        self.agent = agent
        self.pacer = Pacer()
        self.outbox = Outbox()
        self.reactor: Reactor | None = Reactor() if sys.platform == "linux" else None
        self._ticker = Ticker(self.pacer, self.outbox, self.reactor, settings.tick_us * 1000)
        self.clock = TickClock(self._ticker)
        self.directory = Directory(settings, self.clock.now_ns, token_prefix=token_prefix)
        self.connections = Connections(
            descriptors.connections(settings, descriptors.limit()),
            settings.max_requests_per_ip,
            self.directory.refuse,
            proxies=networks(settings.trusted_proxies),
            arrived=self.arrived,
        )
        self.successor = successor
        self.breaker = Breaker(self.clock.now_ns)
        self.directory.model_is_down = self.breaker.refuses
        self.directory.is_spent = lambda business_id: self.budget.is_spent(business_id)
        self.directory.on_lost = self._call_unbegun
        self._expiry: asyncio.TimerHandle | None = None
        self.ready = True
        self.metrics = Metrics()
        require_fit(settings, agent)
        url = settings.database_url.get_secret_value()
        fetched = settings.recordings_url is not None
        self.store = RecordStore(url, settings.records_dir, days=settings.record_days, fetched=fetched)
        self.recordings = RecordingStore(url, fetched=fetched) if url != NO_DATABASE else None
        self.budget = DayBudget(settings, self.store.spent_since)
        folder = settings.recordings_dir
        self.local_recorder = LocalRecorder(folder) if folder is not None else None
        self._calls: set[Call] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leftovers = Leftovers()
        self.lookups = Lookups(self.clock, self.spawn)
        self.rest = rest.carrier_rest(settings, told=self._carrier_refused)
        self.recorder = twilio_recordings(settings)
        self.transfers = transfers(settings, self.spawn)
        self.placer = self._make_placer() if settings.api_keys is not None else None
        self._watching: asyncio.Task[None] | None = None
        self._dialler = Dialler(settings, self.reactor, self.retire)
        # What is imported at first use would be in somebody's call, and stop all the others: for 0.3 s, and for 30 ms.
        for name in ("websockets.sync.client", "openai.lib._websocket", "anyio._backends._asyncio"):
            importlib.import_module(name)

    def _make_placer(self) -> Placer:
        """Who places calls, for those with a key."""
        carrier = twilio_calls(self.settings)
        if carrier is None:
            raise ConfigError("FASTBRIDGE_API_KEYS lets calls be placed, for which Twilio's credentials are needed.")
        store = OutboundStore(self.settings.database_url.get_secret_value())
        return Placer(store, carrier, self.settings, spawn=self.spawn, draining=lambda: self.draining)

    def on_call_status(self, call_sid: str, state: str, sequence: int | None, params: Mapping[str, str]) -> None:
        """A status callback, of a call that may be one of those placed here, or whose caller was led away."""
        if self.transfers is not None and state in TERMINAL_STATUSES:
            self.transfers.caller_over(call_sid)
        if self.placer is not None:
            self.spawn(self.placer.told(call_sid, state, sequence, params))

    def on_answered_by(self, call_sid: str, verdict: str) -> None:
        """The carrier knows who has answered a call."""
        call = self._call(call_sid)
        call.on_answered_by(verdict) if call is not None else self.directory.note_verdict(call_sid, verdict)
        if self.placer is not None:
            self.spawn(self.placer.answered_by(call_sid, verdict))

    def begin(self) -> None:
        """What goes on beside the calls, from now on."""
        if self.placer is not None:
            self.placer.begin()
        if self.budget.wanted:
            self._watching = self.spawn(self.budget.watch())

    async def on_recording_status(self, told: RecordingTold) -> bool:
        """A recording's callback. Whether it is kept; where nothing is, nothing is to be."""
        call = self._call(told.call_sid)
        if call is not None and told.status == "failed":
            call.carrier_recording.failed(told.recording_sid)
        return await kept(self.recordings, told) if self.recordings is not None else True

    @property
    def draining(self) -> bool:
        return self.directory.draining

    lingers = True

    def drain(self) -> None:
        """No new calls."""
        if not self.directory.draining and self._awaited:
            notices.draining(self._awaited, at_most_seconds=self.settings.drain_seconds)
        self.directory.draining = True

    def cut(self) -> None:
        """End the calls there are: their callers hear why when Twilio asks."""
        notices.calls_cut(self._awaited)
        self._end_calls()

    def _end_calls(self) -> None:
        for call in list(self._calls):
            call.close(EndReason.SHUTDOWN)

    @property
    def busy(self) -> bool:
        """Whether there are calls, or some may come that were let in, or placed."""
        return self._awaited > 0

    @property
    def _awaited(self) -> int:
        ringing = len(self.placer.ringing) if self.placer is not None else 0
        return self.directory.live + self.directory.pending + ringing

    def arrived(self) -> None:
        """A connection has come, of which the loop takes one a turn: there may be more."""
        self._ticker.hurry()

    def announce(self, admission: Admission) -> None:
        """A webhook has let this call in: what can be looked up is looked up while its stream is on the way."""
        if self.placer is not None:
            self.placer.ringing.over(admission.call_sid)
        context = self._context(admission)
        agent = self.agent.for_call(context)
        self.lookups.begin(agent, replace(context, agent=agent))
        self._expire_later()

    def _expire_later(self) -> None:
        """Whoever was let in and does not come is missed, whatever else happens here."""
        if self._expiry is None:
            seconds = self.settings.stream_token_seconds + EXPIRY_MARGIN_SECONDS
            self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        if self.directory.pending:
            self._expire_later()

    def _call_unbegun(self, admission: Admission, reason: EndReason, why: str) -> None:
        """A call that was let in never began."""
        self.lookups.drop(admission.call_sid)
        url = f"{self.settings.stream_url}{MEDIA_PATH}"
        events.call_unbegun(admission.call_sid, reason=reason, why=why, stream_url=url)
        self.metrics.unbegun(admission.direction, reason)
        self.store.put(unbegun(admission, self.settings, reason, why))

    def begin_call(self, carrier: CarrierLink, admission: Admission, start: Start) -> Call:
        """An admitted stream has started: its call. The caller then calls `Call.start`."""
        lookup = self.lookups.take(admission.call_sid)
        context = lookup.context if lookup is not None else self._context(admission)
        agent = lookup.agent if lookup is not None else self.agent.for_call(context)
        settings = agent.call_settings(self.settings)
        call = Call(
            settings=settings,
            agent=agent,
            context=context,
            stream_sid=start.stream_sid,
            carrier=carrier,
            pacer=self.pacer,
            outbox=self.outbox,
            clock=self.clock,
            dial=lambda attempt: self.spawn(self._dialler.dial(attempt, settings.model)),
            spawn=self.spawn,
            ended=self._call_ended,
            breaker=self.breaker,
            control=self.rest,
            recorder=self.recorder,
            local_recorder=self.local_recorder,
            legs=self.transfers,
            transfer_done=partial(self._amended, "transfers"),
            lookup=lookup,
            spending=self.budget.spending if self.budget.wanted else None,
            tool_done_late=partial(self._amended, "tools_done_late"),
            accounted=self._accounted,
        )
        call.known_who = self.directory.verdict(admission.call_sid)
        self._calls.add(call)
        self.directory.add(call)
        self._ticker.acquire()
        return call

    def _context(self, admission: Admission) -> CallContext:
        """A call, with its log: what is looked up for it may have something to say before its stream is there."""
        call_log = CallLog(admission.call_sid, self.settings, lambda: self.clock.now_ns() / 1e9)
        return replace(call_context(admission), call_log=call_log)

    def _call_ended(self, call: Call) -> None:
        self._calls.discard(call)
        if call.apologised:
            self.directory.note_apology(call.call_sid)
        self.directory.remove(call)
        self._ticker.release()
        if not self._calls and self.reactor is not None:
            self.reactor.release_all()  # without a call nothing ticks, and nothing runs it
        self._leftovers.call(call)
        if call.document is not None:
            self.metrics.end(call, call.document)
            self.store.put(call.document, jobs=tuple(self.agent.jobs))

    def _accounted(self, document: dict[str, Any], more_usd: float) -> None:
        self.metrics.add("cost_dollars", max(more_usd, 0.0))
        self.store.update(document)

    def _amended(self, counter: str, outcome: str, document: dict[str, Any] | None) -> None:
        self.metrics.add(counter, 1, outcome)
        if document is not None:
            self.store.update(document)

    def retire(self, *parts: object, at_once: bool = False) -> None:
        """A socket has closed, and these were it: they are taken apart when nobody can want them any more.

        at_once: nobody can now, for it was no call's. Whoever is turned away may come again and again.
        """
        self._leftovers.parts(*parts, at_once=at_once)

    @property
    def _recorded(self) -> dict[str, Mapping[str, int]]:
        return {"local_recordings": self.local_recorder.counters} if self.local_recorder is not None else {}

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that this node keeps until it is done; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            events.task_failed(task.exception())

    def _call(self, call_sid: str) -> Call | None:
        return next((call for call in self._calls if call.call_sid == call_sid), None)

    def _carrier_refused(self, call_sid: str, problem: str) -> None:
        """What was to be done with a call at the carrier's was not done."""
        call = self._call(call_sid)
        rest.say(call_sid, problem) if call is None else events.carrier_refused(call.log, problem)

    async def close(self) -> None:
        """End every call that is left, and wait for what they still do."""
        self.drain()
        self.lookups.close()
        if self.placer is not None:
            self.placer.rest()
        if self._watching is not None:
            self._watching.cancel()
        self._end_calls()
        self._leftovers.close()
        if self._expiry is not None:
            self._expiry.cancel()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=FAREWELL_SECONDS + CLOSE_GRACE_SECONDS + 0.5)
            for task in unfinished:
                task.cancel()
        await self._dialler.close()
        if self.placer is not None:
            await self.placer.close()
        if self.transfers is not None:
            await self.transfers.close()
        if self.rest is not None:
            await self.rest.close()
        if self.recorder is not None:
            await self.recorder.close()
        if self.recordings is not None:
            await asyncio.to_thread(self.recordings.close)
        await asyncio.to_thread(self.store.close)
        if self.local_recorder is not None:
            await asyncio.to_thread(self.local_recorder.close)

    async def collect(self) -> Snapshot:
        """All metrics of this process, at this moment. A few calls at a time: a scrape may not make audio late."""
        for index, call in enumerate(list(self._calls)):
            if call.live:
                self.metrics.fold(call)
            if index % CALLS_PER_FOLD == CALLS_PER_FOLD - 1:
                await asyncio.sleep(0)
        metrics, directory = self.metrics, self.directory
        gauges = {"calls_live": directory.live, "calls_pending": directory.pending, "workers": 1}
        gauges |= {"calls_capacity": self.settings.max_calls, "draining": directory.draining}
        for name, value in (gauges | {"records_waiting": self.store.waiting}).items():
            metrics.set(name, value)
        if self.local_recorder is not None:
            metrics.set("recordings_waiting", self.local_recorder.waiting)
        self.connections.count(metrics.set)
        metrics.take_log()
        metrics.take_histogram("loop_lag_seconds", self._ticker.lag_counts, self._ticker.lag_ns / 1e9)
        for name, counts in {
            "rejections": directory.counters,
            "records": self.store.counters,
            **self._recorded,
        }.items():
            for label, count in counts.items():
                metrics.set(name, count, label)
        return metrics.snapshot()


def call_context(admission: Admission) -> CallContext:
    """The call as its agent knows it."""
    return CallContext(
        call_sid=admission.call_sid,
        from_number=admission.from_number,
        to_number=admission.to_number,
        direction=admission.direction,
        parameters=dict(admission.parameters),
        account_sid=admission.account_sid,
    )
