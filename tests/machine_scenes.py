"""A call out that a machine answers, as the log sees it."""

from pathlib import Path

import pytest

from fastbridge._answering import SIGN_BEEP, SIGN_MACHINE
from fastbridge.agent import Agent
from virtual import Rig, call_context


def answering_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is found out, beeps, and gets its message."""
    agent = Agent(greeting="Hello!")

    @agent.on_machine
    async def leave_word(machine: object) -> str:
        return "Please call us back."

    rig = Rig(agent)
    rig.ended.clear()
    rig.call = rig.make_call(settings=rig.call.settings, agent=agent, context=call_context(direction="outbound"))
    rig.up()
    rig.advance(1.0)
    for sign in (SIGN_MACHINE, SIGN_BEEP):
        rig.do(rig.call.answered_by.on_sign, sign)
        rig.advance(0.1)
    rig.shut()
