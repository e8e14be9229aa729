"""A telephone call on virtual time with all its parties: caller, carrier, node's call, and a service that may fail.

The call dials through the same seam as the node, as often as it likes: each dial is another connection attempt of the
scenario, and what stops it is the error that the node's own dialling would see. Nothing ever sleeps.
"""

import asyncio
import json
import ssl
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from socket import gaierror
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from fastbridge import server, stats
from fastbridge.agent import Agent
from fastbridge.call import Call
from fastbridge.config import Settings
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.channel import Channel
from fastbridge.sim.disruption import NO_CLOSE_FRAME, Obstacle, Refuse, Unreachable
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Say, Scenario
from helpers import MS, QUIET, SID
from virtual import SECOND_NS, VirtualLoop, call_context
from witness import Witness

LATENCY_MS = 15.0
"""One way, between the node and the service."""
HANDSHAKE_MS = 90.0
KERNEL_BYTES = 200_000
"""What the two kernels take before the node's own buffer fills."""
UNREACHABLE = {
    "dns": lambda: gaierror(-2, "Name or service not known"),
    "refused": lambda: ConnectionRefusedError(111, "Connect call failed"),
    "tls": lambda: ssl.SSLCertVerificationError("certificate verify failed"),
}
UNIX_S = 1_800_000_000.0


def unframed(frame: bytes, *, masked: bool) -> str:
    """The text of exactly one whole frame, the quick way: others prove the frames themselves."""
    assert frame[0] == 0x81
    short = frame[1] & 0x7F
    head = 2 + {126: 2, 127: 8}.get(short, 0)
    size = short if short < 126 else int.from_bytes(frame[2:head], "big")
    if not masked:
        payload = frame[head:]
    else:
        key = (frame[head : head + 4] * (size // 4 + 1))[:size]
        head += 4
        payload = (int.from_bytes(frame[head:], "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    assert len(payload) == size
    return payload.decode()


class StageLoop(VirtualLoop):
    """Goes from one frame that is due to the next, not from millisecond to millisecond."""

    def _jump(self, timeout: float | None) -> None:
        wanted_ns = self.pacer.run(self.now_ns) if self.pacer.active else -1
        if self._ready:
            return
        timer_ns = round(self._scheduled[0].when() * SECOND_NS) if self._scheduled else -1
        targets = [target_ns for target_ns in (timer_ns, wanted_ns) if target_ns >= 0]
        self.now_ns = max(self.now_ns + 1, min(targets, default=self.now_ns + MS))


class Wire:
    """One connection to the service, the node's end of it: a ModelLink of the call."""

    def __init__(self, stage: "Stage", session: ModelSession, attempt: Any) -> None:
        self.channel = Channel(session, stage.clock_ms)
        self.session = session
        self.hung_up = False
        self._stage = stage
        self._attempt = attempt
        self._feed: Callable[[bytes], object] = stage.feed_of(attempt)
        self._up: deque[tuple[float, bytes, bool]] = deque()
        self._down: deque[tuple[float, str]] = deque()
        self._close_at_ms: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._unread_bytes = 0
        self._paused = False
        self._over = False
        self.over_ms = -1.0
        """When it ended, by whomever, in ms of the call."""

    # What the call does.

    def write(self, frame: bytes) -> None:
        self._send(frame, framed=True)

    def send_text(self, message: bytes) -> None:
        self._send(message, framed=False)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._wake()

    def untaken_bytes(self) -> int:
        return max(0, self._unread_bytes - KERNEL_BYTES)

    def redirect(self, sink: object, feed_message: Callable[[bytes], object]) -> None:
        self._feed = feed_message

    def hang_up(self) -> None:
        assert not self.hung_up, "hung up twice"
        self.hung_up = True
        self.stop()

    def stop(self) -> None:
        if not self._over:
            self._over = True
            self.over_ms = self._stage.now_ms
        if self._timer is not None:
            self._timer.cancel()

    # What the network does.

    def open(self) -> None:
        self._wake()

    def _send(self, raw: bytes, *, framed: bool) -> None:
        assert not self.hung_up, "written after the hang-up"
        if self._over:
            return
        self._up.append((self._stage.clock_ms + LATENCY_MS, raw, framed))
        self._unread_bytes += len(raw)
        if not self._paused and self._unread_bytes > KERNEL_BYTES + server.MODEL_BUFFER_BYTES:
            self._paused = True
            self._attempt.on_model_paused(True)
        self._wake()

    def _run(self) -> None:
        now_ms = self._stage.clock_ms
        self._take_up(now_ms)
        if self._close_at_ms is None:
            self._down.extend((now_ms + LATENCY_MS, text) for text in self.channel.poll(now_ms))
            if self.channel.closed is not None:
                self._close_at_ms = now_ms + LATENCY_MS
        while self._down and self._down[0][0] <= now_ms and self._reading and not self._over:
            self._feed(self._down.popleft()[1].encode())
        if self._close_at_ms is not None and now_ms >= self._close_at_ms and not self._down and not self._over:
            self.stop()
            self._attempt.on_model_lost(*(self.channel.closed or (NO_CLOSE_FRAME, "")))
        self._wake()

    def _take_up(self, now_ms: float) -> None:
        while self._up and self._up[0][0] <= now_ms and self.channel.deaf_until_ms <= now_ms:
            _, raw, framed = self._up.popleft()
            self._unread_bytes -= len(raw)
            self.channel.receive(unframed(raw, masked=True) if framed else raw.decode(), now_ms)
        if self._paused and self._unread_bytes < KERNEL_BYTES:
            self._paused = False
            self._attempt.on_model_paused(False)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._over:
            return
        dues = [self.channel.next_due_ms(), self._close_at_ms]
        if self._up:
            dues.append(max(self._up[0][0], self.channel.deaf_until_ms))
        if self._down and self._reading:
            dues.append(self._down[0][0])
        due_ms = min((due for due in dues if due is not None), default=None)
        if due_ms is not None:
            self._timer = self._stage.loop.call_later(max(0.0, due_ms - self._stage.clock_ms) / 1000, self._run)


class Stage:
    """One call. `script(attempt)` is the scenario of each connection attempt; `says` and `run` are the caller's part.
    `lines`: what the model may say, so that what is heard has a name."""

    def __init__(
        self,
        script: Callable[[int], Scenario],
        agent: Agent | None = None,
        *,
        lines: Sequence[Say] = (),
        **settings: Any,
    ) -> None:
        self.loop = StageLoop()
        self.script = script
        self.agent = agent or Agent()
        self.lines = lines
        self.patience_seconds = 45.0
        """How long a test waits until nothing is owed to the caller any more."""
        self.attempts: list[float] = []
        """When the node dialled, in ms of the call."""
        self.wires: list[Wire] = []
        self.closed: list[tuple[float, int, str]] = []
        """The closing of the media stream: when, code, reason."""
        self.ended: list[Call] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.began_ns = self.loop.now_ns
        self.carrier = CarrierStream(
            call_sid=call_context().call_sid,
            account_sid="AC" + "0" * 32,
            stream_sid=SID.decode(),
            start_ms=self.clock_ms,
        )
        self.ear = Witness(self)
        self._frames: deque[bytes] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self.call = Call(
            settings=Settings.model_construct(**settings),
            agent=self.agent,
            context=call_context(),
            stream_sid=SID.decode(),
            carrier=self,
            pacer=self.loop.pacer,
            clock=self.loop.clock,
            dial=self._dial,
            spawn=self._spawn,
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
        self._later(0.02, self._tick)

    def _echo(self) -> None:
        for echo in self.carrier.poll(self.clock_ms):
            if self.call.live:
                self.call.caller.feed_message(echo.encode())

    # The service.

    @property
    def sessions(self) -> list[ModelSession]:
        return [wire.session for wire in self.wires]

    @property
    def session(self) -> ModelSession:
        """The newest."""
        return self.wires[-1].session

    def feed_of(self, attempt: Any) -> Callable[[bytes], object]:
        feed: Callable[[bytes], object] = getattr(attempt, "feed_message", None) or self.call.assistant.feed_message
        return feed

    def _dial(self, attempt: Any) -> None:
        number = len(self.attempts)
        self.attempts.append(self.now_ms)
        scenario = self.script(number)
        obstacle = scenario.on_connect(number) if scenario.on_connect is not None else None
        if obstacle is None:
            self._later(HANDSHAKE_MS / 1000, self._connected, attempt, scenario)
        else:
            seconds, error = _failure(obstacle)
            self._later(seconds, attempt.on_model_failed, server.model_error(error))

    def _connected(self, attempt: Any, scenario: Scenario) -> None:
        serial = len(self.wires)
        session = ModelSession(scenario, self.clock_ms, serial=serial, unix_s=UNIX_S + self.now_ms / 1000)
        wire = Wire(self, session, attempt)
        self.wires.append(wire)
        attempt.on_model_connected(wire)
        if not wire.hung_up:
            wire.open()

    # The end.

    def shut(self) -> None:
        """Whatever happened, nothing is left behind and every book balances."""
        try:
            self.loop.do(self.call.close, "shutdown")
            for timer in self._timers:
                timer.cancel()
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

    def _later(self, seconds: float, callback: Callable[..., object], *arguments: object) -> None:
        def run() -> None:
            self._timers.discard(handle)
            callback(*arguments)

        handle = self.loop.call_later(seconds, run)
        self._timers.add(handle)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.loop.failures.append({"exception": task.exception()})


def assert_asked_once(session: ModelSession) -> None:
    """Every create has an id of its own, every response is cancelled at most once, every call answered at most once.
    (Some servers give all calls one id.)"""
    creates = [request.get("event_id") for request in session.requests if request["type"] == "response.create"]
    cancels = [request.get("response_id") for request in session.requests if request["type"] == "response.cancel"]
    assert len(set(creates)) == len(creates)
    assert len(set(cancels)) == len(cancels)
    assert None not in cancels
    outputs = Counter(item["call_id"] for item in created_items(session) if item["type"] == "function_call_output")
    calls = Counter(item.fields["call_id"] for item in session.items.values() if item.type == "function_call")
    assert outputs <= calls


def created_items(session: ModelSession) -> list[dict[str, Any]]:
    """What the node put into the conversation, in order: the replay and the results of tools."""
    return [request["item"] for request in session.requests if request["type"] == "conversation.item.create"]


def _failure(obstacle: Obstacle) -> tuple[float, Exception]:
    """After how many seconds the node's dialling fails, and with what."""
    if isinstance(obstacle, Refuse):
        kind = "invalid_request_error" if obstacle.status < 500 else "server_error"
        body = {"error": {"message": obstacle.message, "type": kind, "param": None, "code": obstacle.code}}
        headers = Headers({"Content-Type": "application/json"})
        response = Response(obstacle.status, "Refused", headers, json.dumps(body).encode())
        return (HANDSHAKE_MS + obstacle.delay_ms) / 1000, InvalidStatus(response)
    if isinstance(obstacle, Unreachable):
        return 0.02 + obstacle.delay_ms / 1000, UNREACHABLE[obstacle.why]()
    return server.CONNECT_SECONDS, TimeoutError()
