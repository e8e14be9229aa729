"""The two sockets of production as echoes, for the Autobahn test suite: same reader, same wire, same limits.

What is left out is what a call would need: admission and `start` at the carrier's, the SDK at the model's. What is new
is that a message is sent back, a binary one, too, which a call refuses or drops. No limit of the protocol is changed.
"""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from fastbridge._reactor import Reactor
from fastbridge._websocket import text_frame
from fastbridge.carrier.twilio.media_socket import READ_BYTES, CarrierSocket
from fastbridge.model.socket import MAX_MODEL_MESSAGE_BYTES, RealtimeSocket

TICK_SECONDS = 0.00187
CASE_SECONDS = 60.0


async def tick(reactor: Reactor) -> None:
    """What the node's own loop does while calls are live."""
    while True:
        reactor.run()
        await asyncio.sleep(TICK_SECONDS)


class EchoCarrier(CarrierSocket):
    """The carrier's. From its first message on the reactor reads for it, as from the beginning of a call."""

    def __init__(self, reactor: Reactor) -> None:
        node = MagicMock()  # counts connections and is told of ends: nobody asks
        node.reactor = reactor
        node.settings.start_deadline_seconds = CASE_SECONDS
        super().__init__(cast(Any, None), cast(Any, SimpleNamespace(connections=set())), {"node": node})

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._transport.set_protocol(self)  # as uvicorn does behind the request's head

    def _refusal(self, request: Request) -> None:
        return None

    def _on_early_text(self, message: bytes) -> None:
        self._wire.write(text_frame(message, mask=False))
        if self._source is None and not self._closed:
            transport = cast(asyncio.Transport, self._transport)
            self._source = self._node.reactor.adopt(transport, self._reader, read_bytes=READ_BYTES)

    def _on_message(self, is_text: bool, message: bytes) -> None:
        if is_text:
            self._on_early_text(message)
        else:
            self._wire.write(Frame(Opcode.BINARY, message).serialize(mask=False))


async def serve(reactor: Reactor) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: EchoCarrier(reactor), "127.0.0.1", 0)


class EchoModel(RealtimeSocket):
    """The model's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.heard: list[bytes] = []
        super().__init__(*args, sink=self._echo, feed_message=self._echo, listener=MagicMock(), **options)

    def _echo(self, message: bytes) -> None:
        self.heard.append(message)
        self.send_text(message)

    def _on_message(self, is_text: bool, message: bytes) -> None:
        if is_text:
            self._echo(message)
        else:
            self.write(Frame(Opcode.BINARY, message).serialize(mask=True))


async def converse(url: str, reactor: Reactor) -> list[bytes]:
    """Echo until the peer has had enough. The text messages it sent."""
    options: dict[str, Any] = {"compression": None, "max_queue": None, "ping_interval": None, "proxy": None}
    socket = await connect(url, create_connection=EchoModel, max_size=MAX_MODEL_MESSAGE_BYTES, **options)
    assert isinstance(socket, EchoModel)
    socket.adopted_by(reactor)
    async with asyncio.timeout(CASE_SECONDS):
        await socket.wait_closed()
    return socket.heard
