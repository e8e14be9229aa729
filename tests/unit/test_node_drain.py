"""What the first signal begins, on a clock of its own."""

from types import SimpleNamespace

import pytest

from fastbridge.node import drain
from fastbridge.node.drain import LAST_WEBHOOK_SECONDS, Drain


class Served:
    def __init__(self, seconds: float = 3600) -> None:
        self.settings = SimpleNamespace(drain_seconds=seconds)
        self.busy = False
        self.drained = 0

    def drain(self) -> None:
        self.drained += 1


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(drain, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_nothing_is_over_that_has_not_begun(clock):
    draining = Drain(Served())
    clock.now += 100_000
    assert not draining.over()


def test_it_begins_once(clock):
    served = Served()
    draining = Drain(served)
    assert [draining.begin(), draining.begin(), served.drained] == [True, False, 1]
    assert draining.over(), "nobody is there"


def test_it_waits_for_the_last_call_and_for_the_last_webhook(clock):
    served = Served()
    served.busy = True
    draining = Drain(served)
    draining.begin()
    clock.now += 1000
    assert not draining.over()
    served.busy = False
    clock.now += LAST_WEBHOOK_SECONDS / 2
    assert not draining.over()
    clock.now += LAST_WEBHOOK_SECONDS / 2
    assert draining.over()


def test_it_has_its_limit(clock):
    served = Served(seconds=60)
    served.busy = True
    draining = Drain(served)
    draining.begin()
    clock.now += 59
    assert not draining.over()
    clock.now += 1
    assert draining.over()
