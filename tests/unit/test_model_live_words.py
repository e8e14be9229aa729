"""fastbridge.model.live.words: no message holds more than it may, and no word is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.model.live.words import MAX_TOKENS, first_piece, last_piece, pieces, tokens_of


@pytest.mark.parametrize(("text", "most"), [("", 0), ("abc", 1), ("abcd", 2), ("שלום", 4), ("aא", 2)])
def test_the_count_is_never_too_small(text, most):
    assert tokens_of(text) == most


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=400), st.integers(1, 40))
def test_pieces_are_the_whole_in_order(text, most):
    found = list(pieces(text, most))
    assert all(0 < tokens_of(piece) <= most for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_a_long_text_is_cut_between_words():
    text = "word " * 1000
    found = list(pieces(text))
    assert len(found) > 1
    assert all(set(piece.split()) == {"word"} and tokens_of(piece) <= MAX_TOKENS for piece in found)
    assert first_piece(text) == found[0]
    assert first_piece("  ") == ""


def test_the_end_of_a_text_is_as_it_is_or_cut_between_words():
    assert last_piece("one  two three", 500) == "one  two three"
    assert last_piece("one two three", 3) == "two three"
