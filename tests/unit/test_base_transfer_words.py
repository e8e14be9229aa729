"""base.transfer_words: every language has all of it, and an answer is understood or asked for again."""

import pytest

from fastbridge.base.languages import LANGUAGES
from fastbridge.base.transfer_words import WORDS, is_yes, spoken_in, words_in


def test_the_same_languages_as_for_the_rest():
    assert set(WORDS) == set(LANGUAGES)


@pytest.mark.parametrize("language", WORDS)
def test_each_says_how_to_answer_and_understands_it(language):
    words = words_in(language)
    assert all((words.introduction, words.thanks, words.gone, words.failed, words.over))
    assert "1" in words.choice
    assert "2" in words.choice
    assert not words.yes & words.no
    assert words.hear.startswith(language)
    assert all(is_yes(language, "", word) for word in words.yes)
    assert not any(is_yes(language, "", word) for word in words.no)


@pytest.mark.parametrize(
    ("language", "spoken"), [("de-AT", "de-AT"), ("he", "he"), ("", "en"), ("pl", "en"), ("nonsense", "en")]
)
def test_a_language_without_texts_is_spoken_to_in_english(language, spoken):
    assert spoken_in(language) == spoken
    assert words_in(language) is WORDS[spoken[:2]]


@pytest.mark.parametrize(
    ("digits", "speech", "yes"),
    [
        ("1", "", True),
        ("2", "", False),
        ("7", "", None),
        ("7", "yes", None),
        ("", "", None),
        ("", "Yes, please!", True),
        ("", "Who is it?", None),
        ("", "Yes. No, wait.", False),
        ("", "Sure, no problem.", False),
        ("", "yesterday", None),
    ],
)
def test_yes_and_no(digits, speech, yes):
    assert is_yes("en", digits, speech) is yes


def test_in_other_languages():
    assert is_yes("es", "", "Sí, claro.") is True
    assert is_yes("he", "", "כן") is True
    assert is_yes("de", "", "Nein danke") is False
