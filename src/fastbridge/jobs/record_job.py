"""A user's job, as the queue does it: the function of an agent's, over the record of a call that is over."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from fastbridge.agent.hooks import is_cancelled
from fastbridge.agent.job import Job, JobRun
from fastbridge.observe import notices
from fastbridge.store.outbox import Item

Record = Callable[[str, str], Mapping[str, Any] | None]


class RecordJob:
    """record(call_sid, stream_sid): the document of a call; None if it is not there. places: of all such jobs, how many
    at once. words: what a job says when it fails may be in the log."""

    def __init__(self, job: Job, record: Record, places: asyncio.Semaphore, *, words: bool) -> None:
        self.tries = job.tries
        self.places = places
        self._job = job
        self._record = record
        self._words = words

    def wait_seconds(self, attempt: int) -> float:
        return self._job.wait_seconds(attempt)

    async def do(self, item: Item, attempt: int) -> bool:
        """Whether it is done. What it raises is told here, and kept by nobody: it may hold what was said."""
        began_s = time.monotonic()
        record = await asyncio.to_thread(self._record, item.call_sid, item.subject)
        if record is None:  # it has had its days
            notices.job_without_record(item.job, item.call_sid)
            return True
        try:
            await self._job.run(record, JobRun(item.key, item.job, item.call_sid, attempt))
        except (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            if is_cancelled():
                raise
            # Whatever a user's function raises is its own affair, sys.exit() too: past here it would end all jobs.
            tries = {"attempt": attempt, "tries": self.tries}
            notices.job_failed(item.job, item.call_sid, error, **tries, words=self._words)
            return False
        notices.job_completed(item.job, item.call_sid, duration_ms=int((time.monotonic() - began_s) * 1000))
        return True
