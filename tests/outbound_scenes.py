"""Calls out and jobs as the log sees them: all that may be said of them, said."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fastbridge.agent import Agent
from fastbridge.carrier.port import Uncertain
from fastbridge.config import load_settings
from fastbridge.jobs.worker import Worker
from fastbridge.observe import notices
from fastbridge.outbound.placer import Placer
from fastbridge.outbound.requests import CallRequest
from fastbridge.store.database import open_engine
from fastbridge.store.outbound import OutboundStore
from fastbridge.store.records import RecordStore
from outbound_rig import FROM, TO, Carrier
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
