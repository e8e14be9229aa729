"""Numbers to keep secret: whatever their digits, groups and words, none survives; all else stays; nothing is slow."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastbridge.masking.mask import _DATE, BUILT_IN, Dialogue, luhn
from fastbridge.masking.number_words import HEBREW_AND, ROLES, Role

WORDS = {
    digit: [word for word, (role, of) in ROLES.items() if role is Role.UNIT and of == digit] for digit in "0123456789"
}
GAPS = [" ", "-", ".", ", ", "  ", " - ", "... ", "\u200f ", ", uh, "]
NO_NUMBER = st.text(st.characters(exclude_categories=["Nd"])).filter(
    lambda text: not any(word in text.lower() for word in ROLES)
)


def textbook(digits):
    """The check as ISO/IEC 7812 tells it, from the right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@st.composite
def cards(draw):
    body = draw(st.text("0123456789", min_size=12, max_size=18))
    assume(body[0] != "0")
    return next(body + last for last in "0123456789" if textbook(body + last))


def grouped(draw, digits):
    groups = []
    while digits:
        size = draw(st.integers(1, 6))
        groups.append(digits[:size])
        digits = digits[size:]
    return groups


@st.composite
def said(draw):
    """A card number as somebody may say or write it, and its digits."""
    digits = draw(cards())
    groups = grouped(draw, digits)
    assume(any(len(group) > 2 for group in groups))  # small ones that rise are a list of hours
    parts = []
    for group in groups:
        if draw(st.booleans()):
            parts.append(group)
        else:
            parts += [draw(st.sampled_from(WORDS[digit])) for digit in group]
    text = parts[0]
    for part in parts[1:]:
        text += draw(st.sampled_from(GAPS)) + part
    sizes = {len(part) for part in text.split(", ")}
    assume(sizes not in ({2}, {3}))  # prices
    assume(_DATE.search(text) is None)  # a date within a number is a date
    return text, digits


@given(st.text("0123456789", min_size=1, max_size=40))
def test_the_check_is_the_textbooks(digits):
    assert luhn(digits) is textbook(digits)


@given(said(), NO_NUMBER, NO_NUMBER)
def test_no_card_survives(of, before, after):
    text, digits = of
    shown = BUILT_IN(f"{before}: {text} | {after}")
    assert shown == f"{before}: [card …{digits[-4:]}] | {after}"


@given(cards(), st.data())
def test_no_card_survives_in_a_line(digits, data):
    text = data.draw(st.sampled_from([" ", "-", ". "])).join(grouped(data.draw, digits))
    assume(any(len(group) > 2 for group in text.split()) and _DATE.search(text) is None)
    assert BUILT_IN.written(f"[CRM] card={text}, x=1") == f"[CRM] card=[card …{digits[-4:]}], x=1"


@given(cards(), st.integers(3, 12), st.sampled_from(["", "it is "]))
def test_no_card_survives_in_two_turns(digits, at, before):
    assume(len(digits) - at in range(3, 13))
    turns = [before + digits[:at], digits[at:]]
    assert BUILT_IN.turns(turns) == [f"{before}[card]", "[card]"] or "[id]" in "".join(BUILT_IN.turns(turns))
    dialogue = Dialogue(BUILT_IN)
    dialogue.turn(1, turns[0])
    assert digits[at:] not in dialogue.turn(1, turns[1])


@given(NO_NUMBER)
def test_words_without_numbers_stay(text):
    assert BUILT_IN(text) == BUILT_IN.written(text) == BUILT_IN.piece(text) == text


SNIPPETS = st.sampled_from(
    [
        *ROLES,
        *"0123456789",
        *GAPS,
        "4242",
        "123456782",
        "AB123456C",
        "ssn",
        "cvv",
        "code",
        "expires",
        "is",
        "+",
        "…",
        "[",
        "]",
        HEBREW_AND,
    ]
)


@given(st.lists(SNIPPETS | st.text(max_size=3), max_size=60).map("".join) | st.text())
def test_what_is_masked_is_masked(text):
    once = BUILT_IN(text)
    assert BUILT_IN(once) == once
    assert BUILT_IN.written(BUILT_IN.written(text)) == BUILT_IN.written(text)
    assert BUILT_IN.turns(BUILT_IN.turns([text, text])) == BUILT_IN.turns([text, text])


@given(st.lists(SNIPPETS, max_size=60).map(" ".join))
def test_a_piece_shows_no_digit(text):
    assert not any(letter.isdecimal() for letter in BUILT_IN.piece(text))


@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "1",
        "4242 ",
        "four ",
        "double ",
        "forty ",
        "1-",
        "1 a ",
        "+1 ",
        "uh 1 ",
        "uh ",
        "12.30, ",
        "2024-01-25 ",
        "123-45-6789 ",
        "AB 12 ",
        "AB123456",
        "ssn ",
        "ssn 12345678; ",
        "cvv 123; ",
        "code ",
        "code code is the 1; ",
        "4242424242424242; exp 12 slash ",
        "… ",
        "[card …4242] ",
        " ",
        HEBREW_AND,
    ],
)
def test_the_time_is_linear(unit):
    """100 KB of what is worst for each part takes four times as long as 25 KB, and not sixteen."""

    def seconds(size):
        text = unit * (size // len(unit))
        began = time.process_time()
        for mask in (BUILT_IN, BUILT_IN.written, BUILT_IN.piece):
            mask(text)
        return time.process_time() - began

    limit = 8 * min(seconds(25_000) for _ in range(3)) + 0.01
    assert any(seconds(100_000) < limit for _ in range(3))
