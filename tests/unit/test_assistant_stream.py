"""fastbridge._assistant with a stream that never pauses: utterances become responses, silence is left out."""

from base64 import b64encode
from typing import Any

import pytest

from helpers import LOUD, QUIET
from rigs import AssistantRig, cut


class StreamRig(AssistantRig):
    """Each utterance is begun as a response, unless it is not `wanted`."""

    def __init__(self, twin: Any) -> None:
        self.told: list[bool] = []
        self.wanted = True
        super().__init__(twin, on_utterance=self.on_utterance)

    def on_utterance(self, begins: bool) -> None:
        self.told.append(begins)
        if begins and self.wanted:
            self.lane.begin_response(f"live_{self.told.count(True)}")
        elif not begins:
            self.lane.end_response(f"live_{self.told.count(True)}")

    def stream(self, *frames: bytes) -> None:
        """Each followed by its 20 ms."""
        for frame in frames:
            self.lane.feed_message(b'{"type":"session.output_audio.delta","delta":"%s"}' % b64encode(frame))
            self.tick(20)


@pytest.fixture
def rig(twin: Any) -> StreamRig:
    rig = StreamRig(twin)
    rig.started()
    return rig


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Loud frames, each another."""
    return [bytes([number % 16, number // 16 % 16]) + LOUD[2:] for number in range(first, first + count)]


class TestAnUtterance:
    def test_is_sent_behind_its_preroll_and_nothing_else_is(self, rig):
        rig.stream(*[QUIET] * 50)
        assert (rig.heard, rig.told) == ([], [])
        spoken = numbered(25)
        rig.stream(*spoken, *[QUIET] * 60)
        assert rig.heard == [QUIET] * 3 + spoken + [QUIET] * 10
        assert rig.told == [True, False]

    def test_is_a_response_with_its_callbacks(self, rig):
        rig.stream(*numbered(5), *[QUIET] * 60)
        rig.echo(*[name for name, _ in rig.due_echoes])
        assert (rig.first_deltas, rig.first_frames, rig.played) == (["live_1"], ["live_1"], ["live_1"])

    def test_is_an_item_of_its_own(self, rig):
        rig.stream(*numbered(5), *[QUIET] * 45, *numbered(10))
        assert [item[:2] for item in rig.lane.items()][-1] == ("live_2", "live_2")

    def test_its_frames_are_counted(self, rig):
        rig.stream(*numbered(25), *[QUIET] * 60)
        assert rig.lane.frames_enqueued == rig.lane.frames_sent == 25 + 10
        rig.check()

    def test_that_is_not_wanted_is_refused(self, rig):
        rig.wanted = False
        rig.stream(*numbered(5))
        assert rig.heard == []
        rig.stream(*[QUIET] * 20)
        rig.wanted = True
        rig.stream(*numbered(5))
        rig.tick(100)
        assert rig.heard == [QUIET] * 3 + numbered(5)
        assert rig.told == [True, False, True]

    def test_no_gap_is_late_behind_a_pause(self, rig):
        rig.stream(*numbered(5), *[QUIET] * 30, *numbered(5), *[QUIET] * 30, *numbered(5))
        assert rig.lane.schedule.underruns == 0
        assert rig.lane.schedule.tx_schedule_resets == 0


class TestDeltas:
    @pytest.mark.parametrize("size", [1, 80, 159, 161, 333, 1600, 17_000])
    def test_of_any_size_are_cut_into_frames(self, rig, size):
        spoken = numbered(300)
        whole = b"".join(spoken)
        for at in range(0, len(whole), size):
            rig.lane.feed_stream(b64encode(whole[at : at + size]))
        rig.tick(8000)
        assert rig.heard == cut(whole)

    @pytest.mark.parametrize("delta", [b"A", b"A===", b"!!!!", b"AA=A" * 40])
    def test_that_are_no_base64_are_counted_and_leave_the_stream_as_it_is(self, rig, delta):
        rig.lane.feed_stream(b64encode(LOUD[:80]))
        rig.lane.feed_stream(delta)
        assert rig.lane.malformed_deltas == 1
        rig.lane.feed_stream(b64encode(LOUD[80:]))
        assert rig.told == [True]

    def test_are_counted_and_their_time_is_known(self, rig):
        rig.tick(1000)
        rig.stream(QUIET, QUIET)
        assert rig.lane.deltas == 2
        assert rig.lane.streamed_ns == rig.clock.now_ns - 20_000_000

    def test_what_is_no_audio_is_an_event(self, rig):
        message = b'{"type":"session.output_transcript.delta","delta":"Hi","start_ms":0,"end_ms":20}'
        rig.lane.feed_message(message)
        assert rig.events == [message]

    def test_another_stream_begins_with_a_whole_frame(self, rig):
        rig.lane.feed_stream(b64encode(LOUD[:80]))
        rig.lane.reset_stream()
        rig.lane.feed_stream(b64encode(LOUD))
        rig.tick(100)
        assert rig.heard == [LOUD]


class TestInterrupted:
    def test_the_rest_is_refused_until_the_model_has_stopped(self, rig):
        rig.stream(*numbered(20))
        rig.lane.refuse()
        rig.lane.clear()
        before = len(rig.heard)
        rig.stream(*numbered(20, 20), *[QUIET] * 20)
        assert len(rig.heard) == before
        rig.stream(*numbered(5, 40))
        rig.tick(100)
        assert rig.heard[before:] == [QUIET] * 3 + numbered(5, 40)

    def test_or_for_a_second_and_a_half_where_it_does_not(self, rig):
        rig.stream(*numbered(20))
        rig.lane.clear()
        before = len(rig.heard)
        rig.stream(*numbered(100, 20))
        rig.tick(100)
        assert len(rig.heard) - before == 100 - 75 + 5
        assert rig.told == [True, False, True]

    def test_what_is_held_goes_on_and_nothing_is_lost(self, rig):
        spoken = numbered(60)
        rig.stream(QUIET, QUIET, QUIET, *spoken[:20])
        rig.lane.hold()
        left = len(rig.heard) - 3
        rig.stream(*spoken[20:40])
        rig.lane.resume()
        rig.stream(*spoken[40:], *[QUIET] * 80)
        assert rig.lane.frames_rewound > 0
        heard = [frame for frame in rig.heard if frame != QUIET]
        assert heard == spoken[:left] + spoken[left - rig.lane.frames_rewound :]

    def test_a_recording_in_between_refuses_what_is_under_way(self, rig):
        rig.stream(*numbered(20))
        rig.lane.begin_response("local_1")
        rig.lane.feed_delta(b"local_1", b"local_1", b64encode(LOUD))
        rig.stream(*numbered(5, 20))
        assert rig.heard[-1] == LOUD


def test_a_filler_may_begin_it_anew(rig):
    """As it does that gives way."""

    def give_way(response_id: str) -> None:
        rig.lane.clear()
        rig.lane.begin_response(response_id)

    rig.on_first = give_way
    rig.stream(*numbered(5))
    assert rig.heard == numbered(5)
