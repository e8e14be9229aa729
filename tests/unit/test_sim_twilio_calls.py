"""The Calls of an account: what Twilio refuses, what it shows, and whether its own SDK reads it."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from fastbridge.sim.callee import Callee
from twilio_rig import ACCOUNT, OURS, TALK, THEIRS, VirtualStage, placed, stage, until

pytestmark = pytest.mark.usefixtures("virtual_loops")
LATER = "+14155550102"


@pytest.fixture
def desk() -> Generator[VirtualStage]:
    desk = VirtualStage(callees={})
    yield desk
    desk.over()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": []}, 21201),
        ({"To": "5551234"}, 21211),
        ({"From": []}, 21213),
        ({"From": "x"}, 21212),
        ({"Twiml": []}, 21205),
        ({"Url": "https://ours.example/voice"}, 21205),
        ({"Twiml": [], "Url": "ours.example/voice"}, 21205),
        ({"Twiml": "x" * 4001}, 20001),
        ({"Twiml": [], "ApplicationSid": "AP" + "0" * 32}, 21218),
        ({"Twiml": [], "Url": "https://ours.example/voice", "Method": "PUT"}, 21209),
        ({"StatusCallback": "http://ours.example/status"}, 21609),
        ({"StatusCallback": "https://our_s.example/status"}, 21609),
        ({"StatusCallbackEvent": ["initiated ringing"]}, 21626),
        ({"Timeout": "601"}, 21208),
        ({"Timeout": "-1"}, 21208),
        ({"SendDigits": "one"}, 21206),
        ({"MachineDetection": "enable"}, 20001),
        ({"MachineDetectionTimeout": "60"}, 20001),
        ({"AsyncAmd": "yes"}, 20001),
        ({"Record": "1"}, 20001),
        ({"RecordingChannels": "stereo"}, 20001),
        ({"RecordingStatusCallbackEvent": "started"}, 20001),
        ({"StatusCallbackEvents": "completed"}, 20001),
        ({"To": [THEIRS, LATER]}, 20001),
    ],
)
def test_a_call_that_twilio_would_not_place(desk: VirtualStage, change: dict[str, Any], code: int) -> None:
    status, body = desk.ask("POST", "/Calls.json", placed(desk.office.url) | change)
    assert (status, body["status"], body["code"]) == (400, 400, code)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert len(desk.api.errors) == 1
    assert desk.ask("GET", "/Calls.json")[1]["calls"] == []


def test_all_that_may_be_said(desk: VirtualStage) -> None:
    url = desk.office.url
    desk.call(
        Timeout="600",
        Record="true",
        RecordingChannels="dual",
        RecordingStatusCallback=f"{url}/recording",
        RecordingStatusCallbackEvent=["in-progress completed", "absent"],
        MachineDetection="DetectMessageEnd",
        MachineDetectionTimeout="59",
        AsyncAmd="true",
        AsyncAmdStatusCallback="http://127.0.0.1:5050/amd",
        StatusCallback="http://localhost:5050/status",
    )
    assert desk.api.errors == []


def test_calls_come_from_the_accounts_numbers() -> None:
    desk = VirtualStage(numbers=[{"sid": "PN" + "3" * 32, "phone_number": OURS}])
    desk.call()
    assert desk.ask("POST", "/Calls.json", placed("https://x.example") | {"From": LATER})[1]["code"] == 21210
    desk.over()


def test_a_call_that_is_not_there(desk: VirtualStage) -> None:
    assert desk.ask("GET", f"/Calls/CA{'f' * 32}.json")[1]["code"] == 20404
    assert desk.ask("POST", f"/Calls/CA{'f' * 32}.json", {"Status": "completed"})[1]["code"] == 20404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 21218),
        ({"Twiml": TALK, "Url": "https://x.example/"}, 21218),
        ({"Status": "busy"}, 21218),
        ({"Say": "x"}, 21218),
        ({"Url": "x"}, 21205),
    ],
)
def test_a_change_that_makes_no_sense(desk: VirtualStage, form: dict[str, str], code: int) -> None:
    sid = desk.call()
    desk.advance(5)
    assert desk.ask("POST", f"/Calls/{sid}.json", form)[1]["code"] == code
    assert desk.status(sid) == "in-progress"


def test_a_call_that_only_rings_cannot_be_led_elsewhere(desk: VirtualStage) -> None:
    sid = desk.call()
    assert desk.ask("POST", f"/Calls/{sid}.json", {"Twiml": TALK})[1]["code"] == 21220


def sids(desk: VirtualStage, **query: str) -> list[str]:
    return [call["sid"] for call in desk.ask("GET", "/Calls.json", **query)[1]["calls"]]


def test_which_calls_there_are(desk: VirtualStage) -> None:
    first = desk.call()
    desk.advance(86_400)
    second = desk.call(To=LATER)
    desk.advance(5)
    assert sids(desk) == [second, first], "the newest first"
    assert sids(desk, To=LATER) == [second]
    assert sids(desk, From=LATER) == []
    assert sids(desk, Status="in-progress") == [second]
    yesterday = datetime.fromtimestamp(desk.loop.time(), UTC) - timedelta(hours=12)
    assert sids(desk, **{"StartTime>": yesterday.isoformat()}) == [second]
    assert sids(desk, **{"StartTime<": yesterday.isoformat()}) == [first]
    assert sids(desk, StartTime=f"{yesterday - timedelta(hours=12):%Y-%m-%d}") == [first]
    assert desk.ask("GET", "/Calls.json", To_="x")[1]["code"] == 20001


def test_the_sdk_reads_and_refuses_what_twilio_says() -> None:
    async def run() -> None:
        answers = Callee(rings_seconds=0, hangs_up_after_seconds=0.3)
        async with stage({"/voice": TALK}, callees={THEIRS: answers}) as (_, office, client):
            call = await asyncio.to_thread(
                client.calls.create,
                to=THEIRS,
                from_=OURS,
                url=f"{office.url}/voice",
                status_callback=f"{office.url}/status",
                status_callback_event=["initiated", "ringing", "answered", "completed"],
                machine_detection="Enable",
                async_amd="true",
                record=True,
            )
            assert (call.status, call.direction, call.to, call._from) == ("queued", "outbound-api", THEIRS, OURS)
            await until(lambda: office.statuses_told()[-1:] == ["completed"])
            assert office.statuses_told() == ["initiated", "ringing", "in-progress", "completed"]
            call = await asyncio.to_thread(client.calls(call.sid).fetch)
            assert (call.status, call.duration, call.account_sid) == ("completed", "1", ACCOUNT)
            assert call.start_time <= call.end_time
            with pytest.raises(TwilioRestException) as refused:
                await asyncio.to_thread(client.calls.create, to="x", from_=OURS, twiml=TALK)
            assert (refused.value.status, refused.value.code) == (400, 21211)
            for _ in range(4):
                await asyncio.to_thread(client.calls.create, to=LATER, from_=OURS, twiml=TALK)
            found = await asyncio.to_thread(lambda: list(client.calls.stream(to=LATER, page_size=2)))
            assert len({call.sid for call in found}) == 4
            changed = await asyncio.to_thread(lambda: found[0].update(status="completed"))
            assert changed.status == "canceled"

    asyncio.run(run())
