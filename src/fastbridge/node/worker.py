"""A worker of `fastbridge serve --workers N`: a node that listens nowhere. The switchboard gives it its connections.

When the switchboard is gone it takes no new calls, finishes those it has, and ends.
"""

import asyncio
import contextlib
import json
import signal
import socket
from typing import Any

import uvicorn
import uvloop

from fastbridge.agent.definition import Agent
from fastbridge.config import Settings
from fastbridge.net.handover import Line
from fastbridge.net.http_socket import WebhookSocket
from fastbridge.node.dispatch import CLOSE, token_prefix
from fastbridge.node.node import Node
from fastbridge.node.server import Server, create_app, server_config
from fastbridge.node.switchboard import COLLECT, CONNECTION, PING, READY, SNAPSHOT, share
from fastbridge.observe import log_policy as log


class HandedOver(WebhookSocket):
    """A connection of which some has been read by another process."""

    def __init__(self, data: bytes, **given: Any) -> None:
        super().__init__(**given)
        self._data = data

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._data:  # nothing would be taken for the end of the stream
            self.data_received(self._data)


class WorkerServer(Server):
    """uvicorn without a socket of its own. end: this side of the line to the switchboard."""

    def __init__(self, config: uvicorn.Config, node: Node, end: socket.socket) -> None:
        super().__init__(config, node)
        self._node = node
        self._end = end
        self._line: Line | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self._line = Line(self._end, self._on_message, self._on_switchboard_gone)
        self._line.send(READY)

    def _on_message(self, letter: str, payload: bytes, connection: socket.socket | None) -> None:
        if letter == CONNECTION and connection is not None:
            self._node.arrived()  # here, since the line, too, is read one by one
            self._node.spawn(self._take(payload, connection))
        elif letter == PING and self._line is not None:
            self._line.send(PING)
        elif letter == COLLECT:
            self._node.spawn(self._report())

    async def _take(self, data: bytes, connection: socket.socket) -> None:
        def protocol() -> HandedOver:
            return HandedOver(data, config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        except OSError:  # it was reset on its way
            connection.close()

    async def _report(self) -> None:
        snapshot = await self._node.collect()
        if self._line is not None:
            self._line.send(SNAPSHOT, json.dumps(snapshot).encode())

    def _on_switchboard_gone(self) -> None:
        self.handle_exit(signal.SIGTERM, None)


def run(settings: Settings, agent: Agent, *, number: int, line: int, again: bool) -> None:
    """Until a signal, or until the switchboard is gone and the last call has ended. line: the file descriptor of this
    end. again: in the place of one that died."""
    settings = share(settings)
    app = create_app(settings, agent, token_prefix=token_prefix(number), successor=again)
    config = server_config(app, settings, http=WebhookSocket, headers=[CLOSE])
    server = WorkerServer(config, app.state.node, socket.socket(fileno=line))
    log.log_uncaught()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())
