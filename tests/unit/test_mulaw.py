import base64
import math
import struct
import sys
import warnings
from itertools import pairwise

import pytest

from helpers import assert_split_anywhere

ALL_CODES = bytes(range(256))
ALL_SAMPLES = struct.pack("=65536h", *range(-32768, 32768))
CAPTURED_SILENCE = b"/" * 213 + b"w=="


def g711_decision_values() -> list[int]:
    """Table 2a of ITU-T G.711: the 14-bit magnitudes where a code ends, from 1 (the end of code +0) to 7903."""
    values, step = [1], 2
    for segment in range(8):
        for _ in range(15 if segment == 0 else 16):
            values.append(values[-1] + step)
        step *= 2
    return values[:127]


def g711_outputs() -> list[int]:
    """Table 2a: the value of each code lies half way between its decision values."""
    ends = [-1, *g711_decision_values(), 8159]
    return [(low + high) // 2 for low, high in pairwise(ends)]


def g711_magnitude_code(magnitude: int) -> int:
    return sum(decision <= magnitude for decision in g711_decision_values())


def test_g711_tables_are_those_of_the_recommendation():
    assert g711_decision_values()[:16] == list(range(1, 32, 2))
    assert g711_decision_values()[-2:] == [7647, 7903]
    assert g711_outputs()[:3] == [0, 2, 4]
    assert g711_outputs()[-2:] == [7775, 8031]


def test_decode_is_g711_for_every_code(mulaw):
    outputs = g711_outputs()
    positive = [4 * outputs[0xFF - code] for code in range(0x80, 0x100)]
    negative = [-4 * outputs[0x7F - code] for code in range(0x80)]
    assert list(struct.unpack("=256h", mulaw.decode(ALL_CODES))) == negative + positive


def test_encode_is_g711_for_every_sample(mulaw):
    codes = []
    for sample in range(-32768, 32768):
        top14 = sample >> 2
        codes.append((0x7F if top14 < 0 else 0xFF) - g711_magnitude_code(abs(top14)))
    assert mulaw.encode(ALL_SAMPLES) == bytes(codes)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the standard library has no audioop any more")
def test_codec_agrees_with_audioop(mulaw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    assert mulaw.decode(ALL_CODES) == audioop.ulaw2lin(ALL_CODES, 2)
    assert mulaw.encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES, 2)


def test_a_decoded_code_encodes_to_itself(mulaw):
    again = mulaw.encode(mulaw.decode(ALL_CODES))
    assert [(code, got) for code, got in enumerate(again) if code != got] == [(0x7F, 0xFF)]  # minus zero


def test_silence(mulaw):
    assert mulaw.SILENCE == 0xFF
    assert mulaw.decode(bytes([mulaw.SILENCE])) == b"\0\0"


def test_no_samples(mulaw):
    assert mulaw.decode(b"") == b""
    assert mulaw.encode(b"") == b""
    assert mulaw.rms(b"") == 0.0


@pytest.mark.parametrize("size", [1, 3, 321])
def test_encode_refuses_half_a_sample(mulaw, size):
    with pytest.raises(ValueError, match="even"):
        mulaw.encode(bytes(size))


@pytest.mark.parametrize("name", ["decode", "encode", "rms", "b64encode", "b64decode"])
def test_none_is_a_type_error(mulaw, name):
    with pytest.raises(TypeError):
        getattr(mulaw, name)(None)


def test_rms_of_a_constant_is_its_magnitude(mulaw):
    assert mulaw.rms(bytes([0xFF]) * 160) == 0.0
    for code in range(256):
        (sample,) = struct.unpack("=h", mulaw.decode(bytes([code])))
        assert mulaw.rms(bytes([code]) * 160) == pytest.approx(abs(sample), rel=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 159, 160, 161, 8000])
def test_rms_is_the_root_mean_square_of_what_decode_gives(mulaw, size):
    ulaw = bytes(index * 73 % 256 for index in range(size))
    samples = struct.unpack(f"={size}h", mulaw.decode(ulaw))
    assert mulaw.rms(ulaw) == pytest.approx(math.sqrt(sum(s * s for s in samples) / size), rel=1e-5)


def test_rms_never_passes_the_loudest_sample(mulaw):
    for size in (2, 160, 8000):  # up to the largest payload a lane takes
        assert mulaw.rms(b"\x80\x00" * (size // 2)) <= 32124.0


@pytest.mark.parametrize("size", [*range(10), 159, 160, 161, 2000, 65_537])
def test_base64_round_trip(mulaw, size):
    data = bytes(index * 31 % 256 for index in range(size))
    text = mulaw.b64encode(data)
    assert text == base64.b64encode(data)
    assert mulaw.b64decode(text) == data


def test_base64_of_every_byte_in_every_place(mulaw):
    for value in range(256):
        for data in (bytes([value]), bytes([0, value]), bytes([0, 0, value])):
            assert mulaw.b64decode(mulaw.b64encode(data)) == data


def test_base64_of_captured_silence(mulaw):
    assert mulaw.b64encode(b"\xff" * 160) == CAPTURED_SILENCE
    assert mulaw.b64decode(CAPTURED_SILENCE) == b"\xff" * 160


@pytest.mark.parametrize(
    "text",
    [b"A", b"AA", b"AAA", b"AAAAA", b"=", b"==", b"====", b"A===", b"AA=A", b"=AAA", b"A=AA", b"AA==AAAA", b"AAA=AAAA"],
)
def test_wrong_length_or_padding_is_none(mulaw, text):
    assert mulaw.b64decode(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"AAA=AA==",
        b"AAAA====",
        b"AAAA=",
        b"AA==\n",
        b"AAA\n",
        b" AAA",
        b"AA A",
        b"AA-_",
        b"AA\0A",
        b"AAA\x80",
        b"\xff" * 4,
    ],
)
def test_other_characters_are_none(mulaw, text):
    assert mulaw.b64decode(text) is None
    assert mulaw.b64decode(b"AAAA" * 40 + text) is None


def test_every_byte_outside_of_the_alphabet_is_malformed_in_every_place(mulaw):
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for value in range(256):
        for place in range(8):
            text = bytearray(b"AAAAAAAA")
            text[place] = value
            good = value in alphabet or (value == ord("=") and place == 7)
            assert (mulaw.b64decode(bytes(text)) is not None) == good, (value, place)


def test_unused_trailing_bits_may_be_set(mulaw):
    assert mulaw.b64decode(b"AB==") == base64.b64decode(b"AB==", validate=True) == b"\0"
    assert mulaw.b64decode(b"AAB=") == base64.b64decode(b"AAB=", validate=True) == b"\0\0"


class TestRing:
    def test_starts_empty(self, mulaw):
        ring = mulaw.Ring()
        assert (ring.start, ring.end, ring.peak_bytes, ring.full) == (0, 0, 0, False)
        assert ring.capacity_bytes == 16_384
        assert ring.read(0, 0) == b""

    def test_a_byte_keeps_its_position_until_released(self, mulaw):
        ring = mulaw.Ring(initial_bytes=8)
        assert ring.write(b"abcdef") is True
        ring.release(4)
        assert ring.write(b"ghij") is True  # wraps around in eight bytes
        assert (ring.start, ring.end, ring.capacity_bytes) == (4, 10, 8)
        assert ring.read(4, 6) == b"efghij"
        assert ring.read(5, 2) == b"fg"
        assert ring.read(10, 0) == b""

    def test_grows_by_doubling_and_keeps_what_it_holds(self, mulaw):
        ring = mulaw.Ring(initial_bytes=8)
        ring.write(b"abcdefgh")
        ring.release(6)
        ring.write(b"0123456789")
        assert ring.read(6, 12) == b"gh0123456789"
        assert ring.capacity_bytes == 16
        ring.write(bytes(100))
        assert ring.capacity_bytes == 128
        assert ring.read(6, 12) == b"gh0123456789"

    @pytest.mark.parametrize("head", range(9))
    @pytest.mark.parametrize("size", [1, 7, 8, 9, 17, 40])
    def test_growth_from_every_place_in_the_storage(self, mulaw, head, size):
        ring = mulaw.Ring(initial_bytes=8)
        ring.write(bytes(head))
        ring.release(head)
        ring.write(b"12345")
        data = bytes(range(100, 100 + size))
        assert ring.write(data) is True
        assert ring.read(head, 5 + size) == b"12345" + data

    def test_capacity_is_a_power_of_two(self, mulaw):
        assert mulaw.Ring(initial_bytes=1000).capacity_bytes == 1024

    def test_full_from_the_cap_on(self, mulaw):
        ring = mulaw.Ring(initial_bytes=16, cap_bytes=10, hard_cap_bytes=20)
        ring.write(bytes(9))
        assert ring.full is False
        ring.write(bytes(1))
        assert ring.full is True
        ring.release(1)
        assert ring.full is False

    def test_refuses_what_passes_the_hard_cap_and_stores_none_of_it(self, mulaw):
        ring = mulaw.Ring(initial_bytes=16, cap_bytes=10, hard_cap_bytes=20)
        assert ring.write(bytes(20)) is True
        assert ring.write(b"x") is False
        assert ring.write_base64(b"AAAA") == -2
        assert (ring.start, ring.end, ring.peak_bytes) == (0, 20, 20)
        ring.release(1)
        assert ring.write(b"xy") is False
        assert ring.write(b"x") is True
        assert ring.read(19, 2) == b"\0x"

    def test_write_nothing(self, mulaw):
        ring = mulaw.Ring()
        assert ring.write(b"") is True
        assert ring.write_base64(b"") == 0
        assert ring.end == 0

    def test_peak_is_what_was_held_at_once(self, mulaw):
        ring = mulaw.Ring()
        ring.write(bytes(100))
        ring.release(90)
        ring.write(bytes(50))
        assert ring.peak_bytes == 100
        ring.write(bytes(60))
        assert ring.peak_bytes == 120

    def test_base64_is_decoded_into_the_ring(self, mulaw):
        ring = mulaw.Ring(initial_bytes=8)
        ring.write(b"abcdef")
        ring.release(5)
        for data in (b"1", b"22", b"333", b"4444", b"\xff" * 160):
            end = ring.end
            assert ring.write_base64(base64.b64encode(data)) == len(data)
            assert ring.read(end, len(data)) == data
        assert ring.read(5, 1) == b"f"

    @pytest.mark.parametrize("text", [b"A", b"AAA", b"AAAAAA=A", b"!AAA", b"AAAAAAA\xff", b"AAAAAAAAAA==AAAA"])
    @pytest.mark.parametrize("offset", [0, 5])
    def test_malformed_base64_stores_nothing(self, mulaw, text, offset):
        ring = mulaw.Ring(initial_bytes=8)
        ring.write(b"abcde")
        ring.release(offset)
        assert ring.write_base64(text) == -1
        assert (ring.end, ring.read(offset, 5 - offset)) == (5, b"abcde"[offset:])
        assert ring.peak_bytes == 5

    @pytest.mark.parametrize(("position", "count"), [(1, 2), (3, 8), (10, 1), (11, 0), (-1, 3), (2, 0), (3, -1)])
    def test_read_outside_is_an_error(self, mulaw, position, count):
        ring = mulaw.Ring()
        ring.write(bytes(10))
        ring.release(3)
        with pytest.raises(ValueError, match="within"):
            ring.read(position, count)

    @pytest.mark.parametrize("position", [2, 11, -1])
    def test_release_outside_is_an_error(self, mulaw, position):
        ring = mulaw.Ring()
        ring.write(bytes(10))
        ring.release(3)
        with pytest.raises(ValueError, match="within"):
            ring.release(position)
        assert ring.start == 3

    def test_release_everything_and_again(self, mulaw):
        ring = mulaw.Ring(initial_bytes=4)
        for round_number in range(20):
            ring.write(b"abc")
            assert ring.read(3 * round_number, 3) == b"abc"
            ring.release(ring.end)
            ring.release(ring.end)
        assert ring.capacity_bytes == 4

    def test_positions_do_not_depend_on_how_it_was_written(self, mulaw):
        data = bytes(range(40))

        def through_a_ring(chunks: list[bytes]) -> bytes:
            ring = mulaw.Ring(initial_bytes=4)
            for chunk in chunks:
                ring.write(chunk)
            return ring.read(0, len(data))

        assert_split_anywhere(through_a_ring, data, data)
