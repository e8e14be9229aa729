"""Twilio's simulated REST API, the webhooks that it calls, and Twilio's own SDK as its client."""

import asyncio
import base64
import functools
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

import httpx2
from twilio.http import HttpClient
from twilio.http.response import Response as SdkResponse
from twilio.request_validator import RequestValidator
from twilio.rest import Client

import loops
from fastbridge.sim.carrier_api import CarrierApi
from fastbridge.sim.twilio_http import HttpServer, Request, request_of
from fastbridge.sim.twilio_reply import Reply

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret"
OURS, THEIRS = "+14155550100", "+14155550101"
TALK = '<Response><Say>Good morning.</Say><Pause length="3600"/></Response>'


class SdkHttp(HttpClient):  # type: ignore[misc]
    """The SDK's requests, to our server in place of api.twilio.com. It waits, so it works in a thread."""

    def __init__(self, url: str) -> None:
        super().__init__(None, False, 10)
        self._url = url
        self.client = httpx2.Client()

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = False,
    ) -> SdkResponse:
        to = url.replace("https://api.twilio.com", self._url)
        answer = self.client.request(method, to, params=params, data=data, headers=headers, auth=auth)
        return SdkResponse(answer.status_code, answer.text)


@contextmanager
def sdk(api: CarrierApi, user: str = ACCOUNT, secret: str = TOKEN) -> Generator[Any]:
    """A client for a thread."""
    http = SdkHttp(api.url)
    with http.client:
        yield Client(user, secret, http_client=http)


class Office:
    """What of ours Twilio calls: holds every webhook to its signature, and answers with the TwiML of its path."""

    def __init__(self, twiml: Mapping[str, str] | None = None) -> None:
        self.twiml = dict(twiml or {})
        self.statuses: dict[str, int] = {}
        self.posts: list[tuple[str, dict[str, str]]] = []
        self._validator = RequestValidator(TOKEN)

    def told(self, path: str = "/status") -> list[dict[str, str]]:
        return [form for at, form in self.posts if at == path]

    def statuses_told(self, path: str = "/status") -> list[str]:
        return [form["CallStatus"] for form in self.told(path)]

    def take(self, url: str, path: str, form: dict[str, str], signature: str) -> tuple[int, str]:
        """Status and TwiML."""
        assert self._validator.validate(url, form, signature), f"{url} is signed wrongly"
        self.posts.append((path, form))
        return self.statuses.get(path, 200), self.twiml.get(path, "")


class VirtualOffice(Office):
    """At https://ours.example, without a socket."""

    url = "https://ours.example"

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        if request.method == "GET":
            form = {}
        signature = request.headers["x-twilio-signature"]
        status, twiml = self.take(str(request.url), request.url.path, form, signature)
        if request.method == "GET":
            self.posts[-1] = (request.url.path, dict(request.url.params))
        return httpx2.Response(status, text=twiml, headers={"content-type": "text/xml"})


class VirtualStage:
    """The API on virtual time: requests go in by hand, webhooks come out at an office."""

    def __init__(self, twiml: Mapping[str, str] | None = None, **options: Any) -> None:
        self.loop = loops.virtual()
        self.office = VirtualOffice(twiml)
        options = {"callees": {}, "now": self.loop.time, "http": self.office.client()} | options
        self.api = self.loop.do(functools.partial(CarrierApi, ACCOUNT, TOKEN, **options))

    def ask(self, method: str, path: str, form: Mapping[str, Any] | None = None, **query: str) -> tuple[int, Any]:
        """Status and body. form: a list is a parameter that is repeated."""
        target = f"/2010-04-01/Accounts/{ACCOUNT}{path}" + (f"?{urlencode(query)}" if query else "")
        body = urlencode(dict(form or {}), doseq=True).encode()
        basic = b"Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode())
        request = request_of(method.encode(), target.encode(), [(b"Authorization", basic)], body)
        reply = self.loop.run_until_complete(self.api.respond(request))
        return reply.status, reply.content or reply.body

    def call(self, **form: Any) -> str:
        """The sid of a call that was placed: OURS to THEIRS, TALK, all events to /status."""
        status, body = self.ask("POST", "/Calls.json", placed(self.office.url) | form)
        assert status == 201, body
        return str(body["sid"])

    def shown(self, call_sid: str) -> dict[str, Any]:
        status, body = self.ask("GET", f"/Calls/{call_sid}.json")
        assert status == 200, body
        return dict(body)

    def status(self, call_sid: str) -> str:
        return str(self.shown(call_sid)["status"])

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over()

    def over(self) -> None:
        """The test is: what still goes on is broken off."""
        self.loop.run_until_complete(self.api.__aexit__(None, None, None))
        assert self.loop.failures == []


def placed(url: str) -> dict[str, Any]:
    """The form of a call out."""
    events = ["initiated", "ringing", "answered", "completed"]
    return {
        "To": THEIRS,
        "From": OURS,
        "Twiml": TALK,
        "StatusCallback": f"{url}/status",
        "StatusCallbackEvent": events,
    }


class RealOffice(Office):
    """On a socket."""

    def __init__(self, twiml: Mapping[str, str] | None = None) -> None:
        super().__init__(twiml)
        self.server = HttpServer(self._answer)

    @property
    def url(self) -> str:
        return self.server.url

    async def _answer(self, request: Request) -> Reply:
        signature = request.headers["x-twilio-signature"]
        status, twiml = self.take(f"{self.url}{request.path}", request.path, request.fields(), signature)
        return Reply(status, {}, twiml.encode() or b" ", "text/xml")


@asynccontextmanager
async def stage(
    twiml: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[tuple[CarrierApi, RealOffice, Any]]:
    """The API, an office, and an SDK's client for a thread."""
    office = RealOffice(twiml)
    await office.server.start()
    try:
        async with CarrierApi(ACCOUNT, TOKEN, **{"callees": {}, **options}) as api:
            with sdk(api) as client:
                yield api, office, client
    finally:
        await office.server.close()


async def until(condition: Any, seconds: float = 10.0) -> None:
    """Real time, of real sockets."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
