import json

import pytest

from fastbridge.base.json_text import Malformed, encode_event, id_of, id_text, object_of, parse_event, text_of, within


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"12",
        b"{}{}",
        b'{"a": 1} trailing',
        b"\xff{}",
        b'{"a": "\xd7"}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        '\xa0{"a": 1}'.encode(),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_none(message):
    assert parse_event(message) is None


@pytest.mark.parametrize("message", [b'{"a": [1, null, "x"]}', b' \r\n\t{"a": [1, null, "x"]}\n'])
def test_an_object_with_space_around_it(message):
    assert parse_event(message) == {"a": [1, None, "x"]}


def test_the_last_of_two_fields_of_one_name_counts():
    assert parse_event(b'{"a": 1, "a": 2}') == {"a": 2}


def test_our_own_are_compact_utf_8_and_come_back():
    event = {"type": "x", "text": 'שלום "du"\n', "none": None}
    assert encode_event(event) == json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    assert parse_event(encode_event(event)) == event


def test_half_a_character_becomes_a_question_mark():
    assert encode_event({"a": "\ud800"}) == b'{"a":"?"}'


@pytest.mark.parametrize("value", [None, 7.5, True, [], {}, b"x"])
def test_what_is_no_text_is_nothing(value):
    assert (text_of(value), id_text(value)) == ("", "")
    with pytest.raises(Malformed, match=f"no id: {type(value).__name__}"):
        id_of(value)


def test_a_name_may_be_a_number_and_a_text_may_not():
    assert (id_of(7), id_text(7), text_of(7)) == ("7", "7", "")


def test_half_a_character_is_no_name():
    with pytest.raises(Malformed, match="half a character"):
        id_of("resp_\ud800")


def test_what_is_within_must_be_there():
    event = {"session": {"audio": {"input": {}}, "id": "sess_1"}}
    assert within(event) is event
    assert within(event, "session", "audio") == {"input": {}}
    for path in (("response",), ("session", "id"), ("session", "audio", "output")):
        with pytest.raises(Malformed, match=f"no {path[-1]}: "):
            within(event, *path)


def test_text_is_text():
    assert (text_of("None"), id_of("None")) == ("None", "None")
    with pytest.raises(ValueError, match="no id"):
        id_of("")


@pytest.mark.parametrize("value", [None, 7, [], "x"])
def test_what_is_no_object_is_an_empty_one(value):
    assert object_of(value) == {}
    assert object_of({"a": None}) == {"a": None}
