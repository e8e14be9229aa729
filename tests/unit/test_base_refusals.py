"""fastbridge.base.refusals: a closed set."""

from typing import get_args

from fastbridge.base.refusals import REASONS, Reason


def test_each_once_and_fit_for_a_label():
    assert len(set(REASONS)) == len(REASONS) == len(get_args(Reason))
    assert all(reason.isidentifier() and reason.islower() for reason in REASONS)
