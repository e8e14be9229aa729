"""The carrier's media socket: its transport to a lane, and back. `websockets` speaks the protocol.

CarrierSocket is uvicorn's `ws=` class: it admits a media stream (path token, signature, caps, size, start deadline)
before anything costly exists. Audio and other messages are handled in order, in `data_received`. A socket is closed
once, from any path.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from websockets.frames import DATA_OPCODES, Frame
from websockets.http11 import Request
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol

from fastbridge._websocket import FrameReader, TextSink
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.json_text import parse_event
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.carrier.port import Conversation, Host
from fastbridge.carrier.twilio.messages import Start, parse_start
from fastbridge.carrier.twilio.signature import valid_handshake
from fastbridge.net.connections import peer_of
from fastbridge.net.fragments import CLOSE_GRACE_SECONDS, Messages, heed_close
from fastbridge.net.outgoing import WiredTransport
from fastbridge.observe import notices

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from fastbridge._reactor import Source
    from fastbridge.carrier.admission import Admission

logger = logging.getLogger(__name__)

MAX_CARRIER_MESSAGE_BYTES = 65_536
MAX_FRAGMENTS = 64
"""Fragments of one message: Twilio sends none."""
MAX_CONTROL_PER_SECOND = 10
MAX_FRAMES_PER_SECOND = 100
"""That are no whole text: control frames and fragments."""
MAX_EARLY_MESSAGES = 64
"""Before the call. Twilio sends two."""
READ_BYTES = 8192
"""At most a tick, of one socket: as much as Twilio sends in half a second."""
SIP_SECONDS = 0.002
"""Between two readings of one that is not listened to any more."""
FRAME_DEADLINE_SECONDS = 5.0
"""A frame whose rest has not come by then never will."""
CARRIER_BUFFER_BYTES = 32_768
"""Written to Twilio and not taken: about 2 s of audio. Beyond, pacing pauses."""
NOTHING_HERE = "there is nothing here"
UNKNOWN_TOKEN = "the stream token is unknown, spent or expired"
WRONG_SIGNATURE = "the signature is wrong"
TOKEN_FAULTS: dict[str, str] = {
    "token_unknown": "its token is unknown: it is none of this process's",
    "token_spent": "its token was used before, or its call is over",
    "token_expired": "its token has expired: FASTBRIDGE_STREAM_TOKEN_SECONDS after the webhook",
}
"""In words, for the log. Who comes with one is not told which."""


class CarrierSocket(asyncio.Protocol):
    """One media stream of Twilio's: handshake, admission, then a call."""

    def __init__(self, config: "Config", server_state: "ServerState", app_state: dict[str, Any]) -> None:
        self._node: Host = app_state["node"]
        self._connections = server_state.connections
        self._protocol = ServerProtocol(max_size=MAX_CARRIER_MESSAGE_BYTES)
        self._messages = Messages()
        self._reader = FrameReader(
            server=True,
            max_size_bytes=MAX_CARRIER_MESSAGE_BYTES,
            on_text=self._on_early_text,
            on_other=self._on_other,
            on_bad_text=self._on_bad_text,
        )
        self._call: Conversation | None = None
        self._admission: Admission | None = None
        self._accepted = False
        self._ip = ""
        self._counted = False
        self._closed = False
        self._source: Source | None = None  # while the call lives, the node's reactor reads for us
        self._early_messages = 0
        self._frames = 0  # in this second, that were no whole text
        self._control_frames = 0
        self._frames_since = -math.inf
        self._frame_started: int | None = None  # text frames read when the incomplete one was first seen
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = WiredTransport(cast(asyncio.Transport, transport))
        self._wire = self._transport.wire
        self.write = self._wire
        self._transport.set_write_buffer_limits(high=CARRIER_BUFFER_BYTES)
        self._ip = peer_of(transport)
        self._connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """The request head, which the HTTP server hands over. All later bytes go to the reader directly."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._on_request(event)
        if self._protocol.handshake_exc is not None and not self._closed:
            self._reject(HTTPStatus.BAD_REQUEST, "bad request")
        # uvicorn makes this the transport's protocol right after this call: uvloop then takes the reader's method.
        self.data_received = self._reader.feed  # type: ignore[method-assign]

    def eof_received(self) -> bool:
        self._reader.finish()
        return False

    def pause_writing(self) -> None:
        if self._call is not None:
            self._call.on_carrier_paused(True)

    def resume_writing(self) -> None:
        if self._call is not None:
            self._call.on_carrier_paused(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._release()
        self._wire.close()
        self._connections.discard(self)
        self._node.connections.leave(self._transport.transport)
        for timer in self._timers.values():
            timer.cancel()
        if self._counted:
            self._node.directory.disconnected(self._ip)
        self._lose(EndReason.NO_STREAM, "it closed before its start")
        if self._call is not None:
            self._call.on_carrier_closed()
        self._node.retire(self._protocol, self, at_once=self._call is None)

    def shutdown(self) -> None:
        """The server stops, which it does when it has drained or when it must."""
        if self._call is not None:
            self._call.close(EndReason.SHUTDOWN)
        self.close(1001, "shutting down")

    # --- handshake ---

    def _on_request(self, request: Request) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            self._reject(*refusal)
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._flush()
        if self._protocol.state is not OPEN:
            self._closed = True
            self._transport.close()
            return
        self._accepted = True
        self._later("start", self._node.settings.start_deadline_seconds, self._start_expired)
        self._later("frame", FRAME_DEADLINE_SECONDS, self._check_frame)

    def _refusal(self, request: Request) -> tuple[HTTPStatus, str] | None:
        """Why this handshake is refused, if it is; the cheapest questions first."""
        node = self._node
        path = request.path
        if not path.startswith(MEDIA_PATH):
            return HTTPStatus.NOT_FOUND, NOTHING_HERE
        self._ip = node.connections.client(self._ip, request.headers.get_all("X-Forwarded-For"))
        if not node.directory.connected(self._ip):
            node.connections.turned_away("connections", "a stream was refused", self._ip, counted=True)
            return HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"
        self._counted = True
        found = node.directory.judge(path.removeprefix(MEDIA_PATH).rstrip("/"))
        if isinstance(found, str):
            node.directory.refuse(found)
            node.connections.now_and_then(found, notices.stream_refused, TOKEN_FAULTS[found], address=self._ip or "-")
            return HTTPStatus.FORBIDDEN, UNKNOWN_TOKEN
        self._admission = found
        secret = node.settings.twilio_auth_token
        if secret is None:
            return None
        signature = request.headers.get_all("X-Twilio-Signature")
        public_url = node.settings.public_url
        if len(signature) != 1 or not valid_handshake(secret.get_secret_value(), public_url, path, signature[0]):
            node.directory.refuse("handshake_signature")
            logger.warning("[SERVER_ERROR] a media handshake was not signed for %s", public_url)
            return HTTPStatus.FORBIDDEN, WRONG_SIGNATURE
        return None

    def _reject(self, status: HTTPStatus, text: str) -> None:
        # Not by `send_response`: a head that the library could not read has ended its protocol already.
        self._wire.write(self._protocol.reject(status, text + "\n").serialize())
        self._closed = True
        self._transport.close()

    # --- messages ---

    def _on_early_text(self, message: bytes) -> None:
        """Before the call: `connected`, then `start`. Anything else is nobody's."""
        self._early_messages += 1
        if self._early_messages > MAX_EARLY_MESSAGES:
            self._node.directory.refuse("bad_start")
            self.close(1008, "no start")
            return
        event = parse_event(message)
        if event is None or event.get("event") != "start":
            return
        start = parse_start(event)
        admission = self._redeem(start)
        if isinstance(start, str) or admission is None:
            why = start if isinstance(start, str) else "it is another call's or account's"
            self._node.directory.refuse("bad_start")
            self._lose(EndReason.STREAM_REFUSED, why)
            self.close(1008, "start refused")
            return
        self._cancel("start")
        self._call = self._node.begin_call(self, admission, start)
        self._reader.redirect(self._call.caller.sink)
        self._call.start()
        if self._node.reactor is not None and not self._closed:
            self._source = self._node.reactor.adopt(
                cast(asyncio.Transport, self._transport), self._reader, read_bytes=READ_BYTES
            )

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.release()

    def _redeem(self, start: Start | str) -> "Admission | None":
        if isinstance(start, str) or self._admission is None:
            return None
        return self._node.directory.redeem(self._admission.token, start.call_sid, start.account_sid)

    def _lose(self, reason: EndReason, why: str) -> None:
        """The call that this stream was for will not begin."""
        if self._call is None and self._accepted and self._admission is not None:
            self._node.directory.lose(self._admission.call_sid, reason, why)

    def _on_other(self, data: bytes) -> bool:
        """Everything but regular text frames: the library's. True while it stands between messages."""
        if self._closed and self._count(control=False):
            self._turn_deaf()
            return False
        heed_close(self._protocol, data)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)
        self._flush()
        state: State = self._protocol.state
        if state is not OPEN:
            self._end()
        if self._protocol.close_rcvd is not None:
            self._release()
            self._transport.close()
        return state is OPEN and not self._messages.pending

    def _on_bad_text(self) -> None:
        if self._closed:
            self._turn_deaf()
        self.close(1007, "not UTF-8")

    def _count(self, *, control: bool) -> bool:
        """A frame that is no whole text; True if there were too many in a second."""
        now = asyncio.get_running_loop().time()
        if now - self._frames_since >= 1.0:
            self._frames_since = now
            self._control_frames = self._frames = 0
        self._frames += 1
        self._control_frames += control
        return self._control_frames > MAX_CONTROL_PER_SECOND or self._frames > MAX_FRAMES_PER_SECOND

    def _on_frame(self, frame: Frame) -> None:
        control = frame.opcode not in DATA_OPCODES
        if self._count(control=control):
            if self._closed:
                self._turn_deaf()
            self.close(1008, "too many control frames" if control else "too many fragments")
            return
        if control or self._closed:
            return
        message = self._messages.feed(frame)
        if self._messages.fragments > MAX_FRAGMENTS:
            self.close(1009, "too many fragments")
        elif message is not None:
            self._on_message(*message)

    def _on_message(self, is_text: bool, message: bytes) -> None:
        """One that came off the fast lane."""
        if not is_text:
            self.close(1003, "only text is understood")
        elif self._call is not None:
            self._call.caller.feed_message(message)
        else:
            self._on_early_text(message)

    # --- the call's side ---

    def close(self, code: int, reason: str) -> None:
        """Close the stream, once. Twilio goes on with the TwiML behind the stream.

        1000 waits for the peer's close frame. Any other code is a verdict: what the peer still says is not even parsed.
        """
        if self._closed:
            return
        if self._protocol.state is OPEN and code == 1000:
            self._protocol.send_close(code, reason)
        elif self._protocol.state is OPEN:
            self._protocol.fail(code, reason)
        self._flush()
        self._end(listening=code == 1000)

    def _end(self, *, listening: bool = False) -> None:
        """The stream is over. What still comes is read and dropped until the peer has closed its end, too, or its time
        is up: closing with unread data would reset the connection and could take our close frame with it.

        listening: for its close frame. Else nothing of it is parsed any more."""
        if self._closed:
            return
        self._closed = True
        self._reader.redirect(TextSink())
        if not listening:
            self._turn_deaf()
        if self._call is not None:
            hung_up = self._protocol.close_rcvd is not None
            self._call.close(EndReason.CUSTOMER_HANGUP if hung_up else EndReason.CARRIER_PROTOCOL)
        self._later("close", CLOSE_GRACE_SECONDS, self._abort)

    def _turn_deaf(self) -> None:
        """What still comes is dropped, one bounded reading a turn: by the reactor, or else by the transport."""
        self._reader.discard()
        if self._source is None and not self._transport.is_closing():
            self.data_received = self._sip  # type: ignore[method-assign]
            self._transport.set_protocol(self)  # uvloop has kept the reader's method

    def _sip(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()
            self._later("sip", SIP_SECONDS, self._transport.resume_reading)

    def _abort(self) -> None:
        self._release()
        self._transport.abort()

    def _flush(self) -> None:
        for chunk in self._protocol.data_to_send():
            if chunk:
                self._wire.write(chunk)
            elif not self._transport.is_closing():
                # Our end is closed, theirs not yet: they read our close frame, whatever of theirs we have not read.
                self._wire.close()
                if self._transport.can_write_eof():  # TLS has no half-closed state
                    self._transport.write_eof()

    # --- deadlines ---

    def _later(self, name: str, seconds: float, callback: Callable[[], object]) -> None:
        self._cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, callback)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _start_expired(self) -> None:
        self._node.directory.refuse("start_deadline")
        self._lose(EndReason.NO_STREAM, "it sent no start")
        self.close(1008, "no start")

    def _check_frame(self) -> None:
        if self._reader.pending_bytes and self._frame_started == self._reader.text_frames:
            self.close(1008, "a frame was not finished")
            return
        self._frame_started = self._reader.text_frames if self._reader.pending_bytes else None
        self._later("frame", FRAME_DEADLINE_SECONDS, self._check_frame)
