"""line_rules: the table adds up, and says of each kind which word it is for. (Kept: observe.call_log.)"""

import pytest

from fastbridge.observe.line_rules import DETAIL, DEVELOPMENT, ESSENTIAL, OTHERS, OWN, PRODUCTION, RULES, Rank


@pytest.mark.parametrize("budget", [PRODUCTION, DEVELOPMENT], ids=["production", "development"])
def test_what_every_log_must_have_has_room(budget):
    assert sum(ESSENTIAL.values()) + budget.sums + budget.new < budget.lines


def test_thirty_lines_in_production():
    assert PRODUCTION.lines + 1 == 30, "one is for what a webhook says before there is a call"


@pytest.mark.parametrize("tag", RULES)
def test_each_kind_has_a_rank_and_a_number(tag):
    rule = RULES[tag]
    assert rule.rank in Rank
    assert tag.isupper()


def test_what_has_no_rule_of_its_own_has_one():
    assert [rule.rank for rule in (OTHERS, OWN, DETAIL)] == [Rank.DEED, Rank.OWN, Rank.DETAIL]


def test_the_last_rank_gives_way_first():
    assert min(Rank) is Rank.FIRST
    assert max(Rank) is Rank.DETAIL
