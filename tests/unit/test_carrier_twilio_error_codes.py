"""carrier.twilio.error_codes: a sentence for each, and where there is none, where to look."""

import pytest

from fastbridge.carrier.twilio.error_codes import SENTENCES, explained, sentence


@pytest.mark.parametrize("code", SENTENCES)
def test_each_is_one_sentence(code: int) -> None:
    words = sentence(code, 400)
    assert 10_000 < code < 70_000
    assert words == SENTENCES[code]
    assert words.endswith(".")
    assert "\n" not in words


def test_a_callbacks_is_explained_where_it_is_known() -> None:
    assert explained("13224") == SENTENCES[13224]
    for code in ("", "0", "29999", "x", "-1", "²", "9" * 99):
        assert explained(code) is None


def test_of_one_that_is_not_known_it_says_where_to_look() -> None:
    assert sentence(29999, 400).endswith("/errors/29999.")
    assert sentence(None, 403) == "Twilio refused the call with HTTP 403."
