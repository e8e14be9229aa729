"""fastbridge.masking.card_words: right before digits, and nowhere else."""

import pytest

from fastbridge.masking.card_words import BEFORE_DETAIL, WITHIN_DETAIL


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CVV ", "sure"),
        ("the c.v.v. is: ", "sure"),
        ("Security code of my card is ", "sure"),
        ("and the code, ", "code"),
        ("the digits on the back are ", "code"),
        ("it expires in December ", "expiry"),
        ("valid thru ", "expiry"),
        ("exp_date=", "expiry"),
        ("והקוד הוא ", "code"),
        ("קוד הביטחון ", "sure"),
        ("בתוקף עד ", "expiry"),
    ],
)
def test_words_before_a_code_or_a_date(text, kind):
    found = BEFORE_DETAIL.search(text)
    assert found is not None
    assert found.lastgroup == kind


@pytest.mark.parametrize(
    "text",
    ["zip code ", "area code ", "decode ", "codes ", "expert ", "code for people: many ", "the [code] ", "code"[:3]],
)
def test_other_words(text):
    assert BEFORE_DETAIL.search(text) is None


def test_within_a_date():
    assert WITHIN_DETAIL.fullmatch(" slash ")
    assert WITHIN_DETAIL.fullmatch(" and ") is None
