"""call.budget with a model that does as it likes, and a service that tells of it as it likes: what a call costs."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from call_rig import Control
from fastbridge.agent import Agent
from fastbridge.call.budget import GOODBYE_SECONDS
from fastbridge.model.instructions import GOODBYE
from fastbridge.model.usage import PRICES
from helpers import LOUD
from live_rig import FRAME_SECONDS, SILENT, LiveRig
from unruly import ASKED, Habits, Unruly

MODEL = "gpt-realtime-2.1"
SHORT, LONG, LECTURE = (3.0,), (12.0,), (120.0,)
TELLS = ["well", "late", "twice", "never", "less and less", "sums alone", "nan", "negative", "huge", "text"]

Hold = Callable[..., tuple[Unruly, dict[str, Any]]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    held: list[Unruly] = []

    def make(habits: Habits, **settings: Any) -> tuple[Unruly, dict[str, Any]]:
        held.append(Unruly(habits, PRICES[MODEL], model=MODEL, **settings))
        record = held[-1].hold()
        assert (record["end_reason"], record["cost"]["capped_by"]) == ("budget", "call")
        return held[-1], record

    yield make
    for each in held:
        each.shut()


class TestRealtime:
    @pytest.mark.parametrize("tells", TELLS)
    @pytest.mark.parametrize("seconds", [SHORT, LECTURE], ids=["short", "lectures"])
    def test_of_dollars_no_more_than_a_cent_is_overspent(
        self, hold: Hold, tells: str, seconds: tuple[float, ...]
    ) -> None:
        """Where the service does not tell, nobody knows what the caller's own words cost, which is not much."""
        rig, record = hold(Habits(seconds=seconds, tells=tells), call_budget_usd=0.04)
        unknown_usd = 0.0 if tells in ("well", "twice", "less and less") else 0.01
        assert 0.02 < rig.usd < 0.04 + 0.01 + unknown_usd
        if not unknown_usd:
            assert record["cost"]["usd"] == pytest.approx(rig.usd, abs=1e-5)

    @pytest.mark.parametrize("tells", TELLS)
    def test_of_tokens_no_more_than_a_goodbye_that_goes_on(self, hold: Hold, tells: str) -> None:
        rig, _ = hold(Habits(seconds=LECTURE, tells=tells), call_budget_tokens=1000)
        assert rig.tokens < 1000 + 100

    @pytest.mark.parametrize(("speed", "tokens"), [(2, 400), (10, 400), (25, 400), (10, 1000), (10, 3000)])
    def test_a_lecture_is_cut_off_however_fast_it_comes(self, hold: Hold, speed: int, tokens: int) -> None:
        """What comes between two glances, what the caller has asked, and the spare second of a goodbye."""
        rig, _ = hold(Habits(seconds=LECTURE, speed=speed), call_budget_tokens=tokens)
        assert rig.tokens < tokens + 3 * speed + 2 * ASKED + 25

    @pytest.mark.parametrize("tokens", [1, 50, 150])
    def test_of_a_budget_for_less_than_a_goodbye_there_is_one_answer_at_most(self, hold: Hold, tokens: int) -> None:
        rig, _ = hold(Habits(seconds=LECTURE), call_budget_tokens=tokens)
        assert (rig.answers <= 1, rig.tokens <= 300) == (True, True)

    def test_a_goodbye_of_five_seconds_is_heard_to_its_end(self, hold: Hold) -> None:
        rig, _ = hold(Habits(seconds=(5.0,)), call_budget_tokens=2000)
        assert [entry["source"] for entry in rig.call.document["barge_ins"]] == []
        assert len(rig.downlink) == rig.answers * 5 * 8000

    def test_whatever_comes_in_whatever_order(self) -> None:
        for seed in range(8):
            chance = random.Random(seed)
            habits = Habits(
                speed=chance.randint(1, 25),
                seconds=tuple(chance.choice((0.5, 2.0, 6.0, 20.0, 60.0)) for _ in range(12)),
                tells=chance.choice(TELLS),
            )
            usd = chance.choice((0.02, 0.05))
            rig = Unruly(habits, PRICES[MODEL], model=MODEL, call_budget_usd=usd)
            rig.hold()
            rig.shut()
            assert rig.usd < usd + 0.02, (seed, habits)


PRICE = 0.05
A_SECOND = PRICE / 60
BUDGET = 30 * A_SECOND


def silent(asked_ms: float | None, now_ms: float) -> bool:
    return False


def lecturing(asked_ms: float | None, now_ms: float) -> bool:
    return True


def obedient(asked_ms: float | None, now_ms: float) -> bool:
    """It answers from time to time; asked for a goodbye it takes 2 s to begin one of 5 s, and then is silent."""
    if asked_ms is None:
        return now_ms % 6000 < 3000
    return 2000 <= now_ms - asked_ms < 7000


def babbling(asked_ms: float | None, now_ms: float) -> bool:
    return now_ms % 1000 < 400


Speaks = Callable[[float | None, float], bool]
Account = Callable[[int], float | None]
ACCOUNTS: dict[str, Account] = {
    "none": lambda second: None,
    "true": lambda second: second,
    "from time to time": lambda second: second if second % 15 == 0 else None,
    "ahead": lambda second: second + 0.9,
    "less and less": lambda second: 20 - second,
    "nan": lambda second: float("nan"),
    "negative": lambda second: -second,
    "huge": lambda second: 1e9,
}


def live(speaks: Speaks, account: Account = ACCOUNTS["none"], usd: float = BUDGET, **given: Any) -> LiveRig:
    """A call, until it is over."""
    prices = json.dumps({"gpt-live-1": {"minute": PRICE}})
    rig = LiveRig(Agent(), silence_seconds=0, prices=prices, call_budget_usd=usd, **given).up()
    began_ms, asked_ms = rig.now_ms, None
    for tick in range(round(90 / FRAME_SECONDS)):
        if asked_ms is None and rig.call.budget.capped_by is not None:
            asked_ms = rig.now_ms - began_ms
        rig.voice = [LOUD if speaks(asked_ms, rig.now_ms - began_ms) else SILENT]
        seconds = account(tick // 50) if tick % 50 == 0 else None
        if seconds is not None:
            rig.model({"type": "session.usage.updated", "usage": {"seconds": seconds}})
        rig.advance(FRAME_SECONDS)
        if tick % 10 == 0:
            rig.echo_marks()
        if not rig.call.live:
            break
    assert rig.call.document["end_reason"] == "budget"
    rig.lasted = (rig.now_ms - began_ms) / 1000
    rig.asked = (asked_ms or 0.0) / 1000
    return rig


class TestLive:
    @pytest.mark.parametrize(
        ("speaks", "account"),
        [
            *((speaks, "true") for speaks in (silent, lecturing, obedient, babbling)),
            *((lecturing, account) for account in ACCOUNTS if account != "true"),
        ],
    )
    def test_a_call_lasts_no_longer_than_what_is_paid_for(self, speaks: Speaks, account: str) -> None:
        rig = live(speaks, ACCOUNTS[account])
        assert 22 < rig.lasted < 30 + 0.1
        assert rig.call.document["cost"]["usd"] <= BUDGET + A_SECOND
        rig.shut()

    def test_a_goodbye_of_five_seconds_is_said_to_its_end(self) -> None:
        rig = live(obedient)
        assert rig.lasted - rig.asked >= 2 + 5 + 0.8
        said = rig.downlink.rstrip(SILENT[:1])
        assert said.endswith(LOUD * 200)
        rig.shut()

    def test_the_carriers_api_is_not_waited_for(self) -> None:
        control = Control()
        control.seconds = 7.0
        rig = live(obedient, control=control)
        assert (rig.lasted < 30 + 0.1, [what for what, *_ in control.done]) == (True, ["hang_up"])
        rig.shut()

    @pytest.mark.parametrize(("speaks", "seconds"), [(silent, 2), (lecturing, 0.5), (lecturing, 6), (obedient, 6)])
    def test_a_budget_for_less_than_a_goodbye_is_for_one_goodbye(self, speaks: Speaks, seconds: float) -> None:
        rig = live(speaks, usd=seconds * A_SECOND)
        assert rig.lasted < 1 + GOODBYE_SECONDS + 0.1
        assert rig.call.document["cost"]["usd"] < seconds * A_SECOND + 0.01
        rig.shut()

    def test_work_that_goes_on_does_not_keep_the_goodbye_from_being_asked_for(self) -> None:
        """He has waited for it, so far in vain."""
        prices = json.dumps({"gpt-live-1": {"minute": PRICE}})
        rig = LiveRig(Agent(), silence_seconds=0, prices=prices, call_budget_usd=BUDGET).up()
        rig.line += [LOUD] * 50
        rig.advance(1.0)
        rig.hears("Where is it?")
        rig.delegates(ends=False)
        while rig.call.budget.capped_by is None:
            rig.works("response.in_progress")
            rig.advance(0.5)
        assert rig.appended("instructions")[-1] == GOODBYE
        rig.says(2.0, "Goodbye!")
        for _ in range(8):
            rig.advance(0.5)
            rig.echo_marks()
        assert rig.call.document["end_reason"] == "budget"
        assert rig.downlink.rstrip(SILENT[:1]).endswith(LOUD * 100)
        rig.shut()

    def test_whatever_it_does_in_whatever_order(self) -> None:
        for seed in range(4):
            chance = random.Random(seed)
            words = [chance.random() < 0.5 for _ in range(200)]
            rig = live(lambda asked, now, words=words: words[int(now // 500)], chance.choice(list(ACCOUNTS.values())))
            assert rig.lasted < 30 + 0.1, seed
            rig.shut()
