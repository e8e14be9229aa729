"""The node's webhooks for a call on virtual time: Twilio's requests come here, signed as ever, without a socket."""

import json
from collections.abc import Mapping
from types import SimpleNamespace

import httpx2
from starlette.applications import Starlette

from fastbridge.agent.definition import Agent
from fastbridge.carrier.admission import Directory
from fastbridge.carrier.twilio.calls_out import TwilioCalls
from fastbridge.carrier.twilio.rest import api_url
from fastbridge.carrier.twilio.transfers import TwilioTransfers
from fastbridge.carrier.twilio.webhooks import routes
from fastbridge.config import Settings
from fastbridge.sim.media_line import LineError
from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.twiml import Document, Exchange, Follower, StreamEnd, parsed
from fastbridge.testing.carrier import VirtualCarrier
from fastbridge.testing.loop import VirtualLoop
from fastbridge.testing.settings import ACCOUNT_SID, AUTH_TOKEN

XML = "/xml"


def webhooks(settings: Settings, agent: Agent, loop: VirtualLoop) -> tuple[httpx2.AsyncClient, SimpleNamespace]:
    """A client of Twilio's for them, and the node that they ask; its `transfers` are set later."""
    node = SimpleNamespace(
        settings=settings,
        agent=agent,
        directory=Directory(settings, loop.clock.now_ns),
        transfers=None,
        draining=False,
        ready=True,
        successor=False,
        announce=lambda admission: None,
        on_answered_by=lambda *told: None,
        on_call_status=lambda *told: None,
    )
    app = Starlette(routes=routes(node))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), trust_env=False), node


def human_side(settings: Settings, loop: VirtualLoop, http: httpx2.AsyncClient) -> TwilioTransfers:
    """http: the way to the simulated API."""
    calls = TwilioCalls(api_url(settings), ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN, http)
    return TwilioTransfers(settings, loop.spawn, calls)


class LedAway:
    """A caller whose stream has ended since the API led him elsewhere: what he obeys from then on."""

    def __init__(self, carrier: VirtualCarrier, http: httpx2.AsyncClient, from_number: str) -> None:
        self.call_sid = carrier.call_sid
        self.account_sid = ACCOUNT_SID
        self.from_number = from_number
        self._carrier = carrier
        self._http = SignedHttp(AUTH_TOKEN, http)
        self._follower: Follower | None = None

    def update(self, form: dict[str, str]) -> bool:
        return self._follower is not None and self._follower.order(form)

    async def obey(self, order: Mapping[str, str], exchange: Exchange) -> None:
        follower = self._follower = Follower(self, exchange)
        try:
            await follower.follow(self._first(order))
        except LineError as error:
            self._carrier.report.errors.append(str(error))

    async def _first(self, order: Mapping[str, str]) -> Document:
        if "Twiml" in order:
            return parsed(order["Twiml"])
        return await self.fetch(order["Url"], {"CallStatus": "in-progress"}, order.get("Method", "POST"))

    # The phone that TwiML is obeyed by.

    def note(self, kind: str, text: str = "") -> None:
        self._carrier.note(kind, text)

    def press(self) -> str:
        return ""

    async def fetch(self, url: str, fields: Mapping[str, str], method: str = "POST") -> Document:
        told = {"CallSid": self.call_sid, "AccountSid": self.account_sid, "From": self.from_number, **fields}
        response = await self._http.request(method, url, told)
        if response.status_code >= 400 or not response.headers.get("content-type", "").partition(";")[0].endswith(XML):
            raise LineError(
                f"11200 {url.partition('?')[0]} answered {response.status_code}, {json.dumps(response.text)}"
            )
        return parsed(response.text, url)

    async def stream(self, url: str, parameters: dict[str, str]) -> StreamEnd:
        raise LineError("31920 a second stream of a call is nothing that a VirtualCall has")

    def stop_stream(self, by: str) -> bool:
        return False
