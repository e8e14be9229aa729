"""fastbridge.model.live.delegation: each call answered once, and the work goes on when all are."""

from collections import Counter
from typing import Any

import pytest

from fastbridge.base.json_text import Malformed
from fastbridge.model.history import History
from fastbridge.model.live.delegation import (
    END_SECONDS,
    MAX_CALLS,
    MAX_WORK,
    PATIENCE_SECONDS,
    REFUSED_SECONDS,
    TELL_SECONDS,
    TOO_MANY,
    Delegation,
)
from virtual import VirtualLoop


class Scene:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.sent: list[dict[str, Any]] = []
        self.called: list[Any] = []
        self.asked: list[str] = []
        self.not_run: list[tuple[str, str]] = []
        self.gave_up = 0
        self.done = 0
        self.usage: list[dict[str, Any]] = []
        self.counters: Counter[str] = Counter()
        self.delegation = Delegation(
            clock=self.loop.clock,
            history=History(self.counters),
            counters=self.counters,
            send=lambda event: self.sent.append(event) or True,  # type: ignore[func-returns-value]
            called=self.on_called,
            asked=self.asked.append,
            not_run=lambda name, why: self.not_run.append((name, why)),
            gave_up=self.on_gave_up,
            done=self.on_done,
            usage=self.usage.append,
        )

    def on_called(self, call: Any) -> str:
        self.called.append(call)
        return "work_1"

    def on_done(self) -> None:
        self.done += 1

    def on_gave_up(self) -> None:
        self.gave_up += 1

    def event(self, kind: str, key: str = "dlg_1", **event: Any) -> None:
        self.loop.do(self.delegation.event, key, {"type": kind, **event})

    def begun(self, key: str = "dlg_1") -> "Scene":
        self.loop.do(self.delegation.created, key or "dlg_0")
        self.event("response.created", key)
        return self

    def calls(self, *call_ids: str, key: str = "dlg_1", **item: Any) -> "Scene":
        for call_id in call_ids:
            call = {"type": "function_call", "call_id": call_id, "name": "order", "arguments": "{}", **item}
            self.event("response.output_item.done", key, item=call)
        return self

    def ends(self, key: str = "dlg_1", kind: str = "response.completed") -> "Scene":
        self.event(kind, key, response={"usage": {"total_tokens": 5}})
        return self

    def answers(self, number: int) -> bool:
        known: bool = self.loop.do(self.delegation.answer, self.called[number], f"answer {number}")
        return known

    @property
    def kinds(self) -> list[str]:
        return [event["type"].removeprefix("response.") for event in self.sent]


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.delegation.close()
    scene.loop.close()


def test_a_call_is_run_answered_and_the_work_goes_on(scene):
    scene.begun().calls("call_1").ends()
    assert [(call.name, call.arguments) for call in scene.called] == [("order", "{}")]
    assert scene.answers(0)
    assert scene.kinds == ["item.create", "create"]
    assert scene.sent[0]["item"] == {"type": "function_call_output", "call_id": "call_1", "output": "answer 0"}
    assert scene.delegation.at_work  # what came of it is to be said
    scene.event("response.created")
    scene.ends()
    assert scene.delegation.at_work  # it is not being said yet
    scene.loop.do(scene.delegation.told)
    assert not scene.delegation.at_work
    assert scene.usage == [{"total_tokens": 5}] * 2


@pytest.mark.parametrize("order", ["answer answer end", "answer end answer", "end answer answer"])
def test_several_are_all_answered_first(scene, order):
    scene.begun().calls("call_1", "call_2")
    left = [0, 1]
    for number, step in enumerate(order.split()):
        assert "create" not in scene.kinds, number
        scene.ends() if step == "end" else scene.answers(left.pop())
    assert scene.kinds == ["item.create", "item.create", "create"]


def test_work_without_a_call_is_over_when_it_ends(scene):
    scene.begun().ends()
    scene.loop.advance(TELL_SECONDS - 0.1)
    assert (scene.sent, scene.delegation.at_work) == ([], True)
    scene.loop.advance(0.2)
    assert (scene.sent, scene.delegation.at_work) == ([], False)


@pytest.fixture
def two(scene):
    """Two pieces of work: the first has its answer, the second waits for it, and the model behind them does nothing."""
    scene.begun("dlg_1").begun("dlg_2").calls("call_1", key="dlg_1").calls("call_2", key="dlg_2")
    scene.ends("dlg_1").ends("dlg_2")
    scene.answers(0)
    return scene


def goes_on(scene, key):
    """The response that was asked for, and its end."""
    scene.event("response.created", key, response={"id": f"resp_{key}_2"})
    scene.event("response.completed", key, response={"id": f"resp_{key}_2"})


def test_two_at_once_are_two(two):
    """One that has all its answers goes on: it does not wait for the other."""
    assert two.kinds == ["item.create", "create"]
    goes_on(two, "dlg_1")
    assert (two.kinds, two.done) == (["item.create", "create"], 0)
    two.answers(1)
    assert two.kinds == ["item.create", "create"] * 2
    goes_on(two, "dlg_2")
    two.loop.do(two.delegation.told)
    assert (two.delegation.at_work, two.done, two.gave_up) == (False, 1, 0)


def test_that_go_on_at_once_are_known_by_their_names(two):
    """Whichever of them is told of first."""
    two.answers(1)
    goes_on(two, "dlg_2")
    assert two.done == 0
    goes_on(two, "dlg_1")
    assert two.done == 1


def test_one_that_does_not_go_on_is_given_up_beside_a_tool_that_runs(two):
    two.loop.advance(PATIENCE_SECONDS + 0.1)
    assert (two.gave_up, two.delegation.at_work, two.counters["delegations_stalled"]) == (1, True, 1)
    two.loop.advance(3 * PATIENCE_SECONDS)
    assert two.gave_up == 1
    two.answers(1)
    goes_on(two, "dlg_2")
    assert (two.kinds[2:], two.done) == (["item.create", "create"], 1)


def test_one_whose_response_does_not_end_is_given_up_beside_a_tool_that_runs(scene):
    scene.begun("dlg_1").begun("dlg_2").calls("call_2", key="dlg_2").ends("dlg_2")
    scene.loop.advance(PATIENCE_SECONDS + 0.1)
    assert (scene.gave_up, list(scene.delegation._works)) == (1, ["dlg_2"])


class TestOneAtATime:
    """A service that lets no work go on while other work has calls without an answer."""

    def test_by_an_error(self, two):
        two.loop.do(two.delegation.refused, "go_on_1")
        two.loop.advance(REFUSED_SECONDS + 0.1)  # that of the tool is another matter
        assert (two.kinds, two.gave_up) == (["item.create", "create"], 0)
        self.both_go_on(two)

    def test_by_a_response_that_fails(self, two):
        two.event("response.created", "dlg_1", response={"id": "resp_3"})
        two.event("response.failed", "dlg_1", response={"id": "resp_3"})
        two.loop.advance(TELL_SECONDS + 0.1)
        assert (two.kinds, two.gave_up) == (["item.create", "create"], 0)
        self.both_go_on(two)

    def both_go_on(self, two):
        two.loop.advance(3 * PATIENCE_SECONDS)
        two.answers(1)
        assert (two.kinds, two.gave_up) == (["item.create", "create"] * 2, 0)
        goes_on(two, "dlg_2")
        assert two.done == 1

    def test_is_not_asked_again_too_soon(self, two):
        two.loop.do(two.delegation.refused, "go_on_1")
        two.answers(1)
        two.begun("dlg_3").begun("dlg_4").calls("call_3", key="dlg_3").calls("call_4", key="dlg_4")
        two.ends("dlg_3").ends("dlg_4")
        two.answers(2)
        assert two.kinds[-1] == "item.create"
        two.answers(3)
        assert two.kinds[-2:] == ["item.create", "create"]

    def test_another_session_may_be_another(self, two):
        two.loop.do(two.delegation.refused, "go_on_1")
        two.loop.do(two.delegation.forget)
        two.begun("dlg_1").begun("dlg_2").calls("call_1", key="dlg_1").calls("call_2", key="dlg_2")
        two.ends("dlg_1").ends("dlg_2")
        two.answers(2)
        assert two.kinds[-1] == "create"


def test_that_may_not_go_on_beside_a_response_waits_for_its_end(scene):
    scene.begun("dlg_1").begun("dlg_2").calls("call_1", key="dlg_1").calls("call_2", key="dlg_2")
    scene.ends("dlg_1")
    scene.answers(0)
    scene.loop.do(scene.delegation.refused, "go_on_1")
    scene.calls("call_3", key="dlg_2")
    scene.answers(2)
    assert scene.kinds == ["item.create", "create", "item.create"]
    scene.ends("dlg_2")  # whose other tool still runs
    assert scene.kinds[3:] == ["create"]


def test_that_failed_by_itself_has_failed(two):
    two.answers(1)
    for key in ("dlg_1", "dlg_2"):
        two.event("response.created", key, response={"id": f"resp_{key}_2"})
        two.event("response.failed", key, response={"id": f"resp_{key}_2"})
    two.loop.advance(TELL_SECONDS + 0.1)
    assert (two.gave_up, two.delegation.at_work) == (1, False)


@pytest.mark.parametrize("kind", ["response.failed", "response.incomplete", "response.cancelled"])
def test_however_it_ends(scene, kind):
    scene.begun().calls("call_1").ends(kind=kind)
    scene.answers(0)
    assert scene.kinds[-1] == "create"


def test_an_end_that_is_not_told_is_taken_for_one(scene):
    scene.begun().calls("call_1")
    scene.answers(0)
    scene.loop.advance(END_SECONDS - 0.1)
    assert scene.kinds == ["item.create"]
    scene.loop.advance(0.2)
    assert scene.kinds == ["item.create", "create"]


def test_all_calls_of_a_piece_of_work_are_one_round(scene):
    scene.begun().calls("call_1", "call_2")
    scene.answers(0)
    assert scene.asked == []
    scene.ends()
    assert scene.asked == ["work_1"]


@pytest.mark.parametrize("end", ["END_SECONDS", "another session"])
def test_a_round_ends_where_its_work_does_not(scene, end):
    scene.begun().calls("call_1")
    if end == "another session":
        scene.loop.do(scene.delegation.forget)
    else:
        scene.answers(0)
        scene.loop.advance(END_SECONDS + 0.1)
    assert scene.asked == ["work_1"]


def test_a_round_may_end_the_session(scene):
    """The model calls tools and says nothing: whoever hears of this round gives it up."""
    scene.delegation._asked = lambda response_id: scene.delegation.forget()
    scene.begun("dlg_1").begun("dlg_2").calls("call_1").ends()
    assert not scene.delegation.at_work


def test_one_call_too_many_is_answered_at_once(scene):
    scene.begun().calls(*(f"call_{number}" for number in range(MAX_CALLS + 1))).ends()
    assert (len(scene.called), scene.not_run) == (MAX_CALLS, [("order", TOO_MANY)])
    for number in range(MAX_CALLS):
        scene.answers(number)
    assert scene.kinds == ["item.create"] * (MAX_CALLS + 1) + ["create"]
    scene.begun("dlg_2").calls("another", key="dlg_2")
    assert len(scene.called) == MAX_CALLS + 1, "it has gone on since"


def test_the_same_call_again_is_not_run_again(scene):
    scene.begun().calls("call_1", "call_1")
    assert (len(scene.called), scene.counters["duplicate_calls"]) == (1, 1)


def test_a_call_id_that_comes_again_in_another_item_is_a_call_again(scene):
    scene.begun().calls("call_0", id="item_1").ends()
    scene.answers(0)
    scene.calls("call_0", id="item_1")  # an event that came twice
    scene.event("response.created")
    scene.calls("call_0", id="item_2").calls("call_0", id="item_3").ends()
    assert (len(scene.called), scene.counters["duplicate_calls"]) == (3, 1)
    assert scene.answers(1)
    assert scene.kinds == ["item.create", "create", "item.create"], "one of them still runs"
    assert scene.answers(2)
    assert scene.kinds[-2:] == ["item.create", "create"]


def test_one_that_was_cut_off_is_not_run_and_answered(scene):
    scene.begun().calls("call_1", status="incomplete").ends()
    assert (scene.called, scene.not_run[0][0]) == ([], "order")
    assert scene.kinds == ["item.create", "create"]


def test_one_without_an_id_is_malformed(scene):
    scene.begun()
    with pytest.raises(Malformed):
        scene.calls("")


def test_without_progress_it_is_given_up(scene):
    scene.begun()
    scene.loop.advance(PATIENCE_SECONDS - 1)
    scene.event("response.in_progress")
    scene.loop.advance(PATIENCE_SECONDS - 1)
    assert scene.gave_up == 0
    scene.loop.advance(2)
    assert (scene.gave_up, scene.delegation.at_work, scene.counters["delegations_stalled"]) == (1, False, 1)


def test_a_response_that_goes_on_behind_its_calls_is_waited_for(scene):
    scene.begun().calls("call_1")
    scene.answers(0)
    for _ in range(3):
        scene.loop.advance(END_SECONDS - 0.5)
        scene.event("response.output_item.added")
    assert scene.kinds == ["item.create"]
    scene.ends()
    assert scene.kinds == ["item.create", "create"]


def test_to_go_on_is_asked_again_where_the_response_had_not_ended(scene):
    scene.begun().calls("call_1")
    scene.answers(0)
    scene.loop.advance(END_SECONDS + 0.1)
    scene.loop.do(scene.delegation.refused, scene.sent[-1]["event_id"])
    assert scene.kinds == ["item.create", "create"]
    scene.ends()
    assert scene.kinds == ["item.create", "create", "create"]
    scene.event("response.created")
    scene.ends()
    assert (scene.kinds[3:], scene.delegation.at_work) == ([], True)  # until the voice has told it


def test_who_may_not_go_on_is_given_up_soon(scene):
    scene.begun().calls("call_1").ends()
    scene.answers(0)
    scene.loop.do(scene.delegation.refused, "go_on_nobody")
    scene.loop.advance(REFUSED_SECONDS + 0.1)
    assert scene.gave_up == 0
    scene.loop.do(scene.delegation.refused, scene.sent[-1]["event_id"])
    scene.loop.advance(REFUSED_SECONDS + 0.1)
    assert (scene.gave_up, scene.delegation.at_work) == (1, False)


def test_how_often_in_a_row_is_known(scene):
    """Until some work comes to its end, or another session begins."""
    for _ in range(2):
        scene.begun()
        scene.loop.advance(PATIENCE_SECONDS + 1)
    assert scene.delegation.stalls == 2
    scene.begun().ends()
    assert scene.delegation.stalls == 0
    scene.begun()
    scene.loop.advance(PATIENCE_SECONDS + 1)
    scene.delegation.forget()
    assert scene.delegation.stalls == 0


def test_its_end_is_told_when_all_of_it_is_done(scene):
    scene.begun("dlg_1").begun("dlg_2").calls("call_1", key="dlg_1").ends("dlg_1")
    scene.answers(0)
    scene.ends("dlg_2")
    assert scene.done == 0
    scene.event("response.created", "dlg_1")
    scene.ends("dlg_1")
    assert (scene.done, scene.delegation.at_work) == (1, True)  # until the voice has told it
    scene.delegation.told()
    assert not scene.delegation.at_work


def test_a_tool_of_ours_has_a_deadline_of_its_own(scene):
    scene.begun().calls("call_1").ends()
    scene.loop.advance(3 * PATIENCE_SECONDS)
    assert scene.gave_up == 0


def test_a_call_is_not_run_again_when_its_work_was_given_up(scene):
    scene.begun().calls("call_1")
    scene.answers(0)
    scene.ends()
    scene.loop.advance(PATIENCE_SECONDS + 1)
    assert scene.gave_up == 1
    scene.calls("call_1")
    assert len(scene.called) == 1


@pytest.mark.parametrize("key", ["dlg_1", ""])
def test_a_call_that_runs_outlives_a_response_behind_it(scene, key):
    """Its end is told twice, or another response has come between, under the same name."""
    scene.begun(key).calls("call_1", key=key).ends(key)
    scene.ends(key)
    assert scene.delegation.at_work
    assert scene.answers(0)
    assert scene.kinds == ["item.create", "create"]


def test_two_whose_ends_are_not_told_are_taken_for_ended(scene):
    scene.begun("dlg_1").begun("dlg_2").calls("call_1", key="dlg_1").calls("call_2", key="dlg_2")
    scene.ends("dlg_2")
    scene.answers(0)
    scene.answers(1)
    assert scene.kinds == ["item.create", "item.create", "create"]
    scene.loop.advance(END_SECONDS + 0.1)
    assert scene.kinds == ["item.create", "item.create", "create", "create"]
    assert scene.loop.failures == []


def test_another_session_knows_nothing_of_it(scene):
    scene.begun().calls("call_1").ends()
    scene.delegation.forget()
    assert not scene.answers(0)
    assert scene.sent == []
    scene.begun().calls("call_1")  # its ids begin anew
    assert len(scene.called) == 2


def test_what_is_at_work_is_bounded(scene):
    for number in range(MAX_WORK + 5):
        scene.begun(f"dlg_{number}")
    assert len(scene.delegation._works) == MAX_WORK


def test_an_event_without_a_delegation_is_of_one(scene):
    scene.begun("").calls("call_1", key="").ends("")
    scene.answers(0)
    assert scene.kinds == ["item.create", "create"]


class TestWhatIsAwaited:
    """Each delegation, and each request to go on, until something of it is seen: in whatever order that comes."""

    @staticmethod
    def created(scene: Scene, key: str = "dlg_1", response_id: str = "resp_1") -> None:
        scene.loop.do(scene.delegation.created, key, response_id)

    @staticmethod
    def response(scene: Scene, kind: str, key: str = "dlg_1", response_id: str = "resp_1") -> None:
        scene.event(f"response.{kind}", key, response={"id": response_id, "usage": {"total_tokens": 5}})

    def told_and_at_rest(self, scene: Scene) -> bool:
        scene.loop.do(scene.delegation.told)
        scene.loop.advance(PATIENCE_SECONDS + 1)
        return not scene.delegation.at_work and scene.gave_up == 0

    def test_a_delegation_told_of_behind_its_response_is_that_one(self, scene):
        self.response(scene, "created")
        self.created(scene)
        self.response(scene, "completed")
        assert scene.counters["delegations"] == 0
        assert self.told_and_at_rest(scene)

    def test_and_behind_its_end(self, scene):
        self.response(scene, "created")
        self.response(scene, "completed")
        self.created(scene)
        assert self.told_and_at_rest(scene)

    def test_one_whose_events_do_not_name_it_is_known_by_its_response(self, scene):
        self.response(scene, "created", "")
        self.created(scene)
        self.response(scene, "completed", "")
        assert self.told_and_at_rest(scene)

    def test_one_that_is_told_of_twice_is_one(self, scene):
        self.created(scene)
        self.created(scene)
        self.response(scene, "created")
        self.created(scene)
        self.response(scene, "completed")
        assert scene.counters["delegations"] == 1
        assert self.told_and_at_rest(scene)

    def test_a_request_to_go_on_that_is_refused_is_made_again_and_is_one(self, scene):
        """Another delegation is under way, of which nothing had been seen."""
        scene.begun().calls("call_1").ends()
        self.created(scene, "dlg_2", "resp_2")
        scene.answers(0)
        scene.loop.do(scene.delegation.refused, "go_on_1")
        self.response(scene, "created", "dlg_2", "resp_2")
        self.response(scene, "completed", "dlg_2", "resp_2")
        assert scene.kinds == ["item.create", "create", "create"]
        self.response(scene, "created", "dlg_1", "resp_3")
        self.response(scene, "completed", "dlg_1", "resp_3")
        assert self.told_and_at_rest(scene)

    def test_a_response_that_nobody_has_told_of_is_not_waited_for_for_ever(self, scene):
        self.response(scene, "created")
        self.created(scene)
        scene.loop.advance(PATIENCE_SECONDS + 0.1)
        assert (scene.gave_up, scene.delegation.at_work) == (1, False)

    def test_events_that_come_twice_are_events_once(self, scene):
        """Of a response that has ended, too: it has not begun anew."""
        self.created(scene)
        for _ in range(2):
            self.response(scene, "created")
            scene.calls("call_1", id="fc_1")
            self.response(scene, "completed")
        scene.answers(0)
        assert (scene.kinds, scene.usage) == (["item.create", "create"], [{"total_tokens": 5}])
        for _ in range(2):
            self.response(scene, "created", response_id="resp_2")
            self.response(scene, "completed", response_id="resp_2")
        assert len(scene.usage) == 2
        assert self.told_and_at_rest(scene)

    def test_a_request_to_go_on_that_met_a_response_nobody_has_told_of_is_made_again(self, scene):
        scene.begun().calls("call_1").ends()
        scene.answers(0)
        self.response(scene, "created", "dlg_2", "resp_2")
        scene.loop.do(scene.delegation.refused, "go_on_1")
        self.response(scene, "completed", "dlg_2", "resp_2")
        assert scene.kinds == ["item.create", "create", "create"]

    @pytest.mark.parametrize(("key", "response_id"), [("", "resp_2"), ("another", "resp_1")])
    def test_one_whose_events_name_it_half_or_not_at_all_is_that_one(self, scene, key, response_id):
        self.created(scene)
        self.response(scene, "created", key, response_id)
        self.response(scene, "completed", key, response_id)
        assert self.told_and_at_rest(scene)

    def test_names_are_a_sessions(self, scene):
        for _ in range(2):
            self.created(scene)
            assert scene.delegation.at_work
            self.response(scene, "created")
            self.response(scene, "completed")
            scene.delegation.forget()
        assert (len(scene.usage), scene.counters["delegations"]) == (2, 2)

    def test_what_is_told_of_and_never_seen_is_bounded(self, scene):
        for number in range(1000):
            self.created(scene, f"dlg_{number}", f"resp_{number}")
        assert len(scene.delegation._begun) == MAX_WORK


class TestWorkThatFails:
    FAILED = ("response.failed", "response.incomplete", "error")

    @pytest.mark.parametrize("kind", FAILED)
    def test_and_of_which_the_voice_says_nothing_is_given_up(self, scene, kind):
        scene.begun().ends(kind=kind)
        scene.loop.advance(TELL_SECONDS + 0.1)
        assert (scene.gave_up, scene.delegation.at_work, scene.counters["delegations_failed"]) == (1, False, 1)
        assert scene.delegation.stalls == 0

    def test_beside_other_work_it_is_too(self, scene):
        scene.begun().ends(kind="response.failed")
        scene.begun("dlg_2").ends("dlg_2")
        scene.loop.advance(TELL_SECONDS + 0.1)
        assert scene.gave_up == 1

    def test_of_which_it_has_said_something_is_told_of_no_more(self, scene):
        scene.begun().ends(kind="response.failed")
        scene.loop.do(scene.delegation.told)
        scene.begun("dlg_2").ends("dlg_2")
        scene.loop.advance(TELL_SECONDS + 0.1)
        assert scene.gave_up == 0

    def test_an_error_of_nothing_is_no_work(self, scene):
        scene.event("error")
        assert not scene.delegation.at_work

    def test_of_which_it_says_something_is_not(self, scene):
        scene.begun().ends(kind="response.failed")
        scene.loop.do(scene.delegation.told)
        scene.loop.advance(PATIENCE_SECONDS)
        assert scene.gave_up == 0

    @pytest.mark.parametrize("kind", FAILED)
    def test_when_it_was_given_up_before_is_told_of_once(self, scene, kind):
        scene.begun()
        scene.loop.advance(PATIENCE_SECONDS + 0.1)
        scene.ends(kind=kind)
        scene.loop.advance(PATIENCE_SECONDS + 0.1)
        assert (scene.gave_up, scene.delegation.at_work) == (1, False)
