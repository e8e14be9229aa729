"""fastbridge.model.realtime.requests: what is asked of a session is told once, with ids of ours, and kept for the next.

(On a whole session: there.)"""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.model.history import History
from fastbridge.model.realtime.requests import SIGN_ID, Requests


class Asked(Requests):
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.items: list[tuple[str, str, int, int]] = []
        super().__init__(History(Counter()), SimpleNamespace(items=lambda: self.items, words_in_step=False), self._take)

    def _take(self, event: dict[str, Any]) -> bool:
        self.sent.append(event)
        return True


@pytest.fixture
def session():
    return Asked()


def test_each_sign_is_asked_for_under_a_name_of_its_own(session):
    session.ask_for_a_sign()
    session.ask_for_a_sign()
    assert [event["event_id"] for event in session.sent] == [f"{SIGN_ID}1", f"{SIGN_ID}2"]
    assert {event["type"] for event in session.sent} == {"session.update"}


def test_a_turn_is_taken_by_a_commit(session):
    session.take_turn()
    assert session.sent == [{"type": "input_audio_buffer.commit"}]


def test_a_note_is_a_message_that_nobody_spoke(session):
    session.note("user", "(The caller pressed 1.)")
    ((event),) = session.sent
    assert event["type"] == "conversation.item.create"
    assert event["item"]["role"] == "user"
    assert event["item"]["content"] == [{"type": "input_text", "text": "(The caller pressed 1.)"}]


def test_a_result_is_kept_with_its_call(session):
    call = session.history.add_call("call_1", "hours", "{}")
    session.tool_result(call, "nine to five")
    assert call.output == "nine to five"
    assert session.sent[0]["item"]["output"] == "nine to five"
    assert session.tool_calls == [call]


def test_an_answer_that_is_broken_off_goes_on_where_it_was_heard(session):
    session.history.turn("assistant", "item_1")
    session.history.speaking_item = "item_1"
    session.history.add_words("item_1", "We are open from nine to five on every day")
    session.items = [("item_1", "resp_1", 1000, 1000)]
    wish = session.break_off()
    assert "Go on from exactly there" in wish.instructions
    assert not wish.words_only


def test_what_nobody_heard_is_unsaid(session):
    turn = session.history.turn("assistant", "item_1")
    turn.response_id = "resp_1"
    session.history.add_words("item_1", "Hello")
    session.unsay("resp_2")
    assert turn.text == "Hello"
    session.unsay("resp_1")
    assert (turn.heard_ms, turn.text) == (0, "")
