"""agent.job: what a job is, and what is said of one that cannot be."""

import asyncio
import functools
from typing import Any

import pytest

from fastbridge import Agent, JobRun
from fastbridge.agent.job import LAST_RETRY_SECONDS, Job
from fastbridge.errors import ConfigError

RUN = JobRun("job:CA1:MZ1", "job", "CA1", 1)
RECORD = {"call_sid": "CA1"}


def run(job: Job) -> None:
    asyncio.run(job.run(RECORD, RUN))


def test_a_function_is_run_with_the_record_and_may_ask_for_its_run() -> None:
    agent, told = Agent(), []

    @agent.job
    def plain(record: dict[str, Any]) -> None:
        told.append(record)

    @agent.job(tries=3, timeout_seconds=5)
    async def asks(record: dict[str, Any], run: JobRun) -> None:
        told.append((record, run.key))

    assert list(agent.jobs) == ["plain", "asks"]
    assert (agent.jobs["asks"].tries, agent.jobs["asks"].timeout_seconds) == (3, 5)
    for job in agent.jobs.values():
        run(job)
    assert told == [RECORD, (RECORD, RUN.key)]


def test_what_it_raises_is_raised_and_what_takes_too_long_is_broken_off() -> None:
    agent = Agent()

    @agent.job
    def fails(record: dict[str, Any]) -> None:
        raise ValueError("no")

    @agent.job(timeout_seconds=0.01)
    async def hangs(record: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="no"):
        run(agent.jobs["fails"])
    with pytest.raises(TimeoutError):
        run(agent.jobs["hangs"])


def none() -> None: ...
def two(record: Any, other: Any) -> None: ...


@pytest.mark.parametrize("function", [none, two, functools.partial(two, other=1), 7, "x"])
def test_what_cannot_be_one_is_said_at_once(function: Any) -> None:
    with pytest.raises(ConfigError, match="job"):
        Agent().job(function)


def test_two_of_one_name_are_an_error_and_so_are_wrong_options() -> None:
    agent = Agent()

    @agent.job
    def job(record: Any) -> None: ...

    with pytest.raises(ConfigError, match="already has a job"):
        agent.job(job)
    for options in ({"tries": 0}, {"tries": True}, {"timeout_seconds": 0}, {"retries": 2}):
        with pytest.raises(ConfigError):
            agent.job(**options)  # type: ignore[call-overload]


def test_tries_are_ever_further_apart() -> None:
    job = Job("job", none, tries=20)
    waits = [job.wait_seconds(attempt) for attempt in range(1, 20)]
    assert waits[:3] == [5.0, 20.0, 80.0]
    assert waits == sorted(waits)
    assert waits[-1] == LAST_RETRY_SECONDS


def test_jobs_are_the_agents_own() -> None:
    one, other = Agent(), Agent()
    one.job(lambda_like)
    assert (list(one.jobs), list(other.jobs)) == (["lambda_like"], [])


def lambda_like(record: Any) -> None: ...
