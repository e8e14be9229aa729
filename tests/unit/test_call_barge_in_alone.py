"""call.barge_in alone: every row of its table, every deadline, and exactly what is done at each."""

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone, lines
from fastbridge.base.conversation import Turn
from fastbridge.call.barge_in import (
    DEADLINES_SECONDS,
    MODEL_ALONE_SECONDS,
    RECOVERY_MS,
    TRANSITIONS,
    BargeIn,
    Event,
    State,
)
from fastbridge.call.happenings import Interrupted
from fastbridge.errors import IllegalEvent
from fastbridge.model.port import LOCAL_ID
from fastbridge.observe.stats import CallStats

MOMENT = 0.002
LOOK = 0.02
CONFIRM_MS = 250
ROWS = {
    (State.PLAYING, Event.HOLD): State.HELD,
    (State.COMMITTED, Event.HOLD): State.HELD,
    (State.RESUMED, Event.HOLD): State.HELD,
    (State.HELD, Event.COMMIT): State.COMMITTED,
    (State.HELD, Event.RESUME): State.RESUMED,
}
OURS, OTHERS = "resp_ours", "resp_other"


class Scene(Alone):
    """The assistant speaks, and its response is still being generated. journal: what was done, in order."""

    may_interrupt = True
    caller_goes_on = False

    def __init__(self, confirm_ms: int = CONFIRM_MS) -> None:
        super().__init__()
        self.journal: list[Any] = []
        self.stats = CallStats()
        self.items: list[tuple[str, str, int, int]] = [("item_1", OURS, 400, 1000)]
        self.detector: Any = SimpleNamespace(
            voice_ms=0,
            speaking=True,
            level_dbfs=-20.04,
            threshold_dbfs=-35.06,
            expect_voice=lambda: self.journal.append("expect_voice"),
        )
        self.responses = SimpleNamespace(
            generating=True, response_id=OURS, counters=Counter(), cancel=self._cancel, cancels_now=True, may=True
        )
        self.known = True
        lane: Any = SimpleNamespace(
            hold=lambda: self._done("hold", (30, 7)),
            refuse=lambda: self._done("refuse"),
            clear=lambda: self._done("clear", (20, 5)),
            resume=lambda: self._done("resume", 9),
            items=lambda: self.items,
        )
        session: Any = SimpleNamespace(responses=self.responses, truncate=self._truncate)
        self.barge_in = BargeIn(
            clock=self.clock,
            confirm_ms=confirm_ms,
            stream_sid="MZ1",
            facts=self,
            assistant=lane,
            detector=self.detector,
            session=session,
            stats=self.stats,
            log=self.log,
            tell=self._told,
        )

    def _done(self, what: str, answer: Any = None) -> Any:
        self.journal.append(what)
        return answer

    def _told(self, event: Any) -> None:
        self.journal.append("told")
        self.tell(event)

    def _cancel(self) -> bool:
        self.journal.append("cancel")
        if self.responses.may and self.responses.cancels_now:
            self.responses.counters["cancels"] += 1
        return self.responses.may

    def _truncate(self, *what: Any) -> bool:
        self.journal.append(what)
        return self.known

    def edge(self) -> None:
        self.do(self.barge_in.on_edge)

    def hears(self) -> None:
        self.do(self.barge_in.speech_started)

    def at(self, state: State) -> "Scene":
        if state is not State.PLAYING:
            self.edge()
        if state is State.COMMITTED:
            self.do(self.barge_in.caller_turn)
        elif state is State.RESUMED:
            self.goes_quiet()
            self.advance(RECOVERY_MS / 1000 + MOMENT)
        assert self.barge_in.state is state
        self.journal.clear()
        return self

    def goes_quiet(self) -> None:
        self.detector.speaking, self.detector.level_dbfs = False, -60.0

    @property
    def entry(self) -> Any:
        return self.stats.barge_ins[-1]

    @property
    def outcome(self) -> tuple[str, str]:
        return self.entry.outcome, self.entry.why

    @property
    def count(self) -> int:
        return len(self.stats.barge_ins)


@pytest.fixture
def scene(caplog) -> Iterator[Scene]:
    caplog.set_level("DEBUG", "fastbridge.events")
    scene = Scene()
    yield scene
    scene.shut(scene.barge_in.close)


class TestTable:
    def test_has_these_rows_and_no_others(self):
        assert {(state, event): to for state, row in TRANSITIONS.items() for event, to in row.items()} == ROWS

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("event", Event)
    def test_an_event_without_a_row_is_an_error(self, scene, state, event):
        scene.at(state)
        if (state, event) in ROWS:
            scene.do(scene.barge_in._to, event)
            assert scene.barge_in.state is ROWS[state, event]
        else:
            with pytest.raises(IllegalEvent):
                scene.do(scene.barge_in._to, event)

    @pytest.mark.parametrize("state", State)
    def test_the_call_may_end_in_each(self, scene, state):
        scene.at(state)
        scene.hears()
        scene.do(scene.barge_in.close)
        assert scene.loop.pending_timers() == []

    @pytest.mark.parametrize("state", State)
    def test_one_is_held(self, scene, state):
        assert scene.at(state).barge_in.held is (state is State.HELD)

    @pytest.mark.parametrize("state", [State.PLAYING, State.COMMITTED, State.RESUMED])
    @pytest.mark.parametrize("hint", ["caller_turn", "new_response", "giving_up"])
    def test_where_none_is_held_there_is_nothing_to_commit(self, scene, state, hint):
        scene.at(state)
        scene.do(getattr(scene.barge_in, hint))
        assert scene.journal == []

    @pytest.mark.parametrize("state", [State.PLAYING, State.COMMITTED, State.RESUMED])
    def test_what_is_not_under_way_does_not_end(self, scene, state):
        scene.at(state)
        scene.barge_in.state = State.HELD
        with pytest.raises(IllegalEvent, match="none is under way"):
            scene.do(scene.barge_in.caller_turn)


class TestHold:
    def test_is_one_step_and_written_down(self, scene, caplog):
        scene.advance(1.5)
        scene.edge()
        assert scene.journal == ["hold"]
        entry = scene.entry
        assert (entry.at_ms, entry.source, entry.response_id, entry.outcome) == (1500, "local", OURS, "held")
        assert (entry.frames_unsent, entry.frames_unheard) == (30, 7)
        assert (entry.level_dbfs, entry.threshold_dbfs) == (-20.0, -35.1)
        assert "[BARGE_IN_AUDIO] User interrupting AI!, source=local, at_ms=1500" in lines(caplog)

    @pytest.mark.parametrize(
        ("items", "response_id"),
        [
            ([("item_1", OURS, 400, 1000)], OURS),
            ([("item_0", OURS, 1000, 1000), ("item_1", OTHERS, 0, 500)], OTHERS),
            ([("item_1", OURS, 400, 1000), ("item_2", OTHERS, 0, 500)], OURS),
            ([("item_1", OURS, 1000, 1000)], OURS),
            ([("item_1", OURS, 1000, 1000), (f"{LOCAL_ID}1", "", 0, 500)], None),
            ([], None),
        ],
    )
    def test_is_of_the_response_that_is_heard_be_it_generated_to_its_end(self, scene, items, response_id):
        scene.responses.generating = False
        scene.items = items
        scene.edge()
        assert scene.entry.response_id == response_id

    def test_there_is_none_where_nothing_may_be_interrupted(self, scene):
        scene.may_interrupt = False
        scene.edge()
        assert (scene.journal, scene.barge_in.state) == ([], State.PLAYING)

    @pytest.mark.parametrize("held", [False, True])
    def test_by_the_keys_is_believed_at_once(self, scene, held):
        if held:
            scene.edge()
            scene.may_interrupt = False
        scene.do(scene.barge_in.keys)
        assert (scene.outcome, scene.entry.source) == (("committed", "keys"), "local" if held else "keys")

    def test_by_the_keys_there_is_none_where_nothing_may_be_interrupted(self, scene):
        scene.may_interrupt = False
        scene.do(scene.barge_in.keys)
        assert scene.journal == []


class TestBelieved:
    def test_at_once_where_that_is_wanted(self):
        scene = Scene(confirm_ms=0)
        scene.edge()
        assert scene.outcome == ("committed", "at_once")
        scene.shut(scene.barge_in.close)

    def test_at_once_where_the_model_hears_it_already(self, scene):
        scene.hears()
        scene.edge()
        assert scene.outcome == ("committed", "speech_started")

    def test_not_at_once_where_it_has_heard_the_end(self, scene):
        scene.hears()
        scene.do(scene.barge_in.speech_stopped)
        scene.edge()
        assert scene.barge_in.held

    def test_when_the_model_hears_it(self, scene):
        scene.at(State.HELD)
        scene.hears()
        assert scene.outcome == ("committed", "speech_started")
        assert scene.journal[0] == "expect_voice"

    @pytest.mark.parametrize(
        ("hint", "why"), [("caller_turn", "turn"), ("new_response", "response"), ("giving_up", "given_up")]
    )
    def test_when_it_is_said_otherwise(self, scene, hint, why):
        scene.at(State.HELD)
        scene.do(getattr(scene.barge_in, hint))
        assert scene.outcome == ("committed", why)

    @pytest.mark.parametrize(
        ("role", "text", "held"), [("caller", "Stop.", False), ("caller", "", True), ("assistant", "Well.", True)]
    )
    def test_when_there_are_words_of_the_callers(self, scene, role, text, held):
        scene.at(State.HELD)
        scene.do(scene.barge_in.transcribed, Turn(role, "item_u", text=text))
        assert scene.barge_in.held is held

    def test_when_the_voice_lasts(self, scene):
        scene.at(State.HELD)
        scene.detector.voice_ms = CONFIRM_MS - 1
        scene.advance(5 * LOOK + MOMENT)
        assert scene.barge_in.held
        scene.detector.voice_ms = CONFIRM_MS
        scene.advance(LOOK - 2 * MOMENT)
        assert scene.barge_in.held, "it is looked at every 20 ms"
        scene.advance(2 * MOMENT)
        assert scene.outcome == ("committed", "voice")
        assert scene.loop.pending_timers() == []


class TestResume:
    def test_after_so_long_when_it_is_quiet(self, scene, caplog):
        scene.at(State.HELD)
        scene.goes_quiet()
        scene.advance(RECOVERY_MS / 1000 - MOMENT)
        assert (scene.barge_in.held, scene.journal) == (True, [])
        scene.advance(2 * MOMENT)
        assert (scene.journal, scene.outcome) == (["resume"], ("resumed", "quiet"))
        assert (scene.entry.held_ms, scene.entry.frames_rewound, scene.told) == (RECOVERY_MS, 9, [])
        assert scene.loop.pending_timers() == []
        line = "[BARGE-IN] False trigger: playback resumed after 500ms, barge_in_false=1, why=quiet"
        assert lines(caplog)[-1] == line

    @pytest.mark.parametrize(
        ("speaking", "level_dbfs", "resumes"), [(True, -60.0, False), (False, -35.06, False), (False, -35.07, True)]
    )
    def test_quiet_is_no_voice_and_below_the_threshold(self, scene, speaking, level_dbfs, resumes):
        scene.at(State.HELD)
        scene.detector.speaking, scene.detector.level_dbfs = speaking, level_dbfs
        scene.advance(1)
        assert scene.barge_in.held is not resumes

    def test_whatever_is_heard_once_it_has_lasted_so_long(self, scene):
        scene.at(State.HELD)
        scene.advance(DEADLINES_SECONDS[State.HELD] - MOMENT)
        assert scene.barge_in.held
        scene.advance(2 * MOMENT)
        assert scene.outcome == ("resumed", "deadline")

    def test_each_is_counted(self, scene, caplog):
        scene.at(State.COMMITTED)
        for number in (1, 2):
            scene.detector.speaking = True
            scene.at(State.RESUMED)
            assert f"barge_in_false={number}" in lines(caplog)[-1]


class TestCommit:
    def test_is_these_steps_in_this_order(self, scene, caplog):
        scene.at(State.HELD)
        scene.advance(0.1)
        scene.do(scene.barge_in.caller_turn)
        assert scene.journal == ["refuse", "cancel", "clear", ("item_1", 400, 1000), "told"]
        assert scene.told == [Interrupted()]
        assert (scene.entry.held_ms, scene.entry.frames_unsent, scene.entry.frames_unheard) == (100, 20, 5)
        assert scene.entry.items == [{"item_id": "item_1", "heard_ms": 400, "received_ms": 1000}]
        assert scene.loop.pending_timers() == []
        *steps, line = lines(caplog)
        assert line == (
            "[BARGE-IN] User interrupting AI! Sent Twilio clear event (stream_sid=MZ1), "
            "Cleared 25 frames from TX queues (realtime=20, tx=5, reason=barge_in), barge_in_events=1, "
            f"response_id={OURS}, cancel=sent, source=local, why=turn, at_ms=0, held_ms=100"
        )
        assert [step for step in steps if "response.cancel" in step] == [
            f"[BARGE-IN] Step 2: Sending response.cancel for {OURS}, at_ms=100",
            f"[BARGE-IN] response.cancel sent for {OURS}, at_ms=100",
        ]
        assert any("Cleared 25 frames" in step and "at_ms=100" in step for step in steps)

    @pytest.mark.parametrize(
        "item", [("local_filler_1", "local_filler_1", 0, 900), ("item_1", OURS, 1000, 1000)], ids=["ours", "heard"]
    )
    def test_some_items_are_not_truncated(self, scene, item):
        scene.items = [item]
        scene.at(State.COMMITTED)
        assert scene.entry.items == []

    def test_of_each_item_what_was_heard(self, scene):
        scene.items = [("item_1", OURS, 999, 1000), ("local_1", "local_1", 0, 1), ("item_2", OURS, 0, 500)]
        scene.at(State.COMMITTED)
        assert [item["item_id"] for item in scene.entry.items] == ["item_1", "item_2"]

    def test_an_item_that_the_session_does_not_know_was_not_cut(self, scene):
        scene.known = False
        scene.at(State.COMMITTED)
        assert scene.entry.items == []

    def test_each_is_counted_and_false_ones_are_not(self, scene, caplog):
        scene.at(State.RESUMED)
        for number in (1, 2):
            scene.at(State.COMMITTED)
            assert f"barge_in_events={number}," in lines(caplog)[-1]

    def test_what_he_says_interrupts_once(self, scene):
        scene.hears()
        scene.edge()
        scene.edge()
        assert scene.barge_in.held, "the model's word of it counts no more"


class TestCancel:
    def cancel(self, caplog) -> str:
        return lines(caplog)[-1].partition("cancel=")[2].partition(",")[0]

    def test_that_waits_for_the_beginning_of_its_response(self, scene, caplog):
        scene.responses.cancels_now = False
        scene.at(State.COMMITTED)
        assert self.cancel(caplog) == "when it begins"

    def test_that_the_controller_does_not_need(self, scene, caplog):
        scene.responses.may = False
        scene.at(State.COMMITTED)
        assert self.cancel(caplog) == "not needed"

    def test_not_what_has_begun_since(self, scene, caplog):
        scene.at(State.HELD)
        scene.responses.response_id = OTHERS
        scene.do(scene.barge_in.caller_turn)
        assert ("cancel" in scene.journal, self.cancel(caplog)) == (False, "not needed")

    @pytest.mark.parametrize(("hint", "cancelled"), [("caller_turn", True), ("new_response", False)])
    def test_what_was_asked_for_before_but_not_what_overtakes_it(self, scene, hint, cancelled):
        scene.at(State.HELD)
        scene.responses.generating = False
        scene.do(getattr(scene.barge_in, hint))
        assert ("cancel" in scene.journal) is cancelled


class TestModelAlone:
    def test_interrupts_after_so_long(self, scene):
        scene.hears()
        scene.advance(MODEL_ALONE_SECONDS - MOMENT)
        assert scene.count == 0
        scene.advance(2 * MOMENT)
        assert (scene.entry.source, scene.outcome) == ("model", ("committed", "speech_started"))
        assert scene.loop.pending_timers() == []

    def test_not_where_it_may_not(self, scene):
        scene.may_interrupt = False
        scene.hears()
        assert (scene.journal, scene.loop.pending_timers()) == (["expect_voice"], [])

    def test_not_where_it_may_not_any_more(self, scene):
        scene.hears()
        scene.may_interrupt = False
        scene.advance(1)
        assert (scene.count, scene.loop.pending_timers()) == (0, [])

    @pytest.mark.parametrize("end", ["speech_stopped", "giving_up", "close"])
    def test_not_once_it_is_over(self, scene, end):
        scene.hears()
        scene.do(getattr(scene.barge_in, end))
        assert scene.loop.pending_timers() == []

    def test_not_where_our_ear_has_heard_it_meanwhile(self, scene):
        scene.hears()
        scene.edge()
        assert scene.loop.pending_timers() == []


class TestBeginsToSpeak:
    """The first frame of an answer leaves while the caller may be speaking."""

    def begins(self, scene: Scene) -> None:
        scene.do(scene.barge_in.first_frame, "resp_2")

    def test_into_his_sentence_by_the_models_account(self, scene):
        scene.may_interrupt = False
        scene.hears()
        scene.may_interrupt = True
        self.begins(scene)
        scene.advance(MODEL_ALONE_SECONDS + MOMENT)
        assert scene.outcome == ("committed", "speech_started")

    @pytest.mark.parametrize(("level_dbfs", "interrupts"), [(-35.06, True), (-35.07, False)])
    def test_into_his_sentence_as_our_ear_hears_it_go_on(self, scene, level_dbfs, interrupts):
        scene.caller_goes_on = True
        scene.detector.level_dbfs = level_dbfs
        self.begins(scene)
        scene.advance(MODEL_ALONE_SECONDS + MOMENT)
        assert scene.count == interrupts

    def test_between_two_syllables_is_looked_at_again(self, scene):
        scene.caller_goes_on = True
        scene.detector.level_dbfs = -60.0
        self.begins(scene)
        scene.advance(3 * MODEL_ALONE_SECONDS + MOMENT)
        assert scene.count == 0
        scene.detector.level_dbfs = -20.0
        scene.advance(MODEL_ALONE_SECONDS)
        assert scene.count == 1

    def test_when_he_has_stopped_is_no_interruption(self, scene):
        scene.caller_goes_on = True
        self.begins(scene)
        scene.caller_goes_on = False
        scene.advance(MODEL_ALONE_SECONDS + MOMENT)
        assert (scene.count, scene.loop.pending_timers()) == (0, [])

    @pytest.mark.parametrize("may", [True, False])
    def test_into_silence_or_where_nothing_may_be_interrupted_is_nothing(self, scene, may):
        scene.may_interrupt, scene.caller_goes_on = may, not may
        self.begins(scene)
        assert scene.loop.pending_timers() == []
