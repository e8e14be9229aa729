"""fastbridge.call.dtmf: a number is typed key by key and means something only whole."""

from types import SimpleNamespace

import pytest

from fastbridge.agent import Agent
from fastbridge.call.dtmf import MAX_DIGITS, MAX_EARLY, MAX_GATHERS, Dtmf, Keys, told
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


class Gathering:
    """The keys of a call, and where they went."""

    def __init__(self, **agent: object) -> None:
        self.loop = VirtualLoop()
        self.facts = SimpleNamespace(private=False)
        self.hooked: list[tuple[object, ...]] = []
        self.notes: list[str] = []
        self.has_hook = False
        session = SimpleNamespace(
            ready=True,
            note=lambda role, text: self.notes.append(text),
            responses=SimpleNamespace(create=lambda purpose: None),
        )
        self.keys = Dtmf(
            Agent(**agent),
            clock=self.loop.clock,
            facts=self.facts,
            hooks=SimpleNamespace(emit=self.emit),
            session=session,
            tell=lambda event: None,
        )

    def emit(self, *what: object) -> bool:
        self.hooked.append(what)
        return self.has_hook

    def press(self, keys: str, seconds: float = 0.2) -> None:
        for key in keys:
            self.loop.do(self.keys.press, key)
            self.loop.advance(seconds)

    def gather(self, max_digits: int = 64, end: str = "#", timeout_seconds: float = 5.0) -> list[str]:
        got: list[str] = []
        self.loop.do(self.keys.gather, max_digits, end, timeout_seconds, got.append)
        return got


@pytest.fixture
def gathering():
    gathering = Gathering()
    yield gathering
    gathering.loop.do(gathering.keys.close)
    assert gathering.loop.pending_timers() == []
    gathering.loop.close()


class TestGather:
    @pytest.mark.parametrize(
        ("keys", "options", "digits"),
        [
            ("12#", {}, "12"),
            ("1234", {"max_digits": 4}, "1234"),
            ("12#4", {"max_digits": 4, "end": ""}, "12#4"),
            ("#", {}, ""),
            ("1*2*", {"end": "*"}, "1"),
        ],
    )
    def test_it_ends_with_its_key_or_with_enough(self, gathering, keys, options, digits):
        got = gathering.gather(**options)
        gathering.press(keys)
        assert got == [digits]

    def test_it_ends_when_nobody_presses_any_more(self, gathering):
        got = gathering.gather(timeout_seconds=5.0)
        gathering.press("12", seconds=4.9)
        assert got == []
        gathering.loop.advance(0.2)
        assert got == ["12"]

    def test_nobody_else_is_told(self, gathering):
        gathering.gather()
        gathering.press("1234#")
        gathering.loop.advance(10)
        assert (gathering.hooked, gathering.notes) == ([], [])
        gathering.press("5#")
        assert gathering.notes == [told("5")]

    def test_one_waits_behind_the_other(self, gathering):
        first, second = gathering.gather(max_digits=2), gathering.gather(max_digits=1)
        gathering.press("123")
        assert (first, second) == (["12"], ["3"])

    def test_there_is_a_bound(self, gathering):
        waiting = [gathering.gather() for _ in range(MAX_GATHERS)]
        assert gathering.gather() == [""]
        assert waiting == [[]] * MAX_GATHERS

    def test_the_calls_end_gives_what_there_is(self, gathering):
        first, second = gathering.gather(), gathering.gather()
        gathering.press("12")
        gathering.loop.do(gathering.keys.close)
        assert (first, second) == (["12"], [""])
        assert gathering.gather() == [""]


class TestPrivateKeys:
    def test_are_told_to_the_authors_code_alone_and_not_what_it_makes_of_them(self, gathering):
        gathering.facts.private = True
        gathering.press("12#")
        assert gathering.hooked == [("on_dtmf", "12")]
        assert gathering.notes == []

    def test_stay_so_if_their_group_ends_later(self, gathering):
        gathering.facts.private = True
        gathering.press("1")
        gathering.facts.private = False
        gathering.press("2")
        gathering.loop.advance(3)
        assert (gathering.hooked, gathering.notes) == ([("on_dtmf", "12")], [])
        gathering.press("3#")
        assert gathering.notes == [told("3")]

    def test_what_was_typed_too_soon_is_gathered(self, gathering):
        gathering.facts.private = True
        gathering.press("12")
        got = gathering.gather(max_digits=4)
        gathering.press("34")
        assert got == ["1234"]

    def test_what_was_typed_before_it_was_private_is_not(self, gathering):
        gathering.press("9")
        gathering.facts.private = True
        got = gathering.gather(max_digits=2)
        gathering.press("12")
        assert got == ["12"]


def test_a_key_behind_the_end_of_the_call_is_nobodys(gathering):
    gathering.loop.do(gathering.keys.close)
    gathering.press("12#")
    gathering.loop.advance(5)
    assert (gathering.hooked, gathering.notes) == ([], [])
