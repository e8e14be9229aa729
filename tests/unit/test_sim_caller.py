"""The simulated caller over real sockets, against a small node made of nothing but starlette."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.report import CallReport
from fastbridge.sim.script import AfterAssistant, AfterMs, Dtmf, HangUp, Speak, Step

TOKEN = "12345"
VOICE = b"\x90" * 160
WORD = b"\x10" * 480

Media = Callable[["Node", WebSocket], Coroutine[Any, Any, None]]


class Node:
    """Answers the webhooks with TwiML and gives the media socket to `media`."""

    def __init__(self, media: Media, *, twiml: str = "", after: str = "<Hangup/>", status: int = 200) -> None:
        self.media = media
        self.twiml = twiml
        self.after = after
        self.status = status
        self.url = ""
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.messages: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}

    async def webhook(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        url = self.url + request.url.path + (f"?{request.url.query}" if request.url.query else "")
        assert RequestValidator(TOKEN).validate(url, form, request.headers["x-twilio-signature"])
        self.posts.append((request.url.path, form))
        if request.url.path == "/webhook/call_status":
            return Response(status_code=204)
        default = (
            f'<Connect action="{self.url}/webhook/stream_ended">'
            f'<Stream url="{self.url.replace("http", "ws")}/media/t0">'
            '<Parameter name="business_id" value="7"/></Stream></Connect><Hangup/>'
        )
        body = self.after if request.url.path == "/webhook/stream_ended" else self.twiml or default
        return Response(f"<Response>{body}</Response>", self.status, media_type="text/xml")

    async def socket(self, websocket: WebSocket) -> None:
        self.headers = dict(websocket.headers)
        await websocket.accept()
        try:
            await self.media(self, websocket)
        except WebSocketDisconnect:
            return

    async def read(self, websocket: WebSocket) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await websocket.receive_text())
        self.messages.append(message)
        return message

    @property
    def stream_sid(self) -> str:
        sid: str = next(message["streamSid"] for message in self.messages if message["event"] == "start")
        return sid

    async def play(self, websocket: WebSocket, frames: int) -> None:
        for _ in range(frames):
            media = {"payload": base64.b64encode(VOICE).decode()}
            await websocket.send_text(json.dumps({"event": "media", "streamSid": self.stream_sid, "media": media}))
        mark = {"event": "mark", "streamSid": self.stream_sid, "mark": {"name": "end"}}
        await websocket.send_text(json.dumps(mark))


async def talk(node: Node, websocket: WebSocket) -> None:
    """Say five frames, then listen until the caller hangs up."""
    await node.read(websocket)
    await node.read(websocket)
    await node.play(websocket, 5)
    while (await node.read(websocket))["event"] != "stop":
        pass
    await websocket.receive()


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[str]:
    app = Starlette(
        routes=[
            Route("/webhook/{name}", node.webhook, methods=["POST"]),
            WebSocketRoute("/media/{token}", node.socket),
        ]
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        node.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(app, ws="websockets-sansio", log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield node.url
        finally:
            server.should_exit = True
            await serving


def call(node: Node, script: list[Step], **options: Any) -> CallReport:
    async def main() -> CallReport:
        async with running(node) as url:
            public = options.pop("public", url)
            node.url = public
            return await SimulatedCaller(public, script, auth_token=TOKEN, via=url, **options).call()

    return asyncio.run(main())


def test_a_call_runs_from_the_webhook_to_the_status_callback() -> None:
    node = Node(talk)
    script: list[Step] = [Speak(WORD, AfterAssistant(60)), Dtmf("4", AfterMs(0)), HangUp(AfterMs(40))]
    report = call(node, script, call_sid="CA" + "1" * 32, query="business_id=7")
    assert report.errors == []
    assert report.ended_by == "caller"
    assert [path for path, _ in node.posts] == [
        "/webhook/incoming_call",
        "/webhook/stream_ended",
        "/webhook/call_status",
    ]
    forms = [form for _, form in node.posts]
    assert [form["CallStatus"] for form in forms] == ["ringing", "completed", "completed"]
    assert {form["CallSid"] for form in forms} == {"CA" + "1" * 32}
    assert [kind for _, kind, _ in report.events if kind in ("connected", "speak", "dtmf", "hang_up")] == [
        "connected",
        "speak",
        "dtmf",
        "hang_up",
    ]


def test_the_node_gets_what_was_said_and_the_ear_what_it_sent() -> None:
    node = Node(talk)
    report = call(node, [Speak(WORD, AfterAssistant(60)), HangUp(AfterMs(40))])
    events = [message["event"] for message in node.messages]
    assert (events[:2], events[-1], events.count("mark")) == (["connected", "start"], "stop", 1)
    assert [int(m["sequenceNumber"]) for m in node.messages[1:]] == list(range(1, len(node.messages)))
    assert node.messages[1]["start"]["customParameters"] == {"business_id": "7"}
    payloads = [base64.b64decode(m["media"]["payload"]) for m in node.messages if m["event"] == "media"]
    assert b"".join(payloads) == report.said
    assert WORD in report.said
    assert VOICE * 5 in report.heard
    assert report.received == VOICE * 5
    assert len(report.heard) >= len(report.said) - 160  # on a busy machine the ear hears on while the caller waits


def test_the_handshake_is_twilios() -> None:
    node = Node(talk)
    call(node, [HangUp(AfterAssistant(40))])
    assert node.headers["user-agent"] == "Twilio.TmeWs/1.0"
    assert not {"origin", "sec-websocket-extensions", "sec-websocket-protocol"} & node.headers.keys()
    url = f"{node.url.replace('http', 'ws')}/media/t0"
    assert RequestValidator(TOKEN).validate(url, {}, node.headers["x-twilio-signature"])


def test_signatures_are_for_the_public_address_wherever_the_node_listens() -> None:
    node = Node(talk)
    report = call(node, [HangUp(AfterAssistant(40))], public="https://voice.example.com")
    assert (report.errors, report.ended_by) == ([], "caller")
    assert len(node.posts) == 3
    assert RequestValidator(TOKEN).validate("wss://voice.example.com/media/t0", {}, node.headers["x-twilio-signature"])


def test_frames_leave_every_20_ms_by_absolute_deadlines() -> None:
    arrivals: list[float] = []

    async def listen(node: Node, websocket: WebSocket) -> None:
        while (await node.read(websocket))["event"] != "stop":
            arrivals.append(asyncio.get_running_loop().time())
        await websocket.receive()

    call(Node(listen), [HangUp(AfterMs(1000))])
    media = arrivals[2:]
    assert len(media) == 49
    assert media[-1] - media[0] >= 48 * 0.02 - 0.03  # never early; how late, only the machine knows


def test_a_server_that_closes_goes_on_with_the_action_twiml() -> None:
    async def leave(node: Node, websocket: WebSocket) -> None:
        await node.read(websocket)
        await websocket.close(1000)

    node = Node(leave, after="<Say>Goodbye</Say><Hangup/>")
    report = call(node, [HangUp(AfterMs(3000))])
    assert (report.errors, report.ended_by) == ([], "server")
    assert ("say", "Goodbye") in [(event.kind, event.text) for event in report.events]
    assert node.posts[1][1]["CallStatus"] == "in-progress"


def test_a_server_that_dies_is_an_error() -> None:
    async def die(node: Node, websocket: WebSocket) -> None:
        await node.read(websocket)
        await websocket.close(1011)

    report = call(Node(die), [HangUp(AfterMs(3000))])
    assert report.errors == ["31921 server closed the stream with 1011"]


def test_what_twilio_would_reject_fails_the_call() -> None:
    async def babble(node: Node, websocket: WebSocket) -> None:
        await node.read(websocket)
        await node.read(websocket)
        await websocket.send_bytes(b"\x00")
        await websocket.send_text('{"event":"hello"}')
        while (await node.read(websocket))["event"] != "stop":
            pass

    report = call(Node(babble), [HangUp(AfterMs(200))])
    assert [error[:5] for error in report.errors] == ["31950", "31951"]


def test_a_call_that_does_not_end_is_ended() -> None:
    report = call(Node(talk), [HangUp(AfterMs(5000))], limit_seconds=0.2)
    assert report.errors == ["call still up after 0.22 s"]


@pytest.mark.parametrize(
    ("twiml", "status", "error"),
    [
        ("<Connect/>", 200, "12100 <Connect> without"),
        ("<Connect><Stream url='wss://x/y?z=1'/></Connect>", 200, "31922"),
        ("<Connect><Stream url='http://x/y'/></Connect>", 200, "31922"),
        ("<Connect>", 200, "12100 TwiML cannot be parsed"),
        ("<Hangup/>", 500, "11200 /webhook/incoming_call answered 500"),
        ("<Say/>" * 30, 200, "more than 20 TwiML verbs"),
    ],
)
def test_a_bad_answer_to_the_webhook_is_an_error(twiml: str, status: int, error: str) -> None:
    report = call(Node(talk, twiml=twiml, status=status), [HangUp()])
    assert report.errors[0].startswith(error)
    assert report.heard == b""


def test_a_busy_answer_is_no_error() -> None:
    report = call(Node(talk, twiml="<Say>All lines are busy.</Say><Hangup/>"), [HangUp()])
    assert (report.errors, report.ended_by) == ([], "server")


def test_nobody_listening_is_an_error_and_no_exception() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    report = asyncio.run(SimulatedCaller(url, [HangUp()]).call())
    assert [error.partition(" failed")[0] for error in report.errors] == [
        "11200 /webhook/incoming_call",
        "11200 /webhook/call_status",
    ]


def order(form: dict[str, str]) -> CallReport:
    """A call that Twilio's REST API changes 200 ms after its stream began."""

    async def main() -> CallReport:
        node = Node(talk)
        async with running(node) as url:
            caller = SimulatedCaller(url, [HangUp(AfterMs(5000))], auth_token=TOKEN)
            assert not caller.update(form)
            calling = asyncio.create_task(caller.call())
            while caller.carrier is None:  # noqa: ASYNC110 - as a request from outside would find it
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert caller.update(form)
            assert not caller.update(form)
            return await calling

    return asyncio.run(main())


def test_a_call_that_is_ended_by_request_is_over() -> None:
    report = order({"Status": "completed"})
    assert (report.errors, report.ended_by) == ([], "server")
    assert [kind for _, kind, _ in report.events if kind in ("rest", "hang_up")] == ["rest", "hang_up"]


def test_a_call_that_gets_other_twiml_goes_on_with_it() -> None:
    report = order({"Twiml": "<Response><Dial><Number>+15005550009</Number></Dial><Hangup/></Response>"})
    assert ("dial", "+15005550009") in [(event.kind, event.text) for event in report.events]
