"""Where calls are put through: places a call to its callee, and leads a call that dials to another one.

It is the Exchange of every call that obeys TwiML. Sound does not cross between two callees: what each says goes to
media streams alone.
"""

from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from fastbridge.sim.callee import Callee
from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_form import Form
from fastbridge.sim.twilio_leg import Leg, Witness
from fastbridge.sim.twilio_progress import Progress
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twiml import Phone

DIAL_TIMEOUT = "30"
BRIDGED = '<Response><Pause length="86400"/></Response>'
"""What somebody obeys who talks to the one who dialled him: nothing, until either hangs up."""


class Switch:
    """callees: by number; `callee` for the others. add: a call is there."""

    def __init__(
        self,
        services: Services,
        callees: Mapping[str, Callee],
        callee: Callee,
        add: Callable[[Call, Leg], object],
        witness: Witness,
        auth_token: str,
    ) -> None:
        self._services = services
        self._callees = callees
        self._callee = callee
        self._add = add
        self._witness = witness
        self._auth_token = auth_token

    def place(self, account_sid: str, fields: Mapping[str, str], form: Form) -> Call:
        """A call of the REST API."""
        call = Call(account_sid, fields["From"], fields["To"], self._services.now())
        self.start(call, fields, form.get("StatusCallbackEvent", ["completed"]))
        return call

    def start(self, call: Call, fields: Mapping[str, str], events: list[str]) -> Leg:
        url, method = fields.get("StatusCallback", ""), fields.get("StatusCallbackMethod", "POST")
        progress = Progress(call, self._services, url, method, events)
        callee = self._callees.get(call.to_number, self._callee)
        leg = Leg(call, callee, fields, progress, self._services, self, self._witness, self._auth_token)
        self._add(call, leg)
        self._services.start(leg.run())
        return leg

    # The exchange of calls that obey TwiML

    async def dial(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]:
        """<Dial>: a number in it, or alone."""
        target = verb.find("Number")
        number = ((verb.text if target is None else target.text) or "").strip()
        fields = {"Twiml": BRIDGED, "Timeout": verb.get("timeout", DIAL_TIMEOUT)}
        if target is not None and target.get("statusCallback"):
            fields["StatusCallback"] = target.get("statusCallback", "")
        call = Call(
            phone.account_sid,
            verb.get("callerId", phone.from_number),
            number,
            self._services.now(),
            direction="outbound-dial",
            parent=phone.call_sid,
        )
        events = target.get("statusCallbackEvent", "completed").split() if target is not None else []
        leg = self.start(call, fields, events)
        try:
            await leg.over.wait()
        finally:
            leg.hang_up()
        return {"DialCallSid": call.sid, "DialCallStatus": call.status, "DialCallDuration": str(call.seconds)}

    async def enqueue(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]:
        return {"QueueResult": "system-error"}
