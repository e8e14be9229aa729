"""call.dead_air alone: every cause and its patience, who is not talked over, and the books of silence."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone, lines
from fastbridge.call.dead_air import (
    AGAIN_SECONDS,
    LIMIT_SECONDS,
    MAX_POSTPONED,
    POSTPONE_SECONDS,
    DeadAir,
)
from fastbridge.call.happenings import FillerDue

MS, SECOND = 1_000_000, 1_000_000_000
MOMENT = 0.005
CAUSES = sorted(LIMIT_SECONDS)
ANSWER = LIMIT_SECONDS["answer"]


class Lane:
    """Plays until it is over. waiting_ms: what it has besides, which the carrier does not take."""

    def __init__(self, now_ns: Any) -> None:
        self._now_ns = now_ns
        self.waiting_ms = 0
        self.schedule = SimpleNamespace(play_end_ns=0)

    @property
    def playing(self) -> bool:
        return self.unheard_ms > 0

    @property
    def unheard_ms(self) -> int:
        return self.waiting_ms + max(self.schedule.play_end_ns - self._now_ns(), 0) // MS


class Scene(Alone):
    """The caller waits for nothing, so far, and has heard nothing."""

    live = True
    waits_for: str | None = None
    caller_may_be_speaking = interrupts_unnoticed = False

    def __init__(self) -> None:
        super().__init__()
        self.recording_seconds = 0.0
        """Of what is played where a filler is due."""
        self.assistant: Any = Lane(self.loop.clock.now_ns)
        self.air = DeadAir(clock=self.clock, facts=self, assistant=self.assistant, log=self.log, tell=self.tell)

    def tell(self, event: Any) -> None:
        super().tell(event)
        if self.recording_seconds:
            self.lasts(self.recording_seconds)

    @property
    def looks_in_seconds(self) -> float:
        """Until the one timer that there is, which comes a millisecond late."""
        (timer,) = self.loop.pending_timers()
        return round(timer.when() - self.loop.time() - 0.001, 3)

    def waits(self, cause: str | None = "answer", late_seconds: float = 0.0) -> None:
        """From now on, and everybody is told."""
        self.waits_for = cause
        self.do(self.air.late, late_seconds)

    def sounds(self, seconds: float, response_id: str = "resp_1") -> None:
        """So much begins to play, from now on."""
        self.do(self.air.sound, response_id)
        self.lasts(seconds)
        self.do(self.air.review)

    def lasts(self, seconds: float) -> None:
        """What plays is over after this, and nobody is told."""
        self.assistant.schedule.play_end_ns = self.loop.now_ns + round(seconds * SECOND)

    def plays(self, seconds: float, response_id: str = "resp_1") -> None:
        self.sounds(seconds, response_id)
        self.advance(seconds)

    def due_after(self, seconds: float) -> FillerDue:
        """Nothing until just before, a filler just after."""
        self.advance(seconds - MOMENT)
        assert self.told == []
        self.advance(2 * MOMENT)
        (due,) = self.told
        self.told.clear()
        assert isinstance(due, FillerDue)
        return due


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.shut(scene.air.close)


class TestPatience:
    def test_is_this(self):
        assert LIMIT_SECONDS == {
            "connecting": 2.0,
            "lost": 0.8,
            "idle": 2.0,
            "answer": 1.5,
            "response": 1.5,
            "tool": 1.5,
            "question": 4.0,
        }
        assert (AGAIN_SECONDS, POSTPONE_SECONDS, MAX_POSTPONED) == (2.6, 0.3, 6)

    @pytest.mark.parametrize("cause", CAUSES)
    def test_is_its_causes_own(self, scene, cause):
        scene.advance(7)
        scene.waits(cause)
        due = scene.due_after(LIMIT_SECONDS[cause])
        assert (due.cause, due.in_row) == (cause, 0)
        assert due.silent_ms == pytest.approx(1000 * LIMIT_SECONDS[cause], abs=2)

    def test_there_is_none_where_nothing_is_waited_for(self, scene):
        scene.waits(None)
        scene.advance(60)
        assert (scene.told, scene.loop.pending_timers()) == ([], [])

    def test_is_over_with_the_wait(self, scene):
        scene.waits()
        scene.advance(1)
        scene.waits(None)
        assert scene.loop.pending_timers() == []

    def test_is_of_the_cause_it_has_become(self, scene):
        """A tool in the place of an answer: the caller has waited all the time."""
        scene.waits("connecting")
        scene.advance(1)
        scene.waits("tool")
        assert scene.due_after(0.5).cause == "tool"

    def test_is_shorter_by_what_was_told_late(self, scene):
        scene.advance(5)
        scene.waits("answer", 0.4)
        assert scene.due_after(ANSWER - 0.4).silent_ms == pytest.approx(1500, abs=2)

    def test_may_be_over_at_once(self, scene):
        scene.advance(5)
        scene.waits("answer", 3.0)
        scene.advance(MOMENT)
        assert [due.silent_ms for due in scene.told] == [3001]

    def test_is_shorter_though_another_had_told_a_moment_before_that_he_waits(self, scene):
        scene.advance(5)
        scene.waits("answer")
        scene.waits("answer", 0.4)
        scene.waits("answer")
        scene.due_after(ANSWER - 0.4)

    def test_is_not_shortened_later(self, scene):
        scene.advance(5)
        scene.waits("answer")
        scene.advance(0.5)
        scene.waits("answer", 5.0)
        scene.due_after(ANSWER - 0.5)

    def test_begins_when_the_call_does(self, scene):
        scene.advance(1)
        scene.waits("connecting")
        scene.due_after(LIMIT_SECONDS["connecting"])


class TestSound:
    def test_is_heard_first(self, scene):
        scene.waits()
        scene.sounds(3)
        scene.due_after(3 + ANSWER)

    def test_is_looked_at_when_it_has_been_over_for_so_long_and_not_before(self, scene):
        scene.waits()
        assert scene.looks_in_seconds == ANSWER
        scene.sounds(3)
        assert scene.looks_in_seconds == 3 + ANSWER
        scene.advance(1)
        scene.do(scene.air.review)
        assert scene.looks_in_seconds == 2 + ANSWER

    def test_that_was_over_before_one_looked(self, scene):
        scene.waits()
        scene.sounds(0.1)
        scene.lasts(1)
        scene.due_after(1 + ANSWER)

    def test_that_the_carrier_does_not_take_is_still_to_be_heard(self, scene):
        scene.waits()
        scene.assistant.waiting_ms = 400
        scene.advance(0.5)
        scene.do(scene.air.review)
        assert scene.looks_in_seconds == 0.4 + ANSWER
        scene.advance(10)
        assert (scene.told, scene.air.summary()["unplanned_ms"]) == ([], {})

    def test_that_ends_sooner_than_thought_has_ended(self, scene):
        """It was cut off: what was to be heard is not."""
        scene.waits()
        scene.sounds(3)
        scene.advance(1)
        scene.lasts(0)
        scene.do(scene.air.review)
        scene.due_after(ANSWER)

    def test_that_goes_on_longer_than_thought_goes_on(self, scene):
        scene.waits()
        scene.sounds(0.1)
        scene.lasts(4)
        scene.due_after(4 + ANSWER)

    def test_before_the_wait_is_none_of_it(self, scene):
        scene.plays(1)
        scene.advance(4)
        scene.waits()
        scene.due_after(ANSWER)


class TestAgain:
    def test_in_a_row_and_further_apart(self, scene):
        scene.waits("tool")
        assert scene.due_after(LIMIT_SECONDS["tool"]).in_row == 0
        for number in (1, 2, 3):
            due = scene.due_after(AGAIN_SECONDS - MOMENT)
            assert due.in_row == number
        assert due.silent_ms == pytest.approx(1000 * (1.5 + 3 * AGAIN_SECONDS), abs=30)

    def test_after_the_last_one_was_heard(self, scene):
        scene.waits("tool")
        scene.due_after(LIMIT_SECONDS["tool"])
        scene.plays(1.2, "local_filler_1")
        due = scene.due_after(AGAIN_SECONDS)
        assert (due.in_row, due.silent_ms) == (1, pytest.approx(2600, abs=5))

    def test_is_a_first_one_where_the_model_was_heard_in_between(self, scene):
        scene.waits("response")
        scene.due_after(LIMIT_SECONDS["response"])
        scene.plays(1, "resp_1")
        assert scene.due_after(LIMIT_SECONDS["response"]).in_row == 0

    @pytest.mark.parametrize(("purpose", "in_row"), [("filler", 1), ("turn", 0)])
    def test_not_where_that_was_a_filler_in_the_models_voice(self, scene, purpose, in_row):
        scene.waits("tool")
        scene.due_after(LIMIT_SECONDS["tool"])
        scene.do(scene.air.response_created, "resp_1", purpose)
        scene.plays(1, "resp_1")
        assert scene.due_after(AGAIN_SECONDS if in_row else LIMIT_SECONDS["tool"]).in_row == in_row

    def test_is_a_first_one_in_another_wait(self, scene):
        scene.waits()
        scene.due_after(ANSWER)
        scene.waits(None)
        scene.advance(1)
        scene.waits()
        assert scene.due_after(ANSWER).in_row == 0

    def test_a_wait_that_ends_and_begins_in_one_moment_goes_on(self, scene):
        scene.waits()
        scene.due_after(ANSWER)
        scene.advance(1)
        scene.waits(None)
        scene.waits("tool", 0.2)
        assert scene.air.intentional == 0
        due = scene.due_after(AGAIN_SECONDS - 1 - MOMENT)
        assert (due.in_row, due.silent_ms) == (1, pytest.approx(1000 * (ANSWER + AGAIN_SECONDS), abs=10))

    def test_even_where_he_has_waited_longer_than_it_did(self, scene):
        scene.advance(9)
        scene.waits()
        scene.advance(0.2)
        scene.waits(None)
        scene.waits("answer", 1.0)
        scene.due_after(ANSWER - 1.0)

    def test_one_that_was_not_played_is_looked_for_again_later(self, scene):
        scene.waits()
        scene.due_after(ANSWER)
        assert scene.looks_in_seconds == pytest.approx(AGAIN_SECONDS, abs=MOMENT)
        scene.due_after(AGAIN_SECONDS - MOMENT)


class TestPostponed:
    def test_by_a_caller_who_speaks(self, scene):
        scene.caller_may_be_speaking = True
        scene.waits()
        scene.advance(ANSWER + MOMENT)
        assert scene.told == []
        scene.caller_may_be_speaking = False
        scene.due_after(POSTPONE_SECONDS - MOMENT)

    def test_by_noise_not_for_ever_and_the_next_one_anew(self, scene):
        scene.caller_may_be_speaking = True
        scene.waits()
        scene.due_after(ANSWER + MAX_POSTPONED * POSTPONE_SECONDS)
        scene.due_after(AGAIN_SECONDS + MAX_POSTPONED * POSTPONE_SECONDS)

    def test_by_who_interrupts_and_only_we_hear_as_long_as_he_does(self, scene):
        scene.interrupts_unnoticed = True
        scene.waits()
        scene.advance(ANSWER + 3 * MAX_POSTPONED * POSTPONE_SECONDS)
        assert scene.told == []
        scene.interrupts_unnoticed = False
        scene.advance(POSTPONE_SECONDS)
        assert len(scene.told) == 1

    def test_counts_anew_where_there_was_a_sound(self, scene):
        scene.caller_may_be_speaking = True
        scene.waits()
        scene.advance(ANSWER + (MAX_POSTPONED - 1) * POSTPONE_SECONDS + MOMENT)
        scene.lasts(POSTPONE_SECONDS)
        scene.due_after(POSTPONE_SECONDS + ANSWER + MAX_POSTPONED * POSTPONE_SECONDS)

    def test_a_wait_that_has_changed_unsaid_is_looked_at_anew(self, scene):
        scene.waits("lost")
        scene.waits_for = "idle"
        scene.advance(LIMIT_SECONDS["lost"] + MOMENT)
        assert scene.told == []
        scene.advance(LIMIT_SECONDS["idle"] - LIMIT_SECONDS["lost"])
        assert [due.cause for due in scene.told] == ["idle"]

    def test_a_wait_that_is_over_unsaid_is_over(self, scene):
        scene.waits()
        scene.waits_for = None
        scene.advance(10)
        assert (scene.told, scene.air.intentional) == ([], 1)


class TestBooks:
    def books(self, scene: Scene) -> tuple[dict[str, int], int, int]:
        scene.do(scene.air.review)
        summary = scene.air.summary()
        return summary["unplanned_ms"], summary["longest_unplanned_ms"], summary["intentional_ms"]

    def test_silence_goes_to_what_is_waited_for(self, scene):
        scene.waits(None)
        scene.advance(3)
        scene.waits("tool")
        scene.advance(1)
        scene.waits("response")
        scene.advance(0.25)
        scene.waits(None)
        scene.advance(2)
        assert self.books(scene) == ({"tool": 1000, "response": 250}, 1250, 5000)

    def test_silence_before_a_filler_is_of_the_wait(self, scene):
        scene.recording_seconds = 1.0
        scene.waits("answer")
        scene.advance(2)
        assert self.books(scene)[:2] == ({"answer": 1501}, 1501)

    def test_a_look_at_nothing_is_no_wait(self, scene):
        scene.waits("answer")
        scene.advance(0.1)
        for _ in range(3):
            scene.waits(None)
        assert scene.air.summary()["intentional"] == 1

    def test_sound_is_no_silence(self, scene):
        scene.waits(None)
        scene.plays(2)
        scene.waits("answer")
        scene.plays(1)
        assert self.books(scene) == ({}, 0, 0)

    def test_silence_before_a_sound_counts_and_behind_it_from_its_end(self, scene):
        scene.waits("answer")
        scene.advance(1)
        scene.plays(2)
        scene.advance(0.5)
        assert self.books(scene) == ({"answer": 1500}, 1000, 0)

    def test_the_longest_is_the_longest(self, scene):
        for seconds in (0.3, 1.0, 0.6):
            scene.waits("answer")
            scene.advance(seconds)
            scene.waits(None)
            scene.advance(1)
        assert self.books(scene)[:2] == ({"answer": 1900}, 1000)

    def test_a_wait_that_was_long_before_it_was_told_is_as_long(self, scene):
        scene.advance(9)
        scene.waits("answer", 0.5)
        scene.advance(1)
        assert self.books(scene)[1] == 1500

    def test_each_end_of_a_wait_begins_an_intentional_silence(self, scene):
        for _ in range(3):
            scene.waits("answer")
            scene.advance(0.1)
            scene.waits("tool")
            scene.advance(0.1)
            scene.waits(None)
            scene.advance(0.1)
        assert scene.air.summary()["intentional"] == 3

    def test_the_end_of_the_call_ends_them(self, scene):
        scene.waits("answer")
        scene.advance(1)
        scene.do(scene.air.close)
        assert scene.air.summary()["unplanned_ms"] == {"answer": 1000}
        scene.live = False
        scene.advance(1)
        assert self.books(scene)[0] == {"answer": 1000}
        assert scene.loop.pending_timers() == []

    def test_a_recording_is_counted_and_said(self, scene, caplog):
        caplog.set_level("INFO")
        for _ in range(2):
            scene.do(scene.air.filled, "tool", 1501)
        assert scene.air.summary()["fillers"] == {"tool": 2}
        assert lines(caplog)[0] == "[WATCHDOG] filler, cause=tool, silent_ms=1501"
