"""What any sequence of events does to a call, whichever dialect its model speaks: the rules and promises of both."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastbridge.base.end_reasons import EndReason
from virtual import RecordingModel


class AnyCallMachine(RuleBasedStateMachine):
    """To be inherited: `rig` is made by an `@initialize`, and `look` says what holds after each step."""

    rig: Any

    def look(self) -> None:
        raise NotImplementedError

    def connecting(self) -> None:
        """Another connection to the model is about to be there."""

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            try:
                self.look()
            finally:
                self.rig.shut()

    @rule()
    def marks_come_back(self) -> None:
        self.rig.echo_marks()

    @rule(paused=st.booleans())
    def carrier_is_paused(self, paused: bool) -> None:
        self.rig.do(self.rig.call.on_carrier_paused, paused)

    @precondition(lambda self: self.rig.call.live and len(self.rig.dialled) > len(self.rig.model_links))
    @rule()
    def model_connects(self) -> None:
        while len(self.rig.model_links) < len(self.rig.dialled) - 1:  # those were given up before they came
            self.rig.model_links.append(RecordingModel(self.rig))
            self.rig.model_links[-1].hang_ups = 1
        self.connecting()
        self.rig.connect()

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "rig"):
            self.look()

    def assert_ended_once(self) -> None:
        call = self.rig.call
        assert len(self.rig.ended) == len(self.rig.carrier_link.closed) == (not call.live)
        assert call.end_reason is None or call.end_reason in list(EndReason)
