"""fastbridge.filler: a word in between while a tool takes long."""

from typing import Any

import pytest

from fastbridge.agent import Tool, tool_from
from fastbridge.filler import ANY_WORDS, CHECK_SECONDS, FIRST_SECONDS, Filler
from virtual import VirtualLoop


def tool(filler: str | None = None) -> Tool:
    return tool_from(lambda: None, name="look_up", filler=filler)


class Rig:
    def __init__(self, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.began = self.loop.time()
        self.running_tools: list[Tool] = []
        self.speechless = True
        self.said: list[tuple[float, str]] = []
        self.filler = Filler(self, self.loop.clock, say=self._say, **{"seconds": 4, **options})

    def _say(self, text: str) -> None:
        self.said.append((self.loop.time() - self.began, text))

    def start(self, *tools: Tool) -> None:
        self.running_tools += tools
        self.loop.do(self.filler.tool_started)

    @property
    def times(self) -> list[Any]:
        return [pytest.approx(seconds, abs=2 * CHECK_SECONDS) for seconds, _ in self.said]


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.loop.do(rig.filler.close)
    assert rig.loop.pending_timers() == []
    rig.loop.close()


def test_a_long_tool_is_bridged_every_four_seconds(rig):
    rig.start(tool())
    rig.loop.advance(30)
    assert rig.times == [2, 6, 10, 14, 18, 22, 26, 30][: len(rig.said)]
    assert len(rig.said) in (7, 8)
    assert {text for _, text in rig.said} == {ANY_WORDS}
    assert rig.filler.said == len(rig.said)


def test_a_quick_one_is_not(rig):
    rig.start(tool())
    rig.loop.advance(FIRST_SECONDS - 0.1)
    rig.running_tools.clear()
    rig.loop.advance(60)
    assert rig.said == []
    assert rig.loop.pending_timers() == []


def test_it_comes_after_two_seconds_of_quiet_and_never_over_anybody(rig):
    rig.speechless = False
    rig.start(tool())
    rig.loop.advance(10)
    assert rig.said == []
    rig.speechless = True
    rig.loop.advance(3)
    assert rig.times == [12]


def test_the_words_are_the_tools_the_agents_or_the_models(rig):
    for own, agents, said in [
        ("One moment.", "Hold on.", "One moment."),
        (None, "Hold on.", "Hold on."),
        (None, None, ANY_WORDS),
    ]:
        rig.filler.words = agents
        rig.start(tool(own))
        rig.loop.advance(3)
        assert rig.said.pop()[1] in (said, f"Say exactly this, and nothing else: {said}")
        rig.running_tools.clear()
        rig.loop.advance(1)


@pytest.mark.parametrize(("own", "agents"), [("", None), ("", "Hold on."), (None, "")])
def test_silence_can_be_chosen(rig, own, agents):
    rig.filler.words = agents
    rig.start(tool(own))
    rig.loop.advance(30)
    assert rig.said == []


def test_of_several_tools_one_that_speaks_is_enough(rig):
    rig.start(tool(""), tool("One moment."))
    rig.loop.advance(3)
    assert rig.said[0][1].endswith("One moment.")


def test_a_second_tool_does_not_begin_it_anew(rig):
    rig.start(tool())
    rig.loop.advance(1.5)
    rig.start(tool())
    rig.loop.advance(1)
    assert rig.times == [2]


def test_it_can_be_switched_off():
    rig = Rig(seconds=0)
    rig.start(tool())
    rig.loop.advance(60)
    assert (rig.said, rig.loop.pending_timers()) == ([], [])
    rig.loop.close()
