"""fastbridge.base.clock."""

import gc
import weakref

import pytest

from fastbridge.base.clock import Clock, Deadline, Standstill
from helpers import MS
from virtual import START_NS, VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def fired():
    return []


@pytest.fixture
def deadline(loop, fired):
    return Deadline(loop.clock, lambda: fired.append((loop.now_ns - START_NS) // MS))


class TestClock:
    def test_elapsed_is_whole_milliseconds_rounded_down(self):
        clock = Clock(lambda: 10 * MS + 999_999)
        assert clock.elapsed_ms(0) == 10
        assert clock.elapsed_ms(10 * MS) == 0

    def test_the_usual_clock_is_monotonic(self):
        clock = Clock()
        first = clock.now_ns()
        assert isinstance(first, int)
        assert clock.now_ns() >= first

    def test_a_timer_runs_on_the_running_loop(self, loop, fired):
        loop.do(loop.clock.call_later, 0.5, lambda: fired.append(loop.now_ns - START_NS))
        loop.advance(1)
        assert fired == [500 * MS]

    def test_without_a_loop_there_are_no_timers(self):
        with pytest.raises(RuntimeError, match="no running event loop"):
            Clock().call_later(1, lambda: None)


class TestDeadline:
    def test_is_pending_until_it_fires_or_is_cleared(self, loop, fired):
        deadline = Deadline(loop.clock, lambda: fired.append(deadline.pending))
        assert not deadline.pending
        loop.do(deadline.set, 1)
        assert deadline.pending
        loop.do(deadline.clear)
        assert not deadline.pending
        loop.do(deadline.set, 1)
        loop.advance(2)
        assert (fired, deadline.pending) == ([False], False)

    def test_a_method_is_called_and_its_owner_not_kept(self, loop, fired):
        class Owner:
            def __init__(self):
                self.deadline = Deadline(loop.clock, self.due)

            def due(self):
                fired.append("due")

        owner = Owner()
        loop.do(owner.deadline.set, 1)
        loop.advance(2)
        assert fired == ["due"]
        loop.do(owner.deadline.set, 1)
        gone = weakref.ref(owner)
        gc.disable()
        try:
            del owner
            assert gone() is None
        finally:
            gc.enable()
        loop.advance(2)
        assert fired == ["due"]

    def test_fires_once(self, loop, deadline, fired):
        loop.do(deadline.set, 2)
        loop.advance(1.999)
        assert fired == []
        loop.advance(60)
        assert fired == [2000]

    def test_moved_it_fires_at_the_new_time_only(self, loop, deadline, fired):
        loop.do(deadline.set, 2)
        loop.advance(1)
        loop.do(deadline.set, 2)
        loop.advance(60)
        assert fired == [3000]

    def test_cleared_it_never_fires(self, loop, deadline, fired):
        loop.do(deadline.set, 2)
        loop.do(deadline.clear)
        loop.advance(60)
        assert (fired, loop.pending_timers()) == ([], [])

    def test_clearing_what_is_not_set_is_nothing(self, loop, deadline, fired):
        loop.do(deadline.clear)
        loop.do(deadline.set, 1)
        loop.advance(1)
        loop.do(deadline.clear)
        assert fired == [1000]

    def test_its_callback_may_set_it_again(self, loop, fired):
        def again():
            fired.append((loop.now_ns - START_NS) // MS)
            if len(fired) < 3:
                deadline.set(1)

        deadline = Deadline(loop.clock, again)
        loop.do(deadline.set, 1)
        loop.advance(60)
        assert fired == [1000, 2000, 3000]


class TestStandstill:
    def test_is_counted_from_the_look_that_found_the_last_change(self):
        now_ns, number = [0], [1]
        standstill = Standstill(Clock(lambda: now_ns[0]), lambda: number[0])
        looks = []
        for second, change in enumerate([0, 0, 1, 0, 0, -1, 0], 1):
            now_ns[0], number[0] = second * 1_000_000_000, number[0] + change
            looks.append(standstill.look())
        assert looks == [1, 2, 0, 1, 2, 0, 1]
        standstill.begin()
        assert standstill.look() == 0


class TestEverySecond:
    def test_until_it_is_cancelled(self, loop, fired):
        beats = []
        loop.do(lambda: beats.append(loop.clock.every_second(lambda: fired.append((loop.now_ns - START_NS) // MS))))
        loop.advance(3.5)
        loop.do(beats[0].cancel)
        loop.do(beats[0].cancel)
        loop.advance(60)
        assert (fired, loop.pending_timers()) == ([1000, 2000, 3000], [])

    def test_its_callback_may_cancel_it(self, loop, fired):
        beats = []

        def once():
            fired.append((loop.now_ns - START_NS) // MS)
            beats[0].cancel()

        loop.do(lambda: beats.append(loop.clock.every_second(once)))
        loop.advance(60)
        assert (fired, loop.pending_timers()) == ([1000], [])
