from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from fastbridge import _websocket as compiled
from helpers import assert_split_anywhere, read_frames

MAX_SIZE = 70_000
ROLES = pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def frame(opcode: Opcode, payload: bytes, *, server: bool, fin: bool = True) -> bytes:
    """A frame as the peer of a `server` or client sends it, from `websockets`."""
    return Frame(opcode, payload, fin).serialize(mask=server)


def text(payload: bytes, *, server: bool) -> bytes:
    return frame(Opcode.TEXT, payload, server=server)


class Sink:
    """Takes what a FrameReader gives, in order. `answers` are on_other's, True when used up."""

    def __init__(self, websocket: Any, *, server: bool, answers: list[bool] | None = None, **options: Any) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.answers = list(answers or [])
        options = {"max_size_bytes": MAX_SIZE, **options}
        self.reader = websocket.FrameReader(server=server, on_text=self.on_text, on_other=self.on_other, **options)

    def on_text(self, payload: bytes) -> None:
        assert isinstance(payload, bytes)
        self.got.append(("text", payload))

    def on_other(self, data: bytes) -> bool:
        assert isinstance(data, bytes)
        assert data
        self.got.append(("other", data))
        return self.answers.pop(0) if self.answers else True

    @property
    def merged(self) -> list[tuple[str, bytes]]:
        """What was handed over in a row, as one."""
        out: list[tuple[str, bytes]] = []
        for kind, data in self.got:
            if kind == "other" and out and out[-1][0] == "other":
                out[-1] = ("other", out[-1][1] + data)
            else:
                out.append((kind, data))
        return out

    def feed(self, *chunks: bytes) -> "Sink":
        for chunk in chunks:
            self.reader.feed(chunk)
        return self


@ROLES
class TestText:
    @pytest.mark.parametrize("size", [0, 1, 7, 8, 125, 126, 127, 379, 65_535, 65_536, 65_537, MAX_SIZE])
    def test_a_text_frame_of_every_length_encoding(self, websocket, server, size):
        payload = bytes(index * 7 % 256 for index in range(size))
        sink = Sink(websocket, server=server).feed(text(payload, server=server))
        assert sink.got == [("text", payload)]
        assert sink.reader.text_frames == 1
        assert sink.reader.pending_bytes == 0

    @pytest.mark.parametrize("size", [0, 1, 6, 125])
    def test_lengths_need_not_be_minimal(self, websocket, server, size):
        """`websockets` takes them, so the fast lane may."""
        payload = bytes(range(size))
        mask = 0x80 if server else 0
        key = bytes(4) if server else b""
        wide = bytes([0x81, mask | 126]) + size.to_bytes(2, "big") + key + payload
        wider = bytes([0x81, mask | 127]) + size.to_bytes(8, "big") + key + payload
        assert Sink(websocket, server=server).feed(wide + wider).got == [("text", payload)] * 2

    def test_split_anywhere(self, websocket, server):
        first, second = b'{"event":"media"}', bytes(range(256)) * 2
        ping = frame(Opcode.PING, b"are you there", server=server)
        data = text(first, server=server) + ping + text(second, server=server) + text(b"", server=server)
        expected = [("text", first), ("other", ping), ("text", second), ("text", b"")]
        assert_split_anywhere(lambda chunks: Sink(websocket, server=server).feed(*chunks).got, data, expected)

    def test_every_mask_key_byte_is_used(self, websocket, server):
        key = bytes([1, 2, 4, 8]) if server else b""
        head = bytes([0x81, 11 | (0x80 if server else 0)])
        sink = Sink(websocket, server=server).feed(head + key + bytes(11))
        assert sink.got == [("text", (key * 3)[:11] if server else bytes(11))]

    def test_incomplete_frame_waits(self, websocket, server):
        data = text(bytes(300), server=server)
        sink = Sink(websocket, server=server).feed(data[:-1])
        assert sink.got == []
        assert sink.reader.pending_bytes == len(data) - 1
        sink.feed(data[-1:])
        assert sink.reader.pending_bytes == 0
        assert sink.got == [("text", bytes(300))]

    def test_only_the_incomplete_frame_is_kept(self, websocket, server):
        data = text(bytes(300), server=server)
        sink = Sink(websocket, server=server).feed(data * 3 + data[:5])
        assert sink.reader.pending_bytes == 5
        assert sink.reader.text_frames == 3

    def test_nothing(self, websocket, server):
        sink = Sink(websocket, server=server).feed(b"", b"")
        sink.reader.finish()
        assert sink.got == []

    def test_redirect_counts_from_the_next_frame_on(self, websocket, server):
        elsewhere: list[bytes] = []
        two = text(b"two", server=server)
        sink = Sink(websocket, server=server).feed(text(b"one", server=server), two[:-1])
        sink.reader.redirect(elsewhere.append)
        ping = frame(Opcode.PING, b"", server=server)
        sink.feed(two[-1:], ping)
        assert sink.got == [("text", b"one"), ("other", ping)]
        assert elsewhere == [b"two"]

    def test_utf8_is_the_readers_business(self, websocket, server):
        assert Sink(websocket, server=server).feed(text(b"\xff\xfe", server=server)).got == [("text", b"\xff\xfe")]


@ROLES
class TestOther:
    @pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CLOSE, Opcode.BINARY])
    @pytest.mark.parametrize("size", [0, 2, 125])
    def test_all_but_text_goes_to_the_library_whole(self, websocket, server, opcode, size):
        data = frame(opcode, b"\x03\xe8" + bytes(size - 2) if size else b"", server=server)
        after = text(b"after", server=server)
        expected = [("other", data), ("text", b"after")]
        assert_split_anywhere(lambda chunks: Sink(websocket, server=server).feed(*chunks).got, data + after, expected)

    def test_fragments_are_handed_over_until_the_library_is_at_a_boundary(self, websocket, server):
        first = frame(Opcode.TEXT, b"one ", server=server, fin=False)
        ping = frame(Opcode.PING, b"", server=server)
        middle = frame(Opcode.CONT, b"two ", server=server, fin=False)
        last = frame(Opcode.CONT, b"three", server=server)
        data = text(b"before", server=server) + first + ping + middle + last + text(b"after", server=server)

        def run(chunks: list[bytes]) -> Any:
            return Sink(websocket, server=server, answers=[False, False, False, True]).feed(*chunks).merged

        expected = [("text", b"before"), ("other", first + ping + middle + last), ("text", b"after")]
        assert_split_anywhere(run, data, expected)

    def test_while_the_answer_is_false_text_is_other(self, websocket, server):
        ping, one, two = (
            frame(Opcode.PING, b"", server=server),
            text(b"one", server=server),
            text(b"two", server=server),
        )
        sink = Sink(websocket, server=server, answers=[False, False, True]).feed(
            ping + one + two + text(b"three", server=server)
        )
        assert sink.merged == [("other", ping + one + two), ("text", b"three")]
        assert sink.reader.text_frames == 1
        assert sink.reader.passthrough is False

    def test_the_answer_counts_before_the_next_frame_in_the_same_chunk(self, websocket, server):
        ping, one = frame(Opcode.PING, b"", server=server), text(b"one", server=server)
        sink = Sink(websocket, server=server, answers=[False]).feed(ping + one)
        assert sink.merged == [("other", ping + one)]
        sink.feed(text(b"two", server=server))
        assert sink.merged[1:] == [("text", b"two")]

    def test_each_frame_handed_over_is_whole(self, websocket, server):
        data = [frame(Opcode.BINARY, bytes(size), server=server) for size in (0, 125, 126, 65_536)]
        sink = Sink(websocket, server=server)
        stream = b"".join(data)
        for start in range(0, len(stream), 997):
            sink.feed(stream[start : start + 997])
        for _, handed in sink.got:
            read_frames(handed, masked=server)
        assert b"".join(handed for _, handed in sink.got) == stream


@ROLES
class TestPassthrough:
    def violations(self, server: bool) -> dict[str, bytes]:
        mask = 0x80 if server else 0
        key = bytes(4) if server else b""
        return {
            "wrong mask bit": bytes([0x81, 3 | (mask ^ 0x80)]) + key + b"abc",
            "RSV1": bytes([0xC1, mask | 3]) + key + b"abc",
            "RSV2": bytes([0xA1, mask | 3]) + key + b"abc",
            "RSV3": bytes([0x91, mask | 3]) + key + b"abc",
            "RSV1 on a ping": bytes([0xC9, mask]) + key,
            "opcode 3": bytes([0x83, mask]) + key,
            "opcode 7": bytes([0x87, mask]) + key,
            "opcode 11": bytes([0x8B, mask]) + key,
            "opcode 15": bytes([0x8F, mask]) + key,
            "long ping": bytes([0x89, mask | 126, 0, 126]) + key + bytes(126),
            "long close": bytes([0x88, mask | 127]) + bytes(8) + key,
            "fragmented ping": bytes([0x09, mask]) + key,
            "fragmented close": bytes([0x08, mask]) + key,
            "over max_size": bytes([0x81, mask | 127]) + (MAX_SIZE + 1).to_bytes(8, "big") + key + bytes(50),
            "over max_size, binary": bytes([0x82, mask | 127]) + (MAX_SIZE + 1).to_bytes(8, "big") + key,
            "length with its top bit": bytes([0x81, mask | 127, 0x80]) + bytes(7) + key,
            "length of all ones": bytes([0x81, mask | 127]) + b"\xff" * 8 + key,
        }

    def test_a_frame_the_fast_lane_cannot_vouch_for_ends_it(self, websocket, server):
        for name, bad in self.violations(server).items():
            rest = text(b"after", server=server) * 2
            sink = Sink(websocket, server=server).feed(text(b"before", server=server) + bad + rest)
            assert sink.merged == [("text", b"before"), ("other", bad + rest)], name
            assert sink.reader.passthrough is True, name
            assert sink.reader.pending_bytes == 0, name

    def test_however_it_is_cut(self, websocket, server):
        for bad in self.violations(server).values():

            def run(chunks: list[bytes]) -> Any:
                sink = Sink(websocket, server=server).feed(*chunks)
                assert sink.reader.passthrough is True
                return sink.merged[0], b"".join(data for kind, data in sink.merged[1:])[:40]

            data = text(b"before", server=server) + bad[:30]
            passed = bad[:30] + b"!" * 40
            expected = ("text", b"before"), passed[:40]
            for cut in range(len(data)):
                assert run([data[:cut], data[cut:], b"!" * 40]) == expected

    def test_it_stays_so_whatever_the_library_says(self, websocket, server):
        bad, after = bytes([0xC1, 0x80 if server else 0]), text(b"after", server=server)
        sink = Sink(websocket, server=server, answers=[True] * 9).feed(bad, b"", after, b"\x81")
        assert sink.merged == [("other", bad + after + b"\x81")]
        assert sink.reader.text_frames == 0
        assert sink.reader.pending_bytes == 0

    def test_max_size_itself_is_allowed(self, websocket, server):
        sink = Sink(websocket, server=server, max_size_bytes=10)
        sink.feed(text(bytes(10), server=server))
        assert sink.reader.passthrough is False
        sink.feed(text(bytes(11), server=server))
        assert sink.reader.passthrough is True
        assert sink.reader.text_frames == 1

    def test_no_more_than_one_frame_is_kept(self, websocket, server):
        sink = Sink(websocket, server=server, max_size_bytes=1000)
        stream = text(bytes(1000), server=server) * 4
        for start in range(0, len(stream), 7):
            sink.feed(stream[start : start + 7])
            assert sink.reader.pending_bytes <= 1000 + 14

    def test_finish_hands_over_the_rest_once(self, websocket, server):
        rest = text(b"cut off", server=server)[:-1]
        sink = Sink(websocket, server=server).feed(text(b"whole", server=server) + rest)
        sink.reader.finish()
        sink.reader.finish()
        assert sink.got == [("text", b"whole"), ("other", rest)]
        assert sink.reader.pending_bytes == 0


class TestHandshake:
    def run(self, websocket: Any, chunks: list[bytes], answers: list[bool] | None = None) -> Sink:
        return Sink(websocket, server=False, handshake=True, answers=answers).feed(*chunks)

    def test_the_head_goes_to_the_library_and_frames_behind_it_are_ours(self, websocket):
        data = RESPONSE + text(b"hello", server=False) + text(b"again", server=False)
        expected = [("other", RESPONSE), ("text", b"hello"), ("text", b"again")]
        assert_split_anywhere(lambda chunks: self.run(websocket, chunks).got, data, expected)

    def test_a_head_that_looks_like_frames_is_not_parsed(self, websocket):
        head = b"\x81\x05hello\x81\x00\r\n\r\n"
        assert self.run(websocket, [head + text(b"x", server=False)]).got == [("other", head), ("text", b"x")]

    def test_it_ends_at_the_first_blank_line(self, websocket):
        sink = self.run(websocket, [b"a\r\n\r\r\n\r\n\r\n\r\n"])
        assert sink.got[0] == ("other", b"a\r\n\r\r\n\r\n")

    def test_an_incomplete_head_waits(self, websocket):
        sink = self.run(websocket, [RESPONSE[:-1]])
        assert sink.got == []
        assert sink.reader.pending_bytes == len(RESPONSE) - 1
        sink.reader.finish()
        assert sink.got == [("other", RESPONSE[:-1])]

    def test_a_refused_handshake_has_no_frames_behind_it(self, websocket):
        body = text(b"this is a body", server=False) + b"\x81"
        sink = self.run(websocket, [RESPONSE + body], answers=[False])
        assert sink.merged == [("other", RESPONSE + body)]
        assert sink.reader.pending_bytes == 0

    def test_an_endless_head_is_passed_through(self, websocket):
        sink = self.run(websocket, [b"x" * 1000] * 66)
        assert sink.reader.passthrough is True
        sink.feed(b"\r\n\r\n" + text(b"after", server=False))
        assert sink.merged == [("other", b"x" * 66_000 + b"\r\n\r\n" + text(b"after", server=False))]

    def test_no_more_of_a_head_than_64_kib_is_kept(self, websocket):
        sink = Sink(websocket, server=False, handshake=True)
        for _ in range(200):
            sink.feed(b"h: x\r\n" * 100)
            assert sink.reader.pending_bytes <= 65_536


class TestTextFrame:
    @pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 125, 126, 127, 216, 65_535, 65_536, 100_000])
    @pytest.mark.parametrize("mask", [True, False])
    def test_is_one_whole_text_frame(self, websocket, size, mask):
        payload = bytes(index * 11 % 256 for index in range(size))
        data = websocket.text_frame(payload, mask=mask)
        (got,) = read_frames(data, masked=mask)
        assert (got.opcode, got.fin, bytes(got.data)) == (Opcode.TEXT, True, payload)
        assert len(data) == len(Frame(Opcode.TEXT, payload).serialize(mask=mask))

    def test_unmasked_is_what_websockets_sends(self, websocket):
        for size in (0, 125, 126, 65_536):
            assert websocket.text_frame(bytes(size), mask=False) == Frame(Opcode.TEXT, bytes(size)).serialize(
                mask=False
            )

    def test_mask_keys_are_fresh(self, websocket):
        keys = {websocket.text_frame(bytes(4), mask=True)[2:6] for _ in range(2500)}
        assert len(keys) > 2490
        assert all(len({key[place] for key in keys}) > 200 for place in range(4))


class TestWithTheLibrary:
    """on_other as the sockets do it: a real protocol object judges."""

    def server(self, websocket: Any) -> tuple[ServerProtocol, list[bytes], Any]:
        protocol = ServerProtocol(state=OPEN, max_size=MAX_SIZE)
        got: list[bytes] = []

        def on_other(data: bytes) -> bool:
            protocol.receive_data(data)
            got.extend(bytes(event.data) for event in protocol.events_received() if event.opcode is not Opcode.PING)
            return protocol.state is OPEN and protocol.current_size is None and protocol.parser_exc is None

        reader = websocket.FrameReader(server=True, max_size_bytes=MAX_SIZE, on_text=got.append, on_other=on_other)
        return protocol, got, reader

    def test_fragments_pings_and_text_arrive_in_order(self, websocket):
        protocol, got, reader = self.server(websocket)
        client = ClientProtocol(parse_uri("ws://example.com/"), state=OPEN)
        client.send_text(b"1")
        client.send_text(b"2", fin=False)
        client.send_ping(b"beep")
        client.send_continuation(b"3", fin=True)
        client.send_text(b"4")
        reader.feed(b"".join(client.data_to_send()))
        assert got == [b"1", b"2", b"3", b"4"]
        assert reader.text_frames == 2
        (pong,) = read_frames(b"".join(protocol.data_to_send()), masked=False)
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"beep")

    def test_nothing_is_text_after_close(self, websocket):
        protocol, got, reader = self.server(websocket)
        close = Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=True)
        reader.feed(text(b"1", server=True) + close + text(b"2", server=True))
        assert reader.text_frames == 1
        assert protocol.state is State.CLOSING
        assert got[0] == b"1"
        assert b"2" not in got

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (b"\x81\x00", 1002),
            (b"\xc1\x80", 1002),
            (b"\x80\x80\0\0\0\0", 1002),
            (b"\x81\xff" + (MAX_SIZE + 1).to_bytes(8, "big"), 1009),
        ],
    )
    def test_violations_are_judged_by_the_library(self, websocket, bad, code):
        protocol, got, reader = self.server(websocket)
        reader.feed(text(b"1", server=True) + bad + text(b"2", server=True))
        assert got == [b"1"]
        assert protocol.close_sent is not None
        assert protocol.close_sent.code == code

    def test_client_handshake(self, websocket):
        client = ClientProtocol(parse_uri("ws://example.com/"))
        client.send_request(client.connect())
        server = ServerProtocol()
        server.receive_data(b"".join(client.data_to_send()))
        (request,) = server.events_received()
        assert isinstance(request, Request)
        server.send_response(server.accept(request))
        server.send_text(b"first")
        got: list[bytes] = []

        def on_other(data: bytes) -> bool:
            client.receive_data(data)
            return client.state is OPEN and client.current_size is None and not client.extensions

        options = {"max_size_bytes": MAX_SIZE, "on_text": got.append, "on_other": on_other}
        reader = websocket.FrameReader(server=False, handshake=True, **options)
        for byte in b"".join(server.data_to_send()):
            reader.feed(bytes([byte]))
        assert got == [b"first"]
        assert client.handshake_exc is None


class TestDiscard:
    """The compiled one alone: nothing of what it drops is a question of layout."""

    @ROLES
    @pytest.mark.parametrize("at", ["text", "other"])
    def test_from_within_a_callback_the_rest_is_dropped(self, server, at):
        got: list[bytes] = []

        def hear(data: bytes) -> bool:
            got.append(data)
            reader.discard()
            return True

        calm = compiled.TextSink()
        reader = compiled.FrameReader(
            server=server, max_size_bytes=MAX_SIZE, on_text=hear if at == "text" else calm, on_other=hear
        )
        first = text(b"1", server=server) if at == "text" else frame(Opcode.PING, b"1", server=server)
        reader.feed(first[:2])
        reader.feed(first[2:] + text(b"2", server=server) * 3 + frame(Opcode.PING, b"3", server=server)[:3])
        assert len(got) == 1
        assert reader.pending_bytes == 0
        reader.feed(text(b"4", server=server) * 50 + b"\xff" * 100)
        reader.finish()
        assert len(got) == 1
        assert reader.pending_bytes == 0

    @ROLES
    def test_what_was_buffered_is_gone(self, server):
        got: list[bytes] = []
        reader = compiled.FrameReader(server=server, max_size_bytes=MAX_SIZE, on_text=got.append, on_other=got.append)
        reader.feed(text(b"never whole", server=server)[:-1])
        assert reader.pending_bytes
        reader.discard()
        assert reader.pending_bytes == 0
        reader.finish()
        assert got == []
