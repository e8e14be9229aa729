"""fastbridge._pcm: PCM taken for mu-law is noticed soon, and nothing that is mu-law is taken for PCM."""

from typing import Any

import numpy as np
import pytest

from fastbridge.sim.audio import from_ulaw, to_ulaw
from sounds import PCM_RATES_HZ, noise, recordings, spoken, to_pcm, tone, wordless

BLOCK_BYTES = 1024
SECOND = 8000
RECORDINGS = recordings()
WORDLESS = wordless()


@pytest.fixture
def watch(twin):
    return twin.pcm.PcmWatch()


def told_after(watch: Any, audio: bytes, size: int = BLOCK_BYTES) -> int | None:
    """After how many bytes it is known to be PCM."""
    for start in range(0, len(audio), size):
        if watch.feed(audio[start : start + size]):
            return start + size
    return None


class TestPcm:
    @pytest.mark.parametrize("rate_hz", PCM_RATES_HZ)
    @pytest.mark.parametrize("dbfs", [-50, -40, -30, -20, -12])
    def test_is_noticed_within_two_seconds_of_what_is_heard(self, watch, dbfs, rate_hz):
        told = told_after(watch, to_pcm(spoken(dbfs), rate_hz))
        assert told is not None
        assert told <= 1.2 * SECOND

    @pytest.mark.parametrize("name", RECORDINGS)
    def test_is_noticed_whatever_is_said(self, watch, name):
        told = told_after(watch, to_pcm(from_ulaw(RECORDINGS[name])))
        assert told is not None
        assert told <= 2 * SECOND

    @pytest.mark.parametrize("dither", [0, 1], ids=["zeros", "dithered"])
    def test_is_noticed_behind_silence(self, watch, dither):
        quiet = np.random.default_rng(1).integers(-dither, dither + 1, 12_000).astype("<i2").tobytes()
        told = told_after(watch, quiet + to_pcm(spoken(-20)))
        assert told is not None
        assert told - len(quiet) <= SECOND

    def test_is_noticed_in_either_byte_order(self, watch):
        assert told_after(watch, to_pcm(spoken(-20), order=">")) is not None

    def test_is_noticed_from_the_middle_of_a_sample_on(self, watch):
        assert told_after(watch, to_pcm(spoken(-20))[1:]) is not None

    def test_that_only_keeps_silent_is_none(self, watch):
        assert told_after(watch, bytes(10 * SECOND)) is None

    def test_is_told_once(self, watch):
        audio = to_pcm(spoken(-20))
        told = told_after(watch, audio) or 0
        assert not watch.feed(audio[told:])
        assert not watch.feed(audio)

    def test_is_told_anew_of_another_item(self, watch):
        audio = to_pcm(spoken(-20))
        first = told_after(watch, audio)
        watch.begin()
        assert told_after(watch, audio) == first


class TestMulaw:
    @pytest.mark.parametrize("name", RECORDINGS)
    @pytest.mark.parametrize("gain", [0.003, 1.0, 10.0, 300.0], ids=["soft", "as it is", "loud", "clipped"])
    def test_speech_is_fine(self, watch, name, gain):
        samples = from_ulaw(RECORDINGS[name])[: 4 * SECOND]
        for audio in (to_ulaw(samples * gain), to_ulaw(-samples * gain)[1:]):
            watch.begin()
            assert told_after(watch, audio) is None

    @pytest.mark.parametrize("name", WORDLESS)
    def test_sounds_are_fine(self, watch, name):
        assert told_after(watch, to_ulaw(WORDLESS[name])) is None

    def test_a_steady_line_is_fine(self, watch):
        for code in range(256):
            watch.begin()
            assert told_after(watch, bytes([code]) * 4 * BLOCK_BYTES) is None

    def test_two_codes_in_turn_are_fine(self, watch):
        for codes in ((0xFF, 0x7F), (0x00, 0x80), (0xFF, 0x00), (0x00, 0xFF), (0x55, 0xD5)):
            for run in (1, 2, 3, 80):
                watch.begin()
                audio = (bytes([codes[0]]) * run + bytes([codes[1]]) * run) * (4 * BLOCK_BYTES // run)
                assert told_after(watch, audio[: 6 * BLOCK_BYTES]) is None

    def test_counting_bytes_are_fine(self, watch):
        assert told_after(watch, bytes(range(256)) * 64) is None
        assert told_after(watch, bytes(range(160)) * 64) is None

    def test_random_bytes_are_fine(self, watch):
        assert told_after(watch, np.random.default_rng(1).bytes(8 * SECOND)) is None

    def test_one_that_is_full_of_zeros_is_fine(self, watch):
        """Gaps that somebody has filled with the wrong silence: the loudest code there is."""
        audio = bytearray(RECORDINGS["en/apology.ulaw"])
        for start in range(0, len(audio), 800):
            audio[start : start + 300] = bytes(300)
        assert told_after(watch, bytes(audio)) is None


class TestTheVerdict:
    """Two blocks of the last eight."""

    @pytest.fixture
    def block(self):
        """One block that is PCM beyond doubt: a vowel at 24 kHz."""
        return to_pcm(tone(300, 0.1) + tone(1100, 0.05) + noise(0.002))[: 2 * BLOCK_BYTES][:BLOCK_BYTES]

    @pytest.mark.parametrize(("between", "told"), [(0, True), (1, True), (6, True), (7, False)])
    def test_needs_two_blocks_near_each_other(self, watch, block, between, told):
        assert not watch.feed(block)
        assert not watch.feed(b"\xff" * BLOCK_BYTES * between)
        assert watch.feed(block) is told

    def test_needs_whole_blocks(self, watch, block):
        assert not watch.feed(block + block[:-1])
        assert watch.feed(block[-1:])

    def test_forgets_the_rest_of_a_block_with_its_item(self, watch, block):
        watch.feed(block[:100])
        watch.begin()
        assert not watch.feed(block + block[:-1])
        assert watch.feed(block[-1:])

    @pytest.mark.parametrize("cut", [1, 300, 512, 1000])
    def test_is_of_blocks_from_the_items_beginning_however_it_is_cut(self, watch, block, cut):
        silence = b"\xff" * BLOCK_BYTES
        alone = silence + block + 3 * silence
        assert not watch.feed(alone[:cut])
        assert not watch.feed(alone[cut:])
        watch.begin()
        assert watch.feed(silence[:512] + block + silence[:512]), "across the border of two it is in both"

    def test_of_nothing_is_nothing(self, watch):
        assert not watch.feed(b"")


class TestABlock:
    """Each limit, from both its sides."""

    LOW = bytes(range(0, 256, 16)) * 32

    def tells(self, watch: Any, high: list[int], low: bytes = LOW) -> bool:
        """Whether blocks with these high bytes, over and over, and these low ones are PCM."""
        highs = (high * BLOCK_BYTES)[: BLOCK_BYTES // 2]
        block = bytes(byte & 0xFF for pair in zip(low, highs, strict=True) for byte in pair)
        return bool(watch.feed(block + block))

    @pytest.mark.parametrize(("crossings", "told"), [(0, False), (1, False), (2, True), (3, True)])
    def test_goes_through_zero_twice(self, watch, crossings, told):
        signs = [0, -1] * 2
        high = [signs[min(at // 100, crossings)] for at in range(512)]
        assert self.tells(watch, high) is told

    @pytest.mark.parametrize(("step", "told"), [(1, True), (23, True), (24, True), (25, False), (60, False)])
    def test_goes_through_zero_in_small_steps(self, watch, step, told):
        low_end = -step // 2
        high = [low_end + step] * 20 + [low_end] * 20
        assert self.tells(watch, high) is told

    @pytest.mark.parametrize(("small", "told"), [(3, False), (4, True)])
    def test_goes_through_zero_in_large_steps_hardly_ever(self, watch, small, told):
        """Here once, from 50 to -50."""
        high = [*[50] * 5, *[-50] * 5, *([-1, 0] * small)[: small + 1]]
        assert self.tells(watch, high + high[-1:] * 512) is told

    @pytest.mark.parametrize(("sixteenths", "told"), [(9, False), (10, True), (16, True)])
    def test_has_low_bytes_of_every_kind(self, watch, sixteenths, told):
        low = (bytes(range(0, 16 * sixteenths, 16)) * 64)[:512]
        assert self.tells(watch, [0] * 20 + [-1] * 20, low) is told

    @pytest.mark.parametrize(("every", "told"), [(4, False), (5, True)])
    def test_is_rougher_in_its_low_bytes(self, watch, every, told):
        """Three times: they go up and down by 16, the high ones by 24 at every so many of theirs."""
        steps = [*range(-128, 128, 16), *range(96, -128, -16)]
        low = bytes(byte & 0xFF for byte in (steps * 32)[:512])
        assert self.tells(watch, [12] * every + [-12] * every, low) is told

    @pytest.mark.parametrize(("count", "told"), [(63, False), (64, True)])
    def test_has_loud_codes_or_is_not_looked_at(self, watch, count, told):
        """In mu-law, codes below 0x18: here the high bytes alone, as far as they are zero."""
        low = bytes(0x18 + (at * 23) % 232 for at in range(512))
        high = [0] * (count - 1) + [-1] * (512 - count) + [0]
        assert self.tells(watch, high, low) is told
