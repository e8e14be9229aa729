"""Queues: calls that wait, and who takes them out."""

import asyncio
from typing import Any

import pytest

from fastbridge.sim.callee import Callee
from twilio_rig import OURS, TALK, THEIRS, VirtualStage, stage, until

pytestmark = pytest.mark.usefixtures("virtual_loops")
HUMAN = "+14155550199"
ENQUEUE = '<Response><Enqueue action="https://ours.example/after" waitUrl="https://ours.example/wait">line</Enqueue></Response>'
SERVE = '<Response><Dial action="https://ours.example/served"><Queue>line</Queue></Dial></Response>'
PAGES = {
    "/wait": '<Response><Pause length="10"/></Response>',
    "/after": "<Response/>",
    "/served": "<Response/>",
    "/else": TALK,
}


def waiting(calls: int = 1, pages: dict[str, str] | None = None) -> tuple[VirtualStage, list[str], str]:
    """The sids of calls that wait, and of their queue."""
    made = VirtualStage(PAGES | (pages or {}), callees={})
    sids = []
    for _ in range(calls):
        sids.append(made.call(Twiml=ENQUEUE))
        made.advance(2)
    (queue,) = made.ask("GET", "/Queues.json")[1]["queues"]
    return made, sids, queue["sid"]


def results(made: VirtualStage) -> list[tuple[str, str]]:
    return [(told["CallSid"], told["QueueResult"]) for told in made.office.told("/after")]


def test_first_come_first_served() -> None:
    made, (first, second), queue = waiting(2)
    with made:
        shown = made.ask("GET", f"/Queues/{queue}.json")[1]
        assert (shown["friendly_name"], shown["current_size"], shown["average_wait_time"]) == ("line", 2, 2)
        members = made.ask("GET", f"/Queues/{queue}/Members.json")[1]["queue_members"]
        assert [(each["call_sid"], each["position"]) for each in members] == [(first, 1), (second, 2)]
        front = made.ask("GET", f"/Queues/{queue}/Members/Front.json")[1]
        assert (front["call_sid"], front["wait_time"]) == (first, 3)
        assert made.ask("GET", f"/Queues/{queue}/Members/{second}.json")[1]["position"] == 2


def test_what_is_played_meanwhile_knows_where_the_call_stands() -> None:
    made, (_, second), _ = waiting(2)
    with made:
        made.advance(10)
        told = [each for each in made.office.told("/wait") if each["CallSid"] == second]
        assert [(each["QueuePosition"], each["QueueTime"], each["CurrentQueueSize"]) for each in told] == [
            ("2", "0", "2"),
            ("2", "10", "2"),
        ]


def test_the_api_takes_the_one_at_the_front() -> None:
    made, (first, second), queue = waiting(2)
    with made:
        path = f"/Queues/{queue}/Members/Front.json"
        assert made.ask("POST", path, {"Url": "https://ours.example/else"})[1]["call_sid"] == first
        made.advance(1)
        assert made.office.told("/else")[0]["CallSid"] == first
        assert results(made) == [], "it goes elsewhere, and not to its action"
        assert made.ask("GET", f"/Queues/{queue}.json")[1]["current_size"] == 1
        assert made.ask("POST", path, {"Url": "https://ours.example/else"})[1]["call_sid"] == second
        made.advance(1)
        assert made.ask("POST", path, {"Url": "https://ours.example/else"})[0] == 404


@pytest.mark.parametrize("form", [{}, {"Url": "x"}, {"Url": "https://ours.example/else", "X": "y"}])
def test_an_address_is_needed(form: dict[str, str]) -> None:
    made, _, queue = waiting()
    with made:
        assert made.ask("POST", f"/Queues/{queue}/Members/Front.json", form)[0] == 400


def test_a_person_takes_the_one_at_the_front() -> None:
    made, (first, second), queue = waiting(2)
    with made:
        human = made.call(To=HUMAN, Twiml=SERVE)
        made.advance(2)
        assert made.ask("GET", f"/Queues/{queue}/Members/Front.json")[1]["call_sid"] == second, "the first is taken"
        made.ask("POST", f"/Calls/{human}.json", {"Status": "completed"})
        made.advance(1)
        assert results(made) == [(first, "bridged")]
        assert (made.status(first), made.status(second)) == ("completed", "in-progress")


def test_a_caller_who_hangs_up_frees_the_person() -> None:
    made, (first,), _ = waiting()
    with made:
        made.call(To=HUMAN, Twiml=SERVE)
        made.advance(2)
        made.ask("POST", f"/Calls/{first}.json", {"Status": "completed"})
        made.advance(1)
        (told,) = made.office.told("/served")
        assert (told["DialCallSid"], told["DialCallStatus"]) == (first, "completed")


def test_a_person_waits_for_the_first_to_come() -> None:
    with VirtualStage(PAGES, callees={}) as made:
        human = made.call(To=HUMAN, Twiml=SERVE)
        made.advance(5)
        assert made.office.told("/served") == []
        first = made.call(Twiml=ENQUEUE)
        made.advance(3)
        made.ask("POST", f"/Calls/{human}.json", {"Status": "completed"})
        made.advance(1)
        assert results(made) == [(first, "bridged")]


def test_a_document_that_leaves_leads_out() -> None:
    made, (first,), queue = waiting(pages={"/wait": "<Response><Leave/></Response>"})
    with made:
        assert results(made) == [(first, "leave")]
        assert made.ask("GET", f"/Queues/{queue}.json")[1]["current_size"] == 0


def test_one_that_cannot_be_had_is_told_and_the_call_waits_in_silence() -> None:
    made, (first,), _ = waiting(pages={"/wait": "<No/>"})
    with made:
        assert made.api.errors == ["12100 TwiML begins with <No>, not <Response>"]
        assert made.status(first) == "in-progress"


def test_a_queue_that_is_full() -> None:
    with VirtualStage(PAGES, callees={}) as made:
        assert made.ask("POST", "/Queues.json", {"FriendlyName": "line", "MaxSize": "1"})[0] == 201
        made.call(Twiml=ENQUEUE)
        made.advance(2)
        second = made.call(Twiml=ENQUEUE)
        made.advance(2)
        assert results(made) == [(second, "queue-full")]


@pytest.mark.parametrize(
    ("form", "code"),
    [({}, 20001), ({"FriendlyName": "line", "MaxSize": "5001"}, 20001), ({"FriendlyName": "x" * 65}, 20001)],
)
def test_queues_that_twilio_would_not_make(form: dict[str, str], code: int) -> None:
    with VirtualStage() as made:
        assert made.ask("POST", "/Queues.json", form)[1]["code"] == code


def test_made_changed_and_deleted() -> None:
    with VirtualStage(PAGES, callees={}) as made:
        sid = made.ask("POST", "/Queues.json", {"FriendlyName": "line"})[1]["sid"]
        assert made.ask("POST", "/Queues.json", {"FriendlyName": "line"})[1]["code"] == 22003
        assert made.ask("POST", f"/Queues/{sid}.json", {"MaxSize": "7"})[1]["max_size"] == 7
        call = made.call(Twiml=ENQUEUE)
        made.advance(2)
        assert made.ask("DELETE", f"/Queues/{sid}.json")[0] == 400, "somebody waits in it"
        made.ask("POST", f"/Calls/{call}.json", {"Status": "completed"})
        made.advance(1)
        assert made.ask("DELETE", f"/Queues/{sid}.json")[0] == 204
        assert made.ask("GET", f"/Queues/{sid}.json")[0] == 404


def test_the_sdk_does_all_of_it() -> None:
    async def run() -> None:
        async with stage({"/else": TALK}, callee=Callee(rings_seconds=0)) as (api, office, client):
            queue = await asyncio.to_thread(client.queues.create, "line")
            twiml = "<Response><Enqueue>line</Enqueue></Response>"
            call = await asyncio.to_thread(client.calls.create, to=THEIRS, from_=OURS, twiml=twiml)
            members: list[Any] = []
            while not members:
                members = await asyncio.to_thread(client.queues(queue.sid).members.list)
            assert [(each.call_sid, each.position) for each in members] == [(call.sid, 1)]
            front = client.queues(queue.sid).members("Front")
            assert (await asyncio.to_thread(front.update, f"{office.url}/else")).call_sid == call.sid
            await until(lambda: office.told("/else"))
            assert (await asyncio.to_thread(client.queues(queue.sid).fetch)).current_size == 0
            assert api.errors == []

    asyncio.run(run())
