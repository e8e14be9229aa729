"""call.budget in whole conversations with the simulated model: how near to what it may cost a call ends."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conversation import Conversation
from fastbridge import Agent
from fastbridge.sim.scenario import Say, Scenario, babble

ANSWER = Say("We are open from nine to five, every day but Sunday.")
LECTURE = Say("Let me tell you all about it. " * 60)
QUESTION = babble("When are you open?")

Begin = Callable[..., Conversation]


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[Conversation] = []

    def make(*turns: Say, **settings: Any) -> Conversation:
        scenario = Scenario(greeting=Say("Hello!"), turns=turns)
        begun.append(Conversation(scenario, Agent(greeting="Hello!"), silence_seconds=0, **settings))
        return begun[-1].begin_call()

    yield make
    for each in begun:
        each.shut()


def ends(talk: Conversation, limit_seconds: float = 900) -> dict[str, Any]:
    """The caller asks whenever there is quiet, until the call is over: its record."""

    def asked() -> bool:
        if not talk.call.live:
            return True
        if talk.call.facts.speechless and not talk.call.facts.leaving and not talk._speech:
            talk.says(QUESTION)
        return False

    talk.run_until(asked, limit_seconds)
    document = talk.call.document
    assert document is not None
    return document


@pytest.mark.parametrize("turn", [ANSWER, LECTURE], ids=["short answers", "lectures"])
def test_a_call_costs_what_it_may_and_not_a_cent_more(begin: Begin, turn: Say) -> None:
    record = ends(begin(*[turn] * 200, call_budget_usd=0.10))
    assert record["end_reason"] == "budget"
    assert record["cost"]["capped_by"] == "call"
    assert 0.07 < record["cost"]["usd"] < 0.11
    assert record["errors"] == []


def test_its_last_words_are_a_goodbye_and_nobody_waits_for_the_end_of_a_lecture(begin: Begin) -> None:
    talk = begin(LECTURE, Say("Thank you, goodbye!"), call_budget_usd=0.10)
    talk.run(2)
    talk.says(QUESTION)
    talk.run_until(lambda: talk.call.budget.capped_by is not None)
    spent_s = talk.loop.time()
    record = ends(talk)
    assert [turn["text"] for turn in record["turns"] if turn["role"] == "assistant"][-1] == "Thank you, goodbye!"
    assert [entry["source"] for entry in record["barge_ins"]] == ["budget"]
    assert talk.loop.time() - spent_s < 5


def test_a_budget_of_tokens(begin: Begin) -> None:
    record = ends(begin(*[ANSWER] * 200, call_budget_tokens=1500))
    assert (record["end_reason"], record["cost"]["capped_by"]) == ("budget", "call")
    assert 1100 < record["tokens"]["total_tokens"] < 1500
