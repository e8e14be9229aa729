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
    "form", [{}, {"Status": "canceled"}, {"Status": "completed", "Twiml": "x"}, {"Url": "http://x"}]
)
def test_what_makes_no_sense_is_refused(form):
    code, answer, api = post(form)
    assert (code, answer["code"], len(api.errors)) == (400, 21218, 1)


def test_strangers_are_refused():
    code, answer, api = post({"Status": "completed"}, user="AC" + "1" * 32)
    assert (code, answer["code"], api.updates) == (401, 20003, [])


@pytest.mark.parametrize(
    ("path", "method"), [("/", "POST"), (f"/2010-04-01/Accounts/{ACCOUNT}/Calls/x.json", "POST"), ("", "GET")]
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
