"""Fragments to messages."""

import pytest
from websockets.frames import Frame, Opcode

from fastbridge.messages import Messages, is_utf8


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


@pytest.mark.parametrize(("text", "valid"), [(b"", True), ("שלום".encode(), True), (b"\xff", False), (b"\xd7", False)])
def test_is_utf8(text, valid):
    assert is_utf8(text) is valid
