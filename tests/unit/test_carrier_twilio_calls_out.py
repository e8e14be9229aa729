"""carrier.twilio.calls_out: what is asked of Twilio's API, and that nothing is asked twice that may have been done."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from fastbridge.carrier.port import Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.carrier.twilio.api import MAX_LATER_SECONDS
from fastbridge.carrier.twilio.calls_out import TwilioCalls, twilio_calls
from fastbridge.carrier.twilio.error_codes import SENTENCES
from fastbridge.config import Settings

ACCOUNT, CALL = "AC" + "1" * 32, "CA" + "2" * 32
PLACEMENT = Placement("+14155550101", "+14155550100", "https://v.example.com/a?x=1", "https://v.example.com/s", 20)
WELL = {"sid": CALL, "status": "queued"}


class Api:
    """answers: each a response, or an exception; the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[httpx2.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, document, *headers = answer
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return httpx2.Response(status, content=content, headers=headers[0] if headers else {})

    def run(self, step: Callable[[TwilioCalls], Any]) -> Any:
        async def live() -> Any:
            http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
            calls = TwilioCalls("https://api.twilio.com/", ACCOUNT, "SK1", "secret", http)
            try:
                return await step(calls)
            finally:
                await calls.close()

        return asyncio.run(live())

    def form(self, number: int = 0) -> dict[str, list[str]]:
        return parse_qs(self.asked[number].content.decode(), keep_blank_values=True)


def place(api: Api, placement: Placement = PLACEMENT) -> Any:
    return api.run(lambda calls: calls.place(placement))


class TestPlace:
    def test_asks_once_with_all_that_twilio_needs(self) -> None:
        api = Api((201, WELL))
        assert place(api) == Placed(CALL, "queued")
        (request,) = api.asked
        assert (request.method, str(request.url)) == (
            "POST",
            f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
        )
        assert request.headers["authorization"].startswith("Basic ")
        assert api.form() == {
            "To": ["+14155550101"],
            "From": ["+14155550100"],
            "Url": ["https://v.example.com/a?x=1"],
            "Method": ["POST"],
            "StatusCallback": ["https://v.example.com/s"],
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
            "StatusCallbackMethod": ["POST"],
            "Timeout": ["20"],
        }

    def test_may_ask_for_machines_without_waiting_for_them(self) -> None:
        api = Api((201, WELL))
        place(api, Placement(PLACEMENT.to_number, PLACEMENT.from_number, "https://a", "https://s", 60, machine=True))
        form = api.form()
        assert (form["MachineDetection"], form["AsyncAmd"]) == (["Enable"], ["true"])
        assert form["AsyncAmdStatusCallback"] == ["https://s"]

    @pytest.mark.parametrize("code", [21211, 21215, 21219, 20003])
    def test_a_refusal_is_a_sentence(self, code: int) -> None:
        api = Api((400, {"code": code, "message": "Twilio's own"}))
        assert place(api) == Refused(code, SENTENCES[code])
        assert len(api.asked) == 1

    def test_one_that_nobody_knows_says_where_to_look(self) -> None:
        assert place(Api((400, {"code": 29999}))).reason.endswith("/errors/29999.")
        assert place(Api((403, b"<html>"))) == Refused(None, "Twilio refused the call with HTTP 403.")

    @pytest.mark.parametrize(
        ("given", "seconds"), [("7", 7.0), ("", 2.0), ("soon", 2.0), ("0", 0.5), ("99999", MAX_LATER_SECONDS)]
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_too_many_are_for_later(self, status: int, given: str, seconds: float) -> None:
        api = Api((status, {"code": 20429}, {"Retry-After": given}))
        found = place(api)
        assert isinstance(found, TryLater)
        assert found.seconds == seconds
        assert len(api.asked) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            httpx2.ReadTimeout("slow"),
            httpx2.ReadError("reset"),
            httpx2.WriteError("reset"),
            httpx2.RemoteProtocolError("gone"),
            (500, {}),
            (502, b""),
            (504, b"<html>"),
            (201, b"no json"),
            (201, {}),
            (201, {"sid": "CA1", "status": "queued"}),
            (201, {"sid": CALL, "status": "thinking"}),
            (200, []),
        ],
    )
    def test_what_may_have_been_done_is_not_asked_for_again(self, answer: Any) -> None:
        api = Api(answer)
        assert isinstance(place(api), Uncertain)
        assert len(api.asked) == 1

    @pytest.mark.parametrize("error", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no")])
    def test_what_cannot_have_arrived_is_tried_once_more(self, error: Exception) -> None:
        api = Api(error, (201, WELL))
        assert place(api) == Placed(CALL, "queued")
        api = Api(error)
        assert isinstance(place(api), TryLater)
        assert len(api.asked) == 2


class TestLookUp:
    def test_tells_state_length_and_who_answered(self) -> None:
        api = Api((200, {"sid": CALL, "status": "completed", "duration": "17", "answered_by": "human"}))
        assert api.run(lambda calls: calls.look_up(CALL)) == PlacedCall(CALL, "completed", 17, "human")
        assert str(api.asked[0].url).endswith(f"/Calls/{CALL}.json")

    @pytest.mark.parametrize("answer", [(404, {}), (500, {}), (200, b"x"), httpx2.ReadTimeout("x")])
    def test_knows_nothing_where_nothing_is_told(self, answer: Any) -> None:
        assert Api(answer).run(lambda calls: calls.look_up(CALL)) is None

    @pytest.mark.parametrize("duration", [None, "", "-1", "1e9", "9" * 30, "٣", [], {}])
    def test_a_length_may_be_missing_or_none(self, duration: Any) -> None:
        api = Api((200, {"sid": CALL, "status": "busy", "duration": duration}))
        assert api.run(lambda calls: calls.look_up(CALL)) == PlacedCall(CALL, "busy", None, None)


class TestFind:
    def test_looks_among_those_of_the_two_numbers_since(self) -> None:
        early = {"sid": "CA" + "3" * 32, "status": "busy", "date_created": "Sat, 28 Nov 2026 22:59:58 +0000"}
        late = {"sid": CALL, "status": "ringing", "date_created": "Sat, 28 Nov 2026 23:00:01 +0000"}
        api = Api((200, {"calls": [early, late, {"sid": CALL}, None, "x"]}))
        since_s = 1_795_906_800.0  # 23:00:00
        assert api.run(lambda calls: calls.find("+1", "+2", since_s)) == [PlacedCall(CALL, "ringing")]
        query = dict(api.asked[0].url.params)
        assert query == {"To": "+1", "From": "+2", "StartTime>": "2026-11-28", "PageSize": "50"}

    @pytest.mark.parametrize("answer", [(500, {}), httpx2.ReadTimeout("x"), (401, {})])
    def test_nothing_known_is_not_nothing_there(self, answer: Any) -> None:
        assert Api(answer).run(lambda calls: calls.find("+1", "+2", 0.0)) is None
        assert Api((200, {"calls": "x"})).run(lambda calls: calls.find("+1", "+2", 0.0)) == []


class TestEnd:
    def test_cancels_what_rings(self) -> None:
        api = Api((200, {"sid": CALL, "status": "canceled"}))
        assert api.run(lambda calls: calls.end(CALL)) is True
        assert [api.form(number)["Status"] for number in range(len(api.asked))] == [["canceled"]]

    def test_hangs_up_what_was_answered(self) -> None:
        api = Api((200, {"sid": CALL, "status": "in-progress"}), (200, {"sid": CALL, "status": "completed"}))
        assert api.run(lambda calls: calls.end(CALL)) is True
        assert [api.form(number)["Status"] for number in range(2)] == [["canceled"], ["completed"]]

    def test_what_has_ended_is_done(self) -> None:
        assert Api((404, {"code": 20404})).run(lambda calls: calls.end(CALL)) is True
        assert Api((400, {"code": 21220})).run(lambda calls: calls.end(CALL)) is True

    def test_what_is_refused_is_not_done(self) -> None:
        assert Api((401, {"code": 20003})).run(lambda calls: calls.end(CALL)) is False
        assert Api(httpx2.ReadTimeout("x")).run(lambda calls: calls.end(CALL)) is False


def test_credentials_make_a_client() -> None:
    assert twilio_calls(Settings(_env_file=None)) is None
    given = Settings(twilio_account_sid=ACCOUNT, twilio_auth_token="t" * 32, _env_file=None)
    calls = twilio_calls(given)
    assert calls is not None
    asyncio.run(calls.close())


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        ((200, {}), True),
        ((404, {"code": 20404}), False),
        ((429, {}), False),
        ((503, {}), False),
        ((500, {}), None),
        (httpx2.ConnectError("x"), False),
        (httpx2.ReadError("x"), None),
    ],
)
def test_a_change_that_may_have_been_done_is_not_called_a_failure(answer: Any, done: bool | None) -> None:
    api = Api(answer)
    assert api.run(lambda calls: calls.change(CALL, {"Twiml": "<Response/>"})) is done
    assert str(api.asked[0].url).endswith(f"/Calls/{CALL}.json")
    assert api.form() == {"Twiml": ["<Response/>"]}
