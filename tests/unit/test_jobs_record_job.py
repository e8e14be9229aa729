"""jobs.record_job: a user's function over the record of a call; what it raises is told and goes no further."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fastbridge.agent import Agent, JobRun
from fastbridge.jobs.record_job import RecordJob
from fastbridge.store.outbox import Item

ITEM = Item("well:CA1:MZ1", "well", "CA1", "MZ1")
RECORD = {"call_sid": "CA1"}
agent = Agent()
ran: list[tuple[Any, ...]] = []


@agent.job
def well(record: Mapping[str, Any], run: JobRun) -> None:
    ran.append((record, run))


@agent.job(tries=3)
def fails(record: Mapping[str, Any]) -> None:
    raise ValueError("the card is 4242")


ENDS = (SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError())


@agent.job(tries=2)
def ends(record: Mapping[str, Any]) -> None:
    raise record["error"]


@agent.job(tries=2)
async def ends_here(record: Mapping[str, Any]) -> None:
    raise record["error"]


waiting = asyncio.Event()


@agent.job
async def waits(record: Mapping[str, Any]) -> None:
    waiting.set()
    await asyncio.Event().wait()


def job(name: str, record: Mapping[str, Any] | None = RECORD, *, words: bool = False) -> RecordJob:
    asked = {("CA1", "MZ1"): record}
    return RecordJob(agent.jobs[name], lambda *of: asked[of], asyncio.Semaphore(1), words=words)


def test_it_gets_the_record_and_its_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ran.clear()
    assert asyncio.run(job("well").do(ITEM, 2))
    assert ran == [(RECORD, JobRun(ITEM.key, "well", "CA1", 2))]
    assert caplog.records[-1].getMessage().startswith("[WORKER] Job completed, job=well, duration_ms=")


@pytest.mark.parametrize("words", [True, False])
def test_what_it_raises_is_told_with_its_words_where_they_may_be(caplog: pytest.LogCaptureFixture, words: bool) -> None:
    failing = job("fails", words=words)
    assert not asyncio.run(failing.do(ITEM, 1))
    assert ("4242" in caplog.text) is words
    assert "attempt=1, tries=3" in caplog.text
    assert failing.tries == 3
    assert failing.wait_seconds(2) == agent.jobs["fails"].wait_seconds(2)


@pytest.mark.parametrize("name", ["ends", "ends_here"])
@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_what_would_end_the_process_is_a_failure_like_any_other(
    caplog: pytest.LogCaptureFixture, name: str, error: BaseException
) -> None:
    assert not asyncio.run(job(name, {"error": error}).do(ITEM, 1))
    assert f"Job failed: {type(error).__name__}, job={ITEM.job}, attempt=1, tries=2" in caplog.text


def test_it_is_broken_off_where_its_own_task_is(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        task = asyncio.create_task(job("waits").do(ITEM, 1))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert "Job failed" not in caplog.text


def test_without_a_record_there_is_nothing_to_do(caplog: pytest.LogCaptureFixture) -> None:
    ran.clear()
    assert asyncio.run(job("well", None).do(ITEM, 1))
    assert ran == []
    assert "its call's record is gone" in caplog.text
