"""fastbridge.model.realtime.telling: what the model was told, and whether it knows."""

import pytest

from fastbridge.model.realtime import telling
from fastbridge.model.realtime.telling import Telling

NOTE = {"type": "message"}


@pytest.fixture
def sent():
    return []


def heard_by(sent, session=True):
    return Telling(lambda event: sent.append(event) or session)


def test_each_item_has_an_id_of_ours(sent):
    told = heard_by(sent)
    for _ in range(2):
        told.tell(NOTE)
    assert [event["item"] for event in sent] == [{"id": "told_1", **NOTE}, {"id": "told_2", **NOTE}]
    assert {event["type"] for event in sent} == {"conversation.item.create"}


def test_is_known_when_all_of_it_is_confirmed(sent):
    told = heard_by(sent)
    assert told.is_known
    told.tell(NOTE)
    told.tell(NOTE)
    for item_id, known in (("told_2", False), ("item_x", False), ("told_2", False), ("told_1", True)):
        told.confirmed(item_id)
        assert told.is_known is known


def test_a_service_that_has_answered_and_confirmed_nothing_confirms_nothing(sent):
    told = heard_by(sent)
    told.tell(NOTE)
    assert not told.is_known
    told.answered()
    assert told.is_known
    told.forget()
    told.tell(NOTE)
    told.confirmed("item_u")  # what the caller said
    told.answered()
    assert not told.is_known


def test_what_nobody_got_is_not_waited_for(sent):
    told = heard_by(sent, session=False)
    told.tell(NOTE)
    assert told.is_known


def test_another_session_confirms_nothing_of_the_last(sent):
    told = heard_by(sent)
    told.tell(NOTE)
    told.forget()
    assert told.is_known
    told.tell(NOTE)
    assert sent[-1]["item"]["id"] == "told_2"


def test_is_bounded(sent, monkeypatch):
    monkeypatch.setattr(telling, "MAX_UNCONFIRMED", 2)
    told = heard_by(sent)
    for _ in range(telling.MAX_UNCONFIRMED + 100):
        told.tell(NOTE)
    assert len(told._unconfirmed) <= 64
