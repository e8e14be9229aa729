"""fastbridge.model.live.stream_watch: a second without audio is a fault, and where we stood still it is not."""

import pytest

from fastbridge.model.live.stream_watch import FIRST_SECONDS, MUTE_SECONDS, StreamWatch
from virtual import VirtualLoop


class Scene:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.streamed_ns = 0
        self.streamed_ms = 0
        self.stalls: list[float] = []
        self.too_fast: list[float] = []
        self.watch = StreamWatch(
            clock=self.loop.clock,
            streamed_ns=lambda: self.streamed_ns,
            streamed_ms=lambda: self.streamed_ms,
            stalled=lambda: self.stalls.append(self.loop.time()),
            too_fast=lambda: self.too_fast.append(self.loop.time()),
        )
        self.began = self.loop.time()
        self.loop.do(self.watch.begin)

    def stream(self, seconds: float, speed: int = 1) -> None:
        for _ in range(round(seconds * 50)):
            self.streamed_ns = self.loop.now_ns
            self.streamed_ms += 20 * speed
            self.loop.advance(0.02)


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.watch.close()
    scene.loop.close()


def test_a_stream_that_flows_is_well(scene):
    scene.stream(30)
    assert scene.stalls == []


@pytest.mark.parametrize("seconds", [1.5, 2.0, 2.3, 2.9])
def test_a_second_without_audio_is_a_stall_told_once(scene, seconds):
    scene.stream(seconds)
    stood_still = scene.streamed_ns / 1e9
    scene.loop.advance(5)
    assert len(scene.stalls) == 1
    assert MUTE_SECONDS - 0.01 <= scene.stalls[0] - stood_still <= MUTE_SECONDS + 0.8


def test_a_shorter_gap_is_none(scene):
    for _ in range(10):
        scene.stream(0.4)
        scene.loop.advance(0.9)
    assert scene.stalls == []


def test_more_audio_than_time_is_told_once(scene):
    """Linear PCM at 24 kHz is six times as much."""
    scene.stream(10, speed=6)
    assert (len(scene.too_fast), scene.stalls) == (1, [])
    assert scene.too_fast[0] - scene.began < 2.0


def test_what_comes_at_once_behind_a_stall_is_no_more_than_time(scene):
    scene.stream(5)
    scene.loop.advance(0.9)
    scene.streamed_ms += 900
    scene.stream(5)
    assert (scene.too_fast, scene.stalls) == ([], [])


def test_a_fast_clock_is_no_other_format(scene):
    """Half a percent of two hours."""
    scene.loop.do(scene.watch.close)
    scene.loop.do(scene.watch.begin)
    scene.streamed_ns = scene.loop.now_ns
    for _ in range(7200):
        scene.streamed_ms += 1005
        scene.loop.advance(0.1)
        scene.streamed_ns = scene.loop.now_ns
        scene.loop.advance(0.9)
        scene.streamed_ns = scene.loop.now_ns
    assert (scene.too_fast, scene.stalls) == ([], [])


def test_the_first_audio_may_take_longer(scene):
    scene.loop.advance(FIRST_SECONDS - 0.1)
    assert scene.stalls == []
    scene.loop.advance(0.2)
    assert len(scene.stalls) == 1


def test_where_we_stood_still_it_is_given_the_time_again(scene):
    scene.stream(3)
    scene.loop.now_ns += 2_000_000_000  # nothing of ours ran; the audio of that time is about to be read
    scene.loop.advance(0.01)
    assert scene.stalls == []
    scene.stream(1)
    assert scene.stalls == []


def test_nothing_is_heard_of_one_that_is_over(scene):
    scene.stream(1)
    scene.watch.close()
    scene.loop.advance(10)
    assert scene.stalls == []
