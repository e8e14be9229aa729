"""The model's WebSocket, made by the official SDK: its transport to a lane, and back. `websockets` speaks the protocol.

Audio and events are handled in order, in `data_received`: an event that went through a queue would be overtaken by
audio. The socket is closed once, from any path.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Close, Frame
from websockets.protocol import CLOSING, OPEN, Event

from fastbridge._websocket import FrameReader, TextSink, text_frame
from fastbridge.net.fragments import CLOSE_GRACE_SECONDS, Messages, heed_close
from fastbridge.net.outgoing import WiredTransport

if TYPE_CHECKING:
    from fastbridge._reactor import Reactor, Source

MAX_MODEL_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_MODEL_FRAGMENTS = 4096
"""Fragments of one message."""
MODEL_BUFFER_BYTES = 1_048_576
"""Written to the model and not taken: more than the pre-roll of 20 s at once."""


class ModelListener(Protocol):
    """What a RealtimeSocket tells: an Attempt."""

    def on_model_paused(self, paused: bool) -> None: ...
    def on_model_lost(self, code: int, reason: str) -> None: ...


class RealtimeSocket(ClientConnection):
    """The model's WebSocket: a ClientConnection of `websockets` whose regular text frames go straight to a lane.

    Nobody calls `recv`: every message is handled in `data_received`, audio and events in the order they came.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        *,
        sink: TextSink | Callable[[bytes], object],
        feed_message: Callable[[bytes], object],
        listener: ModelListener,
        **options: Any,
    ) -> None:
        super().__init__(protocol, **options)
        self._feed_message = feed_message
        self._listener = listener
        self._messages = Messages()
        self._hung_up = False
        self._source: Source | None = None
        self._reader = FrameReader(
            server=False,
            max_size_bytes=MAX_MODEL_MESSAGE_BYTES,
            on_text=sink,
            on_other=self._on_other,
            on_bad_text=self._on_bad_text,
            handshake=True,
        )
        self.data_received = self._reader.feed  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        wired = WiredTransport(cast(asyncio.Transport, transport))
        self.transport = cast(asyncio.Transport, wired)
        self._wire = wired.wire
        self.write = self._wire

    def adopted_by(self, reactor: "Reactor") -> None:
        """The session is up: from now on the reactor reads for us."""
        if not self._hung_up:
            self._source = reactor.adopt(self.transport, self._reader)

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.release()

    def _on_other(self, data: bytes) -> bool:
        heed_close(self.protocol, data)
        super().data_received(data)
        if self.protocol.state is CLOSING:
            self._lose()
        return self.protocol.state is OPEN and not self._messages.pending and not self.protocol.extensions

    def _on_bad_text(self) -> None:
        self.protocol.fail(1007, "not UTF-8")
        self.send_data()
        self._lose()

    def process_event(self, event: Event) -> None:
        if self.response is None or not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        message = self._messages.feed(event)
        if message is not None:
            self._on_message(*message)
        elif self._messages.fragments > MAX_MODEL_FRAGMENTS:
            self.protocol.fail(1009, "too many fragments")
            self.send_data()

    def _on_message(self, is_text: bool, message: bytes) -> None:
        """One that came off the fast lane."""
        if is_text:
            self._feed_message(message)

    def eof_received(self) -> None:
        self._reader.finish()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        self._reader.finish()
        opened = self.response is not None and self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        super().connection_lost(exc)
        self._wire.close()
        if opened:
            self._lose()

    def _lose(self) -> None:
        """The session is over, and not by us. That the peer closes its end may take its time: nobody waits for it."""
        if self._hung_up:
            return
        self._reader.discard()
        self.hang_up()
        close = self.protocol.close_rcvd or self.protocol.close_sent or Close(1006, "")
        self._listener.on_model_lost(close.code, close.reason)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._listener.on_model_paused(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._listener.on_model_paused(False)

    # --- the call's side ---

    def send_text(self, message: bytes) -> None:
        """One text message, in order with the audio."""
        if self.protocol.state is OPEN:
            self.write(text_frame(message, mask=True))

    def untaken_bytes(self) -> int:
        return self._wire.untaken_bytes()

    def redirect(self, sink: TextSink | Callable[[bytes], object], feed_message: Callable[[bytes], object]) -> None:
        self._feed_message = feed_message
        self._reader.redirect(sink)

    def pause_reading(self) -> None:
        if self._source is not None:
            self._source.pause()
        else:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._source is not None:
            self._source.resume()
        else:
            self.transport.resume_reading()

    def hang_up(self) -> None:
        """Close, once, without waiting: the peer has CLOSE_GRACE_SECONDS to answer. What it still says is nobody's: the
        call may have another session by then."""
        if self._hung_up:
            return
        self._hung_up = True
        self.redirect(_nobody, _nobody)
        self._release()
        if self.protocol.state is OPEN:
            self.protocol.send_close(1000)
            self.send_data()
        self.loop.call_later(CLOSE_GRACE_SECONDS, self.transport.abort)


def _nobody(message: bytes) -> None:
    """Hears of it."""
