"""call.budget: what a call may cost, and what is said and done when that is spent."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.clock import Clock
from fastbridge.base.spending import Spending
from fastbridge.call.budget import GOODBYE_TOKENS, TOKENS_A_FRAME, Budget, State
from fastbridge.call.happenings import CheaperModelWanted, CutShort, LastWord, LeaveAsked
from fastbridge.model.usage import Usage, cost_usd
from fastbridge.observe.call_log import CallLog
from virtual import call_context

PRICE = {"text_in": 0.0, "text_cached": 0.0, "text_out": 0.0, "audio_in": 10.0, "audio_cached": 1.0, "audio_out": 100.0}
DOLLAR_OUT = 10_000
"""Tokens of the assistant's audio that cost a dollar."""


class Responses:
    def __init__(self) -> None:
        self.generating = False
        self.created: list[tuple[str, bool]] = []
        self.cancelled = 0

    def create(self, purpose: str, wish: Any, *, firm: bool = False) -> None:
        self.created.append((purpose, firm))

    def cancel(self) -> bool:
        self.cancelled += 1
        return True


class Scene:
    """A call with a budget. The model's responses cost as `answers` says."""

    def __init__(
        self,
        *,
        spending: Spending | None = None,
        business: str = "",
        price: Any = PRICE,
        budget_model: str = "",
        **settings: Any,
    ) -> None:
        self.told: list[Any] = []
        self.seconds = 0.0
        self.notes: list[str] = []
        self.responses = Responses()
        self.session = SimpleNamespace(
            usage=Usage(),
            responses=self.responses,
            ready=True,
            note=lambda role, text: self.notes.append(text),
        )
        self.assistant = SimpleNamespace(frames_enqueued=0)
        self.facts = SimpleNamespace(attentive=True)
        caps = dict.fromkeys(("call_budget_usd", "call_budget_tokens", "business_budget_usd", "day_budget_usd"), 0)
        prices = json.dumps({"m": price, "cheap": {kind: usd / 10 for kind, usd in price.items()}})
        self.budget = Budget(
            Agent(),
            call_context(parameters={"business_id": business} if business else {}),
            clock=Clock(),
            facts=self.facts,
            settings=SimpleNamespace(model="m", prices=prices, budget_model=budget_model, **(caps | settings)),
            session=self.session,
            assistant=self.assistant,
            seconds=lambda: self.seconds,
            spending=spending,
            log=CallLog("CA1"),
            tell=self.told.append,
        )

    def begins(self) -> None:
        self.responses.generating = True

    def hears(self, frames: int) -> None:
        self.assistant.frames_enqueued += frames

    def answers(self, *, audio_in: int = 0, audio_out: int) -> None:
        """One response, from its beginning to its end."""
        usage = self.session.usage
        usage.audio_in += audio_in
        usage.audio_out += audio_out
        usage.input_tokens += audio_in
        usage.output_tokens += audio_out
        usage.total_tokens += audio_in + audio_out
        self.hears(round(audio_out / TOKENS_A_FRAME))
        self.responses.generating = False
        self.budget.response_done("resp_1", "completed", None)

    @property
    def over(self) -> bool:
        return LeaveAsked("budget", True) in self.told


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level("INFO", "fastbridge.events")
    return lambda: [record.getMessage() for record in caplog.records if "[BUDGET]" in record.getMessage()]


def test_without_a_budget_nothing_is_counted_against_one() -> None:
    scene = Scene()
    scene.answers(audio_out=10**9)
    scene.budget.look()
    assert (scene.told, scene.notes, scene.budget.state) == ([], [], State.WITHIN)


def test_the_model_is_told_once_and_then_the_call_ends_once(lines: Any) -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=round(0.75 * DOLLAR_OUT))
    assert (scene.notes, scene.told) == ([], [])
    scene.answers(audio_out=round(0.06 * DOLLAR_OUT))
    assert len(scene.notes) == 1
    scene.budget.look()
    assert (len(scene.notes), scene.told) == (1, [])
    scene.answers(audio_out=round(0.20 * DOLLAR_OUT))
    assert scene.told == [CutShort("budget"), LastWord(), LeaveAsked("budget", True)]
    assert scene.responses.created == [("goodbye", True)]
    scene.answers(audio_out=DOLLAR_OUT)
    assert len(scene.told) == 3
    assert scene.budget.capped_by == "call"
    assert lines() == [
        "[BUDGET] nearly spent, whose=call, spent=0.81, most=1.00, unit=usd, call_sid=CA1",
        "[BUDGET] spent, whose=call, spent=1.01, most=1.00, unit=usd, call_sid=CA1",
    ]


def test_the_goodbye_is_paid_for_in_advance() -> None:
    goodbye_usd = GOODBYE_TOKENS / DOLLAR_OUT
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=round((1.0 - goodbye_usd) * DOLLAR_OUT) - 1)
    assert not scene.over
    scene.answers(audio_out=1)
    assert scene.over


def test_what_it_costs_to_ask_again_is_paid_for_too() -> None:
    asked = 50_000  # of the caller's audio: half a dollar
    scene = Scene(call_budget_usd=1.2)
    scene.answers(audio_in=asked, audio_out=100)
    assert not scene.over
    assert cost_usd(scene.session.usage, PRICE) == pytest.approx(0.51)
    scene.begins()  # asks again: 1.01, and one goodbye more would be 1.52
    scene.budget.look()
    assert scene.over


def test_one_that_goes_on_and_on_is_cut_short_when_a_second_shows_it() -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
    scene.begins()
    scene.hears(round(0.4 * DOLLAR_OUT / TOKENS_A_FRAME))
    scene.budget.look()
    assert (scene.over, scene.responses.cancelled) == (False, 0)
    scene.hears(round(0.1 * DOLLAR_OUT / TOKENS_A_FRAME))
    scene.budget.look()
    assert (scene.over, scene.responses.cancelled) == (True, 1)


def test_recordings_of_ours_between_two_responses_cost_nothing() -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=100)
    scene.hears(10**6)
    scene.budget.look()
    assert not scene.over


def test_a_goodbye_that_is_none_is_not_paid_for() -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=DOLLAR_OUT)
    scene.begins()
    scene.hears(round(2 * GOODBYE_TOKENS / TOKENS_A_FRAME))
    scene.budget.look()
    assert scene.responses.cancelled == 1
    scene.hears(5)
    scene.budget.look()
    assert scene.responses.cancelled == 2


def test_without_a_session_nobody_says_goodbye_and_the_call_ends_all_the_same() -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.session.ready = scene.facts.attentive = False
    scene.answers(audio_out=DOLLAR_OUT)
    assert (scene.over, scene.responses.created) == (True, [])


def test_tokens_of_a_call() -> None:
    scene = Scene(call_budget_tokens=1400)
    scene.answers(audio_in=300, audio_out=200)  # and 625 for a goodbye, which reads both
    assert scene.budget.state is State.NEAR
    scene.begins()
    scene.budget.look()  # reads 500, too
    assert scene.over


@pytest.mark.parametrize(("most", "over"), [(830, False), (825, True)])
def test_the_goodbye_reads_what_the_caller_adds_too(most: int, over: bool) -> None:
    """By as much as from one answer to the last."""
    scene = Scene(call_budget_tokens=most)
    scene.answers(audio_in=100, audio_out=50)
    scene.answers(audio_in=200, audio_out=50)  # of which 50 are the caller's; 425 for a goodbye that reads 300
    assert scene.over is over


class TestACheaperModel:
    def test_is_asked_for_once_when_most_is_spent(self) -> None:
        scene = Scene(call_budget_usd=1.0, budget_model="cheap")
        scene.answers(audio_out=round(0.75 * DOLLAR_OUT))
        assert scene.told == []
        scene.answers(audio_out=round(0.10 * DOLLAR_OUT))
        scene.budget.look()
        assert scene.told == [CheaperModelWanted("cheap")]

    def test_what_is_left_lasts_longer_with_it(self, lines: Any) -> None:
        scene = Scene(call_budget_usd=1.0, budget_model="cheap")
        scene.answers(audio_out=round(0.85 * DOLLAR_OUT))
        scene.budget.model_changed("cheap")
        scene.answers(audio_out=round(1.0 * DOLLAR_OUT))
        assert not scene.over
        assert scene.budget.ledger.usd(scene.session.usage, 0.0) == pytest.approx(0.95)
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        assert scene.over
        assert "[BUDGET] cheaper model, model=cheap, call_sid=CA1" in lines()

    def test_is_told_what_the_first_was_told(self) -> None:
        scene = Scene(call_budget_usd=1.0, budget_model="cheap")
        scene.budget.line_up()
        assert scene.notes == []
        scene.answers(audio_out=round(0.85 * DOLLAR_OUT))
        scene.budget.line_up()
        assert len(scene.notes) == 2
        scene.answers(audio_out=round(0.2 * DOLLAR_OUT))
        scene.budget.line_up()
        assert len(scene.notes) == 2, "only a goodbye is left to say"

    def test_a_day_is_booked_at_the_price_of_each(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(spending=spending, business="7", budget_model="cheap")
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        scene.budget.model_changed("cheap")
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        scene.budget.close()
        assert spending.of("7") == pytest.approx(0.55)


@pytest.mark.parametrize(
    ("most", "line"),
    [
        (12.0, "spent=12.01, most=12.00"),
        (0.5, "spent=0.510, most=0.500"),
        (0.02, "spent=0.0300, most=0.0200"),
        (0.002, "spent=0.01200, most=0.00200"),
    ],
)
def test_a_small_budget_is_told_in_small_coin(lines: Any, most: float, line: str) -> None:
    scene = Scene(call_budget_usd=most)
    scene.answers(audio_out=round((most + 0.01) * DOLLAR_OUT))
    assert line in lines()[-1]


def test_a_session_that_is_billed_by_the_minute() -> None:
    """Its goodbye is five seconds more; its tokens cost nothing."""
    scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
    scene.answers(audio_out=10**9)
    scene.seconds = 114.9
    scene.budget.look()
    assert (scene.over, scene.budget.state) == (False, State.NEAR)
    scene.seconds = 115.0
    scene.budget.look()
    assert scene.over


def test_the_minutes_of_a_call_are_booked_as_they_pass() -> None:
    spending = Spending(lambda: 1e9)
    scene = Scene(price={"minute": 0.6}, business="7", spending=spending)
    for scene.seconds in (10.0, 20.0, 30.0):
        scene.budget.look()
    scene.budget.close()
    assert spending.of("7") == pytest.approx(0.3)


class TestDays:
    """What all calls of a day may cost, and those of one business."""

    def test_calls_beside_each_other_share_one_purse(self) -> None:
        spending = Spending(lambda: 1e9)
        first, second = (Scene(spending=spending, day_budget_usd=1.0) for _ in range(2))
        first.answers(audio_out=round(0.6 * DOLLAR_OUT))
        second.answers(audio_out=round(0.3 * DOLLAR_OUT))
        assert (first.over, second.over, second.budget.state) == (False, False, State.NEAR)
        second.answers(audio_out=round(0.1 * DOLLAR_OUT))
        first.budget.look()
        assert (first.over, second.over, first.budget.capped_by) == (True, True, "day")

    def test_each_business_has_its_own(self) -> None:
        spending = Spending(lambda: 1e9)
        scenes = [Scene(spending=spending, business=name, business_budget_usd=1.0) for name in ("7", "7", "8", "")]
        for scene in scenes:
            scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        for scene in scenes:
            scene.budget.look()
        assert [scene.over for scene in scenes] == [True, True, False, False]

    def test_what_a_call_has_cost_is_booked_once(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(spending=spending, business="7")
        for _ in range(3):
            scene.answers(audio_out=1000)
            scene.budget.look()
        scene.budget.close()
        assert spending.of("7") == pytest.approx(0.3)
        spending.recorded(spending.day, {"7": 0.3})
        assert spending.of("7") == pytest.approx(0.3)
