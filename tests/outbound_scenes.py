"""Calls out, jobs and recordings as the log sees them: all that may be said of them, said."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from fastbridge.agent import Agent
from fastbridge.base.api_keys import ApiKeys
from fastbridge.carrier.port import FileDetails, NotFetched, RecordingTold, Uncertain
from fastbridge.config import load_settings
from fastbridge.jobs.worker import Worker
from fastbridge.node.recordings import kept
from fastbridge.observe import notices
from fastbridge.outbound.placer import Placer
from fastbridge.outbound.requests import CallRequest
from fastbridge.recordings import api
from fastbridge.recordings.fetching import GONE_TRIES, Fetching
from fastbridge.recordings.keeping import Deleting, Keeper
from fastbridge.recordings.links import Links
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.database import open_engine
from fastbridge.store.outbound import OutboundStore
from fastbridge.store.outbox import Item
from fastbridge.store.recordings import RecordingStore
from fastbridge.store.records import RecordStore
from outbound_rig import FROM, TO, Carrier
from recording_rig import ACCOUNT, CALL, KEY, SID, Files, sid, wav
from unit.test_store_outbox import call as a_call


def calls_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that is busy, one of which nobody knows whether it was placed, and a database that is away."""
    settings = load_settings(dev=True, twilio_phone_number=FROM)
    carrier = Carrier()
    store = OutboundStore(f"sqlite:///{tmp_path}/x.db")

    async def scene() -> None:
        placer = Placer(store, carrier, settings, spawn=asyncio.get_running_loop().create_task)
        row, _ = await placer.ask(CallRequest.model_validate({"to": TO}))
        await placer.told(row.call_sid or "", "busy", 1, {})
        carrier.answers = [Uncertain("ReadTimeout")]
        await placer.ask(CallRequest.model_validate({"to": TO}))
        away = asyncio.Event()

        async def fail() -> int:
            away.set()
            raise sa.exc.OperationalError("x", {}, Exception("away"))

        monkeypatch.setattr(placer, "sweep", fail)
        placer.begin()
        await away.wait()
        await placer.close()

    asyncio.run(scene())


def jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that is done, one that raises, one whose record is gone, one that nobody has, and a database that is away."""
    agent = Agent()

    @agent.job
    def well(record: dict[str, Any]) -> None: ...

    @agent.job(tries=1)
    def raises(record: dict[str, Any]) -> None:
        raise ValueError("no")

    store = RecordStore(f"sqlite:///{tmp_path}/x.db")
    store.put(a_call(1), jobs=("well", "raises", "of_another"))
    store.put(a_call(2), jobs=("well",))
    store.close()
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as connection:
        connection.execute(sa.text(f"delete from fastbridge_calls where call_sid = '{a_call(2)['call_sid']}'"))

    async def scene() -> None:
        worker = Worker(engine, agent, words=False)
        waiting, ended = worker._outbox.waiting, asyncio.get_running_loop().create_future()
        looks = iter([sa.exc.OperationalError("x", {}, Exception("away"))])

        def wait(*given: Any) -> Any:
            error = next(looks, None)
            if error is not None:
                raise error
            return waiting(*given)

        monkeypatch.setattr(worker._outbox, "waiting", wait)
        ends = iter(range(3))  # of three jobs
        for name in ("job_completed", "job_failed", "job_without_record"):
            say = getattr(notices, name)

            def said(*given: Any, say: Any = say, **named: Any) -> None:
                say(*given, **named)
                if next(ends) == 2:
                    ended.get_loop().call_soon_threadsafe(ended.set_result, None)

            monkeypatch.setattr(notices, name, said)
        living = asyncio.create_task(worker.live())
        async with asyncio.timeout(20):
            await ended
        worker._stopped.set()
        await living

    asyncio.run(scene())
    engine.dispose()


def stored_recordings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that is fetched at the second try and deleted at the second, one that is lost, and all that may be away."""
    rows, store = RecordingStore(f"sqlite:///{tmp_path}/x.db", fetched=True), MediaStore(str(tmp_path / "files"))
    carrier = Files({SID: wav()})
    carrier.answers = [NotFetched("HTTP 503")]
    fetching = Fetching(rows, store, carrier, ACCOUNT, release=False)
    deleting = Deleting(rows, store, carrier, ACCOUNT)
    app = Starlette(routes=api.routes(rows, store, ApiKeys(KEY), Links(KEY), "https://v.example.com"))

    async def ask(method: str, which: str) -> None:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as http:
            await http.request(method, f"/recordings/{which}", headers={"Authorization": f"Bearer {KEY}"})

    async def scene() -> None:
        for which in (SID, sid(1)):
            rows.told(which, CALL, ACCOUNT, "in-progress")
        await ask("GET", SID)
        for attempt in (1, 2):
            await fetching.do(Item("", "recording.fetch", CALL, SID), attempt)
        carrier.states[sid(1)] = FileDetails("gone")
        await fetching.do(Item("", "recording.fetch", CALL, sid(1)), GONE_TRIES)
        await ask("DELETE", SID)
        for carrier.deletes in (False, True):
            await deleting.do(Item("", "recording.delete", CALL, SID), 1)

        async def away() -> None:
            raise PermissionError

        monkeypatch.setattr(store, "sweep", away)
        await Keeper(rows, store, days=0, release=False).keep_house()
        nowhere = RecordingStore(f"sqlite:///{tmp_path}", fetched=True)
        await kept(nowhere, RecordingTold(ACCOUNT, CALL, SID, "completed"))

    asyncio.run(scene())
    rows.close()
