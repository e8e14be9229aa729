"""fastbridge.model.live.requests: what replaces truncation, and what a call has its session know."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.base.conversation import ToolCall
from fastbridge.model import history
from fastbridge.model.history import History
from fastbridge.model.live.requests import HEARD_NOTHING, MIN_UNHEARD_MS, Requests

TEXT = "It is a long story that began a long time ago and is not over yet."


class Scene:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        lane: Any = SimpleNamespace(items=list)
        self.requests = Requests(History(Counter()), lane, self.send)
        self.known = False
        self.requests._delegation = SimpleNamespace(answer=lambda call, output: self.known)  # type: ignore[assignment]

    def send(self, event: dict[str, Any]) -> bool:
        self.sent.append(event)
        return True

    def spoke(self) -> Any:
        turn = self.requests.history.turn("assistant", "live_1")
        assert turn is not None
        turn.text = TEXT
        return turn


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_was_cut_off_is_cut_and_the_model_is_told(scene):
    turn = scene.spoke()
    assert scene.requests.truncate("live_1", 2000, 4000)
    assert 0 < len(turn.text) < len(TEXT)
    (told,) = scene.sent
    assert told["type"] == "session.thinking.append"
    assert f'"{turn.text}"' in told["content"]


def test_once(scene):
    scene.spoke()
    scene.requests.truncate("live_1", 2000, 4000)
    assert not scene.requests.truncate("live_1", 2000, 4000)
    assert len(scene.sent) == 1


def test_what_is_on_its_way_to_the_ear_is_not_worth_telling(scene):
    scene.spoke()
    assert scene.requests.truncate("live_1", 4000 - MIN_UNHEARD_MS + 1, 4000)
    assert scene.sent == []


def test_where_nothing_was_heard_is_said_so(scene):
    turn = scene.spoke()
    scene.requests.truncate("live_1", 0, 4000)
    assert turn.text == ""
    assert scene.sent[0]["content"] == HEARD_NOTHING


def test_where_its_words_are_late_it_is_told_how_long_it_was_heard(scene):
    turn = scene.spoke()
    turn.text = ""
    scene.requests.truncate("live_1", 1460, 4000)
    assert "the first 1.5 seconds" in scene.sent[0]["content"]


def test_a_recording_of_ours_is_none_of_the_models_business(scene):
    assert not scene.requests.truncate("local_1", 0, 4000)
    assert scene.sent == []


@pytest.mark.parametrize(("role", "start"), [("user", "The caller has done this"), ("system", "Keys: 123")])
def test_a_note_is_known_and_not_said(scene, role, start):
    scene.requests.note(role, "Keys: 123")
    assert scene.sent[0]["type"] == "session.thinking.append"
    assert scene.sent[0]["content"].startswith(start)


def test_each_sign_has_its_name(scene):
    scene.requests.ask_for_a_sign()
    scene.requests.ask_for_a_sign()
    assert [event["event_id"] for event in scene.sent] == ["sign_1", "sign_2"]
    assert {event["type"] for event in scene.sent} == {"session.update"}


def test_a_result_goes_to_who_asked_or_is_told_in_words(scene):
    call = ToolCall("call_1", "order", "{}", 0, "on its way")
    scene.known = True
    scene.requests.tool_result(call, "on its way")
    assert scene.sent == []
    scene.known = False
    scene.requests.tool_result(call, "on its way")
    (told,) = scene.sent
    assert told["type"] == "session.thinking.append", "commentary is read out"
    assert told["content"].endswith("It answered: on its way")


def test_that_a_turn_is_over_is_nothing_to_tell(scene):
    scene.requests.take_turn()
    assert scene.sent == []


def test_of_one_too_many_nothing_is_told_for_nothing_is_known(scene, monkeypatch):
    monkeypatch.setattr(history, "MAX_TURNS", 0)
    assert scene.requests.truncate("live_1", 2000, 4000)
    assert scene.sent == []


def test_what_the_caller_did_and_what_lasts_is_told_to_the_sessions_to_come(scene):
    scene.requests.note("user", "Keys: 123")
    scene.requests.note("system", "Wait.")
    scene.requests.note("system", "Nobody is there.", lasting=True)
    assert [(note.role, note.text) for note in scene.requests.history.notes] == [
        ("user", "Keys: 123"),
        ("system", "Nobody is there."),
    ]
