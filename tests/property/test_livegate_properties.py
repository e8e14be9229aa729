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
BOUND_FRAMES = 6
"""120 ms."""
STAYING_FRAMES = 15
"""300 ms: what has been there for so long is no burst."""
NOISE = tone_complex(200, -62.0)
FAINT = tone_complex(200, -49.0)
HISS = tone_complex(200, -41.0)

runs_of_frames = st.lists(
    st.tuples(
        st.sampled_from([LOUD, LOUD, QUIET, NOISE, FAINT, HISS]),
        st.integers(1, 120),
        st.integers(0, 9),
        st.booleans(),
        st.integers(0, 200),
        st.integers(60, 140),
    ),
    max_size=12,
)


@given(runs_of_frames)
def test_both_twins_say_the_same(runs):
    gates = ORACLE.livegate.LiveGate(), COMPILED.livegate.LiveGate()
    for frame, count, backlog, refused, delay_ms, wanted_ms in runs:
        for _ in range(count):
            verdicts = [
                gate.judge(frame, backlog, refused, delay_ns=delay_ms * MS, wanted_ns=wanted_ms * MS) for gate in gates
            ]
            assert verdicts[0] == verdicts[1]
            if verdicts[0] in (ORACLE.livegate.BEGIN, ORACLE.livegate.RESUME):
                assert gates[0].take_preroll() == gates[1].take_preroll()
    for name in ("is_open", "frames_in", "frames_silent", "frames_refused", "utterances", "peak_backlog_frames"):
        assert getattr(gates[0], name) == getattr(gates[1], name)


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 150)), max_size=10))
def test_both_twins_find_the_same_jitter(spells):
    """Frames that come so much later than the one before them, and others in time behind them."""
    twins = ORACLE.jitter.Jitter(), COMPILED.jitter.Jitter()
    now_ms = 0
    for late_ms, count in spells:
        now_ms += late_ms
        for _ in range(count):
            for jitter in twins:
                jitter.note(now_ms * MS)
            assert (twins[0].late_ns, twins[0].wanted_ns) == (twins[1].late_ns, twins[1].wanted_ns)
            now_ms += 20


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


@pytest.mark.parametrize(("skew_ppm", "jitter_ms", "gaps"), [(-300, 150, 1000), (300, 150, 1000), (300, 75, 20)])
def test_two_hours_of_clocks_that_differ_and_a_network_that_jitters(skew_ppm, jitter_ms, gaps):
    """What a burst brings at once has to wait: no frame leaves within 18 ms of another. It does not stay."""
    chance = random.Random(skew_ppm)
    stream = conversation(chance, HOURS_FRAMES)
    line, waited = Line(), []
    begun_ns = arrived_ns = line.clock.now_ns
    for number, frame in enumerate(stream):
        due_ns = begun_ns + round(number * FRAME_NS * (1 + skew_ppm / 1e6)) + chance.randint(0, jitter_ms * MS)
        arrived_ns = max(due_ns, arrived_ns)
        line.arrive(arrived_ns, frame)
        waited.append(line.lane.frames_unsent)
    line.until(arrived_ns + 1000 * MS)
    loud = [frame for frame in line.heard if frame[-1] == LOUD[-1] and frame not in (QUIET, NOISE)]
    assert loud == [frame for frame in stream if frame not in (QUIET, NOISE)]
    burst_frames = -(-jitter_ms // 20)
    assert max(waited) <= max(BOUND_FRAMES, burst_frames + 1)
    assert sum(count > BOUND_FRAMES for count in waited) < len(waited) / 200
    staying = [min(waited[at : at + STAYING_FRAMES]) for at in range(len(waited) - STAYING_FRAMES)]
    assert max(staying) <= BOUND_FRAMES
    assert line.lane.schedule.underruns < gaps
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
