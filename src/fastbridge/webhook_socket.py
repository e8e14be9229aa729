"""HTTP as uvicorn speaks it, with deadlines, and a note of when each request came.

`app_state` has `refuse`, which counts what was refused; a request's state has its `arrival`.
"""

import asyncio
import time

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastbridge.arrival import Arrival, came_ns

HEAD_SECONDS = 5.0
BODY_SECONDS = 7.0
"""How long a request's head and body may take. Webhooks answer to a slow body before that."""


class WebhookSocket(H11Protocol):
    """HTTP as uvicorn speaks it, but it does not wait for ever: not for a head, nor for a body that nobody reads."""

    _phase: object = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._arrival = Arrival()
        self.app_state = {**self.app_state, "arrival": self._arrival}
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        before, came = self.conn.their_state, came_ns(self.transport)
        super().data_received(data)
        if before is h11.IDLE and self.conn.their_state is not h11.IDLE:
            self._arrival.head(came)
        if before in (h11.IDLE, h11.SEND_BODY) and self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._arrival.body(came)
        self._watch()

    def on_response_complete(self) -> None:
        self._arrival.head(time.monotonic_ns())  # of a next one that is here already: until now it had to wait
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What has come is no HTTP. If it is the body of a request that is being answered, its app is told that the
        client is gone; an answer that has begun, or was given, is the last."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """A media stream goes on for as long as its call: its deadlines are the media socket's."""
        super().handle_websocket_upgrade(event)
        self._set_deadline(None)
        self._phase = self.conn.their_state

    def _watch(self) -> None:
        """A deadline for each phase of a request, from the phase's beginning. Between requests uvicorn has its own."""
        phase = self.conn.their_state
        if phase is not self._phase:
            self._phase = phase
            self._set_deadline({h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(phase))

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._expire) if seconds is not None else None

    def _expire(self) -> None:
        self.app_state["refuse"]("slow")
        self.transport.abort()
