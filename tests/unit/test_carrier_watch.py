"""fastbridge.carrier_watch: a line that is dead, one that takes nothing, and one that sends what is none."""

import json

import pytest

from fastbridge.carrier_watch import DEAD_STREAM_SECONDS, MAX_MESSAGES_PER_SECOND, MAX_VIOLATIONS, SLOW_CARRIER_SECONDS
from helpers import QUIET
from virtual import Rig


@pytest.fixture
def rig():
    rig = Rig().up()
    yield rig
    rig.shut()


def test_a_line_that_sends_nothing_is_dead(rig, caplog):
    rig.caller_says(QUIET)
    rig.loop.advance(DEAD_STREAM_SECONDS - 0.1)
    assert rig.call.live
    rig.loop.advance(1.2)
    assert rig.call.end_reason == "stream_dead"
    assert "[WATCHDOG] no media for 5s" in caplog.text


def test_one_that_takes_nothing_is_left(rig):
    rig.do(rig.call.carrier_watch.paused, True)
    rig.advance(SLOW_CARRIER_SECONDS - 0.1)
    assert rig.call.live
    rig.advance(1.2)
    assert rig.call.end_reason == "carrier_slow"


def test_one_that_takes_it_again_in_time_is_not(rig):
    for _ in range(5):
        rig.do(rig.call.carrier_watch.paused, True)
        rig.advance(SLOW_CARRIER_SECONDS - 0.5)
        rig.do(rig.call.carrier_watch.paused, False)
        rig.advance(0.1)
    rig.advance(5)
    assert rig.call.live


def test_what_is_no_message_is_counted_and_has_an_end(rig):
    for number in range(MAX_VIOLATIONS):
        rig.carrier(b"{")
        assert rig.call.stats.errors == ["carrier_malformed"] * (number + 1)
    assert rig.call.live
    rig.carrier(b"[]")
    assert rig.call.end_reason == "carrier_protocol"


def test_messages_that_cost_more_than_audio_have_a_bound(rig):
    talk = json.dumps({"event": "something", "streamSid": "MZ"}).encode()
    for _ in range(3):
        for _ in range(MAX_MESSAGES_PER_SECOND):
            rig.carrier(talk)
        rig.advance(1.1)
    assert rig.call.live
    for _ in range(MAX_MESSAGES_PER_SECOND + 1):
        rig.carrier(talk)
    assert rig.call.end_reason == "carrier_protocol"
    assert rig.call.stats.errors == ["carrier_malformed"]
