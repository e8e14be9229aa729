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


class Slow:
    """A watch alone: 90 kB wait for the carrier, whom a test lets take of it what it likes."""

    def __init__(self) -> None:
        self.now_ns = 1
        self.ends: list[str] = []
        self.lane: list[str] = []
        """What the assistant's lane was told."""
        self.untaken_bytes = 90_000
        self.watch = CarrierWatch(
            clock=SimpleNamespace(now_ns=lambda: self.now_ns, began_ns=0),
            assistant=self,
            caller=SimpleNamespace(last_media_ns=1 << 62),
            read=lambda message: None,
            log=None,
            trouble=None,
            tell=lambda stopped: self.ends.append(stopped.reason),
        )

    def pause(self) -> None:
        self.lane.append("pause")

    def unpause(self) -> None:
        self.lane.append("unpause")

    def seconds(self, count: int, taken_bytes: int = 0) -> None:
        for _ in range(count):
            self.untaken_bytes -= taken_bytes
            self.now_ns += 1_000_000_000
            self.watch.check()


@pytest.fixture
def slow(monkeypatch):
    for name in ("tx_slow", "tx_stalled"):
        monkeypatch.setattr(events, name, lambda *_: None)
    return Slow()


def test_one_that_takes_a_little_is_slow_and_not_dead(slow):
    slow.watch.paused(True)
    slow.seconds(60, 1000)
    slow.seconds(9)
    assert slow.ends == []
    slow.seconds(1, 1)
    slow.seconds(10)
    assert slow.ends == []
    slow.seconds(1)
    assert slow.ends == ["carrier_slow"]


@pytest.mark.parametrize("how", ["paused", "stalled"])
def test_one_that_takes_it_between_two_looks_begins_anew(slow, how):
    """The time before counts no more, though as much as before waits again."""
    blocked = getattr(slow.watch, how)
    for _ in range(3):
        blocked(True)
        slow.seconds(9)
        blocked(False)
    assert slow.ends == []
    blocked(True)
    slow.seconds(11)
    assert slow.ends == []
    slow.seconds(1)
    assert slow.ends == ["carrier_slow"]


@pytest.mark.parametrize(("first", "other"), [("paused", "stalled"), ("stalled", "paused")])
def test_of_pause_and_stall_the_end_of_one_is_not_the_others(slow, first, other):
    getattr(slow.watch, first)(True)
    slow.seconds(6)
    getattr(slow.watch, other)(True)
    getattr(slow.watch, first)(False)
    slow.seconds(5)
    assert slow.ends == []
    slow.seconds(1)
    assert slow.ends == ["carrier_slow"]


def test_the_lane_waits_while_it_is_paused_and_then_goes_on(slow):
    slow.watch.paused(True)
    assert slow.lane == ["pause"]
    slow.watch.paused(False)
    assert slow.lane == ["pause", "unpause"]
    slow.seconds(60)
    assert slow.ends == []


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
