"""fastbridge._jitter: how late a stream comes, and how long it is to wait against that."""

from typing import Any

import pytest

from helpers import MS

SECOND = 1000 * MS


class Arrivals:
    """Each frame 20 ms after the one before it, and so much later than that."""

    def __init__(self, jitter: Any) -> None:
        self.jitter = jitter
        self.count = 0

    def come(self, late_ms: float, count: int = 1) -> int:
        for _ in range(count):
            self.jitter.note(7 * SECOND + self.count * 20 * MS + round(late_ms * MS))
            self.count += 1
        return int(self.jitter.late_ns)


@pytest.fixture
def jitter(twin: Any) -> Any:
    return twin.jitter.Jitter()


@pytest.fixture
def frames(jitter: Any) -> Arrivals:
    return Arrivals(jitter)


def test_before_any_nothing_is_late(twin, jitter):
    assert (jitter.late_ns, jitter.wanted_ns) == (0, twin.jitter.LEAST_NS)


def test_lateness_is_against_what_came_soonest(frames):
    assert frames.come(30) == 0
    assert frames.come(80) == 50 * MS
    assert frames.come(0) == 0
    assert frames.come(80) == 80 * MS
    assert frames.come(-15) == 0
    assert frames.come(80) == 95 * MS


def test_frames_that_come_together_are_late_by_their_place(frames):
    assert [frames.come(late) for late in (80, 60, 40, 20, 0, 80, 60, 40, 20, 0)][-5:] == [
        late * MS for late in (80, 60, 40, 20, 0)
    ]


def test_as_late_as_any_came_of_late_is_waited_and_a_little(twin, jitter, frames):
    frames.come(0)
    for late_ms, wanted_ms in [(49, 60), (50, 60), (51, 61), (90, 100), (50, 100), (130, 140), (900, 140)]:
        frames.come(late_ms)
        assert jitter.wanted_ns == wanted_ms * MS
    assert twin.jitter.MOST_NS == 140 * MS


def test_what_came_soonest_is_forgotten_in_5_to_10_seconds(frames):
    """So a route that has become longer is no lateness for ever."""
    frames.come(0)
    assert frames.come(100, 494) == 100 * MS
    assert frames.come(100) == 0


def test_what_came_latest_is_forgotten_in_8_to_16_seconds(jitter, frames):
    frames.come(0)
    frames.come(70)
    frames.come(0, 797)
    assert jitter.wanted_ns == 80 * MS
    frames.come(0, 2)
    assert jitter.wanted_ns == 60 * MS


def test_each_window_remembers_the_one_before_it(jitter, frames):
    frames.come(50, 249)
    frames.come(0)
    frames.come(50, 240)
    assert frames.come(50) == 50 * MS
    frames.come(70)
    frames.come(50, 390)
    assert jitter.wanted_ns == 80 * MS


def test_a_stream_that_stood_still_for_long_begins_anew(jitter, frames):
    frames.come(0, 10)
    assert frames.come(20_000) == 0
    assert frames.come(20_030) == 30 * MS
    assert jitter.wanted_ns == 60 * MS


def test_another_stream_has_its_own(twin, jitter):
    first = Arrivals(jitter)
    first.come(0)
    first.come(120)
    jitter.reset()
    assert (jitter.late_ns, jitter.wanted_ns) == (0, twin.jitter.LEAST_NS)
    assert Arrivals(jitter).come(500) == 0
    assert jitter.wanted_ns == twin.jitter.LEAST_NS


@pytest.mark.parametrize("skew_ppm", [-300, 300])
def test_clocks_that_differ_make_no_lateness(jitter, skew_ppm):
    for number in range(4000):
        jitter.note(round(number * 20 * MS * (1 + skew_ppm / 1e6)))
    assert jitter.late_ns < 4 * MS
    assert jitter.wanted_ns == 60 * MS
