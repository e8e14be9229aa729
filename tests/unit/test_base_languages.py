"""fastbridge.base.languages: texts for each language of our recordings, and codes in every spelling."""

import re

import pytest

from fastbridge.base.languages import FALLBACK, LANGUAGES, first_in, known, name, same, short
from fastbridge.base.prompts import FOLDER

SCRIPTS = {"he": "[\u0590-\u05ff]", "ar": "[\u0600-\u06ff]"}


def test_there_are_texts_for_the_languages_of_our_recordings():
    assert set(LANGUAGES) == {path.name for path in FOLDER.iterdir() if path.is_dir()}
    assert FALLBACK in LANGUAGES


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_has_everything_and_a_voice_that_speaks_it(code):
    language = LANGUAGES[code]
    for text in (language.busy, language.apology, language.greeting, language.message("busy")):
        assert re.search(SCRIPTS.get(code, "[A-Za-z]"), text)
        assert 10 < len(text) < 150
    assert language.message("apology") == language.apology != language.busy
    assert bool(language.say_language) == bool(language.say_voice) == (code != FALLBACK)
    if language.say_voice:
        assert short(language.say_language) == code
        assert re.fullmatch(rf"Google\.{language.say_language}-Standard-[A-Z]", language.say_voice)


@pytest.mark.parametrize(
    ("code", "first"),
    [("he", "he"), ("he-IL", "he"), ("he_IL", "he"), ("DE-at", "de"), ("", ""), ("../x", ""), ("é", ""), ("pt", "pt")],
)
def test_the_first_part_of_a_code(code, first):
    assert short(code) == first


def test_codes_of_one_language():
    assert same("de-AT", "de")
    assert not same("de", "da")
    assert known("he-IL") is LANGUAGES["he"]
    assert known("pt-BR") is None
    assert (name("he-IL"), name("pt-BR")) == ("Hebrew", "pt-BR")


def test_a_conversation_without_a_word_has_a_language_all_the_same():
    asked = "In the language of the conversation, say goodbye."
    assert first_in("", asked) == asked
    assert first_in("he", asked) == "In the language of the conversation (Hebrew, if it has had none), say goodbye."
