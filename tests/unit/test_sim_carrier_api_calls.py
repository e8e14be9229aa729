"""The simulated REST API as a whole: who is let in, what goes wrong with requests, and calls with real media."""

import asyncio
import json
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx2
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve

from fastbridge.sim.callee import Callee
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.carrier_api import RESET_AFTER, CarrierApi
from fastbridge.sim.script import AfterMs, HangUp, Speak
from fastbridge.sim.twilio_callbacks import Fate, Mishaps
from twilio_rig import ACCOUNT, OURS, TALK, THEIRS, TOKEN, VirtualStage, placed, sdk, stage, until

pytestmark = pytest.mark.usefixtures("virtual_loops")
HUMAN = "+14155550199"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"


def test_the_account_or_a_key_of_it_is_let_in() -> None:
    async def run() -> list[str]:
        key = "SK" + "1" * 32
        async with CarrierApi(ACCOUNT, TOKEN, api_keys={key: "other"}) as api:
            for user, secret in ((ACCOUNT, TOKEN), (key, "other")):
                with sdk(api, user, secret) as client:
                    client.username, client.account_sid = user, ACCOUNT
                    assert await asyncio.to_thread(client.calls.list) == []
            with sdk(api, ACCOUNT, "wrong") as client, pytest.raises(TwilioRestException) as refused:
                await asyncio.to_thread(client.calls.create, to=THEIRS, from_=OURS, twiml=TALK)
            assert (refused.value.status, refused.value.code) == (401, 20003)
            return api.errors

    assert asyncio.run(run()) == ["401 20003 Authenticate"]


@pytest.mark.parametrize("header", [None, "Basic", "Basic !", "Bearer x", "Basic " + "/w=="])
def test_nobody_else_is(header: str | None) -> None:
    async def run() -> int:
        async with CarrierApi(ACCOUNT, TOKEN) as api, httpx2.AsyncClient() as http:
            headers = {"Authorization": header} if header else {}
            return (await http.get(api.url + CALLS, headers=headers)).status_code

    assert asyncio.run(run()) == 401


def test_another_account_is_not_there() -> None:
    async def run() -> Any:
        async with CarrierApi(ACCOUNT, TOKEN) as api, httpx2.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
            return (await http.get(f"{api.url}/2010-04-01/Accounts/AC{'1' * 32}/Calls.json")).json()

    assert asyncio.run(run())["code"] == 20404


def test_a_call_that_is_placed_and_whose_answer_is_lost() -> None:
    async def run() -> None:
        form = placed("https://ours.example") | {"StatusCallback": []}
        async with CarrierApi(ACCOUNT, TOKEN, faults=[RESET_AFTER]) as api:
            async with httpx2.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
                with pytest.raises(httpx2.TransportError):
                    await http.post(api.url + CALLS, data=form)
                (call,) = (await http.get(api.url + CALLS)).json()["calls"]
            assert call["to"] == THEIRS

    asyncio.run(run())


def test_faults_by_address_by_chance_and_by_too_much() -> None:
    def only_calls(method: str, path: str) -> int | None:
        return 503 if method == "POST" and path.endswith("/Calls.json") else None

    with VirtualStage(faults=only_calls) as made:
        assert made.ask("POST", "/Calls.json", {})[1]["code"] == 20500
        assert made.ask("GET", "/Calls.json")[0] == 200
        assert made.api.errors == []
    with VirtualStage(fault_shares={500: 0.5}, seed=3) as made:
        statuses = [made.ask("GET", "/Calls.json")[0] for _ in range(200)]
        assert 70 < statuses.count(500) < 130
    with VirtualStage(requests_per_second=3) as made:
        assert [made.ask("GET", "/Calls.json")[0] for _ in range(5)] == [200, 200, 200, 429, 429]
        assert made.ask("GET", "/Calls.json")[1]["code"] == 20429
        made.advance(1)
        assert made.ask("GET", "/Calls.json")[0] == 200


def test_faults_that_are_planned_later() -> None:
    with VirtualStage() as made:
        made.api.fail_next(429, 2.0)
        assert made.ask("GET", "/Calls.json")[0] == 429
        began = made.loop.time()
        assert made.ask("GET", "/Calls.json")[0] == 200
        assert made.loop.time() - began == 2


def test_what_befalls_callbacks() -> None:
    def fate(form: Any) -> Fate:
        return Fate.DROPPED if form["CallStatus"] == "ringing" else Fate.SENT

    with VirtualStage(callback_fate=fate, callee=Callee(outcome="busy")) as made:
        made.call()
        made.advance(10)
        assert made.office.statuses_told() == ["initiated", "busy"]
        assert [form["SequenceNumber"] for form in made.office.told()] == ["0", "2"]
        assert [fate for fate, _ in made.api.callbacks.fates] == [Fate.SENT, Fate.DROPPED, Fate.SENT]


def test_by_chance_too() -> None:
    mishaps = Mishaps(5, delayed=0.2, reordered=0.2, doubled=0.2, dropped=0.2)
    with VirtualStage(callback_fate=mishaps, callee=Callee(outcome="busy")) as made:
        for _ in range(50):
            made.call()
        made.advance(30)
        fates = [fate for fate, _ in made.api.callbacks.fates]
        assert len(fates) == 150
        assert set(fates) == set(Fate)
        assert len(made.office.told()) == 150 - fates.count(Fate.DROPPED) + fates.count(Fate.DOUBLED)


def test_on_one_connection() -> None:
    async def run() -> None:
        async with stage() as (api, _, _), httpx2.AsyncClient(auth=(ACCOUNT, TOKEN)) as http:
            for _ in range(10):
                await http.get(api.url + CALLS)
            assert api.connections == 1

    asyncio.run(run())


# With media


class MediaServer:
    """Ours: takes the stream, checks its signature and hears who calls."""

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.url = ""

    async def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        signature = connection.request.headers["x-twilio-signature"]
        assert RequestValidator(TOKEN).validate(f"{self.url}/media", {}, signature)
        async for text in connection:
            message = json.loads(text)
            self.events.append(message["event"])
            if message["event"] == "start":
                self.starts.append(message["start"])
            if message["event"] == "stop":
                return

    def twiml(self, action: str) -> str:
        stream = f'<Stream url="{self.url}/media"><Parameter name="token" value="t"/></Stream>'
        return f"<Response><Connect action={quoteattr(action)}>{stream}</Connect></Response>"


def test_a_callee_talks_on_a_stream_and_hangs_up() -> None:
    async def run() -> None:
        script = [Speak(b"\x10" * 1600, AfterMs(100)), HangUp(AfterMs(100))]
        callee = Callee(script, rings_seconds=0)
        media = MediaServer()
        async with serve(media.serve, "127.0.0.1", 0) as server:
            media.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with stage(callees={THEIRS: callee}) as (api, office, client):
                office.twiml |= {"/voice": media.twiml("/ended"), "/ended": "<Response/>"}
                call = await asyncio.to_thread(
                    client.calls.create,
                    to=THEIRS,
                    from_=OURS,
                    url=f"{office.url}/voice",
                    status_callback=f"{office.url}/status",
                )
                await until(lambda: office.told())
                report = api.reports[call.sid]
                assert (report.ended_by, report.errors, api.errors) == ("caller", [], [])
                assert report.said.count(0x10) == 1600
                (start,) = media.starts
                assert (start["callSid"], start["customParameters"]) == (call.sid, {"token": "t"})
                (ended,) = office.told("/ended")
                assert (ended["CallStatus"], ended["StreamSid"]) == ("completed", report.stream_sid)

    asyncio.run(run())


def test_a_caller_is_led_from_the_stream_to_a_person() -> None:
    """A warm transfer: the caller called, the person is dialled, and they meet."""

    async def run() -> None:
        media = MediaServer()
        async with serve(media.serve, "127.0.0.1", 0) as server:
            media.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            human = Callee(rings_seconds=0, hangs_up_after_seconds=0.8)
            async with stage(callees={HUMAN: human}) as (api, office, client):
                office.twiml |= {"/webhook/incoming_call": media.twiml("/ended")}
                caller = SimulatedCaller(
                    office.url, [HangUp(AfterMs(30_000))], account_sid=ACCOUNT, auth_token=TOKEN, patience_ms=60_000
                )
                api.register(caller)
                calling = asyncio.create_task(caller.call())
                await until(lambda: "media" in media.events)
                assert (await asyncio.to_thread(client.calls(caller.call_sid).fetch)).status == "in-progress"
                room = client.conferences("room")
                await asyncio.to_thread(
                    room.participants.create,
                    to=HUMAN,
                    from_=OURS,
                    end_conference_on_exit=True,
                    conference_status_callback=f"{office.url}/room",
                    conference_status_callback_event=["start", "end"],
                )
                twiml = "<Response><Dial><Conference>room</Conference></Dial></Response>"
                await asyncio.to_thread(lambda: client.calls(caller.call_sid).update(twiml=twiml))
                report = await calling
                assert [told["StatusCallbackEvent"] for told in office.told("/room")] == [
                    "conference-start",
                    "conference-end",
                ]
                assert media.events[-1] == "stop"
                assert (report.ended_by, report.errors, api.errors) == ("server", [], [])
                assert office.told("/ended") == [], "an order leads elsewhere, and not to the action"
                call = await asyncio.to_thread(client.calls(caller.call_sid).fetch)
                assert (call.status, call.direction) == ("completed", "inbound")
                assert (caller.status, caller.update({"Status": "completed"})) == ("completed", False)

    asyncio.run(run())


def test_without_a_script_he_answers_and_waits_for_twiml() -> None:
    with VirtualStage({"/voice": TALK}) as made:
        sid = made.call(Twiml=[], Url=f"{made.office.url}/voice")
        made.advance(30)
        assert made.status(sid) == "in-progress"


def test_who_asks_for_a_call_waits_for_its_end_and_its_callbacks() -> None:
    with VirtualStage(callees={}, callback_fate=lambda form: Fate.DELAYED) as made:
        made.api.callees[THEIRS] = Callee(hangs_up_after_seconds=60)
        sid = made.call()
        report = made.loop.run_until_complete(made.api.ended(sid))
        assert (report.call_sid, report.ended_by) == (sid, "caller")
        assert made.office.statuses_told()[-1] == "completed"
        with pytest.raises(KeyError):
            made.loop.run_until_complete(made.api.ended("CA1"))


def test_callees_that_come_later_are_dialled_too() -> None:
    with VirtualStage(callees=None) as made:
        made.api.callees[HUMAN] = Callee()
        caller = SimulatedCaller("https://ours.example", [], account_sid=ACCOUNT)
        made.api.register(caller)
        assert caller.exchange is not None
