"""fastbridge.model.live.seconds: each session's account is its own sum, and the call's is theirs."""

import pytest

from fastbridge.model.live.seconds import Seconds


def test_is_unknown_before_it_is_told():
    assert Seconds().total is None


def test_the_last_word_of_each_session_counts():
    seconds = Seconds()
    for given in (1, 5.5, 3):
        seconds.tell({"seconds": given})
    seconds.session_over()
    assert seconds.total == 5.5
    seconds.tell({"seconds": 2})
    seconds.session_over()
    seconds.session_over()
    assert seconds.total == 7.5


@pytest.mark.parametrize("given", [None, "7", True, -1, float("nan"), float("inf"), 1e9, {}])
def test_what_is_no_number_of_seconds_is_none(given):
    seconds = Seconds()
    seconds.tell({"seconds": given})
    assert seconds.total is None
