"""What the doctor makes of answers that no nginx of tests/e2e/test_doctor.py gives. The addresses are real sockets'."""

import asyncio
import socket
from urllib.parse import parse_qs

import pytest

from environment import clear_environment
from fastbridge.carrier.twilio.media_socket import NOTHING_HERE, UNKNOWN_TOKEN, WRONG_SIGNATURE
from fastbridge.carrier.twilio.messages import CALL_SID
from fastbridge.carrier.twilio.signature import sign, valid_handshake
from fastbridge.carrier.twilio.trial import Trial
from fastbridge.carrier.twilio.twiml import busy_twiml, connect_twiml
from fastbridge.carrier.twilio.webhooks import NO_UPGRADE, PROBE
from fastbridge.config import load_settings
from fastbridge.net import reach
from scripted_server import ScriptedServer, answer

TOKEN, ACCOUNT = "0123456789abcdef0123456789abcdef", "AC" + "0" * 32
ALIVE = answer(200, '{"alive":true}')
OVER = answer(204)


async def open_stream(request):
    request.writer.write(request.accept())
    frame = await request.reader.readexactly(10)
    request.writer.write(b"\x8a\x04" + bytes(byte ^ frame[2 + (index & 3)] for index, byte in enumerate(frame[6:])))
    await request.reader.readexactly(8)
    return b"\x88\x00"


async def mute(request):
    request.writer.write(request.accept())


class World:
    """A node as it should be; a test changes what one path says."""

    def __init__(self, **settings):
        self.settings = settings
        self.stream = ""
        self.plays = {
            "/": answer(404, "Not Found"),
            "/healthz": ALIVE,
            "/webhook/incoming_call": self._connect,
            "/webhook/call_status": OVER,
            "/media/": open_stream,
        }

    async def _connect(self, request):
        url = self.stream or f"ws{self.url.removeprefix('http')}/media/a-token"
        return answer(200, connect_twiml(url, f"{self.url}/webhook/stream_ended", {}))

    def run(self, **changes):
        async def scene():
            async with ScriptedServer(self.plays) as server:
                self.url = server.url
                given = {"twilio_auth_token": TOKEN, "twilio_account_sid": ACCOUNT, "public_url": server.url}
                settings = load_settings(**given | self.settings)
                findings = await Trial(settings, self.seen.append).run()
                self.requests = server.requests
                return findings

        self.seen = []
        self.plays |= changes
        return asyncio.run(scene())

    def fault(self, **changes):
        """The first that fails; those behind it were not tried."""
        first, *others = [each for each in self.run(**changes) if not each.ok]
        assert [each.fault for each in others] == ["not_tried"] * len(others)
        return first


@pytest.fixture
def world(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(reach, "STEP_SECONDS", 1.0)
    return World()


def test_it_comes_as_twilio_would(world):
    assert [each.ok for each in world.run()] == [True] * 3
    healthz, webhook, stream, over = world.requests
    form = {name: values[0] for name, values in parse_qs(webhook.body, keep_blank_values=True).items()}
    assert (healthz.target, webhook.target) == ("/healthz", "/webhook/incoming_call?probe=1%2F2")
    assert CALL_SID.match(form["CallSid"])
    assert (form["AccountSid"], form["From"], form["CallStatus"], form[PROBE]) == (ACCOUNT, "", "ringing", "1")
    assert webhook.headers["x-twilio-signature"] == sign(TOKEN, world.url + webhook.target, form)
    assert valid_handshake(TOKEN, world.url, stream.target, stream.headers["x-twilio-signature"])
    ended = {name: values[0] for name, values in parse_qs(over.body).items()}
    assert (ended["CallSid"], ended["CallStatus"]) == (form["CallSid"], "completed")
    assert len(world.seen) == 4


def test_each_examination_has_a_call_of_its_own(world):
    sids = []
    for _ in range(2):
        world.run()
        sids.append(parse_qs(world.requests[1].body)["CallSid"])
    assert sids[0] != sids[1]


def test_without_signatures_it_does_not_sign(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    world = World(twilio_auth_token=None, dev=True)
    assert [each.ok for each in world.run()] == [True] * 3
    assert not any("x-twilio-signature" in request.headers for request in world.requests)


def test_without_a_token_nothing_is_signed_and_nothing_tried(world):
    world.settings["twilio_auth_token"] = None
    found = world.fault()
    assert (found.check, found.fault, found.todo) == (
        "webhook",
        "no_auth_token",
        "Set TWILIO_AUTH_TOKEN, which signs it.",
    )


def test_without_an_address(world):
    world.settings["public_url"] = ""
    assert (world.fault().fault, world.requests) == ("not_set", [])


@pytest.mark.parametrize("said", [answer(200, "ok"), answer(200), answer(302), answer(500), answer(418)])
def test_an_address_that_reaches_something_else(world, said):
    found = world.fault(**{"/healthz": said})
    assert found.check == "public URL"
    assert found.fault == ("redirect" if b" 302 " in said else "another")


@pytest.mark.parametrize(
    ("said", "fault", "words"),
    [
        (answer(200, busy_twiml("Busy.")), "no_calls", "the node takes no calls now"),
        (answer(200, "<html>"), "another", "is answered by another program"),
        (answer(200, ""), "another", "is answered by another program"),
        (answer(413, "Content Too Large"), "body_changed", "the proxy changes it"),
        (answer(405, "no"), "method", "may not be asked by this method"),
        (answer(530, Server="cloudflare"), "bad_gateway", "is a tunnel that is not there (530, cloudflare)"),
        (answer(403, "<html>Forbidden", Server="nginx"), "forbidden", "(403, nginx)"),
    ],
)
def test_a_webhook_that_is_not_answered_as_it_should(world, said, fault, words):
    found = world.fault(**{"/webhook/incoming_call": said})
    assert (found.check, found.fault) == ("webhook", fault)
    assert words in found.detail
    assert "call_status" not in "".join(request.target for request in world.requests), "there is no call to be ended"


def test_a_stream_that_is_to_go_elsewhere(world):
    world.stream = "wss://old.example/media/a-token"
    found = world.fault()
    assert (found.fault, found.detail) == ("stream_address", "the node sends its callers to wss://old.example")
    assert "a-token" not in f"{found}"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (answer(426, f"{NO_UPGRADE}Upgrade Connection\n"), "upgrade_dropped"),
        (answer(404, "Not Found"), "upgrade_dropped"),
        (answer(404, "<html>", Server="nginx"), "not_found"),
        (answer(404, f"{NOTHING_HERE}\n"), "path_prefix"),
        (answer(403, f"{UNKNOWN_TOKEN}\n"), "another_node"),
        (answer(403, f"{WRONG_SIGNATURE}\n"), "url_changed"),
        (answer(200, "hello"), "another"),
        (answer(504), "timeout"),
        (mute, "stream_mute"),
        (b"", "broken"),
    ],
)
def test_a_stream_that_does_not_open(world, said, fault):
    found = world.fault(**{"/media/": said})
    assert (found.check, found.fault) == ("media stream", fault)
    assert world.requests[-1].target == "/webhook/call_status", "its call is over all the same"


def test_an_older_node_that_knows_no_426_is_told_so_too(world):
    found = world.fault(**{"/media/": answer(404, "Not Found", Server="nginx/1.22.1")})
    assert found.detail == "the proxy (nginx) drops Upgrade: the node gets a plain request, and Twilio no stream"


# A signature that is not believed


def test_the_node_is_asked_by_which_address_it_judges(world):
    async def believes(request):
        form = {name: values[0] for name, values in parse_qs(request.body, keep_blank_values=True).items()}
        url = "https" + world.url.removeprefix("http") + request.target
        return OVER if sign(TOKEN, url, form) == request.headers["x-twilio-signature"] else answer(403, "Forbidden")

    world.settings["port"] = 1
    found = world.fault(**{"/webhook/incoming_call": answer(403, "Forbidden"), "/webhook/call_status": believes})
    assert (found.fault, found.detail) == (
        "another_public_url",
        f"the node thinks that its PUBLIC_URL is https{world.url.removeprefix('http')}",
    )


def test_the_node_believes_nothing(world):
    world.settings["port"] = 1
    refused = answer(403, "Forbidden")
    assert world.fault(**{"/webhook/incoming_call": refused, "/webhook/call_status": refused}).fault == "signature"


def test_the_node_believes_it_without_the_proxy(world):
    async def scene():
        async with ScriptedServer({"/": OVER}) as node:
            world.settings["port"] = node.port
            return await asyncio.to_thread(world.fault, **{"/webhook/incoming_call": answer(403, "Forbidden")})

    assert asyncio.run(scene()).fault == "url_changed"


def test_a_name_that_is_not_there_is_told_at_the_first_step(world):
    world.settings["public_url"] = "https://nowhere.invalid"
    assert (world.fault().fault, world.requests) == ("dns", [])


def test_a_port_that_is_not_there(world):
    with socket.create_server(("127.0.0.1", 0)) as server:
        world.settings["public_url"] = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert world.fault().fault == "refused"
