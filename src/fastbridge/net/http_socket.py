"""HTTP as uvicorn speaks it, with deadlines, behind a gate, and a note of when each request came.

`app_state` has the process's `connections`, which are told what each is doing, and count what was refused; a request's
state has its `arrival`.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fastbridge.base.refusals import Reason
from fastbridge.net.arrival import Arrival, came_ns
from fastbridge.net.connections import Connections, Doing, peer_of
from fastbridge.net.http_gate import HttpGate
from fastbridge.net.problems import refusal
from fastbridge.observe import notices

HEAD_SECONDS = 5.0
BODY_SECONDS = 7.0
"""How long a request's head and body may take. Webhooks answer to a slow body before that."""
TAKE_SECONDS = 8.0
"""How long a client may leave an answer untaken."""
REASONS: dict[HTTPStatus, Reason] = {HTTPStatus.LENGTH_REQUIRED: "no_length", HTTPStatus.BAD_REQUEST: "no_length"}
DOING: dict[str, Doing] = {
    "silent": "silent",
    "head": "unfinished",
    "body": "unfinished",
    "answering": "busy",
    "upgraded": "busy",
    "between": "idle",
}


class SeldomLogger:
    """The library's logger, whose warnings a stranger can cause: they are said now and then, by us."""

    def __init__(self, logger: logging.Logger, connections: Connections, ip: str) -> None:
        self._logger, self._connections, self._ip = logger, connections, ip

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    def warning(self, message: str, *values: object) -> None:
        what = " ".join((message % values if values else message).split())[:80].rstrip(".")
        self._connections.now_and_then("no_http", notices.no_http, what, address=self._ip or "-")


class WebhookSocket(H11Protocol):
    """HTTP as uvicorn speaks it, but it does not wait for ever, neither for a head nor for a body that nobody reads,
    and it does not parse what would take long."""

    _phase = ""
    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _held = b""  # a request that waits for its turn

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._arrival = Arrival()
        self.app_state = {**self.app_state, "arrival": self._arrival}
        super().connection_made(transport)
        self._gate = HttpGate()
        self._met: object = None
        self._connections: Connections = self.app_state["connections"]
        self._ip = peer_of(transport)
        self.logger = SeldomLogger(self.logger, self._connections, self._ip)  # type: ignore[assignment]
        if self._connections.enter(transport, self._ip):
            self._watch()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        let_in, came = self._gate.feed(data), came_ns(self.transport)
        if self._held:
            self._held += let_in
        elif let_in and self.conn.their_state is h11.IDLE:
            self._held = let_in
            self._connections.turns.take(lambda: self._begin(came))
            self._watch()
        else:
            self._read(let_in, came)

    def _begin(self, came: int) -> None:
        """A request's turn has come."""
        held, self._held = self._held, b""
        if not self.transport.is_closing():
            self._read(held, came)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._gate.answered()
        if self._gate.hasty:
            self._connections.refuse("pipelined")
            self._leave()
        elif not self.transport.is_closing():
            self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._bound_taking(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._bound_taking(self.transport.is_closing())  # which waits for the client to take the rest, too

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._bound_taking(True)

    def _leave(self) -> None:
        self.transport.close()
        self._bound_taking(True)

    def _bound_taking(self, bounded: bool) -> None:
        """Whether the client has only so long to take what it has been given."""
        if self._untaken is not None:
            self._untaken.cancel()
        self._untaken = self.loop.call_later(TAKE_SECONDS, self._expire) if bounded else None

    def _read(self, data: bytes, came: int) -> None:
        """What the gate lets through, and when it came, in ns."""
        if data:
            cycle = self.cycle
            super().data_received(data)
            if self.cycle is not cycle:
                self._arrival.head(came)
            if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._arrival.body(came)
            self._meet()
        self._watch()
        if self._gate.refusal is not None and not self.transport.is_closing():
            self._turn_away(self._gate.refusal)

    def _turn_away(self, status: HTTPStatus) -> None:
        """Not by the library, which has seen nothing of the request. One that is being answered gets that answer."""
        self._connections.refuse(REASONS.get(status, "too_large"))
        if self.conn.our_state is h11.IDLE:
            body, kind = refusal(self._gate.path, status.value, f"{status.phrase}\n")
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self._bound_taking(False)
        self._connections.leave(self.transport)
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
        self._connections.is_doing(self.transport, "busy")
        super().handle_websocket_upgrade(event)
        self._set_deadline(None)
        self._bound_taking(False)
        self._phase = "upgraded"

    def _meet(self) -> None:
        """Whose a request is, once its head is there: its app has not begun yet."""
        if self.scope is not self._met and self._phase != "upgraded":
            self._met = self.scope
            said = [value.decode("latin-1") for name, value in self.headers if name == b"x-forwarded-for"]
            ip = self._connections.client(self._ip, said)
            self._connections.belongs_to(self.transport, ip)
            if self.client is not None:
                self.scope["client"] = (ip, self.client[1])

    def _watch(self) -> None:
        """A deadline for each phase of a request, from the phase's beginning. Between requests uvicorn has its own."""
        if self._phase == "upgraded":
            return
        before, self._phase = self._phase, self._current()
        if self._phase == before:
            return
        self._connections.is_doing(self.transport, DOING[self._phase])
        if (before, self._phase) != ("silent", "head"):  # which has been on since the connection
            self._set_deadline({"silent": HEAD_SECONDS, "head": HEAD_SECONDS, "body": BODY_SECONDS}.get(self._phase))

    def _current(self) -> str:
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        if self._gate.in_head or self._held:
            return "head"
        if self.cycle is not None and not self.cycle.response_complete:
            return "answering"
        return "silent" if self._phase in ("", "silent") else "between"

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._expire) if seconds is not None else None

    def _expire(self) -> None:
        self._connections.refuse("slow")
        self.transport.abort()
