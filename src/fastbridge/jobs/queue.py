"""The queue of jobs: DBOS, in the database of the records.

A job is a workflow under its own key, so that it is in the queue once, and each try of it a step: what was done is
known, what was broken off is done again when a worker is back. There is one worker for a database; whoever comes second
is told so.
"""

import asyncio
import contextlib
import fcntl
import functools
import os
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID

from fastbridge.errors import ConfigError
from fastbridge.store.database import sqlite_file
from fastbridge.store.outbox import Item

NAME = "fastbridge"
EXECUTOR = "fastbridge-worker"
"""Always the same: what one worker leaves undone the next one finds."""
VERSION = "1"
MOST_BEGUN = 1000
POLL_SECONDS = 0.5
LOCK = 7_163_942_518_206_377
"""Postgres' advisory lock of the one worker."""
KEPT_SECONDS = 7 * 86_400.0
"""How long the queue remembers a job that is done: for so long its key is known."""


class Doer(Protocol):
    """Who does the jobs of a name."""

    @property
    def tries(self) -> int:
        """How often one is tried."""

    @property
    def places(self) -> asyncio.Semaphore:
        """How many tries at once; jobs that wait for their next one take nobody's place."""

    def wait_seconds(self, attempt: int) -> float:
        """Between this one and the next."""

    async def do(self, item: Item, attempt: int) -> bool:
        """Once. Whether it is done; what was in the way it tells itself."""


class JobQueue:
    """doers: by the names of their jobs."""

    def __init__(self, engine: sa.Engine, doers: Mapping[str, Doer]) -> None:
        self._doers = doers
        DBOS(
            config={
                "name": NAME,
                "system_database_engine": engine,
                "system_database_url": engine.url.render_as_string(hide_password=False),
                "executor_id": EXECUTOR,
                "application_version": VERSION,
                "log_level": "CRITICAL",
            }
        )

        async def job(key: str, name: str, call_sid: str, subject: str) -> None:  # no method: DBOS marks it
            await self._do(Item(key, name, call_sid, subject))

        self._workflow = DBOS.workflow(name="job")(job)

    async def open(self) -> None:
        """Take up what is there."""
        await asyncio.to_thread(DBOS.launch)
        await DBOS.register_queue_async(NAME, worker_concurrency=MOST_BEGUN, polling_interval_sec=POLL_SECONDS)

    async def put(self, item: Item) -> None:
        """Harmless if it is there."""
        with SetWorkflowID(item.key):
            await DBOS.enqueue_workflow_async(NAME, self._workflow, *item)

    def close(self, seconds: float) -> None:
        """Those at work have so long to end; then they are broken off, and done again by the next worker."""
        DBOS.destroy(workflow_completion_timeout_sec=int(seconds))

    async def forget_old(self) -> None:
        """What was done long ago."""
        before = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - KEPT_SECONDS))
        done = await DBOS.list_workflows_async(completed_before=before, limit=500, load_input=False, load_output=False)
        for each in done:
            await DBOS.delete_workflow_async(each.workflow_id)

    async def _do(self, item: Item) -> None:
        """The workflow: the same steps in the same order, however often it is taken up."""
        doer = self._doers.get(item.job)
        if doer is None:
            raise ConfigError(f"Nobody here does the job {item.job!r} any more.")
        for attempt in range(1, doer.tries + 1):
            step = functools.partial(self._try, doer, item, attempt)
            if await DBOS.run_step_async({"name": f"try {attempt}"}, step):
                return
            if attempt < doer.tries:
                await DBOS.sleep_async(doer.wait_seconds(attempt))
        raise RuntimeError(f"job {item.job!r} has failed {doer.tries} times")

    async def _try(self, doer: Doer, item: Item, attempt: int) -> bool:
        async with doer.places:
            return await doer.do(item, attempt)


@contextlib.contextmanager
def only_worker(engine: sa.Engine) -> Iterator[None]:
    """Of this database, as long as it lasts. ConfigError if there is one."""
    path = sqlite_file(engine.url)
    if path is not None:
        file = os.open(f"{path}.worker", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise ConfigError(_SECOND) from None
        finally:
            os.close(file)
    elif engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            if not connection.execute(sa.text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar():
                raise ConfigError(_SECOND)
            yield
    else:
        yield


_SECOND = "Another worker is at work on this database: one is enough, stop it first."
