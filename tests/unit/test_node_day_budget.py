"""node.day_budget: who is still let in, and what the records say of others."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from fastbridge.base.spending import DAY_SECONDS, Spending
from fastbridge.node.day_budget import MOST_LOOKS, DayBudget

NOW_S = 20_000 * float(DAY_SECONDS) + 3600
MIDNIGHT = "2024-10-04T00:00:00.000+00:00"


def settings(**given: float) -> Any:
    return SimpleNamespace(**{"business_budget_usd": 0.0, "day_budget_usd": 0.0, **given})


def test_nobody_is_turned_away_without_a_budget() -> None:
    budget = DayBudget(settings(), lambda since: {}, Spending(lambda: NOW_S))
    budget.spending.spend("7", 1e6)
    assert (budget.wanted, budget.is_spent("7"), budget.is_spent("")) == (False, False, False)


def test_a_business_that_has_spent_its_own_is_alone_turned_away() -> None:
    budget = DayBudget(settings(business_budget_usd=1.0), lambda since: {}, Spending(lambda: NOW_S))
    budget.spending.spend("7", 1.0)
    budget.spending.spend("8", 0.99)
    assert [budget.is_spent(business) for business in ("7", "8", "")] == [True, False, False]


def test_a_day_that_is_spent_is_everybodys() -> None:
    budget = DayBudget(settings(day_budget_usd=1.0), lambda since: {}, Spending(lambda: NOW_S))
    budget.spending.spend("7", 0.5)
    assert not budget.is_spent("8")
    budget.spending.spend("", 0.5)
    assert budget.is_spent("8")


def test_what_the_calls_under_way_will_cost_in_any_case_is_spent() -> None:
    budget = DayBudget(settings(business_budget_usd=1.0, day_budget_usd=2.0), lambda since: {}, Spending(lambda: NOW_S))
    budget.spending.spend("7", 0.9)
    budget.spending.set_aside("a call", "7", 0.1)
    assert [budget.is_spent(business) for business in ("7", "8", "")] == [True, False, False]
    budget.spending.set_aside("another", "8", 1.0)
    assert budget.is_spent("")


def test_the_records_of_today_are_asked_for() -> None:
    asked: list[str] = []

    def spent(since: str) -> dict[str, float]:
        asked.append(since)
        return {"7": 2.0}

    budget = DayBudget(settings(business_budget_usd=1.0), spent, Spending(lambda: NOW_S))
    asyncio.run(budget.look())
    assert (asked, budget.is_spent("7")) == ([MIDNIGHT], True)


def test_a_call_that_ends_while_the_records_are_asked_hides_nothing_of_what_others_have_spent() -> None:
    spending = Spending(lambda: NOW_S)
    answers = [{"7": 9.0}, {"7": 14.0}]  # of others, and then with ours

    def spent(since: str) -> dict[str, float]:
        if len(answers) == 2:
            spending.spend("7", 5.0)
            spending.ended("7", 5.0, spending.day)
        return answers.pop(0)

    asyncio.run(DayBudget(settings(business_budget_usd=10.0), spent, spending).look())
    assert (spending.of("7"), answers) == (14.0, [])


def test_however_many_end_it_is_not_asked_for_ever() -> None:
    spending, asked = Spending(lambda: NOW_S), []

    def spent(since: str) -> dict[str, float]:
        asked.append(since)
        spending.ended("7", 0.5, spending.day)
        return {"7": 9.0}

    asyncio.run(DayBudget(settings(business_budget_usd=10.0), spent, spending).look())
    assert (len(asked), spending.of("7")) == (MOST_LOOKS, 9.0 - 0.5 * MOST_LOOKS)


def test_records_that_cannot_be_read_are_told_of_and_leave_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    def spent(since: str) -> dict[str, float]:
        raise OperationalError("x", {}, Exception())

    budget = DayBudget(settings(business_budget_usd=1.0), spent, Spending(lambda: NOW_S))
    budget.spending.spend("7", 1.0)
    asyncio.run(budget.look())
    assert budget.is_spent("7")
    assert "what was spent today cannot be read from the records: OperationalError" in caplog.text


def test_the_watch_looks_for_as_long_as_it_is_wanted() -> None:
    async def watched(budget: DayBudget) -> None:
        async with asyncio.timeout(0.05):
            await budget.watch()

    asyncio.run(watched(DayBudget(settings(), lambda since: {}, Spending(lambda: NOW_S))))
    with pytest.raises(TimeoutError):
        asyncio.run(watched(DayBudget(settings(day_budget_usd=1.0), lambda since: {}, Spending(lambda: NOW_S))))
