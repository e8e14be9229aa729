"""PCM is told from mu-law by the bytes alone, not by how they are cut; and both twins say so at the same byte."""

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fastbridge.sim.audio import from_ulaw, speech, to_ulaw
from sounds import spoken, to_pcm
from twins import Twin

ORACLE, COMPILED = Twin("oracle"), Twin("compiled")
BLOCK_BYTES = 1024
PCM = to_pcm(spoken(-20))[:6000]
ULAW = speech("assistant_morning")[:6000]


def walk(seed: int, high_step: int, low_range: int, sign: int) -> bytes:
    """A block near every limit: a high byte that wanders in steps, a low one that is spread as far."""
    rng = np.random.default_rng(seed)
    high = np.cumsum(rng.integers(-high_step, high_step + 1, BLOCK_BYTES // 2))
    high = np.where(rng.random(high.size) < sign / 20, high ^ 0x80, high)
    low = rng.integers(-low_range, low_range + 1, high.size)
    return np.stack([low, high], axis=1).astype(np.uint8).tobytes()


walks = st.builds(walk, st.integers(0, 1 << 20), st.integers(0, 60), st.integers(0, 128), st.integers(0, 3))
parts = st.sampled_from([PCM, ULAW, b"\xff" * 2000, bytes(2000)]) | walks | st.binary(max_size=300)
items = st.lists(parts, max_size=6).map(b"".join)


def told_at(twin: Any, pieces: list[bytes]) -> int:
    """How many bytes were fed when it was told, to the piece's end; -1: never."""
    watch = twin.pcm.PcmWatch()
    fed, told = 0, -1
    for piece in pieces:
        fed += len(piece)
        if watch.feed(piece):
            assert told == -1, "told twice"
            told = fed
    return told


def cut(audio: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(audio[:size])
        audio = audio[size:]
    return [*pieces, audio]


@given(items, st.lists(st.integers(0, 5000), max_size=20))
def test_how_it_is_cut_makes_no_difference(twin, item, sizes):
    in_blocks = told_at(twin, cut(item, [BLOCK_BYTES] * (len(item) // BLOCK_BYTES)))
    pieces = cut(item, sizes)
    told = told_at(twin, pieces)
    assert (told == -1) == (in_blocks == -1)
    if told != -1:
        before = [sum(map(len, pieces[:count])) for count in range(len(pieces) + 1)]
        assert told == min(end for end in before if end >= in_blocks), "at the first piece that completes its block"


@given(items)
@example(PCM)
@example(ULAW + PCM)
def test_the_twins_agree(item):
    pieces = cut(item, [BLOCK_BYTES] * (len(item) // BLOCK_BYTES))
    assert told_at(COMPILED, pieces) == told_at(ORACLE, pieces)


@given(walks, walks)
def test_the_twins_agree_on_two_blocks(first, second):
    assert told_at(COMPILED, [first, second]) == told_at(ORACLE, [first, second])
    assert told_at(COMPILED, [first, first]) == told_at(ORACLE, [first, first])


@given(st.sampled_from([1, 10, 100, 1000]), st.floats(0.001, 300), st.binary(max_size=3))
def test_mulaw_at_any_level_and_place_is_fine(twin, every, gain, before):
    audio = before + to_ulaw(from_ulaw(ULAW) * gain)
    assert told_at(twin, cut(audio, [every] * 6)) == -1
