"""model.realtime.session and what responses cost: counted once, however late the service tells."""

from typing import Any

import pytest

from fastbridge.model.port import UsageTold
from virtual import Rig

USAGE = {"total_tokens": 9, "output_tokens": 9}


@pytest.fixture
def rig():
    rig = Rig().up()
    yield rig
    rig.shut()


@pytest.fixture
def told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    told: list[Any] = []
    monkeypatch.setattr(rig.call.budget, "usage_told", lambda response_id: told.append(UsageTold(response_id)))
    return told


def test_after_its_end(rig, told):
    rig.begin("resp_1")
    rig.done("resp_1")
    for _ in range(2):
        rig.done("resp_1", usage=USAGE)
    assert (told, rig.call.session.usage.total_tokens) == ([UsageTold("resp_1")], 9)


def test_twice(rig, told):
    rig.begin("resp_1")
    rig.done("resp_1", usage=USAGE)
    rig.done("resp_1", usage={"total_tokens": 4})
    assert (told, rig.call.session.usage.total_tokens) == ([], 9)


def test_of_one_that_was_given_up(rig, told):
    rig.begin("resp_1")
    rig.do(rig.call.session.responses.cancel)
    rig.advance(3.3)  # for the cancellation
    assert not rig.call.session.responses.generating
    rig.done("resp_1", status="cancelled", usage=USAGE)
    assert (told, rig.call.session.usage.total_tokens) == ([UsageTold("resp_1")], 9)


def test_of_one_that_never_began(rig, told):
    rig.done("resp_9", usage=USAGE)
    assert (told, rig.call.session.usage.total_tokens) == ([], 0)


def test_of_another_session(rig, told):
    rig.begin("resp_1")
    rig.done("resp_1")
    rig.lose_model()
    rig.advance(0.2)
    rig.connect()
    rig.open_session(2)
    rig.done("resp_1", usage=USAGE)
    assert (told, rig.call.session.usage.total_tokens) == ([], 0)
