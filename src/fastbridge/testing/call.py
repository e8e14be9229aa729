"""One call to an agent, from its webhook to its end, on virtual time: the node's own call, its tools and hooks in
earnest, between a simulated caller and a simulated service. No socket, no second process, nothing that sleeps.

What a node has beside its calls is not here, but with `fastbridge_node`: the webhooks' HTTP, the store, several calls.
"""

import asyncio
import contextlib
import contextvars
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.lookup import Lookups
from fastbridge.call.call import Call
from fastbridge.carrier.twilio.rest import CarrierRest, api_url
from fastbridge.carrier.twilio.webhook import own_parameters
from fastbridge.config import Settings
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.node.agent_file import load_agent
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.log_format import HumanFormatter, Scrubber
from fastbridge.observe.log_policy import NOISY
from fastbridge.sim import ear
from fastbridge.sim.callee import Callee
from fastbridge.sim.carrier_api import CarrierApi, Fault
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import Scenario
from fastbridge.sim.script import PATIENCE_MS, Step
from fastbridge.testing.carrier import ApiTransport, VirtualCarrier, new_report
from fastbridge.testing.desk import LedAway, human_side, webhooks
from fastbridge.testing.loop import PATIENCE_SECONDS, LeapingLoop
from fastbridge.testing.model import VirtualModel
from fastbridge.testing.recorder import VirtualRecorder, VirtualReel, VirtualReels
from fastbridge.testing.settings import ACCOUNT_SID, AUTH_TOKEN, settings_of

WEBHOOK_SECONDS = 0.15
"""From the webhook, at which an agent's `on_call` begins, to the stream."""
CANCEL_SECONDS = 1.0
LAST_SECONDS = 60.0
"""What hooks and tools may take after the end."""


class VirtualCall:
    """A call, held from its beginning to its end when it is made.

    agent: an Agent, or what names one to `fastbridge serve`. script: the caller's part. scenario: the service's, as for
    a ModelServer. api_faults: as for a CarrierApi. recorder: the carrier's recordings; it does all that it is asked,
    unless you give one that fails. callees: by number, who answers where the agent has somebody called (`brief`).
    real_seconds: how long, of your time, a thread or a socket of the agent's may be waited for. The other options are
    those of a SimulatedCaller. settings: by their variables' names, such as FASTBRIDGE_SILENCE_SECONDS="5"; the
    environment counts for nothing.
    """

    def __init__(
        self,
        agent: Agent | str,
        script: Sequence[Step],
        scenario: Scenario | Callable[[int], Scenario] | None = None,
        *,
        api_faults: Sequence[Fault] = (),
        recorder: VirtualRecorder | None = None,
        callees: Mapping[str, Callee] | None = None,
        real_seconds: float = PATIENCE_SECONDS,
        call_sid: str = "",
        from_number: str = "+15005550001",
        to_number: str = "+15005550006",
        direction: str = "inbound",
        query: str = "",
        limit_seconds: float = 120.0,
        patience_ms: int = PATIENCE_MS,
        **settings: str,
    ) -> None:
        self._settings = settings_of(settings)
        self._agent = load_agent(agent) if isinstance(agent, str) else agent
        for each in self._agent.variants():
            each.call_settings(self._settings).require_session()
        loop = self._loop = LeapingLoop(real_seconds)
        self.report: CallReport = new_report(call_sid)
        """What the carrier saw and the ear heard: the same as of a real call."""
        self.model = VirtualModel(loop, scenario if scenario is not None else Scenario())
        """Its `sessions`, `attempts` and `errors` are a ModelServer's."""
        twilio, self._node = webhooks(self._settings, self._agent, loop)
        self.api = CarrierApi(ACCOUNT_SID, AUTH_TOKEN, faults=api_faults, callees=callees, now=loop.time, http=twilio)
        """Twilio's REST API: `updates`, `errors` and `dialled`; `reports`: what callees heard, by their calls' sids."""
        self._twilio = twilio
        self.recorder = recorder or VirtualRecorder()
        """The carrier's recording: what was `done`."""
        self._reels = VirtualReels()
        self.record: dict[str, Any] | None = None
        """The node's own record of the call; None where it was not answered."""
        self.log = ""
        """What was logged meanwhile, as a node writes it, your own lines included."""
        self._carrier = VirtualCarrier(loop, self.report, script, patience_ms, limit_seconds)
        self.api.register(self._carrier)
        self._context = CallContext(
            call_sid=self.report.call_sid,
            from_number=from_number,
            to_number=to_number,
            direction=direction.partition("-")[0],
            parameters=own_parameters(parse_qsl(query)),
            account_sid=ACCOUNT_SID,
        )
        self._on_a_loop(self._hold)

    def __repr__(self) -> str:
        seconds, ended_by = self.report.duration_ms / 1000, self.report.ended_by
        return f"<VirtualCall of {seconds:.1f} s, {len(self.turns)} turns, ended by {ended_by}>"

    @property
    def errors(self) -> list[str]:
        """What Twilio or OpenAI would have refused or ignored, what went wrong in the simulation, and in the node."""
        failures = [str(each.get("exception") or each.get("message")) for each in self._loop.failures]
        bugs = (self.record or {}).get("errors_by_type", {}).get("internal", 0)
        return [
            *self.report.errors,
            *self.model.errors,
            *self.api.errors,
            *(f"the simulation failed: {each}" for each in failures),
            *([f"the node failed {bugs} times: its log says how"] if bugs else []),
        ]

    @property
    def recording(self) -> VirtualReel | None:
        """The node's own recording, with `record="local"`: its `left`, its `right` and its `wav`."""
        return self._reels.reel

    @property
    def real_waits(self) -> int:
        """How often the clock went on although your code was still at something real, after `real_seconds`."""
        return self._loop.ran_on

    def waits(self, over_ms: int = ear.LONGEST_WAIT_MS, *, greeted: bool = True) -> list[ear.Span]:
        """Every time the caller had to wait, as `fastbridge.sim.ear.waits`."""
        return ear.waits(self.report.said, self.report.heard, over_ms, greeted=greeted)

    @property
    def turns(self) -> list[tuple[str, str]]:
        """The transcript: (role, text), role being caller or assistant; of what was cut off, as much as was heard."""
        return [(turn["role"], turn["text"] or "") for turn in (self.record or {}).get("turns", [])]

    def _on_a_loop(self, hold: Callable[[], None]) -> None:
        """Here, where the agent was made; in a thread where this one has a loop that runs."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            hold()
            return
        failed: list[BaseException] = []

        def run() -> None:
            try:
                hold()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="fastbridge-call")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    def _hold(self) -> None:
        loop = self._loop
        try:
            with _logged(self._settings) as lines:
                loop.run_until_complete(self._call())
        finally:
            self.log = "".join(f"{line}\n" for line in lines)
            loop.run_until_complete(_ending(loop))
            loop.close()

    async def _call(self) -> None:
        if self._context.direction == "inbound" and not self._agent.answers(self._context.from_number):
            self._carrier.note("reject")
        else:
            call = await self._begun()
            await self._carrier.over
            await self._goes_on()
            if self.model.live:
                await asyncio.sleep(FAREWELL_SECONDS)  # what the session has cost, all told, is in the record
            if self._loop.tasks:
                await asyncio.wait(self._loop.tasks, timeout=LAST_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.api.all_ended(), LAST_SECONDS)
            self.record = json.loads(json.dumps(call.document))
        self._carrier.finish()
        self.model.close()

    async def _goes_on(self) -> None:
        """Where the API has led the caller to somebody else."""
        order = self._carrier.order
        if "Url" in order:
            led = self._carrier.led_away = LedAway(self._carrier, self._twilio, self._context.from_number)
            await led.obey(order, self.api.exchange)

    async def _begun(self) -> Call:
        """What a node does at the webhook, and when the stream starts."""
        loop = self._loop
        journal = CallLog(self._context.call_sid, self._settings, loop.time)
        context = replace(self._context, call_log=journal)
        agent = self._agent.for_call(context)
        context = replace(context, agent=agent)
        settings = agent.call_settings(self._settings)
        self.model.live = settings.live
        lookups = Lookups(loop.clock, loop.spawn)
        lookups.begin(agent, context)
        await asyncio.sleep(WEBHOOK_SECONDS)
        lookup = lookups.take(context.call_sid)
        http = httpx2.AsyncClient(transport=ApiTransport(self.api), trust_env=False)
        rest = CarrierRest(api_url(self._settings), ACCOUNT_SID, AUTH_TOKEN, http)
        self._node.transfers = human_side(self._settings, loop, http)
        call = Call(
            settings=settings,
            agent=agent,
            context=context,
            stream_sid=self.report.stream_sid,
            carrier=self._carrier,
            pacer=loop.pacer,
            clock=loop.clock,
            dial=self.model.dial,
            spawn=loop.spawn,
            ended=lambda _: None,
            control=rest,
            recorder=self.recorder,
            local_recorder=self._reels,
            legs=self._node.transfers,
            lookup=lookup,
        )
        call.start()
        self._carrier.start(context.parameters, call.caller.feed_message)
        return call


async def _ending(loop: LeapingLoop) -> None:
    """Nothing of the user's outlives its call: what still runs is cancelled."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CANCEL_SECONDS)
    await loop.shutdown_asyncgens()


class _Lines(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextlib.contextmanager
def _logged(settings: Settings) -> Iterator[list[str]]:
    """All that is logged within, at a node's levels, whatever the test's are."""
    handler = _Lines(HumanFormatter(Scrubber([AUTH_TOKEN])))
    wanted = {"": logging.INFO} | dict.fromkeys(NOISY, logging.WARNING)
    before = {name: logging.getLogger(name).level for name in wanted}
    root = logging.getLogger()
    root.addHandler(handler)
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield handler.lines
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(handler)
