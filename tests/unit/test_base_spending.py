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
    ledger.ended("7", 0.5)
    ledger.spend("7", 0.1)  # of a call that goes on
    ledger.recorded(ledger.day, {"7": 0.75, "8": 2.0})
    assert ledger.of("7") == pytest.approx(0.85)
    assert ledger.total() == pytest.approx(2.85)
    ledger.recorded(ledger.day, {"7": 0.75, "8": 2.0})
    assert ledger.total() == pytest.approx(2.85)


def test_a_call_that_ended_and_is_not_in_the_records_yet_costs_nothing_less(days: Days) -> None:
    days.spending.spend("7", 0.5)
    days.spending.ended("7", 0.5)
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
    ledger.ended("7", 0.5)
    ledger.recorded(ledger.day, {"7": 0.5})
    assert ledger.total() == 0.0


def test_more_businesses_than_are_told_apart_count_for_the_node(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "MAX_BUSINESSES", 2)
    for business in ("a", "b", "c", "a"):
        days.spending.spend(business, 1.0)
    assert (days.spending.of("a"), days.spending.of("c"), days.spending.total()) == (2.0, 0.0, 4.0)
