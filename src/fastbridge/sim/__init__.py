"""Calls without a telephone and without an account: a simulated Twilio caller and a simulated OpenAI, which speaks the
Realtime API and GPT-Live.

They are what `fastbridge demo` and the project's own tests use, and they are yours, for testing your agent. Both are
strict: what Twilio or OpenAI would reject or ignore is in `errors`.

    scenario = Scenario(greeting=Say("Hello, how can I help?"), turns=[Say("We open at nine.")])
    async with ModelServer(scenario) as model, NodeProcess(model.base_url, "my_agent:agent") as node:
        report = await node.caller([Speak("caller_appointment"), HangUp()]).call()
    assert not report.errors and not model.errors and not report.gaps()

With pytest the fixtures `fastbridge_model` and `fastbridge_node` are the same for a plain function.

A node needs none of this: it is the distribution `fastbridge-sim`, but for this file, which tells who lacks it.
"""

from importlib.util import find_spec

from fastbridge.errors import NotInstalledError

if None in map(find_spec, ("fastbridge.sim.scenario", "numpy", "twilio")):
    raise NotInstalledError("The simulators (fastbridge.sim) are not installed: pip install 'fastbridge[demo]'.")

from fastbridge.sim import faults, live_faults
from fastbridge.sim.callee import Callee
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.carrier_api import CarrierApi
from fastbridge.sim.disruption import Disruption, Elapsed, On, Refuse
from fastbridge.sim.live_script import Live
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.node import NodeProcess
from fastbridge.sim.plain import PlainNode, StartNode
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import CallTool, Cancelled, Ends, Fail, Incomplete, Say, Scenario, Stuck
from fastbridge.sim.script import AfterAssistant, AfterMs, Dtmf, HangUp, Interrupt, Speak, WhileAssistant
from fastbridge.sim.twilio_callbacks import Fate, Mishaps

__all__ = [
    "AfterAssistant",
    "AfterMs",
    "CallReport",
    "CallTool",
    "Callee",
    "Cancelled",
    "CarrierApi",
    "Disruption",
    "Dtmf",
    "Elapsed",
    "Ends",
    "Fail",
    "Fate",
    "HangUp",
    "Incomplete",
    "Interrupt",
    "Live",
    "Mishaps",
    "ModelServer",
    "NodeProcess",
    "On",
    "PlainNode",
    "Refuse",
    "Say",
    "Scenario",
    "SimulatedCaller",
    "Speak",
    "StartNode",
    "Stuck",
    "WhileAssistant",
    "faults",
    "live_faults",
]
