"""fastbridge.carrier.twilio.rest: against a simulated API over real HTTP."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from fastbridge.carrier.twilio import rest
from fastbridge.carrier.twilio.rest import CarrierRest, api_url, carrier_rest
from fastbridge.carrier.twilio.twiml import transfer_twiml
from fastbridge.config import Settings
from fastbridge.sim.carrier_api import RESET, CarrierApi, Fault, Update

ACCOUNT, CALL = "AC" + "0" * 32, "CA" + "0" * 32
HANG_UP = Update(ACCOUNT, CALL, {"Status": "completed"})
NUMBER = "+14155550188"
TWIML = transfer_twiml(NUMBER)
REDIRECT = Update(ACCOUNT, CALL, {"Twiml": TWIML})


class Line:
    def __init__(self, up: bool = True) -> None:
        self.call_sid = CALL
        self.orders: list[dict[str, str]] = []
        self._up = up

    def update(self, form: dict[str, str]) -> bool:
        self.orders.append(form)
        return self._up


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(rest, "RETRY_SECONDS", 0)


def ask(what: str, faults: Sequence[Fault] = (), *, up: bool = True, secret: str = "secret") -> Any:
    """(what came of it, what the API saw)."""

    async def run() -> Any:
        async with CarrierApi(ACCOUNT, "secret", faults=faults) as api:
            api.register(Line(up))
            client = CarrierRest(api.url, ACCOUNT, secret)
            try:
                done = await (
                    client.hang_up(ACCOUNT, CALL) if what == "hang_up" else client.connect(ACCOUNT, CALL, NUMBER)
                )
            finally:
                await client.close()
            return done, api

    done, api = asyncio.run(run())
    return done, api.updates, api.errors


def test_a_call_is_ended_or_redirected():
    assert ask("hang_up") == (True, [HANG_UP], [])
    assert ask("connect") == (True, [REDIRECT], [])


@pytest.mark.parametrize("fault", [429, 500, 503, RESET])
def test_a_failure_is_tried_again_once(fault, caplog):
    done, updates, _ = ask("hang_up", [fault])
    assert (done, caplog.records) == (True, [])
    assert updates[-1] == HANG_UP
    assert ask("hang_up", [fault, fault])[0] is False
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(("fault", "tries"), [(429, 2), (503, 2), (500, 1), (400, 1)])
def test_a_redirection_is_not_made_twice_where_it_may_have_been_made(fault, tries):
    assert len(ask("connect", [fault] * 3)[1]) == tries


def test_nor_after_a_connection_that_broke(caplog):
    done, updates, _ = ask("connect", [RESET])
    assert (done, updates) == (False, [])
    assert "ReadError" in caplog.text or "RemoteProtocolError" in caplog.text


def test_an_api_that_does_not_answer_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(rest, "TRY_SECONDS", 0.05)
    done, updates, _ = ask("hang_up", [5.0, 5.0])
    assert (done, updates) == (False, [])
    assert "TimeoutError" in caplog.text or "Timeout" in caplog.text


def test_a_call_that_has_ended_already_is_ended(caplog):
    assert ask("hang_up", up=False)[0] is True
    assert ask("connect", up=False)[0] is False


def test_wrong_credentials(caplog):
    done, updates, errors = ask("hang_up", secret="wrong")
    assert (done, updates, errors) == (False, [], ["401 20003 Authenticate"])
    assert "code 20003" in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b'{"code": "x"}', b"\xff"])
def test_an_answer_that_is_none(body, caplog):
    async def run() -> bool:
        answer = httpx2.MockTransport(lambda request: httpx2.Response(400, content=body))
        client = CarrierRest("https://api.twilio.com", ACCOUNT, "secret", httpx2.AsyncClient(transport=answer))
        done = await client.hang_up(ACCOUNT, CALL)
        await client.close()
        return done

    assert asyncio.run(run()) is False
    assert "HTTP 400, call_sid=" in caplog.text


def test_nobody_there(caplog):
    async def run() -> bool:
        client = CarrierRest("http://127.0.0.1:1", ACCOUNT, "secret")
        done = await client.connect(ACCOUNT, CALL, NUMBER)
        await client.close()
        return done

    assert asyncio.run(run()) is False
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://api.twilio.com"),
        ({"twilio_edge": "dublin"}, "https://api.dublin.us1.twilio.com"),
        ({"twilio_region": "ie1"}, "https://api.ie1.twilio.com"),
        ({"twilio_region": "ie1", "twilio_edge": "dublin"}, "https://api.dublin.ie1.twilio.com"),
        ({"twilio_api_url": "http://127.0.0.1:9", "twilio_region": "ie1"}, "http://127.0.0.1:9"),
    ],
)
def test_where_it_is(settings, url):
    assert api_url(Settings.model_construct(**settings)) == url


@pytest.mark.parametrize(
    ("settings", "user"),
    [
        ({}, None),
        ({"twilio_account_sid": ACCOUNT}, None),
        ({"twilio_auth_token": SecretStr("token")}, None),
        ({"twilio_account_sid": ACCOUNT, "twilio_auth_token": SecretStr("token")}, f"{ACCOUNT}:token"),
        ({"twilio_account_sid": ACCOUNT, "twilio_api_key": "SK1", "twilio_api_secret": SecretStr("s")}, "SK1:s"),
    ],
)
def test_whose_it_is(settings, user):
    client = carrier_rest(Settings.model_construct(**settings))
    assert (client is None) is (user is None)
    if client is not None:
        request = next(client._auth.auth_flow(httpx2.Request("POST", "https://api.twilio.com")))
        assert request.headers["Authorization"] == httpx2.BasicAuth(*user.split(":"))._auth_header
        asyncio.run(client.close())
