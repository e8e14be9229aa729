"""fastbridge.model.live.seconds: each session's account is its own sum, and the call's is theirs."""

import pytest

from fastbridge.model.live.seconds import Seconds


def test_is_unknown_before_it_is_told():
    assert Seconds().total is None


def test_the_last_word_of_each_session_counts():
    seconds = Seconds()
    for given in (1, 5.5, 3):
        seconds.session.tell({"seconds": given})
    seconds.session_over()
    assert seconds.total == 5.5
    seconds.session.tell({"seconds": 2})
    seconds.session_over()
    seconds.session_over()
    assert seconds.total == 7.5


@pytest.mark.parametrize("given", [None, "7", True, -1, float("nan"), float("inf"), 1e9, {}])
def test_what_is_no_number_of_seconds_is_none(given):
    seconds = Seconds()
    seconds.session.tell({"seconds": given})
    assert seconds.total is None


def test_a_session_that_is_over_may_still_tell():
    seconds = Seconds()
    first = seconds.session
    first.tell({"seconds": 3})
    seconds.session_over()
    seconds.session.tell({"seconds": 2})
    first.tell({"seconds": 5})
    assert seconds.total == 7
    first.tell({"seconds": 4})
    assert seconds.total == 7
