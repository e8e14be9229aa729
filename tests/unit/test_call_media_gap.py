"""call.media_gap: while the caller speaks and no audio comes, the model is sent the silence it ends turns on."""

import pytest

from fastbridge.call.facts import MEDIA_GAP_SECONDS
from fastbridge.call.media_gap import GAP_SILENCE_FRAMES, MediaGap
from virtual import VirtualLoop


class Lane:
    last_media_ns = 0

    def __init__(self) -> None:
        self.silences: list[int] = []

    def send_silence(self, frames: int) -> None:
        self.silences.append(frames)


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def lane(loop):
    lane = Lane()
    lane.last_media_ns = loop.now_ns
    return lane


@pytest.fixture
def gap(loop, lane):
    return MediaGap(clock=loop.clock, caller=lane)


def test_nothing_while_audio_comes(loop, lane, gap):
    loop.do(gap.begin)
    for _ in range(20):
        loop.advance(0.1)
        lane.last_media_ns = loop.now_ns
    assert lane.silences == []
    gap.end()


def test_a_second_of_silence_for_each_gap_as_long_as_he_speaks(loop, lane, gap):
    loop.do(gap.begin)
    loop.advance(MEDIA_GAP_SECONDS - 0.01)
    assert lane.silences == []
    loop.advance(0.02)
    assert lane.silences == [GAP_SILENCE_FRAMES]
    loop.advance(MEDIA_GAP_SECONDS)
    assert lane.silences == [GAP_SILENCE_FRAMES] * 2
    gap.end()
    loop.advance(10)
    assert lane.silences == [GAP_SILENCE_FRAMES] * 2
