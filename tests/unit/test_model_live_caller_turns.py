"""fastbridge.model.live.caller_turns: turns out of fragments, in their order, told once."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.errors import IllegalEvent
from fastbridge.model import history
from fastbridge.model.history import History
from fastbridge.model.live.caller_turns import (
    LATE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MIN_VOICE_FRAMES,
    PAUSE_SECONDS,
    TRANSITIONS,
    VOICE_OVER_SECONDS,
    CallerTurns,
    Event,
    State,
)
from virtual import VirtualLoop

TURN = ["SpeechStarted", "SpeechStopped", "TurnCommitted", "Transcribed"]


class Scene:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.ear = SimpleNamespace(last_voice_ns=0, voice_frames=0)
        self.counters: Counter[str] = Counter()
        self.history = History(self.counters)
        self.told: list[str] = []
        self.turns = CallerTurns(
            clock=self.loop.clock,
            ear=self.ear,
            history=self.history,
            counters=self.counters,
            tell=lambda event: self.told.append(type(event).__name__),
        )

    def hear(self, text: str, start_ms: int, end_ms: int, answer_ms: int | None = None) -> None:
        self.loop.do(self.turns.heard, text, start_ms, end_ms, answer_ms)

    @property
    def texts(self) -> list[str]:
        return [turn.text for turn in self.history.ordered()]


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.turns.close()
    scene.loop.close()


def test_the_table(scene):
    for state, row in TRANSITIONS.items():
        assert set(row) == set(Event), state
    with pytest.raises(IllegalEvent):
        scene.turns._to("nothing")
    assert scene.turns.state is State.QUIET


def test_begins_with_words_and_ends_in_a_pause(scene):
    scene.hear(" Are you", 100, 400)
    assert scene.told == ["SpeechStarted"]
    scene.loop.advance(0.5)
    scene.hear(" open?", 400, 800)
    scene.loop.advance(PAUSE_SECONDS - 0.01)
    assert scene.told == ["SpeechStarted"]
    scene.loop.advance(0.02)
    assert scene.told == TURN
    assert scene.texts == ["Are you open?"]


def test_lasts_as_long_as_our_ear_hears_a_voice(scene):
    scene.hear("Well", 100, 400)
    for _ in range(10):
        scene.loop.advance(0.2)
        scene.ear.last_voice_ns = scene.loop.now_ns
    assert scene.told == ["SpeechStarted"]
    scene.loop.advance(PAUSE_SECONDS)
    assert scene.told == TURN


def test_but_not_for_ever(scene):
    scene.hear("Well", 100, 400)
    for _ in range(round(LONGEST_PAUSE_SECONDS / 0.2) + 4):
        scene.loop.advance(0.2)
        scene.ear.last_voice_ns = scene.loop.now_ns
    assert scene.told == TURN


def test_a_voice_behind_the_beginning_of_an_answer_is_not_answered_by_it_whatever_the_clock_of_words_says(scene):
    scene.ear.voice_frames = 40
    scene.loop.do(scene.turns.answered)
    scene.told.clear()
    scene.ear.voice_frames += MIN_VOICE_FRAMES
    scene.hear("And when?", 500, 800, answer_ms=900)
    scene.loop.advance(PAUSE_SECONDS + 0.01)
    assert scene.told == TURN


def test_is_over_when_it_is_answered(scene):
    scene.hear("Open?", 100, 400)
    scene.loop.do(scene.turns.answered)
    assert scene.told == TURN


def test_that_was_answered_before_its_words_came(scene):
    scene.ear.voice_frames = MIN_VOICE_FRAMES
    scene.loop.do(scene.turns.answered)
    assert scene.told == TURN[:3]
    answer = scene.history.turn("assistant", "live_1")
    scene.history.speaking_item = answer.item_id
    answer.text = "Yes."
    scene.hear("Open?", 100, 400, answer_ms=900)
    scene.loop.advance(PAUSE_SECONDS + 0.01)
    assert scene.told == TURN
    assert scene.texts == ["Open?", "Yes."]


def test_too_little_voice_is_nothing_to_answer(scene):
    scene.ear.voice_frames = MIN_VOICE_FRAMES - 1
    scene.loop.do(scene.turns.answered)
    assert scene.told == []


def test_a_voice_counts_once(scene):
    scene.ear.voice_frames = MIN_VOICE_FRAMES
    scene.loop.do(scene.turns.answered)
    scene.loop.do(scene.turns.answered)
    assert scene.told == TURN[:3]


def test_words_that_come_late_are_of_the_turn_before(scene):
    scene.hear("Are you", 100, 400)
    scene.loop.do(scene.turns.answered)
    scene.hear(" open?", 450, 700)
    assert (scene.texts, scene.told) == (["Are you open?"], TURN)
    assert scene.counters["late_fragments"] == 1


def test_it_is_known_of_which_they_may_still_come(scene):
    assert scene.turns.late_item == ""
    scene.hear("Are you", 100, 400)
    assert scene.turns.late_item == ""
    scene.loop.advance(PAUSE_SECONDS + 0.01)
    assert scene.turns.late_item == "caller_1"
    scene.loop.advance(LATE_SECONDS)
    assert scene.turns.late_item == ""
    scene.hear("Hello?", 3000, 3400)
    scene.loop.do(scene.turns.forget)
    assert scene.turns.late_item == ""


def test_late_ones_stand_apart_whichever_of_them_brought_the_blank(scene):
    scene.hear("A table ", 100, 400)
    scene.loop.do(scene.turns.answered)
    assert scene.texts == ["A table"]
    scene.hear("for Fri", 420, 500)
    scene.hear("day ", 500, 600)
    assert scene.texts == ["A table for Friday"]
    scene.hear("please ", 600, 700)
    assert scene.texts == ["A table for Friday please"]


def test_words_of_between_are_of_it_however_late(scene):
    """They lie before its last: nobody waits anew because of them."""
    scene.hear("Are", 100, 400)
    scene.hear(" open?", 700, 900)
    scene.loop.do(scene.turns.settle)
    scene.loop.advance(3 * LATE_SECONDS)
    scene.hear(" you", 400, 700)
    assert scene.told == TURN
    assert scene.counters["late_fragments"] == 1


@pytest.mark.parametrize(("seconds", "start_ms"), [(LATE_SECONDS + 0.1, 450), (0.1, 2000)])
def test_later_ones_are_of_another(scene, seconds, start_ms):
    scene.hear("Hello", 100, 400)
    scene.loop.do(scene.turns.settle)
    scene.loop.advance(seconds)
    scene.hear("Again", start_ms, start_ms + 300)
    assert scene.told == [*TURN, "SpeechStarted"]
    assert scene.texts == ["Hello", "Again"]


def test_what_has_no_length_is_no_speech(scene):
    scene.hear("told in text", 400, 400)
    assert (scene.told, scene.counters["other_fragments"]) == ([], 1)


def test_words_that_are_not_to_be_kept_are_not(scene):
    scene.turns.writes = False
    scene.hear("a secret", 100, 400)
    scene.loop.do(scene.turns.settle)
    assert (scene.told, scene.texts) == (TURN, [""])


def test_another_session_counts_anew(scene):
    scene.hear("Hello", 9000, 9400)
    scene.loop.do(scene.turns.forget)
    scene.hear("Again", 100, 400)
    assert scene.told == [*TURN, "SpeechStarted"]


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("voice_s", "told_s", "cut"),
    [(1.0, 1.4, False), (1.0, 1.2, True), (1.6, 1.0, True)],
    ids=["words had time", "just before", "since"],
)
def test_what_had_no_time_to_become_words_is_missing(scene, voice_s, told_s, cut):
    """The session was alive until `told_s`, and our ear has heard the caller until `voice_s`."""
    scene.loop.advance(1.0)
    scene.hear("I want to cancel", 100, 900)
    scene.ear.last_voice_ns = int(scene.loop.clock.now_ns() + (voice_s - 1.0) * SECOND)
    told_ns = int(scene.loop.clock.now_ns() + (told_s - 1.0) * SECOND)
    scene.loop.advance(1.8)
    assert scene.turns.state is State.QUIET
    assert [turn.cut for turn in scene.history.ordered()] == [False]
    scene.loop.do(scene.turns.lose, min(told_ns, scene.turns._over_ns - 1))
    assert [turn.cut for turn in scene.history.ordered()] == [cut]


def test_a_turn_that_was_over_before_is_whole(scene):
    scene.hear("Hello", 100, 400)
    scene.loop.advance(1.0)
    scene.ear.last_voice_ns = scene.loop.clock.now_ns()
    scene.loop.do(scene.turns.lose, scene.loop.clock.now_ns())
    assert [turn.cut for turn in scene.history.ordered()] == [False]


def test_at_the_end_the_words_are_there(scene):
    scene.hear(" Hello", 100, 400)
    scene.turns.close()
    scene.loop.advance(5)
    turn: Any = next(iter(scene.history.turns.values()))
    assert turn.text == "Hello"
    assert scene.told == ["SpeechStarted"]


def test_one_too_many_is_told_and_understood_all_the_same(scene, monkeypatch):
    """Who is not understood for two minutes is hung up on."""
    monkeypatch.setattr(history, "MAX_TURNS", 0)
    texts: list[str] = []
    tell, scene.turns._tell = scene.turns._tell, lambda event: (tell(event), texts.extend(t.text for t in event))
    scene.hear(" Hello", 100, 400)
    scene.loop.advance(PAUSE_SECONDS + 0.01)
    assert (scene.told, texts, scene.texts) == (TURN, ["Hello"], [])


def test_whether_a_voice_is_over_is_told_by_our_ear(scene):
    scene.ear.last_voice_ns = scene.loop.now_ns
    assert not scene.turns.voice_is_over
    scene.loop.advance(VOICE_OVER_SECONDS)
    assert scene.turns.voice_is_over
