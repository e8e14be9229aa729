"""fastbridge.observe.wording: what is shown of a text, and what never is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.observe import wording
from fastbridge.observe.log_format import MAX_VALUE_CHARS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+972501234512", "+9725****12"),
        ("call 0501234567 now", "call 05012****67 now"),
        ("050-123-4567", "05012****67"),
        ("020 7946 0958", "02079****58"),
        ("(415) 555-0100", "41555****00"),
        ("415.555.0100", "41555****00"),
        ("+1 (415) 555-0100!", "+1415****00!"),
        ("+44 20 7946 0958", "+4420****58"),
        ("5550100", "****00"),
        ("My phone is four one five five five five oh one two three.", "My phone is 41555****23."),
        ("four one five, five five five", "four one five, five five five"),
        ("five five five oh one two three", "****23"),
        ("הטלפון שלי אפס חמש אפס אחת שתיים שלוש ארבע חמש שש שבע", "הטלפון שלי 05012****67"),
        ("free are nine, ten, eleven, twelve", "free are nine, ten, eleven, twelve"),
    ],
)
def test_telephone_numbers_are_masked_however_they_are_grouped(text, shown):
    assert wording.masked(text) == shown


@pytest.mark.parametrize(
    "text", ["2024-01-25 14:00", "2024-01-25T14:00:00Z", "01-02-2024", "18:30, 21:00", "appt_1234567", "1234.56", "17"]
)
def test_dates_times_and_ids_are_none(text):
    assert wording.masked(text) == text


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("Available slots: 3", "Available slots: 3"),
        ('{"available_slots": ["14:00", "14:30", "15:00"]}', "Available slots: 3"),
        ('["14:00", "14:30", "15:00"]', "3 items"),
        ('["14:00"]', "1 item"),
        ("[]", "0 items"),
        ('{"ok": true, "id": 7, "note": null, "שם": "דנה"}', "Ok: true; id: 7; note: null; שם: דנה"),
        ('{"error": "LookupError: no such day"}', "Error: LookupError: no such day"),
        ('{"caller": {"name": "x", "phone": "y"}}', "Caller: 2"),
        ("null", "nothing"),
        ("", "nothing"),
        ("7", "7"),
        ("[14:00] is free", "[14:00] is free"),
        ("{", "{"),
        ("x" * 500, "x" * 119 + "…"),
        ("two\nlines", "two\\nlines"),
        ('{"phone": "0501234567"}', "Phone: 05012****67"),
    ],
)
def test_what_came_back_of_a_tool(output, shown):
    assert wording.returned(output, words=True) == shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"day": "2024-01-25", "guests": null, "late": false}', "2024-01-25 false"),
        ("null", "null"),
        ("[1, 2]", "[1, 2]"),
        ('{"card": "4242424242424242", "expiry": "12/27", "cvv": 123, "n": 4}', "[card …4242] [expiry] [code] 4"),
    ],
)
def test_what_is_null_among_arguments_is_nothing(arguments, shown):
    assert wording.given(arguments, words=True) == shown


@pytest.mark.parametrize("show", [wording.given, wording.returned, wording.said])
def test_without_words_there_is_only_a_length(show):
    assert show('{"a": ["secret"]}', words=False) == "(17 characters)"


def test_keys_and_numbers_are_not_in_an_error():
    text = "Incorrect API key provided: sk-proj-***abcd of +14155550100"
    assert wording.redacted(text) == "Incorrect API key provided: sk-**** of +1415****00"


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(
        json.dumps
    )
)
def test_nothing_raises_and_nothing_is_long(text):
    for shown in (wording.given(text, words=True), wording.returned(text, words=True)):
        assert len(shown) <= MAX_VALUE_CHARS
        assert not set(shown) & set("\n\r\t\x1b\u2028\u202e")
    assert len(wording.said(text, words=True)) <= wording.MAX_WORDS
    assert len(wording.redacted(text)) <= wording.MAX_WORDS
