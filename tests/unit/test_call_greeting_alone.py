"""call.greeting alone: every state, every deadline, and whose events count."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone, lines
from fastbridge.agent import Agent
from fastbridge.call.greeting import (
    CHECK_SECONDS,
    FIRST_AUDIO_SECONDS,
    HARD_SECONDS,
    HEARD_SECONDS,
    Greeting,
    State,
)
from fastbridge.config import Settings
from fastbridge.observe.stats import CallStats

MOMENT = 0.002
OURS, OTHERS = "resp_ours", "resp_other"


class Scene(Alone):
    """locks: what the caller's lane was told."""

    assistant_speaks = False

    def __init__(self, text: str = "Hello!", *, lock: bool = True) -> None:
        super().__init__()
        self.locks: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.stats = CallStats()
        self.assistant: Any = SimpleNamespace(playing=False, schedule=SimpleNamespace(play_end_ns=0))
        self.responses = SimpleNamespace(
            busy=False, create=lambda why, wish: self.asked.append((why, wish.instructions))
        )
        caller: Any = SimpleNamespace(
            lock=lambda: self.locks.append("lock"), unlock=lambda: self.locks.append("unlock")
        )
        session: Any = SimpleNamespace(responses=self.responses)
        self.greeting = Greeting(
            text,
            lock=lock,
            clock=self.clock,
            facts=self,
            assistant=self.assistant,
            caller=caller,
            session=session,
            stats=self.stats,
            log=self.log,
        )

    def at(self, state: State) -> "Scene":
        """The stream has started, and the greeting is brought so far."""
        steps = [
            (self.greeting.begin,),
            (self.greeting.ready,),
            (self.greeting.response_created, OURS, "greeting"),
            (self._sounds,),
            (self.greeting.played, OURS),
        ]
        for step in steps[: {State.WAITING: 1, State.REQUESTED: 3, State.PLAYING: 4, State.OVER: 5}[state]]:
            self.do(*step)
        assert self.greeting.state is state
        return self

    def _sounds(self) -> None:
        self.assistant.playing = self.assistant_speaks = True
        self.greeting.playing(OURS)

    def falls_silent(self) -> None:
        """All that the lane has was heard."""
        self.assistant.playing = self.assistant_speaks = False
        self.assistant.schedule.play_end_ns = self.loop.now_ns

    def done(self, status: str = "completed", response_id: str = OURS) -> None:
        self.do(self.greeting.response_done, response_id, status, None)

    @property
    def released(self) -> bool:
        over = self.greeting.state is State.OVER
        assert over is (not self.greeting.locked)
        assert self.locks == (["lock", "unlock"] if over else ["lock"])
        return over


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.shut(scene.greeting.close)


@pytest.fixture
def open_line() -> Iterator[Scene]:
    """A greeting without its lock."""
    scene = Scene(lock=False)
    yield scene
    assert scene.locks == []
    scene.shut(scene.greeting.close)


@pytest.fixture
def wordless() -> Iterator[Scene]:
    scene = Scene("")
    yield scene
    scene.shut(scene.greeting.close)


class TestAsked:
    def test_once_in_these_words(self, scene):
        scene.at(State.REQUESTED)
        scene.do(scene.greeting.ready)
        assert scene.asked == [("greeting", "Greet the caller now. Say exactly this, and nothing else: Hello!")]

    def test_not_without_words(self, wordless):
        wordless.do(wordless.greeting.begin)
        wordless.do(wordless.greeting.ready)
        assert (wordless.asked, wordless.locks, wordless.greeting.state) == ([], [], State.NONE)

    @pytest.mark.parametrize(
        ("state", "awaited"),
        [(State.WAITING, True), (State.REQUESTED, True), (State.PLAYING, False), (State.OVER, False)],
    )
    def test_it_is_awaited_until_something_was_heard_of_it(self, scene, state, awaited):
        assert scene.at(state).greeting.awaited is awaited

    def test_nor_is_one_awaited_that_there_is_not(self, wordless):
        assert not wordless.greeting.awaited


class TestLock:
    def test_is_closed_when_the_stream_starts(self, scene):
        assert (scene.greeting.locked, scene.locks) == (False, [])
        scene.at(State.WAITING)
        assert (scene.greeting.locked, scene.locks) == (True, ["lock"])

    def test_lasts_so_long_and_no_longer(self, scene):
        scene.at(State.WAITING)
        scene.advance(HARD_SECONDS - MOMENT)
        assert not scene.released
        scene.advance(2 * MOMENT)
        assert scene.released

    def test_lasts_no_longer_while_it_plays(self, scene):
        scene.at(State.PLAYING)
        scene.advance(HARD_SECONDS - MOMENT)
        assert not scene.released
        scene.advance(2 * MOMENT)
        assert scene.released

    def test_is_opened_once(self, scene):
        scene.at(State.OVER)
        scene.done("failed")
        scene.do(scene.greeting.played, OURS)
        assert scene.locks == ["lock", "unlock"]

    def test_there_is_none_where_there_is_to_be_none(self, open_line):
        for state in (State.WAITING, State.REQUESTED, State.PLAYING):
            open_line.at(state)
            assert not open_line.greeting.locked

    def test_the_first_audio_has_so_long(self, scene):
        scene.advance(1)
        scene.at(State.REQUESTED)
        scene.advance(FIRST_AUDIO_SECONDS - MOMENT)
        assert not scene.released
        scene.advance(2 * MOMENT)
        assert scene.released

    def test_the_first_audio_is_waited_for_no_more_once_it_has_come(self, scene):
        scene.at(State.PLAYING)
        scene.advance(FIRST_AUDIO_SECONDS + 1)
        assert not scene.released


class TestChange:
    @pytest.mark.parametrize("state", [State.REQUESTED, State.PLAYING, State.OVER])
    def test_comes_too_late_once_it_was_asked_for(self, scene, state):
        scene.at(state)
        scene.do(lambda: scene.greeting.change("", lock=False))
        assert (scene.greeting.state, scene.released) == (state, state is State.OVER)

    def test_gives_words_to_one_that_had_none(self, wordless):
        wordless.do(lambda: wordless.greeting.change("Hi.", lock=True))
        assert (wordless.greeting.state, wordless.greeting.locked) == (State.WAITING, False)
        wordless.do(wordless.greeting.begin)
        wordless.do(wordless.greeting.ready)
        assert (wordless.locks, len(wordless.asked)) == (["lock"], 1)

    def test_locks_a_stream_that_runs(self, wordless):
        wordless.do(wordless.greeting.begin)
        wordless.do(lambda: wordless.greeting.change("Hi.", lock=True))
        assert (wordless.greeting.locked, wordless.locks) == (True, ["lock"])
        wordless.advance(HARD_SECONDS + MOMENT)
        assert wordless.locks == ["lock", "unlock"]

    def test_locks_none_that_is_not_to_be(self, wordless):
        wordless.do(wordless.greeting.begin)
        wordless.do(lambda: wordless.greeting.change("Hi.", lock=False))
        assert (wordless.greeting.state, wordless.greeting.locked, wordless.locks) == (State.WAITING, False, [])

    def test_of_the_words_alone_keeps_the_lock_and_its_deadline(self, scene):
        scene.at(State.WAITING)
        scene.advance(HARD_SECONDS / 2)
        scene.do(lambda: scene.greeting.change("Hi.", lock=True))
        assert scene.locks == ["lock"]
        scene.advance(HARD_SECONDS / 2 + MOMENT)
        assert scene.released

    @pytest.mark.parametrize(("text", "lock"), [("", True), ("Hi.", False)])
    def test_opens_a_line_that_was_locked_and_waits_for_nothing(self, scene, text, lock):
        scene.at(State.WAITING)
        scene.do(lambda: scene.greeting.change(text, lock=lock))
        assert (scene.greeting.locked, scene.locks) == (False, ["lock", "unlock"])
        assert scene.greeting.state is (State.WAITING if text else State.NONE)
        assert scene.loop.pending_timers() == []

    def test_opens_none_that_was_not(self, scene):
        scene.do(lambda: scene.greeting.change("", lock=False))
        assert (scene.locks, scene.greeting.state) == ([], State.NONE)

    @pytest.mark.parametrize("setting", [True, False])
    @pytest.mark.parametrize("of_agent", [None, True, False])
    def test_by_who_answers(self, wordless, setting, of_agent):
        agent = Agent(greeting="Good day.", greeting_lock=of_agent)
        context: Any = None
        settings = Settings.model_construct(greeting_lock=setting)
        wordless.do(wordless.greeting.begin)
        wordless.do(wordless.greeting.use, agent, context, settings)
        assert wordless.greeting.locked is (setting if of_agent is None else of_agent)
        wordless.do(wordless.greeting.ready)
        assert wordless.asked[0][1].endswith("Good day.")


class TestResponse:
    @pytest.mark.parametrize("purpose", ["turn", "filler"])
    def test_of_another_purpose_is_not_it(self, scene, purpose):
        scene.at(State.WAITING)
        scene.do(scene.greeting.ready)
        scene.do(scene.greeting.response_created, OTHERS, purpose)
        scene.do(scene.greeting.playing, OTHERS)
        assert scene.greeting.state is State.REQUESTED

    def test_that_nobody_asked_for_is_not_it(self, scene):
        scene.at(State.WAITING)
        scene.do(scene.greeting.response_created, OTHERS, "greeting")
        scene.do(scene.greeting.ready)
        scene.do(scene.greeting.playing, OTHERS)
        assert scene.greeting.state is State.REQUESTED

    @pytest.mark.parametrize("state", [State.REQUESTED, State.PLAYING])
    def test_of_others_changes_nothing(self, scene, state):
        scene.at(state)
        scene.do(scene.greeting.playing, OTHERS)
        scene.done("failed", OTHERS)
        scene.do(scene.greeting.played, OTHERS)
        assert (scene.greeting.state, scene.released) == (state, False)

    def test_begins_to_play_once_and_that_is_noted(self, scene, caplog):
        caplog.set_level("INFO")
        scene.at(State.WAITING)
        scene.advance(1.25)
        scene.at(State.PLAYING)
        scene.advance(0.1)
        scene.do(scene.greeting.playing, OURS)
        assert scene.stats.greeting_ms == 1250
        assert lines(caplog) == ["[GREETING] Playing greeting audio, greeting_ms=1250"]

    def test_that_was_heard_by_its_mark(self, scene):
        scene.at(State.PLAYING)
        scene.do(scene.greeting.played, OURS)
        assert scene.released
        assert scene.loop.pending_timers() == []

    @pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete", "lost"])
    def test_that_breaks_off_while_it_plays(self, scene, status):
        scene.at(State.PLAYING)
        scene.done(status)
        assert scene.released

    @pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete", "completed"])
    def test_of_which_nothing_came(self, scene, status):
        scene.at(State.REQUESTED)
        scene.done(status)
        assert scene.released

    def test_that_is_complete_and_about_to_play(self, scene):
        """Its first frame leaves with the next tick."""
        scene.at(State.REQUESTED)
        scene.assistant.playing = True
        scene.done()
        assert not scene.released

    def test_that_is_complete_is_still_to_be_heard(self, scene):
        scene.at(State.PLAYING)
        scene.assistant.playing = False
        scene.done()
        assert not scene.released

    def test_that_was_lost_before_it_was_heard_is_another_one_soon(self, scene):
        scene.at(State.REQUESTED)
        scene.done("lost")
        assert not scene.released
        scene.do(scene.greeting.playing, OURS)
        assert scene.greeting.state is State.REQUESTED
        scene.do(scene.greeting.response_created, "resp_2", "greeting")
        scene.do(scene.greeting.playing, "resp_2")
        assert scene.greeting.state is State.PLAYING

    @pytest.mark.parametrize(("state", "over"), [(State.REQUESTED, False), (State.PLAYING, True)])
    def test_that_is_interrupted_was_one_that_played(self, scene, state, over):
        scene.at(state)
        scene.do(scene.greeting.interrupted)
        assert scene.released is over


class TestPlayedByTheClock:
    """The marks do not come back."""

    def test_it_is_looked_at_every_so_often(self, scene):
        scene.at(State.PLAYING)
        scene.falls_silent()
        scene.advance(CHECK_SECONDS - MOMENT)
        assert not scene.released
        scene.advance(2 * MOMENT)
        assert scene.released

    def test_as_long_as_it_plays_it_is_looked_at_again(self, scene):
        scene.at(State.PLAYING)
        scene.advance(4 * CHECK_SECONDS + MOMENT)
        assert not scene.released
        scene.falls_silent()
        scene.advance(CHECK_SECONDS)
        assert scene.released

    def test_a_response_that_is_not_over_may_go_on_for_so_long(self, scene):
        scene.at(State.PLAYING)
        scene.falls_silent()
        scene.responses.busy = True
        scene.advance(HEARD_SECONDS - MOMENT)
        assert not scene.released
        scene.advance(2 * MOMENT)
        assert scene.released

    def test_what_is_held_may_go_on_though_nothing_plays(self, scene):
        scene.at(State.PLAYING)
        scene.falls_silent()
        scene.assistant_speaks = True
        scene.advance(10)
        assert not scene.released
        scene.assistant_speaks = False
        scene.advance(CHECK_SECONDS)
        assert scene.released


@pytest.mark.parametrize("state", [State.WAITING, State.REQUESTED, State.PLAYING])
def test_the_end_of_the_call_leaves_no_deadline(scene, state):
    scene.at(state)
    scene.do(scene.greeting.close)
    assert scene.loop.pending_timers() == []
