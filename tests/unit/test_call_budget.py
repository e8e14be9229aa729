"""call.budget: what a call may cost, and what is said and done when that is spent."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.clock import Clock
from fastbridge.base.spending import DAY_SECONDS, Spending
from fastbridge.call.budget import (
    GLANCE_SECONDS,
    GOODBYE_SECONDS,
    PATIENCE_MS,
    SPARE_TOKENS,
    Budget,
    State,
)
from fastbridge.call.caps import GOODBYE_TOKENS
from fastbridge.call.happenings import CheaperModelNow, CheaperModelWanted, CutShort, LastWord, LeaveAsked, LeaveNow
from fastbridge.call.reckoning import TOKENS_A_FRAME
from fastbridge.model.usage import Usage, cost_usd
from fastbridge.observe.call_log import CallLog
from virtual import call_context

PRICE = {"text_in": 0.0, "text_cached": 0.0, "text_out": 0.0, "audio_in": 10.0, "audio_cached": 1.0, "audio_out": 100.0}
DOLLAR_OUT = 10_000
"""Tokens of the assistant's audio that cost a dollar."""


class Timers(Clock):
    """A clock that stands still: its timers run when they are told to."""

    def __init__(self) -> None:
        super().__init__(lambda: 0)
        self.set: list[tuple[float, Any]] = []

    def call_later(self, seconds: float, callback: Any) -> Any:
        timer = (seconds, callback)
        self.set.append(timer)
        return SimpleNamespace(cancel=lambda: self.set.remove(timer))

    def strike(self) -> float:
        """The one timer that is set: after how many seconds."""
        ((seconds, callback),) = self.set
        self.set.clear()
        callback()
        return seconds


class Responses:
    def __init__(self) -> None:
        self.generating = self.running = False
        self.created: list[tuple[str, bool]] = []
        self.cancelled = 0

    def create(self, purpose: str, wish: Any, *, firm: bool = False) -> None:
        self.created.append((purpose, firm))

    def cancel(self) -> bool:
        cancels, self.running = self.running, False
        self.cancelled += cancels
        return cancels


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
        self.stands_ready = False
        """A session of the cheaper model."""
        self.timers = Timers()
        self.seconds = 0.0
        self.notes: list[str] = []
        self.responses = Responses()
        self.session = SimpleNamespace(
            usage=Usage(),
            responses=self.responses,
            ready=True,
            note=lambda role, text: self.notes.append(text),
        )
        self.assistant = SimpleNamespace(frames_enqueued=0, unheard_ms=0)
        self.facts = SimpleNamespace(attentive=True, leaving=False, leave_asked=False)
        caps = dict.fromkeys(("call_budget_usd", "call_budget_tokens", "business_budget_usd", "day_budget_usd"), 0)
        prices = json.dumps({"m": price, "cheap": {kind: usd / 10 for kind, usd in price.items()}})
        self.budget = Budget(
            Agent(),
            call_context(parameters={"business_id": business} if business else {}),
            clock=self.timers,
            facts=self.facts,
            settings=SimpleNamespace(model="m", prices=prices, budget_model=budget_model, **(caps | settings)),
            session=self.session,
            assistant=self.assistant,
            seconds=lambda: self.seconds,
            spending=spending,
            log=CallLog("CA1"),
            tell=self._tell,
        )

    def _tell(self, event: Any) -> None:
        self.told.append(event)
        if isinstance(event, CheaperModelNow) and self.stands_ready:
            self.stands_ready = False
            self.ends()  # what was under way is settled
            self.budget.model_changed("cheap")
            self.budget.line_up()
        self.facts.leaving = self.facts.leaving or isinstance(event, LeaveAsked)

    def begins(self) -> None:
        """A response, which reads all that was said."""
        self.responses.generating = self.responses.running = True
        self.budget.response_created("resp_1", "turn")

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
        self.ends()

    def ends(self) -> None:
        """As it is, with nothing told."""
        self.responses.generating = self.responses.running = False
        self.budget.response_done("resp_1", "completed", None)

    @property
    def kinds(self) -> list[type]:
        return [type(event) for event in self.told]

    @property
    def over(self) -> bool:
        return LeaveAsked("budget", True) in self.told

    @property
    def out_of_time(self) -> bool:
        return any(isinstance(each, LeaveNow) for each in self.told)

    @property
    def cut_short(self) -> bool:
        return any(isinstance(each, CutShort) for each in self.told)


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
    scene.answers(audio_out=round(0.19 * DOLLAR_OUT))
    assert scene.told == [LastWord(), LeaveAsked("budget", True)]
    assert scene.responses.created == [("goodbye", True)]
    scene.answers(audio_out=DOLLAR_OUT)
    assert len(scene.told) == 2
    assert scene.budget.capped_by == "call"
    assert lines() == [
        "[BUDGET] nearly spent, whose=call, spent=0.81, answer=0.00, goodbye=0.01, most=1.00, unit=usd, call_sid=CA1",
        "[BUDGET] spent, whose=call, spent=1.00, answer=0.00, goodbye=0.01, most=1.00, unit=usd, call_sid=CA1",
    ]


def test_the_goodbye_is_paid_for_in_advance() -> None:
    goodbye_usd = GOODBYE_TOKENS / DOLLAR_OUT
    scene = Scene(call_budget_usd=1.0)
    scene.answers(audio_out=round((1.0 - goodbye_usd) * DOLLAR_OUT) - 1)
    assert not scene.over
    scene.answers(audio_out=1)
    assert scene.over


@pytest.mark.parametrize(("most", "over"), [(1.53, False), (1.51, True)])
def test_what_it_costs_to_ask_again_is_paid_for_too(most: float, over: bool) -> None:
    """Once for the next answer, which nobody can keep the model from, and once for the goodbye."""
    asked = 50_000  # of the caller's audio: half a dollar
    scene = Scene(call_budget_usd=most)
    scene.answers(audio_in=asked, audio_out=100)
    assert cost_usd(scene.session.usage, PRICE) == pytest.approx(0.51)
    assert scene.over is over


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
    assert scene.responses.created == [("goodbye", True)]
    scene.begins()
    scene.hears(round((GOODBYE_TOKENS + SPARE_TOKENS) / TOKENS_A_FRAME) - 5)
    assert (scene.timers.strike(), scene.responses.cancelled) == (GLANCE_SECONDS, 0)
    scene.hears(5)
    assert (scene.timers.strike(), scene.responses.cancelled) == (GLANCE_SECONDS, 1)
    assert scene.timers.set == []


def test_without_a_session_nobody_says_goodbye_and_the_call_ends_all_the_same() -> None:
    scene = Scene(call_budget_usd=1.0)
    scene.session.ready = scene.facts.attentive = False
    scene.answers(audio_out=DOLLAR_OUT)
    assert (scene.over, scene.responses.created) == (True, [])


def test_tokens_of_a_call() -> None:
    scene = Scene(call_budget_tokens=1700)
    scene.answers(audio_in=300, audio_out=200)  # the next reads both, and so does a goodbye, which is 125 more
    assert scene.budget.state is State.NEAR
    scene.hears(400)  # of ours: nothing
    scene.begins()
    scene.hears(70)
    scene.budget.look()
    assert not scene.over
    scene.hears(5)  # it has said 38 tokens, which a goodbye would read
    scene.budget.look()
    assert scene.over


@pytest.mark.parametrize(("most", "over"), [(1130, False), (1125, True)])
def test_the_goodbye_reads_what_the_caller_adds_too(most: int, over: bool) -> None:
    """By as much as from one answer to the last."""
    scene = Scene(call_budget_tokens=most)
    scene.answers(audio_in=100, audio_out=50)
    scene.answers(audio_in=200, audio_out=50)  # of which 50 are the caller's; the next reads 300, and a goodbye
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

    def test_is_moved_to_at_the_last_moment_whoever_speaks(self) -> None:
        scene = Scene(call_budget_usd=1.0, budget_model="cheap")
        scene.answers(audio_out=round(0.85 * DOLLAR_OUT))
        scene.stands_ready = True
        scene.begins()
        scene.hears(round(0.2 * DOLLAR_OUT / TOKENS_A_FRAME))
        scene.budget.look()
        assert scene.kinds == [CheaperModelWanted, CheaperModelNow]
        assert (scene.budget.state, scene.budget.capped_by, len(scene.notes)) == (State.NEAR, None, 2)
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        assert not scene.over
        scene.answers(audio_out=round(1.0 * DOLLAR_OUT))
        assert (scene.over, scene.kinds.count(CheaperModelNow)) == (True, 1)

    @pytest.mark.parametrize("ready", [False, True], ids=["is not there", "is of no use any more"])
    def test_that_comes_too_late_ends_the_call(self, ready: bool) -> None:
        scene = Scene(call_budget_usd=1.0, budget_model="cheap")
        scene.answers(audio_out=round(0.85 * DOLLAR_OUT))
        scene.stands_ready = ready
        scene.answers(audio_out=round(0.2 * DOLLAR_OUT))
        assert scene.kinds[1:] == [CheaperModelNow, LastWord, LeaveAsked]

    def test_saves_no_tokens_and_is_not_moved_to_behind_a_goodbye(self) -> None:
        tokens = Scene(call_budget_tokens=1700, budget_model="cheap")
        leaving = Scene(call_budget_usd=1.0, budget_model="cheap")
        tokens.answers(audio_in=300, audio_out=200)
        tokens.answers(audio_in=300, audio_out=200)
        leaving.answers(audio_out=round(0.85 * DOLLAR_OUT))
        leaving.facts.attentive, leaving.facts.leaving = False, True
        leaving.answers(audio_out=round(0.2 * DOLLAR_OUT))
        for scene in (tokens, leaving):
            assert scene.kinds == [CheaperModelWanted, LastWord, LeaveAsked]

    def test_a_day_is_booked_at_the_price_of_each(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(spending=spending, business="7", budget_model="cheap")
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        scene.budget.model_changed("cheap")
        scene.answers(audio_out=round(0.5 * DOLLAR_OUT))
        scene.budget.close()
        assert spending.of("7") == pytest.approx(0.55)


@pytest.mark.parametrize("budget", ["call_budget_usd", "call_budget_tokens"])
def test_what_ends_a_call_is_in_its_log_whatever_else_was(lines: Any, budget: str) -> None:
    scene = Scene(**{budget: 1.0 if budget.endswith("usd") else 1000})
    for number in range(40):
        scene.budget._log("REALTIME", f"a {'new ' * number}fault", level=30)
        scene.budget._log("BUDGET", "cheaper model")
    scene.answers(audio_out=DOLLAR_OUT)
    assert "[BUDGET] spent" in lines()[-1]


def test_a_session_that_is_billed_by_the_minute() -> None:
    """Its goodbye is so many seconds more; its tokens cost nothing. The last second is watched to its end."""
    scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
    scene.answers(audio_out=10**9)
    scene.seconds = 120 - GOODBYE_SECONDS - 1.1
    scene.budget.look()
    assert (scene.over, scene.budget.state, scene.timers.set) == (False, State.NEAR, [])
    scene.seconds += 0.4
    scene.budget.look()
    scene.seconds += 0.7
    assert (scene.timers.strike(), scene.over) == (pytest.approx(0.7), True)
    assert scene.responses.created == [("goodbye", True)]


def test_the_minutes_of_a_call_are_booked_as_they_pass() -> None:
    spending = Spending(lambda: 1e9)
    scene = Scene(price={"minute": 0.6}, business="7", spending=spending)
    for scene.seconds in (10.0, 20.0, 30.0):
        scene.budget.look()
    scene.budget.close()
    assert spending.of("7") == pytest.approx(0.3)


@pytest.mark.parametrize("settings", [{"price": {"minute": 0.6}}, {}])
def test_whoever_is_leaving_leaves_with_his_own_last_words(settings: dict[str, Any]) -> None:
    """A transfer, or a hang-up that the agent wanted: it is not taken back, and nothing is said over it."""
    scene = Scene(call_budget_usd=1.2, **settings)
    scene.facts.leaving = scene.facts.leave_asked = True
    scene.responses.running = True
    scene.seconds, scene.session.usage.audio_out = 119, 100_000
    scene.budget.look()
    assert (scene.budget.capped_by, scene.told, scene.responses.created) == ("call", [], [])


def test_whoever_is_leaving_has_no_longer_than_is_paid_for() -> None:
    scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
    scene.facts.leaving = scene.facts.leave_asked = True
    scene.seconds = 119
    scene.budget.look()
    assert not scene.out_of_time
    scene.seconds = 121
    scene.budget.look()
    assert scene.out_of_time


class TestAGoodbyeByTheMinute:
    """It has its time, and a model that does anything else with it is not heard any longer."""

    @pytest.fixture
    def scene(self) -> Scene:
        scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
        scene.seconds = 120 - GOODBYE_SECONDS
        scene.budget.look()
        assert scene.over
        return scene

    def test_is_not_ended_before_that_is_over(self, scene: Scene) -> None:
        scene.seconds = 119.5
        scene.budget.look()
        assert not scene.out_of_time
        scene.seconds = 120
        assert scene.timers.strike() == pytest.approx(0.5)
        assert scene.out_of_time

    def test_is_not_waited_for_if_it_fails_to_come_to_an_end(self, scene: Scene) -> None:
        """A transfer was under way, and that is not done in time; and once more, if it comes to nothing."""
        scene.seconds = 121
        scene.budget.look()
        scene.facts.leaving = False
        scene.budget.look()
        assert [type(each) for each in scene.told[-3:]] == [LeaveNow, LeaveAsked, LeaveNow]

    def test_of_a_service_that_has_counted_more_is_shorter(self) -> None:
        """But it may cost a cent that is not there."""
        scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
        scene.seconds = 120 - 4
        scene.budget.look()
        assert scene.responses.created == [("goodbye", True)]
        scene.seconds = 120.9
        scene.budget.look()
        assert not scene.out_of_time
        scene.seconds = 121
        scene.budget.look()
        assert scene.out_of_time

    def test_is_not_begun_where_there_is_no_time_for_one(self) -> None:
        scene = Scene(price={"minute": 0.6}, call_budget_usd=1.2)
        scene.seconds = 119
        scene.budget.look()
        assert scene.responses.created == []
        assert [type(each) for each in scene.told] == [CutShort, LastWord, LeaveAsked, LeaveNow]

    def test_of_a_budget_that_is_smaller_waits_for_a_session(self) -> None:
        scene = Scene(price={"minute": 0.6}, call_budget_usd=0.05)
        scene.session.ready = False
        scene.budget.look()
        assert scene.told == []
        scene.session.ready = True
        scene.budget.look()
        assert (scene.over, scene.responses.created) == (True, [("goodbye", True)])


class TestAtTheEndOfTokens:
    def test_an_answer_that_was_paid_for_is_heard(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.assistant.unheard_ms = PATIENCE_MS
        scene.answers(audio_out=DOLLAR_OUT)
        assert (scene.cut_short, scene.responses.created) == (False, [("goodbye", True)])

    def test_but_not_a_lecture(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.assistant.unheard_ms = PATIENCE_MS + 1
        scene.answers(audio_out=DOLLAR_OUT)
        assert scene.cut_short

    def test_the_next_answer_is_not_begun_that_only_reads_what_is_left(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.answers(audio_in=20_000, audio_out=100)  # 0.21
        scene.answers(audio_in=20_000, audio_out=100)  # 0.42, the next 0.20, and a goodbye 0.21
        assert not scene.over
        scene.answers(audio_in=20_000, audio_out=100)
        assert scene.over
        assert cost_usd(scene.session.usage, PRICE) == pytest.approx(0.63)

    def test_what_has_cost_too_much_already_costs_no_goodbye_too(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.answers(audio_out=round(1.01 * DOLLAR_OUT))
        assert (scene.over, scene.responses.created) == (True, [])

    def test_an_answer_under_way_is_the_last_then(self) -> None:
        """And is heard as far as there is money for it."""
        scene = Scene(call_budget_usd=1.0)
        scene.answers(audio_in=30_000, audio_out=100)  # 0.31, and 0.61 with what this one reads
        scene.begins()
        scene.session.usage.audio_out += 3_000  # another response, told late
        scene.budget.usage_told("resp_0")
        assert (scene.over, scene.responses.created, scene.responses.cancelled) == (True, [], 0)
        scene.hears(round(0.1 * DOLLAR_OUT / TOKENS_A_FRAME))
        scene.budget.look()
        assert scene.responses.cancelled == 1

    def test_one_that_comes_fast_is_watched_between_two_seconds(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.answers(audio_out=round(0.9 * DOLLAR_OUT))
        scene.begins()
        for _ in range(3):
            scene.hears(10)
            assert (scene.timers.strike(), scene.over) == (GLANCE_SECONDS, False)
        scene.hears(round(0.1 * DOLLAR_OUT / TOKENS_A_FRAME))
        assert (scene.timers.strike(), scene.over, scene.responses.cancelled) == (GLANCE_SECONDS, True, 1)

    def test_and_no_longer_than_it_lasts(self) -> None:
        scene = Scene(call_budget_usd=1.0)
        scene.begins()
        scene.ends()
        assert scene.timers.set == []

    def test_a_call_that_is_over_is_not_watched(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(spending=spending, call_budget_usd=1.0)
        scene.begins()
        scene.budget.close()
        scene.answers(audio_out=DOLLAR_OUT)
        assert (scene.timers.set, scene.told, spending.aside()) == ([], [], 0.0)


class TestAfterTheCall:
    def test_what_the_service_tells_is_booked_once(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(price={"minute": 0.6}, business="7", spending=spending)
        scene.seconds = 10.0
        scene.budget.accounted()
        assert spending.of("7") == 0, "the call goes on, and looks for itself"
        scene.budget.close()
        scene.seconds = 12.0
        scene.budget.accounted()
        scene.budget.accounted()
        assert spending.of("7") == pytest.approx(0.12)
        spending.recorded(spending.day, {"7": 0.12})
        assert spending.of("7") == pytest.approx(0.12)

    def test_one_that_began_yesterday_is_in_no_record_of_today(self) -> None:
        now_s = [1e9]
        spending = Spending(lambda: now_s[0])
        scene = Scene(price={"minute": 0.6}, business="7", spending=spending)
        scene.seconds = 10.0
        now_s[0] += DAY_SECONDS
        scene.budget.close()
        spending.recorded(spending.day, {"7": 0.25})  # another process's
        assert spending.of("7") == pytest.approx(0.35)

    def test_what_was_guessed_is_spent_and_is_in_no_record(self) -> None:
        spending = Spending(lambda: 1e9)
        scene = Scene(business="7", spending=spending)
        scene.begins()
        scene.hears(round(0.5 * DOLLAR_OUT / TOKENS_A_FRAME))
        scene.ends()
        scene.budget.close()
        spending.recorded(spending.day, {"7": 0.25})  # another process's
        assert spending.of("7") == pytest.approx(0.75)


class TestDays:
    """What all calls of a day may cost, and those of one business."""

    def test_calls_beside_each_other_share_one_purse(self) -> None:
        spending = Spending(lambda: 1e9)
        first, second = (Scene(spending=spending, day_budget_usd=1.0) for _ in range(2))
        first.answers(audio_out=round(0.6 * DOLLAR_OUT))
        second.answers(audio_out=round(0.3 * DOLLAR_OUT))
        assert (first.over, second.over, second.budget.state) == (False, False, State.NEAR)
        second.answers(audio_out=round(0.08 * DOLLAR_OUT))
        first.budget.look()
        assert (first.over, second.over, first.budget.capped_by) == (True, True, "day")

    def test_each_sets_its_goodbye_aside(self) -> None:
        """All of them say one, at about the same time."""
        spending = Spending(lambda: 1e9)
        price = {"minute": 0.6}
        scenes = [Scene(spending=spending, price=price, day_budget_usd=10.0) for _ in range(10)]
        for second in range(200):
            for scene in scenes:
                scene.seconds += not scene.out_of_time
                scene.budget.look()
            if second < 90:
                assert not any(scene.over for scene in scenes)
        assert all(scene.over for scene in scenes)
        assert 9.7 < spending.total() < 10.1
        for scene in scenes:
            scene.budget.close()
        assert spending.aside() == 0.0

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
