"""Whole lanes: everything a frame passes between two sockets, without the sockets.

The lanes' clock is the real one. A tick that is to find frames due says that it is a day later, so that none waits.
"""

from collections import deque

import pytest

from helpers import SID, base64_text

RESPONSE = "resp_" + "D" * 21
ITEM = b"item_" + b"D" * 21
SECOND_BYTES = 8000
FRAMES_A_SECOND = 50
FRAME_NS = 20_000_000
DAY_NS = 86_400_000_000_000


def nothing(*arguments):
    """What a lane calls when something happened."""


def assistant_lane(twin, pacer):
    lane = twin.assistant.AssistantLane(
        pacer=pacer,
        clock=twin.pacing.monotonic_ns,
        on_event=nothing,
        on_first_frame=nothing,
        on_played=nothing,
        on_full=nothing,
        on_bad_frame=nothing,
    )
    lane.start(SID, deque(maxlen=1).append)
    lane.begin_response(RESPONSE)
    return lane


def caller_lane(twin, audio, dsp=None):
    """Open, while the assistant speaks."""
    assistant = assistant_lane(twin, twin.pacing.Pacer())
    assistant.feed_delta(RESPONSE.encode(), ITEM, base64_text(audio))
    lane = twin.caller.CallerLane(
        clock=twin.pacing.monotonic_ns,
        playing=assistant,
        detector=twin.bargein.Detector(),
        on_message=nothing,
        on_edge=nothing,
        dsp=dsp,
    )
    lane.start(SID)
    lane.open(deque(maxlen=1).append)
    return lane


def bench_caller_lane_frame(twin, each, audio, media_messages):
    """From Twilio's message to the masked frame for the model."""
    lane = caller_lane(twin, audio)
    each(lane.feed_message, media_messages)
    assert lane.frames_in == lane.outcomes[twin.caller.FORWARDED] >= len(media_messages)


def bench_caller_lane_frame_with_dsp(twin, each, audio, media_messages):
    lane = caller_lane(twin, audio, twin.dsp.HighpassLimiter())
    each(lane.feed_message, media_messages)
    assert lane.frames_in == lane.outcomes[twin.caller.FORWARDED] >= len(media_messages)


def bench_assistant_lane_delta(twin, benchmark, delta_messages):
    """From the model's message into the ring; after four seconds of audio the ring is emptied by a `clear`."""
    lane = assistant_lane(twin, twin.pacing.Pacer())

    def feed():
        lane.begin_response(RESPONSE)
        for message in delta_messages:
            lane.feed_message(message)
        lane.clear()

    benchmark.extra_info["calls"] = len(delta_messages)
    benchmark(feed)
    assert lane.refused_deltas == lane.malformed_deltas == 0


@pytest.mark.parametrize("lanes", [1, 100, 400])
def bench_pacer_tick(twin, benchmark, audio, lanes):
    """A tick at which every lane has a frame to send, and every eighth time a mark."""
    pacer = twin.pacing.Pacer()
    talking = [assistant_lane(twin, pacer) for _ in range(lanes)]
    later_ns = twin.pacing.monotonic_ns() + DAY_NS
    delta = base64_text(audio[:SECOND_BYTES])

    def refill():
        for lane in talking:
            lane.feed_delta(RESPONSE.encode(), ITEM, delta)

    def a_second():
        nonlocal later_ns
        for _ in range(FRAMES_A_SECOND):
            later_ns += FRAME_NS
            pacer.run(later_ns)

    benchmark.extra_info["calls"] = FRAMES_A_SECOND
    rounds = max(3, 100 // lanes)
    benchmark.pedantic(a_second, setup=refill, rounds=rounds, warmup_rounds=1)
    assert {lane.frames_sent for lane in talking} == {(rounds + 1) * FRAMES_A_SECOND}


@pytest.mark.parametrize("lanes", [400])
def bench_pacer_idle_tick(twin, benchmark, audio, lanes):
    """A tick at which nobody's frame is due: nine of ten."""
    pacer = twin.pacing.Pacer()
    talking = [assistant_lane(twin, pacer) for _ in range(lanes)]
    for lane in talking:
        lane.feed_delta(RESPONSE.encode(), ITEM, base64_text(audio[:SECOND_BYTES]))
    now_ns = twin.pacing.monotonic_ns()
    pacer.run(now_ns)
    benchmark(pacer.run, now_ns)
    assert {lane.frames_sent for lane in talking} == {1}
