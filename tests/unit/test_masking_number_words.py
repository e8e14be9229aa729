"""fastbridge.masking.number_words: the table is one."""

import pytest

from fastbridge.masking import number_words
from fastbridge.masking.number_words import FILLERS, ROLES, Role

TABLES = ("_UNITS", "_WHOLE", "_TENS", "_TEEN_ENDINGS", "_TIMES")


def test_no_word_is_in_it_twice():
    words = [word for table in TABLES for said in getattr(number_words, table).values() for word in said.split()]
    assert sorted(words) == sorted(ROLES)
    assert not FILLERS & ROLES.keys()


@pytest.mark.parametrize(("role", "length"), [(Role.UNIT, 1), (Role.TEN, 2), (Role.WHOLE, 2), (Role.TIMES, 1)])
def test_digits_are_as_long_as_their_role_says(role, length):
    found = [digits for each, digits in ROLES.values() if each is role]
    assert found
    assert all(digits.isdecimal() and digits.isascii() and len(digits) == length for digits in found)


def test_words_are_looked_up_in_lower_case():
    assert all(word == word.lower() for word in ROLES)
