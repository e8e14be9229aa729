"""The worker: takes jobs from the outbox to the queue, and sees to it until a signal."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from fastbridge.agent.definition import Agent
from fastbridge.base.trust import require_trust
from fastbridge.carrier.twilio.recordings import twilio_recordings
from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.jobs.queue import NAME, SECOND, Doer, JobQueue, only_worker
from fastbridge.jobs.record_job import RecordJob
from fastbridge.observe import notices
from fastbridge.store import records
from fastbridge.store.database import NO_DATABASE, open_engine, shown_url, unanswered
from fastbridge.store.outbox import Outbox

if TYPE_CHECKING:
    from fastbridge.recordings.assembly import Upkeep

AT_ONCE = 10
"""Tries of an agent's jobs."""
LOOK_SECONDS = 0.5
TAKEN_AT_ONCE = 100
STOP_SECONDS = 20.0
HOUSEKEEPING_SECONDS = 3600.0


def run(settings: Settings, agent: Agent) -> None:
    """Until a signal. ConfigError, a sentence, where that cannot be."""
    url = settings.database_url.get_secret_value()
    if url == NO_DATABASE:
        raise ConfigError("A worker needs DATABASE_URL: jobs are kept there, with the records of calls.")
    require_trust()
    upkeep = recordings_of(settings)
    if not agent.jobs and upkeep is None:
        raise ConfigError(
            "The agent has no jobs, and no recordings are to be fetched: put @agent.job before a function, or set "
            "FASTBRIDGE_RECORDINGS_URL, or run no worker."
        )
    engine = open_engine(url)
    if (why := unanswered(engine)) is not None:
        raise ConfigError(f"DATABASE_URL: {shown_url(url)} does not answer ({why}): start it, or name another.")
    with only_worker(engine) as still:
        worker = Worker(engine, agent, words=settings.log_transcripts, recordings=upkeep, still=still)
        asyncio.run(worker.live())


def recordings_of(settings: Settings) -> "Upkeep | None":
    """What there is to do for recordings; None if nobody wants any. ConfigError, where that cannot be."""
    if settings.recordings_url is None:
        return None
    carrier = twilio_recordings(settings)
    if carrier is None:
        raise ConfigError(
            "FASTBRIDGE_RECORDINGS_URL lets recordings be fetched, for which Twilio's credentials are needed: set "
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
        )
    from fastbridge.recordings.assembly import upkeep

    return upkeep(settings, settings.recordings_url, carrier)


class Worker:
    """One database's, with this agent's jobs, and those of recordings. words: what a job says when it fails may be in
    the log. still(): see `only_worker`."""

    def __init__(
        self,
        engine: sa.Engine,
        agent: Agent,
        *,
        words: bool,
        recordings: "Upkeep | None" = None,
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._still = still
        self._outbox = Outbox(engine)
        self._recordings = recordings
        places = asyncio.Semaphore(AT_ONCE)
        self._doers: dict[str, Doer] = {
            name: RecordJob(job, self._record, places, words=words) for name, job in agent.jobs.items()
        }
        self._doers |= recordings.doers if recordings is not None else {}
        self._names = sorted(self._doers)
        self._queue = JobQueue(engine, self._doers)
        self._stopped = asyncio.Event()
        self._complained_s = self._kept_s = 0.0

    async def live(self) -> None:
        """Until a signal, and until what is at work has ended, or has had STOP_SECONDS. ConfigError where another one
        has taken its place, while the database did not answer."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stopped.set)
        if not await self._opened():
            return
        notices.worker_started(NAME, jobs=",".join(self._names), pid=os.getpid())
        alone = True
        while not self._stopped.is_set():
            try:
                alone = await asyncio.to_thread(self._still)
                if not alone:
                    break
                taken = await self.take()
                await self._keep_house()
            except SQLAlchemyError as error:
                self._complain(error)
                taken = 0
            if not taken:
                await self._rest()
        await asyncio.to_thread(self._queue.close, STOP_SECONDS)
        if self._recordings is not None:
            self._recordings.rows.close()  # the carrier's client is the queue's own loop's, which has ended
        if not alone:
            raise ConfigError(SECOND)

    async def _opened(self) -> bool:
        """The queue. False where a signal came before it was."""
        opening, stopped = asyncio.create_task(self._queue.open()), asyncio.create_task(self._stopped.wait())
        await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if opening.done():
            opening.result()
            return True
        opening.cancel()
        return False

    async def take(self) -> int:
        """From the outbox to the queue: how many. One that dies in between is taken twice, and there once."""
        items = await asyncio.to_thread(self._outbox.waiting, self._names, TAKEN_AT_ONCE)
        for item in items:
            await self._queue.put(item)
            await asyncio.to_thread(self._outbox.taken, item.key)
            notices.job_enqueued(item.job, item.call_sid)
        return len(items)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), LOOK_SECONDS)

    async def _keep_house(self) -> None:
        """Once an hour: forget what is done, say what nobody does, look after recordings."""
        if self._kept_s and time.monotonic() - self._kept_s < HOUSEKEEPING_SECONDS:
            return
        self._kept_s = time.monotonic()
        for job in await asyncio.to_thread(self._outbox.others, self._names):
            notices.job_unknown(job)
        await self._queue.forget_old()
        if self._recordings is not None:
            await self._recordings.keeper.keep_house()

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained_s > 30.0:
            self._complained_s = time.monotonic()
            notices.outbox_away(error)

    def _record(self, call_sid: str, stream_sid: str) -> dict[str, Any] | None:
        return records.document(self._engine, call_sid, stream_sid)
