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
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID
from sqlalchemy.exc import DBAPIError

from fastbridge.agent import threads
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
        """Take up what is there. It makes its tables first, for which it may wait for others who work on the database:
        in a thread that nobody waits for who is told to end."""
        await asyncio.get_running_loop().run_in_executor(threads.shared, DBOS.launch)
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


class _Lock:
    """Postgres', which is gone with its connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._has = False

    def held(self) -> bool:
        """Where the connection was lost it is taken anew, if nobody else has it. SQLAlchemyError: nobody knows now."""
        if self._has:
            try:
                self._ask("select 1")
                return True
            except DBAPIError:
                self._has = False
        self._has = bool(self._ask("select pg_try_advisory_lock(:lock)", lock=LOCK))
        return self._has

    def _ask(self, text: str, **values: int) -> object:
        with self._connection.begin():  # or one that was lost could not be made anew
            return self._connection.execute(sa.text(text), values).scalar()


@contextlib.contextmanager
def only_worker(engine: sa.Engine) -> Iterator[Callable[[], bool]]:
    """Of this database, as long as it lasts. ConfigError if there is one. still(): whether it is the only one; blocks,
    raises SQLAlchemyError."""
    path = sqlite_file(engine.url)
    if path is not None:
        file = os.open(f"{path}.worker", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lambda: True
        except BlockingIOError:
            raise ConfigError(SECOND) from None
        finally:
            os.close(file)
    elif engine.dialect.name == "postgresql":
        # No transaction, which would stay open all the time, and be ended by whoever has an eye on such.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            lock = _Lock(connection)
            if not lock.held():
                raise ConfigError(SECOND)
            yield lock.held
    else:
        yield lambda: True


SECOND = "Another worker is at work on this database: one is enough, stop it first."
