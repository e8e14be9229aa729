"""outbound.campaign: everybody is called, in their hours, as fast as is allowed, and nobody twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge.errors import ConfigError
from fastbridge.outbound.campaign import Callee, Campaign, Hours, Retry
from fastbridge.outbound.client import Asked

RETRIES = {"busy": Retry(2, 300.0), "no-answer": Retry(1, 3600.0)}


class Node:
    """A node's API: a call for a key, which ends as it is told some seconds later. Time is its own."""

    def __init__(self, outcomes: dict[str, Sequence[str]] | None = None, *, call_seconds: float = 10.0) -> None:
        self.now_s = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
        self.calls: dict[str, dict[str, Any]] = {}  # by key
        self.placed: list[tuple[float, str]] = []
        self.most_at_once = 0
        self.answers: list[Asked] = []
        self.away_until_s = 0.0
        self.when_placed: tuple[int, Callable[[], object]] = (0, bool)
        """So many calls, and what is done then."""
        self._outcomes = outcomes or {}
        self._seconds = call_seconds

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)

    async def place(self, request: dict[str, Any]) -> Asked:
        if self.answers:
            return self.answers.pop(0)
        key, to = request["idempotency_key"], request["to"]
        if key not in self.calls:
            tries = sum(call["to"] == to for call in self.calls.values())
            ends = (self._outcomes.get(to) or ["completed"])[tries : tries + 1] or ["completed"]
            self.placed.append((self.now_s, to))
            if len(self.placed) == self.when_placed[0]:
                self.when_placed[1]()
            self.calls[key] = {"id": f"OB{len(self.calls)}", "to": to, "ends": ends[0], "at_s": self.now_s}
            self.most_at_once = max(self.most_at_once, sum(not self._over(each) for each in self.calls.values()))
        return Asked(self._shown(self.calls[key]))

    async def states(self, ids: Collection[str]) -> list[dict[str, Any]] | None:
        if self.now_s < self.away_until_s:
            return None
        return [self._shown(call) for call in self.calls.values() if call["id"] in ids]

    def _over(self, call: dict[str, Any]) -> bool:
        return bool(self.now_s - call["at_s"] >= self._seconds)

    def _shown(self, call: dict[str, Any]) -> dict[str, Any]:
        if not self._over(call):
            return {"id": call["id"], "state": "ringing"}
        ended = datetime.fromtimestamp(call["at_s"] + self._seconds, UTC).isoformat()
        return {"id": call["id"], "state": call["ends"], "ended_at": ended}

    def campaign(self, callees: Sequence[Callee], **given: Any) -> Campaign:
        options: dict[str, Any] = {"per_second": 10.0, "at_once": 5, "retries": RETRIES, **given}
        return Campaign("list.csv", callees, self, now_s=lambda: self.now_s, sleep=self.sleep, **options)

    def run(self, callees: Sequence[Callee], **given: Any) -> Campaign:
        campaign = self.campaign(callees, **given)
        asyncio.run(campaign.run())
        return campaign


def people(count: int) -> list[Callee]:
    return [Callee(f"+1415555{number:04d}") for number in range(count)]


def test_everybody_is_called_once_and_no_faster_than_is_allowed() -> None:
    node = Node()
    campaign = node.run(people(40))
    assert campaign.outcomes == Counter(completed=40)
    assert Counter(to for _, to in node.placed).most_common(1)[0][1] == 1
    assert node.most_at_once == 5
    times = [at_s for at_s, _ in node.placed]
    for first, second in zip(times, times[11:], strict=False):
        assert second - first >= 1.0 - 0.06, "ten a second"


def test_the_rate_is_reached_where_there_is_room() -> None:
    node = Node(call_seconds=1.0)
    began_s = node.now_s
    node.run(people(200), per_second=20.0, at_once=100)
    assert node.placed[-1][0] - began_s == pytest.approx(10.0, abs=0.5)


def test_what_is_busy_is_tried_again_by_rule() -> None:
    to = "+14155550000"
    node = Node({to: ["busy", "busy", "busy", "completed"]})
    campaign = node.run(people(1))
    assert campaign.outcomes == Counter(busy=1)
    assert campaign.callees[0].tries == 3
    gaps = [second[0] - first[0] for first, second in zip(node.placed, node.placed[1:], strict=False)]
    assert gaps == [pytest.approx(310, abs=1.5)] * 2


def test_what_came_of_an_answered_call_is_waited_for_and_holds_nobody_up() -> None:
    node, shown = Node(call_seconds=1.0), Node._shown

    def late(call: dict[str, Any]) -> dict[str, Any]:
        told = shown(node, call)
        known = node.now_s - call["at_s"] >= 60.0
        return {**told, "outcome": "node_lost" if known else None}

    node._shown = late  # type: ignore[method-assign]
    began_s = node.now_s
    campaign = node.run(people(20), at_once=1)
    assert campaign.outcomes == Counter(node_lost=20)
    assert node.placed[-1][0] - began_s < 60.0, "an ended call takes nobody's place"
    assert len(node.placed) == 20


def test_each_outcome_has_a_rule_of_its_own() -> None:
    to = "+14155550000"
    node = Node({to: ["no-answer", "busy", "completed"]})
    assert node.run(people(1)).outcomes == Counter(completed=1)
    node = Node({to: ["no-answer", "no-answer", "completed"]})
    assert node.run(people(1)).outcomes == {"no-answer": 1}
    node = Node({to: ["failed"]})
    assert node.run(people(1)).outcomes == Counter(failed=1)


def test_run_again_it_goes_on_where_it_was_and_calls_nobody_twice() -> None:
    node = Node({"+14155550003": ["busy", "completed"]})

    async def broken_off() -> None:
        running = asyncio.create_task(node.campaign(people(30)).run())
        node.when_placed = (12, running.cancel)
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(broken_off())
    campaign = node.run(people(30))
    assert campaign.outcomes == Counter(completed=30)
    called = Counter(to for _, to in node.placed)
    assert called.pop("+14155550003") == 2
    assert set(called.values()) == {1}


def test_a_node_that_has_no_time_is_left_alone_for_as_long_as_it_asks() -> None:
    node = Node()
    node.answers = [Asked(problem="not now", after_seconds=30.0)] * 3
    began_s = node.now_s
    assert node.run(people(9)).outcomes == Counter(completed=9)
    assert node.placed[0][0] - began_s == pytest.approx(30.2, abs=0.3)


def test_one_call_that_is_refused_keeps_the_others_from_nothing() -> None:
    node = Node()
    node.answers = [Asked(problem="not now", after_seconds=30.0)]
    began_s = node.now_s
    assert node.run(people(9)).outcomes == Counter(completed=9)
    assert node.placed[0][0] - began_s < 1.0
    assert node.placed[-1][1] == "+14155550000"


def test_a_node_that_is_away_for_a_while_loses_nothing() -> None:
    node = Node()
    node.away_until_s = node.now_s + 60
    assert node.run(people(3)).outcomes == Counter(completed=3)
    assert node.now_s > node.away_until_s


class TestUnknown:
    """The node knows of no call that it has told of."""

    class Forgetful(Node):
        polls = 0

        async def states(self, ids: Collection[str]) -> list[dict[str, Any]] | None:
            self.polls += 1
            if self.polls > 20:
                raise TimeoutError("for ever")
            return await super().states(ids)

    def test_one_that_another_asker_was_placing_and_found_no_place_for_is_asked_for_again(self) -> None:
        node = self.Forgetful()
        node.answers = [Asked({"id": "OBx", "state": "placing"})]
        (callee,) = node.run(people(1)).callees
        assert (callee.outcome, callee.tries, len(node.placed)) == ("completed", 1, 1)
        assert next(iter(node.calls)).endswith("-1"), "it is the same call"

    def test_whoever_may_have_heard_it_is_not_called_again(self) -> None:
        node = self.Forgetful()
        node.answers = [Asked({"id": "OBx", "state": "ringing"})]
        with pytest.raises(ExceptionGroup):
            node.run(people(1))
        assert node.placed == []


def test_what_cannot_be_placed_is_told_why() -> None:
    node = Node()
    node.answers = [Asked(problem="to must be a number")]
    (callee,) = node.run(people(1)).callees
    assert (callee.outcome, callee.reason, callee.tries) == ("failed", "to must be a number", 1)


def test_a_refusal_of_our_key_ends_it() -> None:
    class Refusing(Node):
        async def place(self, request: dict[str, Any]) -> Asked:
            raise ConfigError("no key")

    with pytest.raises(ExceptionGroup) as error:
        Refusing().run(people(3))
    assert isinstance(error.value.exceptions[0], ConfigError)


def test_stopped_it_begins_no_more_and_waits_for_those_under_way() -> None:
    node = Node()
    campaign = node.campaign(people(30))
    node.when_placed = (8, campaign.stop)
    asyncio.run(campaign.run())
    outcomes = campaign.outcomes
    assert outcomes["under way"] == 0
    assert outcomes["completed"] == len(node.placed) < 30


class TestHours:
    DAY = Hours(time(8), time(21))

    @pytest.mark.parametrize(
        ("zone", "hour_utc", "held"),
        [
            ("UTC", 8, True),
            ("UTC", 7, False),
            ("UTC", 20, True),
            ("UTC", 21, False),
            ("Asia/Jerusalem", 6, True),
            ("Asia/Jerusalem", 5, False),
            ("America/Los_Angeles", 12, False),
            ("America/Los_Angeles", 17, True),
        ],
    )
    def test_are_those_of_who_is_called(self, zone: str, hour_utc: int, held: bool) -> None:
        now_s = datetime(2026, 11, 28, hour_utc, tzinfo=UTC).timestamp()
        assert self.DAY.hold([ZoneInfo(zone)], now_s) is held

    def test_of_all_places_where_he_may_be(self) -> None:
        now_s = datetime(2026, 11, 28, 14, tzinfo=UTC).timestamp()
        assert self.DAY.hold([ZoneInfo("America/New_York")], now_s)
        assert not self.DAY.hold([ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")], now_s)

    def test_may_go_past_midnight(self) -> None:
        night = Hours(time(22), time(6))
        for hour, held in ((21, False), (22, True), (23, True), (5, True), (6, False)):
            assert night.hold([ZoneInfo("UTC")], datetime(2026, 11, 28, hour, tzinfo=UTC).timestamp()) is held

    def test_are_waited_for(self) -> None:
        node = Node()
        callee = Callee("+14155550000", zones=[ZoneInfo("America/Los_Angeles")])  # 4 in the morning
        node.run([callee, Callee("+97225550000", zones=[ZoneInfo("Asia/Jerusalem")])], hours=self.DAY)
        (first, second) = node.placed
        assert (first[1], second[1]) == ("+97225550000", "+14155550000")
        assert datetime.fromtimestamp(second[0], UTC).hour == 16


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_whatever_comes_of_them_everybody_has_one_outcome(seed: int) -> None:
    dice = random.Random(seed)
    ends = ["completed", "busy", "no-answer", "failed", "canceled"]
    callees = people(dice.randint(1, 30))
    node = Node({callee.to: dice.choices(ends, k=5) for callee in callees}, call_seconds=dice.random() * 20)
    trouble = [Asked(problem="x", after_seconds=dice.random() * 5), Asked(problem="y", after_seconds=0.0)]
    node.answers = [dice.choice(trouble) for _ in range(dice.randint(0, 10))]
    campaign = node.run(callees, at_once=dice.randint(1, 10), per_second=dice.choice([0.5, 2.0, 50.0]))
    assert campaign.outcomes.total() == len(callees)
    assert set(campaign.outcomes) <= set(ends)
    for callee in callees:
        tries = [call["ends"] for call in node.calls.values() if call["to"] == callee.to]
        assert (tries[-1], len(tries)) == (callee.outcome, callee.tries)
        assert len(tries) <= 1 + max(RETRIES[end].times if end in RETRIES else 0 for end in tries)
