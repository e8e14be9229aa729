"""However late the loop comes: never too close, no drift, every count by its rule, never more ahead than the lead."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

import oracle.pacing
from helpers import MS, base64_text
from rigs import AssistantRig

START_NS = 10_000 * MS
FRAME_NS = 20 * MS
lead_ms = st.integers(0, 400)
small_lateness = st.lists(st.integers(0, 30 * MS), min_size=1, max_size=80)
any_lateness = st.lists(st.integers(0, 3 * MS) | st.integers(0, 500 * MS), min_size=1, max_size=80)


def send(schedule, lateness: list[int]) -> list[int]:
    """Frames that leave as early as they may, plus a lateness each."""
    now, times = START_NS, []
    for late in lateness:
        now = max(now, schedule.earliest_ns) + late
        schedule.sent(now)
        times.append(now)
    return times


def spurt(pacing, lead: int):
    schedule = pacing.Schedule(lead_ms=lead)
    schedule.start(START_NS)
    return schedule


@given(lead_ms, any_lateness)
def test_never_closer_than_the_spacing(pacing, lead, lateness):
    times = send(spurt(pacing, lead), lateness)
    assert all(later - earlier >= pacing.SPACING_NS for earlier, later in pairwise(times))


@given(lead_ms, small_lateness)
def test_no_drift(pacing, lead, lateness):
    """While no lateness passes the limit, frame n is due at t0 + n * 20 ms."""
    schedule = spurt(pacing, lead)
    send(schedule, lateness)
    if schedule.tx_schedule_resets == 0:
        assert schedule.due_ns == START_NS + len(lateness) * FRAME_NS


@given(lead_ms, any_lateness)
def test_never_more_ahead_than_the_lead(pacing, lead, lateness):
    schedule = spurt(pacing, lead)
    now, behind = START_NS, 0
    for late in lateness:
        now = max(now, schedule.earliest_ns) + late
        assert schedule.due_ns - now <= lead * MS
        schedule.sent(now)
        behind = max(behind, now - schedule.due_ns + FRAME_NS)  # by so much the carrier began, or went on, too late
        assert schedule.play_end_ns - now <= lead * MS + FRAME_NS + behind


@given(lead_ms, any_lateness)
def test_every_frame_is_in_time_late_or_a_reset(pacing, lead, lateness):
    schedule = spurt(pacing, lead)
    now, late_frames, resets = START_NS, 0, 0
    for late in lateness:
        now = max(now, schedule.earliest_ns) + late
        behind = now - schedule.due_ns
        late_frames += pacing.LATE_NS < behind <= pacing.RESET_NS
        resets += behind > pacing.RESET_NS
        schedule.sent(now)
    assert (schedule.tx_late_frames, schedule.tx_schedule_resets) == (late_frames, resets)
    assert schedule.frames_sent == len(lateness)


@given(lead_ms, st.integers(0, 200 * MS))
def test_one_stall_is_made_up_for(pacing, lead, stall):
    """After a stall within the limit the schedule is met again, in the time that 1.5 ms a frame needs."""
    schedule = spurt(pacing, lead)
    times = send(schedule, [0] * 300 + [stall] + [0] * 300)
    assert times[-1] == START_NS + 600 * FRAME_NS - min(lead, 600) * MS
    assert schedule.tx_schedule_resets == 0


@given(any_lateness.filter(lambda lateness: len(lateness) > 1), st.floats(0, 1))
def test_quantiles(pacing, lateness, quantile):
    schedule = spurt(pacing, 160)
    times = send(schedule, lateness)
    intervals = sorted(later - earlier for earlier, later in pairwise(times))
    told_ns = schedule.interval_ms(quantile) * MS
    within = sum(interval < told_ns for interval in intervals)
    assert within >= quantile * len(intervals) or told_ns == 64 * MS
    assert told_ns == 64 * MS or any(told_ns - 0.25 * MS <= interval < told_ns for interval in intervals)
    assert schedule.interval_max_ms * MS == intervals[-1] or abs(schedule.interval_max_ms * MS - intervals[-1]) < 1


steps = st.sampled_from(["sent", "sent", "sent", "start", "hunger", "cleared"])


@given(lead_ms, st.lists(st.tuples(steps, st.integers(0, 400 * MS)), max_size=60))
def test_both_twins_say_the_same(pacing, lead, script):
    twins = [pacing.Schedule(lead_ms=lead), oracle.pacing.Schedule(lead_ms=lead)]
    now = START_NS
    for schedule in twins:
        schedule.start(now)
    for step, later in script:
        now += later
        for schedule in twins:
            if step == "hunger":
                schedule.starve()
                schedule.feed(now)
            else:
                getattr(schedule, step)(now)
        names = ["due_ns", "earliest_ns", "play_end_ns", "frames_sent", "tx_late_frames", "tx_schedule_resets"]
        names += ["underruns", "interval_max_ms"]
        one, two = ([getattr(schedule, name) for name in names] for schedule in twins)
        assert one == two
        assert twins[0].interval_ms(0.5) == twins[1].interval_ms(0.5)


@given(lead_ms, st.lists(st.integers(0, 60), min_size=1, max_size=120))
def test_a_lane_on_an_uneven_loop_keeps_the_law_and_loses_nothing(twin, lead, pauses_ms):
    rig = AssistantRig(twin, lead_ms=lead).started()
    audio = bytes(index % 255 for index in range(160 * 40))
    rig.respond(audio)
    for pause in [*pauses_ms, *[20] * 60]:
        rig.clock.advance(pause)
        rig.pacer.run(rig.clock.now_ns)
        rig.check()
    assert b"".join(rig.heard) == audio
    assert all(later - earlier >= 18 * MS for earlier, later in pairwise(rig.frame_times))


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 100)), min_size=1, max_size=30))
def test_a_lane_fed_unevenly_is_never_late_on_an_even_loop(twin, arrivals):
    """(bytes, pause in ms) of each delta: hunger is an underrun, not lateness."""
    rig = AssistantRig(twin).started()
    rig.begin()
    for size, pause in arrivals:
        rig.lane.feed_delta(b"resp_1", b"item_1", base64_text(bytes(size)))
        rig.tick(pause)
        rig.check()
    schedule = rig.lane.schedule
    assert (schedule.tx_late_frames, schedule.tx_schedule_resets) == (0, 0)
    assert all(later - earlier >= 18 * MS for earlier, later in pairwise(rig.frame_times))
