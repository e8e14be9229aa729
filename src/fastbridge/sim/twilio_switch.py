"""Where calls are put through: places a call to its callee, and leads a call that dials to another one.

It is the Exchange of every call that obeys TwiML. Sound does not cross between two callees: what each says goes to
media streams alone.
"""

from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from fastbridge.sim.callee import Callee
from fastbridge.sim.report import CallReport
from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_calls import Calls
from fastbridge.sim.twilio_conferences import Conferences
from fastbridge.sim.twilio_leg import Leg, Witness
from fastbridge.sim.twilio_progress import Progress
from fastbridge.sim.twilio_queues import Queues
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twiml import Phone

DIAL_TIMEOUT = "30"
BRIDGED = '<Response><Pause length="86400"/></Response>'
"""What somebody obeys who talks to the one who dialled him: nothing, until either hangs up."""


class Switch:
    """callees: by number; `callee` for the others. own(number): calls may come from it."""

    def __init__(
        self,
        services: Services,
        callees: Mapping[str, Callee],
        callee: Callee,
        calls: Calls,
        witness: Witness,
        auth_token: str,
        own: Callable[[str], bool],
    ) -> None:
        self.conferences = Conferences(services, self.start, own)
        self.queues = Queues(services, calls)
        self._services = services
        self._callees = callees
        self._callee = callee
        self._calls = calls
        self._legs: dict[str, Leg] = {}
        self._witness = witness
        self._auth_token = auth_token

    def place(self, account_sid: str, fields: Mapping[str, str]) -> Call:
        """A call of the REST API."""
        call = Call(account_sid, fields["From"], fields["To"], self._services.now())
        self.start(call, fields)
        return call

    def reports(self) -> dict[str, CallReport]:
        """Of the calls that were answered and are over, by call sid."""
        return {
            call_sid: leg.phone.report for call_sid, leg in self._legs.items() if leg.call.answered and leg.call.over
        }

    async def ended(self, call_sid: str) -> CallReport:
        leg = self._legs[call_sid]
        await leg.over.wait()
        return leg.phone.report

    async def all_over(self) -> None:
        """Every call that was placed."""
        for leg in list(self._legs.values()):
            await leg.over.wait()

    def start(self, call: Call, fields: Mapping[str, str]) -> Leg:
        """fields: as of `Calls.create`."""
        events = fields.get("StatusCallbackEvent", "completed").split()
        url, method = fields.get("StatusCallback", ""), fields.get("StatusCallbackMethod", "POST")
        progress = Progress(call, self._services, url, method, events)
        callee = self._callees.get(call.to_number, self._callee)
        leg = Leg(call, callee, fields, progress, self._services, self, self._witness, self._auth_token)
        self._calls.add(call, leg)
        self._legs[call.sid] = leg
        self._services.start(leg.run())
        return leg

    # The exchange of calls that obey TwiML

    async def dial(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]:
        """<Dial>: a conference, a queue, or a number, in an element of its own or alone."""
        conference, queue = verb.find("Conference"), verb.find("Queue")
        if conference is not None:
            return await self.conferences.join(phone, conference)
        if queue is not None:
            return await self.queues.serve(phone, queue)
        return await self._dial_number(phone, verb)

    async def enqueue(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]:
        return await self.queues.enqueue(phone, verb, url)

    async def _dial_number(self, phone: Phone, verb: ElementTree.Element) -> dict[str, str]:
        target = verb.find("Number")
        number = ((verb.text if target is None else target.text) or "").strip()
        fields = {"Twiml": BRIDGED, "Timeout": verb.get("timeout", DIAL_TIMEOUT)}
        if target is not None and target.get("statusCallback"):
            fields["StatusCallback"] = target.get("statusCallback", "")
            fields["StatusCallbackEvent"] = target.get("statusCallbackEvent", "completed")
        call = Call(
            phone.account_sid,
            verb.get("callerId", phone.from_number),
            number,
            self._services.now(),
            direction="outbound-dial",
            parent=phone.call_sid,
        )
        leg = self.start(call, fields)
        try:
            await leg.over.wait()
        finally:
            leg.hang_up()
        return {"DialCallSid": call.sid, "DialCallStatus": call.status, "DialCallDuration": str(call.seconds)}
