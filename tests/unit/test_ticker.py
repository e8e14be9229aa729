"""The tick: when it comes, when it sleeps, and what it takes."""

import asyncio
from typing import Any

import pytest

from fastbridge._ticker import Ticker
from fastbridge.node.metrics import LAG_SECONDS


class Ticks:
    """A Ticker whose sleeping is counted and not done."""

    def __init__(self) -> None:
        self.now_ns = 12_345_678
        self.slept_until: list[int] = []
        self.runs: list[int] = []
        self.failure: Exception | None = None
        self.steps: list[str] = []
        self.reads = 0
        self.turn_ns = 0
        self.ticker = Ticker(
            self, self, self.reactor(), 1_000_000, clock=lambda: self.now_ns, sleep_until=self.sleep_until
        )

    def sleep_until(self, until_ns: int) -> None:
        self.steps.append("sleep")
        self.slept_until.append(until_ns)
        self.now_ns = until_ns

    def reactor(self) -> Any:
        ticks = self

        class Reading:
            def run(self) -> None:
                ticks.steps.append("read")
                ticks.reads += 1
                ticks.now_ns += ticks.turn_ns

        return Reading()

    def flush(self) -> None:
        self.steps.append("flush")
        if self.failure is not None:
            raise self.failure

    def run(self, now_ns: int) -> None:
        self.steps.append("pace")
        self.runs.append(now_ns)
        if self.failure is not None:
            raise self.failure

    async def turns(self, count: int) -> int:
        """How often it ticked in so many turns of the loop."""
        before = self.reads
        for _ in range(count):
            await asyncio.sleep(0)
        return self.reads - before


@pytest.fixture
def ticks():
    return Ticks()


def test_it_ticks_on_the_boundaries_while_calls_live_and_then_no_more(ticks):
    async def scene() -> None:
        assert await ticks.turns(5) == 0
        ticks.ticker.acquire()
        ticks.ticker.acquire()
        assert await ticks.turns(5) == 5
        ticks.ticker.release()
        assert await ticks.turns(5) == 5
        ticks.ticker.release()
        assert await ticks.turns(5) == 0

    asyncio.run(scene())
    boundaries = [13_000_000 + n * 1_000_000 for n in range(10)]
    assert ticks.slept_until == boundaries
    # The pacer looks once more before the sleep: nothing takes time here, so at the boundary before.
    assert ticks.runs == [at for at in boundaries for _ in range(2)][:-1]


def test_a_turn_that_overruns_its_tick_is_followed_by_the_next_without_a_sleep(ticks):
    async def scene() -> None:
        ticks.ticker.acquire()
        assert await ticks.turns(1) == 1
        ticks.turn_ns = 1_200_000
        assert await ticks.turns(4) == 4
        ticks.turn_ns = 0
        assert await ticks.turns(2) == 2
        ticks.ticker.release()

    asyncio.run(scene())
    # Slept to 13 and 14 ms; from there work fills every tick, and what it takes is never slept on top.
    assert ticks.slept_until == [13_000_000, 14_000_000, 19_000_000]


def test_the_pacer_comes_when_all_has_been_read_and_again_before_the_sleep(ticks):
    async def scene() -> None:
        ticks.turn_ns = 300_000
        ticks.ticker.acquire()
        assert await ticks.turns(3) == 3
        ticks.ticker.release()

    asyncio.run(scene())
    assert ticks.runs == [13_300_000, 13_300_000, 14_300_000, 14_300_000, 15_300_000]
    turn = ["flush", "pace", "sleep", "read", "flush", "pace"]
    assert ticks.steps == [*turn[:1], *turn[2:], *turn, *turn, "flush"]  # the last, since it was released


def test_a_turn_in_a_hurry_paces_and_does_not_sleep_and_the_tick_comes_all_the_same(ticks):
    async def scene() -> None:
        ticks.ticker.hurry()
        assert await ticks.turns(2) == 0
        ticks.ticker.acquire()
        assert await ticks.turns(1) == 1
        ticks.steps.clear()
        for _ in range(4):
            ticks.now_ns += 200_000
            ticks.ticker.hurry()
            assert await ticks.turns(1) == 0
        assert ticks.steps == ["flush", "pace"] * 4
        ticks.now_ns += 300_000  # past the boundary: hurry or not, the tick comes
        ticks.ticker.hurry()
        assert await ticks.turns(1) == 1
        assert await ticks.turns(1) == 1
        ticks.ticker.release()

    asyncio.run(scene())
    assert ticks.slept_until == [13_000_000, 15_000_000]
    assert sum(ticks.ticker.lag_counts) == 2, "a turn between two ticks is none"


def test_a_call_that_begins_as_the_last_one_ends_does_not_double_the_ticks(ticks):
    async def scene() -> None:
        ticks.ticker.acquire()
        for _ in range(5):
            await ticks.turns(1)
            ticks.ticker.release()
            ticks.ticker.acquire()
        assert await ticks.turns(10) == 10

    asyncio.run(scene())


def test_one_failure_does_not_stop_the_ticks_of_all(ticks):
    async def scene() -> None:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
        ticks.failure = RuntimeError("a lane's callback")
        ticks.ticker.acquire()
        assert await ticks.turns(3) == 3
        assert failures == [ticks.failure] * (3 + 4 + 4)  # each time that it flushes or paces

    asyncio.run(scene())


class TestSeconds:
    def beats(self, ticks: Ticks, milliseconds: int, *callbacks: Any, after_ms: int = 0) -> None:
        """Live for so long, the callbacks registered at the beginning."""

        async def scene() -> None:
            ticks.ticker.acquire()
            await ticks.turns(after_ms + 1)
            for callback in callbacks:
                ticks.beat = ticks.ticker.every_second(callback)
            await ticks.turns(milliseconds)
            ticks.ticker.release()
            await ticks.turns(1)

        asyncio.run(scene())

    @pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 4, 5, 1234])
    def test_once_a_second_and_not_at_once(self, ticks, after_ms):
        at: list[int] = []
        self.beats(ticks, 3100, lambda: at.append(ticks.now_ns), after_ms=after_ms)
        began = ticks.now_ns - 3_100_000_000
        assert [round((when - began) / 1e8) for when in at] == [10, 20, 30]

    def test_each_has_its_own_time(self, ticks):
        at: list[int] = []

        async def scene() -> None:
            ticks.ticker.acquire()
            for _ in range(10):
                ticks.ticker.every_second(lambda: at.append(ticks.now_ns // 100_000_000))
                await ticks.turns(100)
            at.clear()
            await ticks.turns(1000)
            ticks.ticker.release()

        asyncio.run(scene())
        assert len(set(at)) == len(at) == 10

    def test_not_after_it_was_cancelled(self, ticks):
        at: list[int] = []

        def once() -> None:
            at.append(ticks.now_ns)
            ticks.beat.cancel()
            ticks.beat.cancel()

        self.beats(ticks, 5000, once)
        assert len(at) == 1

    def test_one_that_cancels_another_of_its_time_is_heeded(self, ticks):
        told: list[str] = []
        both: list[Any] = []

        def cancel_all(name: str) -> None:
            told.append(name)
            for beat in both:
                beat.cancel()

        failures: list[Any] = []

        async def scene() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            ticks.ticker.acquire()
            both.extend(ticks.ticker.every_second(lambda name=name: cancel_all(name)) for name in "ab")
            await ticks.turns(3000)
            ticks.ticker.release()

        asyncio.run(scene())
        assert (len(told), failures) == (1, [])

    def test_what_one_raises_is_its_own_affair(self, ticks):
        at: list[int] = []

        async def scene() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: None)
            ticks.ticker.acquire()
            for callback in (lambda: at.append(ticks.now_ns), lambda: 1 / 0, lambda: at.append(ticks.now_ns)):
                ticks.ticker.every_second(callback)
            await ticks.turns(2100)
            ticks.ticker.release()

        asyncio.run(scene())
        assert len(at) == 4

    def test_while_nobody_ticks_no_seconds_pile_up(self, ticks):
        at: list[int] = []
        self.beats(ticks, 1100, lambda: at.append(ticks.now_ns))
        assert len(at) == 1
        ticks.now_ns += 3600 * 10**9
        self.beats(ticks, 900)
        assert len(at) == 2

    @pytest.mark.parametrize(("seconds", "each"), [(0.5, [0] * 5 + [1] * 5), (1.0, [1] * 10), (5.3, [1] * 10)])
    def test_a_long_turn_strikes_all_whose_time_it_was_and_each_once(self, ticks, seconds, each):
        counts = [0] * 10

        def struck(number: int) -> None:
            counts[number] += 1

        async def scene() -> None:
            ticks.ticker.acquire()
            await ticks.turns(1)
            for number in range(10):
                ticks.ticker.every_second(lambda number=number: struck(number))
                await ticks.turns(100)
            await ticks.turns(1050)
            counts[:] = [0] * 10
            ticks.now_ns += round(seconds * 1e9)
            await ticks.turns(1)
            assert sorted(counts) == each
            await ticks.turns(1000)
            assert sorted(counts) == [count + 1 for count in each]
            ticks.ticker.release()

        asyncio.run(scene())


def test_the_loops_lag_is_what_a_turn_takes_beyond_its_tick(ticks):
    async def scene() -> None:
        ticks.ticker.acquire()
        await ticks.turns(3)
        ticks.now_ns += 5_000_000
        await ticks.turns(2)
        ticks.ticker.release()
        await ticks.turns(2)
        ticks.now_ns += 10**9
        ticks.ticker.acquire()
        await ticks.turns(2)
        ticks.ticker.release()

    asyncio.run(scene())
    assert ticks.ticker.lag_ns == 4_000_000  # the other millisecond was the tick's own
    assert ticks.ticker.lag_counts == (4, 0, 0, 1, *[0] * 8)


def test_lag_is_counted_in_the_buckets_of_its_metric(ticks):
    async def scene() -> None:
        ticks.ticker.acquire()
        await ticks.turns(1)
        for seconds in (*LAG_SECONDS, LAG_SECONDS[-1] + 0.001):
            ticks.now_ns += 1_000_000 + round(seconds * 1e9)
            await ticks.turns(2)  # in the second it is on its boundary again
        ticks.ticker.release()

    asyncio.run(scene())
    on_time = len(LAG_SECONDS) + 1
    assert ticks.ticker.lag_counts == (1 + on_time, *[1] * len(LAG_SECONDS))
