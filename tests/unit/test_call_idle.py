"""fastbridge.call.idle: prompts to a caller who says nothing, and an end to a line that only makes noise."""

from typing import Any

import pytest

from call_rig import CallRig
from fastbridge.call.idle import LOOK_SECONDS, SPEECH_SECONDS, TRANSITIONS, Event, Silence, State
from fastbridge.errors import IllegalEvent
from fastbridge.model import history
from helpers import LOUD
from live_rig import LiveRig
from virtual import VirtualLoop


class Rig:
    def __init__(self, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.began = self.loop.time()
        self.attentive = True
        self.quiet = True
        self.handed_on = False
        self.journal: list[tuple[str, int]] = []
        given = {"seconds": 20, "prompts": 2, "noise_seconds": 120, **options}
        self.silence = Silence(
            self,
            self.loop.clock,
            prompt=lambda number: self._note(f"prompt {number}"),
            give_up=lambda: self._note("give up"),
            give_up_noise=lambda: self._note("noise"),
            **given,
        )
        self.loop.do(self._wait)

    def _wait(self) -> None:
        self._next = self.loop.clock.call_later(LOOK_SECONDS, self._second)

    def _second(self) -> None:
        """As a call does."""
        self._wait()
        self.silence.look()

    def _note(self, what: str) -> None:
        self.journal.append((what, round(self.loop.time() - self.began)))

    def speech(self, seconds: float = 1.0) -> None:
        self.loop.do(self.silence.speech_started)
        self.loop.advance(seconds)
        self.loop.do(self.silence.speech_stopped)

    def words(self) -> None:
        self.loop.do(self.silence.words)

    def says(self, seconds: float) -> None:
        """The assistant speaks."""
        self.quiet = False
        self.loop.advance(seconds)
        self.quiet = True

    def close(self) -> None:
        self.loop.do(self.silence.close)
        self._next.cancel()
        assert self.loop.pending_timers() == []
        assert self.loop.failures == []
        self.loop.close()


@pytest.fixture
def make():
    rigs: list[Rig] = []

    def make(**options: Any) -> Rig:
        rigs.append(Rig(**options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def test_two_prompts_and_then_the_end(make):
    rig = make()
    rig.loop.advance(22)
    assert rig.journal == [("prompt 1", 21)]  # that nobody speaks was noticed after a second
    rig.says(3)
    rig.loop.advance(21)
    rig.says(3)
    rig.loop.advance(60)
    assert [what for what, _ in rig.journal] == ["prompt 1", "prompt 2", "give up"]
    at = [seconds for _, seconds in rig.journal]
    assert at[1] == pytest.approx(22 + 3 + 20, abs=2)
    assert rig.silence.state is State.OVER


def test_a_prompt_that_nobody_speaks_does_not_stop_the_clock(make):
    rig = make()
    rig.loop.advance(70)
    assert [what for what, _ in rig.journal] == ["prompt 1", "prompt 2", "give up"]


def test_the_models_own_prompts_are_in_the_place_of_ours(make):
    rig = make()
    for _ in range(2):
        rig.loop.advance(8)
        rig.loop.do(rig.silence.model_asks)
        assert rig.silence.state is State.PROMPTED
        rig.says(2)
    assert (rig.journal, rig.silence.prompts) == ([], 2)
    rig.loop.advance(8)
    rig.loop.do(rig.silence.model_asks)
    assert [what for what, _ in rig.journal] == ["give up"]
    rig.loop.do(rig.silence.model_asks)
    assert len(rig.journal) == 1


def test_what_the_model_has_handed_on_is_no_silence(make):
    rig = make()
    rig.handed_on = True
    rig.loop.advance(60)
    rig.handed_on = False
    rig.loop.advance(19)
    assert rig.journal == []
    rig.loop.advance(3)
    assert [what for what, _ in rig.journal] == ["prompt 1"]


@pytest.mark.parametrize("options", [{}, {"seconds": 0}])
def test_where_there_is_no_silence_of_ours_the_models_prompts_count_for_nothing(make, options):
    rig = make(**options)
    rig.quiet = bool(options)  # else a tool works, say
    for _ in range(9):
        rig.loop.advance(5)
        rig.loop.do(rig.silence.model_asks)
    assert (rig.journal, rig.silence.prompts) == ([], 0)


@pytest.mark.parametrize("prompts", [0, 1, 5])
def test_as_many_prompts_as_set(make, prompts):
    rig = make(prompts=prompts, seconds=5)
    rig.loop.advance(60)
    assert [what for what, _ in rig.journal] == [*(f"prompt {n + 1}" for n in range(prompts)), "give up"]


def test_never_where_it_is_switched_off(make):
    rig = make(seconds=0, noise_seconds=0)
    rig.loop.do(rig.silence.speech_started)
    rig.loop.advance(3600)
    assert rig.journal == []


def test_what_is_no_silence(make):
    rig = make()
    for _ in range(3):
        rig.loop.advance(19)
        rig.says(1)
    rig.loop.advance(19)
    rig.speech()
    rig.words()
    rig.loop.advance(19)
    rig.attentive = False
    rig.loop.advance(300)
    rig.attentive = True
    rig.loop.advance(19)
    assert rig.journal == []


def test_a_caller_who_answers_begins_anew(make):
    rig = make()
    rig.loop.advance(21)
    rig.says(2)
    rig.speech()
    rig.words()
    assert rig.silence.prompts == 0
    rig.loop.advance(21)
    assert [what for what, _ in rig.journal] == ["prompt 1", "prompt 1"]


def test_long_speech_is_speech_until_nobody_can_speak_so_long(make):
    rig = make(noise_seconds=0)
    rig.loop.do(rig.silence.speech_started)
    rig.loop.advance(SPEECH_SECONDS - 1)
    assert (rig.silence.caller_speaking, rig.journal) == (True, [])
    rig.loop.advance(25)
    assert not rig.silence.caller_speaking
    assert [what for what, _ in rig.journal] == ["prompt 1"]


class TestNoise:
    def test_a_line_that_only_makes_noise_is_left(self, make):
        rig = make()
        rig.loop.advance(10)
        for _ in range(40):
            rig.speech(1)
            rig.loop.advance(1)
            rig.says(2)
        assert rig.journal == [("noise", 130)]
        assert rig.silence.state is State.OVER

    def test_words_begin_it_anew(self, make):
        rig = make()
        for _ in range(100):
            rig.speech(1)
            rig.loop.advance(1)
            rig.words()
            rig.says(2)
        assert rig.journal == []

    def test_a_caller_who_listens_makes_none(self, make):
        rig = make()
        rig.speech()
        rig.words()
        rig.says(600)
        assert rig.journal == []


def test_one_given_up_too_early_is_watched_again(make):
    rig = make(prompts=0)
    rig.loop.advance(25)
    rig.speech()
    rig.loop.do(rig.silence.resume)
    rig.loop.advance(25)
    assert [what for what, _ in rig.journal] == ["give up", "give up"]


def test_resuming_what_goes_on_changes_nothing(make):
    rig = make()
    rig.loop.do(rig.silence.resume)
    rig.loop.advance(10)
    assert rig.journal == []


def test_an_event_without_a_row_is_an_error(make):
    rig = make()
    with pytest.raises(IllegalEvent):
        rig.loop.do(rig.silence._to, Event.PROMPT)
    assert set(TRANSITIONS) == set(State)


def test_what_was_counted_before_it_was_given_up_counts_no_more(make):
    rig = make(prompts=1, noise_seconds=30)
    rig.loop.advance(60)
    rig.loop.do(rig.silence.resume)
    rig.loop.advance(60)
    assert [what for what, _ in rig.journal] == ["prompt 1", "give up"] * 2
    rig.journal.clear()
    rig.loop.do(rig.silence.resume)
    for _ in range(5):
        rig.speech(5)
        rig.loop.advance(2)
    assert rig.journal == [("noise", round(rig.loop.time() - rig.began) - 5)]
    rig.loop.do(rig.silence.resume)
    rig.loop.advance(3)
    assert len(rig.journal) == 1


def test_the_end_of_a_call_comes_between_two_looks(make):
    rig = make(seconds=20.5, prompts=1)
    rig.loop.advance(21.2)
    rig.loop.do(rig.silence.close)
    rig.loop.advance(0.6)
    assert rig.journal == []


@pytest.mark.parametrize("make_rig", [CallRig, LiveRig])
def test_who_is_understood_is_no_noise_however_many_turns_came_before(make_rig, monkeypatch):
    """Those that are too many are not kept."""
    monkeypatch.setattr(history, "MAX_TURNS", 2)
    rig = make_rig(silence_seconds=0, noise_seconds=30).up()
    for number in range(8):
        if isinstance(rig, LiveRig):
            rig.line += [LOUD] * 40
            rig.advance(0.5)
            rig.hears("Yes.")
            rig.advance(1.0)
            rig.says(0.5, "Good.")
        else:
            for kind in ("speech_started", "speech_stopped"):
                rig.model({"type": f"input_audio_buffer.{kind}", "item_id": f"item_{number}"})
            rig.caller_turn("Yes.", f"item_{number}")
            rig.respond(LOUD * 25, number, "Good.")
        rig.advance(5.0)
        rig.echo_marks()
    assert rig.call.session.counters["transcript_overflow"] > 0
    assert (rig.call.idle.state != "over", rig.call.line.counters["losses"]) == (True, 0)
    rig.shut()


@pytest.mark.parametrize("make_rig", [CallRig, LiveRig])
@pytest.mark.parametrize(("spoke", "prompts"), [(False, 1), (True, 0)])
def test_a_connection_that_is_lost_is_no_sign_of_the_caller(make_rig, spoke, prompts):
    """Who is gone is told goodbye, however often it breaks."""
    rig = make_rig(silence_seconds=5).up()
    rig.advance(6.5)
    assert rig.call.idle.prompts == 1
    if spoke:
        rig.caller_says(*[LOUD] * 40)
    rig.lose_model()
    assert rig.call.idle.prompts == prompts
    rig.shut()
