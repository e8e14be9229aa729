"""What may stand in a form."""

import pytest

from fastbridge.sim.twilio_form import (
    BOOLEAN,
    CALLBACK,
    METHOD,
    check,
    is_callback,
    is_number,
    is_true,
    is_url,
    matching,
    number,
    one_of,
    text,
    whole,
    words_of,
)
from fastbridge.sim.twilio_reply import RefusedError

RULES = {
    "To": number(21211),
    "Url": CALLBACK,
    "Method": METHOD,
    "Record": BOOLEAN,
    "Timeout": whole(1, 600, 21208),
    "Event": one_of("a", "b", repeated=True),
    "Words": words_of("a", "b"),
    "Key": matching("[0-9]+"),
    "Text": text(3),
}


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({"To": ["+14155550101"]}, {"To": "+14155550101"}),
        ({"Record": ["True"]}, {"Record": "True"}),
        ({"Timeout": ["600"]}, {"Timeout": "600"}),
        ({"Event": ["a", "b"]}, {"Event": "a b"}),
        ({"Words": ["a b", "a"]}, {"Words": "a b a"}),
        ({"Key": ["12"], "Text": ["xyz"], "Method": ["GET"]}, {"Key": "12", "Text": "xyz", "Method": "GET"}),
    ],
)
def test_what_is_right(form: dict[str, list[str]], fields: dict[str, str]) -> None:
    assert check(form, RULES) == fields


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"to": ["+14155550101"]}, 20001),
        ({"To": ["4155550101"]}, 21211),
        ({"To": ["+14155550101", "+14155550102"]}, 20001),
        ({"Url": ["http://x.example/"]}, 21609),
        ({"Method": ["post"]}, 21209),
        ({"Record": ["1"]}, 20001),
        ({"Timeout": ["0"]}, 21208),
        ({"Timeout": ["six"]}, 21208),
        ({"Timeout": ["²"]}, 21208),
        ({"Event": ["a b"]}, 20001),
        ({"Words": [""]}, 20001),
        ({"Words": ["a c"]}, 20001),
        ({"Key": ["1x"]}, 20001),
        ({"Text": [""]}, 20001),
        ({"Text": ["wxyz"]}, 20001),
    ],
)
def test_what_is_wrong(form: dict[str, list[str]], code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        check(form, RULES)
    assert refused.value.reply.body["code"] == code


@pytest.mark.parametrize(
    ("url", "fetched", "called"),
    [
        ("https://x.example/y?z", True, True),
        ("http://x.example/y", True, False),
        ("http://127.0.0.1:5050/y", True, True),
        ("http://localhost/y", True, True),
        ("http://[::1]:5050/y", True, True),
        ("https://x_y.example/", True, False),
        ("x.example/y", False, False),
        ("https:///y", False, False),
        ("ftp://x.example/", False, False),
        ("https://x.example/" + "y" * 4000, False, False),
    ],
)
def test_addresses(url: str, fetched: bool, called: bool) -> None:
    assert (is_url(url), is_callback(url)) == (fetched, called)


@pytest.mark.parametrize(
    ("text", "valid"), [("+14155550101", True), ("+04155550101", False), ("+1415", False), ("+1415555010111111", False)]
)
def test_numbers(text: str, valid: bool) -> None:
    assert is_number(text) is valid


def test_truth() -> None:
    assert is_true({"Record": "True"}, "Record")
    assert not is_true({}, "Record")
    assert is_true({}, "Start", "true")
