"""Twilio on virtual time: the caller's 20 ms, orders of the REST API, and the API without a socket."""

import asyncio
from typing import Any

import httpx2
import pytest

import loops
from fastbridge.carrier.twilio.rest import CarrierRest
from fastbridge.sim import AfterMs, CarrierApi, Dtmf, HangUp, Speak
from fastbridge.sim.carrier_api import RESET
from fastbridge.testing.carrier import ApiTransport, VirtualCarrier, new_report
from fastbridge.testing.settings import ACCOUNT_SID, AUTH_TOKEN

pytestmark = pytest.mark.usefixtures("virtual_loops")

AUDIO = b"\x20" * 320


class Line:
    """A carrier and what it sent."""

    def __init__(self, script: Any, limit_seconds: float = 100.0) -> None:
        self.loop = loops.virtual()
        self.sent: list[bytes] = []
        self.report = new_report("")
        self.carrier = VirtualCarrier(self.loop, self.report, script, 15_000, limit_seconds)
        self.loop.do(self.carrier.start, {}, self.feed)

    def feed(self, message: bytes) -> None:
        self.sent.append(message)
        if b'"stop"' in message:
            self.carrier.close(1000, "")

    def run(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def ended(self) -> Any:
        self.carrier.finish()
        return self.report


def test_a_frame_every_20_ms_the_keys_and_the_end() -> None:
    line = Line([Speak(AUDIO, AfterMs(100)), Dtmf("1#", AfterMs(100)), HangUp(AfterMs(500))])
    line.run(3)
    report = line.ended()
    assert report.ended_by == "caller"
    assert report.said.count(0x20) == len(AUDIO)
    assert sum(b'"dtmf"' in each for each in line.sent) == 2
    assert b'"stop"' in line.sent[-1]
    frames = sum(b'"media"' in each and b'"event":"media"' in each for each in line.sent)
    assert len(report.said) == 160 * frames
    assert [event.kind for event in report.events] == ["speak", "speak_end", "dtmf", "dtmf", "hang_up"]
    assert line.loop.pending_timers() == []


def test_a_call_that_does_not_end_has_failed() -> None:
    line = Line([HangUp(AfterMs(50_000))], limit_seconds=5)
    line.run(6)
    assert any("call still up after" in error for error in line.ended().errors)


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ({"Status": "completed"}, ["rest", "hang_up"]),
        ({"Twiml": "<Response><Dial>+15005550009</Dial></Response>"}, ["rest", "dial", "hang_up"]),
        ({"Url": "https://ours.example/else"}, ["rest", "hang_up"]),
    ],
)
def test_an_order_of_the_api_ends_the_stream(form: dict[str, str], kinds: list[str]) -> None:
    line = Line([HangUp(AfterMs(50_000))])
    line.run(1)
    assert line.loop.do(line.carrier.update, form)
    assert not line.loop.do(line.carrier.update, form), "one at a time"
    line.run(1)
    assert b'"stop"' in line.sent[-1]
    report = line.ended()
    assert report.ended_by == "server"
    assert [event.kind for event in report.events if event.kind != "closed"] == kinds
    assert report.errors == []


def test_a_stream_closed_for_a_fault_is_an_error() -> None:
    line = Line([HangUp(AfterMs(50_000))])
    line.loop.do(line.carrier.close, 1011, "oh")
    assert any(error.startswith("31921") for error in line.ended().errors)


def rest_of(api: CarrierApi) -> CarrierRest:
    http = httpx2.AsyncClient(transport=ApiTransport(api))
    return CarrierRest("https://api.twilio.com", ACCOUNT_SID, AUTH_TOKEN, http, told=lambda *_: None)


@pytest.mark.parametrize(
    ("faults", "done", "updates"),
    [((), True, 1), ((503,), True, 2), ((RESET,), True, 1), ((5.0, 5.0), False, 0), ((400, 400), False, 1)],
)
def test_the_api_fails_as_its_faults_say_and_the_nodes_own_client_meets_it(
    faults: Any, done: bool, updates: int
) -> None:
    api = CarrierApi(ACCOUNT_SID, AUTH_TOKEN, faults=faults)
    line = Line([HangUp(AfterMs(50_000))])
    api.register(line.carrier)

    async def ask() -> bool:
        return await asyncio.ensure_future(rest_of(api).hang_up(ACCOUNT_SID, line.report.call_sid))

    assert line.loop.run_until_complete(ask()) is done
    assert len(api.updates) == updates
    assert api.errors == []


@pytest.mark.parametrize(("faults", "done"), [((), True), ((RESET,), False)])
def test_a_reset_is_not_tried_again_where_twice_is_not_once(faults: Any, done: bool) -> None:
    api = CarrierApi(ACCOUNT_SID, AUTH_TOKEN, faults=faults)
    line = Line([HangUp(AfterMs(50_000))])
    api.register(line.carrier)
    asked = rest_of(api).connect(ACCOUNT_SID, line.report.call_sid, "+14155550188")
    assert line.loop.run_until_complete(asked) is done
    assert len(api.updates) == done
