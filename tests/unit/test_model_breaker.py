"""fastbridge.model.breaker: closed, open, and one try at a time."""

from fastbridge.model.breaker import OPEN_SECONDS, Breaker


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> int:
        return int(self.seconds * 1e9)


def test_closed_it_refuses_nobody():
    breaker = Breaker(Time())
    assert [breaker.refuses() for _ in range(3)] == [False] * 3


def test_open_it_refuses_all_but_one_call_in_a_while():
    now = Time()
    breaker = Breaker(now)
    breaker.trip()
    assert [breaker.refuses() for _ in range(3)] == [True] * 3
    now.seconds += OPEN_SECONDS
    assert [breaker.refuses() for _ in range(3)] == [False, True, True]
    now.seconds += OPEN_SECONDS - 0.1
    assert breaker.refuses()
    now.seconds += 0.2
    assert not breaker.refuses()


def test_a_session_that_comes_up_closes_it():
    breaker = Breaker(Time())
    breaker.trip()
    breaker.reset()
    assert [breaker.refuses() for _ in range(3)] == [False] * 3


def test_a_try_that_fails_keeps_it_open():
    now = Time()
    breaker = Breaker(now)
    breaker.trip()
    now.seconds += OPEN_SECONDS
    assert not breaker.refuses()
    now.seconds += 1
    breaker.trip()
    now.seconds += OPEN_SECONDS - 0.5
    assert breaker.refuses()
