"""Recordings over real sockets: from the carrier's API, by callback and worker, to whoever has a key or a link."""

import asyncio
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from e2e.dialects import both, model_of
from fastbridge.carrier.port import RecordingBegun, RecordingChange
from fastbridge.carrier.twilio.api import TwilioApi
from fastbridge.carrier.twilio.recordings import TwilioRecordings
from fastbridge.sim import (
    AfterAssistant,
    AfterMs,
    Callee,
    CallTool,
    CarrierApi,
    Dtmf,
    HangUp,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    Speak,
)
from fastbridge.sim.audio import level_dbfs, speech, to_frames
from recording_rig import KEY, start_worker, wav

LIMIT_SECONDS = 60.0
CALLS = [f"CA{number:032x}" for number in range(1, 100)]
TO = "+14155550101"


class Shop:
    """A node, the carrier's API, and a worker where one was started."""

    def __init__(self, folder: Path, node: NodeProcess, api: CarrierApi, http: httpx2.AsyncClient) -> None:
        self.folder = folder
        self.node = node
        self.api = api
        self.http = http
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": f"sqlite:///{self.folder}/x.db",
            "FASTBRIDGE_RECORDINGS_URL": str(self.folder / "files"),
            "FASTBRIDGE_TWILIO_API_URL": self.api.url,
            "TWILIO_ACCOUNT_SID": self.node.account_sid,
            "TWILIO_AUTH_TOKEN": self.node.auth_token,
        }

    def work(self, **variables: str) -> "subprocess.Popen[bytes]":
        worker = start_worker(self.folder, **self.settings, **variables)
        self.workers.append(worker)
        return worker

    @property
    def log(self) -> str:
        path = self.folder / "worker.log"
        return path.read_text() if path.exists() else ""

    def record(self, call_sid: str, file: bytes) -> str:
        return self.api.record(call_sid, file, callback=f"{self.node.url}/webhook/recording_status")

    async def get(self, sid: str, **headers: str) -> httpx2.Response:
        return await self.http.get(f"{self.node.url}/recordings/{sid}", headers=headers)

    async def there(self, sid: str) -> httpx2.Response:
        """The file, as soon as it can be had."""
        for _ in range(round(LIMIT_SECONDS / 0.1)):
            answer = await self.get(sid)
            if answer.status_code not in (202, 404):
                break
            await asyncio.sleep(0.1)
        assert answer.status_code == 200, (answer.text, self.log)
        return answer

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log
            await asyncio.sleep(0.02)


@asynccontextmanager
async def shop(folder: Path, **api: Any) -> AsyncIterator[Shop]:
    scenario = Scenario(greeting=Say("Hello, this is the clinic."), turns=[])
    async with (
        ModelServer(scenario) as model,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=30.0) as http,
    ):
        node = NodeProcess(model.base_url)
        options = {"recording_ready_seconds": 0.2, "callees": {}, **api}
        async with CarrierApi(node.account_sid, node.auth_token, **options) as twilio:
            made = Shop(folder, node, twilio, http)
            node.set(FASTBRIDGE_API_KEYS=KEY, TWILIO_PHONE_NUMBER="+14155550100", **made.settings)
            try:
                async with node:
                    yield made
            finally:
                for worker in made.workers:
                    worker.kill()
                    worker.wait()


def run(folder: Path, test: Callable[[Shop], Any], **api: Any) -> None:
    async def live() -> None:
        async with shop(folder, **api) as found:
            await test(found)

    asyncio.run(live())


def test_a_call_that_is_recorded_can_be_heard(tmp_path: Path) -> None:
    async def test(shop: Shop) -> None:
        shop.work()
        answer = await shop.http.post(f"{shop.node.url}/calls", json={"to": TO})
        call_sid = answer.json()["call_sid"]
        carrier = TwilioRecordings(
            TwilioApi(shop.api.url, shop.node.account_sid, shop.node.auth_token), f"{shop.node.url}"
        )
        account = shop.node.account_sid
        deadline = time.monotonic() + LIMIT_SECONDS
        while not isinstance(begun := await carrier.begin(account, call_sid), RecordingBegun):
            assert time.monotonic() < deadline, begun
            await asyncio.sleep(0.1)
        assert await carrier.begin(account, call_sid) == begun, "there are never two"
        await asyncio.sleep(0.5)
        assert await carrier.change(account, call_sid, begun.recording_sid, RecordingChange.PAUSE)
        await asyncio.sleep(0.5)
        assert await carrier.change(account, call_sid, begun.recording_sid, RecordingChange.RESUME)
        await asyncio.sleep(0.5)
        assert await carrier.change(account, call_sid, begun.recording_sid, RecordingChange.STOP)
        heard = await shop.there(begun.recording_sid)
        assert heard.content[:4] == b"RIFF"
        assert 1.4 < (len(heard.content) - 44) / 32_000 < 3.0, "a pause keeps its length"
        listed = (await shop.http.get(f"{shop.node.url}/recordings", params={"call_sid": call_sid})).json()
        (one,) = listed["recordings"]
        assert (one["recording_sid"], one["state"], one["channels"]) == (begun.recording_sid, "stored", 2)
        assert shop.api.errors == []
        await carrier.close()

    run(tmp_path, test, callees={TO: Callee([Speak("caller_appointment")] * 3, rings_seconds=0.2)})


def test_one_that_was_made_is_fetched_served_linked_and_deleted(tmp_path: Path) -> None:
    file = wav(40_000)

    async def test(shop: Shop) -> None:
        shop.work()
        sid = shop.record(CALLS[0], file)
        heard = await shop.there(sid)
        assert (heard.content, heard.headers["content-type"]) == (file, "audio/x-wav")
        some = await shop.get(sid, Range="bytes=44-99")
        assert (some.status_code, some.content) == (206, file[44:100])
        assert (await shop.get(sid, **{"If-None-Match": heard.headers["etag"]})).status_code == 304
        head = await shop.http.head(f"{shop.node.url}/recordings/{sid}")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(file)), b"")
        link = (await shop.http.post(f"{shop.node.url}/recordings/{sid}/link", json={"seconds": 60})).json()["url"]
        async with httpx2.AsyncClient(timeout=30.0) as stranger:
            assert (await stranger.get(f"{shop.node.url}/recordings/{sid}")).status_code == 401
            assert (await stranger.get(link)).content == file
        assert (await shop.http.delete(f"{shop.node.url}/recordings/{sid}")).status_code == 204
        assert (await shop.get(sid)).status_code == 410
        await shop.until(lambda: shop.log.count("Deleted from") == 2)
        assert list((tmp_path / "files").iterdir()) == []
        answer = await shop.http.delete(
            f"{shop.api.url}/2010-04-01/Accounts/{shop.node.account_sid}/Recordings/{sid}.json",
            auth=(shop.node.account_sid, shop.node.auth_token),
        )
        assert answer.status_code == 404
        assert shop.api.errors[:-1] == [], "credentials never went to the other host"

    run(tmp_path, test, recordings_elsewhere=True)


@pytest.mark.timeout(600)
def test_killed_at_any_moment_the_worker_loses_none_and_fetches_none_twice(tmp_path: Path) -> None:
    """Each media request takes its time, so that most kills fall into a fetch."""
    dice = Random(11)
    files = {call_sid: wav(30_000, seed=number) for number, call_sid in enumerate(CALLS[:40], 1)}

    def slow(method: str, path: str) -> float | None:
        return 0.15 if path.endswith(".wav") else None

    async def test(shop: Shop) -> None:
        sids = {shop.record(call_sid, file): file for call_sid, file in files.items()}
        for kill in range(11):
            if kill == 5:
                sids[shop.record(CALLS[50], files[CALLS[0]])] = files[CALLS[0]]
            worker = shop.work()
            await shop.until(lambda: shop.log.count("Worker started") == len(shop.workers))
            await asyncio.sleep(dice.random() * 0.35)
            worker.kill()
            worker.wait()
        worker = shop.work()
        for sid, file in sids.items():
            assert (await shop.there(sid)).content == file
        worker.send_signal(signal.SIGTERM)
        await shop.until(lambda: worker.poll() is not None)
        assert worker.returncode == 0
        told = Counter(
            line.partition("recording_sid=")[2][:34] for line in shop.log.splitlines() if "Download complete" in line
        )
        assert max(told.values()) == 1, "what was stored is not fetched again"
        assert sorted(path.name for path in (tmp_path / "files").glob("*.wav")) == sorted(f"{sid}.wav" for sid in sids)
        assert "Traceback" not in shop.log

    run(tmp_path, test, faults=slow)


AGENT = '''
from fastbridge import Agent, CallContext

agent = Agent(greeting="Hello, this is the clinic.", greeting_lock=False, record="carrier")


@agent.tool(timeout_seconds=30, filler="")
async def take_card(context: CallContext) -> str:
    """Take the caller's card number by the keys of the telephone."""
    async with context.private():
        return f"{len(await context.gather_async(max_digits=16, end='#', timeout_seconds=20))} digits"
'''
WHO = ("local", "carrier")
CARD = [
    Speak("caller_appointment"),
    Speak("caller_accepts", AfterMs(3500)),
    Dtmf("424242#", AfterMs(200)),
    HangUp(AfterAssistant(1200)),
]
"""The second sentence is said where all is private."""


@both
def test_both_lanes_are_recorded_but_for_what_is_private(tmp_path: Path, dialect: str) -> None:
    """By the node, and at the same time another call by the carrier."""
    (tmp_path / "clinic.py").write_text(AGENT)
    turns = [CallTool("take_card", {}), Say("Thank you, that is all.")]
    settings = {**model_of(dialect), "FASTBRIDGE_RECORDINGS_DIR": str(tmp_path / "ours")}

    async def test() -> None:
        scenario = Scenario(greeting=Say("Hello, this is the clinic."), turns=turns)
        async with (
            ModelServer(scenario) as model,
            NodeProcess(model.base_url, f"{tmp_path}/clinic.py:agent", settings=settings) as node,
        ):
            local, carrier = await asyncio.gather(*[node.caller(CARD, query=f"record={who}").call() for who in WHO])
            records = [await node.record(report.call_sid) for report in (local, carrier)]
            log = node.log()
            # Before the node has gone: the carrier tells of its recording when that is made, seconds after the call.
            assert [*local.errors, *carrier.errors, *model.errors, *node.api.errors] == []
        assert log.count("Frame accounting OK") == 2
        for record in records:
            assert record is not None
            assert [(tool["name"], tool["outcome"]) for tool in record["tools"]] == [("take_card", "ok")]
            assert record["private"]["stretches"] == 1
            assert "424242" not in str(record)
        kept, paused = records[0]["recording"], records[1]["carrier_recording"]
        assert paused["state"] == "stopped"
        assert 0 < paused["paused_seconds"] * 1000 < records[1]["private"]["ms"] + 2000
        assert [path.name for path in (tmp_path / "ours").iterdir()] == [kept["file"]]
        assert kept["dropped_frames"] == 0
        caller, assistant = lanes(tmp_path / "ours" / kept["file"])
        assert abs(len(caller) * 20 - len(local.said) / 8) < 1500, "it ends when the call does"
        assert abs(spoken_ms(caller) - spoken_ms(to_frames(speech("caller_appointment")))) < 200
        unheard_ms = spoken_ms(to_frames(local.heard)) - spoken_ms(assistant)
        assert -200 < unheard_ms < 700, "of the answer its beginning, where it falls into the half second of privacy"

    asyncio.run(test())


def lanes(path: Path) -> tuple[list[bytes], list[bytes]]:
    """Left and right of the node's own file, in frames."""
    audio = path.read_bytes().partition(b"data")[2][4:]
    return to_frames(audio[0::2]), to_frames(audio[1::2])


def spoken_ms(frames: list[bytes]) -> int:
    return 20 * sum(level_dbfs(frame) > -45 for frame in frames)
