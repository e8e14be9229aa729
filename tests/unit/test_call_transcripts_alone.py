"""call.transcripts alone: what is known of a turn and when, what was heard of it, and who waits for whom."""

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone, lines
from fastbridge.base.conversation import Turn
from fastbridge.call.transcripts import PATIENCE_SECONDS, Transcripts
from fastbridge.config import Settings
from fastbridge.model.history import History

MOMENT = 0.002
WORDS = "one two three four"


class Scene(Alone):
    """The conversation as the model has it, and the lane's items. said: what the agent was told."""

    assistant_speaks = False

    def __init__(self) -> None:
        super().__init__()
        self.history = History(Counter())
        self.items: list[tuple[str, str, int, int]] = []
        self.responses = SimpleNamespace(generating=False, response_id=None)
        self.said: list[tuple[str, str]] = []
        assistant: Any = SimpleNamespace(items=lambda: list(self.items))
        self.session = SimpleNamespace(history=self.history, responses=self.responses, late_item="")
        session: Any = self.session
        self.transcripts = Transcripts(
            clock=self.clock,
            facts=self,
            assistant=assistant,
            session=session,
            settings=Settings.model_construct(transcription_model="some"),
            log=self.log,
            tell=lambda turn: self.said.append((turn.item_id, turn.text)),
        )

    def caller(self, item_id: str = "item_u", text: str | None = None) -> Turn:
        """A turn of the caller's: written down, or not so far."""
        turn = self.history.turn("caller", item_id)
        assert turn is not None
        if text is not None:
            self.written_down(turn, text)
        return turn

    def written_down(self, turn: Turn, text: str) -> None:
        turn.text, turn.ended = text, True
        self.do(self.transcripts.written_down, turn)

    def assistant(
        self, item_id: str = "item_1", text: str = WORDS, *, ended: bool = True, response_id: str = "resp_1"
    ) -> Turn:
        turn = self.history.turn("assistant", item_id)
        assert turn is not None
        turn.text, turn.ended, turn.response_id = text, ended, response_id
        return turn

    def lane(self, heard_ms: int, received_ms: int = 1000, item_id: str = "item_1") -> None:
        """What it has of an item, now."""
        self.items = [(item_id, "resp_1", heard_ms, received_ms)]

    def review(self) -> None:
        self.do(self.transcripts.review)

    def generates(self, response_id: str | None = "resp_1") -> None:
        self.responses.generating, self.responses.response_id = response_id is not None, response_id


@pytest.fixture
def scene(caplog) -> Iterator[Scene]:
    caplog.set_level("INFO", "fastbridge.events")
    scene = Scene()
    yield scene
    scene.shut(scene.transcripts.close)
    assert [turn for turn in scene.history.untold.values() if turn.role == "assistant" or turn.ended] == []


class TestCaller:
    def test_is_told_once_it_is_written_down(self, scene, caplog):
        turn = scene.caller()
        scene.review()
        assert scene.said == []
        scene.written_down(turn, "Hello?")
        scene.review()
        assert scene.said == [("item_u", "Hello?")]
        assert lines(caplog) == ['[TRANSCRIPT] Customer: "Hello?"']

    def test_is_not_told_as_long_as_more_of_its_words_may_come(self, scene):
        scene.session.late_item = "item_u"
        turn = scene.caller(text="Hello")
        assert scene.said == []
        turn.text = "Hello there?"
        scene.session.late_item = ""
        scene.review()
        assert scene.said == [("item_u", "Hello there?")]

    def test_is_not_waited_for_where_nothing_is_written_down(self, scene, caplog):
        context: Any = None
        agent: Any = None
        scene.do(scene.transcripts.use, agent, context, Settings.model_construct(transcription_model=""))
        scene.caller()
        scene.review()
        assert (scene.said, scene.history.untold, lines(caplog)) == ([], {}, [])


class TestPlayed:
    def test_is_told_when_it_was_heard_whole(self, scene, caplog):
        scene.assistant()
        scene.assistant_speaks = True
        scene.lane(999)
        scene.review()
        assert scene.said == []
        scene.lane(1000)
        scene.review()
        scene.review()
        assert scene.said == [("item_1", WORDS)]
        assert lines(caplog) == [f'[TRANSCRIPT] AI: "{WORDS}"']

    def test_is_not_known_as_long_as_more_may_come(self, scene):
        scene.assistant()
        scene.lane(1000)
        scene.generates()
        scene.review()
        assert scene.said == []
        scene.generates("resp_2")
        scene.review()
        assert scene.said == [("item_1", WORDS)]

    def test_one_of_no_response_yet_may_be_of_any(self, scene):
        scene.assistant(response_id="")
        scene.lane(1000)
        scene.generates("resp_2")
        scene.review()
        assert scene.said == []

    def test_that_the_lane_has_forgotten_was_heard_whole_where_it_had_a_sound(self, scene):
        turn = scene.assistant()
        scene.assistant_speaks = True
        scene.lane(500)
        scene.review()
        scene.items = []
        scene.review()
        assert (scene.said, turn.heard_ms) == ([("item_1", WORDS)], None)

    def test_that_never_had_a_sound_was_not_said(self, scene, caplog):
        turn = scene.assistant()
        scene.lane(0, 0)
        scene.generates()
        scene.review()
        scene.items = []
        scene.assistant_speaks = True
        scene.generates(None)
        scene.review()
        assert (turn.heard_ms, turn.text, scene.said, lines(caplog)) == (0, "", [], [])
        assert scene.history.untold == {}

    def test_that_waits_behind_what_is_heard_now_may_still_be_said(self, scene):
        scene.assistant("item_1", "First.")
        turn = scene.assistant("item_2", "Second.")
        scene.assistant_speaks = True
        scene.items = [("item_1", "resp_1", 500, 1000), ("item_2", "resp_1", 0, 1000)]
        scene.review()
        assert (scene.said, turn.heard_ms) == ([], None)

    def test_counts_what_was_heard_before_a_filler(self, scene):
        turn = scene.assistant()
        scene.history.played_before("item_1", 1000)
        scene.lane(0)
        scene.review()
        assert (turn.heard_ms, scene.said) == (1000, [("item_1", "one two")])


class TestCut:
    def test_is_what_was_heard_when_nothing_plays_any_more(self, scene, caplog):
        turn = scene.assistant()
        scene.lane(500)
        scene.assistant_speaks = True
        scene.review()
        assert turn.heard_ms is None
        scene.assistant_speaks = False
        scene.review()
        assert (turn.heard_ms, scene.said) == (500, [("item_1", "one two")])
        assert lines(caplog) == ['[TRANSCRIPT] AI: "one two…" (interrupted)']

    def test_is_not_made_while_the_rest_is_still_coming(self, scene):
        turn = scene.assistant(ended=False)
        scene.lane(500)
        scene.generates()
        scene.review()
        assert (turn.heard_ms, scene.said) == (None, [])

    def test_of_one_whose_words_did_not_end_is_made_though_its_sound_was_heard(self, scene):
        turn = scene.assistant(ended=False)
        scene.lane(1000)
        scene.review()
        assert turn.heard_ms == 1000

    def test_is_made_once(self, scene):
        turn = scene.assistant(text="", ended=False)
        scene.history.cut(turn, 500, 1000)
        scene.generates()
        scene.lane(800)
        scene.review()
        scene.do(scene.transcripts.close)
        assert turn.heard_ms == 500

    def test_waits_for_words_that_may_come(self, scene):
        turn = scene.assistant(text="", ended=False)
        scene.history.cut(turn, 500, 1000)
        scene.generates()
        scene.review()
        assert scene.history.untold == {"item_1": turn}
        scene.history.end_words("item_1", WORDS)
        scene.review()
        assert scene.said == [("item_1", "one two")]

    @pytest.mark.parametrize(("text", "ended"), [("one", False), ("", True)])
    def test_waits_for_none_where_there_are_some_or_it_has_ended(self, scene, text, ended):
        turn = scene.assistant(text=text, ended=ended)
        turn.heard_ms, turn.heard_share = 500, 0.5
        scene.generates()
        scene.review()
        assert scene.history.untold == {}

    def test_waits_for_none_where_nothing_was_heard(self, scene, caplog):
        turn = scene.assistant(text="", ended=False)
        scene.history.cut(turn, 0, 1000)
        scene.generates()
        scene.review()
        assert (scene.history.untold, lines(caplog)) == ({}, [])

    def test_waits_for_none_where_its_response_is_over(self, scene, caplog):
        """Something was heard, and nobody knows what."""
        turn = scene.assistant(text="", ended=False)
        scene.history.cut(turn, 500, 1000)
        scene.review()
        assert (scene.history.untold, scene.said) == ({}, [])
        assert lines(caplog) == ['[TRANSCRIPT] AI: "…" (interrupted)']

    @pytest.mark.parametrize("speaks", [True, False])
    @pytest.mark.parametrize("generating", [True, False])
    def test_the_end_of_the_call_cuts_whatever_is_under_way(self, scene, speaks, generating):
        scene.assistant()
        scene.lane(500)
        scene.assistant_speaks = speaks
        scene.generates("resp_1" if generating else None)
        scene.do(scene.transcripts.close)
        assert scene.said == [("item_1", "one two")]

    def test_the_end_of_the_call_leaves_what_was_heard_whole(self, scene):
        turn = scene.assistant()
        scene.lane(1000)
        scene.do(scene.transcripts.close)
        assert (turn.heard_ms, scene.said) == (None, [("item_1", WORDS)])

    def test_a_turn_of_the_callers_is_none_of_it(self, scene):
        turn = scene.caller()
        scene.lane(500, item_id="item_u")
        scene.do(scene.transcripts.close)
        assert (turn.heard_ms, scene.said) == (None, [])


class TestOrder:
    def heard(self, scene: Scene, item_id: str = "item_1") -> None:
        scene.assistant(item_id, "At nine.")
        scene.lane(1000, item_id=item_id)
        scene.review()
        scene.items = []

    def test_the_answer_waits_for_the_question(self, scene):
        turn = scene.caller()
        self.heard(scene)
        assert scene.said == []
        scene.written_down(turn, "When?")
        assert scene.said == [("item_u", "When?"), ("item_1", "At nine.")]
        assert scene.loop.pending_timers() == []

    def test_so_long_and_no_longer(self, scene):
        turn = scene.caller()
        scene.advance(10)
        self.heard(scene)
        scene.advance(PATIENCE_SECONDS - MOMENT)
        assert scene.said == []
        scene.advance(2 * MOMENT)
        assert scene.said == [("item_1", "At nine.")]
        scene.written_down(turn, "When?")
        scene.written_down(turn, "When?")
        assert scene.said == [("item_1", "At nine."), ("item_u", "When?")]

    def test_another_look_gives_it_no_more_time(self, scene):
        scene.caller()
        self.heard(scene)
        scene.advance(PATIENCE_SECONDS - MOMENT)
        scene.review()
        scene.advance(2 * MOMENT)
        assert scene.said == [("item_1", "At nine.")]

    def test_one_that_nobody_waits_for_has_all_the_time(self, scene):
        turn = scene.caller()
        scene.review()
        assert scene.loop.pending_timers() == []
        scene.advance(60)
        scene.written_down(turn, "Well …")
        assert scene.said == [("item_u", "Well …")]

    def test_the_assistants_own_turn_is_waited_for_without_a_bound(self, scene):
        scene.assistant("item_1")
        scene.lane(500)
        scene.assistant_speaks = True
        scene.caller("item_u", "Mhm.")
        assert (scene.said, scene.loop.pending_timers()) == ([], [])

    def test_each_that_is_waited_for_has_its_own_time(self, scene):
        first = scene.caller("item_u")
        scene.caller("item_v")
        self.heard(scene)
        scene.advance(PATIENCE_SECONDS / 2)
        scene.written_down(first, "When?")
        assert scene.said == [("item_u", "When?")]
        scene.advance(PATIENCE_SECONDS - MOMENT)
        assert len(scene.said) == 1
        scene.advance(2 * MOMENT)
        assert scene.said[1:] == [("item_1", "At nine.")]

    def test_those_passed_over_are_told_where_they_come_late_and_hold_nobody_up(self, scene):
        first, second = scene.caller("item_u"), scene.caller("item_v")
        self.heard(scene)
        scene.advance(2 * PATIENCE_SECONDS + MOMENT)
        assert scene.said == [("item_1", "At nine.")]
        self.heard(scene, "item_2")
        assert scene.said[1:] == [("item_2", "At nine.")]
        scene.written_down(second, "Two?")
        scene.written_down(first, "")
        assert scene.said[2:] == [("item_v", "Two?")]

    def test_the_end_of_the_call_tells_what_waits_and_not_what_nobody_knows(self, scene):
        scene.caller("item_u")
        self.heard(scene)
        scene.caller("item_v", "Thanks.")
        scene.do(scene.transcripts.close)
        assert scene.said == [("item_1", "At nine."), ("item_v", "Thanks.")]
        assert (list(scene.history.untold), scene.loop.pending_timers()) == (["item_u"], [])

    def test_the_ids_of_what_was_told_may_be_used_again(self, scene):
        """By another session."""
        self.heard(scene)
        scene.history.turns.clear()
        turn = scene.assistant("item_1", "Never voiced.")
        scene.review()
        assert (turn.heard_ms, len(scene.said)) == (0, 1)
