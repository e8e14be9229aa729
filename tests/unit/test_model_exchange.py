"""model.exchange: what comes goes to the dialect's own handlers, and what goes to a session that is there."""

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from fastbridge.base.json_text import Malformed
from fastbridge.model.exchange import Exchange


class Talk(Exchange):
    """One with two kinds of events."""

    def __init__(self) -> None:
        self.counters = Counter[str]()
        self.closed = False
        self.told: list[Any] = []
        self.sent: list[Any] = []
        self.troubles: list[tuple[str, str]] = []
        self._opening: Any = SimpleNamespace(is_ready=False, session_id="sess_1", expires_at_s=9.0)
        self._trouble: Any = SimpleNamespace(malformed=lambda kind, cause: self.troubles.append((kind, cause)))
        self._send = lambda message: self.sent.append(json.loads(message))

    def _on_known(self, event: dict[str, Any]) -> None:
        self.told.append(event["n"])

    def _on_broken(self, event: dict[str, Any]) -> None:
        raise Malformed("no delta")

    handlers: ClassVar[Any] = {"known": _on_known, "broken": _on_broken}


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_what_is_known_is_handled_and_what_is_not_is_counted(talk: Talk) -> None:
    talk.on_event(b'{"type":"known","n":1}')
    talk.on_event(b'{"type":"other","n":2}')
    assert (talk.told, talk.counters) == ([1], {"other_events": 1})


def test_nothing_that_comes_raises(talk: Talk) -> None:
    for message in (b"", b"[]", b"{", b'{"type":"broken"}'):
        talk.on_event(message)
    assert talk.counters == {"malformed_events": 4}
    assert talk.troubles[-1] == ("broken", "no delta")
    assert talk.troubles[0] == ("", "0 bytes that are no JSON object")


def test_a_session_that_is_closed_hears_nothing_and_says_nothing(talk: Talk) -> None:
    talk.closed, talk._opening.is_ready = True, True
    talk.on_event(b'{"type":"known","n":1}')
    assert talk.send({"type": "x"})
    assert (talk.told, talk.sent) == ([], [])


def test_what_goes_waits_for_nobody(talk: Talk) -> None:
    assert not talk.send({"type": "early"})
    talk._opening.is_ready = True
    assert talk.send({"type": "x"})
    assert (talk.sent, talk.ready, talk.session_id, talk.expires_at_s) == ([{"type": "x"}], True, "sess_1", 9.0)
