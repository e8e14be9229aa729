"""Text that is not UTF-8 (RFC 6455 section 8.1): refused at the byte that proves it, however it comes, and once."""

from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from helpers import assert_split_anywhere

ROLES = pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
GOOD = "שלום, κόσμε! €😀".encode() + b"\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xc2\x80\xe0\xa0\x80"
PROOFS = [
    ("a continuation byte", b"\x80", 1),
    ("no byte of UTF-8", b"\xff", 1),
    ("a short form of two", b"\xc0\xaf", 1),
    ("beyond any length", b"\xf8\x88", 1),
    ("beyond Unicode by its first byte", b"\xf5\x80", 1),
    ("a short form of three", b"\xe0\x9f\xbf", 2),
    ("a surrogate", b"\xed\xa0\x80", 2),
    ("a short form of four", b"\xf0\x8f\xbf\xbf", 2),
    ("beyond Unicode", b"\xf4\x90\x80\x80", 2),
    ("two without its second", b"\xc3(", 2),
    ("three without its second", b"\xe2(\xa1", 2),
    ("three without its third", b"\xe2\x82(", 3),
    ("four without its fourth", b"\xf0\x9f\x98(", 4),
    ("one more than there should be", b"\xe2\x82\xac\xac", 4),
    ("a character begun twice", b"\xe2\xe2\x82\xac", 2),
]
BAD = pytest.mark.parametrize(("bad", "proof"), [case[1:] for case in PROOFS], ids=[case[0] for case in PROOFS])
LEADS = pytest.mark.parametrize("lead", [b"", b"x" * 7, b"x" * 8, b"x" * 600, GOOD], ids=["", "7", "8", "600", "good"])


class Judged:
    """A FrameReader, and what it told: texts, frames for the library, and the verdict."""

    def __init__(self, websocket: Any, server: bool) -> None:
        self.got: list[Any] = []
        self.pending = False
        self.reader = websocket.FrameReader(
            server=server,
            max_size_bytes=4096,
            on_text=self.got.append,
            on_other=self.on_other,
            on_bad_text=lambda: self.got.append("bad"),
        )

    def on_other(self, data: bytes) -> bool:
        """Says what the library would: True between messages."""
        if data[0] & 0x0F < 8:
            self.pending = data[0] < 0x80
        self.got.append((data[0] & 0x0F, len(data)))
        return not self.pending

    def feed(self, *chunks: bytes) -> "Judged":
        for chunk in chunks:
            self.reader.feed(chunk)
        return self

    @property
    def bad(self) -> bool:
        return "bad" in self.got

    def proven_at(self, data: bytes) -> int | None:
        """Fed byte by byte: after how many it was refused."""
        for number, byte in enumerate(data, 1):
            if self.feed(bytes([byte])).bad:
                return number
        return None


def frame(opcode: Opcode, payload: bytes, server: bool, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=server)


def fragments(*parts: bytes, server: bool, opcode: Opcode = Opcode.TEXT) -> list[bytes]:
    last = len(parts) - 1
    return [
        frame(Opcode.CONT if number else opcode, part, server, fin=number == last) for number, part in enumerate(parts)
    ]


@ROLES
class TestGood:
    def test_whole_and_cut_anywhere(self, websocket, server):
        data = frame(Opcode.TEXT, GOOD, server) + frame(Opcode.TEXT, b"ascii and then some", server)
        expected = [GOOD, b"ascii and then some"]
        assert_split_anywhere(lambda chunks: Judged(websocket, server).feed(*chunks).got, data, expected)
        assert Judged(websocket, server).proven_at(data) is None

    def test_fragments_may_end_within_a_character(self, websocket, server):
        for cut in range(len(GOOD)):
            parts = fragments(GOOD[:cut], b"", GOOD[cut:], server=server)
            parts.insert(1, frame(Opcode.PING, b"\xff", server))
            judged = Judged(websocket, server).feed(*parts, frame(Opcode.TEXT, GOOD, server))
            assert not judged.bad
            assert judged.got[-1] == GOOD
            assert Judged(websocket, server).proven_at(b"".join(parts)) is None

    @pytest.mark.parametrize("size", [511, 512, 513, 1024, 1500])
    def test_long_ones_in_few_pieces(self, websocket, server, size):
        payload = b"x" * (size % 3) + "€".encode() * 550
        data = frame(Opcode.TEXT, payload, server)
        assert Judged(websocket, server).feed(data[:size], data[size:]).got == [payload]

    def test_every_first_byte_with_every_kind_of_second(self, websocket, server):
        seconds = [b"", *(bytes([byte]) for byte in (0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF))]
        for payload in (bytes([first]) + second + rest for first in range(256) for second in seconds for rest in RESTS):
            try:
                payload.decode()
                expected: list[Any] = [payload]
            except UnicodeDecodeError:
                expected = ["bad"]
            assert Judged(websocket, server).feed(frame(Opcode.TEXT, payload, server)).got == expected, payload


RESTS = (b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"a")


@ROLES
class TestBad:
    @BAD
    @LEADS
    def test_the_byte_that_proves_it(self, websocket, server, bad, proof, lead):
        data = frame(Opcode.TEXT, lead + bad + b"and more", server)
        head = len(data) - len(lead + bad + b"and more")
        assert Judged(websocket, server).proven_at(data) == head + len(lead) + proof
        assert Judged(websocket, server).feed(data).got == ["bad"]
        assert Judged(websocket, server).feed(data[: head + len(lead) + proof - 1], data[-9:]).got == ["bad"]

    @BAD
    def test_across_the_borders_of_fragments(self, websocket, server, bad, proof):
        for cut in range(len(bad) + 1):
            first, second, third = fragments(GOOD + bad[:cut], bad[cut:], b"and more", server=server)
            data = first + frame(Opcode.PING, b"beep", server) + second + third
            at = len(data) - len(third) - len(bad) + proof
            if proof <= cut:
                at = len(first) - cut + proof
            judged = Judged(websocket, server)
            assert judged.proven_at(data) == at
            assert judged.got.count("bad") == 1

    def test_wherever_it_stands_in_ascii(self, websocket, server):
        for place in range(100):
            data = frame(Opcode.TEXT, b"x" * place + b"\xff" + b"x" * (100 - place), server)
            assert Judged(websocket, server).feed(data).got == ["bad"]
            assert Judged(websocket, server).feed(data[:-1]).got == ["bad"]

    @pytest.mark.parametrize("rest", [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"])
    def test_a_message_that_ends_within_a_character(self, websocket, server, rest):
        whole = frame(Opcode.TEXT, GOOD + rest, server)
        assert Judged(websocket, server).feed(whole).got == ["bad"]
        assert Judged(websocket, server).proven_at(whole) == len(whole)
        for parts in (fragments(GOOD, rest, server=server), fragments(GOOD + rest, b"", server=server)):
            assert Judged(websocket, server).feed(*parts).got[1:] == ["bad"]

    def test_a_fragment_that_is_bad_is_not_handed_on(self, websocket, server):
        parts = fragments(b"good", b"\xff", b"more", server=server)
        assert Judged(websocket, server).feed(b"".join(parts)).got == [(1, len(parts[0])), "bad"]

    def test_what_came_before_it_is_handed_on_and_nothing_behind(self, websocket, server):
        good, bad, ping = (
            frame(Opcode.TEXT, b"good", server),
            frame(Opcode.TEXT, b"\xff", server),
            frame(Opcode.PING, b"", server),
        )
        data = good + ping + bad + ping + good + b"\xff"

        def run(chunks: list[bytes]) -> list[Any]:
            judged = Judged(websocket, server).feed(*chunks, good, bad, ping[:2])
            judged.reader.finish()
            assert judged.reader.pending_bytes == 0
            assert judged.reader.text_frames == 1
            return judged.got

        assert_split_anywhere(run, data, [b"good", (9, len(ping)), "bad"])

    def test_what_one_message_left_open_is_not_the_next_ones(self, websocket, server):
        """The state of an incomplete frame must not leak: each message begins anew."""
        one, two = frame(Opcode.TEXT, "x€".encode(), server), frame(Opcode.TEXT, b"\x82\xac", server)
        assert Judged(websocket, server).feed(one[:-2], one[-2:], two).got == ["x€".encode(), "bad"]
        assert Judged(websocket, server).feed(one[:-2], one[-2:], two[:-1]).got == ["x€".encode(), "bad"]
        again = Judged(websocket, server).feed(*fragments("€".encode(), b"a", server=server), one[:-2], one[-2:])
        assert again.got[2:] == ["x€".encode()]


@ROLES
class TestNotText:
    def test_binary_is_anything(self, websocket, server):
        whole = frame(Opcode.BINARY, b"\xff\xfe", server)
        parts = fragments(b"\xff", b"\xe2\x82", b"\x80", server=server, opcode=Opcode.BINARY)
        data = whole + b"".join(parts) + frame(Opcode.TEXT, b"after", server)
        judged = Judged(websocket, server)
        assert judged.proven_at(data) is None
        assert judged.got == [(2, len(whole)), (2, len(parts[0])), (0, len(parts[1])), (0, len(parts[2])), b"after"]

    def test_binary_behind_text_in_fragments(self, websocket, server):
        data = b"".join(fragments(b"a", b"b", server=server))
        data += b"".join(fragments(b"\xff", b"\xff", server=server, opcode=Opcode.BINARY))
        assert Judged(websocket, server).proven_at(data) is None

    @pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CLOSE])
    def test_control_frames_are_the_librarys_between_fragments_too(self, websocket, server, opcode):
        first, second = fragments(b"\xe2", b"\x82\xac", server=server)
        control = frame(opcode, b"\x03\xe8\xff", server)
        assert Judged(websocket, server).proven_at(control + first + control + second + control) is None

    def test_a_frame_out_of_place_is_the_librarys(self, websocket, server):
        stray = frame(Opcode.CONT, b"\xff", server)
        assert Judged(websocket, server).proven_at(stray) is None
        first, _ = fragments(b"a", b"b", server=server)
        nested = frame(Opcode.TEXT, b"\xff", server)
        assert Judged(websocket, server).proven_at(first + nested) is None
