"""A telephone call on virtual time with all its parties: caller, carrier, node's call, and a service that may fail.

The service and the network to it are `fastbridge.testing.model`. Nothing ever sleeps.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from fastbridge.agent import Agent
from fastbridge.call.call import Call
from fastbridge.config import Settings
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.observe import stats
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.scenario import Say, Scenario
from fastbridge.testing.loop import LeapingLoop
from fastbridge.testing.model import VirtualModel, Wire, unframed
from helpers import MS, QUIET, SID
from live_witness import LiveWitness
from virtual import call_context
from witness import Witness


class Stage:
    """One call, in the dialect of the setting `model`. `script(attempt)` is the scenario of each connection attempt;
    `says` and `run` are the caller's part. `lines`: what the model may say, so that what is heard has a name."""

    def __init__(
        self,
        script: Callable[[int], Scenario],
        agent: Agent | None = None,
        *,
        lines: Sequence[Say] = (),
        **settings: Any,
    ) -> None:
        self.loop = LeapingLoop()
        given = Settings.model_construct(**settings)
        self.live = given.live
        self.model = VirtualModel(self.loop, script, live=self.live)
        self.agent = agent or Agent()
        self.lines = lines
        self.patience_seconds = 45.0
        """How long a test waits until nothing is owed to the caller any more."""
        self.closed: list[tuple[float, int, str]] = []
        """The closing of the media stream: when, code, reason."""
        self.ended: list[Call] = []
        self.tasks = self.loop.tasks
        self.began_ns = self.loop.now_ns
        self.carrier = CarrierStream(
            call_sid=call_context().call_sid,
            account_sid="AC" + "0" * 32,
            stream_sid=SID.decode(),
            start_ms=self.clock_ms,
        )
        self.ear = LiveWitness(self) if self.live else Witness(self)
        self._frames: deque[bytes] = deque()
        self._line: asyncio.TimerHandle | None = None
        self.call = Call(
            settings=given,
            agent=self.agent,
            context=call_context(),
            stream_sid=SID.decode(),
            carrier=self,
            pacer=self.loop.pacer,
            clock=self.loop.clock,
            dial=self.model.dial,
            spawn=self.loop.spawn,
            ended=self.ended.append,
        )
        self.carrier.start_messages()
        self.loop.do(self.call.start)
        self.loop.do(self._tick)

    # Time.

    @property
    def clock_ms(self) -> float:
        return self.loop.now_ns / MS

    @property
    def now_ms(self) -> float:
        return (self.loop.now_ns - self.began_ns) / MS

    def run(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def until(
        self, what: Callable[[], object], limit_seconds: float = 40.0, why: str = "it never came to that"
    ) -> None:
        end = self.loop.time() + limit_seconds
        while not what():
            assert self.loop.time() < end, why
            self.loop.advance(0.02)

    # The caller.

    def says(self, audio: bytes) -> None:
        """The caller begins to say this now."""
        self._frames.extend(audio[at : at + 160].ljust(160, b"\xff") for at in range(0, len(audio), 160))

    @property
    def speaking(self) -> bool:
        return bool(self._frames)

    @property
    def over(self) -> bool:
        return not self.call.live

    def hang_up(self) -> None:
        if self.call.live:
            self.loop.do(self.call.caller.feed_message, self.carrier.stop().encode())

    # The carrier: a CarrierLink of the call.

    def write(self, frame: bytes) -> None:
        assert not self.closed, "written after the close"
        self.carrier.receive(unframed(frame, masked=False), self.clock_ms)
        self.loop.call_soon(self._echo)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((self.now_ms, code, reason))

    def _tick(self) -> None:
        if not self.call.live:
            return
        self._echo()
        frame = self._frames.popleft() if self._frames else QUIET
        self.call.caller.feed_message(self.carrier.media(frame).encode())
        self.ear.listen()
        self._line = self.loop.call_later(0.02, self._tick)

    def _echo(self) -> None:
        for echo in self.carrier.poll(self.clock_ms):
            if self.call.live:
                self.call.caller.feed_message(echo.encode())

    # The service.

    @property
    def attempts(self) -> list[float]:
        """When the node dialled, in ms of the call."""
        return self.model.attempts

    @property
    def wires(self) -> list[Wire[Any]]:
        return self.model.live_wires if self.live else self.model.wires

    @property
    def sessions(self) -> list[Any]:
        """Each a ModelSession, or a LiveSession."""
        return [wire.session for wire in self.wires]

    @property
    def session(self) -> Any:
        """The newest."""
        return self.wires[-1].session

    # The end.

    def shut(self) -> None:
        """Whatever happened, nothing is left behind and every book balances."""
        try:
            self.loop.do(self.call.close, "shutdown")
            self.loop.advance(FAREWELL_SECONDS if self.live else 0)
            self.model.close()
            if self._line is not None:
                self._line.cancel()
            self.loop.advance(0)
            self.assert_settled()
        finally:
            self.loop.close()

    def assert_settled(self) -> None:
        call, lane = self.call, self.call.assistant
        assert self.loop.failures == []
        assert "internal" not in call.stats.errors
        assert self.ended == [call]
        assert len(self.closed) == 1
        assert [wire.hung_up or wire.channel.closed is not None for wire in self.wires] == [True] * len(self.wires)
        assert self.loop.pending_timers() == []
        assert self.tasks == set()
        assert (call.caller.waiting, lane.frames_unsent, self.loop.pacer.active) == (0, 0, 0)
        assert call.caller.frames_in == sum(call.caller.outcomes)
        rewound = getattr(lane, "frames_rewound", 0)
        assert lane.frames_enqueued + rewound == lane.frames_sent + sum(lane.frames_flushed.values())
        assert self.carrier.errors == []
        assert [error for session in self.sessions for error in session.errors] == []
        assert stats.accounting_lines(call.caller)[1][0] is False
        assert stats.complaints(stats.pacing(lane), call.safety_fuses) == []
        untold = call.session.history.untold.values()
        assert [turn for turn in untold if turn.role == "assistant" or turn.ended] == []
        for session in self.sessions:
            assert_asked_once(session)


def assert_asked_once(session: Any) -> None:
    """Every create has an id of its own, every response is cancelled at most once, every call answered at most once.
    (Some servers give all calls one id.) A Live model may be told what it is asked for a second time."""
    if hasattr(session, "backend"):
        times = Counter(request["event_id"] for request in session.requests if "event_id" in request)
        assert max(times.values(), default=0) <= 2
    else:
        creates = [request.get("event_id") for request in session.requests if request["type"] == "response.create"]
        assert len(set(creates)) == len(creates)
    cancels = [request.get("response_id") for request in session.requests if request["type"] == "response.cancel"]
    assert len(set(cancels)) == len(cancels)
    assert None not in cancels
    outputs = Counter(item["call_id"] for item in created_items(session) if item["type"] == "function_call_output")
    assert outputs <= called(session)


def called(session: Any) -> Counter[str]:
    """How often the model called each function, by the call's id."""
    if hasattr(session, "backend"):
        return Counter(call["call_id"] for run in session.backend.runs for call in run.calls)
    return Counter(item.fields["call_id"] for item in session.items.values() if item.type == "function_call")


def created_items(session: Any) -> list[dict[str, Any]]:
    """What the node put into the conversation, in order: the replay and the results of tools. A Live session has its
    replay in what it was started with."""
    kinds = ("conversation.item.create", "response.item.create")
    replayed = [item for each in session.requests for item in each.get("session", {}).get("input", ())]
    return replayed + [request["item"] for request in session.requests if request["type"] in kinds]
