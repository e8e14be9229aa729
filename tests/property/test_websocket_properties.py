"""The fast lane and `websockets` together are `websockets`: for any stream of frames, however it is cut.

One connection has a FrameReader in front of the library's protocol object, as the sockets do it; the other is the
protocol object alone. Messages, their order, what is sent back, the close codes and the final state must be the same.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from fastbridge import _websocket as compiled
from helpers import read_frames
from oracle import websocket as oracle

MAX_SIZE = 300
URI = parse_uri("ws://example.com/")
KEY = b"\x11\x22\x33\x44"


@dataclass
class Outcome:
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    writes: list[bytes] = field(default_factory=list)
    state: Any = None
    close: Any = None
    error: Any = None

    def take_events(self, protocol: Protocol) -> None:
        for event in protocol.events_received():
            if isinstance(event, Request | Response):
                self.messages.append(("handshake", b""))
            else:
                self.messages.append((f"{event.opcode.name} fin={event.fin}", bytes(event.data)))

    def settle(self, protocol: Protocol) -> "Outcome":
        self.writes = unmasked(protocol)
        self.state = protocol.state
        self.close = (protocol.close_rcvd, protocol.close_sent, protocol.close_rcvd_then_sent)
        self.error = (type(protocol.parser_exc), str(protocol.parser_exc), type(protocol.handshake_exc))
        return self


def unmasked(protocol: Protocol) -> list[bytes]:
    """What the protocol wants sent, mask keys (which are random) taken out."""
    out = []
    for data in protocol.data_to_send():
        if isinstance(protocol, ServerProtocol) or not data:
            out.append(data)
        else:
            out.extend(bytes([frame.opcode]) + bytes(frame.data) for frame in read_frames(data, masked=True))
    return out


def stock(protocol: Protocol, chunks: list[bytes]) -> Outcome:
    outcome = Outcome()
    for chunk in chunks:
        protocol.receive_data(chunk)
        outcome.take_events(protocol)
    protocol.receive_eof()
    outcome.take_events(protocol)
    return outcome.settle(protocol)


def with_fast_lane(
    websocket: Any, protocol: Protocol, chunks: list[bytes], *, handshake: bool = False, judging: bool = False
) -> Outcome:
    outcome = Outcome()

    def on_text(payload: bytes) -> None:
        assert protocol.state is OPEN, "the fast lane gives text only while the connection is open"
        outcome.messages.append(("TEXT fin=True", payload))

    def on_other(data: bytes) -> bool:
        protocol.receive_data(data)
        outcome.take_events(protocol)
        return (
            protocol.state is OPEN
            and protocol.current_size is None
            and protocol.parser_exc is None
            and not protocol.extensions
        )

    def on_bad_text() -> None:
        outcome.messages.append(("bad", b""))
        protocol.fail(1007)

    reader = websocket.FrameReader(
        server=isinstance(protocol, ServerProtocol),
        on_bad_text=on_bad_text if judging else None,
        max_size_bytes=MAX_SIZE,
        on_text=on_text,
        on_other=on_other,
        handshake=handshake,
    )
    for chunk in chunks:
        reader.feed(chunk)
        assert reader.pending_bytes <= (65_536 if handshake else MAX_SIZE + 14)
    reader.finish()
    protocol.receive_eof()
    outcome.take_events(protocol)
    return outcome.settle(protocol)


def new_protocol(server: bool) -> Protocol:
    options: dict[str, Any] = {"state": OPEN, "max_size": MAX_SIZE}
    return ServerProtocol(**options) if server else ClientProtocol(URI, **options)


texts = st.text(max_size=8).map(str.encode)
payloads = (
    texts | st.binary(max_size=20) | st.integers(0, MAX_SIZE).map(bytes) | st.sampled_from([bytes(125), bytes(126)])
)
close_payloads = st.sampled_from(
    [b"", b"\x03", Close(1000, "bye").serialize(), b"\x03\xe8\xff", b"\x03\xec", b"\x0f\xa0x"]
)


@st.composite
def regular_frames(draw: Any, server: bool) -> bytes:
    opcode = draw(st.sampled_from([Opcode.TEXT] * 6 + [Opcode.BINARY, Opcode.PING, Opcode.PONG]))
    payload = draw(payloads)[: 125 if opcode in (Opcode.PING, Opcode.PONG) else MAX_SIZE]
    return raw_frame(0x80 | opcode, payload, server)


@st.composite
def fragmented(draw: Any, server: bool) -> bytes:
    """A message in fragments, with control frames in between, and perhaps too long in all."""
    parts = draw(st.lists(payloads, min_size=2, max_size=4))
    out = b""
    for number, part in enumerate(parts):
        opcode = Opcode.CONT if number else draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        out += raw_frame(opcode | (0x80 if number == len(parts) - 1 else 0), part, server)
        if draw(st.booleans()):
            out += raw_frame(0x80 | draw(st.sampled_from([Opcode.PING, Opcode.PONG])), b"in between", server)
    return out


@st.composite
def irregular_frames(draw: Any, server: bool) -> bytes:
    """Any first byte, any length, sometimes the wrong mask bit, sometimes more length than bytes."""
    first = draw(st.integers(0, 255) | st.sampled_from([0x81, 0x01, 0x80, 0x00, 0xC1, 0x88, 0x89, 0x09]))
    masked = server ^ draw(st.sampled_from([False] * 5 + [True]))
    payload = draw(payloads | st.just(bytes(MAX_SIZE + 1)))
    return raw_frame(first, payload, masked, width=draw(st.sampled_from([None, None, 2, 8])))


def raw_frame(first: int, payload: bytes, masked: bool, width: int | None = None) -> bytes:
    if width is None:
        width = 0 if len(payload) < 126 else 2
    short = {0: len(payload), 2: 126, 8: 127}[width]
    head = bytes([first, short | (0x80 if masked else 0)]) + (len(payload).to_bytes(width, "big") if width else b"")
    if not masked:
        return head + payload
    return head + KEY + bytes(byte ^ KEY[index % 4] for index, byte in enumerate(payload))


@st.composite
def streams(draw: Any, server: bool) -> bytes:
    close = st.builds(lambda payload: raw_frame(0x88, payload, server), close_payloads)
    kinds = regular_frames(server) | regular_frames(server) | fragmented(server) | irregular_frames(server) | close
    stream = b"".join(draw(st.lists(kinds, max_size=10)))
    damage = draw(st.sampled_from(["none"] * 4 + ["cut", "change", "junk"]))
    if damage == "cut" and stream:
        return stream[: draw(st.integers(0, len(stream) - 1))]
    if damage == "change" and stream:
        place = draw(st.integers(0, len(stream) - 1))
        return stream[:place] + bytes([draw(st.integers(0, 255))]) + stream[place + 1 :]
    return stream + (draw(st.binary(max_size=20)) if damage == "junk" else b"")


@st.composite
def cut_streams(draw: Any, server: bool) -> list[bytes]:
    stream = draw(streams(server))
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


@given(cut_streams(server=True))
def test_a_server_cannot_tell_the_difference(websocket, chunks):
    expected = stock(new_protocol(server=True), chunks)
    assert with_fast_lane(websocket, new_protocol(server=True), chunks) == expected


@given(cut_streams(server=False))
def test_a_client_cannot_tell_the_difference(websocket, chunks):
    expected = stock(new_protocol(server=False), chunks)
    assert with_fast_lane(websocket, new_protocol(server=False), chunks) == expected


@given(streams(server=True))
def test_byte_by_byte_is_as_whole(websocket, stream):
    whole = with_fast_lane(websocket, new_protocol(server=True), [stream])
    single = with_fast_lane(websocket, new_protocol(server=True), [bytes([byte]) for byte in stream])
    assert single == whole


@given(st.data(), st.booleans())
def test_text_is_judged_alike_by_both_twins_however_it_is_cut(data, server):
    chunks = data.draw(cut_streams(server))
    whole = with_fast_lane(oracle, new_protocol(server), [b"".join(chunks)], judging=True)
    for websocket in (oracle, compiled):
        assert with_fast_lane(websocket, new_protocol(server), chunks, judging=True) == whole
    for kind, payload in whole.messages:
        if kind == "TEXT fin=True":
            payload.decode()


@given(st.lists(st.binary(max_size=4) | st.text(max_size=12).map(str.encode), min_size=1, max_size=4), st.booleans())
def test_a_message_is_refused_exactly_if_it_cannot_be_decoded(websocket, parts, server):
    last = len(parts) - 1
    firsts = [(0 if number else 1) | (0x80 if number == last else 0) for number in range(len(parts))]
    frames = [raw_frame(first, part, server) for first, part in zip(firsts, parts, strict=True)]
    outcome = with_fast_lane(websocket, new_protocol(server), frames, judging=True)
    try:
        b"".join(parts).decode()
        decodes = True
    except UnicodeDecodeError:
        decodes = False
    assert (("bad", b"") in outcome.messages) is not decodes


ANSWERS = st.sampled_from(["accept", "accept", "accept", "reject", "junk", "cut", "wrong key"])


@given(ANSWERS, cut_streams(server=False), st.lists(st.integers(0, 400), max_size=5))
def test_a_client_with_its_handshake_cannot_tell_the_difference(websocket, answer, chunks, places):
    clients = [ClientProtocol(URI, max_size=MAX_SIZE) for _ in range(2)]
    clients[1].key = clients[0].key
    for client in clients:
        request = client.connect()
        client.send_request(request)
    head = handshake_answer(answer, b"".join(clients[0].data_to_send()))
    clients[1].data_to_send()
    data = head + b"".join(chunks)
    cuts = sorted(min(place, len(data)) for place in places)
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    expected = stock(clients[0], pieces)
    assert with_fast_lane(websocket, clients[1], pieces, handshake=True) == expected


def handshake_answer(answer: str, request_bytes: bytes) -> bytes:
    server = ServerProtocol()
    server.receive_data(request_bytes)
    (request,) = server.events_received()
    assert isinstance(request, Request)
    response = server.reject(403, "no\n") if answer == "reject" else server.accept(request)
    if answer == "wrong key":
        del response.headers["Sec-WebSocket-Accept"]
        response.headers["Sec-WebSocket-Accept"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    server.send_response(response)
    data = server.data_to_send()[0]
    return {"junk": b"\x81\x05hello\r\n\r\n", "cut": data[:-3]}.get(answer, data)


@given(st.lists(st.binary(max_size=200) | st.integers(0, 70_000).map(bytes), max_size=5), st.booleans())
def test_what_we_frame_the_library_reads(websocket, payloads, mask):
    protocol = ServerProtocol(state=OPEN) if mask else ClientProtocol(URI, state=OPEN)
    protocol.receive_data(b"".join(websocket.text_frame(payload, mask=mask) for payload in payloads))
    got = protocol.events_received()
    assert all(isinstance(frame, Frame) and frame.opcode is Opcode.TEXT and frame.fin for frame in got)
    assert [bytes(frame.data) for frame in got] == payloads


@given(cut_streams(server=True))
def test_text_frames_counts_what_took_the_fast_lane(websocket, chunks):
    taken: list[bytes] = []
    other: list[bytes] = []

    def on_other(data: bytes) -> bool:
        other.append(data)
        return True

    reader = websocket.FrameReader(server=True, max_size_bytes=MAX_SIZE, on_text=taken.append, on_other=on_other)
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    assert reader.text_frames == len(taken)
    assert reader.pending_bytes == 0
    assert sum(map(len, taken)) + sum(map(len, other)) <= sum(map(len, chunks))
