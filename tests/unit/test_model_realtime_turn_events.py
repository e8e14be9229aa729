"""fastbridge.model.realtime.turn_events: what was told of a turn before is not told again."""

from collections import Counter
from typing import Any

import pytest

from fastbridge.model.realtime import turn_events as module
from fastbridge.model.realtime.turn_events import IDLE, SPEECH_STARTED, SPEECH_STOPPED, TurnEvents


@pytest.fixture
def events():
    return TurnEvents(Counter())


def told(kind: str, item_id: object = "item_1") -> dict[str, Any]:
    return {"type": kind, "item_id": item_id}


@pytest.mark.parametrize("kind", [SPEECH_STARTED, SPEECH_STOPPED, IDLE, "input_audio_buffer.committed"])
def test_each_event_is_new_once_an_item(events, kind):
    assert [events.is_new(told(kind, item_id)) for item_id in ("item_1", "item_1", "item_2")] == [True, False, True]
    assert events._counters == {"stray_speech": 1}


def test_speech_that_has_ended_does_not_begin(events):
    assert events.is_new(told(SPEECH_STOPPED))
    assert not events.is_new(told(SPEECH_STARTED))
    assert events.is_new(told(SPEECH_STARTED, "item_2"))


def test_what_has_no_item_is_always_new(events):
    assert events.is_new({"type": SPEECH_STOPPED})
    assert events.is_new({"type": SPEECH_STOPPED})
    assert events.is_new({"type": SPEECH_STARTED})


@pytest.mark.parametrize("item_id", [[1], {}, 7, ""])
def test_an_item_may_be_called_anything(events, item_id):
    assert [events.is_new(told(IDLE, item_id)) for _ in range(2)] == [True, False]


def test_nobody_spoke_where_the_model_waited(events):
    events.is_new(told(SPEECH_STOPPED, "item_2"))
    events.is_new(told(IDLE))
    assert [events.nobody_spoke(item_id) for item_id in ("item_1", "item_2", "item_3")] == [True, False, False]


def test_another_session_may_use_the_same_ids(events):
    events.is_new(told(IDLE))
    events.forget()
    assert not events.nobody_spoke("item_1")
    assert events.is_new(told(IDLE))


def test_the_oldest_are_forgotten(events):
    for number in range(module.MAX_TOLD + 1):
        events.is_new(told(IDLE, f"item_{number}"))
    assert [events.nobody_spoke(f"item_{number}") for number in (0, 1, module.MAX_TOLD)] == [False, True, True]
