"""Twilio's own requests: how they are signed, and where they go."""

import asyncio
from urllib.parse import parse_qsl

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from fastbridge.sim.signed_http import SignedHttp, new_client

URL = "https://ours.example/voice?a=1"


def sent(method: str, token: str, via: str = "", url: str = URL) -> httpx2.Request:
    seen: list[httpx2.Request] = []

    async def run() -> None:
        http = httpx2.AsyncClient(
            transport=httpx2.MockTransport(lambda request: seen.append(request) or httpx2.Response(200))
        )
        client = SignedHttp(token, http, via)
        await client.request(method, url, {"CallSid": "CA1", "Digits": ""})
        await client.close()
        assert http.is_closed

    asyncio.run(run())
    return seen[0]


def test_a_form_is_signed_with_its_address() -> None:
    request = sent("POST", "12345")
    form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
    assert form == {"CallSid": "CA1", "Digits": ""}
    assert RequestValidator("12345").validate(URL, form, request.headers["x-twilio-signature"])


def test_what_is_in_the_address_is_signed_as_it_stands_there() -> None:
    request = sent("GET", "12345")
    assert dict(request.url.params) == {"a": "1", "CallSid": "CA1", "Digits": ""}
    assert RequestValidator("12345").validate(str(request.url), {}, request.headers["x-twilio-signature"])
    assert str(sent("GET", "", url="https://ours.example/voice").url).startswith("https://ours.example/voice?CallSid=")


def test_without_a_token_there_is_no_signature() -> None:
    assert "x-twilio-signature" not in sent("POST", "").headers


@pytest.mark.parametrize(
    ("url", "via", "reached"),
    [
        ("https://ours.example/voice?a=1", "http://127.0.0.1:5050", "http://127.0.0.1:5050/voice?a=1"),
        ("wss://ours.example/media", "http://127.0.0.1:5050", "ws://127.0.0.1:5050/media"),
        ("wss://ours.example/media", "https://127.0.0.1:5050/", "wss://127.0.0.1:5050/media"),
        ("wss://ours.example/media", "", "wss://ours.example/media"),
    ],
)
def test_the_way_there(url: str, via: str, reached: str) -> None:
    assert SignedHttp("", via=via).reach(url) == reached


def test_signed_for_the_public_address_wherever_it_goes() -> None:
    request = sent("POST", "12345", via="http://127.0.0.1:5050")
    assert str(request.url) == "http://127.0.0.1:5050/voice?a=1"
    form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
    assert RequestValidator("12345").validate(URL, form, request.headers["x-twilio-signature"])


def test_a_client_speaks_as_twilio_and_heeds_no_proxy() -> None:
    client = new_client()
    assert client.headers["user-agent"] == "TwilioProxy/1.1"
    assert client.trust_env is False
    asyncio.run(client.aclose())
