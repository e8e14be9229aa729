"""fastbridge.call.dtmf: a number is typed key by key and means something only whole."""

from types import SimpleNamespace

import pytest

from fastbridge.agent import Agent
from fastbridge.call.dtmf import MAX_DIGITS, MAX_EARLY, Dtmf, Keys, told
from fastbridge.call.happenings import CallerTypes
from virtual import VirtualLoop


class Rig:
    def __init__(self, **options) -> None:
        self.loop = VirtualLoop()
        self.delivered: list[str] = []
        given = {"end_key": "#", "pause_seconds": 2.0, **options}
        self.keys = Keys(self.loop.clock, deliver=self.delivered.append, **given)

    def press(self, keys: str, seconds: float = 0.2) -> None:
        for key in keys:
            self.loop.do(self.keys.press, key)
            self.loop.advance(seconds)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    assert rig.loop.pending_timers() == []
    rig.loop.close()


def test_a_pause_ends_a_group(rig):
    rig.press("1234", seconds=1.9)
    assert rig.delivered == []
    rig.loop.advance(0.2)
    rig.press("5")
    rig.loop.advance(2)
    assert rig.delivered == ["1234", "5"]


def test_the_end_key_ends_it_at_once_and_is_no_part_of_it(rig):
    rig.press("12#34#")
    assert rig.delivered == ["12", "34"]


def test_the_end_key_alone_is_a_key(rig):
    rig.press("#")
    rig.loop.advance(2)
    assert rig.delivered == ["#"]


def test_without_an_end_key_every_key_counts():
    rig = Rig(end_key="")
    rig.press("1#")
    rig.loop.advance(2)
    assert rig.delivered == ["1#"]
    rig.loop.close()


def test_a_group_has_an_end(rig):
    rig.press("1" * (MAX_DIGITS + 1), seconds=0.01)
    assert rig.delivered == ["1" * MAX_DIGITS]
    rig.loop.advance(2)
    assert rig.delivered[1] == "1"


def test_a_call_that_is_over_delivers_nothing(rig):
    rig.press("12")
    rig.loop.do(rig.keys.close)
    rig.loop.advance(10)
    assert rig.delivered == []


def test_the_model_reads_them_one_by_one():
    assert told("12*") == "(The caller pressed these keys on the telephone: 1 2 *)"


def test_what_is_pressed_before_the_model_listens_waits_and_the_oldest_goes():
    loop, notes, asked, happened = VirtualLoop(), [], [], []
    session = SimpleNamespace(
        ready=False,
        note=lambda role, text: notes.append((role, text)),
        responses=SimpleNamespace(create=asked.append),
    )
    keys = Dtmf(
        Agent(keys_end="#"),
        clock=loop.clock,
        facts=SimpleNamespace(private=False),
        hooks=SimpleNamespace(emit=lambda *_: False),
        session=session,
        tell=happened.append,
    )
    groups = [f"{number:02}" for number in range(MAX_EARLY + 2)]
    for key in "#".join(groups) + "#":
        loop.do(keys.press, key)
    assert (notes, asked, happened) == ([], [], [])
    session.ready = True
    for _ in range(2):
        loop.do(keys.ready)
        assert notes == [("user", told(group)) for group in groups[2:]]
        assert (asked, happened) == (["keys"] * MAX_EARLY, [CallerTypes()] * MAX_EARLY)
    loop.close()
