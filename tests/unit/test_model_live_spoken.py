"""fastbridge.model.live.spoken: words before, with and after their sound."""

from collections import Counter

import pytest

from fastbridge.model.history import BLANK, History
from fastbridge.model.live.spoken import MAX_FRAGMENTS, MAX_WAITING_CHARS, Spoken


@pytest.fixture
def spoken() -> Spoken:
    return Spoken(History(Counter()))


def text(spoken: Spoken, item_id: str) -> str:
    return spoken._history.turns[item_id].text


def test_with_their_sound(spoken):
    spoken.begin("live_1", 1000)
    spoken.words(" Hello", 1000)
    spoken.words(" you", 1400)
    assert text(spoken, "live_1") == " Hello you"


def test_before_it(spoken):
    spoken.words(" Hello", 900)
    spoken.begin("live_1", 1000)
    spoken.words(" you", 1400)
    assert text(spoken, "live_1") == " Hello you"


def test_after_it(spoken):
    spoken.begin("live_1", 1000)
    spoken.words(" Hello", 1000)
    spoken.end(2000)
    spoken.words(" you", 1900)
    assert text(spoken, "live_1") == " Hello you"


def test_after_it_while_another_is_under_way(spoken):
    spoken.begin("live_1", 1000)
    spoken.words(" Hello", 1000)
    spoken.end(2000)
    spoken.begin("live_2", 3000)
    spoken.words(" you", 1900)
    spoken.words(" Next", 2800)
    assert (text(spoken, "live_1"), text(spoken, "live_2")) == (" Hello you", " Next")


def test_of_what_nobody_wants_nothing_is_kept(spoken):
    spoken.begin("", 1000)
    spoken.words(" Hello", 1000)
    spoken.end(2000)
    spoken.words(" you", 1900)
    assert spoken._history.turns == {}


def test_of_what_was_cut_no_more_comes(spoken):
    spoken.begin("live_1", 1000)
    spoken.words(" Hello you", 1000)
    spoken._history.cut(spoken._history.turns["live_1"], 500, 1000)
    spoken.words(" there", 1400)
    spoken.end(2000)
    spoken.words(" again", 1900)
    assert "there" not in text(spoken, "live_1")
    assert "again" not in text(spoken, "live_1")


def test_late_ones_stand_apart_whichever_of_them_brought_the_blank(spoken):
    spoken.begin("live_1", 1000)
    spoken.words("Hello ", 1000)
    spoken.end(2000)
    spoken._history.end_words("live_1", "Hello")
    spoken.words("you ", 1900)
    assert text(spoken, "live_1") == "Hello you"


def test_the_first_words_of_a_session_may_come_before_its_first_sound(spoken):
    """There is no utterance before it that they could be of."""
    spoken.words("Hello", 0)
    spoken.begin("live_1", 40)
    assert text(spoken, "live_1") == "Hello"


def test_what_waits_is_bounded_and_forgotten_with_its_session(spoken):
    spoken.words("x" * 9000, 500)
    assert len(spoken._waiting) == MAX_WAITING_CHARS
    spoken.forget()
    spoken.begin("live_1", 0)
    assert spoken._history.turns == {}


def test_of_what_is_private_no_late_word_is_kept(spoken):
    spoken._history.private = True
    spoken.begin("live_1", 1000)
    spoken.words(" Type", 1000)
    spoken.end(2000)
    spoken.words(" it", 1900)
    assert text(spoken, "live_1") == BLANK


class TestAhead:
    """Of its sound: by the place that each fragment has."""

    def test_is_what_begins_behind_this_place(self, spoken):
        spoken.begin("live_1", 1000)
        spoken.words(" Hello", 1000, 1200)
        spoken.words(" you", 1200, 1400)
        assert [spoken.ahead_chars(at_ms) for at_ms in (1000, 1200, 1400)] == [10, 4, 0]

    def test_of_a_fragment_under_way_is_its_share(self, spoken):
        spoken.begin("live_1", 1000)
        spoken.words(" Hello to you", 1000, 2000)
        assert spoken.ahead_chars(1500) == 6

    def test_counts_what_has_waited_for_its_sound(self, spoken):
        spoken.words(" Hello", 900, 1300)
        spoken.begin("live_1", 1000)
        assert spoken.ahead_chars(1100) == 3

    def test_a_fragment_without_a_length_is_said_at_once(self, spoken):
        spoken.begin("live_1", 1000)
        spoken.words(" Hello", 1000, 1000)
        assert (spoken.ahead_chars(1000), spoken.ahead_chars(1001)) == (6, 0)

    @pytest.mark.parametrize("over", [lambda spoken: spoken.end(2000), lambda spoken: spoken.forget()])
    def test_of_what_is_over_nothing_is(self, spoken, over):
        spoken.begin("live_1", 1000)
        spoken.words(" Hello", 1000, 9000)
        over(spoken)
        assert spoken.ahead_chars(1000) == 0

    def test_is_bounded(self, spoken):
        spoken.begin("live_1", 0)
        for number in range(MAX_FRAGMENTS + 10):
            spoken.words("a", number, number + 1)
        assert spoken.ahead_chars(0) == MAX_FRAGMENTS


def test_where_the_last_began_that_is_wanted_is_known(spoken):
    assert spoken.answer_ms is None
    spoken.begin("live_1", 1000)
    spoken.end(2000)
    spoken.begin("", 3000)
    spoken.end(4000)
    assert spoken.answer_ms == 1000
    spoken.forget()
    assert spoken.answer_ms is None
