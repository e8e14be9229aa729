"""A stream that never pauses, for hours: what waits stays small, no speech is lost and none is said twice."""

import random
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import LOUD, MS, QUIET, SID, Clock, tone_complex
from twins import Twin

ORACLE, COMPILED = Twin("oracle"), Twin("compiled")
FRAME_NS = 20 * MS
HOURS_FRAMES = 2 * 3600 * 50
JITTER_MS = 150
BOUND_FRAMES = 6
"""120 ms."""
NOISE = tone_complex(200, -62.0)
FAINT = tone_complex(200, -49.0)

frames = st.lists(
    st.tuples(st.sampled_from([LOUD, LOUD, QUIET, NOISE, FAINT]), st.integers(1, 50), st.integers(0, 9), st.booleans()),
    max_size=12,
)


@given(frames)
def test_both_twins_say_the_same(runs):
    gates = ORACLE.livegate.LiveGate(), COMPILED.livegate.LiveGate()
    for frame, count, backlog, refused in runs:
        for _ in range(count):
            verdicts = [gate.judge(frame, backlog, refused) for gate in gates]
            assert verdicts[0] == verdicts[1]
            if verdicts[0] in (ORACLE.livegate.BEGIN, ORACLE.livegate.RESUME):
                assert gates[0].take_preroll() == gates[1].take_preroll()
    for name in ("is_open", "frames_in", "frames_silent", "frames_refused", "utterances", "peak_backlog_frames"):
        assert getattr(gates[0], name) == getattr(gates[1], name)


def numbered(number: int) -> bytes:
    """A loud frame that says which it is."""
    return bytes(number >> shift & 15 for shift in range(0, 24, 4)) + LOUD[6:]


def conversation(chance: random.Random, length: int) -> list[bytes]:
    """Frames as a model streams them: utterances with stop consonants and pauses in them, and silence between."""
    found: list[bytes] = []
    while len(found) < length:
        for _ in range(chance.randint(1, 25)):
            found += [numbered(len(found) + i) for i in range(chance.randint(5, 120))]
            quiet = chance.choice((chance.randint(1, 4), chance.randint(5, 30)))
            found += [chance.choice((QUIET, NOISE))] * quiet
        found += [QUIET] * chance.randint(20, 400)
    return found[:length]


class Line:
    """A lane and its pacer, on a clock that goes from arrival to arrival."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pacer = COMPILED.pacing.Pacer()
        self.sent: list[bytes] = []
        self.utterances = 0
        self.wakes_ns = -1
        ignore: Any = lambda *_: None  # noqa: E731
        self.lane = COMPILED.assistant.AssistantLane(
            pacer=self.pacer,
            clock=self.clock,
            on_event=ignore,
            on_first_frame=ignore,
            on_played=ignore,
            on_full=ignore,
            on_bad_frame=ignore,
            on_utterance=self.on_utterance,
        )
        self.lane.start(SID, self.sent.append)

    def on_utterance(self, begins: bool) -> None:
        self.utterances += begins
        (self.lane.begin_response if begins else self.lane.end_response)(f"live_{self.utterances}")

    def until(self, now_ns: int) -> None:
        while 0 <= self.wakes_ns <= now_ns:
            self.clock.now_ns = self.wakes_ns
            self.wakes_ns = self.pacer.run(self.clock.now_ns)
        self.clock.now_ns = now_ns

    def arrive(self, at_ns: int, frame: bytes) -> None:
        self.until(at_ns)
        self.lane.feed_stream(b64encode(frame))
        self.wakes_ns = self.pacer.run(self.clock.now_ns)

    @property
    def heard(self) -> list[bytes]:
        """Frames of audio are all of one size, and the longest messages there are; each ends in its payload."""
        longest = max(map(len, self.sent))
        return [b64decode(message[-219:-3]) for message in self.sent if len(message) == longest]


@pytest.mark.parametrize("skew_ppm", [-300, 300])
def test_two_hours_of_clocks_that_differ_and_a_network_that_jitters(skew_ppm):
    chance = random.Random(skew_ppm)
    stream = conversation(chance, HOURS_FRAMES)
    line, waited = Line(), []
    begun_ns = arrived_ns = line.clock.now_ns
    for number, frame in enumerate(stream):
        due_ns = begun_ns + round(number * FRAME_NS * (1 + skew_ppm / 1e6)) + chance.randint(0, JITTER_MS * MS)
        arrived_ns = max(due_ns, arrived_ns)
        line.arrive(arrived_ns, frame)
        waited.append(line.lane.frames_unsent)
    line.until(arrived_ns + 1000 * MS)
    loud = [frame for frame in line.heard if frame[-1] == LOUD[-1] and frame not in (QUIET, NOISE)]
    assert loud == [frame for frame in stream if frame not in (QUIET, NOISE)]
    burst_frames = -(-JITTER_MS // 20)
    assert max(waited) <= BOUND_FRAMES + burst_frames
    assert sum(count > BOUND_FRAMES for count in waited) < len(waited) / 50
    hour = len(waited) // 2
    assert abs(sum(waited[:hour]) - sum(waited[hour:])) / hour < 0.1  # what waits does not grow


def test_speech_that_comes_in_a_burst_is_kept_and_what_it_left_waiting_is_gone_by_the_next_pause():
    line = Line()
    begun_ns = line.clock.now_ns
    spoken = [numbered(number) for number in range(200)]
    for number, frame in enumerate(spoken):
        late_ns = 400 * MS if 50 <= number < 70 else 0  # the network stood still
        line.arrive(max(begun_ns + number * FRAME_NS + late_ns, line.clock.now_ns), frame)
    before = line.lane.frames_unsent
    for number in range(200, 260):
        line.arrive(begun_ns + number * FRAME_NS, QUIET)
    assert before > BOUND_FRAMES
    assert line.lane.frames_unsent == 0
    assert [frame for frame in line.heard if frame != QUIET] == spoken
