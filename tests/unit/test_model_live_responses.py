"""fastbridge.model.live.responses: what is asked for is told in words, and nothing is ever cancelled on the wire."""

from typing import Any

import pytest

from fastbridge.model.line import HEALTHY_SECONDS
from fastbridge.model.live.responses import ANSWER, NO_TOOLS, REACT, ResponseController
from fastbridge.model.port import WORDS_ONLY, Wish, saying
from fastbridge.model.response_states import DEADLINES_SECONDS, State
from virtual import VirtualLoop

REQUESTED = DEADLINES_SECONDS[State.REQUESTED]


class Scene:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.sent: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.works = self.hears = False
        self.controller = ResponseController(
            clock=self.loop.clock,
            send=self.sent.append,
            progress=lambda: self.loop.now_ns,
            at_work=lambda: self.works,
            hears=lambda: self.hears,
            listener=self,
        )

    def on_asked(self) -> None: ...
    def on_response_refused(self, response_id: str) -> None: ...
    def on_response_lost(self, response_id: str) -> None: ...
    def on_response_stuck(self, response_id: str, create: Any) -> None: ...
    def on_create_failed(self, create: Any, code: str) -> None:
        self.failed.append(code)

    def create(self, *arguments: Any) -> None:
        self.loop.do(self.controller.create, *arguments)

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(event["type"].split(".")[1], event["content"]) for event in self.sent]


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.controller.close()
    scene.loop.close()


@pytest.mark.parametrize(
    ("purpose", "wish", "said"),
    [
        ("greeting", saying("Hello!", "Greet. "), ("commentary", "Hello!")),
        ("silence", Wish("Ask whether they are there."), ("instructions", "Ask whether they are there.")),
        ("turn", None, ("instructions", ANSWER)),
        ("keys", None, ("instructions", REACT)),
        ("tool_result", None, ("instructions", REACT)),
        ("tool_result", WORDS_ONLY, ("instructions", NO_TOOLS)),
    ],
)
def test_is_told_in_words(scene, purpose, wish, said):
    scene.create(purpose, wish)
    assert scene.said == [said]
    assert scene.sent[0]["delegation_id"] is None
    assert scene.sent[0]["event_id"] == "create_1"


@pytest.mark.parametrize("purpose", ["turn", "tool_result"])
def test_what_work_will_tell_is_not_asked_for(scene, purpose):
    scene.works = True
    scene.create(purpose)
    assert scene.sent == []
    assert scene.controller.state is State.REQUESTED


def test_a_long_text_is_several_messages_of_one_request(scene):
    scene.create("say", saying("word " * 500))
    assert len(scene.sent) > 1
    assert ["event_id" in event for event in scene.sent] == [True] + [False] * (len(scene.sent) - 1)


def test_the_next_utterance_serves_it(scene):
    scene.create("greeting", saying("Hello!"))
    assert scene.controller.awaited
    assert scene.loop.do(scene.controller.created, "live_1") == "greeting"
    assert not scene.controller.awaited
    assert scene.loop.do(scene.controller.finished, "live_1", "completed")


def test_is_asked_for_twice_and_then_it_has_failed(scene):
    scene.create("greeting", saying("Hello!"))
    scene.loop.advance(REQUESTED + 0.01)
    assert (len(scene.sent), scene.failed) == (2, [])
    scene.loop.advance(REQUESTED + 0.01)
    assert (len(scene.sent), scene.failed) == (2, ["unanswered"])


def test_a_model_that_has_said_nothing_since_is_asked_once_each(scene):
    """In the next session, too: each of them lasts less than what makes a session healthy."""
    scene.create("greeting", saying("Hello!"))
    scene.loop.advance(HEALTHY_SECONDS - 0.01)
    assert scene.failed == ["unanswered"]
    scene.create("greeting", saying("Hello!"))
    scene.loop.advance(REQUESTED + 0.01)
    assert (len(scene.sent), scene.failed) == (3, ["unanswered"] * 2)
    scene.loop.do(scene.controller.created, "live_1")
    scene.loop.do(scene.controller.finished, "live_1", "completed")
    scene.create("silence", Wish("Ask."))
    scene.loop.advance(REQUESTED + 0.01)
    assert (len(scene.sent), scene.failed) == (5, ["unanswered"] * 2)


@pytest.mark.parametrize("purpose", ["turn", "tool_result"])
def test_who_waits_for_work_that_is_lost_is_told(scene, purpose):
    scene.works = True
    scene.create(purpose)
    scene.works = False
    scene.loop.do(scene.controller.tell_instead, Wish("It could not be done."))
    assert scene.said == [("instructions", "It could not be done.")]
    assert scene.loop.do(scene.controller.created, "live_1") == "reprompt"
    assert scene.controller.running


def test_of_lost_work_is_told_later_where_something_else_is_being_said(scene):
    scene.create("greeting", saying("Hello!"))
    scene.loop.do(scene.controller.tell_instead, Wish("It could not be done."))
    assert [content for _, content in scene.said] == ["Hello!"]
    scene.loop.do(scene.controller.created, "live_1")
    scene.loop.do(scene.controller.finished, "live_1", "completed")
    assert [content for _, content in scene.said] == ["Hello!", "It could not be done."]


def test_what_work_has_brought_has_its_time_to_be_said(scene):
    """Whenever the request was made that waited for it."""
    scene.works = True
    scene.create("turn")
    scene.loop.advance(2 * REQUESTED - 0.1)
    scene.works = False
    scene.loop.do(scene.controller.wait_anew)
    scene.loop.advance(REQUESTED - 0.1)
    assert scene.said == []
    scene.loop.advance(0.2)
    assert scene.said == [("instructions", ANSWER)]


def test_a_last_word_is_told_a_model_that_speaks_at_once_and_no_second_time(scene):
    scene.create("turn")
    scene.loop.do(scene.controller.created, "live_1")
    scene.loop.do(scene.controller.cancel)
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    assert scene.said[1:] == [("instructions", "Say goodbye.")]
    scene.loop.do(scene.controller.finished, "live_1", "cancelled")
    assert len(scene.said) == 2
    assert scene.loop.do(scene.controller.created, "live_2") == "goodbye"


def test_another_session_was_told_nothing(scene):
    """Neither what was asked for, nor what was to be said again."""
    scene.create("turn")
    scene.loop.do(scene.controller.created, "live_1")
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    scene.loop.do(scene.controller.finished, "live_1", "completed")
    scene.loop.do(scene.controller.suspend)
    scene.loop.do(scene.controller.resume)
    assert scene.said[1:] == [("instructions", "Say goodbye.")] * 2


def test_but_where_it_says_nothing_then(scene):
    scene.create("turn")
    scene.loop.do(scene.controller.created, "live_1")
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    scene.loop.do(scene.controller.finished, "live_1", "completed")
    scene.loop.advance(REQUESTED + 0.1)
    assert scene.said[1:] == [("instructions", "Say goodbye.")] * 2


def test_nothing_is_asked_again_while_the_caller_speaks(scene):
    """What it says next is an answer to him; then it has its time for that."""
    scene.create("greeting", saying("Hello!"))
    scene.hears = True
    scene.loop.advance(3 * REQUESTED - 0.1)
    scene.hears = False
    scene.loop.do(scene.controller.wait_anew)
    scene.loop.advance(REQUESTED - 0.1)
    assert (len(scene.said), scene.failed) == (1, [])
    scene.loop.advance(0.2)
    assert len(scene.said) == 2


def test_the_end_of_work_that_nobody_waits_for_changes_nothing(scene):
    scene.loop.do(scene.controller.wait_anew)
    scene.loop.advance(2 * REQUESTED)
    assert (scene.said, scene.failed) == ([], [])


@pytest.mark.parametrize(("purpose", "then"), [("tool_result", "turn"), ("greeting", "greeting")])
def test_in_another_session_the_caller_is_answered(scene, purpose, then):
    """Who waited for work is: what was asked of a session whose work is lost is not asked of the next."""
    scene.works = True
    scene.create(purpose, saying("Hello!") if purpose == "greeting" else None)
    scene.loop.do(scene.controller.answer_elsewhere)
    scene.loop.do(scene.controller.suspend)
    scene.loop.do(scene.controller.resume)
    assert scene.loop.do(scene.controller.created, "live_1") == then


def test_work_is_waited_for(scene):
    scene.works = True
    scene.create("tool_result")
    scene.loop.advance(10 * REQUESTED)
    assert scene.failed == []
    scene.works = False
    scene.loop.advance(3 * REQUESTED)
    assert scene.failed == ["unanswered"]


def test_nothing_is_sent_to_cancel(scene):
    scene.loop.do(scene.controller.created, "live_1")
    assert scene.loop.do(scene.controller.cancel) is False
    assert scene.controller.state is State.CANCELLING
    assert scene.sent == []
    assert scene.loop.do(scene.controller.finished, "live_1", "cancelled")
    assert scene.controller.refused_by_us


def test_an_answer_to_the_caller_is_not_awaited(scene):
    scene.loop.do(scene.controller.answer_turn)
    assert not scene.controller.awaited


@pytest.mark.parametrize(("works", "taken_back"), [(True, True), (True, False), (False, True)])
def test_a_last_word_does_not_wait_for_what_was_asked_for_before(scene, works, taken_back):
    """Nothing is being said; and work may take as long as it likes."""
    scene.works = True
    scene.create("turn")
    scene.works = works
    if taken_back:
        scene.loop.do(scene.controller.cancel)
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    assert scene.said == [("instructions", "Say goodbye.")]
    assert scene.controller.says_last_word
    assert scene.loop.do(scene.controller.created, "live_1") == "goodbye"
    assert scene.loop.do(scene.controller.finished, "live_1", "completed")
    assert scene.loop.do(scene.controller.created, "live_2") is None


def test_but_for_an_answer_that_is_about_to_be_said_it_does(scene):
    scene.create("turn")
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    assert scene.said == [("instructions", ANSWER)]
    assert scene.loop.do(scene.controller.created, "live_1") == "turn"


def test_what_was_taken_back_is_not_what_answers_the_caller(scene):
    scene.create("silence", Wish("Ask."))
    scene.loop.do(scene.controller.speech_started)
    assert not scene.controller.awaited
    scene.loop.do(scene.controller.speech_stopped)
    scene.loop.do(scene.controller.turn_taken)
    assert not scene.loop.do(scene.controller.rejected, "create_1", "late")  # that one is not asked for any more
    assert scene.loop.do(scene.controller.created, "live_1") == "turn"
    assert scene.controller.running


def test_who_was_given_way_to_has_no_answer(scene):
    """An answering machine, which talks on."""
    scene.create("greeting", saying("Hello!"))
    scene.loop.do(scene.controller.give_way)
    scene.loop.do(scene.controller.turn_taken)
    assert scene.controller.awaited
    assert scene.loop.do(scene.controller.created, "live_1") is None
    assert scene.loop.do(scene.controller.finished, "live_1", "cancelled")
    assert scene.loop.do(scene.controller.created, "live_2") == "turn"


@pytest.mark.parametrize("ends", ["it begins", "the session is lost"])
def test_but_who_comes_after_has_one(scene, ends):
    scene.create("greeting", saying("Hello!"))
    scene.loop.do(scene.controller.give_way)
    if ends == "it begins":
        scene.loop.do(scene.controller.created, "live_1")
        scene.loop.do(scene.controller.finished, "live_1", "cancelled")
    else:
        scene.loop.do(scene.controller.suspend)
        scene.loop.do(scene.controller.resume)
    scene.create("silence", Wish("Ask."))
    scene.loop.do(scene.controller.speech_started)
    scene.loop.do(scene.controller.turn_taken)
    assert scene.loop.do(scene.controller.created, "live_2") == "turn"


def test_what_was_not_taken_back_is_still_asked_for(scene):
    scene.create("greeting", saying("Hello!"))
    scene.loop.do(scene.controller.turn_taken)
    assert scene.loop.do(scene.controller.created, "live_1") == "greeting"


def test_behind_the_last_word_nothing_answers_the_caller(scene):
    scene.loop.do(lambda: scene.controller.create("goodbye", Wish("Say goodbye."), firm=True))
    scene.loop.do(scene.controller.cancel)
    scene.loop.do(scene.controller.turn_taken)
    assert scene.loop.do(scene.controller.created, "live_1") is None
