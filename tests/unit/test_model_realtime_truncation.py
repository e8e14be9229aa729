"""realtime.truncation: once an item, never of ours, and never beyond what came. (On a session: there.)"""

from collections import Counter
from typing import Any

import pytest

from fastbridge.model.history import History
from fastbridge.model.realtime.truncation import Truncation


@pytest.fixture
def history():
    history = History(Counter())
    history.turn("assistant", "item_1")
    history.add_words("item_1", "We are open from nine to five")
    return history


@pytest.fixture
def sent():
    return []


@pytest.fixture
def truncation(history, sent):
    return Truncation(history, sent.append)


def test_what_was_heard_is_what_stays(truncation, sent, history):
    assert truncation.truncate("item_1", 1000, 2000)
    assert sent == [
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 1000}
    ]
    assert history.turns["item_1"].heard_ms == 1000


def test_once(truncation, sent):
    assert truncation.truncate("item_1", 1000, 2000)
    assert not truncation.truncate("item_1", 1500, 2000)
    assert len(sent) == 1


def test_never_a_recording_of_ours(truncation, sent):
    assert not truncation.truncate("local_filler_1", 100, 2000)
    assert sent == []


def test_never_beyond_what_came_nor_before_its_beginning(truncation, sent):
    truncation.truncate("item_1", 5000, 2000)
    assert sent[0]["audio_end_ms"] == 2000


@pytest.mark.parametrize("heard_ms", [0, -20])
def test_what_nobody_heard_was_never_said(truncation, sent, heard_ms):
    assert truncation.truncate("item_1", heard_ms, 2000)
    assert sent == [{"type": "conversation.item.delete", "item_id": "item_1"}]


def test_what_is_text_in_this_session_is_said_again_as_far_as_it_was_heard(truncation, sent: list[Any]):
    truncation.replayed = {"item_1"}
    truncation.truncate("item_1", 1000, 2000)
    assert [event["type"] for event in sent] == ["conversation.item.delete", "conversation.item.create"]
    (part,) = sent[1]["item"]["content"]
    assert part["type"] == "output_text"
    assert "We are open from nine to five".startswith(part["text"].rstrip("…").strip())
