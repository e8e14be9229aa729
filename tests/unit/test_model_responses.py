"""fastbridge.model.responses: the controller asks and takes back in whatever words the dialect has; the rest of it is
tested in those of `model.realtime.responses`."""

from typing import Any

import pytest

from fastbridge.model.port import Create
from fastbridge.model.response_states import State
from fastbridge.model.responses import ResponseControl
from virtual import VirtualLoop


class Spoken(ResponseControl):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.said: list[str] = []

    def _ask(self, create: Create) -> None:
        self.said.append(f"ask {create.purpose}")

    def _take_back(self) -> None:
        self.said.append(f"take back {self.response_id}")


class Ears:
    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def make(loop: VirtualLoop, kind: type[ResponseControl]) -> Any:
    listener: Any = Ears()
    return kind(clock=loop.clock, progress=lambda: 0, listener=listener)


def test_one_after_the_other_in_the_dialects_words(loop):
    control = make(loop, Spoken)
    for purpose in ("greeting", "say"):
        loop.do(control.create, purpose)
    assert control.said == ["ask greeting"]
    loop.do(control.created, "resp_1")
    assert loop.do(control.cancel)
    assert control.said[-1] == "take back resp_1"
    loop.do(control.finished, "resp_1", "cancelled")
    assert control.said[-1] == "ask say"
    assert control.state is State.REQUESTED
    control.close()


@pytest.mark.parametrize("verb", ["_ask", "_take_back"])
def test_without_words_there_is_nothing_to_say(loop, verb):
    control = make(loop, ResponseControl)
    arguments = (Create("turn"),) if verb == "_ask" else ()
    with pytest.raises(NotImplementedError):
        getattr(control, verb)(*arguments)


def test_last_words_that_wait_are_no_more_than_what_the_model_says_once_it_was_told(loop):
    """Nor are they said where the call is not left; a firm one is said whatever was."""
    for told, firm, said in ((True, False, False), (False, False, True), (True, True, True)):
        control = make(loop, Spoken)
        loop.do(control.speech_started)
        loop.do(control.create, "goodbye")
        control._waiting[0] = Create("goodbye", None, firm)
        loop.do(lambda told=told, control=control: control.took_in(told=told))
        assert control.awaits("goodbye") is said
        control.drop("goodbye")
        assert control.awaits("goodbye") is firm
        control.close()


def test_last_words_that_wait_answer_the_caller(loop):
    control = make(loop, Spoken)
    loop.do(control.speech_started)
    loop.do(control.create, "goodbye")
    loop.do(control.speech_stopped)
    loop.do(control.answer_turn)
    assert control.said == ["ask goodbye"]
    control.close()
