"""Calls to your agent on virtual time: a minute on the telephone in a fraction of a second, and the same every time.

    call = VirtualCall("my_agent:agent", [Speak("caller_appointment"), HangUp()], Scenario(turns=[Say("At nine.")]))
    assert not call.errors and call.waits() == []

With pytest the fixture `fastbridge_call` is the same. The rules of its clock are in docs/testing-your-agent.md.
"""

from fastbridge.testing.call import VirtualCall
from fastbridge.testing.model import VirtualModel
from fastbridge.testing.recorder import VirtualRecorder

__all__ = ["VirtualCall", "VirtualModel", "VirtualRecorder"]
