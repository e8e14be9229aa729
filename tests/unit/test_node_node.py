"""The composition root: the tick, the node's books, the drain, and what a scrape and the disk see of it."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from websockets.asyncio.server import serve

from environment import clear_environment
from fastbridge.agent import Agent, CallContext
from fastbridge.base.conversation import ToolCall
from fastbridge.carrier.admission import Admission
from fastbridge.carrier.port import RecordingTold
from fastbridge.carrier.twilio.messages import Start
from fastbridge.config import load_settings
from fastbridge.model.port import Accounted
from fastbridge.model.socket import RealtimeSocket
from fastbridge.node.node import Node
from fastbridge.store import records as store
from virtual import VirtualLoop

CALL_SID = "CA" + "12" * 16
ACCOUNT_SID = "AC" + "34" * 16
STREAM_SID = "MZ" + "56" * 16


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


# The node


class Carrier:
    def __init__(self) -> None:
        self.closed: list[int] = []

    def write(self, frame: bytes) -> None:
        pass

    def close(self, code: int, reason: str) -> None:
        self.closed.append(code)


def make_node(agent: Agent | None = None, **settings: Any) -> Node:
    given: dict[str, Any] = {
        "public_url": "https://voice.example.com",
        "openai_base_url": "http://127.0.0.1:9/v1",
        "database_url": "none",
    }
    return Node(load_settings(**{**given, **settings}), agent or Agent())


def test_nothing_is_imported_in_a_call():
    """In a process of its own: others have imported all there is."""
    script = Path(__file__).parents[1] / "first_use.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def begin(node: Node, carrier: Carrier) -> Any:
    admission = Admission(CALL_SID, ACCOUNT_SID, "", "", "inbound", {"a": "b"}, 0, "token")
    return node.begin_call(carrier, admission, Start(ACCOUNT_SID, CALL_SID, STREAM_SID))


def test_a_call_is_on_the_books_until_it_ends_and_leaves_its_record(tmp_path):
    async def scene() -> None:
        node = make_node(records_dir=tmp_path / "records")
        carrier = Carrier()
        call = begin(node, carrier)
        assert node.directory.get(CALL_SID) is call
        assert call.context.parameters == {"a": "b"}
        call.close("max_duration")
        call.close("shutdown")
        assert node.directory.live == 0
        assert node.directory.ended_reason(CALL_SID) == "max_duration"
        assert carrier.closed == [1000]
        await node.close()

    asyncio.run(scene())
    (path,) = (tmp_path / "records").iterdir()
    assert path.name == f"{CALL_SID}.json"
    assert json.loads(path.read_text())["end_reason"] == "max_duration"


def test_a_call_and_what_was_looked_up_for_it_have_one_log(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    agent = Agent()

    @agent.on_call
    async def look_up(context: CallContext) -> None:
        context.customer_loaded("Dana")

    async def scene() -> None:
        credentials = {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": "0" * 32}
        node = make_node(agent=agent, log_transcripts=False, **credentials)
        refusing = httpx2.MockTransport(lambda request: httpx2.Response(400))
        node.rest._http = httpx2.AsyncClient(transport=refusing)
        node.announce(Admission(CALL_SID, ACCOUNT_SID, "+14155550123", "", "inbound", {}, 0, "token"))
        await asyncio.sleep(0.01)
        call = begin(node, Carrier())
        assert call.log is call.context.call_log is call.answering.context.journal
        assert call.log.lines == 1
        await node.rest.hang_up(ACCOUNT_SID, CALL_SID)
        assert call.log.lines == 2
        call.close("shutdown")
        await node.rest.hang_up(ACCOUNT_SID, CALL_SID)
        await node.close()

    asyncio.run(scene())
    assert "name=(4 characters), phone=+1415****23" in caplog.text
    assert caplog.text.count(f"Twilio did not update the call: HTTP 400, call_sid={CALL_SID}") == 2


def test_an_ended_call_is_dismantled_when_nothing_of_it_can_run_any_more(monkeypatch):
    monkeypatch.setattr("fastbridge.node.leftovers.TEARDOWN_SECONDS", 0.02)

    async def scene() -> None:
        node = make_node()
        ended = begin(node, Carrier())
        ended.close("max_duration")
        live = begin(node, Carrier())
        await asyncio.sleep(0)
        assert vars(ended)
        await asyncio.sleep(0.05)
        assert not vars(ended)
        assert live.live
        await node.close()
        await asyncio.sleep(0.05)
        assert vars(live), "the process ends: no timer is left behind"

    asyncio.run(scene())


def test_a_call_whose_hook_still_runs_is_not_dismantled(monkeypatch):
    monkeypatch.setattr("fastbridge.node.leftovers.TEARDOWN_SECONDS", 0.02)
    agent, released = Agent(), asyncio.Event()

    @agent.on_end
    async def on_end(record: dict[str, Any]) -> None:
        await released.wait()

    async def scene() -> None:
        node = make_node(agent=agent)
        ended = begin(node, Carrier())
        ended.close("max_duration")
        await asyncio.sleep(0.07)
        assert vars(ended)
        released.set()
        await asyncio.sleep(0.07)
        assert not vars(ended)
        await node.close()

    asyncio.run(scene())


def test_of_a_closed_socket_to_the_model_nothing_is_left_for_the_collector(monkeypatch):
    monkeypatch.setattr("fastbridge.node.leftovers.TEARDOWN_SECONDS", 0.05)
    monkeypatch.setattr("fastbridge.model.socket.CLOSE_GRACE_SECONDS", 0.01)

    async def listen_for_a_moment(connection: Any) -> None:
        await asyncio.sleep(0.02)

    async def scene() -> None:
        made: list[weakref.ref[Any]] = []
        told: list[str] = []

        class Watched(RealtimeSocket):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                made.append(weakref.ref(self))

        monkeypatch.setattr("fastbridge.node.dialler.RealtimeSocket", Watched)
        attempt = SimpleNamespace(
            sink=lambda message: None,
            feed_message=lambda message: None,
            on_model_connected=lambda link: told.append("connected"),
            model="",
            on_model_failed=told.append,
            on_model_lost=lambda code, reason: told.append("lost"),
        )
        async with serve(listen_for_a_moment, "127.0.0.1", 0) as model:
            port = model.sockets[0].getsockname()[1]
            node = make_node(openai_base_url=f"http://127.0.0.1:{port}/v1")
            node._ticker.acquire()  # as a live call does: it reads
            await node.spawn(node._dialler.dial(attempt))
            node._ticker.release()
            assert told == ["connected", "lost"]
            assert made[0]() is not None
            await asyncio.sleep(0.2)
            assert [each() for each in made] == [None]
            await node.close()

    gc.collect()
    gc.disable()
    try:
        asyncio.run(scene())
    finally:
        gc.enable()


def test_who_was_turned_away_is_forgotten_at_once():
    async def scene() -> None:
        node = make_node()
        visitor, caller = Carrier(), Carrier()
        node.retire(visitor, at_once=True)
        node.retire(caller)
        assert (vars(visitor), vars(caller)) == ({}, {"closed": []})
        await node.close()

    asyncio.run(scene())


def test_a_model_that_nobody_answers_for(caplog):
    async def scene() -> None:
        node = make_node()
        carrier = Carrier()
        call = begin(node, carrier)
        call.start()
        await asyncio.wait(node._tasks)
        assert (call.live, call.record()["errors"]) == (True, ["connect_failed"]), "it is tried again"
        await node.close()

    asyncio.run(asyncio.wait_for(scene(), 10))
    assert "OpenAI cannot be reached" in caplog.text


def test_closing_the_node_ends_its_calls_and_waits_for_their_tasks():
    async def scene() -> None:
        node = make_node()
        carrier = Carrier()
        call = begin(node, carrier)
        done: list[str] = []

        async def last_words() -> None:
            await asyncio.sleep(0.01)
            done.append("said")

        node.spawn(last_words())
        await node.close()
        assert (call.end_reason, done, node.draining) == ("shutdown", ["said"], True)

    asyncio.run(scene())


def test_closing_does_not_wait_for_ever():
    loop = VirtualLoop()

    async def scene() -> asyncio.Task[None]:
        node = make_node()
        task = node.spawn(asyncio.sleep(3600))
        await node.close()
        await asyncio.sleep(0)
        return task

    assert loop.run_until_complete(scene()).cancelled()
    loop.close()


def test_what_a_task_raises_is_logged(caplog):
    async def scene() -> None:
        node = make_node()

        async def fail() -> None:
            raise ValueError("a bug")

        node.spawn(fail())
        await asyncio.sleep(0.01)
        await node.close()

    asyncio.run(scene())
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("a bug",)]


def test_a_call_leaves_its_record_in_the_database(tmp_path):
    url = f"sqlite:///{tmp_path}/calls.db"

    async def scene() -> None:
        node = make_node(database_url=url)
        begin(node, Carrier()).close("max_duration")
        await node.close()

    asyncio.run(scene())
    with store.reading(url) as connection:
        assert connection is not None
        (row,) = store.latest(connection, 10)
    assert (row["call_sid"], row["end_reason"], row["business_id"]) == (CALL_SID, "max_duration", None)


def test_a_tool_that_ends_after_its_call_is_in_the_record_that_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("fastbridge.node.leftovers.TEARDOWN_SECONDS", 0.02)
    url = f"sqlite:///{tmp_path}/calls.db"
    agent, finish = Agent(), threading.Event()

    @agent.tool
    def book() -> str:
        finish.wait(10)
        return "Booked"

    async def scene() -> Any:
        node = make_node(agent, database_url=url)
        call = begin(node, Carrier())
        call.tools.called("resp_1", ToolCall("call_1", "book", "{}", 0))
        await asyncio.sleep(0.05)
        call.close("customer_hangup")
        await asyncio.sleep(0.1)
        assert not vars(call), "it has been taken apart"
        told, update = asyncio.Event(), node.store.update
        monkeypatch.setattr(node.store, "update", lambda document: (update(document), told.set()))
        finish.set()
        await told.wait()
        await node.close()
        return await node.collect()

    snapshot = asyncio.run(asyncio.wait_for(scene(), 10))
    with store.reading(url) as connection:
        (record,) = store.find(connection, CALL_SID)
    (tool,) = record["tools"]
    assert (tool["outcome"], tool["done_late"]["result"]) == ("abandoned", "Booked")
    assert (["ok"], 1) in snapshot["tools_done_late"]
    assert (["abandoned"], 1) in snapshot["tool_calls"]


def test_a_session_that_tells_what_it_has_lasted_after_its_call_is_in_the_record_that_is_stored(tmp_path):
    url = f"sqlite:///{tmp_path}/calls.db"
    prices = json.dumps({"gpt-live-1": {"minute": 0.6}})

    async def scene() -> Any:
        node = make_node(database_url=url, model="gpt-live-1", prices=prices)
        call = begin(node, Carrier())
        call.close("customer_hangup")
        call.session._seconds.session.tell({"seconds": 60})
        call._tell(Accounted())
        call._tell(Accounted())
        await node.close()
        return await node.collect()

    snapshot = asyncio.run(asyncio.wait_for(scene(), 10))
    with store.reading(url) as connection:
        (record,) = store.find(connection, CALL_SID)
    assert (record["model_seconds"]["billed"], record["cost"]["usd"]) == (60, 0.6)
    assert snapshot["cost_dollars"] == [([], 0.6)]


def test_a_scrape_sees_the_node_and_its_calls():
    async def scene() -> tuple[Any, Any]:
        node = make_node(max_calls=7)
        call = begin(node, Carrier())
        node.directory.refuse("signature")
        during = await node.collect()
        call.close("max_duration")
        node.directory.draining = True
        after = await node.collect()
        await node.close()
        return during, after

    during, after = asyncio.run(scene())
    assert (during["calls_live"], during["calls_capacity"], during["draining"]) == ([([], 1)], [([], 7)], [([], False)])
    assert (["signature"], 1) in during["rejections"]
    assert (after["calls_live"], after["draining"]) == ([([], 0)], [([], True)])
    assert (["inbound", "max_duration"], 1) in after["calls"]


def admission(**changes: Any) -> Admission:
    given = {
        "call_sid": CALL_SID, "account_sid": ACCOUNT_SID, "from_number": "+14155550100", "to_number": "+14155550123",
        "direction": "inbound", "parameters": {"business_id": "7"}, "expires_ns": 0, "token": "token",
    }  # fmt: skip
    return Admission(**{**given, **changes})


def test_a_call_gets_the_agent_and_the_settings_of_its_number_and_business():
    async def scene() -> None:
        node = make_node()
        node.agent.for_number("+14155550123", greeting="Number.", settings={"silence_seconds": 7})
        node.agent.for_business("7", voice="cedar")
        call = node.begin_call(Carrier(), admission(), Start(ACCOUNT_SID, CALL_SID, STREAM_SID))
        assert (call.agent.greeting, call.agent.voice, call.settings.silence_seconds) == ("Number.", "cedar", 7)
        assert (node.agent.greeting, node.settings.silence_seconds) == ("", 20)
        assert call.context.account_sid == ACCOUNT_SID
        await node.close()

    asyncio.run(scene())


def test_what_the_webhook_has_begun_to_look_up_is_the_calls():
    async def scene() -> None:
        node = make_node()
        asked = []

        @node.agent.on_call
        async def look(context: CallContext) -> dict[str, str]:
            asked.append(context.agent.voice)
            return {"name": "Dana"}

        node.agent.for_business("7", voice="cedar")
        node.announce(admission())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call = node.begin_call(Carrier(), admission(), Start(ACCOUNT_SID, CALL_SID, STREAM_SID))
        assert (asked, call.answering.context.variables, call.agent.voice) == (["cedar"], {"name": "Dana"}, "cedar")
        assert len(node.lookups) == 0
        node.announce(admission(call_sid="CA" + "9" * 32))
        await node.close()
        assert len(node.lookups) == 0

    asyncio.run(scene())


def test_without_credentials_there_is_no_api_of_the_carriers():
    async def scene() -> None:
        node = make_node()
        assert node.rest is None
        await node.close()
        node = make_node(twilio_account_sid=ACCOUNT_SID, twilio_auth_token="x" * 32)
        assert node.rest is not None
        await node.close()

    asyncio.run(scene())


def test_a_call_that_the_node_records_leaves_its_file_and_is_counted(tmp_path):
    async def scene() -> tuple[Any, Any]:
        node = make_node(Agent(record="local"), recordings_dir=tmp_path / "recordings")
        call = begin(node, Carrier())
        call.start()
        await asyncio.sleep(0)
        call.close("customer_hangup")
        await node.close()
        return call.document, await node.collect()

    document, metrics = asyncio.run(scene())
    (path,) = (tmp_path / "recordings").iterdir()
    assert path.name == f"{CALL_SID}_{STREAM_SID}.wav" == document["recording"]["file"]
    assert path.read_bytes().startswith(b"RIFF")
    assert (["finished"], 1) in metrics["local_recordings"]


@pytest.mark.parametrize("status", ["failed", "completed", "absent"])
def test_the_call_itself_is_told_of_a_recording_that_failed(monkeypatch, status):
    failed: list[str] = []

    async def run() -> None:
        node = make_node()
        live: Any = SimpleNamespace(call_sid="CA1", carrier_recording=SimpleNamespace(failed=failed.append))
        monkeypatch.setattr(node, "_calls", [live])
        for call_sid in ("CA1", "CA2"):
            assert await node.on_recording_status(RecordingTold("AC1", call_sid, "RE1", status))
        monkeypatch.setattr(node, "_calls", [])
        await node.close()

    asyncio.run(run())
    assert failed == (["RE1"] if status == "failed" else [])


@pytest.mark.parametrize("known", [True, False])
def test_what_the_carrier_says_of_who_answered_before_the_stream_is_told_to_its_call(known):
    async def scene() -> str:
        node = make_node()
        given: dict[str, Any] = {"from_number": "", "to_number": "", "direction": "outbound", "parameters": {}}
        admission = node.directory.admit(CALL_SID, ACCOUNT_SID, **given)
        assert isinstance(admission, Admission)
        if known:
            node.on_answered_by(CALL_SID, "machine")
        assert node.directory.redeem(admission.token, CALL_SID, ACCOUNT_SID) is admission
        call = node.begin_call(Carrier(), admission, Start(ACCOUNT_SID, CALL_SID, STREAM_SID))
        call.start()
        verdict = call.answered_by.verdict
        await node.close()
        return verdict

    assert asyncio.run(scene()) == ("machine" if known else "")


def test_a_node_that_drains_places_no_calls_that_were_scheduled(tmp_path):
    async def scene() -> list[bool]:
        credentials = {"twilio_account_sid": ACCOUNT_SID, "twilio_auth_token": "0" * 32}
        keys = {"api_keys": "k" * 32, "database_url": f"sqlite:///{tmp_path}/x.db"}
        node = make_node(**credentials, **keys)
        assert node.placer is not None
        told = [node.placer._draining()]
        node.drain()
        told.append(node.placer._draining())
        await node.close()
        return told

    assert asyncio.run(scene()) == [False, True]


def test_who_was_called_and_has_not_answered_is_waited_for_in_a_drain(tmp_path, caplog):
    caplog.set_level("INFO")

    async def scene() -> list[bool]:
        keys = {"api_keys": "k" * 32, "database_url": f"sqlite:///{tmp_path}/x.db"}
        node = make_node(twilio_account_sid=ACCOUNT_SID, twilio_auth_token="0" * 32, **keys)
        busy = [node.busy]
        for number in range(2):
            node.placer.ringing.placed(f"CA{number}", 60)
        node.drain()
        busy.append(node.busy)
        node.placer.ringing.over("CA0")
        admission = node.directory.admit(
            "CA1", ACCOUNT_SID, from_number="", to_number="", direction="outbound", parameters={}
        )
        node.announce(admission)
        assert (len(node.placer.ringing), node.directory.pending) == (0, 1)
        busy.append(node.busy)
        node.directory.abandon("CA1")
        await node.close()
        return busy

    assert asyncio.run(scene())[:3] == [False, True, True]
    assert "no new calls: it ends with the last, calls=2" in caplog.text
