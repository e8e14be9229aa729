"""Fragments to messages."""

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from fastbridge.net.fragments import Messages, heed_close


def new_protocol(server: bool) -> Protocol:
    if server:
        return ServerProtocol(state=OPEN)
    return ClientProtocol(parse_uri("ws://example.com/"), state=OPEN)


def test_a_whole_message_is_complete_at_once():
    messages = Messages()
    assert messages.feed(Frame(Opcode.TEXT, b"a")) == (True, b"a")
    assert messages.feed(Frame(Opcode.BINARY, b"b")) == (False, b"b")
    assert not messages.pending


def test_fragments_are_joined_in_order_and_keep_the_kind_of_the_first():
    messages = Messages()
    assert messages.feed(Frame(Opcode.BINARY, b"a", fin=False)) is None
    assert messages.pending
    assert messages.feed(Frame(Opcode.CONT, b"b", fin=False)) is None
    assert messages.fragments == 2
    assert messages.feed(Frame(Opcode.CONT, b"c")) == (False, b"abc")
    assert (messages.pending, messages.fragments) == (False, 0)


@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
def test_a_close_frame_between_fragments_is_answered_with_its_code(server):
    protocol = new_protocol(server)
    protocol.receive_data(Frame(Opcode.TEXT, b"never whole", fin=False).serialize(mask=server))
    data = Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=server)
    heed_close(protocol, data)
    protocol.receive_data(data)
    assert protocol.parser_exc is None
    assert protocol.close_sent == Close(1000, "bye")


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xec", b"\x03\xe8\xff"], ids=["half a code", "1004", "not UTF-8"])
def test_but_judged_as_any_other(payload):
    protocol = new_protocol(server=True)
    protocol.receive_data(Frame(Opcode.TEXT, b"never whole", fin=False).serialize(mask=True))
    data = Frame(Opcode.CLOSE, payload).serialize(mask=True)
    heed_close(protocol, data)
    protocol.receive_data(data)
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == (1007 if payload.endswith(b"\xff") else 1002)


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG])
def test_no_other_frame_ends_a_message(opcode):
    protocol = new_protocol(server=True)
    protocol.receive_data(Frame(Opcode.TEXT, b"first", fin=False).serialize(mask=True))
    heed_close(protocol, Frame(opcode, b"").serialize(mask=True))
    assert protocol.current_size == 5


def test_a_message_in_the_midst_of_another_begins_anew():
    """The library lets none pass."""
    messages = Messages()
    messages.feed(Frame(Opcode.BINARY, b"a", fin=False))
    assert messages.feed(Frame(Opcode.TEXT, b"b")) == (True, b"b")
