"""call.warm_transfer: each step of it, by what the caller and the human come to."""

import asyncio
from typing import Any

import pytest

from fastbridge.call.transfer_states import DEADLINES_SECONDS, State
from fastbridge.call.warm_transfer import FIND_SECONDS, JOIN_LOOK_SECONDS, LOOK_SECONDS, TIMES_ABSENT, WarmTransfer
from fastbridge.carrier.port import LegTerms
from spawning import Spawning

NEVER = object()
"""The carrier does not answer."""
TERMS = LegTerms("AC", "CA", "+14155550188", "+14155550100", "Dana.", "en", 25)


class Leg:
    """The carrier's; answers as it is told to, at once or never."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {"place": True, "is_there": None, "look": None, "look_at_caller": None}
        self.answers["move"] = NEVER

    async def _answer(self, what: str) -> Any:
        self.asked.append(what)
        if self.answers[what] is NEVER:
            await asyncio.Event().wait()
        return self.answers[what]

    async def place(self) -> bool | None:
        answer: bool | None = await self._answer("place")
        return answer

    async def is_there(self) -> bool | None:
        answer: bool | None = await self._answer("is_there")
        return answer

    async def look(self) -> str | None:
        answer: str | None = await self._answer("look")
        return answer

    async def look_at_caller(self) -> str | None:
        answer: str | None = await self._answer("look_at_caller")
        return answer

    async def move(self) -> bool | None:
        answer: bool | None = await self._answer("move")
        return answer

    def release(self) -> None:
        self.asked.append("release")

    def excuse(self) -> None:
        self.asked.append("excuse")

    def close(self) -> None:
        self.asked.append("close")


class Rig(Spawning):
    def __init__(self, *, full: bool = False, **answers: Any) -> None:
        super().__init__()
        self.leg = Leg()
        self.leg.answers |= answers
        self.full = full
        self.told: list[tuple[str, str]] = []
        self.transfer = self.loop.do(lambda: WarmTransfer(self, clock=self.loop.clock, spawn=self.spawn))
        self.begun = self.loop.do(self.transfer.begin, self, TERMS)
        self.yes: asyncio.Task[bool] | None = None
        self.loop.advance(0)

    # Its legs, and its stage.

    def open(self, terms: LegTerms, listener: Any) -> Leg | None:
        assert (terms, listener) == (TERMS, self.transfer)
        return None if self.full else self.leg

    def returned(self, outcome: str) -> None:
        self.told.append(("returned", outcome))

    def settled(self, outcome: str) -> None:
        self.told.append(("settled", outcome))

    # What happens to it.

    def go(self, *steps: str) -> "Rig":
        for step in steps:
            if step in ("ended", "declined"):
                self.loop.do(getattr(self.transfer, step), "busy" if step == "ended" else "declined")
            elif step == "yes":
                self.yes = self.loop.create_task(self.transfer.accepted())
                self.loop.advance(0)
            elif step == "expires":
                self.loop.advance(DEADLINES_SECONDS[self.transfer.state])
            else:
                self.loop.do(getattr(self.transfer, step))
            self.loop.advance(0)
        return self

    @property
    def parted(self) -> tuple[bool, bool]:
        """The human was let go, the caller told that he was led to nobody: by requests of ours."""
        return "release" in self.leg.asked, "excuse" in self.leg.asked

    def end(self) -> None:
        for task in (*self.tasks, *([self.yes] if self.yes is not None else [])):
            self.loop.do(task.cancel)
        self.loop.do(self.transfer._look.clear)
        self.shut(self.transfer._state_deadline.clear)


LOST = {"place": None}
WAITS = {"place": NEVER}
ANSWERED = ("answered",)
YES = ("answered", "yes")
LEAVING = (*YES, "stream_over")
ALONE = (*YES, "ended")
JOINING = (*LEAVING, "joined")
BEFORE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "finding": (LOST, ()),
    "ringing": ({}, ()),
    "briefing": ({}, ANSWERED),
}

SCENES = [
    # The human's call ends, nobody wants it any more, the caller hangs up: wherever it is.
    *((*BEFORE[name], "ended", State.RETURNED, "busy", (False, False)) for name in BEFORE),
    *((*BEFORE[name], "withdraw", State.RETURNED, "withdrawn", (True, False)) for name in BEFORE),
    *((*BEFORE[name], "stream_over", State.GONE, "caller_gone", (True, False)) for name in BEFORE),
    # Nobody comes to the telephone, or says anything.
    (*BEFORE["finding"], "expires", State.RETURNED, "failed", (True, False)),
    (*BEFORE["ringing"], "expires", State.RETURNED, "no_answer", (True, False)),
    (*BEFORE["briefing"], "expires", State.RETURNED, "no_answer", (True, False)),
    (*BEFORE["ringing"], "declined", State.RETURNED, "declined", (True, False)),
    (*BEFORE["briefing"], "declined", State.RETURNED, "declined", (True, False)),
    ({"place": False}, (), "", State.RETURNED, "failed", (True, False)),
    # A yes.
    ({"move": False}, YES, "", State.RETURNED, "failed", (True, False)),
    ({}, YES, "expires", State.RETURNED, "failed", (True, False)),
    ({}, YES, "caller_over", State.GONE, "caller_gone", (True, False)),
    ({}, ALONE, "caller_over", State.GONE, "caller_gone", (True, False)),
    ({}, LEAVING, "caller_over", State.GONE, "caller_gone", (True, False)),
    ({}, LEAVING, "expires", State.GONE, "caller_gone", (True, False)),
    ({}, LEAVING, "ended", State.LOST, "lost", (False, False)),
    ({}, ALONE, "joined", State.LOST, "lost", (True, False)),
    ({}, ALONE, "stream_over", State.LOST, "lost", (True, False)),
    ({}, ALONE, "expires", State.RETURNED, "failed", (True, False)),
    # Led to each other.
    ({}, JOINING, "ended", State.LOST, "lost", (False, True)),
    ({}, JOINING, "parted", State.LOST, "lost", (True, False)),
    ({}, JOINING, "caller_over", State.GONE, "caller_gone", (True, False)),
    ({}, JOINING, "expires", State.CONNECTED, "connected", (False, False)),
    ({}, (*YES, "joined"), "expires", State.CONNECTED, "connected", (False, False)),
]


@pytest.mark.parametrize(("answers", "steps", "last", "state", "outcome", "parted"), SCENES)
def test_how_it_ends(answers, steps, last, state, outcome, parted):
    rig = Rig(**answers).go(*steps, *([last] if last else []))
    assert (rig.transfer.state, rig.transfer.outcome) == (state, outcome)
    assert rig.parted == parted
    told = [("settled", outcome)]
    assert rig.told == ([("returned", outcome)] if state is State.RETURNED else []) + told
    assert rig.leg.asked.count("close") == 1
    if rig.yes is not None:
        rig.loop.advance(0)
        assert rig.yes.result() is ("joined" in steps)
    rig.end()


PLACING = [
    ("ended", State.RETURNED),
    ("withdraw", State.RETURNED),
    ("stream_over", State.GONE),
    ("answered", State.BRIEFING),
    ("expires", State.FINDING),
]


@pytest.mark.parametrize(("step", "state"), PLACING)
def test_while_the_answer_to_the_request_is_not_there(step, state):
    rig = Rig(**WAITS)
    assert rig.go(step).transfer.state is state
    rig.end()


def test_the_request_is_answered():
    rig = Rig()
    assert (rig.begun, rig.transfer.state) == (True, State.RINGING)
    rig.end()


@pytest.mark.parametrize("step", ["ended", "answered", "withdraw"])
def test_a_lost_answer_is_found_by_a_webhook(step):
    rig = Rig(**LOST)
    assert rig.transfer.state is State.FINDING
    rig.go(step)
    assert rig.transfer.state is (State.BRIEFING if step == "answered" else State.RETURNED)
    rig.end()


def test_one_that_comes_late_is_an_answer_all_the_same():
    rig = Rig(**WAITS).go("expires")
    assert rig.transfer.state is State.FINDING
    rig.loop.do(rig.transfer._take, "placed")
    assert rig.transfer.state is State.RINGING
    rig.end()


def test_a_call_that_is_not_in_the_list_was_not_placed():
    rig = Rig(**LOST, is_there=False)
    rig.loop.advance(FIND_SECONDS * TIMES_ABSENT - 0.1)
    assert rig.transfer.state is State.FINDING
    rig.loop.advance(0.2)
    assert (rig.transfer.state, rig.transfer.outcome) == (State.RETURNED, "failed")
    rig.end()


@pytest.mark.parametrize("there", [None, True])
def test_one_that_may_be_is_waited_for(there):
    rig = Rig(**LOST, is_there=there)
    rig.loop.advance(FIND_SECONDS * 5)
    assert rig.transfer.state is State.FINDING
    rig.go("answered")
    assert rig.transfer.state is State.BRIEFING
    rig.end()


@pytest.mark.parametrize("steps", [(), ANSWERED])
def test_a_call_that_ended_without_a_word_is_looked_at(steps):
    rig = Rig(look="completed").go(*steps)
    rig.loop.advance(LOOK_SECONDS - 0.1)
    assert rig.transfer.under_way
    rig.loop.advance(0.2)
    assert (rig.transfer.state, rig.transfer.outcome) == (State.RETURNED, "declined")
    rig.end()


def test_and_again_and_again():
    rig = Rig(look="in-progress").go("answered")
    rig.loop.advance(3 * LOOK_SECONDS + 0.1)
    assert (rig.leg.asked.count("look"), rig.transfer.state) == (3, State.BRIEFING)
    rig.end()


class TestTheYes:
    def test_waits_until_the_caller_has_come(self):
        rig = Rig(move=True).go(*YES)
        assert rig.yes is not None
        rig.loop.advance(1)
        assert (rig.transfer.state, rig.yes.done()) == (State.MOVING, False)
        rig.go("stream_over")
        assert not rig.yes.done()
        assert rig.loop.do(rig.transfer.joined) is True
        rig.loop.advance(0)
        assert rig.yes.result() is True
        rig.end()

    def test_is_a_no_where_the_caller_could_not_be_moved(self):
        rig = Rig(move=False).go(*YES)
        assert rig.yes is not None
        assert rig.yes.result() is False
        assert rig.told[0] == ("returned", "failed")
        rig.end()

    def test_of_a_caller_who_hangs_up_at_that_moment(self):
        rig = Rig(move=False).go("answered")
        rig.loop.do(rig.transfer.stream_over)
        rig.go("yes")
        assert rig.yes is not None
        assert (rig.transfer.state, rig.yes.result()) == (State.GONE, False)
        rig.end()

    def test_of_one_who_hung_up_while_it_was_carried_out(self):
        rig = Rig().go(*LEAVING)
        rig.loop.do(rig.transfer._take, "not_moved")
        rig.loop.advance(0)
        assert rig.yes is not None
        assert (rig.transfer.state, rig.yes.result()) == (State.GONE, False)
        rig.end()

    def test_twice_is_one(self):
        rig = Rig().go(*YES)
        again = rig.loop.create_task(rig.transfer.accepted())
        rig.go("joined")
        assert rig.yes is not None
        assert (rig.yes.result(), again.result()) == (True, True)
        assert rig.leg.asked.count("move") == 1
        assert rig.loop.run_until_complete(rig.transfer.accepted()) is True
        rig.end()

    def test_whose_answer_of_the_api_is_lost_is_no_failure(self):
        rig = Rig(move=None).go(*YES)
        assert rig.transfer.state is State.MOVING
        rig.go("joined")
        assert rig.transfer.state is State.JOINING
        rig.end()

    def test_a_human_who_has_gone_and_a_caller_who_could_not_be_moved(self):
        rig = Rig().go(*ALONE)
        rig.loop.do(rig.transfer._take, "not_moved")
        assert (rig.transfer.state, rig.told[0]) == (State.RETURNED, ("returned", "failed"))
        rig.end()


class TestTogether:
    def test_both_are_there(self):
        rig = Rig(look="in-progress", look_at_caller="in-progress").go(*JOINING)
        rig.loop.advance(JOIN_LOOK_SECONDS + 0.1)
        assert rig.transfer.state is State.CONNECTED
        assert rig.loop.do(rig.transfer.parted) is True
        assert rig.parted == (False, False)
        rig.end()

    @pytest.mark.parametrize(
        ("seen", "state", "parted"),
        [
            ({"look": "completed"}, State.LOST, (False, True)),
            ({"look": "in-progress", "look_at_caller": "completed"}, State.GONE, (True, False)),
            ({"look": "in-progress", "look_at_caller": None}, State.JOINING, (False, False)),
            ({"look": None, "look_at_caller": "in-progress"}, State.JOINING, (False, False)),
        ],
    )
    def test_one_of_them_is_not(self, seen, state, parted):
        rig = Rig(**seen).go(*JOINING)
        rig.loop.advance(JOIN_LOOK_SECONDS + 0.1)
        assert (rig.transfer.state, rig.parted) == (state, parted)
        rig.end()

    def test_a_caller_who_is_led_away_from_an_ended_transfer_is_told_so(self):
        rig = Rig().go(*YES, "expires")
        assert rig.loop.do(rig.transfer.joined) is False
        assert rig.loop.do(rig.transfer.parted) is False
        rig.end()


def test_what_comes_late_is_counted_and_changes_nothing():
    rig = Rig().go("withdraw")
    late = rig.transfer.late
    assert rig.go("answered", "ended", "declined", "stream_over", "caller_over").transfer.state is State.RETURNED
    assert rig.transfer.late == late + 5
    assert len(rig.told) == 2
    rig.end()


def test_where_the_carrier_takes_no_more_nothing_begins():
    rig = Rig(full=True)
    assert (rig.begun, rig.leg.asked) == (False, [])
    rig.end()


@pytest.mark.parametrize(
    ("steps", "moving"),
    [((), False), (ANSWERED, False), (YES, True), (ALONE, True), (LEAVING, True), (JOINING, True)],
)
def test_whether_the_caller_is_being_led_away(steps, moving):
    rig = Rig().go(*steps)
    assert rig.transfer.moving is moving
    rig.end()
