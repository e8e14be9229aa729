"""What goes wrong: in order, by address, by chance, and by too much."""

from collections import Counter

import pytest

from fastbridge.sim.twilio_faults import RESET, Faults, RateLimit


def test_one_after_the_other_and_then_none() -> None:
    faults = Faults([503, None, RESET])
    assert [faults.next("POST", "/x") for _ in range(4)] == [503, None, RESET, None]


def test_the_list_is_the_tests_own() -> None:
    given = [503]
    Faults(given).next("POST", "/x")
    assert given == [503]


def test_by_address() -> None:
    faults = Faults(lambda method, path: 500 if (method, path[-5:]) == ("POST", ".json") else None)
    assert [faults.next("POST", "/x.json"), faults.next("GET", "/x.json"), faults.next("POST", "/x")] == [
        500,
        None,
        None,
    ]


def test_others_in_their_place() -> None:
    faults = Faults([503])
    faults.plan([429, 0.5])
    assert [faults.next("POST", "/x") for _ in range(3)] == [429, 0.5, None]


def test_by_chance_and_the_same_again() -> None:
    runs = [Faults((), {503: 0.1, RESET: 0.2}, seed) for seed in (7, 7, 8)]
    first, again, other = ([faults.next("POST", "/x") for _ in range(2000)] for faults in runs)
    assert first == again != other
    counts = Counter(first)
    assert 150 < counts[503] < 250
    assert 330 < counts[RESET] < 470
    assert counts[503] + counts[RESET] + counts[None] == 2000


def test_what_is_planned_comes_before_chance() -> None:
    faults = Faults([429], {503: 1.0})
    assert [faults.next("POST", "/x") for _ in range(2)] == [429, 503]


@pytest.mark.parametrize("shares", [{503: 1.1}, {503: 0.6, 500: 0.6}, {503: -0.1}])
def test_shares_that_are_none(shares: dict[int | float | str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults((), shares)


def test_so_many_in_any_second() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    taken = []
    for moment in (0.0, 0.5, 0.9, 1.0, 1.4, 1.5):
        now[0] = moment
        taken.append(limit.take())
    assert taken == [True, True, False, True, False, True]


def test_no_limit() -> None:
    limit = RateLimit(0, lambda: 0.0)
    assert all(limit.take() for _ in range(1000))
