"""Limiters: what they let through, what they count, and that nothing makes them grow."""

import logging
import threading

import pytest

from fastbridge.observe import limits as loglimits
from fastbridge.observe.limits import EveryNth, OncePerCall, RateLimiter, Repeats, log_every, log_every_n

LOGGER = logging.getLogger("worker")


class Watch:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch, watch):
    monkeypatch.setattr(loglimits, "_limiter", RateLimiter(watch))
    monkeypatch.setattr(loglimits, "_counter", EveryNth())


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO")
    return lambda: [record.getMessage() for record in caplog.records]


class TestRateLimiter:
    def test_one_is_let_through_per_key_and_time(self, watch):
        limiter = RateLimiter(watch)
        assert limiter.every("a", 5.0)
        assert limiter.every("b", 5.0)
        watch.now_s = 104.9
        assert not limiter.every("a", 5.0)
        watch.now_s = 105.0
        assert limiter.every("a", 5.0)
        assert not limiter.every("a", 5.0)

    def test_it_tells_how_many_were_not(self, watch):
        limiter = RateLimiter(watch)
        assert [limiter.skipped("a", 5.0) for _ in range(4)] == [0, None, None, None]
        watch.now_s += 5
        assert [limiter.skipped("a", 5.0) for _ in range(2)] == [3, None]

    def test_it_is_bounded(self, watch):
        limiter = RateLimiter(watch)
        for number in range(1000):
            limiter.every(str(number), 1.0)
        assert len(limiter) == limiter.MAX_KEYS
        assert not limiter.every("999", 1.0)
        assert limiter.every("0", 1.0)

    def test_several_threads_may_use_it(self):
        limiter, passed = RateLimiter(), []

        def work():
            for number in range(2000):
                if limiter.every(number % 400, 3600):
                    passed.append(number)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(limiter) == limiter.MAX_KEYS
        assert len(passed) >= 400


class TestEveryNth:
    def test_the_first_and_then_every_nth(self):
        often = EveryNth()
        assert [number for number in range(10) if often.every_n("a", 4)] == [0, 4, 8]
        assert often.every_n("b", 4)

    def test_it_tells_how_many_were_between(self):
        often = EveryNth()
        assert [often.skipped("a", 3) for _ in range(5)] == [0, None, None, 2, None]

    @pytest.mark.parametrize("n", [1, 0, -3])
    def test_every_one(self, n):
        often = EveryNth()
        assert [often.skipped("a", n) for _ in range(3)] == [0, 0, 0]

    def test_it_is_bounded(self):
        often = EveryNth()
        for number in range(1000):
            often.every_n(number, 2)
        assert len(often) == often.MAX_KEYS


def test_once_is_once_and_bounded():
    once = OncePerCall()
    assert [once.once("a") for _ in range(3)] == [True, False, False]
    assert sum(once.once(str(number)) for number in range(1000)) == OncePerCall.MAX_KEYS - 1


class TestLogEvery:
    def test_what_comes_too_soon_is_counted_and_said_with_the_next(self, said, watch):
        for number in range(5):
            log_every(LOGGER, "full", 10.0, logging.WARNING, "the queue has %d jobs", number)
        watch.now_s += 10
        log_every(LOGGER, "full", 10.0, logging.WARNING, "the queue has %d jobs", 9)
        assert said() == ["the queue has 0 jobs", "the queue has 9 jobs (and 4 more like it)"]

    def test_a_key_is_its_loggers_own(self, said):
        for logger in (LOGGER, LOGGER.getChild("other")):
            log_every(logger, "full", 10.0, logging.INFO, "full")
        assert said() == ["full", "full"]

    def test_what_no_level_lets_through_counts_for_nothing(self, said, watch):
        log_every(LOGGER, "x", 10.0, logging.DEBUG, "detail")
        log_every(LOGGER, "x", 10.0, logging.INFO, "100 % done")
        watch.now_s += 10
        log_every(LOGGER, "x", 10.0, logging.INFO, "100 % done")
        assert said() == ["100 % done", "100 % done"]

    def test_a_percent_sign_is_one_with_a_count_behind_it_too(self, said, watch):
        for _ in range(2):
            log_every(LOGGER, "x", 10.0, logging.INFO, "100 % done")
        watch.now_s += 10
        log_every(LOGGER, "x", 10.0, logging.INFO, "100 % done")
        assert said()[-1] == "100 % done (and 1 more like it)"

    def test_every_nth(self, said):
        for number in range(7):
            log_every_n(LOGGER, "done", 3, logging.INFO, "job %d is done", number)
        assert said() == [
            "job 0 is done",
            "job 3 is done (and 2 more like it)",
            "job 6 is done (and 2 more like it)",
        ]

    def test_an_error_has_its_traceback_and_the_place_is_the_callers(self, caplog):
        for function, often in ((log_every, 10.0), (log_every_n, 2)):
            try:
                raise ValueError("no")
            except ValueError:
                function(LOGGER, "x", often, logging.ERROR, "failed")
                function(LOGGER, "y", often, logging.WARNING, "odd")
            function(LOGGER, "z", often, logging.ERROR, "bad")
        assert [bool(record.exc_info) for record in caplog.records] == [True, False, False] * 2
        assert {record.module for record in caplog.records} == {"test_observe_limits"}

    def test_both_are_bounded(self):
        for number in range(1000):
            log_every(LOGGER, number, 10.0, logging.ERROR, "x")
            log_every_n(LOGGER, number, 10, logging.ERROR, "x")
        assert len(loglimits._limiter) == RateLimiter.MAX_KEYS
        assert len(loglimits._counter) == EveryNth.MAX_KEYS


class TestRepeats:
    @staticmethod
    def record(name="x", level=logging.WARNING, text="again", **fields):
        made = logging.LogRecord(name, level, "", 0, "%s" if name == loglimits.EVENTS else text, None, None)
        if name == loglimits.EVENTS:
            made.args, made.fields = (text,), fields
        return made

    def test_the_first_few_then_a_count(self, watch):
        repeats = Repeats(watch)
        assert [repeats.judge(self.record()) for _ in range(7)] == [0] * 5 + [None] * 2
        watch.now_s += loglimits.REPEAT_SECONDS
        assert repeats.judge(self.record()) == 2

    def test_what_is_no_warning_passes(self, watch):
        repeats = Repeats(watch)
        assert [repeats.judge(self.record(level=logging.INFO)) for _ in range(9)] == [0] * 9

    def test_of_events_those_of_no_call_are_judged_by_their_words(self, watch):
        repeats = Repeats(watch)
        of_a_call = [repeats.judge(self.record(loglimits.EVENTS, call_sid="CA1")) for _ in range(9)]
        of_none = [repeats.judge(self.record(loglimits.EVENTS, text="a task failed")) for _ in range(7)]
        others = [repeats.judge(self.record(loglimits.EVENTS, text=f"job {number}")) for number in range(7)]
        assert (of_a_call, of_none, others) == ([0] * 9, [0] * 5 + [None] * 2, [0] * 7)

    def test_what_differs_far_behind_is_the_same(self, watch):
        repeats = Repeats(watch)
        texts = ["x" * loglimits.MAX_WORDING_CHARS + str(number) for number in range(7)]
        assert [repeats.judge(self.record(text=text)) for text in texts] == [0] * 5 + [None] * 2
