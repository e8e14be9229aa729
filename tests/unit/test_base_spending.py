"""base.spending: own calls, those of others, and midnight."""

import pytest

from fastbridge.base import spending
from fastbridge.base.spending import DAY_SECONDS, Spending


class Days:
    def __init__(self) -> None:
        self.now_s = 20_000 * float(DAY_SECONDS) + 100
        self.spending = Spending(lambda: self.now_s)


@pytest.fixture
def days() -> Days:
    return Days()


def test_what_is_spent_is_known_by_business_and_in_all(days: Days) -> None:
    days.spending.spend("7", 0.25)
    days.spending.spend("7", 0.25)
    days.spending.spend("", 1.0)
    assert (days.spending.of("7"), days.spending.of("8"), days.spending.total()) == (0.5, 0.0, 1.5)


def test_the_records_add_what_others_have_spent_and_nothing_twice(days: Days) -> None:
    ledger = days.spending
    ledger.spend("7", 0.5)
    ledger.ended("7", 0.5, ledger.day)
    ledger.spend("7", 0.1)  # of a call that goes on
    ledger.recorded(ledger.day, {"7": 0.75, "8": 2.0})
    assert ledger.of("7") == pytest.approx(0.85)
    assert ledger.total() == pytest.approx(2.85)
    ledger.recorded(ledger.day, {"7": 0.75, "8": 2.0})
    assert ledger.total() == pytest.approx(2.85)


def test_a_call_that_ended_and_is_not_in_the_records_yet_costs_nothing_less(days: Days) -> None:
    days.spending.spend("7", 0.5)
    days.spending.ended("7", 0.5, days.spending.day)
    days.spending.recorded(days.spending.day, {})
    assert days.spending.of("7") == 0.5


def test_a_new_day_begins_with_nothing_spent(days: Days) -> None:
    ledger, yesterday = days.spending, days.spending.day
    ledger.spend("7", 0.5)
    ledger.recorded(yesterday, {"8": 1.0})
    days.now_s += DAY_SECONDS
    assert (ledger.of("7"), ledger.of("8"), ledger.total()) == (0.0, 0.0, 0.0)
    ledger.recorded(yesterday, {"8": 1.0})  # an answer that came too late
    assert ledger.total() == 0.0
    ledger.ended("7", 0.5, ledger.day)
    ledger.recorded(ledger.day, {"7": 0.5})
    assert ledger.total() == 0.0


def test_a_call_of_yesterdays_takes_nothing_from_what_others_have_spent_today(days: Days) -> None:
    """The records of today do not have it."""
    ledger, yesterday = days.spending, days.spending.day
    days.now_s += DAY_SECONDS
    ledger.ended("7", 5.0, yesterday)
    ledger.recorded(ledger.day, {"7": 9.0})
    assert ledger.of("7") == 9.0


def test_more_businesses_than_are_told_apart_count_for_the_node(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "MAX_BUSINESSES", 2)
    for business in ("a", "b", "c", "a"):
        days.spending.spend(business, 1.0)
    assert (days.spending.of("a"), days.spending.of("c"), days.spending.total()) == (2.0, 0.0, 4.0)


class TestAside:
    """What calls under way will cost in any case."""

    def test_is_known_by_business_in_all_and_without_ones_own(self, days: Days) -> None:
        first, second, third = object(), object(), object()
        ledger = days.spending
        ledger.set_aside(first, "7", 0.5)
        ledger.set_aside(second, "7", 0.25)
        ledger.set_aside(third, "", 1.0)
        assert (ledger.aside(), ledger.aside("7"), ledger.aside("8")) == (1.75, 0.75, 0.0)
        assert (ledger.aside(but=first), ledger.aside("7", but=first), ledger.aside("7", but=third)) == (
            1.25,
            0.25,
            0.75,
        )

    def test_takes_the_place_of_what_was_said_before(self, days: Days) -> None:
        call = object()
        for usd in (0.1, 0.3, 0.2):
            days.spending.set_aside(call, "7", usd)
        assert (days.spending.aside(), days.spending.aside("7")) == (pytest.approx(0.2), pytest.approx(0.2))

    def test_of_calls_that_are_over_is_nothing_exactly(self, days: Days) -> None:
        calls = [object() for _ in range(20)]
        for index, call in enumerate(calls * 3):
            days.spending.set_aside(call, str(index % 3), 0.1 * (index % 7 + 1))
        for call in calls:
            days.spending.set_aside(call, "", 0.0)
            days.spending.set_aside(call, "", 0.0)
        assert (days.spending.aside(), days.spending.aside("1"), days.spending._aside_of) == (0.0, 0.0, {})
