"""fastbridge.model.realtime.session_listener: a call hears all that a session tells, and in the same words."""

import inspect

import pytest

from fastbridge.call.call import Call
from fastbridge.model.realtime.session_listener import SessionListener

TOLD = [name for name in vars(SessionListener) if name.startswith("on_")]


@pytest.mark.parametrize("name", TOLD)
def test_a_call_hears_it(name):
    heard, told = (inspect.signature(getattr(kind, name)) for kind in (Call, SessionListener))
    assert heard == told


def test_nothing_is_asked_of_whoever_listens():
    assert len(TOLD) > 10
    assert [inspect.signature(getattr(SessionListener, name)).return_annotation for name in TOLD] == [None] * len(TOLD)
