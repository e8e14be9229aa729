"""fastbridge.call.time_limit: announced in time, and no goodbye is cut off by the last second."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.call.happenings import CutShort, EndCall, LastWord, LeaveAsked
from fastbridge.call.time_limit import GOODBYE_SECONDS, NOTICE_SECONDS, TimeLimit
from fastbridge.observe.call_log import CallLog
from virtual import VirtualLoop


class Scene:
    def __init__(
        self,
        seconds: float,
        *,
        attentive: bool = True,
        leaving: bool = False,
        hears: bool = False,
        running: bool = False,
    ) -> None:
        self.loop = VirtualLoop()
        self.told: list[Any] = []
        self.said: list[str] = []
        self.facts = SimpleNamespace(attentive=attentive, leaving=leaving, model_hears=hears)
        responses = SimpleNamespace(
            running=running,
            cancel=lambda: self.said.append("cancel"),
            create=lambda purpose, response, firm=False: self.said.append(f"firm {purpose}" if firm else purpose),
        )
        self.limit = TimeLimit(
            "en",
            clock=self.loop.clock,
            facts=self.facts,
            settings=SimpleNamespace(max_call_seconds=seconds),
            session=SimpleNamespace(responses=responses, take_turn=lambda: self.said.append("take")),
            log=CallLog("CA1"),
            tell=self.told.append,
        )
        self.loop.do(self.limit.begin)


@pytest.fixture
def make():
    scenes = []
    yield lambda *given, **named: scenes.append(Scene(*given, **named)) or scenes[-1]
    for scene in scenes:
        scene.limit.close()
        assert scene.loop.pending_timers() == []
        scene.loop.close()


def test_is_announced_half_a_minute_before(make):
    scene = make(100)
    scene.loop.advance(100 - NOTICE_SECONDS - 0.1)
    assert scene.said == []
    scene.loop.advance(0.2)
    assert scene.said == ["time_limit"]
    scene.loop.advance(NOTICE_SECONDS)
    assert scene.said == ["time_limit", "cancel", "firm goodbye"]
    assert scene.told == [LastWord(), LeaveAsked("max_duration", True)]
    scene.loop.advance(GOODBYE_SECONDS)
    assert scene.told[2:] == [EndCall("max_duration")]


def test_who_is_being_heard_then_is_taken_at_his_word_and_who_speaks_is_cut_short(make):
    scene = make(10, hears=True, running=True)
    scene.loop.advance(10.1)
    assert scene.said == ["take", "cancel", "firm goodbye"]
    assert scene.told == [CutShort("max_duration"), LastWord(), LeaveAsked("max_duration", True)]


def test_not_to_whom_nobody_speaks_any_more(make):
    scene = make(100, attentive=False)
    scene.loop.advance(99)
    assert scene.said == []


def test_nor_in_a_call_as_short_as_the_notice(make):
    scene = make(NOTICE_SECONDS, attentive=False)
    scene.loop.advance(NOTICE_SECONDS + 0.1)
    assert (scene.said, scene.told) == ([], [EndCall("max_duration")])


def test_a_goodbye_has_ten_seconds_more_once(make):
    scene = make(20, leaving=True)
    scene.loop.advance(20 + GOODBYE_SECONDS - 0.1)
    assert scene.told == []
    scene.loop.advance(0.2)
    assert scene.told == [EndCall("max_duration")]
