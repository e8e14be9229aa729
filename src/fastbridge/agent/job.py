"""A job: a function of the user's that is run for each call when it is over, by `fastbridge worker`, at least once."""

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from fastbridge.agent import fields as agent_fields
from fastbridge.agent.tool import run
from fastbridge.errors import ConfigError

_F = TypeVar("_F", bound=Callable[..., Any])
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_OPTIONS = {
    "tries": (lambda value: type(value) is int and 1 <= value <= 100, "a whole number from 1 to 100"),
    "timeout_seconds": (
        lambda value: type(value) in (int, float) and 0 < value <= 3600,
        "a number of seconds, at most 3600",
    ),
}
FIRST_RETRY_SECONDS = 5.0
LAST_RETRY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job. key: the same for each run of this job for this call; give it to whoever must not do the same
    thing twice, as his idempotency key. attempt: 1 for the first; a run that was broken off counts again."""

    key: str
    job: str
    call_sid: str
    attempt: int


@dataclass(frozen=True)
class Job:
    """function(record), or function(record, run: JobRun). tries: how often it is run until it raises nothing."""

    name: str
    function: Callable[..., Any]
    tries: int = 5
    timeout_seconds: float = 60.0

    async def run(self, record: Mapping[str, Any], run_: JobRun) -> None:
        """Once. Raises what it raises; TimeoutError."""
        wanted = agent_fields.context_parameter(self.function, JobRun)
        others = [name for name in inspect.signature(self.function).parameters if name != wanted]
        given = {others[0]: record} if others else {}
        async with asyncio.timeout(self.timeout_seconds):
            await run(self.function, **given, **({wanted: run_} if wanted is not None else {}))

    def wait_seconds(self, attempt: int) -> float:
        """Before the next try: ever longer."""
        return min(FIRST_RETRY_SECONDS * 4.0 ** (attempt - 1), LAST_RETRY_SECONDS)


class WithJobs:
    """What of an Agent is about jobs."""

    @overload
    def job(self, function: _F) -> _F: ...
    @overload
    def job(self, *, tries: int = ..., timeout_seconds: float = ...) -> Callable[[_F], _F]: ...
    def job(self, function: _F | None = None, **options: Any) -> _F | Callable[[_F], _F]:
        """`function(record)` is run by `fastbridge worker` for each call that is over: at least once, and again until
        it raises nothing, `tries` times at most. One that takes a JobRun gets the key of this job for this call."""
        agent_fields.known_names(options, _OPTIONS, "@agent.job")
        agent_fields.check_values(options, _OPTIONS, "@agent.job")

        def register(target: _F) -> _F:
            job = Job(getattr(target, "__name__", ""), target, **options)
            _check(job)
            if job.name in self.jobs:
                raise ConfigError(f"The agent already has a job named {job.name!r}: give this one another name.")
            self.jobs[job.name] = job
            return target

        return register(function) if function is not None else register

    @property
    def jobs(self) -> dict[str, Job]:
        """By name."""
        found: dict[str, Job] = self.__dict__.setdefault("_jobs", {})
        return found


def _check(job: Job) -> None:
    place = agent_fields.where(job.function) if callable(job.function) else ""
    if not callable(job.function) or not _NAME.fullmatch(job.name):
        raise ConfigError(f"{place}@agent.job stands before a function that has a name.")
    names = list(inspect.signature(job.function).parameters)
    wanted = agent_fields.context_parameter(job.function, JobRun)
    if len([name for name in names if name != wanted]) != 1:
        raise ConfigError(f"{place}job {job.name!r} must be a function of (record), or of (record, run: JobRun).")
