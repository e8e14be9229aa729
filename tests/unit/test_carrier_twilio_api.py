"""carrier.twilio.api: what is asked again and what is not, and how answers are read."""

import asyncio
from typing import Any

import httpx2
import pytest

from fastbridge.carrier.port import TryLater, Uncertain
from fastbridge.carrier.twilio.api import MAX_LATER_SECONDS, TwilioApi, document, later, retry_after


def asked(*answers: Any) -> tuple[Any, list[httpx2.Request]]:
    """What `ask` makes of them, the last one again and again; and what was sent."""
    sent: list[httpx2.Request] = []
    left = list(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return httpx2.Response(found)

    async def live() -> Any:
        api = TwilioApi(
            "https://api.twilio.com/", "SK1", "s", httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        )
        try:
            return await api.ask("GET", f"{api.account('AC1')}/X.json")
        finally:
            await api.close()

    return asyncio.run(live()), sent


def test_an_answer_is_an_answer_whatever_it_says() -> None:
    answer, sent = asked(500)
    assert answer.status_code == 500
    assert [str(request.url) for request in sent] == ["https://api.twilio.com/2010-04-01/Accounts/AC1/X.json"]
    assert sent[0].headers["authorization"].startswith("Basic ")


def test_what_cannot_have_arrived_is_asked_once_more() -> None:
    answer, sent = asked(httpx2.ConnectError("no"), 200)
    assert (answer.status_code, len(sent)) == (200, 2)
    answer, sent = asked(httpx2.ConnectTimeout("no"))
    assert (type(answer), len(sent)) == (TryLater, 2)


@pytest.mark.parametrize("error", [httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x"), httpx2.DecodingError("x")])
def test_what_may_have_is_not(error: Exception) -> None:
    answer, sent = asked(error)
    assert (type(answer), len(sent)) == (Uncertain, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"no", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_an_empty_one(content: bytes) -> None:
    assert document(httpx2.Response(200, content=content)) == {}


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7.0), ("", 2.0), ("soon", 2.0), ("0", 0.5), ("99999", MAX_LATER_SECONDS)]
)
def test_when_to_ask_again_is_within_bounds(given: str, seconds: float) -> None:
    assert retry_after(httpx2.Response(429, headers={"Retry-After": given})) == seconds


@pytest.mark.parametrize(
    ("status", "kind"), [(429, TryLater), (503, TryLater), (500, Uncertain), (404, type(None)), (200, type(None))]
)
def test_neither_yes_nor_no(status: int, kind: type) -> None:
    assert type(later(httpx2.Response(status), "does nothing")) is kind
