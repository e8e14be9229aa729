"""fastbridge.model.backoff: few tries, further and further apart."""

import pytest

from fastbridge.model.backoff import BACKOFF_SECONDS, BUSY_BACKOFF_SECONDS, MAX_TRIES, next_delay_seconds


@pytest.mark.parametrize(("tries", "longest"), [(1, 0.1), (2, 0.5), (3, 1.0), (4, None), (5, None)])
def test_each_try_that_fails_waits_longer_and_the_fourth_is_the_last(tries: int, longest: float | None) -> None:
    delays = [next_delay_seconds(tries, 0, lost=False) for _ in range(50)]
    if longest is None:
        assert set(delays) == {None}
    else:
        assert all(delay is not None and longest / 2 <= delay <= longest for delay in delays)
        assert len(set(delays)) > 10, "many calls that have lost the same model do not come back at once"


@pytest.mark.parametrize(("busy", "longest"), [(1, 0.5), (2, 1.5), (3, None)])
def test_a_busy_model_is_asked_less_often(busy: int, longest: float | None) -> None:
    delay = next_delay_seconds(busy, busy, lost=False)
    assert delay is None if longest is None else delay is not None and longest / 2 <= delay <= longest


def test_a_session_that_was_lost_is_followed_at_once_but_not_for_ever() -> None:
    for tries in range(1, MAX_TRIES):
        delay = next_delay_seconds(tries, 0, lost=True)
        assert delay is not None
        assert delay <= BACKOFF_SECONDS[0]
    assert next_delay_seconds(MAX_TRIES, 0, lost=True) is None


def test_one_that_was_lost_for_it_is_busy_waits_as_long_as_any_busy_one() -> None:
    delay = next_delay_seconds(1, 2, lost=True)
    assert delay is not None
    assert delay >= BUSY_BACKOFF_SECONDS[1] / 2
