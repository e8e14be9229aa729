"""What every part of the simulated REST API is given: a clock, Twilio's own requests, and a place for complaints."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastbridge.sim.signed_http import SignedHttp
from fastbridge.sim.twilio_callbacks import Callbacks


class Services:
    """now(): seconds since the epoch. fail(error): something that Twilio's debugger would show."""

    def __init__(
        self, now: Callable[[], float], http: SignedHttp, callbacks: Callbacks, fail: Callable[[str], object]
    ) -> None:
        self.now = now
        self.http = http
        self.callbacks = callbacks
        self.fail = fail
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """In the background; ends with the API."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Break off all that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.callbacks.close()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(f"the simulator failed: {error!r}")
