"""The model's socket on a transport that only records: order, bounds, and that a loss is told at once, and once."""

import json

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from attacker import wire
from fastbridge._assistant import AssistantLane
from fastbridge._pacing import Pacer
from fastbridge.model import socket as model_socket
from fastbridge.model.socket import RealtimeSocket
from helpers import delta_json, read_frames
from recording_transport import Transport
from virtual import VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()
    assert loop.failures == []


def event(text: bytes) -> bytes:
    return wire(1, text, mask=False)


class Listener:
    def __init__(self) -> None:
        self.lost: list[tuple[int, str]] = []
        self.paused: list[bool] = []

    def on_model_lost(self, code: int, reason: str) -> None:
        self.lost.append((code, reason))

    def on_model_paused(self, paused: bool) -> None:
        self.paused.append(paused)


class Realtime:
    """One RealtimeSocket, its lane, and a server of `websockets` for its peer."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.transport = Transport()
        self.listener = Listener()
        self.events: list[bytes] = []
        self.lane = AssistantLane(
            pacer=Pacer(),
            clock=loop.clock.now_ns,
            on_event=self.events.append,
            on_first_frame=lambda response_id: None,
            on_played=lambda response_id: None,
            on_full=lambda full: None,
            on_bad_frame=lambda number, size: None,
        )
        self.server = ServerProtocol()
        self.socket = loop.do(self._make)

    def _make(self) -> RealtimeSocket:
        made = RealtimeSocket(
            ClientProtocol(parse_uri("ws://example.com/"), max_size=model_socket.MAX_MODEL_MESSAGE_BYTES),
            sink=self.lane.sink,
            feed_message=self.lane.feed_message,
            listener=self.listener,
            close_timeout=10,
        )
        made.connection_made(self.transport)
        made.protocol.send_request(made.protocol.connect())
        made.send_data()
        return made

    def answer(self) -> bytes:
        """The server's side of the handshake."""
        self.server.receive_data(self.transport.written)
        self.transport.written = b""
        (request,) = self.server.events_received()
        self.server.send_response(self.server.accept(request))
        return b"".join(self.server.data_to_send())

    def feed(self, data: bytes) -> None:
        self.loop.do(self.socket.data_received, data)

    def opened(self) -> "Realtime":
        self.feed(self.answer())
        return self

    def lose(self) -> None:
        self.loop.do(self.socket.connection_lost, None)

    @property
    def close_code(self) -> int | None:
        (close,) = [frame for frame in read_frames(self.transport.written, masked=True) if frame.opcode is Opcode.CLOSE]
        return Close.parse(close.data).code if close.data else None

    def read_after(self) -> list[bytes]:
        """What the library is given of what still comes."""
        given: list[bytes] = []
        receive, self.socket.protocol.receive_data = self.socket.protocol.receive_data, given.append  # type: ignore[method-assign]
        self.feed((wire(9, mask=False) + event(b"{}") + wire(8, mask=False)) * 50)
        self.socket.protocol.receive_data = receive  # type: ignore[method-assign]
        return given


@pytest.fixture
def realtime(loop):
    return Realtime(loop)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_and_audio_come_in_order_however_they_are_cut(realtime, size):
    long = b'{"type":"long","x":"' + b"x" * min(70_000, 10_000 * size) + b'"}'
    stream = realtime.answer() + event(b'{"type":"1"}')
    stream += wire(1, b'{"type":', fin=False, mask=False) + wire(9, b"", mask=False) + wire(0, b'"2"}', mask=False)
    stream += event(long) + wire(2, b"binary", mask=False) + event(b'{"type":"4"}')
    for at in range(0, len(stream), size):
        realtime.feed(stream[at : at + size])
    assert realtime.events == [b'{"type":"1"}', b'{"type":"2"}', long, b'{"type":"4"}']
    assert [frame.opcode for frame in read_frames(realtime.transport.written, masked=True)] == [Opcode.PONG]


def test_audio_in_fragments_is_the_same_audio(realtime):
    realtime.opened()
    realtime.loop.do(realtime.lane.start, b"MZ" + b"0" * 32, lambda data: None)
    realtime.loop.do(realtime.lane.begin_response, "resp_1")
    delta = delta_json("resp_1", "item_1", b"/" * 400)
    again = delta_json("resp_1", "item_1", b"/" * 400)
    realtime.feed(event(delta) + wire(1, again[:50], fin=False, mask=False) + wire(0, again[50:], mask=False))
    assert realtime.lane.received_bytes == 600


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (wire(8, Close(1008, "go away").serialize(), mask=False), 1008),
        (wire(8, mask=False), 1005),
        (wire(1, b"{}"), 1002),
        (wire(3, mask=False), 1002),
        (b"\x81\x7f" + (model_socket.MAX_MODEL_MESSAGE_BYTES + 1).to_bytes(8, "big"), 1009),
        (wire(1, fin=False, mask=False) + wire(0, fin=False, mask=False) * model_socket.MAX_MODEL_FRAGMENTS, 1009),
        (wire(1, b"{", fin=False, mask=False) + wire(8, b"\x03\xe9", mask=False) + wire(0, b"}", mask=False), 1001),
        (wire(8, b"\x03", mask=False), 1002),
        (wire(8, b"\x03\xed", mask=False), 1002),
        (wire(8, b"\x03\xe8\xff", mask=False), 1007),
        (wire(1, b"{}", reserved=4, mask=False), 1002),
        (wire(9, fin=False, mask=False), 1002),
        (wire(0, b"{}", mask=False), 1002),
        (wire(1, b"{", fin=False, mask=False) + event(b"{}"), 1002),
        (event(b'{"type":"\xff"}'), 1007),
        (event(b'{"type":"\xed\xa0 and more"}')[:-11], 1007),
        (wire(1, b"\xe2", fin=False, mask=False) + wire(9, mask=False) + wire(0, b"(", fin=False, mask=False), 1007),
        (wire(1, b"\xe2", fin=False, mask=False) + wire(0, mask=False), 1007),
    ],
    ids=[
        *("close", "empty close", "masked", "opcode 3", "oversize", "fragments", "close between fragments"),
        *("half a code", "1005", "close without UTF-8", "reserved bits", "ping in fragments", "nothing to continue"),
        *("not continued", "not UTF-8", "begun so", "in fragments", "unfinished"),
    ],
)
def test_a_session_that_is_over_is_told_at_once_and_once(realtime, data, code):
    realtime.opened().feed(event(b'{"type":"before"}') + data + event(b'{"type":"after"}'))
    assert [lost for lost, _ in realtime.listener.lost] == [code]
    assert realtime.events == [b'{"type":"before"}']
    assert realtime.close_code == (None if code == 1005 else code), "answered with what was sent, or failed with why"
    assert realtime.read_after() == [], "nothing is parsed any more"
    realtime.loop.do(realtime.socket.hang_up)
    realtime.loop.advance(model_socket.CLOSE_GRACE_SECONDS + 0.01)
    assert realtime.transport.state == "aborted", "whether or not it closes its end"
    realtime.lose()
    assert len(realtime.listener.lost) == 1


def test_a_connection_that_just_goes(realtime):
    realtime.opened().lose()
    assert realtime.listener.lost == [(1006, "")]


def test_a_refused_handshake_is_not_a_lost_session(realtime):
    realtime.feed(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nbody")
    realtime.loop.do(realtime.socket.eof_received)
    realtime.lose()
    assert realtime.listener.lost == []
    assert realtime.events == []


def test_who_has_hung_up_hears_nothing_more(realtime):
    """The peer may go on for a while, and what it says is of a session that is no more."""
    after = event(b'{"type":"after"}') + wire(1, b'{"type":', fin=False, mask=False) + wire(0, b'"x"}', mask=False)
    realtime.opened().feed(event(b'{"type":"before"}'))
    realtime.loop.do(realtime.socket.hang_up)
    realtime.feed(after)
    assert realtime.events == [b'{"type":"before"}']


def test_not_even_what_came_with_the_message_on_which_it_did(realtime):
    heard: list[bytes] = []

    def ends(message: bytes) -> None:
        heard.append(message)
        realtime.socket.hang_up()

    realtime.opened()
    realtime.loop.do(realtime.socket.redirect, ends, ends)
    realtime.feed(event(b'{"type":"end"}') + event(b'{"type":"after"}'))
    assert heard == [b'{"type":"end"}']


def test_hanging_up_is_no_loss_and_is_done_once(realtime):
    realtime.opened()
    for _ in range(2):
        realtime.loop.do(realtime.socket.hang_up)
    (close,) = read_frames(realtime.transport.written, masked=True)
    assert (close.opcode, Close.parse(close.data).code) == (Opcode.CLOSE, 1000)
    realtime.loop.do(realtime.socket.send_text, b"late")
    assert len(read_frames(realtime.transport.written, masked=True)) == 1
    realtime.feed(wire(8, close.data, mask=False))
    realtime.lose()
    assert realtime.listener.lost == []


def test_text_goes_out_masked_and_in_order_with_audio(realtime):
    realtime.opened()
    realtime.loop.do(realtime.socket.send_text, b'{"type":"1"}')
    realtime.loop.do(realtime.socket.write, wire(1, b'{"type":"2"}'))
    sent = read_frames(realtime.transport.written, masked=True)
    assert [json.loads(bytes(frame.data))["type"] for frame in sent] == ["1", "2"]


def test_back_pressure_both_ways(realtime):
    realtime.opened()
    realtime.loop.do(realtime.socket.pause_writing)
    realtime.loop.do(realtime.socket.resume_writing)
    assert realtime.listener.paused == [True, False]
    realtime.loop.do(realtime.socket.pause_reading)
    assert not realtime.transport.reading
    realtime.loop.do(realtime.socket.resume_reading)
    assert realtime.transport.reading
