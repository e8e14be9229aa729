"""fastbridge.call.message_words: how much of a message was said, and what before it."""

import pytest

from fastbridge.call.message_words import letters_before, share_of

TEXT = "This is Maple Street Dental. Please call us back."
HEBREW = "שלום, מדברת המרפאה. נא לחזור אלינו."


@pytest.mark.parametrize(
    ("said", "share"),
    [(TEXT, 1.0), (TEXT.upper(), 1.0), ("", 0.0), ("xyz", 0.0), (f"Well. {TEXT} Bye.", 1.0), (TEXT[:20], 0.41)],
)
def test_the_share_of_a_message(said, share):
    assert share_of(TEXT, said) == pytest.approx(share, abs=0.05)


def test_the_share_of_a_message_of_two_letters():
    assert (share_of("Hi", "hi"), share_of("Hi", "Who?")) == (1.0, 0.0)


def test_the_share_in_other_letters():
    assert share_of(HEBREW, HEBREW) == 1.0
    assert share_of(HEBREW, "הלו? מי שם?") < 0.3


@pytest.mark.parametrize(
    ("said", "letters"),
    [
        (TEXT, 0),
        (TEXT.upper(), 0),
        (f"Hi! {TEXT}", 4),
        (f"Hello? Who is it? {TEXT}", 18),
        ("Please call us.", 0),
        ("xyz", 3),
        ("", 0),
    ],
)
def test_what_was_said_before_it(said, letters):
    assert letters_before(TEXT, said) == letters


def test_what_was_said_before_a_message_of_two_letters():
    assert (letters_before("Hi", "hi"), letters_before("Hi", "Oh, hi")) == (0, 4)
