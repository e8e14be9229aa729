"""fastbridge._tape: two tracks by time, of what was said and what was heard; no gap is closed, nothing hidden kept."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge._tape import Tape as CompiledTape
from helpers import MS, numbered_frame
from oracle.tape import Tape as PlainTape

QUIET = bytes([0xFF])
START_NS = 5000 * MS
FRAME_NS = 20 * MS


@pytest.fixture
def tape(twin):
    return twin.tape.Tape(START_NS)


def tracks(tape: Any, until_ms: float) -> tuple[bytes, bytes]:
    """All of both, up to then."""
    taken = b""
    while piece := tape.take(START_NS + round(until_ms * MS)):
        taken += piece
    return taken[0::2], taken[1::2]


def quiet(milliseconds: int) -> bytes:
    return QUIET * (8 * milliseconds)


class TestTracks:
    def test_the_caller_is_on_the_left_when_he_spoke_and_the_assistant_on_the_right_when_heard(self, tape):
        tape.feed_caller(numbered_frame(1), 0, START_NS + 60 * MS)
        tape.feed_assistant(numbered_frame(2), START_NS + 120 * MS)
        left, right = tracks(tape, 200)
        assert left == quiet(40) + numbered_frame(1) + quiet(140)
        assert right == quiet(100) + numbered_frame(2) + quiet(80)

    def test_jitter_of_the_line_neither_cuts_nor_repeats(self, tape):
        arrivals = [20, 47, 60, 80.5, 99, 160, 161, 162, 163]
        for number, at_ms in enumerate(arrivals):
            tape.feed_caller(numbered_frame(number), 0, START_NS + round(at_ms * MS))
        left, _ = tracks(tape, 200)
        assert left == b"".join(map(numbered_frame, range(len(arrivals)))) + quiet(20)

    def test_what_the_line_held_back_is_put_where_it_was_said(self, tape):
        tape.feed_caller(numbered_frame(0), 0, START_NS + 20 * MS)
        for number in range(1, 51):
            tape.feed_caller(numbered_frame(number), 0, START_NS + 1020 * MS)
        assert tracks(tape, 1020)[0] == b"".join(map(numbered_frame, range(51)))

    def test_what_the_network_lost_is_silence(self, tape):
        tape.feed_caller(numbered_frame(1), 0, START_NS + 20 * MS)
        tape.feed_caller(numbered_frame(2), 3, START_NS + 100 * MS)
        assert tracks(tape, 100)[0] == numbered_frame(1) + quiet(60) + numbered_frame(2)

    def test_a_line_that_stood_still_goes_on_at_the_time_it_is(self, tape):
        tape.feed_caller(numbered_frame(1), 0, START_NS + 20 * MS)
        tape.feed_caller(numbered_frame(2), 0, START_NS + 5000 * MS)
        left, _ = tracks(tape, 5000)
        assert left[-160:] == numbered_frame(2)

    def test_who_speaks_faster_than_time_is_not_followed(self, tape):
        for number in range(200):
            tape.feed_caller(numbered_frame(number), 0, START_NS + 20 * MS)
        assert (tape.frames, tape.dropped_frames) == (101, 99)

    def test_what_is_taken_back_is_silence_and_what_follows_comes_in_its_time(self, tape):
        for number in range(4):
            tape.feed_assistant(numbered_frame(number), START_NS + (number + 1) * FRAME_NS)
        tape.take_back(200)
        tape.feed_assistant(numbered_frame(9), START_NS + 120 * MS)
        _, right = tracks(tape, 120)
        whole = b"".join(map(numbered_frame, range(4)))
        assert right == whole[:440] + QUIET * 200 + quiet(20) + numbered_frame(9)


class TestRoom:
    def test_what_finds_no_room_is_dropped_counted_and_leaves_its_gap(self, twin):
        tape = twin.tape.Tape(START_NS, capacity_bytes=512)
        for number in range(5):
            tape.feed_caller(numbered_frame(number), 0, START_NS + (number + 1) * FRAME_NS)
        assert (tape.dropped_frames, tape.peak_bytes) == (2, 480)
        left, _ = tracks(tape, 100)
        assert left == b"".join(map(numbered_frame, range(3))) + quiet(40)
        tape.feed_caller(numbered_frame(7), 0, START_NS + 120 * MS)
        assert tracks(tape, 120)[0] == numbered_frame(7)

    def test_what_comes_for_a_time_that_was_taken_is_too_late(self, tape):
        assert tape.take(START_NS + 100 * MS) == QUIET * 1600
        tape.feed_assistant(numbered_frame(1), START_NS + 100 * MS)
        assert (tape.dropped_frames, tape.taken_bytes) == (1, 800)

    def test_time_before_the_beginning_is_none(self, tape):
        assert tape.take(START_NS - MS) == b""
        tape.feed_caller(numbered_frame(1), 0, START_NS + 10 * MS)
        assert (tape.frames, tape.hidden_frames, tape.dropped_frames) == (0, 0, 0)  # it began to be said before
        assert tracks(tape, 20)[0] == quiet(20)


class TestPrivacy:
    def test_both_tracks_are_silent_from_then_on_whatever_had_left_for_later(self, tape):
        for number in range(10):
            tape.feed_assistant(numbered_frame(number), START_NS + (number + 1) * FRAME_NS)
        tape.feed_caller(numbered_frame(99), 0, START_NS + 60 * MS)
        tape.conceal(START_NS + 60 * MS)
        tape.feed_caller(numbered_frame(98), 0, START_NS + 80 * MS)
        left, right = tracks(tape, 200)
        assert left == quiet(40) + numbered_frame(99) + quiet(140)
        assert right == b"".join(map(numbered_frame, range(3))) + quiet(140)

    def test_what_began_before_its_end_stays_hidden(self, tape):
        tape.conceal(START_NS)
        tape.feed_caller(numbered_frame(1), 0, START_NS + 100 * MS)
        tape.reveal(START_NS + 110 * MS)
        tape.feed_caller(numbered_frame(2), 0, START_NS + 120 * MS)  # said from 100 to 120
        tape.feed_caller(numbered_frame(3), 0, START_NS + 140 * MS)
        left, _ = tracks(tape, 160)
        assert left == quiet(120) + numbered_frame(3) + quiet(20)
        assert tape.hidden_frames == 2

    def test_a_line_that_lags_brings_nothing_of_it(self, tape):
        tape.feed_caller(numbered_frame(0), 0, START_NS + 20 * MS)
        tape.conceal(START_NS + 20 * MS)
        tape.reveal(START_NS + 500 * MS)
        for number in range(1, 30):  # all of it at once, and most of it was said in private
            tape.feed_caller(numbered_frame(number), 0, START_NS + 600 * MS)
        left, _ = tracks(tape, 600)
        assert left[160:4000] == QUIET * 3840

    def test_twice_is_once(self, tape):
        tape.reveal(START_NS + 50 * MS)
        tape.feed_caller(numbered_frame(1), 0, START_NS + 40 * MS)
        tape.conceal(START_NS + 40 * MS)
        tape.conceal(START_NS)
        assert tape.concealed
        assert tracks(tape, 40)[0] == quiet(20) + numbered_frame(1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("caller"), st.integers(0, 12), st.sampled_from([0, 0, 0, 2])),
        st.tuples(st.just("assistant"), st.integers(0, 12), st.integers(0, 5)),
        st.tuples(st.just("take_back"), st.integers(0, 2), st.integers(-5, 900)),
        st.tuples(st.sampled_from(["conceal", "reveal"]), st.integers(0, 200), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 100), st.integers(-50, 400)),
        st.tuples(st.just("stand still"), st.integers(0, 4000), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([256, 1024, 40_000]))
def test_the_twins_agree(steps, capacity_bytes):
    twins: list[Any] = [kind(START_NS, capacity_bytes=capacity_bytes) for kind in (CompiledTape, PlainTape)]
    now_ns = START_NS
    for number, (what, passes_ms, value) in enumerate(steps):
        now_ns += passes_ms * 5 * MS
        said = []
        for tape in twins:
            if what == "caller":
                said.append(tape.feed_caller(numbered_frame(number), value, now_ns))
            elif what == "assistant":
                said.append(tape.feed_assistant(numbered_frame(number), now_ns + value * FRAME_NS))
            elif what == "take_back":
                said.append(tape.take_back(value))
            elif what == "take":
                said.append(tape.take(now_ns - value * MS))
            elif what in ("conceal", "reveal"):
                said.append(getattr(tape, what)(now_ns))
        assert said[:1] == said[1:]
    compiled, plain = twins
    for name in ("frames", "dropped_frames", "hidden_frames", "peak_bytes", "taken_bytes", "concealed"):
        assert getattr(compiled, name) == getattr(plain, name)
    while piece := compiled.take(now_ns + 3000 * MS):
        assert piece == plain.take(now_ns + 3000 * MS)
