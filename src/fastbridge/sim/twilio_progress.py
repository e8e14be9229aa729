"""Status callbacks of one call: which events were asked for, their numbers, and what the last one tells."""

import math
from collections.abc import Mapping, Sequence

from fastbridge.sim.twilio_call import ANSWERED, TERMINAL, Call, rfc2822
from fastbridge.sim.twilio_services import Services

EVENTS = ("initiated", "ringing", "answered", "completed")
SOURCE = "call-progress-events"


class Progress:
    """url: empty for nobody. events: of EVENTS."""

    def __init__(self, call: Call, services: Services, url: str, method: str, events: Sequence[str]) -> None:
        self._call = call
        self._services = services
        self._events = frozenset(events)
        self._sequence = 0
        self.url = url
        self.method = method

    def tell(self, **more: str) -> None:
        """What the call has just become. more: parameters of this event."""
        state = self._call.state
        event = {ANSWERED: "answered", **dict.fromkeys(TERMINAL, "completed")}.get(state, state)
        if not self.url or event not in self._events:
            return
        told = {
            **self._call.parameters(),
            "CallStatus": state,
            "Timestamp": rfc2822(self._services.now()) or "",
            "CallbackSource": SOURCE,
            "SequenceNumber": str(self._sequence),
            **(self._of_the_end() if state in TERMINAL else {}),
            **more,
        }
        self._sequence += 1
        self._services.callbacks.send(self._call.sid, self.url, self.method, told)

    def _of_the_end(self) -> Mapping[str, str]:
        seconds = self._call.seconds
        told = {"CallDuration": str(seconds)}
        if self._call.state == "completed":
            told["Duration"] = str(math.ceil(seconds / 60))
        if self._call.answered_by is not None:
            told["AnsweredBy"] = self._call.answered_by
        return told
