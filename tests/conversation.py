"""Whole conversations on virtual time: a real Call between the simulated carrier and the simulated model."""

import asyncio
from typing import Any

from fastbridge.agent import Agent
from fastbridge.sim.carrier import CarrierStream
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Scenario
from helpers import MS, QUIET, SID
from virtual import Rig

DIAL_SECONDS = 0.1


class Conversation(Rig):
    """The caller's line sends a frame every 20 ms: what `says` has put there, else silence."""

    def __init__(self, scenario: Scenario, agent: Agent | None = None, **settings: Any) -> None:
        super().__init__(agent, **settings)
        self.stream = CarrierStream(
            call_sid=self.call.call_sid, account_sid="AC" + "0" * 32, stream_sid=SID.decode(), start_ms=self._clock_ms
        )
        self.session = ModelSession(scenario, self._clock_ms)
        self._speech: list[bytes] = []
        self._line: asyncio.TimerHandle | None = None
        self._dialling: asyncio.TimerHandle | None = None
        self._model_timer: asyncio.TimerHandle | None = None

    @property
    def _clock_ms(self) -> float:
        return self.loop.now_ns / MS

    def begin_call(self) -> "Conversation":
        self.stream.start_messages()
        self.do(self.call.start)
        self.do(self.loop.call_later, 0, self._tick)
        self._dialling = self.do(self.loop.call_later, DIAL_SECONDS, self._dialled)
        return self

    def says(self, audio: bytes) -> None:
        """The caller begins to say this now."""
        self._speech += [audio[at : at + 160].ljust(160, b"\xff") for at in range(0, len(audio), 160)]

    def run(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def run_until(self, what: Any, limit_seconds: float = 60) -> None:
        """Until `what()` is true."""
        until = self.loop.time() + limit_seconds
        while not what():
            assert self.loop.time() < until, "it never came to that"
            self.loop.advance(0.02)

    def hang_up(self) -> None:
        self.carrier(self.stream.stop().encode())

    def shut(self) -> None:
        for timer in (self._line, self._dialling, self._model_timer):
            if timer is not None:
                timer.cancel()
        super().shut()
        assert self.stream.errors == []
        assert self.session.errors == []

    def record(self, to: str, raw: bytes, *, framed: bool) -> None:
        super().record(to, raw, framed=framed)
        message = self.journal[-1].text
        if to == "carrier":
            self.stream.receive(message, self._clock_ms)
            self.loop.call_soon(self._echo)
        else:
            self.session.receive(message, self._clock_ms)
            self._wake_model()

    # --- the carrier ---

    def _tick(self) -> None:
        if not self.call.live:
            return
        self._echo()
        frame = self._speech.pop(0) if self._speech else QUIET
        self.call.caller.feed_message(self.stream.media(frame).encode())
        self._line = self.loop.call_later(0.02, self._tick)

    def _echo(self) -> None:
        for echo in self.stream.poll(self._clock_ms):
            if self.call.live:
                self.call.caller.feed_message(echo.encode())

    # --- the model ---

    def _dialled(self) -> None:
        self.model_links.append(self.model_link)
        self.attempt.on_model_connected(self.model_link)
        self._model_speaks()

    def _model_speaks(self) -> None:
        for text in self.session.poll(self._clock_ms):
            if self.call.live:
                self.call.assistant.feed_message(text.encode())
        self._wake_model()

    def _wake_model(self) -> None:
        if self._model_timer is not None:
            self._model_timer.cancel()
        due_ms = self.session.next_due_ms()
        if due_ms is not None and self.call.live:
            self._model_timer = self.loop.call_later(max(0.0, due_ms - self._clock_ms) / 1000, self._model_speaks)
