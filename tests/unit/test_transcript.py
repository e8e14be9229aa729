"""fastbridge.transcript: turns by item id, in the conversation's order, cut to what was heard."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge import transcript as module
from fastbridge.transcript import Transcript, cut_to


@pytest.fixture
def transcript():
    return Transcript(Counter())


def order(transcript: Transcript) -> list[str]:
    return [turn.item_id for turn in transcript.ordered()]


class TestOrder:
    def test_turns_stand_as_they_began(self, transcript):
        for name in "abc":
            transcript.turn("caller", name)
        assert order(transcript) == ["a", "b", "c"]

    def test_the_models_word_wins(self, transcript):
        for name in "cab":
            transcript.turn("caller", name)
        transcript.follows("a", None)
        transcript.follows("b", "a")
        transcript.follows("c", "b")
        assert order(transcript) == ["a", "b", "c"]

    @given(st.permutations("abcdef"), st.permutations("abcdef"))
    def test_however_it_comes_in(self, begun, told):
        transcript = Transcript(Counter())
        before = dict(zip("abcdef", [None, *"abcde"], strict=True))
        for name, other in zip(begun, told, strict=True):
            transcript.turn("caller", name)
            transcript.follows(other, before[other])
        assert order(transcript) == list("abcdef")

    def test_items_that_are_no_turns_stand_between(self, transcript):
        transcript.turn("assistant", "answer")
        transcript.turn("caller", "question")
        transcript.follows("answer", "output")
        transcript.follows("output", "function")
        transcript.follows("function", "question")
        assert order(transcript) == ["question", "answer"]

    def test_a_circle_loses_nobody(self, transcript):
        for name in "ab":
            transcript.turn("caller", name)
        transcript.follows("a", "b")
        transcript.follows("b", "a")
        transcript.follows("c", "c")
        transcript.turn("caller", "c")
        assert sorted(order(transcript)) == ["a", "b", "c"]

    @pytest.mark.parametrize("previous", [None, 7, [], {}])
    def test_nonsense_says_nothing(self, transcript, previous):
        transcript.turn("caller", "a")
        transcript.follows("a", previous)
        assert order(transcript) == ["a"]

    def test_is_bounded(self, transcript, monkeypatch):
        monkeypatch.setattr(module, "MAX_TURNS", 2)
        turns = [transcript.turn("caller", str(number)) for number in range(4)]
        assert [turn is None for turn in turns] == [False, False, True, True]
        for number in range(100):
            transcript.follows(str(number), "0")
        assert len(transcript._previous) == 8
        assert transcript._counters == {"transcript_overflow": 2}


class TestWords:
    def test_grow_until_all_is_there(self, transcript):
        turn = transcript.turn("assistant", "a")
        transcript.words(turn, "one ")
        transcript.words(turn, "two")
        assert transcript.whole(turn, "One, two.")
        transcript.words(turn, "three")
        assert not transcript.whole(turn, "again")
        assert turn.text == "One, two."

    def test_of_no_turn_are_nobodys(self, transcript):
        transcript.words(None, "one")
        transcript.cut(None, 1, 2)
        assert not transcript.whole(None, "one")

    def test_that_were_cut_grow_no_more(self, transcript):
        turn = transcript.turn("assistant", "a")
        transcript.words(turn, "one two three four")
        transcript.cut(turn, 500, 1000)
        transcript.words(turn, " five")
        transcript.whole(turn, "one two three four five")
        transcript.cut(turn, 900, 1000)
        assert (turn.text, turn.heard_ms, turn.heard_share) == ("one two", 500, 0.5)

    def test_that_come_after_the_cut_are_cut(self, transcript):
        turn = transcript.turn("assistant", "a")
        transcript.cut(turn, 500, 1000)
        transcript.whole(turn, "one two three four")
        assert turn.text == "one two"

    @pytest.mark.parametrize(("heard", "received"), [(0, 1000), (0, 0), (5, 0)])
    def test_of_which_nothing_was_heard_are_gone(self, transcript, heard, received):
        turn = transcript.turn("assistant", "a")
        transcript.words(turn, "one two")
        transcript.cut(turn, heard, received)
        assert turn.text == ""

    def test_run_ahead_of_the_voice(self, transcript):
        """A hundred characters take four seconds: with one second of audio, all of it heard, a quarter was said."""
        turn = transcript.turn("assistant", "a")
        transcript.words(turn, "abcd " * 20)
        transcript.cut(turn, 1000, 1000)
        assert turn.text == ("abcd " * 5).rstrip()

    @pytest.mark.parametrize(
        ("share", "expected"),
        [(0, ""), (0.1, ""), (0.5, "one"), (0.54, "one two"), (0.99, "one two"), (1, "one two three")],
    )
    def test_are_cut_to_whole_words(self, share, expected):
        assert cut_to("one two three", share) == expected
