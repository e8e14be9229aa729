"""The person, or the machine, that a call out reaches: what happens when his telephone rings.

Data alone; `fastbridge.sim.twilio_leg` plays it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastbridge.sim.script import PATIENCE_MS, Step

Outcome = Literal["answers", "busy", "no-answer", "failed"]
SIP_CODES = {"answers": 200, "busy": 486, "no-answer": 480, "failed": 404}


class Verdict(NamedTuple):
    """Of answering machine detection: Twilio's `AnsweredBy`, and how long it took."""

    answered_by: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Callee:
    """Somebody who can be called.

    rings_seconds: until he answers, or until the network knows that he will not; longer than the call's `Timeout` is no
    answer. dials_seconds: before it rings. sip_code, error_code: Twilio's, of a call that fails; by default what goes
    with the outcome, and none. script: what he says on a media stream and when, as of a SimulatedCaller.
    hangs_up_after_seconds: after he answered, whatever goes on; without it the script ends the call, or the others do.
    digits: what he presses at each `<Gather>`, in turn. answered_by: what listening would find at last, one of Twilio's
    words ("human", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"); amd_seconds:
    until a voice is told from a machine, message_seconds: until a machine has said all.
    """

    script: Sequence[Step] = ()
    rings_seconds: float = 1.0
    outcome: Outcome = "answers"
    dials_seconds: float = 0.0
    sip_code: int | None = None
    error_code: int | None = None
    hangs_up_after_seconds: float | None = None
    digits: Sequence[str] = ()
    answered_by: str = "human"
    amd_seconds: float = 3.0
    message_seconds: float = 8.0
    patience_ms: int = PATIENCE_MS
    limit_seconds: float = 120.0

    @property
    def sip(self) -> int:
        """The final answer of his telephone, as SIP has it."""
        return SIP_CODES[self.outcome] if self.sip_code is None else self.sip_code

    def verdict(self, detection: str, timeout_seconds: float) -> Verdict:
        """Of `MachineDetection`, Enable or DetectMessageEnd, which gives up after its timeout."""
        found = Verdict(self.answered_by, self.amd_seconds)
        if self.answered_by.startswith("machine"):
            to_the_end = detection == "DetectMessageEnd"
            found = (
                Verdict(self.answered_by, self.message_seconds)
                if to_the_end
                else found._replace(answered_by="machine_start")
            )
        return found if found.seconds <= timeout_seconds else Verdict("unknown", timeout_seconds)
