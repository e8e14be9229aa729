"""call.upload_watch alone: every state, every deadline, and what of the caller's voice counts."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone
from fastbridge.call.happenings import NothingHeard, SessionUseless, TurnUnheard, TurnUnnoticed
from fastbridge.call.upload_watch import (
    DEAF_SECONDS,
    MAX_TAKEN,
    QUIET_SECONDS,
    SENTENCE_FRAMES,
    SIGN_SECONDS,
    VOICE_FRAMES,
    State,
    UploadWatch,
)

MOMENT = 0.002
WAITING = [State.QUIET_DUE, State.ASKED, State.OWED]


class Scene(Alone):
    model_tells_of_the_caller = False

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0
        self.caller: Any = SimpleNamespace(voice_frames=0, last_voice_ns=self.loop.now_ns)
        session: Any = SimpleNamespace(ask_for_a_sign=self._ask)
        self.watch = UploadWatch(clock=self.clock, facts=self, caller=self.caller, session=session, tell=self.tell)

    def _ask(self) -> None:
        self.questions += 1

    def voice(self, frames: int = VOICE_FRAMES) -> None:
        """It has ended now."""
        self.caller.voice_frames += frames
        self.caller.last_voice_ns = self.loop.now_ns

    def check(self) -> None:
        self.do(self.watch.check)

    def at(self, state: State, frames: int = VOICE_FRAMES) -> None:
        """Brought there by a voice."""
        if state is State.LISTENING:
            return
        self.voice(frames)
        self.check()
        if state is not State.QUIET_DUE:
            self.advance(QUIET_SECONDS + MOMENT)
        if state is State.OWED:
            self.advance(SIGN_SECONDS + MOMENT)
            assert self.told.pop() == TurnUnheard()
        assert (self.watch.state, self.told) == (state, [])


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.shut(scene.watch.close)


def test_the_bounds_are_these():
    """Half a second of voice, a sentence of more than one, three turns."""
    assert (VOICE_FRAMES, SENTENCE_FRAMES, MAX_TAKEN) == (25, 60, 3)


class TestVoice:
    def test_of_half_a_second_counts(self, scene):
        scene.voice(VOICE_FRAMES - 1)
        assert not scene.watch.said_unheard
        scene.voice(1)
        assert scene.watch.said_unheard

    @pytest.mark.parametrize("frames", [0, VOICE_FRAMES - 1])
    def test_of_less_is_forgotten_once_it_is_quiet(self, scene, frames):
        scene.voice(frames)
        scene.advance(QUIET_SECONDS + MOMENT)
        scene.check()
        scene.voice(VOICE_FRAMES - 1)
        scene.check()
        assert (scene.watch.said_unheard, scene.watch.state) == (False, State.LISTENING)

    def test_with_a_breath_in_it_is_one(self, scene):
        scene.voice(VOICE_FRAMES - 1)
        scene.advance(QUIET_SECONDS)
        scene.check()
        scene.voice(1)
        scene.check()
        assert scene.watch.state is State.QUIET_DUE

    def test_of_which_the_model_has_told_is_none_of_ours(self, scene):
        scene.voice()
        scene.do(scene.watch.noticed)
        assert not scene.watch.said_unheard
        scene.check()
        assert scene.watch.state is State.LISTENING

    def test_while_the_model_tells_is_its_own(self, scene):
        scene.voice()
        scene.model_tells_of_the_caller = True
        scene.check()
        scene.model_tells_of_the_caller = False
        assert not scene.watch.said_unheard
        scene.check()
        assert scene.watch.state is State.LISTENING


class TestQuestion:
    def test_is_put_when_it_has_been_quiet_for_so_long(self, scene):
        scene.voice()
        scene.advance(0.5)
        scene.check()
        assert scene.watch.state is State.QUIET_DUE
        scene.advance(QUIET_SECONDS - 0.5 - MOMENT)
        assert scene.questions == 0
        scene.advance(2 * MOMENT)
        assert (scene.questions, scene.watch.state) == (1, State.ASKED)

    def test_is_put_at_once_where_that_was_long_ago(self, scene):
        scene.voice()
        scene.advance(5)
        scene.check()
        scene.advance(0)
        assert (scene.questions, scene.watch.state) == (1, State.ASKED)

    def test_waits_for_the_end_of_a_voice_that_goes_on(self, scene):
        scene.at(State.QUIET_DUE)
        for _ in range(4):
            scene.advance(QUIET_SECONDS - MOMENT)
            scene.voice(20)
        scene.advance(QUIET_SECONDS - MOMENT)
        assert (scene.questions, scene.watch.state) == (0, State.QUIET_DUE)
        scene.advance(2 * MOMENT)
        assert scene.questions == 1

    def test_comes_after_the_last_of_the_voice_and_not_a_moment_before(self, scene):
        scene.at(State.QUIET_DUE)
        scene.advance(0.005)
        scene.voice(1)
        scene.advance(QUIET_SECONDS - MOMENT)
        assert scene.questions == 0
        scene.advance(2 * MOMENT)
        assert scene.questions == 1

    @pytest.mark.parametrize("state", WAITING)
    def test_is_not_put_again_by_another_look(self, scene, state):
        scene.at(state)
        questions = scene.questions
        for _ in range(3):
            scene.check()
        assert (scene.watch.state, scene.questions) == (state, questions)
        scene.do(scene.watch.close)
        scene.advance(10)
        assert scene.questions == questions, "a look sets no deadline anew"


class TestWait:
    def test_for_a_sign_is_short(self, scene):
        scene.at(State.ASKED)
        scene.advance(SIGN_SECONDS - 2 * MOMENT)
        assert scene.told == []
        scene.advance(2 * MOMENT)
        assert (scene.told, scene.watch.state) == ([TurnUnheard()], State.OWED)

    def test_for_a_deaf_model_has_an_end(self, scene):
        scene.at(State.OWED)
        scene.advance(DEAF_SECONDS - 3 * MOMENT)
        assert scene.told == []
        scene.advance(3 * MOMENT)
        assert scene.told == [SessionUseless("the model does not hear the caller", "upload_deaf")]
        assert (scene.watch.state, scene.watch.said_unheard) == (State.LISTENING, False)

    @pytest.mark.parametrize("state", WAITING)
    def test_ends_with_what_the_model_tells_of_the_caller(self, scene, state):
        scene.at(state)
        scene.do(scene.watch.noticed)
        assert (scene.watch.state, scene.watch.said_unheard) == (State.LISTENING, False)
        questions = scene.questions
        scene.advance(10)
        assert (scene.told, scene.questions) == ([], questions)

    @pytest.mark.parametrize("state", WAITING)
    def test_ends_where_nothing_of_his_goes_unnoticed_by_then(self, scene, state):
        scene.at(state)
        questions = scene.questions
        scene.model_tells_of_the_caller = True
        scene.advance(DEAF_SECONDS + MOMENT)
        assert (scene.watch.state, scene.watch.said_unheard) == (State.LISTENING, False)
        assert (scene.told, scene.questions) == ([], questions)

    @pytest.mark.parametrize("state", WAITING)
    def test_ends_with_the_call(self, scene, state):
        scene.at(state)
        scene.do(scene.watch.close)
        assert scene.loop.pending_timers() == []


class TestSign:
    @pytest.mark.parametrize("state", [State.LISTENING, State.QUIET_DUE])
    def test_that_nobody_asked_for_is_none(self, scene, state):
        scene.at(state, SENTENCE_FRAMES)
        scene.do(scene.watch.sign)
        assert (scene.watch.state, scene.told) == (state, [])
        assert scene.watch.said_unheard is (state is not State.LISTENING)

    @pytest.mark.parametrize(("state", "told"), [(State.ASKED, []), (State.OWED, [NothingHeard()])])
    def test_after_less_than_a_sentence_says_that_there_was_no_speech(self, scene, state, told):
        """Who was not told to wait needs no word."""
        scene.at(state, SENTENCE_FRAMES - 1)
        scene.do(scene.watch.sign)
        assert (scene.told, scene.watch.state, scene.watch.said_unheard) == (told, State.LISTENING, False)
        scene.advance(10)
        assert scene.told == told

    @pytest.mark.parametrize("state", [State.ASKED, State.OWED])
    def test_after_a_sentence_has_the_turn_taken(self, scene, state):
        scene.at(state, SENTENCE_FRAMES)
        scene.do(scene.watch.sign)
        assert (scene.told, scene.watch.state) == ([TurnUnnoticed("turns_untold")], State.LISTENING)

    def test_after_a_sentence_and_an_older_word_of_the_models_counts_what_came_since(self, scene):
        scene.voice(SENTENCE_FRAMES)
        scene.do(scene.watch.noticed)
        scene.at(State.ASKED, SENTENCE_FRAMES - 1)
        scene.do(scene.watch.sign)
        assert scene.told == []

    @pytest.mark.parametrize(("state", "told"), [(State.ASKED, []), (State.OWED, [NothingHeard()])])
    def test_takes_so_many_turns_in_a_call_and_no_more(self, scene, state, told):
        for number in range(MAX_TAKEN):
            scene.at(State.ASKED, SENTENCE_FRAMES)
            scene.do(scene.watch.sign)
            assert scene.told == [TurnUnnoticed("turns_untold")], f"turn {number + 1}"
            scene.told.clear()
        scene.at(state, SENTENCE_FRAMES)
        scene.do(scene.watch.sign)
        assert scene.told == told
