"""fastbridge._playout in its lane: when frames leave, what was heard of them, how they are held and dropped."""

from itertools import pairwise

import pytest

from helpers import MS, SID, audio_of
from rigs import AssistantRig, audio, cut, frames
from twins import Twin


@pytest.fixture
def rig(twin) -> AssistantRig:
    return AssistantRig(twin).started()


class TestPacing:
    def test_first_the_lead_then_every_20_ms(self, rig):
        rig.respond(audio(200))
        rig.tick(4100)
        intervals = [(b - a) / MS for a, b in pairwise(rig.frame_times)]
        assert min(intervals) >= 18
        assert all(interval == 19 for interval in intervals[:100])  # 18.5 at the next tick of one millisecond
        assert sum(intervals[-30:]) == 600
        assert rig.lane.schedule.tx_late_frames == 0
        assert rig.lane.schedule.underruns == 0

    def test_no_frame_leaves_while_paused(self, rig):
        rig.respond(audio(10))
        rig.tick(50)
        before = len(rig.heard)
        rig.lane.pause()
        rig.tick(100)
        assert len(rig.heard) == before
        rig.lane.unpause()
        rig.tick(300)
        assert rig.heard == cut(audio(10))
        rig.check()

    def test_audio_that_arrives_while_paused_goes_after_resume(self, rig):
        rig.lane.pause()
        rig.respond(audio(3))
        rig.tick(100)
        assert rig.downlink == []
        rig.lane.unpause()
        rig.tick(100)
        assert rig.heard == frames(1, 2, 3)

    def test_running_dry_within_a_response_is_an_underrun_and_nothing_is_late(self, rig):
        rig.begin()
        rig.delta(audio(2))
        rig.tick(500)
        rig.delta(audio(2, first=3))
        rig.tick(100)
        assert rig.heard == frames(1, 2, 3, 4)
        schedule = rig.lane.schedule
        assert (schedule.underruns, schedule.tx_late_frames, schedule.tx_schedule_resets) == (1, 0, 0)

    def test_a_pause_between_responses_is_neither(self, rig):
        rig.respond(audio(2), 1)
        rig.tick(2000)
        rig.respond(audio(2), 2)
        rig.tick(100)
        schedule = rig.lane.schedule
        assert (schedule.underruns, schedule.tx_late_frames, schedule.tx_schedule_resets) == (0, 0, 0)
        assert schedule.interval_max_ms < 20

    def test_the_lane_is_in_the_pacer_only_while_it_has_audio(self, rig):
        assert rig.pacer.active == 0
        rig.respond(audio(2))
        assert rig.pacer.active == 1
        rig.tick(100)
        assert (rig.pacer.active, rig.pacer.run(rig.clock.now_ns)) == (0, -1)

    def test_lead_is_as_told(self, twin):
        rig = AssistantRig(twin, lead_ms=0).started()
        rig.respond(audio(20))
        rig.tick(500)
        assert [(at - rig.frame_times[0]) / MS for at in rig.frame_times] == [20 * n for n in range(20)]


class TestPlayout:
    def test_heard_follows_the_time(self, rig):
        rig.respond(audio(10))
        rig.tick(0)
        assert (rig.lane.heard_bytes, rig.lane.sent_bytes, rig.lane.received_bytes) == (0, 160, 1600)
        rig.tick(50)
        assert rig.lane.heard_bytes == 400
        rig.tick(100)
        assert rig.lane.heard_bytes == 1200
        assert rig.lane.unheard_ms == 50
        rig.tick(100)
        assert rig.lane.heard_bytes == rig.lane.sent_bytes == 1600
        assert rig.lane.unheard_ms == 0

    def test_a_gap_in_sending_is_not_heard(self, rig):
        rig.begin()
        rig.delta(audio(1))
        rig.tick(500)
        assert rig.lane.heard_bytes == 160
        rig.delta(audio(2, first=2))
        rig.tick(10)
        assert rig.lane.heard_bytes == 240

    def test_playing_until_all_is_heard(self, rig):
        assert rig.lane.playing is False
        rig.respond(audio(2))
        assert rig.lane.playing is True
        rig.tick(39)
        assert rig.lane.frames_unsent == 0
        assert rig.lane.playing is True
        rig.tick(1)
        assert rig.lane.playing is False

    def test_what_waits_is_playing(self, twin):
        rig = AssistantRig(twin)
        rig.respond(audio(1))
        rig.tick(1000)
        assert rig.lane.playing is True
        assert rig.lane.unheard_ms == 20

    def test_starving_is_not_playing(self, rig):
        rig.begin()
        rig.delta(audio(1))
        rig.tick(30)
        assert rig.lane.playing is False


class TestDelay:
    """How much later than we think a carrier plays. The oracle's plays at once."""

    @pytest.mark.parametrize(
        ("late_ms", "delay_ms"),
        [
            ([60], 60),
            ([-30], 0),  # no echo is early: our clock was late
            ([60, 40, 80, 50], 40),
            ([40, 60, 80, 50], 40),
            ([40, 60, 80, 50, 70], 50),  # the last four count
        ],
    )
    def test_is_the_least_of_the_last_four_echoes(self, late_ms, delay_ms):
        rig = AssistantRig(Twin("compiled")).started()
        rig.respond(audio(100))
        rig.tick(0)
        first_ns = rig.clock.now_ns
        for milliseconds in late_ms:
            while not rig.due_echoes:
                rig.tick(1)
            name, due_ns = rig.due_echoes.pop(0)
            rig.tick((due_ns - rig.clock.now_ns) / MS + milliseconds)
            rig.echo(name)
        rig.tick(100)
        assert rig.lane.heard_bytes == ((rig.clock.now_ns - first_ns) // MS - delay_ms) * 8


class TestItems:
    def test_heard_and_received_of_each(self, rig):
        rig.begin()
        rig.delta(audio(5), "item_1")
        rig.delta(audio(5), "item_2")
        assert rig.lane.items() == [("item_1", "resp_1", 0, 100), ("item_2", "resp_1", 0, 100)]
        rig.tick(60)
        assert rig.lane.items() == [("item_1", "resp_1", 60, 100), ("item_2", "resp_1", 0, 100)]
        rig.tick(70)
        assert rig.lane.items() == [("item_2", "resp_1", 30, 100)]
        rig.tick(500)
        assert rig.lane.items() == [("item_2", "resp_1", 100, 100)]

    def test_none_at_first(self, rig):
        assert rig.lane.items() == []

    def test_milliseconds_are_rounded_down_and_padding_is_not_heard(self, rig):
        rig.respond(audio(2)[:175])
        rig.tick(500)
        assert rig.lane.items() == [("item_1", "resp_1", 21, 21)]

    def test_of_several_responses(self, rig):
        rig.respond(audio(2)[:170], 1)
        rig.respond(audio(2), 2)
        rig.tick(50)
        assert rig.lane.items() == [("item_2", "resp_2", 10, 40)]

    def test_clear_keeps_them_until_the_next_response(self, rig):
        rig.respond(audio(10), 1)
        rig.respond(audio(10), 2)
        rig.tick(250)
        rig.lane.clear()
        rig.tick(1000)
        assert rig.lane.items() == [("item_2", "resp_2", 50, 200)]

    def test_clear_with_a_later_item_unheard(self, rig):
        rig.respond(audio(10), 1)
        rig.respond(audio(10), 2)
        rig.tick(100)
        rig.lane.clear()
        assert rig.lane.items() == [("item_1", "resp_1", 100, 200), ("item_2", "resp_2", 0, 200)]

    def test_the_next_response_forgets_what_was_cleared(self, rig):
        rig.respond(audio(10), 1)
        rig.tick(100)
        rig.lane.clear()
        rig.respond(audio(10), 2)
        rig.tick(50)
        assert [item_id for item_id, *_ in rig.lane.items()] == ["item_2"]


class TestClear:
    def test_a_response_behind_a_clear_has_a_first_frame_of_its_own(self, rig):
        rig.begin("resp_1")
        rig.delta(audio(9))
        rig.tick(30)
        rig.lane.clear()
        rig.begin("resp_2")
        rig.delta(audio(2), "item_2", "resp_2")
        rig.lane.end_response("resp_2")
        rig.tick(200)
        assert rig.first_frames == ["resp_1", "resp_2"]
        rig.check()

    def test_what_was_dropped(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        sent = rig.lane.frames_sent
        assert rig.lane.clear() == (30 - sent, sent - 10)
        assert rig.kinds[-1] == "clear"
        assert rig.sent[-1] == {"event": "clear", "streamSid": SID.decode()}
        assert rig.lane.frames_flushed == {"barge_in": 30 - sent, "close": 0}
        assert rig.lane.frames_cleared == sent - 10
        assert (rig.lane.frames_unsent, rig.lane.unheard_ms, rig.lane.playing) == (0, 0, False)
        rig.check()

    def test_what_a_hold_had_taken_back_is_cleared_where_it_is_not_sent_again(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        sent = rig.lane.frames_sent
        rig.lane.hold()
        assert rig.lane.frames_cleared == 0
        rig.lane.clear()
        assert (rig.lane.frames_cleared, rig.lane.frames_rewound) == (sent - 10, 0)
        rig.respond(audio(30), 2)
        rig.tick(200)
        rig.lane.hold()
        rig.lane.resume()
        assert rig.lane.frames_cleared == sent - 10
        assert rig.lane.frames_rewound > 0
        rig.check()

    def test_after_the_end_nothing_is_counted_twice(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        rig.lane.close()
        books = (rig.lane.frames_flushed, rig.lane.frames_cleared)
        rig.lane.clear()
        assert (rig.lane.frames_flushed, rig.lane.frames_cleared) == books
        rig.check()

    def test_nothing_of_it_is_sent_afterwards(self, rig):
        rig.respond(audio(30))
        rig.tick(100)
        rig.lane.clear()
        rig.tick(1000)
        assert rig.kinds[-1] == "clear"
        assert (rig.pacer.active, rig.played) == (0, [])

    def test_in_the_midst_of_a_frame_the_rest_is_unheard(self, rig):
        rig.respond(audio(1))
        rig.tick(5)
        assert rig.lane.clear() == (0, 1)

    def test_with_nothing_playing(self, rig):
        assert rig.lane.clear() == (0, 0)
        assert (rig.kinds, rig.lane.epoch) == (["clear"], 1)

    def test_before_start_there_is_nobody_to_tell(self, twin):
        rig = AssistantRig(twin)
        rig.respond(audio(3))
        assert rig.lane.clear() == (3, 0)
        rig.started().tick(100)
        assert rig.downlink == []
        rig.check()

    def test_left_over_bytes_do_not_reach_the_next_response(self, rig):
        rig.begin()
        rig.delta(b"\x01" * 200)
        rig.lane.clear()
        rig.respond(audio(2), 2)
        rig.tick(200)
        assert rig.heard == frames(1, 2)
        assert rig.lane.frames_enqueued == 3
        rig.check()

    def test_the_open_response_stays_ended(self, rig):
        rig.begin()
        rig.delta(audio(5))
        rig.tick(0)
        rig.lane.clear()
        rig.lane.end_response("resp_1")
        rig.tick(500)
        assert rig.kinds == ["media", "clear"]

    def test_the_spacing_holds_across_it(self, rig):
        rig.respond(audio(5), 1)
        rig.tick(60)
        rig.lane.clear()
        rig.respond(audio(5), 2)
        rig.tick(200)
        times = rig.frame_times
        assert min(b - a for a, b in pairwise(times)) >= 18 * MS

    def test_it_goes_out_though_frames_may_not(self, rig):
        rig.respond(audio(5))
        rig.lane.pause()
        rig.lane.clear()
        assert rig.kinds == ["clear"]

    def test_nothing_is_playing_after_it_however_late_the_marks_were(self, rig):
        rig.respond(audio(50))
        rig.tick(400)
        rig.echo(rig.marks[0])
        rig.lane.clear()
        assert (rig.lane.playing, rig.lane.unheard_ms) == (False, 0)


class TestHold:
    def test_clears_the_carrier_at_once_and_keeps_the_audio(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        sent = rig.lane.frames_sent
        assert rig.lane.hold() == (30 - sent, sent - 10)
        assert (rig.kinds[-1], rig.lane.epoch) == ("clear", 1)
        assert (rig.lane.held, rig.lane.playing, rig.lane.unheard_ms) == (True, False, 400)
        rig.check()

    def test_no_frame_leaves_and_heard_stands_still(self, rig):
        rig.respond(audio(30))
        rig.tick(205)
        rig.lane.hold()
        heard = rig.lane.heard_bytes
        rig.tick(1000)
        assert (rig.kinds[-1], rig.lane.heard_bytes, rig.pacer.active) == ("clear", heard, 0)
        assert rig.lane.items() == [("item_1", "resp_1", 205, 600)]

    def test_resume_goes_on_with_the_frame_that_was_cut_off(self, rig):
        rig.respond(audio(30))
        rig.tick(205)
        sent = rig.lane.frames_sent
        rig.lane.hold()
        rig.tick(500)
        assert rig.lane.resume() == sent - 10
        rig.tick(1000)
        assert rig.heard == [*cut(audio(30))[:sent], *cut(audio(30))[10:]]
        assert rig.lane.frames_enqueued == 30
        assert rig.lane.frames_rewound == sent - 10
        rig.check()

    def test_between_two_frames_nothing_is_said_twice(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        rig.lane.hold()
        rig.lane.resume()
        rig.tick(1000)
        after = rig.kinds.index("clear")
        assert cut(audio_of(rig.sent[after:])) == cut(audio(30))[10:]

    def test_the_spacing_holds_across_it(self, rig):
        rig.respond(audio(30))
        rig.tick(101)
        rig.lane.hold()
        rig.lane.resume()
        rig.tick(1000)
        assert min(b - a for a, b in pairwise(rig.frame_times)) >= 18 * MS
        assert rig.lane.schedule.tx_schedule_resets == rig.lane.schedule.tx_late_frames == 0

    def test_deltas_that_come_meanwhile_are_kept(self, rig):
        rig.begin()
        rig.delta(audio(10))
        rig.tick(100)
        rig.lane.hold()
        rig.delta(audio(10, first=11))
        rig.tick(300)
        rig.lane.resume()
        rig.tick(1000)
        after = rig.kinds.index("clear")
        assert cut(audio_of(rig.sent[after:])) == cut(audio(20))[5:]

    def test_the_end_comes_after_it_once(self, rig):
        """All of it had been sent, its end mark too."""
        rig.respond(audio(5))
        rig.tick(90)
        assert rig.kinds.count("mark") == 1
        stale = rig.marks[0]
        rig.lane.hold()
        rig.echo(stale)
        assert rig.played == []
        rig.lane.resume()
        rig.tick(200)
        assert rig.kinds.count("mark") == 2
        rig.echo(rig.marks[-1])
        assert (rig.played, rig.lane.unheard_ms) == (["resp_1"], 0)

    def test_a_response_that_ends_meanwhile_ends_after_it(self, rig):
        rig.begin()
        rig.delta(audio(5))
        rig.tick(200)
        rig.lane.hold()
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert rig.kinds[-1] == "clear"
        rig.lane.resume()
        rig.tick(10)
        rig.echo(rig.marks[-1])
        assert rig.played == ["resp_1"]

    def test_a_mark_of_what_was_heard_still_counts_and_no_other(self, rig):
        rig.respond(audio(30))
        rig.tick(165)
        heard, unheard = rig.marks[0], None
        rig.tick(5)
        rig.lane.hold()
        rig.echo(heard)
        assert rig.lane.marks_played == 1
        rig.lane.resume()
        rig.tick(400)
        unheard = rig.marks[1]
        assert unheard.startswith("1:")

    def test_clear_after_it_drops_what_was_kept_and_tells_the_carrier_nothing_more(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        sent = rig.lane.frames_sent
        rig.lane.hold()
        rig.tick(300)
        assert rig.lane.clear() == (30 - sent, sent - 10)
        assert (rig.kinds.count("clear"), rig.lane.epoch, rig.lane.held) == (1, 1, False)
        assert rig.lane.items() == [("item_1", "resp_1", 200, 600)]
        rig.tick(500)
        assert rig.kinds[-1] == "clear"
        rig.check()

    def test_twice_is_once(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        rig.lane.hold()
        rig.lane.hold()
        assert (rig.kinds.count("clear"), rig.lane.epoch) == (1, 1)
        rig.lane.resume()
        assert rig.lane.resume() == 0
        rig.check()

    def test_again_and_again(self, rig):
        rig.respond(audio(100))
        for _ in range(10):
            rig.tick(130)
            rig.lane.hold()
            rig.tick(70)
            rig.lane.resume()
            rig.check()
        rig.tick(3000)
        heard = [frame for message in split_at_clears(rig.sent) for frame in message]
        assert list(dict.fromkeys(heard)) == cut(audio(100))
        assert (rig.lane.unheard_ms, rig.lane.frames_enqueued) == (0, 100)

    def test_with_nothing_playing_it_is_harmless(self, rig):
        assert rig.lane.hold() == (0, 0)
        assert rig.lane.resume() == 0
        rig.respond(audio(3))
        rig.tick(100)
        assert rig.heard == frames(1, 2, 3)

    def test_a_new_response_waits_behind_it(self, rig):
        rig.respond(audio(5), 1)
        rig.tick(40)
        rig.lane.hold()
        rig.respond(audio(5, first=6), 2)
        rig.tick(500)
        assert rig.kinds[-1] == "clear"
        rig.lane.resume()
        rig.tick(500)
        assert rig.heard[-8:] == frames(3, 4, 5, 6, 7, 8, 9, 10)
        rig.check()

    def test_closed_it_is_over(self, rig):
        rig.respond(audio(30))
        rig.tick(200)
        rig.lane.hold()
        rig.lane.close()
        assert (rig.lane.held, rig.lane.resume(), rig.lane.frames_unsent) == (False, 0, 0)
        rig.tick(500)
        assert rig.kinds[-1] == "clear"
        rig.check()


def split_at_clears(messages):
    """The frames of each stretch between two clears."""
    stretches = [[]]
    for message in messages:
        if message["event"] == "clear":
            stretches.append([])
        else:
            stretches[-1].append(message)
    return [cut(audio_of(stretch)) for stretch in stretches]


class TestFull:
    CAP_BYTES = 32_000

    def test_full_and_half_empty_again(self, twin):
        rig = AssistantRig(twin, cap_bytes=self.CAP_BYTES).started()
        rig.begin()
        rig.delta(audio(199))
        assert rig.full == []
        rig.delta(audio(1))
        assert rig.full == [True]
        rig.delta(audio(10))
        assert rig.full == [True]
        while rig.full == [True] and rig.lane.frames_unsent:
            rig.tick(20)
        assert rig.full == [True, False]
        assert 160 * rig.lane.frames_unsent < self.CAP_BYTES // 2
        rig.tick(20_000)
        assert rig.full == [True, False]
        assert rig.lane.peak_bytes >= 210 * 160

    def test_again(self, twin):
        rig = AssistantRig(twin, cap_bytes=self.CAP_BYTES).started()
        rig.begin()
        for _ in range(2):
            rig.delta(audio(200))
            rig.tick(4100)
        assert rig.full == [True, False, True, False]

    def test_clear_empties_it(self, twin):
        rig = AssistantRig(twin, cap_bytes=self.CAP_BYTES).started()
        rig.respond(audio(200))
        rig.lane.clear()
        assert rig.full == [True, False]


class TestClose:
    def test_unsent_frames_are_flushed(self, rig):
        rig.respond(audio(30))
        rig.tick(100)
        sent = rig.lane.frames_sent
        rig.lane.close()
        assert rig.lane.frames_flushed == {"barge_in": 0, "close": 30 - sent}
        assert rig.lane.frames_unsent == 0
        rig.check()
        rig.tick(500)
        assert len(rig.heard) == sent
        assert rig.pacer.active == 0

    def test_nothing_is_sent_any_more(self, rig):
        rig.lane.close()
        rig.respond(audio(3))
        rig.lane.clear()
        rig.tick(100)
        assert rig.downlink == []
        rig.check()

    def test_twice_is_once(self, rig):
        rig.respond(audio(3))
        rig.lane.close()
        rig.lane.close()
        assert rig.lane.frames_flushed["close"] == 3

    def test_what_was_never_sent_is_never_heard(self, rig):
        rig.respond(audio(50))
        rig.tick(200)
        sent_ms = 20 * rig.lane.frames_sent
        rig.lane.close()
        rig.tick(5000)
        ((item_id, response_id, heard_ms, received_ms),) = rig.lane.items()
        assert (item_id, response_id, received_ms) == ("item_1", "resp_1", 1000)
        assert heard_ms <= sent_ms
