"""What the first signal begins, on a clock of its own."""

from types import SimpleNamespace

import pytest

from fastbridge.node import drain
from fastbridge.node.drain import CUT_SECONDS, LAST_WEBHOOK_SECONDS, Drain


class Served:
    def __init__(self, seconds: float = 3600) -> None:
        self.settings = SimpleNamespace(drain_seconds=seconds)
        self.busy = False
        self.lingers = True
        self.drained = 0
        self.cuts = 0

    def drain(self) -> None:
        self.drained += 1

    def cut(self) -> None:
        self.cuts += 1
        self.busy = False


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


def test_who_is_asked_nothing_more_is_not_waited_for(clock):
    served = Served()
    served.busy, served.lingers = True, False
    draining = Drain(served)
    draining.begin()
    assert not draining.over()
    served.busy = False
    assert draining.over()


def cut(served: Served, draining: Drain, clock: SimpleNamespace) -> None:
    """Its calls end now, once, and their callers hear why."""
    assert (draining.over(), served.cuts) == (False, 1)
    clock.now += LAST_WEBHOOK_SECONDS - 0.1
    assert (draining.over(), served.cuts) == (False, 1)
    clock.now += 0.1
    assert (draining.over(), served.cuts) == (True, 1)


def test_it_has_its_limit_and_then_ends_the_calls(clock):
    served = Served(seconds=60)
    served.busy = True
    draining = Drain(served)
    draining.begin()
    clock.now += 59
    assert (draining.over(), served.cuts) == (False, 0)
    clock.now += 1
    cut(served, draining, clock)


def test_where_the_calls_do_not_end_it_does_not_wait(clock):
    served = Served(seconds=60)
    served.busy, served.cut = True, lambda: None
    draining = Drain(served)
    draining.begin()
    clock.now += 60
    assert not draining.over()
    clock.now += CUT_SECONDS
    assert draining.over()


def test_the_second_signal_ends_the_calls_and_the_third_all(clock):
    served = Served()
    served.busy = True
    draining = Drain(served)
    assert draining.signal()
    assert (draining.over(), served.cuts) == (False, 0)
    assert draining.signal()
    assert served.cuts == 0, "not in the middle of anything"
    cut(served, draining, clock)
    assert not draining.signal()


def test_a_second_signal_behind_the_limit_changes_nothing(clock):
    """As the switchboard sends it to its workers."""
    served = Served(seconds=60)
    served.busy = True
    draining = Drain(served)
    draining.signal()
    clock.now += 60
    assert not draining.over()
    assert draining.signal()
    assert (draining.over(), served.cuts) == (False, 1)
    assert not draining.signal()


def test_a_second_signal_ends_what_has_no_calls(clock):
    draining = Drain(Served())
    assert [draining.signal(), draining.signal(), draining.over()] == [True, True, True]


def test_a_terminal_that_hangs_up_may_do_so_often(clock):
    served = Served()
    served.busy = True
    draining = Drain(served)
    assert [draining.begin(), draining.begin(), draining.over(), served.cuts] == [True, False, False, 0]
