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
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID

from fastbridge.agent.job import Job, JobRun
from fastbridge.errors import ConfigError
from fastbridge.observe import notices
from fastbridge.store.database import sqlite_file

NAME = "fastbridge"
EXECUTOR = "fastbridge-worker"
"""Always the same: what one worker leaves undone the next one finds."""
VERSION = "1"
AT_ONCE = 10
"""Tries; jobs that wait for their next one take nobody's place."""
MOST_BEGUN = 1000
POLL_SECONDS = 0.5
LOCK = 7_163_942_518_206_377
"""Postgres' advisory lock of the one worker."""
KEPT_SECONDS = 7 * 86_400.0
"""How long the queue remembers a job that is done: for so long its key is known."""


class JobQueue:
    """jobs: by name. record(call_sid, stream_sid): the document of a call; None if it is not there. words: what a job
    says when it fails may be in the log."""

    def __init__(
        self,
        engine: sa.Engine,
        jobs: Mapping[str, Job],
        record: Callable[[str, str], Mapping[str, Any] | None],
        *,
        words: bool,
    ) -> None:
        self._words = words
        self._places = asyncio.Semaphore(AT_ONCE)
        self._jobs = jobs
        self._record = record
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

        async def job(key: str, name: str, call_sid: str, stream_sid: str) -> None:  # no method: DBOS marks it
            await self._do(key, name, call_sid, stream_sid)

        self._workflow = DBOS.workflow(name="job")(job)

    async def open(self) -> None:
        """Take up what is there."""
        await asyncio.to_thread(DBOS.launch)
        await DBOS.register_queue_async(NAME, worker_concurrency=MOST_BEGUN, polling_interval_sec=POLL_SECONDS)

    async def put(self, key: str, job: str, call_sid: str, stream_sid: str) -> None:
        """Harmless if it is there."""
        with SetWorkflowID(key):
            await DBOS.enqueue_workflow_async(NAME, self._workflow, key, job, call_sid, stream_sid)

    def close(self, seconds: float) -> None:
        """Those at work have so long to end; then they are broken off, and done again by the next worker."""
        DBOS.destroy(workflow_completion_timeout_sec=int(seconds))

    async def forget_old(self) -> None:
        """What was done long ago."""
        before = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - KEPT_SECONDS))
        done = await DBOS.list_workflows_async(completed_before=before, limit=500, load_input=False, load_output=False)
        for each in done:
            await DBOS.delete_workflow_async(each.workflow_id)

    async def _do(self, key: str, name: str, call_sid: str, stream_sid: str) -> None:
        """The workflow: the same steps in the same order, however often it is taken up."""
        job = self._jobs.get(name)
        if job is None:
            raise ConfigError(f"The agent has no job {name!r} any more.")
        for attempt in range(1, job.tries + 1):
            run = JobRun(key, name, call_sid, attempt)
            if await DBOS.run_step_async(
                {"name": f"try {attempt}"}, functools.partial(self._try, job, run, stream_sid)
            ):
                return
            if attempt < job.tries:
                await DBOS.sleep_async(job.wait_seconds(attempt))
        raise RuntimeError(f"job {name!r} has failed {job.tries} times")

    async def _try(self, job: Job, run: JobRun, stream_sid: str) -> bool:
        """Whether it is done. What it raises is told here, and kept by nobody: it may hold what was said."""
        async with self._places:
            return await self._try_now(job, run, stream_sid)

    async def _try_now(self, job: Job, run: JobRun, stream_sid: str) -> bool:
        began_s = time.monotonic()
        record = await asyncio.to_thread(self._record, run.call_sid, stream_sid)
        if record is None:  # it has had its days
            notices.job_without_record(run.job, run.call_sid)
            return True
        try:
            await job.run(record, run)
        except Exception as error:
            tries = {"attempt": run.attempt, "tries": job.tries}
            notices.job_failed(run.job, run.call_sid, error, **tries, words=self._words)
            return False
        notices.job_completed(run.job, run.call_sid, duration_ms=int((time.monotonic() - began_s) * 1000))
        return True


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
