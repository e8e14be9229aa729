"""outbound.api: what may be asked for, and what is said to whoever asks otherwise."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from fastbridge import Agent
from fastbridge.agent.fields import RECORDS
from fastbridge.base.api_keys import ApiKeys
from fastbridge.carrier.port import Refused, TryLater, Uncertain
from fastbridge.config import Settings
from fastbridge.outbound import api
from fastbridge.outbound.placer import Placer
from fastbridge.store.outbound import OutboundStore
from outbound_rig import FROM, SIDS, TO, Carrier

KEY, OTHER = "k" * 24, "r" * 24
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
Client = httpx2.AsyncClient


class Desk:
    """The API before a database and a carrier."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/x.db"
        self.carrier = Carrier()
        self.draining = False
        self.number: str | None = FROM
        self.agent = Agent()
        self.cannot: tuple[str, ...] = ()

    def run(self, *steps: Callable[[Client], Coroutine[Any, Any, Any]]) -> list[Any]:
        async def live() -> list[Any]:
            settings = Settings(public_url="https://v.example.com", twilio_phone_number=self.number, _env_file=None)
            placer = Placer(
                OutboundStore(self.url), self.carrier, settings, spawn=asyncio.get_running_loop().create_task
            )
            keys = ApiKeys(f"{KEY}:calls, {OTHER}:recordings")
            app = Starlette(
                routes=api.routes(
                    placer,
                    keys,
                    agent=self.agent,
                    draining=lambda: self.draining,
                    records=lambda how: how not in self.cannot,
                )
            )
            try:
                async with Client(
                    transport=httpx2.ASGITransport(app), base_url="http://node", headers=WITH_KEY
                ) as http:
                    return [await step(http) for step in steps]
            finally:
                await placer.close()

        return asyncio.run(live())

    def post(self, body: Any = None, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps({"to": TO} if body is None else body).encode()
        (answer,) = self.run(lambda http: http.post("/calls", content=content, headers=headers))
        return answer  # type: ignore[no-any-return]

    def get(self, path: str, **headers: str) -> httpx2.Response:
        (answer,) = self.run(lambda http: http.get(path, headers=headers))
        return answer  # type: ignore[no-any-return]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def problem(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert document["detail"]
    assert document["title"]
    return document


class TestKeys:
    @pytest.mark.parametrize(
        "given", ["", "Bearer", "Bearer x", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}"]
    )
    def test_who_has_none_is_told_what_to_give(self, desk: Desk, given: str) -> None:
        answer = desk.post(None, Authorization=given)
        assert "FASTBRIDGE_API_KEYS" in problem(answer, 401)["detail"]
        assert answer.headers["www-authenticate"] == "Bearer"
        assert desk.carrier.placements == []

    def test_one_for_something_else_is_for_nothing_here(self, desk: Desk) -> None:
        problem(desk.post(None, Authorization=f"Bearer {OTHER}"), 403)
        problem(desk.get("/calls", Authorization=f"Bearer {OTHER}"), 403)
        assert desk.carrier.placements == []

    def test_the_description_needs_none(self, desk: Desk) -> None:
        document = desk.get("/openapi.json", Authorization="").json()
        assert set(document["paths"]) == {"/calls", "/calls/{id}"}
        asked = document["paths"]["/calls"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert asked["required"] == ["to"]
        assert {"from", "parameters", "schedule_at", "machine", "timeout"} < set(asked["properties"])


class TestPlace:
    def test_gives_the_sid_and_a_place_to_look(self, desk: Desk) -> None:
        answer = desk.post({"to": TO, "parameters": {"name": "Dana"}})
        call = answer.json()
        assert (answer.status_code, call["call_sid"], call["state"], call["to"]) == (201, SIDS[0], "queued", TO)
        assert answer.headers["location"] == f"/calls/{call['id']}"
        assert desk.get(answer.headers["location"]).json() == call
        assert desk.get(f"/calls/{SIDS[0]}").json() == call

    @pytest.mark.parametrize("where", ["header", "body"])
    def test_twice_with_one_key_gives_one_call(self, desk: Desk, where: str) -> None:
        given: tuple[Any, dict[str, str]] = ({"to": TO}, {"Idempotency-Key": "k"})
        if where == "body":
            given = ({"to": TO, "idempotency_key": "k"}, {})
        first, again = desk.post(given[0], **given[1]), desk.post(given[0], **given[1])
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        problem(desk.post({"to": TO, "timeout": 30, "idempotency_key": "k"}), 409)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "to"),
            ({"to": "0049123"}, "to"),
            ({"to": TO, "from": "me"}, "from"),
            ({"to": TO, "too": 1}, "too"),
            ({"to": TO, "timeout": 601}, "timeout"),
            ({"to": TO, "timeout": "soon"}, "timeout"),
            ({"to": TO, "timeout": "30"}, "timeout"),
            ({"to": TO, "timeout": 30.0}, "timeout"),
            ({"to": TO, "timeout": True}, "timeout"),
            ({"to": TO, "machine": "yes"}, "machine"),
            ({"to": TO, "machine": 1}, "machine"),
            ({"to": TO, "schedule_at": 5}, "schedule_at"),
            ({"to": TO, "schedule_at": "soon"}, "schedule_at"),
            ({"to": TO, "record": "tape"}, "record"),
            ({"to": TO, "agent": ""}, "agent"),
            ({"to": TO, "parameters": {"name": 5}}, "parameters.name"),
            ({"to": 5}, "to"),
            ({"to": TO, "schedule_at": "2026-11-28T10:00:00"}, "schedule_at"),
            ({"to": TO, "schedule_at": "9999-01-01T00:00:00Z"}, "body"),
            ({"to": TO, "parameters": {"Name": "x"}}, "parameters"),
            ({"to": TO, "parameters": {"outbound_id": "x"}}, "parameters"),
            ({"to": TO, "parameters": {"name": "x" * 400}}, "parameters"),
            ({"to": TO, "parameters": {"name": "a\nb"}}, "parameters"),
            ({"to": TO, "parameters": {f"n{n}": "x" for n in range(15)}}, "parameters"),
            ({"to": TO, "business_id": "a b"}, "business_id"),
            ({"to": TO, "idempotency_key": ""}, "idempotency_key"),
        ],
    )
    def test_what_is_wrong_is_named(self, desk: Desk, body: dict[str, Any], field: str) -> None:
        document = problem(desk.post(body), 422)
        (error,) = document["errors"]
        assert error["field"] == field
        assert "nput should" not in error["problem"], "pydantic's words are nobody's"
        assert "alue error" not in error["problem"]
        assert desk.carrier.placements == []

    def test_what_it_must_be_is_said_in_our_words(self, desk: Desk) -> None:
        said = problem(desk.post({"to": TO, "machine": "yes"}), 422)["detail"]
        assert said == "machine must be true or false."
        said = problem(desk.post({"to": TO, "schedule_at": 5}), 422)["detail"]
        assert said == "schedule_at must be a time with its offset, such as 2026-12-01T09:00:00Z."

    @pytest.mark.parametrize("body", [b"", b"to=x", b"[]", b"\xff", b'{"to": ', b"[" * 60_000])
    def test_what_is_no_json_is_said_to_be_none(self, desk: Desk, body: bytes) -> None:
        assert "JSON" in problem(desk.post(body), 400)["detail"]

    def test_a_number_to_call_from_is_asked_for(self, desk: Desk) -> None:
        desk.number = None
        assert "TWILIO_PHONE_NUMBER" in problem(desk.post(), 422)["detail"]

    def test_what_the_carrier_refuses_is_said_in_a_sentence(self, desk: Desk) -> None:
        desk.carrier.answers = [Refused(21215, "Calls to this number's country are not permitted: allow it.")]
        document = problem(desk.post(), 422)
        assert (document["code"], document["call"]["state"]) == (21215, "failed")
        assert document["detail"].startswith("Calls to this number's country")

    def test_where_there_is_no_place_it_may_be_asked_for_again(self, desk: Desk) -> None:
        desk.carrier.answers = [TryLater(7.4, "Twilio takes no more calls just now (HTTP 429).")]
        answer = desk.post(None, **{"Idempotency-Key": "k"})
        assert "Nothing was placed" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"] == "7"
        assert desk.post(None, **{"Idempotency-Key": "k"}).status_code == 201

    def test_what_may_have_been_placed_is_accepted(self, desk: Desk) -> None:
        desk.carrier.answers = [Uncertain("ReadTimeout")]
        answer = desk.post()
        assert (answer.status_code, answer.json()["state"], answer.json()["call_sid"]) == (202, "placing", None)

    def test_a_node_that_stops_takes_none(self, desk: Desk) -> None:
        desk.draining = True
        problem(desk.post(), 503)
        assert desk.carrier.placements == []

    def test_a_database_that_is_away_is_a_problem_and_no_traceback(self, desk: Desk) -> None:
        desk.url = "sqlite:////proc/none/x.db"
        document = problem(desk.post(), 503)
        assert document["detail"] == "The database does not answer."
        assert desk.carrier.placements == []


class TestEnd:
    def test_asks_the_carrier(self, desk: Desk) -> None:
        call = desk.post().json()
        (answer,) = desk.run(lambda http: http.delete(f"/calls/{call['id']}"))
        assert (answer.status_code, desk.carrier.ended) == (202, [SIDS[0]])

    def test_that_the_carrier_does_not_do_is_said(self, desk: Desk) -> None:
        call = desk.post().json()
        desk.carrier.reachable = False
        (answer,) = desk.run(lambda http: http.delete(f"/calls/{call['id']}"))
        problem(answer, 502)

    def test_of_one_that_is_being_placed_waits(self, desk: Desk) -> None:
        desk.carrier.answers = [Uncertain("ReadTimeout")]
        call = desk.post().json()
        (answer,) = desk.run(lambda http: http.delete(f"/calls/{call['id']}"))
        problem(answer, 409)

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_of_none_is_404(self, desk: Desk, method: str) -> None:
        (answer,) = desk.run(lambda http: http.request(method, "/calls/OB" + "x" * 500))
        problem(answer, 404)


class TestList:
    def test_is_read_in_pages_and_misses_none(self, desk: Desk) -> None:
        for _ in range(7):
            desk.post()
        seen, cursor = [], ""
        while True:
            page = desk.get(f"/calls?limit=3{cursor}").json()
            seen += [call["call_sid"] for call in page["calls"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert seen == SIDS[6::-1]

    def test_by_state(self, desk: Desk) -> None:
        desk.carrier.answers = [Refused(21211, "no")]
        desk.post()
        desk.post()
        assert [call["state"] for call in desk.get("/calls?state=failed").json()["calls"]] == ["failed"]
        assert desk.get("/calls?state=busy").json() == {"calls": [], "next": None}

    @pytest.mark.parametrize(
        "query", ["state=gone", "limit=0", "limit=201", "limit=x", "limit=²", "cursor=x", "cursor=%FF"]
    )
    def test_what_is_wrong_is_named(self, desk: Desk, query: str) -> None:
        document = problem(desk.get(f"/calls?{query}"), 422)
        assert document["errors"][0]["field"] == query.partition("=")[0]


class TestWhoCalls:
    def test_a_variant_of_the_agent_by_its_name(self, desk: Desk) -> None:
        desk.agent.for_name("reminder", greeting="You asked us to call.")
        answer = desk.post({"to": TO, "agent": "reminder"})
        assert (answer.status_code, answer.json()["agent"]) == (201, "reminder")
        assert "agent=reminder" in desk.carrier.placements[0].answer_url

    @pytest.mark.parametrize("names", [[], ["reminder", "survey"]])
    def test_one_that_is_none_is_told_before_anybody_is_dialled(self, desk: Desk, names: list[str]) -> None:
        for name in names:
            desk.agent.for_name(name, greeting="Hello.")
        fault = problem(desk.post({"to": TO, "agent": "remind"}), 422)
        assert fault["errors"][0]["field"] == "agent"
        assert ", ".join(names) in fault["detail"]
        assert desk.carrier.placements == []

    def test_a_business_that_is_none(self, desk: Desk) -> None:
        assert desk.post({"to": TO, "business_id": "7"}).status_code == 201
        desk.agent.for_business("8", greeting="Hello.")
        assert problem(desk.post({"to": TO, "business_id": "7"}), 422)["errors"][0]["field"] == "business_id"
        assert desk.post({"to": TO, "business_id": "8"}).status_code == 201


class TestRecorded:
    @pytest.mark.parametrize("how", RECORDS)
    def test_as_is_asked_whatever_the_agent_says(self, desk: Desk, how: str) -> None:
        answer = desk.post({"to": TO, "record": how})
        assert (answer.status_code, answer.json()["record"]) == (201, how)
        assert f"record={how}" in desk.carrier.placements[0].answer_url.split("?")[1].split("&")

    def test_in_no_way_that_there_is_not(self, desk: Desk) -> None:
        assert problem(desk.post({"to": TO, "record": "yes"}), 422)["errors"][0]["field"] == "record"
        desk.cannot = ("local",)
        assert problem(desk.post({"to": TO, "record": "local"}), 422)["errors"][0]["field"] == "record"
        assert desk.post({"to": TO, "record": ""}).status_code == 201
