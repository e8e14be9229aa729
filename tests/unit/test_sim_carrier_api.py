"""fastbridge.sim.carrier_api: as strict as Twilio's."""

import asyncio
from typing import Any

import httpx2
import pytest

from fastbridge.sim.carrier_api import CarrierApi

ACCOUNT, CALL = "AC" + "0" * 32, "CA" + "0" * 32


class Line:
    call_sid = CALL

    def __init__(self) -> None:
        self.orders: list[dict[str, str]] = []

    def update(self, form: dict[str, str]) -> bool:
        self.orders.append(form)
        return len(self.orders) == 1


def post(form: dict[str, str], *, path: str = "", user: str = ACCOUNT, times: int = 1, method: str = "POST") -> Any:
    """(status, JSON) of the last answer, and the API."""

    async def run() -> Any:
        async with CarrierApi(ACCOUNT, "secret") as api, httpx2.AsyncClient(auth=(user, "secret")) as http:
            api.register(Line())
            url = api.url + (path or f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json")
            for _ in range(times):
                answer = await http.request(method, url, data=form)
            return answer.status_code, answer.json(), api

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("form", "status"), [({"Status": "completed"}, "completed"), ({"Twiml": "<Response/>"}, "in-progress")]
)
def test_a_call_is_changed(form, status):
    code, answer, api = post(form)
    assert (code, answer["sid"], answer["status"]) == (200, CALL, status)
    assert [update.form for update in api.updates] == [form]
    assert api.errors == []


def test_one_that_is_over_is_not_found():
    code, answer, api = post({"Status": "completed"}, times=2)
    assert (code, answer["code"], api.errors) == (404, 20404, [])


@pytest.mark.parametrize(
    "form",
    [{}, {"Status": "busy"}, {"Status": "completed", "Twiml": "x"}, {"Say": "x"}, {"Url": "http://x", "Twiml": "x"}],
)
def test_what_makes_no_sense_is_refused(form):
    code, answer, api = post(form)
    assert (code, answer["code"], len(api.errors)) == (400, 21218, 1)


def test_strangers_are_refused():
    code, answer, api = post({"Status": "completed"}, user="AC" + "1" * 32)
    assert (code, answer["code"], api.updates) == (401, 20003, [])


@pytest.mark.parametrize(
    ("path", "method"), [("/", "POST"), (f"/2010-04-01/Accounts/{ACCOUNT}/Calls/x.json", "POST"), ("", "DELETE")]
)
def test_other_addresses_are_not_there(path, method):
    assert post({"Status": "completed"}, path=path, method=method)[0] == 404


def test_it_has_no_address_before_it_runs():
    with pytest.raises(RuntimeError, match="not running"):
        _ = CarrierApi("a", "b").url


def test_a_client_that_leaves_is_nobodys_trouble():
    async def run() -> list[str]:
        async with CarrierApi(ACCOUNT, "secret") as api:
            for data in (b"", b"POST / HTTP/1.1\r\n", b"nonsense\r\n\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
                writer.write(data)
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
            return api.errors

    assert asyncio.run(run()) == []


# The account and its numbers

NUMBER = {"sid": "PN" + "3" * 32, "phone_number": "+14155550123", "voice_url": "https://demo.twilio.com/"}
OTHER = {"sid": "PN" + "4" * 32, "phone_number": "+14155550199", "voice_url": ""}


def ask(method: str, path: str, *, user: str = ACCOUNT, fault: int = 0, **form: str) -> Any:
    """(status, JSON), and the API."""

    async def run() -> Any:
        faults = [fault] if fault else []
        api = CarrierApi(ACCOUNT, "secret", numbers=[NUMBER, OTHER], faults=faults)
        async with api, httpx2.AsyncClient(auth=(user, "secret")) as http:
            url = f"{api.url}/2010-04-01/Accounts/{ACCOUNT}{path}.json"
            options = {"params": form} if method == "GET" else {"data": form}
            answer = await http.request(method, url, **options)
            return answer.status_code, answer.json(), api

    return asyncio.run(run())


def test_the_account_and_its_numbers():
    assert ask("GET", "")[1]["status"] == "active"
    assert ask("GET", "/IncomingPhoneNumbers")[1]["incoming_phone_numbers"] == [NUMBER, OTHER]
    assert ask("GET", "/IncomingPhoneNumbers", PhoneNumber="+14155550199")[1]["incoming_phone_numbers"] == [OTHER]
    assert ask("GET", "/IncomingPhoneNumbers", user="another")[0] == 401
    assert ask("GET", "/IncomingPhoneNumbers", fault=500)[:1] == (500,)


def test_a_numbers_webhooks_are_set():
    code, answer, api = ask(
        "POST", f"/IncomingPhoneNumbers/{NUMBER['sid']}", VoiceUrl="https://x.example/y", VoiceMethod="GET"
    )
    assert (code, answer) == (200, NUMBER | {"voice_url": "https://x.example/y", "voice_method": "GET"})
    assert api.numbers == [answer, OTHER]
    assert NUMBER["voice_url"] == "https://demo.twilio.com/", "what a test has given is its own"


@pytest.mark.parametrize(
    "form", [{"VoiceUrl": "x.example"}, {"VoiceMethod": "PUT"}, {"voice_url": "https://x.example"}]
)
def test_what_cannot_be_set_is_refused_and_nothing_set(form):
    code, answer, api = ask("POST", f"/IncomingPhoneNumbers/{NUMBER['sid']}", **form)
    assert (code, answer["code"], len(api.errors), api.numbers) == (400, 21402, 1, [NUMBER, OTHER])


def test_a_number_that_is_not_there():
    assert ask("POST", f"/IncomingPhoneNumbers/PN{'9' * 32}", VoiceMethod="GET")[:2][0] == 404
