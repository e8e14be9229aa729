"""call.answering: who answers is told once, to all, with what he changes; too late is said. (Whole: author.)"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.agent import Agent, CallContext
from fastbridge.call.answering import Answering
from fastbridge.call.happenings import AgentKnown
from fastbridge.config import load_settings
from fastbridge.observe.call_log import CallLog
from virtual import VirtualLoop, call_context


class Scene:
    def __init__(self, agent: Agent, **settings: Any) -> None:
        self.loop = VirtualLoop()
        self.told: list[Any] = []
        self.configured: list[Agent] = []
        self.started: list[CallContext] = []
        self.held = 0
        self.answering = Answering(
            agent,
            call_context(),
            clock=self.loop.clock,
            settings=load_settings(database_url="none", **settings),
            lookup=None,
            hooks=SimpleNamespace(emit=lambda name, value: self.started.append(value)),
            session=SimpleNamespace(hold=self._hold, configure=lambda agent, settings: self.configured.append(agent)),
            log=CallLog("CA1"),
            spawn=self._spawn,
            tell=self.told.append,
        )

    def _hold(self) -> None:
        self.held += 1

    def _spawn(self, coroutine: Any) -> "asyncio.Task[None]":
        return self.loop.create_task(coroutine)


@pytest.fixture
def make(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    scenes = []
    yield lambda *given, **named: scenes.append(Scene(*given, **named)) or scenes[-1]
    for scene in scenes:
        scene.answering.close()
        scene.loop.advance(1)
        scene.loop.close()


def looking(seconds: float, found: Any) -> Agent:
    agent = Agent(instructions="Serve {name}.", variables={"name": "you"})

    @agent.on_call
    async def look(context: CallContext) -> Any:
        await asyncio.sleep(seconds)
        return found(context) if callable(found) else found

    return agent


def test_at_once_where_nothing_is_looked_up(make):
    scene = make(Agent(instructions="Hello."))
    scene.loop.do(scene.answering.begin)
    assert scene.held == 1
    ((agent, context, _),) = scene.told
    assert agent.instructions == "Hello."
    assert context.agent is agent is scene.answering.agent
    assert scene.configured == [agent]


def test_when_the_look_up_is_done_with_what_it_found(make):
    scene = make(looking(0.05, {"name": "Dana"}), lookup_ms=500)
    scene.loop.do(scene.answering.begin)
    assert scene.told == []
    scene.loop.advance(0.1)
    (known,) = scene.told
    assert isinstance(known, AgentKnown)
    assert known.agent.instructions == "Serve Dana."


def test_without_it_where_it_takes_too_long_and_never_again(make):
    scene = make(looking(5, {"name": "Dana"}), lookup_ms=300)
    scene.loop.do(scene.answering.begin)
    scene.loop.advance(0.35)
    scene.loop.advance(10)
    (known,) = scene.told
    assert known.agent.instructions == "Serve you."


def test_what_is_settled_by_then_is_said(make, caplog):
    scene = make(looking(0.01, lambda context: context.agent.changed(dsp=False)), lookup_ms=300)
    scene.loop.do(scene.answering.begin)
    scene.loop.advance(0.1)
    assert "dsp: settled when the stream starts, before on_call" in caplog.text


def test_settings_of_his_that_cannot_be_are_not_taken(make, caplog):
    wrong = {"turn_detection": "semantic_vad", "vad_idle_ms": 6000}
    scene = make(looking(0.01, lambda context: context.agent.changed(settings=wrong)), lookup_ms=300)
    scene.loop.do(scene.answering.begin)
    scene.loop.advance(0.1)
    (known,) = scene.told
    refused = "settings" in caplog.text.lower() and known.settings.turn_detection == "server_vad"
    taken = known.settings.turn_detection == "semantic_vad"
    assert refused != taken


def test_the_call_starts_once_for_its_author_however_often_the_model_comes_back(make):
    scene = make(Agent())
    scene.loop.do(scene.answering.begin)
    for _ in range(3):
        scene.answering.ready()
    assert scene.started == [scene.answering.context]
