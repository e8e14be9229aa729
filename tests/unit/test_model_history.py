"""fastbridge.model.history: what was said, and how much of it was heard."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.base.conversation import Note
from fastbridge.model import history as module
from fastbridge.model.history import History, cut_to

TEXT = "one two three four five six seven eight nine ten eleven twelve"


@pytest.fixture
def history():
    return History(Counter())


def spoken(history: History, text: str = TEXT, item_id: str = "item_1") -> History:
    history.turn("assistant", item_id)
    history.speaking_item = item_id
    history.add_words(item_id, text)
    return history


def test_what_was_heard_of_a_turn_begins_with_its_first_word(history):
    """A stream's fragments have their spaces in front."""
    turn = spoken(history, " " + TEXT).turns["item_1"]
    history.cut(turn, 1000, 6000)
    assert turn.text.startswith("one")


class TestBreakOff:
    def test_keeps_the_words_that_the_audio_had_room_for(self, history):
        spoken(history)
        assert history.break_off(history.chars_of(1000)) == "one two three"
        assert (history.turns["item_1"].text, history.turns["item_1"].ended) == ("one two three", True)

    def test_at_the_speed_that_was_learned(self, history):
        spoken(history)
        history.learn_speed(len(TEXT) * 200)
        spoken(history, TEXT, "item_2")
        assert history.break_off(history.chars_of(1000)) == "one"
        spoken(history, TEXT, "item_3")
        assert history.break_off(history.chars_of(1600)) == "one two"

    def test_all_of_it_where_there_was_audio_for_all(self, history):
        assert spoken(history).break_off(history.chars_of(60_000)) == TEXT

    def test_without_what_is_blank_around_it(self, history):
        assert spoken(history, " one two ").break_off(history.chars_of(60_000)) == "one two"

    def test_without_audio_nothing_was_said(self, history):
        assert spoken(history).break_off(history.chars_of(0)) == ""

    def test_without_a_message_neither(self, history):
        assert history.break_off(history.chars_of(1000)) == ""

    def test_what_an_interruption_has_cut_stays_as_it_is(self, history):
        turn = spoken(history).turns["item_1"]
        history.cut(turn, 5000, 6000)
        cut = turn.text
        assert history.break_off(history.chars_of(10)) == cut

    @pytest.mark.parametrize("text", ["You are welcome and see you", "tuesday"])
    def test_what_comes_in_step_with_its_audio_was_said_though_the_others_were_faster(self, history, text):
        """A reckoned speed knows no single word: by it the last one would be said twice."""
        chars = len(text) - 4
        assert spoken(history, text).break_off(chars) != text
        assert spoken(history, text, "item_2").break_off(chars, in_step=True) == text

    def test_no_more_than_anybody_says_in_that_time_was(self, history):
        heard = spoken(history).break_off(2, in_step=True)
        assert heard != TEXT
        assert TEXT.startswith(heard)

    def test_what_was_heard_before_a_recording_counts(self, history):
        spoken(history)
        history.played_before("item_1", 1000)
        assert history.break_off(history.chars_of(500)) == "one two three four"

    def test_no_words_are_added_later(self, history):
        spoken(history).break_off(history.chars_of(1000))
        history.add_words("item_1", " late")
        assert history.end_words("item_1", "all of it") is None
        assert history.turns["item_1"].text == "one two three"


class TestSpeed:
    @pytest.mark.parametrize("received_ms", [1000, 4000, 12_000])
    def test_of_speech_is_learned(self, history, received_ms):
        spoken(history).learn_speed(received_ms)
        assert history.chars_per_ms == len(TEXT) / received_ms

    @pytest.mark.parametrize("text", ["", "short"])
    def test_of_little_is_not(self, history, text):
        spoken(history, text).learn_speed(900)
        assert history.chars_per_ms == module.SPEECH_CHARS_PER_MS

    def test_of_what_is_mostly_no_speech_is_not(self, history):
        spoken(history).learn_speed(len(TEXT) * 400)
        assert history.chars_per_ms == module.SPEECH_CHARS_PER_MS

    def test_that_was_asked_for_is_what_is_expected(self, history):
        history.set_speed(0.5)
        assert history.chars_per_ms == module.SPEECH_CHARS_PER_MS / 2
        spoken(history).learn_speed(len(TEXT) * 400)
        assert history.chars_per_ms == 1 / 400, "slow, as it was told to be"
        history.set_speed(1.5)
        spoken(history, item_id="item_2").learn_speed(len(TEXT) * 300)
        assert history.chars_per_ms == module.SPEECH_CHARS_PER_MS * 1.5, "not even that was asked for"


class TestCalls:
    def test_have_their_place_and_their_answer(self, history):
        history.turn("caller", "item_1")
        call = history.add_call("call_1", "look", "{}")
        assert history.tool_calls == [call]
        assert (call.position, call.output) == (1, None)

    def test_are_bounded(self, history, monkeypatch):
        monkeypatch.setattr(module, "MAX_TOOL_CALLS", 2)
        for number in range(4):
            history.add_call(f"call_{number}", "look", "{}")
        assert [call.call_id for call in history.tool_calls] == ["call_0", "call_1"]

    def test_of_one_id_are_two(self, history):
        first, second = history.add_call("call_1", "look", "{}"), history.add_call("call_1", "look", "{}")
        first.output = "yes"
        assert (second.output, len(history.tool_calls)) == (None, 2)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0, ""),
        (0.1, ""),
        (0.5, "one"),
        (0.54, "one two"),
        (0.6, "one two"),
        (0.99, "one two"),
        (1, "one two three"),
        (2, "one two three"),
    ],
)
def test_texts_are_cut_to_whole_words(share, expected):
    assert cut_to("one two three", share) == expected


@pytest.mark.parametrize("share", [0.9, 1])
def test_and_without_what_is_blank_behind_them(share):
    assert cut_to("one two three ", share) == ("one two three" if share == 1 else "one two")
    assert cut_to("one two  three", 0.58) == "one two"


def test_what_breaks_off_is_without_what_is_blank_behind_it():
    history = History(Counter())
    history.speaking_item = "item_1"
    history.add_words("item_1", "one two ")
    assert history.break_off(100) == "one two"


def test_and_without_what_is_blank_before_it(history):
    """A first fragment may begin with a space."""
    spoken(history, " one two three")
    assert history.break_off(100) == history.turns["item_1"].text == "one two three"


def test_of_nothing_is_nothing():
    assert cut_to("", 0.5) == ""


class TestOrder:
    def order(self, history: History) -> list[str]:
        return [turn.item_id for turn in history.ordered()]

    @given(st.permutations("abcdef"), st.permutations("abcdef"))
    def test_is_the_models_however_it_comes_in(self, begun, told):
        history = History(Counter())
        before = dict(zip("abcdef", [None, *"abcde"], strict=True))
        for name, other in zip(begun, told, strict=True):
            history.turn("caller", name)
            history.follows(other, before[other])
        assert self.order(history) == list("abcdef")

    def test_without_its_word_turns_stand_as_they_began(self):
        history = History(Counter())
        for name, previous in [("c", None), ("a", 7), ("b", [])]:
            history.turn("caller", name)
            history.follows(name, previous)
        assert self.order(history) == ["c", "a", "b"]

    def test_items_that_are_no_turns_stand_between(self):
        history = History(Counter())
        history.turn("assistant", "answer")
        history.turn("caller", "question")
        for item, previous in [("answer", "output"), ("output", "function"), ("function", "question")]:
            history.follows(item, previous)
        assert self.order(history) == ["question", "answer"]

    def test_of_some_turns_alone_is_the_same(self):
        history = History(Counter())
        for name, previous in [("d", "c"), ("b", "a"), ("c", "b"), ("a", None)]:
            history.follows(name, previous)
            history.turn("caller", name)
        some = {name: history.turns[name] for name in ("d", "b", "c")}
        assert [turn.item_id for turn in history.ordered(some)] == ["b", "c", "d"]
        del some["c"]  # behind one that is not among them nobody is bound
        assert [turn.item_id for turn in history.ordered(some)] == ["d", "b"]

    def test_a_circle_loses_nobody(self):
        history = History(Counter())
        for name, previous in [("a", "b"), ("b", "a"), ("c", "c")]:
            history.follows(name, previous)
            history.turn("caller", name)
        assert sorted(self.order(history)) == ["a", "b", "c"]


class TestCut:
    def test_words_run_ahead_of_the_voice(self):
        """A hundred characters take four seconds: with one second of audio, all of it heard, a quarter was said."""
        history = History(Counter())
        turn = history.turn("assistant", "a")
        history.add_words("a", "abcd " * 20)
        history.cut(turn, 1000, 1000)
        assert turn.text == ("abcd " * 5).rstrip()

    def test_the_slower_it_speaks_the_more_there_is_to_come(self):
        history = History(Counter())
        history.set_speed(0.5)
        turn = history.turn("assistant", "a")
        history.add_words("a", "abcd " * 20)
        history.cut(turn, 2000, 2000)
        assert turn.text == ("abcd " * 5).rstrip()

    def test_only_the_first_counts(self):
        history = History(Counter())
        turn = history.turn("assistant", "a")
        history.end_words("a", "one two three four")
        history.cut(turn, 500, 1000)
        history.cut(turn, 900, 1000)
        assert (turn.text, turn.heard_ms) == ("one two", 500)

    def test_of_nothing(self):
        history = History(Counter())
        turn = history.turn("assistant", "a")
        history.cut(turn, 0, 0)
        history.cut(None, 1, 2)
        assert (turn.text, turn.heard_share) == ("", 0.0)


def test_a_turn_is_untold_until_somebody_has_told_of_it(history):
    turn = history.turn("caller", "a")
    history.turn("caller", "a")
    assert history.untold == {"a": turn}
    del history.untold["a"]
    history.turn("caller", "a")
    assert history.untold == {}


class TestBounds:
    def test_of_turns(self, history, monkeypatch):
        monkeypatch.setattr(module, "MAX_TURNS", 2)
        assert [history.turn("caller", item_id) is None for item_id in "abca"] == [False, False, True, False]
        assert list(history.untold) == ["a", "b"]
        assert history._counters == {"transcript_overflow": 1}

    def test_of_what_follows_what(self, history, monkeypatch):
        monkeypatch.setattr(module, "MAX_TURNS", 2)
        for number in range(9):
            history.follows(f"item_{number}", "before")
        turns = [history.turn("caller", item_id) for item_id in ("item_7", "item_8")]
        assert [turn.previous_item_id for turn in turns] == ["before", None]


class TestCutOff:
    def test_once_an_item_and_no_more_than_came(self, history):
        spoken(history)
        turn, heard_ms, received_ms = history.cut_off("item_1", 900, 600)
        assert (turn.heard_ms, heard_ms, received_ms) == (600, 600, 600)
        assert history.cut_off("item_1", 100, 600) is None

    def test_by_the_models_count_where_a_recording_of_ours_lay_between(self, history):
        spoken(history).played_before("item_1", 1000)
        _, heard_ms, received_ms = history.cut_off("item_1", 200, 500)
        assert (heard_ms, received_ms) == (1200, 1500)

    def test_less_than_nothing_is_nothing(self, history):
        turn, heard_ms, _ = spoken(history).cut_off("item_1", -5, 500)
        assert (heard_ms, turn.text) == (0, "")


class TestLength:
    """A model without end costs no more than what is kept of it."""

    @pytest.mark.parametrize("how", ["add_words", "write", "end_words", "write_down"])
    def test_of_a_turn(self, history, how, monkeypatch):
        monkeypatch.setattr(module, "MAX_TURN_CHARS", 20)
        turn = history.turn("assistant", "item_1")
        if how == "add_words":
            for _ in range(9):
                history.add_words("item_1", "words ")
        elif how == "end_words":
            history.end_words("item_1", "words " * 9)
        else:
            getattr(history, how)(turn, "words " * 9)
        assert turn.text == ("words " * 9)[:20]

    def test_of_a_calls_arguments(self, history, monkeypatch):
        monkeypatch.setattr(module, "MAX_ARGUMENTS_CHARS", 20)
        assert history.add_call("call_1", "order", '{"number": "' + "7" * 99).arguments == '{"number": "77777777'


class TestNotes:
    def test_know_what_came_before_them(self, history):
        history.add_note("user", "(1)")
        spoken(history)
        history.add_note("system", "(2)")
        assert list(history.notes) == [Note("user", "(1)", 0), Note("system", "(2)", 1)]

    def test_are_bounded_and_the_newest_win(self, history):
        for number in range(module.MAX_NOTES + 1):
            history.add_note("user", str(number))
        assert (len(history.notes), history.notes[0].text) == (module.MAX_NOTES, "1")


class TestWordsAheadOfTheirSound:
    def test_are_taken_back(self, history):
        spoken(history).unsay_behind("item_1", 13)
        assert history.turns["item_1"].text == "one two three"
        history.unsay_behind("item_1", 100)
        assert history.turns["item_1"].text == "one two three"

    @pytest.mark.parametrize("field", [{"heard_ms": 5}, {"ended": True}, {"private": True}])
    def test_but_not_of_a_turn_whose_words_are_known(self, history, field):
        vars(spoken(history).turns["item_1"]).update(field)
        history.unsay_behind("item_1", 13)
        history.unsay_behind("item_2", 13)
        assert history.turns["item_1"].text == TEXT
