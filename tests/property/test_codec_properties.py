import base64
import binascii
import math
import struct

from hypothesis import given
from hypothesis import strategies as st

import oracle.mulaw

ulaw_bytes = st.binary(max_size=2000)
samples = st.lists(st.integers(-32768, 32767), max_size=300)
nearly_base64 = st.text("ABab01+/= -_\n", max_size=24).map(str.encode) | st.binary(max_size=24)


def pcm(values: list[int]) -> bytes:
    return struct.pack(f"={len(values)}h", *values)


@given(ulaw_bytes)
def test_decode_then_encode_loses_only_the_sign_of_nought(mulaw, ulaw):
    assert mulaw.encode(mulaw.decode(ulaw)) == ulaw.replace(b"\x7f", b"\xff")


@given(samples)
def test_encode_is_monotonic_and_near(mulaw, values):
    values.sort()
    decoded = struct.unpack(f"={len(values)}h", mulaw.decode(mulaw.encode(pcm(values))))
    assert list(decoded) == sorted(decoded)
    for value, got in zip(values, decoded, strict=True):
        clipped = max(-32635, min(32635, value))
        assert abs(clipped - got) <= (abs(clipped) + 132) / 32 + 4  # half a step of its segment, and the two bits lost


@given(samples, ulaw_bytes)
def test_both_twins_say_the_same(mulaw, values, ulaw):
    assert mulaw.encode(pcm(values)) == oracle.mulaw.encode(pcm(values))
    assert mulaw.decode(ulaw) == oracle.mulaw.decode(ulaw)
    assert math.isclose(mulaw.rms(ulaw), oracle.mulaw.rms(ulaw), rel_tol=1e-5)


@given(ulaw_bytes, ulaw_bytes)
def test_concatenation(mulaw, first, second):
    assert mulaw.decode(first + second) == mulaw.decode(first) + mulaw.decode(second)


@given(ulaw_bytes)
def test_base64_is_that_of_the_standard_library(mulaw, data):
    assert mulaw.b64encode(data) == base64.b64encode(data)
    assert mulaw.b64decode(mulaw.b64encode(data)) == data


@given(nearly_base64)
def test_strict_base64_is_never_more_lenient_than_the_standard_library(mulaw, text):
    try:
        expected = base64.b64decode(text, validate=True)
    except binascii.Error:
        expected = None
    got = mulaw.b64decode(text)
    assert got in (expected, None)
    assert got == oracle.mulaw.b64decode(text)


@given(nearly_base64)
def test_the_ring_decodes_as_strictly(mulaw, text):
    ring = mulaw.Ring(initial_bytes=4)
    stored = ring.write_base64(text)
    decoded = mulaw.b64decode(text)
    assert stored == (-1 if decoded is None else len(decoded))
    assert ring.read(0, ring.end) == (decoded or b"")
