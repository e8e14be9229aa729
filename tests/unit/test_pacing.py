import time
from itertools import pairwise

import pytest

from helpers import MS, Clock

FRAME = 20 * MS
NOW = 5_000 * MS


def started(pacing, now_ns: int = NOW, **options):
    schedule = pacing.Schedule(**options)
    schedule.start(now_ns)
    return schedule


def test_constants(pacing):
    assert (pacing.FRAME_NS, pacing.SPACING_NS, pacing.GUARD_NS) == (20_000_000, 18_000_000, 500_000)
    assert (pacing.LATE_NS, pacing.RESET_NS) == (2_000_000, 200_000_000)


class TestSchedule:
    def test_before_anything(self, pacing):
        schedule = pacing.Schedule()
        assert (schedule.due_ns, schedule.play_end_ns, schedule.frames_sent) == (0, 0, 0)
        assert (schedule.tx_late_frames, schedule.tx_schedule_resets, schedule.underruns) == (0, 0, 0)
        assert (schedule.interval_ms(0.5), schedule.interval_max_ms) == (0.0, 0.0)

    def test_the_first_frame_may_leave_at_once(self, pacing):
        schedule = started(pacing)
        assert schedule.due_ns == NOW
        assert schedule.earliest_ns == NOW - 160 * MS

    def test_the_lead_is_built_up_at_the_minimum_spacing(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        assert schedule.due_ns == NOW + FRAME
        assert schedule.earliest_ns == NOW + pacing.SPACING_NS + pacing.GUARD_NS

    def test_once_built_up_frames_go_every_20_ms(self, pacing):
        schedule = started(pacing, lead_ms=160)
        now = NOW
        sent = []
        for _ in range(400):
            now = max(now, schedule.earliest_ns)
            schedule.sent(now)
            sent.append(now)
        intervals = [b - a for a, b in pairwise(sent)]
        assert intervals[0] == pacing.SPACING_NS + pacing.GUARD_NS
        assert intervals[-200:] == [FRAME] * 200
        assert sent[-1] == NOW + 399 * FRAME - 160 * MS
        assert schedule.tx_late_frames == 0

    def test_without_lead_frames_leave_when_due(self, pacing):
        schedule = started(pacing, lead_ms=0)
        for n in range(50):
            assert schedule.earliest_ns == NOW + n * FRAME
            schedule.sent(schedule.earliest_ns)

    def test_lateness_is_made_up_within_the_spacing(self, pacing):
        schedule = started(pacing, lead_ms=0)
        schedule.sent(NOW + 50 * MS)
        assert schedule.tx_late_frames == 1
        assert schedule.due_ns == NOW + FRAME
        assert schedule.earliest_ns == NOW + 50 * MS + pacing.SPACING_NS + pacing.GUARD_NS

    @pytest.mark.parametrize(
        ("lateness_ns", "late", "resets"),
        [
            (-160 * MS, 0, 0),
            (0, 0, 0),
            (2 * MS, 0, 0),
            (2 * MS + 1, 1, 0),
            (200 * MS, 1, 0),
            (200 * MS + 1, 0, 1),
            (60_000 * MS, 0, 1),
        ],
    )
    def test_lateness_rules(self, pacing, lateness_ns, late, resets):
        schedule = started(pacing)
        schedule.sent(NOW + lateness_ns)
        assert (schedule.tx_late_frames, schedule.tx_schedule_resets) == (late, resets)
        assert schedule.due_ns == (NOW + lateness_ns if resets else NOW) + FRAME

    def test_a_pause_between_talk_spurts_is_neither_late_nor_a_reset(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.start(NOW + 10_000 * MS)
        schedule.sent(NOW + 10_000 * MS)
        assert schedule.due_ns == NOW + 10_000 * MS + FRAME
        assert (schedule.tx_late_frames, schedule.tx_schedule_resets, schedule.underruns) == (0, 0, 0)

    def test_audio_still_playing_pushes_the_next_talk_spurt_out(self, pacing):
        schedule = started(pacing)
        now = NOW
        for _ in range(10):
            now = max(now, schedule.earliest_ns)
            schedule.sent(now)
        schedule.start(now)
        assert schedule.due_ns == NOW + 10 * FRAME

    def test_spacing_holds_between_talk_spurts(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.start(NOW + 1)
        assert schedule.earliest_ns >= NOW + pacing.SPACING_NS

    def test_play_end_is_when_the_carrier_has_played_all(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        assert schedule.play_end_ns == NOW + FRAME
        schedule.sent(NOW + 19 * MS)
        assert schedule.play_end_ns == NOW + 2 * FRAME
        schedule.sent(NOW + 100 * MS)
        assert schedule.play_end_ns == NOW + 100 * MS + FRAME

    def test_frames_sent(self, pacing):
        schedule = started(pacing)
        for n in range(7):
            schedule.sent(NOW + n * FRAME)
        assert schedule.frames_sent == 7


class TestStarving:
    def test_the_carrier_ran_dry(self, pacing):
        schedule = started(pacing, lead_ms=0)
        schedule.sent(NOW)
        schedule.starve()
        schedule.feed(NOW + 70 * MS)
        assert (schedule.underruns, schedule.due_ns) == (1, NOW + 70 * MS)
        schedule.sent(NOW + 70 * MS)
        assert (schedule.tx_late_frames, schedule.tx_schedule_resets) == (0, 0)

    def test_however_long_it_starved_nothing_is_late(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.starve()
        schedule.feed(NOW + 5_000 * MS)
        schedule.sent(NOW + 5_000 * MS)
        assert (schedule.underruns, schedule.tx_late_frames, schedule.tx_schedule_resets) == (1, 0, 0)

    def test_audio_in_time_is_no_underrun(self, pacing):
        for fed_at in (NOW, NOW + FRAME):
            schedule = started(pacing)
            schedule.sent(NOW)
            schedule.starve()
            schedule.feed(fed_at)
            assert (schedule.underruns, schedule.due_ns) == (0, NOW + FRAME)

    def test_feed_without_starve_changes_nothing(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.feed(NOW + 1_000 * MS)
        assert (schedule.underruns, schedule.due_ns) == (0, NOW + FRAME)

    def test_one_hunger_is_one_underrun(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.starve()
        schedule.feed(NOW + 100 * MS)
        schedule.feed(NOW + 300 * MS)
        assert (schedule.underruns, schedule.due_ns) == (1, NOW + 100 * MS)


class TestCleared:
    def test_the_carrier_is_empty_and_the_spacing_holds(self, pacing):
        schedule = started(pacing)
        now = NOW
        for _ in range(20):
            now = max(now, schedule.earliest_ns)
            schedule.sent(now)
        schedule.cleared(now + MS)
        assert schedule.due_ns == schedule.play_end_ns == now + MS
        assert schedule.earliest_ns == now + pacing.SPACING_NS + pacing.GUARD_NS
        schedule.start(now + MS)
        assert schedule.earliest_ns == now + pacing.SPACING_NS + pacing.GUARD_NS

    def test_what_had_been_played_by_then_had_ended_when_it_did(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        schedule.cleared(NOW + 500 * MS)
        assert (schedule.due_ns, schedule.play_end_ns) == (NOW + 500 * MS, NOW + FRAME)


class TestIntervals:
    def intervals(self, pacing, milliseconds: list[float]):
        schedule = started(pacing)
        now = NOW
        schedule.sent(now)
        for interval in milliseconds:
            now += round(interval * MS)
            schedule.sent(now)
        return schedule

    def test_quantiles_are_upper_edges_of_buckets(self, pacing):
        schedule = self.intervals(pacing, [20.1] * 98 + [30.6, 45.3])
        assert schedule.interval_ms(0.5) == 20.25
        assert schedule.interval_ms(0.98) == 20.25
        assert schedule.interval_ms(0.99) == 30.75
        assert schedule.interval_ms(1.0) == 45.5
        assert schedule.interval_max_ms == pytest.approx(45.3)

    def test_quantile_nought_is_the_smallest(self, pacing):
        assert self.intervals(pacing, [30.1, 18.6, 25.1]).interval_ms(0.0) == 18.75

    def test_one_interval_is_every_quantile(self, pacing):
        schedule = self.intervals(pacing, [18.6])
        assert {schedule.interval_ms(q) for q in (0.0, 0.01, 0.5, 0.99, 1.0)} == {18.75}

    def test_64_ms_at_most(self, pacing):
        schedule = self.intervals(pacing, [63.6, 64.1, 500.0])
        assert schedule.interval_ms(0.3) == 63.75
        assert schedule.interval_ms(1.0) == 64.0
        assert schedule.interval_max_ms == pytest.approx(500.0)

    def test_only_within_talk_spurts(self, pacing):
        schedule = started(pacing)
        schedule.sent(NOW)
        assert schedule.interval_ms(1.0) == 0.0
        schedule.start(NOW + 3_000 * MS)
        schedule.sent(NOW + 3_000 * MS)
        assert (schedule.interval_ms(1.0), schedule.interval_max_ms) == (0.0, 0.0)
        schedule.sent(NOW + 3_020 * MS + 100_000)
        assert (schedule.interval_ms(1.0), schedule.interval_max_ms) == (20.25, pytest.approx(20.1))


class TestPacer:
    def test_without_lanes(self, pacing):
        pacer = pacing.Pacer()
        assert (pacer.run(NOW), pacer.active) == (-1, 0)

    def test_each_lane_sends_at_most_one_frame_a_run_and_the_soonest_is_told(self, pacing, assistant):
        pacer, clock = pacing.Pacer(), Clock(NOW)
        outputs: list[list[bytes]] = [[], [], []]
        for number, written in enumerate(outputs):
            lane = silent_lane(assistant, pacer, clock)
            lane.start(b"MZ%d" % number, written.append)
            lane.begin_response("resp_1")
            lane.feed_delta(b"resp_1", b"item_1", b"//8A" * 40 * 4 * 3)
        assert pacer.active == 3
        wanted = pacer.run(NOW)
        assert [len(written) for written in outputs] == [1, 1, 1]
        assert wanted == NOW + pacing.SPACING_NS + pacing.GUARD_NS
        pacer.run(wanted - 1)
        assert [len(written) for written in outputs] == [1, 1, 1]
        pacer.run(wanted)
        assert [len(written) for written in outputs] == [2, 2, 2]

    @pytest.mark.parametrize("bad", [0, 1, 2])
    def test_a_lane_that_fails_costs_no_other_its_frame(self, pacing, assistant, bad):
        pacer, clock = pacing.Pacer(), Clock(NOW)
        outputs: list[list[bytes]] = [[], [], []]

        def fail(data: bytes) -> None:
            raise ConnectionError("gone")

        lanes = [silent_lane(assistant, pacer, clock) for _ in outputs]
        for number, (lane, written) in enumerate(zip(lanes, outputs, strict=True)):
            lane.start(b"MZ%d" % number, fail if number == bad else written.append)
            lane.begin_response("resp_1")
            lane.feed_delta(b"resp_1", b"item_1", b"//8A" * 40 * 4 * 3)
        with pytest.raises(ConnectionError, match="gone"):
            pacer.run(NOW)
        assert [len(written) for written in outputs] == [int(number != bad) for number in range(3)]
        assert pacer.active == 2
        clock.advance(20)
        assert pacer.run(clock.now_ns) > 0
        lanes[bad].feed_delta(b"resp_1", b"item_1", b"//8A")
        assert pacer.active == 3

    def test_the_soonest_of_lanes_begun_apart(self, pacing, assistant):
        pacer, clock = pacing.Pacer(), Clock(NOW)
        for _ in range(2):
            lane = silent_lane(assistant, pacer, clock)
            lane.start(b"MZ1", lambda data: None)
            lane.begin_response("resp_1")
            lane.feed_delta(b"resp_1", b"item_1", b"//8A" * 40 * 4 * 3)
            assert pacer.run(clock.now_ns) == NOW + pacing.SPACING_NS + pacing.GUARD_NS
            clock.advance(7)

    def test_a_lane_leaves_when_it_runs_out(self, pacing, assistant):
        pacer, clock = pacing.Pacer(), Clock(NOW)
        lane = silent_lane(assistant, pacer, clock)
        lane.start(b"MZ1", lambda data: None)
        assert pacer.active == 0
        lane.begin_response("resp_1")
        lane.feed_delta(b"resp_1", b"item_1", b"AAAA" * 40)
        lane.end_response("resp_1")
        assert pacer.active == 1
        pacer.run(NOW)
        assert pacer.run(NOW + FRAME) == -1
        assert pacer.active == 0


def silent_lane(assistant, pacer, clock):
    callbacks = dict.fromkeys(["on_event", "on_first_frame", "on_played", "on_full"], lambda argument: None)
    return assistant.AssistantLane(pacer=pacer, clock=clock, on_bad_frame=lambda n, size: None, **callbacks)


class TestTime:
    def test_monotonic_ns_is_the_clock_of_the_loop(self, pacing):
        before = time.monotonic_ns()
        now = pacing.monotonic_ns()
        assert before <= now <= time.monotonic_ns()

    def test_sleep_until_a_time_past_returns(self, pacing):
        before = time.monotonic_ns()
        pacing.sleep_until_ns(0)
        pacing.sleep_until_ns(before)
        assert time.monotonic_ns() - before < 1_000 * MS

    def test_sleep_until_a_deadline_reaches_it(self, pacing):
        deadline = time.monotonic_ns() + MS // 2
        pacing.sleep_until_ns(deadline)
        assert time.monotonic_ns() >= deadline
