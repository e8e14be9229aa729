import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge._websocket import text_frame

TEXTS = [b"", b"x", b"y" * 125, b"z" * 126, b"a" * 65_535, b"b" * 65_536]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_a_frame_is_cut_out_of_what_came(peer, text, masked):
    frame = text_frame(text, mask=masked)
    assert peer.first_frame(frame + b"\x89\x00", masked=masked) == (len(frame), 1, True, text)
    for size in {0, 1, 2, 3, 9, len(frame) - 1}:
        if size < len(frame):
            assert peer.first_frame(frame[:size], masked=masked) is None


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (text_frame(b"for a client", mask=False), True),
        (text_frame(b"for a server", mask=True), False),
        (b"\xc1\x00", False),
        (b"\x81\x7f" + (1 << 20).to_bytes(8, "big"), False),
        (b"\x81\x7f" + b"\xff" * 8, False),
    ],
    ids=["unmasked", "masked", "reserved bit", "too long", "negative length"],
)
def test_what_is_no_frame(peer, data, masked):
    with pytest.raises(ValueError, match="frame"):
        peer.first_frame(data, masked=masked)


def test_control_frames_and_fragments_are_told_apart(peer):
    assert peer.first_frame(b"\x88\x02\x03\xe8", masked=False) == (4, 8, True, b"\x03\xe8")
    assert peer.first_frame(b"\x01\x01a", masked=False) == (3, 1, False, b"a")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        (b'{"type":"a"}', b"type", b"a"),
        (b' { "n" : 12 , "s":"x\\"}{" , "o": {"n":[1,{"s":"]"}]} } ', b"s", b'x\\"}{'),
        (b' { "n" : 12 , "s":"x\\"}{" , "o": {"n":[1,{"s":"]"}]} } ', b"o", b'{"n":[1,{"s":"]"}]}'),
        (b' { "n" : 12 , "s":"x" }', b"n", b"12"),
        (b'{"a":{"type":"inner"},"type":"outer"}', b"type", b"outer"),
        (b'{"a":"type","type":""}', b"type", b""),
        (b'{"a":[],"b":true,"c":null}', b"c", b"null"),
        (b"{}", b"a", None),
        (b'{"ab":1}', b"a", None),
    ],
)
def test_a_value_of_an_object(peer, text, key, value):
    assert peer.find_value(text, key) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(st.sampled_from(["type", "audio", "x", "event"]), json_values), compact=st.booleans())
def test_a_value_is_what_json_says(peer, value, compact):
    text = json.dumps(value, separators=(",", ":") if compact else None).encode()
    for key in ("type", "audio", "none"):
        found = peer.find_value(text, key.encode())
        if key not in value:
            assert found is None
        elif isinstance(value[key], str):
            assert json.loads(b'"' + found + b'"') == value[key]
        else:
            assert json.loads(found) == value[key]


@given(text=st.binary(max_size=60))
def test_nothing_that_a_peer_sends_raises(text):
    """Only the compiled one: the twin is for what is well-formed."""
    from fastbridge import _peer

    for cut in (text, b'{"' + text, b'{"a":' + text):
        assert _peer.find_value(cut, b"type") is None or b"type" in cut
