"""call.turns and call.answers, on parts that are written down: what they must forget, and when."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.call.answers import MAX_STUCK, RESUME_SECONDS, RETRY_SECONDS, Answers
from fastbridge.call.happenings import AnswerOwed, ModelHopeless, SessionUseless, WaitChanged
from fastbridge.call.turns import Turns
from fastbridge.errors import ModelError
from fastbridge.model.port import OWN_TURN, Create
from fastbridge.observe.call_log import CallLog
from virtual import VirtualLoop

FAILED = ModelError("no", "server_error")
GREETING = Create("greeting")


class Scene:
    """The caller has said "Hello?" once, and the model knows. under_way: what the line's loss would break off."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.asked: list[str] = []
        self.told: list[Any] = []
        self.taken = 0
        self.items: list[tuple[str, str, int, int]] = []
        self.under_way: Create | None = None
        self.responses = SimpleNamespace(
            serving=OWN_TURN,
            refused_by_us=False,
            resting=True,
            response_id="resp_1",
            create=lambda purpose, wish, firm: self.asked.append(purpose),
            speech_started=lambda: None,
            speech_stopped=lambda: None,
            answer_turn=lambda: self.asked.append("turn"),
            awaits=lambda *purposes: False,
            suspend=lambda: self.under_way,
            resume=lambda: None,
        )
        session = SimpleNamespace(
            responses=self.responses,
            turns={"item_u": Turn("caller", "item_u", text="Hello?")},
            turn_end_seconds=0.5,
            turn_told_seconds=0.5,
            take_turn=self._take_turn,
            break_off=lambda **how: None,
        )
        shared: dict[str, Any] = {
            "clock": self.loop.clock,
            "facts": self,
            "session": session,
            "log": CallLog("CA1"),
            "tell": self._tell,
        }
        caller = SimpleNamespace(voice_frames=0, last_voice_ns=0, mute=lambda: None)
        self.turns = Turns(caller=caller, **shared)
        self.answers = Answers(assistant=SimpleNamespace(items=lambda: self.items), **shared)

    # The facts.

    line_up = True
    interrupts_unnoticed = said_unheard = tools_at_work = handed_on = leave_asked = False
    noise_response = ""

    def __getattr__(self, fact: str) -> Any:
        if fact not in ("uncommitted", "owed_at_loss", "spoke_at_loss", "model_hears"):
            raise AttributeError(fact)
        return getattr(self.turns, "speaking" if fact == "model_hears" else fact)

    def _tell(self, event: Any) -> None:
        self.told.append(event)
        if isinstance(event, AnswerOwed):
            self.turns.owes()

    def _take_turn(self) -> None:
        self.taken += 1

    def do(self, *steps: str) -> None:
        """Events of the call, by the names of those who hear them, in the table's order."""
        for step in steps:
            for part in (self.answers, self.turns) if step == "line_up" else (self.turns, self.answers):
                if hasattr(part, step):
                    self.loop.do(getattr(part, step))

    def done(self, status: str, response_id: str = "resp_1", error: ModelError | None = None) -> None:
        self.loop.do(self.answers.response_done, response_id, status, error)

    def succeeds(self) -> None:
        self.items.append(("item_1", "resp_good", 400, 400))
        self.done("completed", "resp_good")

    def stuck(self, response_id: str = "resp_1") -> None:
        self.loop.do(self.answers.response_stuck, response_id, GREETING)

    def calls_a_tool(self, response_id: str = "resp_1") -> None:
        self.loop.do(self.answers.tool_called, response_id, ToolCall("call_1", "hours", "{}", 0))

    @property
    def given_up(self) -> list[str | None]:
        return [told.error.code for told in self.told if isinstance(told, ModelHopeless)]

    @property
    def sessions_given_up(self) -> list[str]:
        return [told.code for told in self.told if isinstance(told, SessionUseless)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.do("close")
    assert scene.loop.failures == []
    assert scene.loop.pending_timers() == []
    scene.loop.close()


class TestRetry:
    """A response has failed and is to be asked for again soon."""

    @pytest.fixture(autouse=True)
    def failure(self, scene):
        scene.done("failed", error=FAILED)
        assert scene.asked == []

    def test_comes(self, scene):
        scene.loop.advance(RETRY_SECONDS[0])
        assert scene.asked == ["turn"]

    def test_not_once_the_caller_goes_on(self, scene):
        scene.do("speech_started")
        scene.loop.advance(RETRY_SECONDS[0])
        assert scene.asked == []

    def test_not_once_another_response_has_begun(self, scene):
        scene.loop.do(scene.answers.response_created, "resp_2", "turn")
        scene.loop.advance(10)
        assert scene.asked == []

    def test_not_once_the_line_is_lost_which_asks_itself(self, scene):
        scene.do("line_lost")
        asked = list(scene.asked)
        scene.loop.advance(10)
        assert (asked, scene.asked) == (["turn"], ["turn"])


class TestSpeech:
    def test_told_of_is_no_unnoticed_interruption_any_more(self, scene):
        scene.do("interrupted")
        assert scene.turns.interrupted_unnoticed
        scene.do("speech_started")
        assert not scene.turns.interrupted_unnoticed

    def test_ended_for_the_model_is_over(self, scene):
        scene.do("speech_started")
        assert scene.turns.speaking
        scene.loop.advance(2)
        assert (scene.taken, scene.turns.speaking) == (1, False)

    @pytest.mark.parametrize("end", ["last_word", "line_lost"])
    def test_that_nobody_listens_to_any_more_is_not_ended(self, scene, end):
        scene.do("speech_started", end)
        scene.loop.advance(10)
        assert (scene.taken, scene.turns.speaking) == (0, False)

    @pytest.mark.parametrize("settles", ["speech_started", "last_word", "heard_nothing", "line_lost"])
    def test_that_was_owed_an_answer_is_not_any_more(self, scene, settles):
        scene.do("speech_started", "speech_stopped")
        assert scene.turns.owed
        scene.do(settles)
        assert not scene.turns.owed

    @pytest.mark.parametrize(
        ("since", "asked"),
        [
            ([], "repeat"),
            (["committed"], "turn"),
            (["speech_started", "speech_stopped"], "turn"),
            (["heard_nothing"], "turn"),
        ],
    )
    def test_that_the_model_never_took_is_not_known_in_words(self, scene, since, asked):
        """What is in the conversation is older."""
        scene.do("unheard", *since)
        scene.under_way = OWN_TURN
        scene.do("line_lost")
        assert scene.asked == [asked]


class TestStuck:
    def test_is_asked_for_again_once(self, scene):
        scene.stuck()
        for _ in range(2):
            scene.responses.refused_by_us = True
            scene.done("cancelled")
            assert scene.asked == ["greeting"]

    def test_is_asked_for_once_where_the_line_was_lost_before_its_end(self, scene):
        scene.stuck()
        scene.do("line_lost")
        assert scene.asked == ["greeting"]
        scene.responses.refused_by_us = True
        scene.done("cancelled")
        assert scene.asked == ["greeting"]

    @pytest.mark.parametrize("how", ["words", "a tool"])
    def test_in_a_row_are_counted(self, scene, how):
        for number in range(MAX_STUCK):
            assert scene.sessions_given_up == []
            scene.stuck(f"resp_{number}")
        assert (scene.sessions_given_up, scene.given_up) == (["response_stuck"], [])
        if how == "words":
            scene.succeeds()
        else:
            scene.calls_a_tool("resp_9")
            scene.done("completed", "resp_9")
        for number in range(MAX_STUCK):
            assert scene.sessions_given_up == ["response_stuck"]
            scene.stuck(f"resp_1{number}")
        assert (scene.sessions_given_up, scene.given_up) == (["response_stuck"] * 2, [])

    def test_one_more_is_the_end(self, scene):
        for number in range(MAX_STUCK + 1):
            assert scene.given_up == []
            scene.stuck(f"resp_{number}")
        assert scene.given_up == ["response_stuck"]


def test_silent_answers_are_counted_in_a_row(scene):
    for _ in range(3):
        scene.done("completed")
        assert scene.given_up == []
        scene.succeeds()
    scene.done("completed")
    scene.done("completed")
    assert scene.given_up == ["empty_response"]


def test_a_tool_call_is_of_its_session(scene):
    """Another session may use the same ids."""
    scene.calls_a_tool()
    scene.do("line_lost", "line_up")
    scene.under_way = GREETING
    scene.do("line_lost")
    assert scene.asked == ["greeting"]


@pytest.mark.parametrize("waiting", ["tool_result", "hold", "goodbye"])
def test_what_broke_off_is_not_gone_on_with_where_a_tools_result_has_something_said(scene, waiting):
    scene.calls_a_tool()
    scene.under_way = GREETING
    scene.responses.awaits = lambda *purposes: waiting in purposes
    scene.do("line_lost")
    assert scene.asked == []


def test_what_broke_off_is_gone_on_with_where_a_tools_result_has_nothing_said(scene):
    scene.calls_a_tool()
    scene.under_way = GREETING
    scene.do("line_lost")
    assert scene.asked == ["greeting"]


def test_who_spoke_when_the_line_was_lost_is_asked_once(scene):
    scene.do("speech_started", "line_lost", "line_up")
    scene.loop.advance(RESUME_SECONDS)
    assert scene.asked == ["repeat"]
    scene.do("line_up")
    assert scene.turns.overdue_seconds == 0.0
    scene.loop.advance(10)
    assert scene.asked == ["repeat"]


@pytest.mark.parametrize(("steps", "late_seconds"), [(("speech_started", "line_lost", "line_up"), 1.4), ((), 0.0)])
def test_what_the_next_session_tells_of_is_what_he_was_saying(scene, steps, late_seconds):
    """He spoke when the line was lost; the next session tells of it when he has long stopped, and he has waited."""
    scene.do(*steps)
    scene.turns._caller.last_voice_ns = scene.loop.now_ns
    scene.loop.advance(1.0)
    scene.do("speech_started")
    scene.loop.advance(0.9)
    scene.do("speech_stopped")
    told = [event.late_seconds for event in scene.told if isinstance(event, WaitChanged)]
    assert told[-1] == pytest.approx(late_seconds)
