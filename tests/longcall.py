"""A call of sixty turns with whatever can make its log long: interruptions, tools, failures, drops, keys; on the stage.

What happens in it is named by ADVERSITIES: a call may have any of them, or all.
"""

import asyncio
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from fastbridge.agent import Agent, CallContext
from fastbridge.sim.disruption import EVERY, Disruption, Drop, Elapsed, On, Send
from fastbridge.sim.scenario import CallTool, Fail, ResponseRequest, Say, Scenario, Turn, babble
from stage import Stage

QUESTION = babble("And when, please?")
INTERRUPTION = babble("No, wait, later.")
ANSWER = Say("We are open from nine to five on every working day, all year.")
SHORT = Say("Yes, that is so.")
GREETING = Say("Hello, how can I help you?")
TURN_SECONDS = 14.0
OWN_LINES = 10
"""Of each hook."""
ADVERSITIES = (
    *("interruptions", "unanswered", "tools", "slow_tools", "failing_tools", "refused_tools", "appointments"),
    *("failures", "drops", "keys", "hooks", "complaints", "rubbish", "silent_answers", "own_lines"),
)


class LongCall:
    """`play()` holds the whole call."""

    def __init__(self, adversities: Collection[str] = (), *, turns: int = 60, **settings: Any) -> None:
        self.adversities = frozenset(adversities)
        self.turns = turns
        self.responses = self.asked = 0
        self.noted_later = 0
        """Hooks that ran when the record had been made: of what was being said when the caller hung up."""
        scenario = Scenario(script=self._answer, caller_transcripts=["And when, please?"], speed=4.0)
        scenario = replace(scenario, disruptions=self._disruptions())
        if "unanswered" in self.adversities:
            scenario = replace(scenario, unanswered_turns=frozenset(range(3, 300, 9)))
        given = {"max_call_seconds": 3600, "noise_seconds": 0, **settings}
        self.stage = Stage(lambda attempt: scenario, self._agent(), lines=(GREETING, ANSWER, SHORT), **given)

    def __contains__(self, adversity: str) -> bool:
        return adversity in self.adversities

    def play(self) -> "LongCall":
        stage = self.stage
        self._settle()
        for number in range(self.turns):
            if stage.over:
                break
            stage.says(QUESTION)
            if "keys" in self:
                self._press("12#")
            if "interruptions" in self and number % 3 == 2:
                stage.run(0.5)
                stage.until(lambda: stage.over or stage.ear.is_answered or not stage.ear.owed, 40)
                stage.run(1.2)
                stage.says(INTERRUPTION)
            self._settle()
        stage.run(1.0)
        stage.hang_up()
        stage.shut()
        return self

    def _settle(self) -> None:
        """Until the caller has an answer and it has been quiet for a moment, or has waited for long enough."""
        stage = self.stage
        stage.run(0.5)
        end = stage.loop.time() + TURN_SECONDS
        while not stage.over and stage.loop.time() < end:
            ear = stage.ear
            if not (ear.owed or stage.speaking or ear.caller_speaks) and ear.quiet_ms >= 400:
                return
            stage.run(0.1)

    def _press(self, digits: str) -> None:
        for digit in digits:
            if self.stage.call.live:
                message = self.stage.carrier.dtmf(digit).encode()
                self.stage.loop.do(self.stage.call.caller.feed_message, message)

    # --- the model ---

    def _answer(self, request: ResponseRequest) -> Turn:
        self.responses += 1
        if request.is_greeting:
            return GREETING
        if "failures" in self and self.responses % (2 if len(self.adversities) == 1 else 4) == 0:
            return Fail("rate_limit_exceeded")
        if "silent_answers" in self and self.responses % 7 == 3:
            return Say("", b"")
        last = request.conversation[-1] if request.conversation else {}
        if last.get("role") == "user" and self._tools():
            self.asked += 1
            return CallTool(self._tools()[self.asked % len(self._tools())], {"day": "Monday"})
        return SHORT if self.responses % 2 and "interruptions" not in self else ANSWER

    def _tools(self) -> list[str]:
        names = {"tools": "hours", "slow_tools": "search", "failing_tools": "book", "appointments": "schedule"}
        found = [tool for adversity, tool in names.items() if adversity in self]
        return [*found, "rarely"] if "refused_tools" in self else found

    def _disruptions(self) -> list[Disruption]:
        found: list[Disruption] = []
        if "drops" in self:
            found.append(Disruption(Elapsed(25_000), Drop(1006)))
        if "complaints" in self:
            for number, code in enumerate(("rate_limit_exceeded", "something_new", "invalid_value", "odd_4711")):
                error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None}
                complaint = Send({"type": "error", "error": {**error, "event_id": None}})
                found.append(Disruption(On("response.done", number + 1, EVERY), complaint))
        if "rubbish" in self:
            for kind in ("response.created", "response.done", "input_audio_buffer.committed", "session.updated"):
                found.append(Disruption(On("response.done", 1, EVERY), Send({"type": kind})))
        return found

    # --- the agent ---

    def _agent(self) -> Agent:
        agent = Agent(greeting=GREETING.transcript, max_tool_calls=10_000)

        @agent.tool
        async def hours(day: str) -> str:
            """When we are open."""
            return f"{day}: nine to five"

        @agent.tool(max_calls=1)
        async def rarely(day: str) -> str:
            """It is refused the second time."""
            return day

        @agent.tool
        async def search(day: str) -> str:
            """It takes long."""
            await asyncio.sleep(5)
            return "nothing"

        @agent.tool
        async def book(day: str) -> str:
            """It fails."""
            raise LookupError(f"no such day: {self.responses}")

        @agent.tool
        async def schedule(context: CallContext, day: str) -> str:
            """It makes an appointment."""
            context.appointment_created(self.responses, "2024-01-25 14:00")
            return "done"

        @agent.on_transcript
        async def noted(context: CallContext, turn: Any) -> None:
            self.noted_later += self.stage.call.document is not None
            if "own_lines" in self:
                for number in range(OWN_LINES // 2):
                    context.log("CRM", "looked at", number=number)
                    context.log(f"NOTE_{self.responses}", "written down")
            if "hooks" in self:
                raise ValueError("nowhere to note it")

        return agent


def summed_up(written: Iterable[str]) -> int:
    """How many lines the sums among these stand for."""
    total = 0
    for line in written:
        found = re.match(r"\[[\w-]+\] \+([0-9]+)", line)
        if found or line.startswith("[HELD_BACK]"):
            alone = re.search(r", lines=([0-9]+)", line)
            total += int((alone or found)[1])
    return total
