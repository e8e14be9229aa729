"""The play of the fault tests: a greeting, a question, an answer, one more of both; and where in it a fault strikes.

A part of the play that the fault ends is left out, and the call goes on with the next: what must hold is said by
`assert_never_left_alone`, whatever happened.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dialects import MODELS, REALTIME, in_words_of
from fastbridge.agent import Agent
from fastbridge.sim.audio import from_ulaw, to_ulaw
from fastbridge.sim.ear import LONGEST_WAIT_MS
from fastbridge.sim.faults import Fault
from fastbridge.sim.scenario import SAMPLE_RATE_HZ, CallTool, ResponseRequest, Say, Scenario, Turn, babble
from stage import Stage


def line(words: str) -> Say:
    """A line of the model's, of which no two pieces are the same: it swells, and ever faster."""
    buzz = from_ulaw(babble(words))
    seconds = np.arange(len(buzz)) / SAMPLE_RATE_HZ
    return Say(words, to_ulaw(buzz * (0.75 + 0.25 * np.sin(2 * np.pi * (3.0 * seconds + 1.3 * seconds**2)))))


GREETING = line("Hello, how can I help you today?")
ANSWER = line(
    "We are open from nine to five on every working day of the week, and from ten to two on Saturdays, all year."
)
SECOND = line("Of course, that is no trouble at all for us here.")
LAST = line("You are welcome, and goodbye to you.")
LINES = (GREETING, ANSWER, SECOND, LAST)
QUESTION = babble("When are you open, please?")
HELLO = babble("Hello?")
INTERRUPTION = babble("No, wait, something else.")
SETTLED_MS = 800
RESOLUTION_MS = 20


def script(request: ResponseRequest) -> Turn:
    """By what was said so far, so that a new session that knows the conversation goes on with it."""
    if request.is_greeting:
        return GREETING
    asked = sum(item.get("role") == "user" for item in request.conversation)
    return ANSWER if asked <= 1 else SECOND if asked == 2 else LAST


def tool_script(request: ResponseRequest) -> Turn:
    """The same, but the first answer needs a tool."""
    asked = any(item.get("role") == "user" for item in request.conversation)
    answered = any(is_tool_output(item) for item in request.conversation)
    return CallTool("hours", {"day": "Monday"}) if asked and not answered else script(request)


def is_tool_output(item: Mapping[str, Any]) -> bool:
    """Or what a new Live session is told of one, in words."""
    return item["type"] == "function_call_output" or item.get("role") == "developer"


@dataclass
class Play:
    """One performance. phase: which scene the fault is for; dialect: the model's; tool_seconds: how long the tool
    takes."""

    fault: Fault | None = None
    phase: str = "answer"
    dialect: str = REALTIME
    greeting: str = GREETING.transcript
    tool_seconds: float = 2.0
    tool_timeout_seconds: float = 10.0
    speed: float = 2.0
    make: type[Stage] = Stage
    scenario: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    runs: int = 0
    """How often the tool was run."""

    def stage(self) -> Stage:
        decide = tool_script if self.phase == "tool" else script
        base = Scenario(script=decide, **{"speed": self.speed, **self.scenario})
        fault = in_words_of(self.dialect, self.fault)
        sessions = fault(base) if fault is not None else lambda attempt: base
        return self.make(sessions, self._agent(), lines=LINES, model=MODELS[self.dialect], **self.settings)

    def _agent(self) -> Agent:
        agent = Agent(greeting=self.greeting)

        @agent.tool(timeout_seconds=self.tool_timeout_seconds)
        async def hours(day: str) -> str:
            """When we are open."""
            self.runs += 1
            await asyncio.sleep(self.tool_seconds)
            return f"{day}: nine to five"

        return agent

    def perform(self, stage: Stage) -> Stage:
        """The whole play, up to the caller's hanging up or the end that the node makes."""
        settle(stage)
        scenes = {
            "greeting": lambda stage: None,
            "idle": self._idle,
            "barge_in": self._interrupted,
            "late_barge_in": self._interrupted_late,
            "hello": self._hello,
        }
        scenes.get(self.phase, ask)(stage)
        ask(stage)
        if not stage.over:
            stage.run(0.5)
        return stage

    def _idle(self, stage: Stage) -> None:
        stage.run(8.0)
        settle(stage)
        ask(stage)

    def _hello(self, stage: Stage) -> None:
        """Said again and again, into whatever silence."""
        for _ in range(3):
            stage.says(HELLO)
            stage.run(2.0)
        settle(stage)

    def _interrupted_late(self, stage: Stage) -> None:
        self._interrupted(stage, 7.0)

    def _interrupted(self, stage: Stage, after_seconds: float = 1.5) -> None:
        stage.says(QUESTION)
        stage.run(0.5)
        stage.until(lambda: stage.over or stage.ear.is_answered, stage.patience_seconds)
        stage.run(after_seconds)
        if not stage.over:
            stage.says(INTERRUPTION)
            settle(stage)


def ask(stage: Stage) -> None:
    """The caller asks, and waits for an answer."""
    if not stage.over:
        stage.says(QUESTION)
        settle(stage)


def settle(stage: Stage) -> None:
    """Until nothing is owed to the caller, and it has been quiet for a while; or until the call is over."""

    def settled() -> bool:
        ear = stage.ear
        speaking = stage.speaking or ear.caller_speaks
        return stage.over or (not ear.owed and not speaking and ear.quiet_ms >= SETTLED_MS)

    end = stage.loop.time() + stage.patience_seconds
    while not settled():
        assert stage.loop.time() < end, f"the caller waits in vain: {stage.ear.owed}; heard {stage.ear.words}"
        stage.run(0.1)


def assert_never_left_alone(stage: Stage) -> None:
    """What holds in every cell of the matrix."""
    ear = stage.ear
    assert [wait for wait in ear.waits if wait.length_ms > LONGEST_WAIT_MS + RESOLUTION_MS] == []
    assert ear.heard_twice() == []
    assert [name for name in ear.words if name.startswith("unknown")] == []


def assert_answered(stage: Stage) -> None:
    """The call lives, and the caller's last question was answered by the model."""
    assert_never_left_alone(stage)
    assert not stage.over, f"the call ended with {stage.call.end_reason}; heard {stage.ear.words}"
    assert "local_apology" not in stage.ear.words
    spoken = stage.ear.answers
    assert spoken[-1] in {line.transcript for line in LINES[1:]}


def assert_apologised(stage: Stage) -> None:
    """The caller was told, to the last word, and then the stream was closed, so that the carrier goes on."""
    assert_never_left_alone(stage)
    assert stage.over
    assert stage.ear.words[-1] in ("local_apology", "local_transfer"), stage.ear.words
    assert stage.carrier.buffered_ms == 0, "the end of it was not heard"
    ((_, code, _),) = stage.closed
    assert code == 1000
    assert str(stage.call.end_reason).startswith("model_")


def counted(stage: Stage, path: str) -> int:
    """A counter of the call's record, 0 where it is missing."""
    value: Any = stage.call.record()
    for name in path.split("."):
        value = value.get(name, 0) if isinstance(value, dict) else 0
    return int(value)
