"""fastbridge.sim.demo_outbound_agent."""

from fastbridge import AnsweredBy
from fastbridge.sim.audio import clips
from fastbridge.sim.demo_outbound_agent import MESSAGE, agent, leave_word


def test_it_leaves_its_message_on_any_machine() -> None:
    assert leave_word(AnsweredBy("machine", 3.0, "sound")) == MESSAGE
    assert "on_machine" in agent.hooks
    assert "assistant_message" in clips()
