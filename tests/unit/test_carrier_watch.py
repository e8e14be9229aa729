"""fastbridge.carrier.watch: a line that is dead, one that takes nothing, and one that sends what is none."""

import json
from types import SimpleNamespace

import pytest

from fastbridge.carrier.watch import (
    DEAD_STREAM_SECONDS,
    MAX_MESSAGES_PER_SECOND,
    MAX_VIOLATIONS,
    SLOW_CARRIER_SECONDS,
    CarrierWatch,
)
from fastbridge.observe import events
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
    rig.advance(2.2)
    assert rig.call.end_reason == "carrier_slow"


def test_one_that_takes_a_little_is_slow_and_not_dead(monkeypatch):
    now_ns, ends = [1], []
    lane = SimpleNamespace(untaken_bytes=90_000, pause=lambda: None, unpause=lambda: None)
    monkeypatch.setattr(events, "tx_slow", lambda *_: None)
    watch = CarrierWatch(
        clock=SimpleNamespace(now_ns=lambda: now_ns[0], began_ns=0),
        assistant=lane,
        caller=SimpleNamespace(last_media_ns=1 << 62),
        read=lambda message: None,
        log=None,
        trouble=None,
        tell=lambda stopped: ends.append(stopped.reason),
    )
    watch.paused(True)

    def seconds(count: int, taken_bytes: int) -> None:
        for _ in range(count):
            lane.untaken_bytes -= taken_bytes
            now_ns[0] += 1_000_000_000
            watch.check()

    seconds(60, 1000)
    seconds(9, 0)
    assert ends == []
    seconds(1, 1)
    seconds(10, 0)
    assert ends == []
    seconds(1, 0)
    assert ends == ["carrier_slow"]


def test_a_stall_is_said_when_it_begins(rig, caplog):
    rig.do(rig.call.carrier_watch.stalled, True)
    rig.do(rig.call.carrier_watch.stalled, False)
    assert caplog.text.count("[TX_SLOW] Twilio takes no audio: pacing waits") == 1
    rig.advance(15)
    assert rig.call.live


def test_one_that_takes_it_again_in_time_is_not(rig):
    for _ in range(3):
        rig.do(rig.call.carrier_watch.paused, True)
        rig.advance(SLOW_CARRIER_SECONDS - 0.5)
        rig.do(rig.call.carrier_watch.paused, False)
        rig.advance(0.1)
    assert rig.call.end_reason != "carrier_slow"


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
