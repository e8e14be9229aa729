"""The webhooks over ASGI, as Twilio would ask them: signed requests, and what the app says."""

import asyncio
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from urllib.parse import urlencode

from pydantic import SecretStr
from starlette.applications import Starlette
from twilio.request_validator import RequestValidator

from fastbridge.agent import Agent
from fastbridge.carrier.admission import Directory
from fastbridge.carrier.twilio import webhooks
from fastbridge.config import Settings

TOKEN = "0123456789abcdef0123456789abcdef"
URL = "https://voice.example.com"
ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1a" * 16
FORM = "application/x-www-form-urlencoded"
INCOMING = "/webhook/incoming_call"
CALLER = {
    "CallSid": CALL,
    "AccountSid": ACCOUNT,
    "From": "+972501234512",
    "To": "+14155550123",
    "CallStatus": "ringing",
}
HANG = object()
GONE = object()


class Answer(SimpleNamespace):
    """What the app said."""

    @property
    def xml(self):
        assert self.status == 200
        assert self.headers["content-type"] == "text/xml; charset=utf-8"
        return ElementTree.fromstring(self.body)

    @property
    def verbs(self):
        return [verb.tag for verb in self.xml]


class FakeCall:
    """A call that writes down what it is told."""

    def __init__(self, end_reason=None, on_stream_ended="hangup"):
        self.call_sid = CALL
        self.end_reason = end_reason
        self.told = []
        self._reason = on_stream_ended

    def on_carrier_status(self, status):
        self.told.append(status)

    def on_stream_ended(self):
        self.told.append("stream_ended")
        self.end_reason = self._reason


def make_node(**settings):
    defaults = {"public_url": URL, "twilio_auth_token": SecretStr(TOKEN)}
    settings = Settings.model_construct(**(defaults | settings))
    node = SimpleNamespace(settings=settings, directory=Directory(settings, lambda: 0), draining=False, ready=True)
    node.agent, node.announced = Agent(), []
    node.announce = node.announced.append
    node.statuses, node.transfers = [], None
    node.on_answered_by = lambda *told: node.statuses.append(told)
    node.on_call_status = lambda *told: node.statuses.append(told)
    node.recordings, node.keeps = [], True

    async def on_recording_status(told):
        node.recordings.append(told)
        return node.keeps

    node.on_recording_status = on_recording_status
    return node


def exchange(node, method, target, *, headers=None, chunks=(b"",), client=("192.0.2.1", 4), app=None, **state):
    """One request over ASGI, its body in these chunks; HANG never sends another, GONE is a client that left."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": client,
        "server": ("127.0.0.1", 5050),
        "state": state,
    }
    waiting, sent, read = list(chunks), [], []

    async def receive():
        chunk = waiting.pop(0)
        if chunk is HANG:
            await asyncio.Event().wait()
        if chunk is GONE:
            return {"type": "http.disconnect"}
        read.append(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    if app is None:
        app = Starlette(routes=webhooks.routes(node))
        app.router.redirect_slashes = False
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(status=sent[0]["status"], headers=found, body=body, bytes_read=sum(map(len, read)))


def signature(target, params=None):
    return RequestValidator(TOKEN).compute_signature(URL + target, params or {})


def post(node, target, params=CALLER, *, headers=None, **options):
    body = urlencode(params).encode()
    signed = {
        "Content-Type": FORM,
        "Content-Length": str(len(body)),
        "X-Twilio-Signature": signature(target, params),
    }
    return exchange(node, "POST", target, headers=signed | (headers or {}), **({"chunks": [body]} | options))


def get(node, target, params=CALLER, **options):
    target += ("&" if "?" in target else "?") + urlencode(params)
    return exchange(node, "GET", target, headers={"X-Twilio-Signature": signature(target)}, **options)


def admitted(node, answer):
    """The admission behind a connecting TwiML."""
    stream = answer.xml.find("Connect/Stream").get("url")
    base, token = stream.rsplit("/", 1)
    assert base == node.settings.stream_url + "/media"
    return node.directory.peek(token)
