"""call.tool_calls: what is told of a tool, and what the model is asked for behind it. (Running: agent.tools.)"""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.call.happenings import ToolLoop
from fastbridge.call.tool_calls import ToolCalls
from fastbridge.model.port import WORDS_ONLY
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from virtual import VirtualLoop, call_context


class Scene:
    """A model whose responses are written down. generating: the response that its calls are in goes on."""

    def __init__(self, *, leave_asked: bool = False, puts_through: bool = False, generating: bool = False) -> None:
        agent = Agent()

        @agent.tool
        def hours() -> str:
            return "nine to five"

        self.loop = VirtualLoop()
        self.asked: list[tuple[str, Any]] = []
        self.answers: list[str] = []
        self.told: list[Any] = []
        self.turns: dict[str, Turn] = {}
        self.items: list[tuple[str, str, int, int]] = []
        self.stats = CallStats()
        responses = SimpleNamespace(
            generating=generating,
            response_id="resp_1",
            create=lambda purpose, response: self.asked.append((purpose, response)),
        )
        self.responses = responses
        self.tools = ToolCalls(
            agent,
            call_context(),
            clock=self.loop.clock,
            facts=SimpleNamespace(leave_asked=leave_asked, puts_through=puts_through, holding=False),
            assistant=SimpleNamespace(items=lambda: self.items),
            session=SimpleNamespace(
                responses=responses, turns=self.turns, tool_result=lambda call, output: self.answers.append(output)
            ),
            stats=self.stats,
            log=CallLog("CA1"),
            spawn=self.loop.spawn,
            late=lambda *ended: None,
            tell=self.told.append,
        )

    def call(self, name: str = "hours") -> None:
        self.loop.do(self.tools.called, "resp_1", ToolCall("call_1", name, "{}", 0))
        self.loop.advance(0.1)


@pytest.fixture
def make(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    scenes = []
    yield lambda **named: scenes.append(Scene(**named)) or scenes[-1]
    for scene in scenes:
        scene.loop.do(scene.tools.close)
        scene.loop.advance(1)
        scene.loop.close()


def test_of_a_response_that_has_ended_it_is_answered_and_the_model_goes_on(make, caplog):
    scene = make()
    scene.call()
    assert (scene.answers, scene.asked) == (["nine to five"], [("tool_result", None)])
    assert [(entry["name"], entry["outcome"]) for entry in scene.stats.tool_calls] == [("hours", "ok")]
    assert "[TOOL_CALL]" in caplog.text
    assert "[TOOL_RESULT]" in caplog.text


def test_of_one_that_goes_on_the_model_is_asked_at_its_end(make):
    scene = make(generating=True)
    scene.call()
    assert (scene.answers, scene.asked) == (["nine to five"], [])
    scene.loop.do(scene.tools.response_done, "resp_1", "completed", None)
    assert [purpose for purpose, _ in scene.asked] == ["tool_result"]


def test_of_one_that_has_ended_while_another_goes_on_the_model_is_asked_at_once(make):
    scene = make(generating=True)
    scene.responses.response_id = "resp_2"
    scene.call()
    assert (scene.answers, scene.asked) == (["nine to five"], [("tool_result", None)])


def test_who_leaves_says_goodbye_unless_it_was_said(make):
    for said in (None, "turn", "audio"):
        scene = make(leave_asked=True)
        if said == "turn":
            scene.turns["item_1"] = Turn("assistant", "item_1", text="Bye!", response_id="resp_1")
        elif said == "audio":
            scene.items.append(("item_1", "resp_1", 0, 400))
        scene.call()
        assert [purpose for purpose, _ in scene.asked] == ([] if said else ["goodbye"])
        assert all(wish.words_only for _, wish in scene.asked)


def test_who_puts_the_caller_through_says_so_and_dismisses_nobody(make):
    scene = make(leave_asked=True, puts_through=True)
    scene.call()
    ((purpose, wish),) = scene.asked
    assert (purpose, wish.words_only) == ("goodbye", True)
    assert "put through" in wish.instructions
    assert "call ends" not in wish.instructions


def test_one_that_was_broken_off_is_on_the_books(make, caplog):
    scene = make()
    scene.tools.not_run("hours", "its response was taken back")
    assert scene.stats.tool_calls == [{"name": "hours", "outcome": "broken_off", "elapsed_ms": 0}]
    assert "its response was taken back" in caplog.text


def test_a_model_that_calls_for_ever_is_a_loop(make):
    scene = make()
    for _ in range(20):
        scene.call()
        if scene.told:
            break
    assert scene.told == [ToolLoop()]
    assert scene.asked[-1] == ("tool_result", WORDS_ONLY)
    scene.tools.turn_begins()
    scene.call()
    assert scene.told == [ToolLoop()]


def test_another_agent_has_other_tools(make):
    scene = make()
    scene.tools.use(Agent(), call_context(), None)
    scene.call()
    assert [entry["outcome"] for entry in scene.stats.tool_calls] == ["unknown"]


def test_several_calls_of_one_response_are_one_round(make):
    """Whoever tells of them says that more may come, and when none will."""
    scene = make()
    for number in range(3):
        scene.loop.do(scene.tools.called, "work_1", ToolCall(f"call_{number}", "no_such_tool", "{}", 0), True)
    assert (len(scene.answers), scene.asked) == (3, [])
    scene.loop.do(scene.tools.asked, "work_1")
    assert scene.asked == [("tool_result", None)]
