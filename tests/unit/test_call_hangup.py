"""fastbridge.call.hangup: a call is left once, when all was heard, and not over a caller's words."""

import asyncio
from typing import Any

import pytest

from call_rig import CallRig, Control
from fastbridge.call.hangup import (
    ACT_SECONDS,
    DEADLINES_SECONDS,
    TAIL_SECONDS,
    TRANSITIONS,
    WAIT_SECONDS,
    Departure,
    Errand,
    Event,
    State,
)
from fastbridge.errors import IllegalEvent
from spawning import Spawning


class Rig(Spawning):
    def __init__(self) -> None:
        super().__init__()
        self.quiet = True
        self.caller_speaks = self.assistant_plays = False
        self.acts: list[float] = []
        self.told: list[tuple[str, ...]] = []
        self.act_seconds = 0.0
        self.well = True
        self.departure = Departure(self, self, self.loop.clock, self.spawn)

    def departed(self, errand: Errand) -> None:
        self.told.append(("departed", errand.name))
        self.departure.close()

    def stayed(self, errand: Errand, why: str) -> None:
        self.told.append(("stayed", errand.name, why))

    async def _act(self) -> bool:
        self.acts.append(round(self.loop.time() - self.began, 2))
        await asyncio.sleep(self.act_seconds)
        return self.well

    def ask(self, name: str = "hang_up", **options: Any) -> "asyncio.Future[bool]":
        self.began = self.loop.time()
        return self.loop.do(self.departure.ask, Errand(name, f"{name} reason", self._act, **options))


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.shut(rig.departure.close)


def test_leaves_when_it_is_quiet_and_a_little_later(rig):
    outcome = rig.ask()
    rig.loop.advance(1)
    assert rig.acts == [pytest.approx(TAIL_SECONDS, abs=0.11)]
    assert (rig.told, outcome.result(), rig.departure.state) == ([("departed", "hang_up")], True, State.GONE)


def test_waits_for_the_last_word_and_for_the_callers(rig):
    rig.quiet = False
    rig.ask()
    rig.loop.advance(5)
    rig.quiet, rig.caller_speaks = True, True
    rig.loop.advance(5)
    assert rig.acts == []
    rig.caller_speaks = False
    rig.loop.advance(1)
    assert rig.acts == [pytest.approx(10 + TAIL_SECONDS, abs=0.2)]


def test_a_breath_is_no_end(rig):
    rig.ask()
    for _ in range(5):
        rig.quiet = True
        rig.loop.advance(TAIL_SECONDS - 0.1)
        rig.quiet = False
        rig.loop.advance(0.2)
    assert rig.acts == []


def test_waits_no_longer_than_its_errand_allows(rig):
    rig.quiet = False
    rig.ask(wait_seconds=4)
    rig.loop.advance(5)
    assert rig.acts == [4]


def test_by_default_it_waits_so_long(rig):
    rig.quiet = False
    rig.ask()
    rig.loop.advance(WAIT_SECONDS + 1)
    assert rig.acts == [WAIT_SECONDS]


def test_a_caller_who_interrupts_takes_it_back(rig):
    rig.quiet = False
    outcome = rig.ask()
    rig.loop.do(rig.departure.interrupted)
    rig.quiet = True
    rig.loop.advance(60)
    assert (rig.acts, rig.told) == ([], [("stayed", "hang_up", "interrupted")])
    assert (outcome.result(), rig.departure.asked, rig.departure.reason) == (False, False, None)
    rig.ask("transfer")
    rig.loop.advance(1)
    assert rig.told[-1] == ("departed", "transfer")


def test_but_not_a_firm_one(rig):
    rig.ask(firm=True)
    rig.loop.do(rig.departure.interrupted)
    rig.loop.advance(1)
    assert rig.told == [("departed", "hang_up")]


def test_the_first_errand_wins(rig):
    rig.ask("transfer")
    second = rig.ask("hang_up")
    assert second.result() is False
    rig.loop.advance(1)
    assert rig.told == [("departed", "transfer")]
    assert rig.ask().result() is False
    rig.loop.advance(60)
    assert len(rig.acts) == 1


def test_one_that_is_refused_may_be_tried_again(rig):
    rig.well = False
    outcome = rig.ask("transfer")
    rig.loop.advance(1)
    assert (rig.told, outcome.result()) == ([("stayed", "transfer", "refused")], False)
    rig.well = True
    rig.ask()
    rig.loop.advance(1)
    assert rig.told[-1] == ("departed", "hang_up")


def test_while_it_leaves_the_reason_is_its_own_and_nothing_stops_it(rig):
    rig.act_seconds = 1
    rig.ask()
    rig.loop.advance(0.8)
    rig.loop.do(rig.departure.interrupted)
    assert (rig.departure.state, rig.departure.reason) == (State.LEAVING, "hang_up reason")
    rig.loop.advance(1)
    assert rig.told == [("departed", "hang_up")]


def test_a_carrier_that_never_answers_is_given_up(rig):
    rig.act_seconds = 3600
    outcome = rig.ask()
    rig.loop.advance(ACT_SECONDS + 2)
    assert (rig.told, outcome.result()) == ([("stayed", "hang_up", "refused")], False)
    assert rig.tasks[0].cancelled()


def test_who_is_asked_again_waits_for_another_moment_of_quiet(rig):
    rig.ask()
    rig.loop.advance(TAIL_SECONDS / 2)
    rig.loop.do(rig.departure.interrupted)
    assert rig.departure.errand is None
    rig.loop.advance(5)
    rig.ask()
    rig.loop.advance(1)
    assert rig.acts == [pytest.approx(TAIL_SECONDS, abs=0.11)]


def test_quiet_that_comes_when_the_waiting_is_over_is_no_second_departure(rig):
    rig.quiet, rig.act_seconds = False, 3
    rig.ask()
    rig.loop.advance(WAIT_SECONDS + 0.02)
    rig.quiet = True
    rig.loop.advance(2)
    assert (len(rig.acts), rig.loop.failures) == (1, [])


def test_the_end_of_the_call_ends_it(rig):
    rig.act_seconds = 5
    outcome = rig.ask()
    rig.loop.advance(1)
    rig.loop.do(rig.departure.close)
    rig.loop.advance(10)
    assert (rig.told, outcome.result(), rig.tasks[0].cancelled()) == ([], True, True)


def test_a_call_that_ends_before_we_leave_was_not_left(rig):
    rig.quiet = False
    outcome = rig.ask()
    rig.loop.do(rig.departure.close)
    assert outcome.result() is False


def test_every_state_that_is_not_final_has_a_deadline_or_rests():
    resting = {State.STAYING, State.GONE}
    assert set(DEADLINES_SECONDS) == set(State) - resting
    assert all(Event.EXPIRED in TRANSITIONS[state] for state in DEADLINES_SECONDS)


def test_an_event_without_a_row_is_an_error(rig):
    with pytest.raises(IllegalEvent):
        rig.loop.do(rig.departure._to, Event.DONE)


class TestNow:
    """Nothing is waited for any more."""

    @pytest.fixture
    def call(self):
        call = CallRig(control=Control(), silence_seconds=0).up()
        yield call
        call.shut()

    def test_a_call_that_is_left_ends(self, call):
        call.begin("resp_1", "item_1")  # which has no end
        call.do(call.call.hangup.hang_up)
        call.do(call.call.hangup.leave_now, "budget")
        assert (call.call.end_reason, call.control.done) == ("budget", [])

    def test_nor_is_the_carriers_answer(self, call):
        call.control.seconds = 7
        call.do(call.call.hangup.hang_up, "budget", True)
        call.advance(1)
        assert (call.call.live, len(call.control.done)) == (True, 1)
        call.do(call.call.hangup.leave_now, "budget")
        assert call.call.end_reason == "budget"

    def test_so_does_one_that_nobody_leaves(self, call):
        call.do(call.call.hangup.leave_now, "budget")
        assert call.call.end_reason == "budget"

    def test_whoever_is_to_be_connected_is_so_now(self, call):
        call.control.seconds = 2
        call.begin("resp_1", "item_1")
        call.do(call.call.transfer, "+14155550123")
        call.advance(0.5)
        assert (call.call.hangup.state, call.control.done) == (State.ASKED, [])
        for _ in range(2):
            call.do(call.call.hangup.leave_now, "budget")
            call.advance(0.5)
        assert (call.call.live, len(call.control.done)) == (True, 1)
        call.advance(2)
        assert call.call.end_reason == "transferred"
