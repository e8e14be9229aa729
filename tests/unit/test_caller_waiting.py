"""fastbridge._caller: frames that wait for the model, and frames that the carrier lost."""

from collections import Counter

import pytest

from helpers import FOREIGN_SID, SID, audio_of, base64_text, read_messages
from rigs import SILENCE, CallerRig, frames


@pytest.fixture
def call(twin) -> CallerRig:
    return CallerRig(twin).opened()


class TestPreroll:
    def test_waits_until_open_and_then_goes_in_order(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1, 2, 3)
        assert (call.lane.waiting, call.outcomes) == (3, {})
        call.lane.open(call.uplink.append)
        assert call.heard == frames(1, 2, 3)
        assert (call.lane.waiting, call.lane.peak_waiting) == (0, 3)
        call.say_numbers(4)
        assert call.heard == frames(1, 2, 3, 4)
        assert call.outcomes == {"forwarded": 4}

    def test_the_oldest_is_dropped(self, twin):
        call = CallerRig(twin, preroll_frames=3).started()
        call.say_numbers(1, 2, 3, 4, 5)
        assert (call.lane.waiting, call.outcomes) == (3, {"session_not_ready": 2})
        call.lane.open(call.uplink.append)
        assert call.heard == frames(3, 4, 5)
        assert call.lane.peak_waiting == 3

    def test_the_default_is_twenty_seconds(self, twin):
        call = CallerRig(twin).started()
        call.say(*[SILENCE] * 1003)
        assert (call.lane.waiting, call.outcomes) == (1000, {"session_not_ready": 3})

    def test_none_at_all(self, twin):
        call = CallerRig(twin, preroll_frames=0).started()
        call.say_numbers(1, 2)
        assert (call.lane.waiting, call.outcomes) == (0, {"session_not_ready": 2})

    def test_shut_waits_again(self, call):
        call.say_numbers(1)
        call.lane.shut()
        call.say_numbers(2, 3)
        assert call.lane.waiting == 2
        again: list[bytes] = []
        call.lane.open(again.append)
        call.say_numbers(4)
        assert call.heard == frames(1)
        assert audio_of(read_messages(again, masked=True)) == b"".join(frames(2, 3, 4))


class TestBackPressure:
    def test_waits_while_paused_and_then_goes_in_order(self, call):
        call.say_numbers(1)
        call.lane.pause()
        call.say_numbers(2, 3)
        assert (call.heard, call.lane.waiting) == (frames(1), 2)
        call.lane.resume()
        call.say_numbers(4)
        assert call.heard == frames(1, 2, 3, 4)
        assert call.outcomes == {"forwarded": 4}

    def test_the_oldest_is_dropped(self, twin):
        call = CallerRig(twin, backlog_frames=2).opened()
        call.lane.pause()
        call.say_numbers(1, 2, 3, 4, 5)
        assert (call.lane.waiting, call.outcomes) == (2, {"queue_full": 3})
        call.lane.resume()
        assert call.heard == frames(4, 5)

    def test_the_default_is_two_seconds(self, call):
        call.lane.pause()
        call.say(*[SILENCE] * 104)
        assert (call.lane.waiting, call.outcomes) == (100, {"queue_full": 4})

    def test_the_transport_fills_up_again_while_the_backlog_is_sent(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(*range(1, 11))

        def write(data: bytes) -> None:
            call.uplink.append(data)
            if len(call.uplink) % 3 == 0:
                call.lane.pause()

        call.lane.open(write)
        while call.lane.waiting:
            before = call.lane.waiting
            assert call.outcomes == Counter(forwarded=10 - before)
            call.lane.resume()
            assert call.lane.waiting < before
        assert call.heard == frames(*range(1, 11))
        assert call.outcomes == {"forwarded": 10}

    def test_resume_without_a_model_sends_nothing(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1)
        call.lane.resume()
        assert call.lane.waiting == 1
        assert call.uplink == []


class TestConcealment:
    def test_lost_frames_are_made_up_with_silence(self, call):
        call.say_numbers(1)
        call.lose(3)
        call.say_numbers(2)
        assert call.heard == [*frames(1), SILENCE, SILENCE, SILENCE, *frames(2)]
        assert (call.lane.concealed_frames, call.lane.frames_in, call.outcomes) == (3, 2, {"forwarded": 2})

    def test_not_before_the_first_frame(self, call):
        call.lose(40)
        call.say_numbers(1, 2)
        assert call.heard == frames(1, 2)
        assert call.lane.concealed_frames == 0

    @pytest.mark.parametrize(("lost", "concealed"), [(499, 499), (500, 500), (501, 500), (10**6, 500)])
    def test_ten_seconds_at_most(self, call, lost, concealed):
        call.say_numbers(1)
        call.lose(lost)
        call.say_numbers(2, 3)
        assert call.lane.concealed_frames == concealed
        assert call.heard == [*frames(1), *[SILENCE] * concealed, *frames(2, 3)]

    def test_every_gap_counts(self, call):
        for number in range(1, 6):
            call.say_numbers(number)
            call.lose(2)
        assert call.lane.concealed_frames == 8

    def test_a_chunk_that_repeats_or_goes_back_conceals_nothing(self, call):
        for chunk in (5, 5, 4, 6):
            call.lane.feed_media(SID, chunk, 20 * chunk, base64_text(SILENCE))
        assert call.lane.concealed_frames == 0
        assert call.outcomes == {"forwarded": 4}

    def test_an_unknown_chunk_conceals_nothing(self, call):
        for chunk in (0, 7, 0, 8):
            call.lane.feed_media(SID, chunk, 0, base64_text(SILENCE))
        assert call.lane.concealed_frames == 0

    def test_a_foreign_frame_is_no_reference(self, call):
        call.say_numbers(1)
        call.lane.feed_media(FOREIGN_SID, 100, 2000, base64_text(SILENCE))
        call.say_numbers(2)
        assert call.lane.concealed_frames == 0

    def test_silence_waits_with_the_frame_behind_it(self, call):
        call.say_numbers(1)
        call.lane.pause()
        call.say_numbers(2)
        call.lose(2)
        call.say_numbers(3)
        assert call.lane.waiting == 2
        call.lane.resume()
        assert call.heard == [*frames(1, 2), SILENCE, SILENCE, *frames(3)]
        assert call.lane.concealed_frames == 2

    def test_ten_seconds_at_most_of_all_that_waits(self, call):
        call.say_numbers(1)
        for frames_lost, number in ((400, 2), (400, 3), (400, 4)):
            call.lane.pause()
            call.lose(frames_lost)
            call.say_numbers(number)
        call.lane.resume()
        assert call.heard == [*frames(1), *[SILENCE] * 400, *frames(2), *[SILENCE] * 100, *frames(3, 4)]
        call.lane.pause()
        call.lose(499)
        call.say_numbers(5)
        call.lane.resume()
        assert call.lane.concealed_frames == 500 + 499, "what was sent waits no more"

    def test_what_is_dropped_makes_room_for_other_silence(self, twin):
        call = CallerRig(twin, backlog_frames=1).opened()
        call.say_numbers(1)
        call.lane.pause()
        for number in (2, 3, 4):
            call.lose(300)
            call.say_numbers(number)
        call.lane.resume()
        assert call.heard == [*frames(1), *[SILENCE] * 300, *frames(4)]

    def test_silence_is_dropped_with_the_frame_behind_it(self, twin):
        call = CallerRig(twin, backlog_frames=1).opened()
        call.say_numbers(1)
        call.lane.pause()
        call.lose(2)
        call.say_numbers(2, 3)
        call.lane.resume()
        assert call.heard == frames(1, 3)
        assert call.lane.concealed_frames == 0
        assert call.outcomes == {"forwarded": 2, "queue_full": 1}

    def test_what_is_concealed_is_what_was_sent(self, twin):
        call = CallerRig(twin, preroll_frames=4).started()
        for number in range(1, 9):
            call.say_numbers(number)
            call.lose(1)
        call.lane.open(call.uplink.append)
        assert call.heard.count(SILENCE) == call.lane.concealed_frames
        assert [frame for frame in call.heard if frame != SILENCE] == frames(5, 6, 7, 8)

    def test_silence_before_a_locked_frame_is_dropped_with_it(self, call):
        call.say_numbers(1)
        call.lane.lock()
        call.lose(3)
        call.say_numbers(2)
        call.lane.unlock()
        call.say_numbers(3)
        assert call.heard == frames(1, 3)
        assert call.lane.concealed_frames == 0


class TestSilence:
    def test_silence_is_sent_and_counted_apart(self, call):
        assert call.lane.send_silence(50) == 50
        assert call.heard == [SILENCE] * 50
        assert (call.lane.silence_frames, call.lane.concealed_frames, call.lane.frames_in) == (50, 0, 0)
        assert call.outcomes == {}

    def test_not_without_a_model(self, twin):
        call = CallerRig(twin).started()
        assert call.lane.send_silence(3) == 0
        call.lane.open(call.uplink.append)
        call.lane.shut()
        assert call.lane.send_silence(3) == 0
        assert call.lane.silence_frames == 0
        assert call.uplink == []

    def test_none(self, call):
        assert call.lane.send_silence(0) == 0
        assert call.uplink == []
