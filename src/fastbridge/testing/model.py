"""The simulated service on virtual time, and the network to it: what `ModelServer` is on sockets.

A call dials through the same seam as in a node, as often as it likes: each dial is another connection attempt of the
scenario, and what stops it is the error that the node's own dialling would see.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable
from socket import gaierror
from typing import Generic

from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from fastbridge.model.attempt import Attempt
from fastbridge.model.errors import model_error
from fastbridge.model.socket import MODEL_BUFFER_BYTES
from fastbridge.node.dialler import CONNECT_SECONDS
from fastbridge.sim.channel import Channel, SessionT
from fastbridge.sim.disruption import NO_CLOSE_FRAME, Obstacle, Refuse, Unreachable
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Scenario
from fastbridge.testing.loop import MS, VirtualLoop

LATENCY_MS = 15.0
"""One way, between the node and the service."""
HANDSHAKE_MS = 90.0
KERNEL_BYTES = 200_000
"""What the two kernels take before the node's own buffer fills."""
UNREACHABLE: dict[str, Callable[[], Exception]] = {
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


class VirtualModel:
    """The service of one call: `sessions` are all there were, `attempts` the moments at which the node dialled, in ms.

    scenario: one for all sessions, or a function of the connection attempt's number. live: it speaks GPT-Live, and its
    sessions are `live_sessions`."""

    def __init__(
        self, loop: VirtualLoop, scenario: Scenario | Callable[[int], Scenario], *, live: bool = False
    ) -> None:
        self.loop = loop
        self.live = live
        self.attempts: list[float] = []
        self.wires: list[Wire[ModelSession]] = []
        self.live_wires: list[Wire[LiveSession]] = []
        self._script: Callable[[int], Scenario] = (lambda _: scenario) if isinstance(scenario, Scenario) else scenario
        self._began_ns = loop.now_ns
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def sessions(self) -> list[ModelSession]:
        return [wire.session for wire in self.wires]

    @property
    def live_sessions(self) -> list[LiveSession]:
        return [wire.session for wire in self.live_wires]

    @property
    def errors(self) -> list[str]:
        """What the service refused, over all sessions."""
        sessions = [each.errors for each in self.sessions] + [each.errors for each in self.live_sessions]
        return [f"session {index}: {error}" for index, errors in enumerate(sessions) for error in errors]

    @property
    def clock_ms(self) -> float:
        return self.loop.now_ns / MS

    @property
    def now_ms(self) -> float:
        return (self.loop.now_ns - self._began_ns) / MS

    def dial(self, attempt: Attempt) -> None:
        """What a Call dials with."""
        number = len(self.attempts)
        self.attempts.append(self.now_ms)
        scenario = self._script(number)
        obstacle = scenario.on_connect(number) if scenario.on_connect is not None else None
        if obstacle is None:
            self._later(HANDSHAKE_MS / 1000, self._connected, attempt, scenario)
        else:
            seconds, error = failure(obstacle)
            self._later(seconds, attempt.on_model_failed, model_error(error))

    def close(self) -> None:
        """Nobody will be answered any more."""
        for timer in self._timers:
            timer.cancel()
        for wire in self.wires:
            wire.stop()
        for live in self.live_wires:
            live.stop()

    def _connected(self, attempt: Attempt, scenario: Scenario) -> None:
        unix_s = UNIX_S + self.now_ms / 1000
        if self.live:
            stored = next((each for each in self.live_sessions if each.id == attempt.continues), None)
            serial = len(self.live_wires)
            live = LiveSession(scenario, self.clock_ms, serial=serial, unix_s=unix_s, stored=stored)
            self.live_wires.append(Wire(self, live, attempt))
            self.live_wires[-1].begin()
        else:
            session = ModelSession(scenario, self.clock_ms, serial=len(self.wires), unix_s=unix_s)
            self.wires.append(Wire(self, session, attempt))
            self.wires[-1].begin()

    def _later(self, seconds: float, callback: Callable[..., object], *arguments: object) -> None:
        def run() -> None:
            self._timers.discard(handle)
            callback(*arguments)

        handle = self.loop.call_later(seconds, run)
        self._timers.add(handle)


class Wire(Generic[SessionT]):
    """One connection to the service, the node's end of it: a ModelLink of the call. over_ms: when it ended, by
    whomever, as the model counts."""

    def __init__(self, model: VirtualModel, session: SessionT, attempt: Attempt) -> None:
        self.channel = Channel(session, model.clock_ms)
        self.session = session
        self.hung_up = False
        self.over_ms = -1.0
        self._model = model
        self._attempt = attempt
        self._feed: Callable[[bytes], object] = attempt.feed_message
        self._up: deque[tuple[float, bytes, bool]] = deque()
        self._down: deque[tuple[float, str]] = deque()
        self._close_at_ms: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._unread_bytes = 0
        self._paused = False
        self._over = False

    def begin(self) -> None:
        """The connection is there."""
        self._attempt.on_model_connected(self)
        if not self.hung_up:
            self.wake()

    # What the call does.

    def write(self, frame: bytes) -> None:
        self._send(frame, framed=True)

    def send_text(self, message: bytes) -> None:
        self._send(message, framed=False)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self.wake()

    def untaken_bytes(self) -> int:
        return max(0, self._unread_bytes - KERNEL_BYTES)

    def redirect(self, sink: object, feed_message: Callable[[bytes], object]) -> None:
        self._feed = feed_message

    def hang_up(self) -> None:
        assert not self.hung_up, "hung up twice"
        self.hung_up = True
        self.session.client_closed = (1000, "")
        self.stop()

    def stop(self) -> None:
        if not self._over:
            self._over = True
            self.over_ms = self._model.now_ms
        if self._timer is not None:
            self._timer.cancel()

    # What the network does.

    def wake(self) -> None:
        """Something may be due."""
        if self._timer is not None:
            self._timer.cancel()
        if self._over:
            return
        dues = [self.channel.next_due_ms() if self._close_at_ms is None else None]
        if not self._down:  # the end comes behind what is still to be read
            dues.append(self._close_at_ms)
        if self._up:
            dues.append(max(self._up[0][0], self.channel.deaf_until_ms))
        if self._down and self._reading:
            dues.append(self._down[0][0])
        due_ms = min((due for due in dues if due is not None), default=None)
        if due_ms is not None:
            self._timer = self._model.loop.call_later(max(0.0, due_ms - self._model.clock_ms) / 1000, self._run)

    def _send(self, raw: bytes, *, framed: bool) -> None:
        assert not self.hung_up, "written after the hang-up"
        if self._over:
            return
        self._up.append((self._model.clock_ms + LATENCY_MS, raw, framed))
        self._unread_bytes += len(raw)
        if not self._paused and self._unread_bytes > KERNEL_BYTES + MODEL_BUFFER_BYTES:
            self._paused = True
            self._attempt.on_model_paused(True)
        self.wake()

    def _run(self) -> None:
        now_ms = self._model.clock_ms
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
        self.wake()

    def _take_up(self, now_ms: float) -> None:
        while self._up and self._up[0][0] <= now_ms and self.channel.deaf_until_ms <= now_ms:
            _, raw, framed = self._up.popleft()
            self._unread_bytes -= len(raw)
            self.channel.receive(unframed(raw, masked=True) if framed else raw.decode(), now_ms)
        if self._paused and self._unread_bytes < KERNEL_BYTES:
            self._paused = False
            self._attempt.on_model_paused(False)


def failure(obstacle: Obstacle) -> tuple[float, Exception]:
    """After how many seconds the node's dialling fails, and with what."""
    if isinstance(obstacle, Refuse):
        kind = "invalid_request_error" if obstacle.status < 500 else "server_error"
        body = {"error": {"message": obstacle.message, "type": kind, "param": None, "code": obstacle.code}}
        headers = Headers({"Content-Type": "application/json"})
        response = Response(obstacle.status, "Refused", headers, json.dumps(body).encode())
        return (HANDSHAKE_MS + obstacle.delay_ms) / 1000, InvalidStatus(response)
    if isinstance(obstacle, Unreachable):
        return 0.02 + obstacle.delay_ms / 1000, UNREACHABLE[obstacle.why]()
    return CONNECT_SECONDS, TimeoutError()
