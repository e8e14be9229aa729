"""Calls without a telephone and without an account: a simulated Twilio caller and a simulated OpenAI Realtime server.

They are what `fastbridge demo` and the project's own tests use, and they are yours, for testing your agent. Both are
strict: what Twilio or OpenAI would reject or ignore is in `errors`.

    async with ModelServer(Scenario([Say("Hello, how can I help?"), Say("We open at nine.")])) as model:
        ...  # a node with OPENAI_BASE_URL=model.base_url
        report = await SimulatedCaller(node_url, [Speak("caller_appointment"), HangUp()]).call()
    assert not report.errors and not model.errors and not report.gaps()
"""

from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import CallTool, Fail, Incomplete, Refuse, Say, Scenario
from fastbridge.sim.script import AfterAssistant, AfterMs, Dtmf, HangUp, Interrupt, Speak, WhileAssistant

__all__ = [
    "AfterAssistant",
    "AfterMs",
    "CallReport",
    "CallTool",
    "Dtmf",
    "Fail",
    "HangUp",
    "Incomplete",
    "Interrupt",
    "ModelServer",
    "Refuse",
    "Say",
    "Scenario",
    "SimulatedCaller",
    "Speak",
    "WhileAssistant",
]
